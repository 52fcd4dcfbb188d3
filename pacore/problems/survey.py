"""What pacore makes of a problem set: shapes, graders, gold answers, and what a person should know."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from statistics import median

from pacore.core.config.fields import FieldMapping
from pacore.core.problem import Problem, set_digest
from pacore.core.prompt import prompt_digest
from pacore.problems.files import Gathered, ReadRow, problem_files, read_rows
from pacore.problems.golds import ReadGold, gold_cautions, listed
from pacore.problems.images import is_illustrated
from pacore.problems.parts import content_id
from pacore.problems.program_tests import decoded_tests
from pacore.problems.shapes.choices import OPTION_FIELDS
from pacore.problems.shapes.mapping import listed_paths
from pacore.problems.shapes.words import GOLD_WORDS, bare

LONG_CHARACTERS = 100_000


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
    """The rows of one shape: how many, how many with gold, by which graders, and their fields."""

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
    """A problem set, read. What it comes to is only worked out for who asks.

    ``read`` has every row with a problem in the order of the files, ``fields`` what the first row of
    each shape has, ``told`` what is to be known of how files were read, by what with the files.
    """

    url: str
    problems: list[Problem]
    rows: int
    files: list[str]
    read: list[ReadGold]
    fields: dict[str, list[str]]
    told: dict[str, list[str]]

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

    @property
    def shapes(self) -> dict[str, ShapeCount]:
        """By name, in the order of the files."""
        found = {name: ShapeCount(fields) for name, fields in self.fields.items()}
        for row in self.read:
            found[row.shape].add(row)
        return found

    @cached_property
    def cautions(self) -> list[str]:
        """What may make a run worth nothing, a line each."""
        return [
            *(f"{what}: {listed(names)}" for what, names in self.told.items()),
            *_of_files([name for name in problem_files(self.url) if name != self.url]),
            *gold_cautions(self._golds),
            *_worth_saying(self._golds, _CAUTIONS),
        ]

    @cached_property
    def notes(self) -> list[str]:
        """What else is worth knowing, a line each."""
        return list(_notes(self._golds, self.rows))

    @cached_property
    def _golds(self) -> list[ReadGold]:
        """One row of each problem, by its id."""
        firsts: dict[str, ReadGold] = {}
        for row in self.read:
            firsts.setdefault(row.problem.problem_id, row)
        return [firsts[problem.problem_id] for problem in self.problems]


def survey_problems(
    url: str, limit: int | None = None, fields: FieldMapping | None = None
) -> ProblemSurvey:
    """Read a problem set and say what it comes to. Raises as `read_problem_set` does."""
    gathered = Gathered(url, fields or {})
    read: list[ReadGold] = []
    firsts: dict[str, list[str]] = {}
    told: dict[str, list[str]] = defaultdict(list)
    files: dict[str, None] = {}
    rows = 0
    for row in read_rows(url, limit, fields, lambda file, what: told[what].append(file)):
        gathered.add(row)
        rows += 1
        files[row.file] = None
        shape, problem = row.reading
        if isinstance(problem, Problem):
            if shape not in firsts:
                firsts[shape] = listed_paths(row.value)
            read.append(ReadGold(problem, shape, _place(row)))
    return ProblemSurvey(url, gathered.problems(), rows, list(files), read, firsts, told)


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


def _notes(golds: Sequence[ReadGold], rows: int) -> Iterator[str]:
    if repeated := rows - len(golds):
        yield f"rows that say what another row says, and so count once: {repeated:,}"
    problems = [row.problem for row in golds]
    yield from _same_questions(problems)
    yield from _worth_saying(golds, _NOTES)
    yield from _without_gold(problems)


Worth = dict[str, Callable[[ReadGold], bool]]


def _worth_saying(golds: Sequence[ReadGold], what_of: Worth) -> Iterator[str]:
    for what, is_so in what_of.items():
        if found := [row.problem.problem_id for row in golds if is_so(row)]:
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
    """Whether what the problem may be about stands beside it, and not in it."""
    said = "\n".join(turn.content for turn in row.problem.turns)
    beside = (value for name, value in row.problem.metadata.items() if bare(name) in _CONTEXT_WORDS)
    return any(
        value.strip() not in said
        if isinstance(value, str)
        else isinstance(value, dict | list) and value
        for value in beside
    )


def _is_text_of_turns(row: ReadGold) -> bool:
    return len(row.problem.turns) == 1 and _TURNS_AS_TEXT.match(row.problem.statement) is not None


def _is_long(row: ReadGold) -> bool:
    return _characters(row.problem) > LONG_CHARACTERS


_CAUTIONS: Worth = {
    "seems to have an image, which is not sent": lambda row: is_illustrated(row.problem),
    "has options that pacore cannot read beside the problem, and does not send": (
        _has_unshown_options
    ),
    "has a context or system prompt beside the problem, which is not sent": _has_unshown_context,
    "is the text of a list of turns, and is sent as that text": _is_text_of_turns,
    "gold answer looks like the tests of a program, and the grader is not code": _has_unused_tests,
}


_NOTES: Worth = {
    f"longer than {LONG_CHARACTERS:,} characters": _is_long,
    f"gold answer longer than {LONG_GOLD_CHARACTERS} characters, which only the same words match": (
        _has_long_text_gold
    ),
}
