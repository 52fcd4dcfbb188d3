"""A problem set as a page, before anything is run: what was recognised in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacore.core.config.fields import check_mapping, parse_mapping
from pacore.core.grading.choose import choose_grader
from pacore.core.problem import Problem
from pacore.errors import BadInput
from pacore.problems.golds import listed
from pacore.problems.survey import ProblemSurvey, ShapeCount, survey_problems
from pacore.report.problem import beginning
from pacore.report.rendering.sheet import (
    ABSENT,
    COUNT,
    TEXT,
    Facts,
    Heading,
    Note,
    Part,
    Passage,
    Sheet,
    table,
)
from pacore.text import excerpt, shown

_TURN_CHARACTERS = 2_000

_GOLD_CHARACTERS = 300


def problem_set_sheet(url: str, fields: str | None = None, limit: int | None = None) -> Sheet:
    """Shapes, graders and digest of a problem set, cautions about it, and its first problem.

    ``fields`` is a mapping as it is typed. Raises BadInput as `read_problem_set` does.
    """
    try:
        mapping = {} if fields is None else parse_mapping(fields)
        check_mapping(mapping)
    except ValueError as fault:
        raise BadInput(f"--fields: {fault}") from None
    found = survey_problems(url, limit, mapping)
    notes = [*_titled("caution", found.cautions), *_titled("note", found.notes)]
    shapes = table(
        list(found.shapes.items()),
        ("shape", TEXT, lambda shape: shape[0]),
        ("rows", COUNT, lambda shape: shape[1].rows),
        ("with gold", COUNT, lambda shape: shape[1].with_gold),
        ("grader", TEXT, lambda shape: _graders(shape[1])),
        ("fields", TEXT, lambda shape: ", ".join(shape[1].fields)),
    )
    return Sheet(
        f"problem set {shown(url)}",
        [[shapes], [Facts([*_facts(found), *notes])], *_first_problem(found.problems[0])],
    )


def _graders(count: ShapeCount) -> str:
    """Each grader with its problems; the name alone where there is only one."""
    if len(count.graders) <= 1:
        return next(iter(count.graders), ABSENT)
    ordered = sorted(count.graders.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {number:,}" for name, number in ordered)


def _facts(found: ProblemSurvey) -> Iterator[tuple[str, str]]:
    of_content = len(found.problems) - found.named
    ids = [f"{found.named:,} from the file"] if found.named else []
    ids += [f"{of_content:,} from what the problem says"] if of_content else []
    characters, longest = found.longest
    if len(found.files) > 1:
        yield "files", listed(found.files)
    yield "problems", f"{len(found.problems):,}"
    yield "digest", found.digest
    yield "ids", ", ".join(ids)
    yield (
        "length",
        f"median {found.median_characters:,} characters, longest {characters:,} ({longest})",
    )


def _titled(title: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for position, text in enumerate(lines):
        yield title if position == 0 else "", text


def _first_problem(problem: Problem) -> Iterator[Sequence[Part]]:
    """A problem as it would be sent in the first round, and what its answer is compared with."""
    yield [Heading(f"first problem · {problem.problem_id}")]
    for turn in problem.turns:
        yield [Note(turn.role), Passage(beginning(turn.content, _TURN_CHARACTERS))]
    gold = ABSENT if problem.gold is None else excerpt(problem.gold, _GOLD_CHARACTERS)
    grader = ABSENT if problem.gold is None else choose_grader(problem)
    yield [Facts([("gold", gold), ("grader", grader)])]
