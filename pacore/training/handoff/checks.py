"""Checks that run where an export is used: its reward, its lengths, and the trainer's own loader.

    python check_export.py [--tokenizer FOLDER] [--loader]

It prints a line of JSON for each thing that it finds: ``fact`` or ``fault``. It needs the export alone; the
tokenizer needs transformers, and the loader the trainer. For verl the folder of the tokenizer is that of a
model, with which the launch file is checked too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pacore.training.handoff.episodes import Episodes
from pacore.training.handoff.loaders import LOADERS, MOST_PROBLEMS, Found, check_launch
from pacore.training.handoff.records import (
    LINE_ROWS,
    ChatTurn,
    GrpoRow,
    OpenRlhfRow,
    PreferenceRow,
    SftRow,
    SlimeRow,
    StatedExport,
    TrainRow,
    read_lines,
    stated_export,
)
from pacore.training.handoff.reward import reward_of

MOST_OF_A_SIDE = 2
"""Messages of one problem that are right, and that are wrong, it is tried on."""

SLOW_SECONDS = 60.0
"""Longest that the reward of one hostile response may take, the start of its processes included."""

TOTAL_TOKENS, PROMPT_TOKENS = 131_072, 65_536

_DECIDING = ("mpmath", "sympy")
"""Packages whose version may change a verdict."""

HOSTILE = (
    "",
    "<think>The answer is \\boxed{1}, or so",
    "\\boxed{" * 5_000,
    "\\boxed{9^{9^{9^{9^{9}}}}}",
    "\\boxed{\\sum_{k=1}^{10^{12}}\\sin^{k}(k^{k})}",
    "\\boxed{__import__('os').abort()}",
    "```python\nimport os\nos.kill(os.getppid(), 9)\n```",
    "\x00\ud800\u202e" * 100,
)


HOSTILE_PROGRAMS = (
    "raise SystemExit(0)",
    "import os\nos._exit(0)",
    "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
    "import sys\nsys.modules.clear()",
    "import builtins, os\nbuiltins.print = lambda *_: None\nos.closerange(0, 256)",
    "class Equal:\n    def __eq__(self, other): return True\n\nclass Solution: pass\n"
    "def __getattr__(name): return lambda *_: Equal()\n",
    "x = [0] * 10**11",
)
"""Programs that solve nothing. They may pass what an empty program passes, such as tests without output."""


class Case(NamedTuple):
    """A response, what it is graded against, and the score that it must have."""

    kind: str
    response: str
    gold: str
    grader: str
    score: float


def run_check() -> None:
    """Check the export in this file's folder, or in the one that is named; exit with 1 for a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=str(Path(sys.argv[0]).resolve().parent))
    parser.add_argument("--tokenizer")
    parser.add_argument("--loader", action="store_true")
    given = parser.parse_args()
    has_fault = False
    for kind, what in check(Path(given.folder), given.tokenizer, given.loader):
        print(json.dumps({kind: what}), flush=True)
        has_fault |= kind == "fault"
    sys.exit(has_fault)


def check(folder: Path, tokenizer: str | None, is_loaded: bool) -> Found:
    manifest = stated_export(folder)
    yield from check_reward(folder, manifest)
    if tokenizer is not None:
        yield from check_lengths(folder, manifest, tokenizer)
    if is_loaded:
        yield from LOADERS[manifest.format](folder, manifest)
        if manifest.format == "verl" and tokenizer is not None:
            yield from check_launch(folder, tokenizer)


def check_reward(folder: Path, manifest: StatedExport) -> Found:
    """The reward on what is known: messages and trajectories with their scores, and hostile responses."""
    counted: Counter[str] = Counter()
    tests: str | None = None
    for case in cases(folder, manifest):
        tests = case.gold if case.grader == "code" else tests
        found = reward_of(case.response, case.gold, case.grader)
        counted[case.kind if found.is_observed else "without an end"] += 1
        if found.is_observed and abs(found.score - case.score) > 1e-9:
            shown = ascii(case.response[-80:])
            yield (
                "fault",
                f"reward: {case.kind}: {found.score} where {case.score} is known: …{shown}",
            )
    yield from _check_hostile()
    if tests is not None:
        yield from _check_hostile_programs(tests)
    for name, stated in manifest.versions.items():
        if name in _DECIDING and version(name) != stated:
            yield (
                "fact",
                f"{name} is {version(name)} here and was {stated} where the scores are from",
            )
    total = ", ".join(f"{number:,} {kind}" for kind, number in counted.items()) or "no response"
    yield "fact", f"reward as known for {total}; and 0 for hostile responses"
    if "pacore" in sys.modules:
        yield "fault", "the package imports pacore, which is not there where it is used"


def _check_hostile() -> Found:
    for gold, grader in (("7", "math"), ("(B)", "choice"), ("Paris", "text")):
        for response in HOSTILE:
            began = time.monotonic()
            found = reward_of(response, gold, grader)
            seconds = time.monotonic() - began
            if found.score > 0:
                yield "fault", f"reward: a hostile response is rewarded: {response[:60]!a}"
            if seconds > SLOW_SECONDS:
                yield "fault", f"reward: {seconds:.0f} s for {response[:60]!a}"


def _check_hostile_programs(tests: str) -> Found:
    """Whether programs that solve nothing pass what an empty one does not."""
    empty = reward_of(_fenced("pass"), tests, "code").score
    for program in HOSTILE_PROGRAMS:
        if reward_of(_fenced(program), tests, "code").score > empty:
            yield "fault", f"reward: a hostile program is rewarded: {program[:60]!a}"
    yield "fact", f"{len(HOSTILE_PROGRAMS)} hostile programs pass no test that an empty one fails"


def _fenced(program: str) -> str:
    return f"```python\n{program}\n```"


def cases(folder: Path, manifest: StatedExport) -> Iterator[Case]:
    """Responses whose score is known, of some problems of the export."""
    if manifest.pools is not None:
        yield from _cases_of_pools(Episodes([str(folder / manifest.pools)]))
        return
    kind = LINE_ROWS[manifest.format]
    for row in islice(read_lines(folder / manifest.data, kind), 8 * MOST_PROBLEMS):
        if isinstance(row, TrainRow):
            if (grader := row.grader or "math") != "code":
                gold = row.ground_truth
                yield Case("stated", f"\\boxed{{{gold}}}", gold, grader, 1.0)
        elif isinstance(row, SftRow):
            yield Case("right", _text(row.completion), row.gold, row.grader, row.score)
        elif isinstance(row, PreferenceRow):
            by = (row.gold, row.grader)
            yield Case("chosen", _text(row.chosen), *by, row.score)
            yield Case("rejected", _text(row.rejected), *by, row.rejected_score)


def _cases_of_pools(episodes: Episodes) -> Iterator[Case]:
    step = max(1, episodes.problems // MOST_PROBLEMS)
    for number in range(0, episodes.problems, step):
        row = episodes.row(number)
        extra, gold, grader = row.extra_info, row.gold, row.grader
        left = {True: MOST_OF_A_SIDE, False: MOST_OF_A_SIDE}
        for text, score in zip(extra.message_pool, extra.message_acc, strict=True):
            if left[score == 1]:
                left[score == 1] -= 1
                kind = "right messages" if score == 1 else "wrong messages"
                yield Case(kind, text, gold, grader, score)
        if grader.partition(":")[0] != "code":
            yield Case(
                "stated gold answers", f"The answer is \\boxed{{{gold}}}.", gold, grader, 1.0
            )
        yield Case("answers that are none", "I do not know.", gold, grader, 0.0)


def _text(turns: list[ChatTurn]) -> str:
    return turns[-1]["content"]


def check_lengths(folder: Path, manifest: StatedExport, tokenizer: str) -> Found:
    """Lengths by the tokenizer, and whether what is learnt begins where the prompt ends."""
    from transformers import AutoTokenizer

    read = AutoTokenizer.from_pretrained(tokenizer, trust_remote_code=False, local_files_only=True)
    longest = longest_whole = learnt = 0
    for number, (prompt, said) in enumerate(_prompts(folder, manifest), 1):
        begun = _ids(read.apply_chat_template(prompt, add_generation_prompt=True))
        longest = max(longest, len(begun))
        if said is None:
            continue
        whole = _ids(read.apply_chat_template([*prompt, *said]))
        longest_whole, learnt = max(longest_whole, len(whole)), learnt + len(whole) - len(begun)
        if whole[: len(begun)] != begun:
            yield "fault", f"row {number}: the prompt's tokens are not the first of the row's"
        elif len(whole) == len(begun):
            yield "fault", f"row {number}: nothing is left to learn from"
    most = PROMPT_TOKENS if manifest.format == "verl" else TOTAL_TOKENS - 1
    yield "fact", f"longest prompt: {longest:,} tokens of {most:,}"
    if longest > most:
        yield "fault", f"the longest prompt has {longest:,} tokens, and {most:,} are allowed"
    if longest_whole:
        yield "fact", f"longest row: {longest_whole:,} tokens; {learnt:,} tokens are learnt from"
    if longest_whole > TOTAL_TOKENS:
        yield (
            "fault",
            f"the longest row has {longest_whole:,} tokens, and {TOTAL_TOKENS:,} are allowed",
        )


def _ids(encoded: Any) -> list[int]:
    """Token ids, which newer versions of transformers give with their mask."""
    return list(encoded["input_ids"] if isinstance(encoded, Mapping) else encoded)


def _prompts(
    folder: Path, manifest: StatedExport
) -> Iterator[tuple[list[ChatTurn], list[ChatTurn] | None]]:
    """Each prompt, with what was said to it where the rows have that."""
    if manifest.data == manifest.pools:
        import pyarrow.parquet as pq

        with pq.ParquetFile(folder / manifest.data) as file:
            for group in range(file.num_row_groups):
                for row in file.read_row_group(group, columns=["prompt"]).to_pylist():
                    yield row["prompt"], None
        return
    for row in read_lines(folder / manifest.data, LINE_ROWS[manifest.format]):
        if isinstance(row, TrainRow):
            yield row.conversation, None
        elif isinstance(row, PreferenceRow):
            yield row.prompt, row.chosen
            yield row.prompt, row.rejected
        elif isinstance(row, SftRow):
            yield row.prompt, row.completion
        elif isinstance(row, OpenRlhfRow | SlimeRow | GrpoRow):
            yield row.prompt, None
