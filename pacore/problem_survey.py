"""What pacore makes of a problem set: shapes, graders, gold answers, and what a person should know."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from statistics import median

from pacore.grading import choose_grader
from pacore.problem import Problem, set_digest
from pacore.problem_files import Gathered, ReadRow, problem_files, read_rows
from pacore.problem_golds import ReadGold, gold_cautions, listed
from pacore.problem_images import is_illustrated
from pacore.problem_rows import content_id
from pacore.problem_shapes import FieldMapping, listed_paths
from pacore.problem_shapes.choices import OPTION_FIELDS
from pacore.problem_shapes.words import GOLD_WORDS, bare
from pacore.problem_tests import decoded_tests
from pacore.prompt import prompt_digest

LONG_CHARACTERS = 100_000
LONG_GOLD_CHARACTERS = 200
SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
}  # fmt: skip
_SHARD = re.compile(r"(?P<name>.*)-(?P<number>\d{5})-of-(?P<total>\d{5})(?P<ending>\..*)")
_OPTION_COLUMN = re.compile(r"(?:op|opt|option|choice|distractor)s?[ _-]?(?:[a-j]|\d{1,2})", re.I)
_CONTEXT_WORDS = frozenset(
    ("context", "passage", "paragraph", "article", "document", "body", "story", "premise")
)


@dataclass
class ShapeCount:
    """The rows of one shape: how many, how many with gold, by which graders, and their fields."""

    rows: int = 0
    with_gold: int = 0
    graders: Counter[str] = field(default_factory=Counter)
    fields: list[str] = field(default_factory=list)

    def add(self, row: ReadRow, problem: Problem, grader: str) -> None:
        self.rows += 1
        if problem.gold is not None:
            self.with_gold += 1
            self.graders[grader] += 1
        self.fields = self.fields or listed_paths(row.value)


@dataclass(frozen=True)
class ProblemSurvey:
    """A problem set, read: ``shapes`` by name in the order of the file.

    ``cautions`` are what may make a run worth nothing, ``notes`` what is worth knowing, a line each.
    """

    problems: list[Problem]
    rows: int
    files: list[str]
    shapes: dict[str, ShapeCount]
    cautions: list[str]
    notes: list[str]

    @property
    def digest(self) -> str:
        return set_digest(self.problems)

    @property
    def named(self) -> int:
        """How many problems have an id of their file."""
        return sum(one.problem_id != content_id(one.content_digest) for one in self.problems)

    @property
    def median_characters(self) -> int:
        return int(median(_characters(problem) for problem in self.problems))

    @property
    def longest(self) -> tuple[int, str]:
        """Characters and id of the longest problem."""
        return max((_characters(one), one.problem_id) for one in self.problems)


def survey_problems(
    url: str, limit: int | None = None, fields: FieldMapping | None = None
) -> ProblemSurvey:
    """Read a problem set and say what it comes to. Raises as `read_problem_set` does."""
    gathered = Gathered(url, fields or {})
    shapes: dict[str, ShapeCount] = {}
    golds: dict[str, ReadGold] = {}
    told: dict[str, list[str]] = defaultdict(list)
    files: dict[str, int] = {}
    rows = 0
    for row in read_rows(url, limit, fields, lambda file, what: told[what].append(file)):
        gathered.add(row)
        rows += 1
        files[row.file] = files.get(row.file, 0) + 1
        problem = row.reading.result
        if isinstance(problem, Problem):
            grader = choose_grader(problem)
            shapes.setdefault(row.reading.shape, ShapeCount()).add(row, problem, grader)
            golds.setdefault(
                problem.problem_id, ReadGold(problem, row.reading.shape, grader, _place(row))
            )
    problems = gathered.problems()
    cautions = [
        *(f"{what}: {listed(names)}" for what, names in told.items()),
        *_of_files([name for name in problem_files(url) if name != url]),
        *gold_cautions([golds[problem.problem_id] for problem in problems]),
        *_worth_saying(problems, _CAUTIONS),
    ]
    return ProblemSurvey(
        problems, rows, list(files), shapes, cautions, list(_notes(problems, rows))
    )


def _place(row: ReadRow) -> str:
    return f"{PurePosixPath(row.file).name}:{row.line}"


def _characters(problem: Problem) -> int:
    return sum(len(turn.content) for turn in problem.turns)


def _of_files(files: Sequence[str]) -> Iterator[str]:
    """What several files may hide: splits that do not belong together, and shards that are missing."""
    splits = sorted({split for name in files if (split := _split(name))})
    if len(splits) > 1:
        yield f"files of several splits ({', '.join(splits)}) are one problem set here"
    shards: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
    for name in files:
        if found := _SHARD.fullmatch(name):
            shards[found["name"], found["total"], found["ending"]].add(int(found["number"]))
    missing = [
        f"{PurePosixPath(name).name}-{number:05d}-of-{total}{ending}"
        for (name, total, ending), numbers in shards.items()
        for number in range(int(total))
        if number not in numbers
    ]
    if missing:
        yield f"files of the same series that are not there: {listed(missing)}"


def _split(name: str) -> str | None:
    """The split a file is of, by the words of its name, else by those of the nearest folder."""
    for part in reversed(PurePosixPath(name).parts):
        words = {SPLITS[word] for word in re.split(r"[^a-z]+", part.lower()) if word in SPLITS}
        if words:
            return words.pop() if len(words) == 1 else None
    return None


def _notes(problems: Sequence[Problem], rows: int) -> Iterator[str]:
    if repeated := rows - len(problems):
        yield f"rows that say what another row says, and so count once: {repeated:,}"
    yield from _same_questions(problems)
    yield from _worth_saying(problems, _NOTES)
    yield from _without_gold(problems)


Worth = dict[str, Callable[[Problem], bool]]


def _worth_saying(problems: Sequence[Problem], what_of: Worth) -> Iterator[str]:
    for what, is_so in what_of.items():
        if found := [problem.problem_id for problem in problems if is_so(problem)]:
            yield f"{what}: {listed(found)}"


def _same_questions(problems: Sequence[Problem]) -> Iterator[str]:
    by_prompt: defaultdict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_prompt[prompt_digest(problem.turns)].append(problem)
    alike = [
        " = ".join(problem.problem_id for problem in group)
        for group in by_prompt.values()
        if len(group) > 1 and len({problem.gold for problem in group}) == 1
    ]
    if alike:
        yield f"asked word for word more than once, with the same gold: {listed(alike)}"


def _without_gold(problems: Sequence[Problem]) -> Iterator[str]:
    """That no problem has a gold answer, and the fields that may hold it."""
    if any(problem.gold is not None for problem in problems):
        return
    names = {name for problem in problems for name in problem.metadata if bare(name) in GOLD_WORDS}
    fields = ", ".join(name if name.isprintable() else ascii(name) for name in sorted(names))
    hint = f"; if {fields} holds it, --fields problem=NAME,answer=NAME says so" if names else ""
    yield f"no gold answer, and so no score: {len(problems):,}{hint}"


def _has_long_text_gold(problem: Problem) -> bool:
    return len(problem.gold or "") > LONG_GOLD_CHARACTERS and choose_grader(problem) == "text"


def _has_unused_tests(problem: Problem) -> bool:
    return choose_grader(problem) != "code" and decoded_tests(problem.gold) is not None


def _has_unshown_options(problem: Problem) -> bool:
    named = [name for name in problem.metadata if _OPTION_COLUMN.fullmatch(name)]
    is_listed = any(problem.metadata.get(name) for name in OPTION_FIELDS)
    return is_listed or len(named) > 1


def _has_unshown_context(problem: Problem) -> bool:
    """Whether a text that the problem may be about stands beside it, and not in it."""
    texts = (text for name, text in problem.metadata.items() if bare(name) in _CONTEXT_WORDS)
    return any(
        isinstance(text, str) and text.strip() and text.strip() not in problem.statement
        for text in texts
    )


def _is_long(problem: Problem) -> bool:
    return _characters(problem) > LONG_CHARACTERS


_CAUTIONS: Worth = {
    "seems to have an image, which is not sent": is_illustrated,
    "has options that pacore cannot read beside the problem, and does not send": (
        _has_unshown_options
    ),
    "has a context or passage beside the problem, which is not sent": _has_unshown_context,
    "gold answer looks like the tests of a program, and the grader is not code": _has_unused_tests,
}
_NOTES: Worth = {
    f"longer than {LONG_CHARACTERS:,} characters": _is_long,
    f"gold answer longer than {LONG_GOLD_CHARACTERS} characters, which only the same words match": (
        _has_long_text_gold
    ),
}
