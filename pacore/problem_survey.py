"""What pacore makes of a problem set: shapes, graders, gold answers, and what a person should know."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from pacore.grading import choose_grader
from pacore.problem import Problem, set_digest
from pacore.problem_files import Gathered, ReadRow, read_rows
from pacore.problem_rows import content_id
from pacore.problem_shapes import FieldMapping, listed_paths
from pacore.problem_shapes.choices import OPTION_FIELDS
from pacore.problem_tests import decoded_tests
from pacore.prompt import prompt_digest

LONG_CHARACTERS = 100_000
LONG_GOLD_CHARACTERS = 200
LISTED = 5

_IMAGE = re.compile(r"!\[[^\]\n]{0,200}\]\(|<image|<img\b|\\includegraphics\b", re.IGNORECASE)
_IMAGE_FIELDS = frozenset(("image", "images", "picture", "figure", "img"))


@dataclass
class ShapeCount:
    """The rows of one shape: how many, how many with gold, by which graders, and their fields."""

    rows: int = 0
    with_gold: int = 0
    graders: Counter[str] = field(default_factory=Counter)
    fields: list[str] = field(default_factory=list)

    def add(self, row: ReadRow, problem: Problem) -> None:
        self.rows += 1
        if problem.gold is not None:
            self.with_gold += 1
            self.graders[choose_grader(problem)] += 1
        self.fields = self.fields or listed_paths(row.value)


@dataclass(frozen=True)
class ProblemSurvey:
    """A problem set, read: ``shapes`` by name in the order of the file, ``warnings`` a line each."""

    problems: list[Problem]
    rows: int
    shapes: dict[str, ShapeCount]
    warnings: list[str]

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


def survey_problems(url: str, limit: int | None, fields: FieldMapping) -> ProblemSurvey:
    """Read a problem set and say what it comes to. Raises as `read_problem_set` does."""
    gathered = Gathered(url, fields)
    shapes: dict[str, ShapeCount] = {}
    rows = 0
    for row in read_rows(url, limit, fields):
        gathered.add(row)
        rows += 1
        if isinstance(row.reading.result, Problem):
            shapes.setdefault(row.reading.shape, ShapeCount()).add(row, row.reading.result)
    problems = gathered.problems()
    return ProblemSurvey(problems, rows, shapes, list(_warnings(problems, rows)))


def _characters(problem: Problem) -> int:
    return sum(len(turn.content) for turn in problem.turns)


def _warnings(problems: Sequence[Problem], rows: int) -> Iterator[str]:
    if repeated := rows - len(problems):
        yield f"rows that say what another row says, and so count once: {repeated:,}"
    yield from _same_questions(problems)
    for what, is_so in _WORTH_SAYING.items():
        if found := [problem.problem_id for problem in problems if is_so(problem)]:
            yield f"{what}: {_listed(found)}"


def _same_questions(problems: Sequence[Problem]) -> Iterator[str]:
    by_prompt: defaultdict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_prompt[prompt_digest(problem.turns)].append(problem)
    groups = [group for group in by_prompt.values() if len(group) > 1]
    for what, is_differing in (("the same gold", False), ("different gold answers", True)):
        alike = [
            " = ".join(problem.problem_id for problem in group)
            for group in groups
            if (len({problem.gold for problem in group}) > 1) is is_differing
        ]
        if alike:
            yield f"asked word for word more than once, with {what}: {_listed(alike)}"


def _is_illustrated(problem: Problem) -> bool:
    named = _IMAGE_FIELDS & {name.lower() for name in problem.metadata if problem.metadata[name]}
    return bool(named) or any(_IMAGE.search(turn.content) for turn in problem.turns)


def _has_long_text_gold(problem: Problem) -> bool:
    return len(problem.gold or "") > LONG_GOLD_CHARACTERS and choose_grader(problem) == "text"


def _has_unused_tests(problem: Problem) -> bool:
    return choose_grader(problem) != "code" and decoded_tests(problem.gold) is not None


def _has_unshown_options(problem: Problem) -> bool:
    return any(problem.metadata.get(name) for name in OPTION_FIELDS)


def _is_long(problem: Problem) -> bool:
    return _characters(problem) > LONG_CHARACTERS


def _has_no_gold(problem: Problem) -> bool:
    return problem.gold is None


_WORTH_SAYING: dict[str, Callable[[Problem], bool]] = {
    "seems to have an image, which is not sent": _is_illustrated,
    "has options that pacore cannot read beside the problem, and does not send": (
        _has_unshown_options
    ),
    f"longer than {LONG_CHARACTERS:,} characters": _is_long,
    f"gold answer longer than {LONG_GOLD_CHARACTERS} characters, which only the same words match": (
        _has_long_text_gold
    ),
    "gold answer looks like the tests of a program, and the grader is not code": _has_unused_tests,
    "no gold answer, and so no score": _has_no_gold,
}


def _listed(names: Sequence[str]) -> str:
    """How many, and the first of them."""
    more = ", …" if len(names) > LISTED else ""
    return f"{len(names):,} ({', '.join(names[:LISTED])}{more})"
