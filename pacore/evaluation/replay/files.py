"""Files of pools as people publish them: a row for each trajectory, or for each problem with a list of
each.

Which column is what follows from its name (`COLUMNS`), or from what the user says.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import chain, islice
from statistics import fmean
from typing import Literal, NamedTuple, cast

from pacore.core.grading.choose import choose_grader
from pacore.core.grading.rules import plain_key
from pacore.core.grading.spec import parse_spec
from pacore.core.problem import Problem, Turn
from pacore.errors import BadInput
from pacore.evaluation.replay.pools import Pooled, Pools, PromptTokens, seconds_a_token
from pacore.evaluation.statistics.arrivals import StoredPool
from pacore.problems.files import ReadLimits, rows_in
from pacore.problems.formats.rows import DecodedRow, RowFault, Rows
from pacore.store.backends.sources import open_source
from pacore.text import did_you_mean, visible

FILE_WIDTH = 64
"""Slots of a set of a file's pools, where they have as many."""

COLUMNS: Mapping[str, Sequence[str]] = {
    "model": ("model", "model_name", "model_id"),
    "problem_set": ("problem_set", "dataset", "benchmark", "data_source"),
    "problem": (
        "problem", "problem_id", "question_id", "prompt_id", "task_id", "qid", "id", "question", "prompt",
    ),
    "branch": (
        "branch", "draw", "sample", "sample_id", "sample_index", "sample_idx", "trajectory_id", "rollout",
        "rollout_id",
    ),
    "gold": (
        "gold", "gold_answer", "ground_truth", "reference_answer", "correct_answer", "target", "expected",
        "label",
    ),
    "answer": (
        "answer", "extracted_answer", "predicted_answer", "model_answer", "parsed_answer", "prediction",
        "pred", "answers", "extracted_answers", "predictions",
    ),
    "tokens": (
        "tokens", "completion_tokens", "output_tokens", "generated_tokens", "num_tokens", "n_tokens",
        "token_count", "num_output_tokens", "completion_length", "response_length", "length", "lengths",
    ),
    "correct": ("correct", "is_correct", "score", "scores", "reward", "rewards"),
    "prompt_tokens": ("prompt_tokens", "input_tokens", "num_prompt_tokens", "prompt_length"),
    "seconds": ("seconds", "latency_seconds", "generation_seconds", "elapsed_seconds"),
}  # fmt: skip
"""What a trajectory has, and the names of columns that have it, the first of them first.

Without ``branch`` trajectories are numbered as they come; ``correct`` is read where there is no ``gold``,
and nothing says what an answer is worth without both.
``prompt_tokens`` and ``seconds`` are for money and time alone.
"""

NEEDED = ("problem", "answer", "tokens")

PER_TRAJECTORY = ("branch", "answer", "tokens", "correct", "prompt_tokens", "seconds")
"""What a row of a problem has as lists, with a value for each trajectory."""

_Worth = Literal["correct", "gold"] | None

_WORTH: tuple[Literal["correct", "gold"], ...] = ("correct", "gold")
"""What says what an answer is worth, the first that a file has; None: nothing does."""

_HEAD = 200
"""Rows by which the columns of a file without a schema are known."""

_MOST_TOKENS = 1 << 40

_SCORES = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0, "": None}

_SHOWN, _LISTED = 60, 12
"""Characters of a value, and columns, that a message shows."""


def file_pools(url: str, columns: Mapping[str, str] | None = None) -> Pools:
    """The pools in a file of rows, of any format that a problem set may have; ``columns`` names those of
    its `COLUMNS` that have other names. Others are not kept.

    Answers vote by equivalence class, as the exact rules of the grader that suits the gold answer find
    them, of a file without any that of the most frequent one; an answer that is null or blank gives neither
    vote nor message. Trajectories without a length are left out, and those without a gold answer, or a
    score, where the file has a column of it: without one no pool has scores. Sets are as wide as three of
    four pools allow. Raises BadInput naming file, column and row.
    """
    taken: dict[str, str] = {}

    def choose(names: Sequence[str]) -> list[str]:
        taken.update(_columns(names, columns or {}))
        return list(taken.values())

    found: dict[tuple[str, str], _Pool] = defaultdict(_Pool)
    left_out = 0
    with ExitStack() as stack:
        file = stack.enter_context(open_source(url))
        # What is left open of a file keeps threads of Arrow, at the end of the process, too.
        limits = ReadLimits(batch_rows=1024, choose=choose)
        decoded = closing(cast("Generator[DecodedRow | RowFault]", rows_in(file, url, limits)))
        try:
            rows = _decoded(stack.enter_context(decoded))
            head = list(islice(rows, _HEAD))
            if not head:
                raise BadInput("has no rows")
            if not taken:
                choose(list(dict.fromkeys(name for _, row in head for name in row)))
            for line, row in chain(head, rows):
                for one in _Row(line, row, taken).trajectories():
                    if one.tokens is None:
                        left_out += 1
                    else:
                        found[one.model, one.problem].add(one, line, taken)
        except BadInput as fault:
            raise BadInput(f"{url}: {str(fault).removeprefix(f'{url}: ')}") from None
    if not found:
        what = f"{taken['tokens']}: is null in every row" if left_out else "has no rows"
        raise BadInput(f"{url}: {what}")
    return _pools(url, found, taken, left_out)


def _decoded(rows: Rows) -> Iterator[tuple[int, Mapping[str, object]]]:
    """The rows of a file with their numbers. Raises BadInput for one that is none."""
    for decoded in rows:
        if isinstance(decoded, RowFault):
            raise BadInput(f"row {decoded.line}: {decoded.what}")
        if not isinstance(decoded.value, dict):
            raise BadInput(f"row {decoded.line}: is no object with a field for each column")
        yield decoded.line, decoded.value


def _columns(names: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """The column of each part that a file has. Raises BadInput naming the part and what there is."""
    for part, column in given.items():
        if part not in COLUMNS:
            near = did_you_mean(part, COLUMNS)
            raise BadInput(f"{part!r}{near} is none of {', '.join(COLUMNS)}")
        if column not in names:
            raise BadInput(f"{part}: has no column {column!r}{did_you_mean(column, names)}")
    found = {**_recognised(names, given), **given}
    if "gold" in found and "correct" not in given:
        found.pop("correct", None)
    if missing := [part for part in NEEDED if part not in found]:
        raise BadInput(_missing(missing[0], names))
    return found


def _recognised(names: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """The columns of a file, by their names, of the parts that the user does not say."""
    by_name = {name.lower().replace("-", "_"): name for name in reversed(names)}
    found: dict[str, str] = {}
    for part, known in COLUMNS.items():
        of_part = [by_name[name] for name in known if name in by_name]
        free = [name for name in of_part if name not in (*given.values(), *found.values())]
        if part not in given and free:
            found[part] = free[0]
    answers = [by_name[name] for name in COLUMNS["answer"] if name in by_name]
    if {"gold", "answer"}.isdisjoint(given) and "gold" not in found and len(answers) > 1:
        # Beside what a model has said, "answer" is what is right.
        found |= {"gold": answers[0], "answer": answers[1]}
    return found


def _missing(part: str, names: Sequence[str]) -> str:
    """That no column is known for a part."""
    has = ", ".join(map(visible, names[:_LISTED])) + (", …" if len(names) > _LISTED else "")
    return f"{_no_column(part)[0]}; there are {has}; {_no_column(part)[1]}"


def _no_column(part: str) -> tuple[str, str]:
    """That no column is known for a part, and how it is named."""
    known = ", ".join(COLUMNS[part])
    return f"no column has the {part} ({known})", f"--fields {part}=COLUMN names it"


class _Trajectory(NamedTuple):
    """Of a row; ``tokens`` None where nobody counted them, ``gold`` and ``score`` where it has none."""

    model: str
    problem: str
    branch: str | None
    gold: str | None
    answer: str | None
    score: float | None
    tokens: int | None
    prompt_tokens: int | None = None
    seconds: float | None = None


class _Row(NamedTuple):
    """A row of a file, and which of its columns is what."""

    line: int
    values: Mapping[str, object]
    columns: Mapping[str, str]

    def trajectories(self) -> Iterator[_Trajectory]:
        """That of the row, or those of its lists. Raises BadInput naming row and column."""
        lists = {
            part: column
            for part, column in self.columns.items()
            if part in PER_TRAJECTORY and isinstance(self.values.get(column), list)
        }
        if not lists:
            yield self._trajectory({})
            return
        counts = {part: len(cast("list[object]", self.values[lists[part]])) for part in lists}
        for part in ("answer", "tokens"):
            if part not in lists:
                column, other = self.columns[part], next(iter(lists.values()))
                raise self._fault(column, f"is no list, and {other} is one")
        for part, count in counts.items():
            if count != counts["tokens"]:
                more = f"has {count:,} values, and {lists['tokens']} has {counts['tokens']:,}"
                raise self._fault(lists[part], more)
        for place in range(counts["tokens"]):
            yield self._trajectory(
                {
                    part: cast("list[object]", self.values[name])[place]
                    for part, name in lists.items()
                }
            )

    def _fault(self, column: str, what: str) -> BadInput:
        return BadInput(f"row {self.line}: {visible(column)}: {what}")

    def _trajectory(self, listed: Mapping[str, object]) -> _Trajectory:
        """Raises BadInput naming row and column."""
        found = {
            part: listed.get(part, self.values.get(column)) for part, column in self.columns.items()
        }
        problem = self._text("problem", found)
        if problem is None:
            raise self._fault(self.columns["problem"], "is null")
        problem_set = self._text("problem_set", found)
        named = problem if problem_set is None else f"{problem_set}/{problem}"
        answer = self._text("answer", found)
        return _Trajectory(
            self._text("model", found) or "",
            named,
            self._text("branch", found),
            self._text("gold", found),
            answer if answer and answer.strip() else None,
            self._score(found),
            self._tokens("tokens", found),
            self._tokens("prompt_tokens", found),
            self._seconds(found),
        )

    def _text(self, part: str, found: Mapping[str, object]) -> str | None:
        value = found.get(part)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, list | dict):
            raise self._fault(self.columns[part], f"{_short(value)} is no text")
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

    def _tokens(self, part: str, found: Mapping[str, object]) -> int | None:
        value = found.get(part)
        if isinstance(value, str):
            value = int(value) if value.strip().isdecimal() else value or None
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST_TOKENS:
            raise self._fault(self.columns[part], f"{_short(value)} is no number of tokens")
        return value

    def _seconds(self, found: Mapping[str, object]) -> float | None:
        value = found.get("seconds")
        try:
            seconds = float(value) if isinstance(value, str) and value.strip() else value or None
        except ValueError:
            seconds = value
        if seconds is None or (isinstance(seconds, float) and math.isnan(seconds)):
            return None
        if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            raise self._fault(self.columns["seconds"], f"{_short(value)} is no number of seconds")
        return float(seconds)

    def _score(self, found: Mapping[str, object]) -> float | None:
        value = found.get("correct")
        if isinstance(value, str):
            value = _SCORES.get(value.strip().lower(), value)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self._fault(self.columns["correct"], f"{_short(value)} is no score from 0 to 1")
        return float(value)


class _Pool:
    """The trajectories of one model for one problem, by branch."""

    def __init__(self) -> None:
        self.gold: str | None = None
        self.members: dict[str, _Trajectory] = {}

    def add(self, one: _Trajectory, line: int, columns: Mapping[str, str]) -> None:
        """Raises BadInput where it does not go with the others."""
        if one.gold is not None:
            if self.gold not in (None, one.gold):
                what = f"{_short(one.gold)} beside {_short(self.gold)} of the same problem"
                raise BadInput(f"row {line}: {columns['gold']}: {what}")
            self.gold = one.gold
        branch = str(len(self.members)) if one.branch is None else one.branch
        if branch in self.members:
            what = f"the problem has {_short(branch)} already"
            if "model" not in columns:
                what += "; where these are of two models, --fields model=COLUMN names their column"
            raise BadInput(f"row {line}: {columns.get('branch', 'branch')}: {what}")
        self.members[branch] = one

    def rows(self, worth: _Worth) -> list[_Trajectory]:
        """Its trajectories of which is known what is to be known of them, in the order of their
        branches.
        """
        rows = [self.members[branch] for branch in sorted(self.members, key=_natural)]
        if worth == "correct":
            return [row for row in rows if row.score is not None]
        return [] if worth == "gold" and self.gold is None else rows

    def stored(self, rows: Sequence[_Trajectory], worth: _Worth) -> StoredPool:
        """Some of its trajectories, answers as classes."""
        answers = Counter(row.answer for row in rows if row.answer is not None)
        most_frequent = max(answers, key=lambda text: (answers[text], text), default="")
        like = self.gold if worth == "gold" and self.gold is not None else most_frequent
        grader = parse_spec(choose_grader(Problem("", (Turn("user", ""),), like)))
        key_of = {text: plain_key(grader, text).text for text in {like, *answers}}
        keys = [None if row.answer is None else key_of[row.answer] for row in rows]
        scores = {
            "gold": [float(key == key_of[like]) for key in keys],
            "correct": [row.score or 0.0 for row in rows],
        }
        return StoredPool(
            [row.tokens or 0 for row in rows],
            keys,
            None if worth is None else scores[worth],
            [key is not None for key in keys],
        )


def _pools(
    url: str,
    found: Mapping[tuple[str, str], _Pool],
    columns: Mapping[str, str],
    left_out: int,
) -> Pools:
    """Raises BadInput where nothing can be compared."""
    worth: _Worth = next((part for part in _WORTH if part in columns), None)
    pooled = []
    by_model: dict[str, list[_Trajectory]] = defaultdict(list)
    for model, problem in sorted(found, key=lambda named: (named[0], _natural(named[1]))):
        pool = found[model, problem]
        rows = pool.rows(worth)
        left_out += len(pool.members) - len(rows)
        if rows:
            stored = pool.stored(rows, worth)
            pooled.append(Pooled(model, problem, stored, _prompt(rows)))
            by_model[model] += rows
    if not pooled:
        assert worth is not None
        raise BadInput(f"{url}: {columns[worth]}: is null in every row")
    if not any(any(one.pool.tokens) for one in pooled):
        raise BadInput(f"{url}: {columns['tokens']}: is 0 in every row")
    sizes = sorted(len(one.pool.tokens) for one in pooled if len(one.pool.tokens) > 1)
    if not sizes:
        raise BadInput(
            f"{url}: no problem has more than one trajectory, and so nothing to stop early"
        )
    width = min(FILE_WIDTH, sizes[len(sizes) // 4])
    others = {part: column for part, column in columns.items() if part != column}
    speeds = {
        model: speed
        for model, rows in by_model.items()
        if (speed := seconds_a_token([(row.seconds, row.tokens) for row in rows])) is not None
    }
    unobserved = None if worth else "; ".join(_no_column("gold"))
    return Pools(url, pooled, width, speeds, left_out, others, unobserved)


def _prompt(rows: Sequence[_Trajectory]) -> PromptTokens | None:
    known = [row.prompt_tokens for row in rows if row.prompt_tokens is not None]
    return PromptTokens(fmean(known)) if len(known) == len(rows) else None


def _short(value: object) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return visible(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """A key by which ``aime24/9`` is before ``aime24/10``."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in name.split("/"))
