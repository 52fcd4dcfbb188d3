"""Surveys a problem set as pacore reads it: shapes, graders, gold answers, warnings and notes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from statistics import median

from pacore.core.config.mapping import FieldMapping
from pacore.core.problem import Problem, set_digest
from pacore.core.prompt import prompt_digest
from pacore.problems.files import ProblemSetBuilder, ReadRow, problem_files, read_problem_rows
from pacore.problems.golds import ReadGold, gold_cautions, listed
from pacore.problems.images import is_illustrated
from pacore.problems.parts import content_id
from pacore.problems.program_tests import decoded_tests
from pacore.problems.shapes.choices import OPTION_FIELDS
from pacore.problems.shapes.mapping import listed_paths
from pacore.problems.shapes.words import GOLD_WORDS, normalized_name

_LONG_CHARACTERS = 100_000

LONG_GOLD_CHARACTERS = 200

SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
}  # fmt: skip

_SHARD = re.compile(r"(?P<name>.*)-(?P<number>\d{5})-of-(?P<total>\d{5})(?P<ending>\..*)")

_OPTION_COLUMN = re.compile(r"(?:op|opt|option|choice|distractor)s?[ _-]?(?:[a-j]|\d{1,2})", re.I)

_TURNS_AS_TEXT = re.compile(r"""\s*\[\s*\{\s*['"](?:role|content|from|value)['"]\s*:""")

_CONTEXT_WORDS = frozenset(
    (
        "context",
        "passage",
        "paragraph",
        "article",
        "document",
        "body",
        "story",
        "premise",
        "system",
        "systemprompt",
        "instruction",
        "instructions",
    )
)


@dataclass
class ShapeCount:
    """The rows of one shape: their fields, number, number with gold answers, and graders."""

    fields: list[str]
    rows: int = 0
    with_gold: int = 0
    graders: Counter[str] = field(default_factory=Counter)

    def add(self, row: ReadGold) -> None:
        self.rows += 1
        if row.problem.gold is not None:
            self.with_gold += 1
            self.graders[row.grader] += 1


@dataclass(frozen=True)
class ProblemSurvey:
    """A problem set and its survey, which is computed on access.

    ``read`` has every row with a problem in the order of the files, ``fields`` the fields of the first
    row of each shape, ``remarks`` the files by each remark on how they were read.
    """

    url: str
    problems: list[Problem]
    rows: int
    files: list[str]
    read: list[ReadGold]
    fields: dict[str, list[str]]
    remarks: dict[str, list[str]]

    @property
    def digest(self) -> str:
        return set_digest(self.problems)

    @property
    def named(self) -> int:
        """The number of problems whose id is in their file."""
        return sum(one.problem_id != content_id(one.content_digest) for one in self.problems)

    @property
    def median_characters(self) -> int:
        return int(median(_characters(problem) for problem in self.problems))

    @property
    def longest(self) -> tuple[int, str]:
        """Characters and id of the longest problem."""
        return max((_characters(one), one.problem_id) for one in self.problems)

    @property
    def shapes(self) -> dict[str, ShapeCount]:
        """The rows of each shape by its name, in the order of the files."""
        found = {name: ShapeCount(fields) for name, fields in self.fields.items()}
        for row in self.read:
            found[row.shape].add(row)
        return found

    @cached_property
    def cautions(self) -> list[str]:
        """Warnings about what may make a run worthless, one line each."""
        return [
            *(f"{what}: {listed(names)}" for what, names in self.remarks.items()),
            *_file_cautions([name for name in problem_files(self.url) if name != self.url]),
            *gold_cautions(self._golds),
            *_matching(self._golds, _CAUTIONS),
        ]

    @cached_property
    def notes(self) -> list[str]:
        """Further notes, one line each."""
        return list(_notes(self._golds, self.rows))

    @cached_property
    def _golds(self) -> list[ReadGold]:
        """The first row of each problem, in the order of the problem set."""
        firsts: dict[str, ReadGold] = {}
        for row in self.read:
            firsts.setdefault(row.problem.problem_id, row)
        return [firsts[problem.problem_id] for problem in self.problems]


def survey_problems(
    url: str, limit: int | None = None, fields: FieldMapping | None = None
) -> ProblemSurvey:
    """Read a problem set and survey it. Raises as `read_problem_set` does."""
    builder = ProblemSetBuilder(url, fields or {})
    read: list[ReadGold] = []
    firsts: dict[str, list[str]] = {}
    remarks: dict[str, list[str]] = defaultdict(list)
    files: dict[str, None] = {}
    rows = 0
    for row in read_problem_rows(url, limit, fields, lambda file, what: remarks[what].append(file)):
        builder.add(row)
        rows += 1
        files[row.file] = None
        shape, problem = row.reading
        if isinstance(problem, Problem):
            if shape not in firsts:
                firsts[shape] = listed_paths(row.value)
            read.append(ReadGold(problem, shape, _place(row)))
    return ProblemSurvey(url, builder.problems(), rows, list(files), read, firsts, remarks)


def _place(row: ReadRow) -> str:
    return f"{PurePosixPath(row.file).name}:{row.line}"


def _characters(problem: Problem) -> int:
    return sum(len(turn.content) for turn in problem.turns)


def _file_cautions(files: Sequence[str]) -> Iterator[str]:
    """Warnings about several files: files of different splits, and missing files of a series."""
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
        yield f"missing files of a series: {listed(missing)}"


def _split(name: str) -> str | None:
    """The split of a file, by the words of its name, else by those of the nearest folder."""
    for part in reversed(PurePosixPath(name).parts):
        words = {SPLITS[word] for word in re.split(r"[^a-z]+", part.lower()) if word in SPLITS}
        if words:
            return words.pop() if len(words) == 1 else None
    return None


def _notes(golds: Sequence[ReadGold], rows: int) -> Iterator[str]:
    if repeated := rows - len(golds):
        yield f"rows identical to another row, which count once: {repeated:,}"
    problems = [row.problem for row in golds]
    yield from _same_questions(problems)
    yield from _matching(golds, _NOTES)
    yield from _without_gold(problems)


Conditions = dict[str, Callable[[ReadGold], bool]]
"""Conditions on a row, by their description."""


def _matching(golds: Sequence[ReadGold], conditions: Conditions) -> Iterator[str]:
    for what, holds in conditions.items():
        if found := [row.problem.problem_id for row in golds if holds(row)]:
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
        yield f"the same prompt more than once, with the same gold answer: {listed(alike)}"


def _without_gold(problems: Sequence[Problem]) -> Iterator[str]:
    """A note where no problem has a gold answer, with the fields that may have it."""
    if any(problem.gold is not None for problem in problems):
        return
    names = {
        name
        for problem in problems
        for name in problem.metadata
        if normalized_name(name) in GOLD_WORDS
    }
    fields = ", ".join(name if name.isprintable() else ascii(name) for name in sorted(names))
    hint = f"; if it is in {fields}, use --fields problem=NAME,answer=NAME" if names else ""
    yield f"no gold answer, and so no score: {len(problems):,}{hint}"


def _has_long_text_gold(row: ReadGold) -> bool:
    return len(row.problem.gold or "") > LONG_GOLD_CHARACTERS and row.grader == "text"


def _has_unused_tests(row: ReadGold) -> bool:
    return row.grader != "code" and decoded_tests(row.problem.gold) is not None


def _has_unshown_options(row: ReadGold) -> bool:
    metadata = row.problem.metadata
    if any(metadata.get(name) for name in OPTION_FIELDS):
        return True
    return sum(_OPTION_COLUMN.fullmatch(name) is not None for name in metadata) > 1


def _has_unshown_context(row: ReadGold) -> bool:
    """Whether another field has a context of the problem that is not in its turns."""
    text = "\n".join(turn.content for turn in row.problem.turns)
    beside = (
        value
        for name, value in row.problem.metadata.items()
        if normalized_name(name) in _CONTEXT_WORDS
    )
    return any(
        value.strip() not in text
        if isinstance(value, str)
        else isinstance(value, dict | list) and value
        for value in beside
    )


def _is_text_of_turns(row: ReadGold) -> bool:
    return len(row.problem.turns) == 1 and _TURNS_AS_TEXT.match(row.problem.statement) is not None


def _is_long(row: ReadGold) -> bool:
    return _characters(row.problem) > _LONG_CHARACTERS


_CAUTIONS: Conditions = {
    "seems to have an image, which is not sent": lambda row: is_illustrated(row.problem),
    "has options in other fields that pacore cannot read, and that are not sent": (
        _has_unshown_options
    ),
    "has a context or system prompt in another field, which is not sent": _has_unshown_context,
    "is a list of turns as text, and is sent as that text": _is_text_of_turns,
    "gold answer looks like the tests of a program, and the grader is not code": _has_unused_tests,
}

_NOTES: Conditions = {
    f"longer than {_LONG_CHARACTERS:,} characters": _is_long,
    f"gold answer longer than {LONG_GOLD_CHARACTERS} characters, which only the same words match": (
        _has_long_text_gold
    ),
}
