"""What pacore makes of a problem set, readable in a terminal before anything is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacore.core.config.fields import check_mapping, parse_mapping
from pacore.core.grading.choose import choose_grader
from pacore.core.problem import Problem
from pacore.errors import BadInput
from pacore.problems.golds import listed
from pacore.problems.survey import ProblemSurvey, ShapeCount, survey_problems
from pacore.terminal import ABSENT, Column, Content, Grid, block, facts, line, stacked, to_text
from pacore.text import excerpt, shown

SHOWN_CHARACTERS = 2_000
GOLD_CHARACTERS = 300


def show_problem_set(
    url: str, fields: str | None = None, limit: int | None = None, width: int | None = None
) -> str:
    """Shapes, graders and digest of a problem set, what to know of it, and its first problem.

    ``fields`` is a mapping as it is typed. Raises BadInput as `read_problem_set` does.
    """
    try:
        mapping = {} if fields is None else parse_mapping(fields)
        check_mapping(mapping)
    except ValueError as fault:
        raise BadInput(f"--fields: {fault}") from None
    found = survey_problems(url, limit, mapping)
    parts: list[Content] = [
        line(f"problem set {shown(url)}", "bold"),
        line(""),
        _shapes(found),
        line(""),
        facts([*_facts(found), *_titled("caution", found.cautions), *_titled("note", found.notes)]),
        line(""),
        *_problem(found.problems[0]),
    ]
    return to_text(stacked(*parts), width)


def _shapes(found: ProblemSurvey) -> Grid:
    columns = [
        Column("shape"),
        Column("rows", is_number=True),
        Column("with gold", is_number=True),
        Column("grader"),
        Column("fields"),
    ]
    rows = [
        (name, f"{count.rows:,}", f"{count.with_gold:,}", _graders(count), ", ".join(count.fields))
        for name, count in found.shapes.items()
    ]
    return Grid(columns, rows)


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


def _problem(problem: Problem) -> Iterator[Content]:
    """A problem as it would be sent in the first round, and what its answer is compared with."""
    yield line(f"first problem · {problem.problem_id}", "bold")
    for turn in problem.turns:
        cut = len(turn.content) - SHOWN_CHARACTERS
        more = f"\n… and {cut:,} more characters" if cut > 0 else ""
        yield line("")
        yield line(turn.role)
        yield block(turn.content[:SHOWN_CHARACTERS] + more)
    gold = ABSENT if problem.gold is None else excerpt(problem.gold, GOLD_CHARACTERS)
    grader = ABSENT if problem.gold is None else choose_grader(problem)
    yield line("")
    yield facts([("gold", gold), ("grader", grader)])
