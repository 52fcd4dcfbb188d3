"""Checks an export for a trainer: what it says of itself, row by row, and its reward where it is used.

What follows from something else in the export is derived again and compared: the static prompts of pools,
the visits of a schedule. The rest is checked for what each row must have. The reward runs in a process of
its own, as the trainer's would, without pacore (`pacore.training.handoff.checks`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from pathlib import Path

from pacore.core.grading.extraction.extract import Extracted, find_answer
from pacore.core.grading.programs.tests import wanted_of
from pacore.core.grading.rules import grade_fast
from pacore.core.grading.spec import parse_spec
from pacore.core.grading.verdict import CORRECT
from pacore.core.identity import canonical_json, digest
from pacore.core.prompt import SYNTHESIS
from pacore.errors import BadInput, PacoreError, Refused
from pacore.store.parquet import read_rows, schema_of
from pacore.text import visible
from pacore.training.exports.export import sha256_of
from pacore.training.exports.formats import RowOptions
from pacore.training.exports.manifest import MANIFEST, TrainingManifest, read_training_manifest
from pacore.training.exports.rows import POOLS, longest_prompt, scheduled_rows
from pacore.training.handoff.records import (
    LINE_ROWS,
    ChatTurn,
    ExportedPool,
    ExportRow,
    GrpoRow,
    OpenRlhfRow,
    PreferenceRow,
    SftRow,
    SlimeRow,
    TrainRow,
    line_places,
    read_lines,
    strict_record,
)
from pacore.training.handoff.reward import read_label

MOST_FAULTS = 20
"""Faults of one kind that are listed."""

CHECK_SECONDS = 1_800.0

STATING = ("boxed", "tagged", "stated")
"""Methods by which a text states an answer; a closing sentence of a problem is none."""


@dataclass
class Verified:
    """What was found: ``facts`` to know, ``faults`` that make the export unusable."""

    facts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, faults: Iterable[str]) -> None:
        """The first of some faults, and how many more there are."""
        found = list(islice(faults, MOST_FAULTS + 1))
        self.faults += found[:MOST_FAULTS]
        if len(found) > MOST_FAULTS:
            self.faults.append(f"{found[-1].partition(':')[0]}: and more of this kind")


def verify_export(
    folder: Path, tokenizer: str | None = None, trainer_python: str | None = None
) -> Verified:
    """Everything that is wrong with an export; see the head of this module.

    Raises Refused for a folder that is none, BadInput for a tokenizer or a Python that is not there.
    """
    manifest = read_training_manifest(folder)
    found = Verified()
    found.add(_file_faults(folder, manifest))
    if not found.faults:
        found.facts.append(f"{len(manifest.files):,} files have their digests")
        _verify_rows(folder, manifest, found)
    if not found.faults:
        _run_checks(folder, found, tokenizer, trainer_python)
    return found


def _file_faults(folder: Path, manifest: TrainingManifest) -> Iterator[str]:
    known = {file.path: file for file in manifest.files}
    there = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for name in sorted(there - known.keys() - {MANIFEST}):
        yield f"{name}: is not in the manifest"
    for name, file in known.items():
        if name not in there:
            yield f"{name}: is missing"
        elif sha256_of(folder / name) != file.sha256:
            yield f"{name}: is not what was written: its digest is another"


def _verify_rows(folder: Path, manifest: TrainingManifest, found: Verified) -> None:
    """Check every row of the data files; later checks need what earlier ones found in order."""
    before = len(found.faults)
    if manifest.pools is not None:
        found.add(_pool_faults(folder / manifest.pools, manifest))
    if manifest.data != manifest.pools:
        found.add(_shape_faults(folder / manifest.data, manifest.format))
        if len(found.faults) == before:
            found.add(_content_faults(folder, manifest))
    if len(found.faults) == before:
        rows = 0
        leaks = 0
        for name, text, gold, grader in _statements(folder, manifest):
            rows += 1
            if states_gold(text, gold, grader):
                found.faults.append(f"{name}: the problem states its own gold answer")
            leaks += len(gold) >= len("a long answer") and gold in text
        found.facts.append(
            f"{rows:,} rows: no problem states its gold answer" if rows else "no rows"
        )
        if leaks:
            found.facts.append(
                f"{leaks:,} rows: the gold answer is somewhere in the problem's text"
            )


def states_gold(text: str, gold: str, grader: str) -> bool:
    """Whether a text, read as if it were a response, states the gold answer."""
    if parse_spec(grader).name == "code":
        return False
    read = find_answer(text, grader, wanted_of(grader, gold))
    if not isinstance(read, Extracted) or read.method not in STATING:
        return False
    return grade_fast(grader, gold, read.text) == CORRECT


def _statements(folder: Path, manifest: TrainingManifest) -> Iterator[tuple[str, str, str, str]]:
    """The text of each prompt outside of its messages, with gold answer and grader, and where it is."""
    if manifest.pools is not None:
        for number, pool in enumerate(_pools(folder / manifest.pools), 1):
            text = _joined(pool.extra_info.turns)
            yield f"{manifest.pools}: row {number}", text, pool.gold, pool.grader
        return
    for number, row in enumerate(_lines(folder, manifest), 1):
        place = f"{manifest.data}:{number}"
        if isinstance(row, TrainRow):
            yield place, _joined(row.conversation), row.ground_truth, row.grader or "math"
        elif isinstance(row, SftRow | PreferenceRow):
            text = "\n\n".join(_without_messages(turn["content"]) for turn in row.prompt)
            yield place, text, row.gold, row.grader


def _joined(turns: Iterable[ChatTurn]) -> str:
    return "\n\n".join(turn["content"] for turn in turns)


def _lines(folder: Path, manifest: TrainingManifest) -> Iterator[ExportRow]:
    return read_lines(folder / manifest.data, LINE_ROWS[manifest.format])


def _without_messages(content: str) -> str:
    """The problem in a prompt of the template; any other text as it is."""
    parts = SYNTHESIS.parts
    if not content.startswith(parts.head):
        return content
    return content.removeprefix(parts.head).partition(parts.between)[0]


def _pools(path: Path) -> Iterator[ExportedPool]:
    for row in read_rows(str(path), [column.name for column in POOLS.columns]):
        yield ExportedPool.of(row, path.name)


def _pool_faults(path: Path, manifest: TrainingManifest) -> Iterator[str]:
    expected = schema_of(path)
    if not expected.equals(POOLS.schema):
        yield f"{path.name}: its columns are {expected.names}, or of other types than they must be"
        return
    most = _options(manifest).sizes[1]
    seen: set[str] = set()
    rows = 0
    for number, row in enumerate(_pools(path), 1):
        rows = number
        why = _pool_fault(row, most)
        problem_id = row.extra_info.problem_id
        if why is None and problem_id in seen:
            why = f"problem {problem_id!r} is there twice"
        seen.add(problem_id)
        if why is not None:
            yield f"{path.name}: row {number}: {why}"
    stated = next(file.rows for file in manifest.files if file.path == manifest.pools)
    if rows != stated:
        yield f"{path.name}: has {rows:,} rows, and the manifest says {stated:,}"


def _pool_fault(row: ExportedPool, most: int) -> str | None:
    """What is wrong with a row of pools; None where nothing is."""
    extra = row.extra_info
    ids, scores = extra.message_ids, extra.message_acc
    if not extra.message_pool or not len(extra.message_pool) == len(ids) == len(scores):
        return "message_pool, message_ids and message_acc are not of one length from 1 on"
    if len(set(ids)) < len(ids):
        return "message_ids: a trajectory is there twice"
    if not all(0 <= score <= 1 for score in scores):
        return "message_acc: a score is not in [0, 1]"
    if not sum(score == 1 for score in scores) <= extra.pool_right <= extra.pool_observed:
        return "pool_right: is not between the right messages and pool_observed"
    if not -len(extra.turns) <= extra.observation < 0:
        return "observation: is no place of a turn"
    if row.prompt != longest_prompt(extra, most):
        return f"prompt: is not P(x, M) of the {most} longest messages"
    return _grader_fault(row.grader, row.gold)


def _grader_fault(grader: str, gold: str) -> str | None:
    try:
        name = parse_spec(grader).name
    except BadInput as bad:
        return f"grader: {bad}"
    if name == "judge":
        return "grader: a judge is no rule"
    return None if gold.strip() else "ground_truth: is empty"


def _shape_faults(path: Path, form: str) -> Iterator[str]:
    """Each line that is not of the format, with the first field that is wrong in it."""
    for place, line in line_places(path):
        try:
            strict_record(LINE_ROWS[form], line, place)
        except BadInput as bad:
            yield str(bad)


def _content_faults(folder: Path, manifest: TrainingManifest) -> Iterator[str]:
    """What is wrong with rows that have all their fields."""
    path = folder / manifest.data
    rows = 0
    seen: set[str] = set()
    pools = None if manifest.pools is None else str(folder / manifest.pools)
    expected: Iterator[ExportRow] = (
        iter(()) if pools is None else scheduled_rows(pools, _options(manifest))
    )
    for row, derived in zip_longest(_lines(folder, manifest), expected):
        if row is None:
            break
        rows += 1
        why = None
        if pools is None:
            name = digest(row.as_json)
            why = "is there twice" if name in seen else None
            seen.add(name)
        elif row != derived:
            why = "is not the visit that follows from the pools, the seed and its place"
        if why := why or _fault_of(row):
            yield f"{path.name}:{rows}: {why}"
    if rows != manifest.rows:
        yield f"{path.name}: has {rows:,} rows, and the manifest says {manifest.rows:,}"


def _options(manifest: TrainingManifest) -> RowOptions:
    """The settings that shaped the rows. Raises BadInput for others."""
    return strict_record(RowOptions, canonical_json(manifest.settings), f"{MANIFEST}: settings")


def _fault_of(row: ExportRow) -> str | None:
    """What is wrong with a row that has all its fields; None where nothing is."""
    if isinstance(row, TrainRow):
        return None if row.ground_truth.strip() else "ground_truth: is empty"
    if isinstance(row, OpenRlhfRow | SlimeRow):
        try:
            gold, grader = read_label(row.label)
        except BadInput as bad:
            return str(bad)
        return _grader_fault(grader, gold)
    if isinstance(row, SftRow):
        return _sft_fault(row) or _grader_fault(row.grader, row.gold)
    if isinstance(row, PreferenceRow):
        return _preference_fault(row) or _grader_fault(row.grader, row.gold)
    assert isinstance(row, GrpoRow)
    return _grader_fault(row.grader, row.gold)


def _sft_fault(row: SftRow) -> str | None:
    if row.score != 1:
        return f"score: is {row.score}, and only right trajectories are learnt from"
    return _said_fault(row.prompt, "completion", row.completion)


def _preference_fault(row: PreferenceRow) -> str | None:
    if not row.rejected_score < row.score == 1:
        return "score: the chosen is not right, or the rejected is"
    if row.chosen == row.rejected:
        return "rejected: is what was chosen"
    return _said_fault(row.prompt, "chosen", row.chosen) or _said_fault(
        row.prompt, "rejected", row.rejected
    )


def _said_fault(prompt: list[ChatTurn], name: str, said: list[ChatTurn]) -> str | None:
    if [turn["role"] for turn in said] != ["assistant"] or not said[0]["content"].strip():
        return f"{name}: is not one turn of the assistant with text"
    if prompt[-1]["role"] == "assistant":
        return "prompt: ends with a turn of the assistant, so that the mask begins nowhere"
    return None


def _run_checks(
    folder: Path, found: Verified, tokenizer: str | None, trainer_python: str | None
) -> None:
    """Run the export's own check in a process, and take over what it finds."""
    # Not resolved: the Python of an environment is a link, and what it imports follows from its place.
    python = sys.executable if trainer_python is None else os.path.abspath(trainer_python)
    command = [python, "-B", str((folder / "check_export.py").resolve())]
    if tokenizer is not None:
        if not Path(tokenizer).is_dir():
            raise BadInput(f"--tokenizer {tokenizer}: is no folder")
        command += ["--tokenizer", str(Path(tokenizer).resolve())]
    if trainer_python is not None:
        command.append("--loader")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=CHECK_SECONDS, cwd=folder
        )
    except FileNotFoundError:
        raise BadInput(f"--trainer-python {trainer_python}: is not there") from None
    except subprocess.TimeoutExpired:
        raise PacoreError(f"the export's own check took more than {CHECK_SECONDS:g} s") from None
    is_over = False
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            said = json.loads(line)
            found.facts += [visible(one) for one in [said.get("fact")] if one]
            found.faults += [visible(one) for one in [said.get("fault")] if one]
            is_over = True
    if done.returncode and not (is_over and found.faults):
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "")
        raise Refused(f"{folder}/check_export.py does not run here: {visible(last.strip())}")
