"""Issues of the rows of a problem set, and their messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pacore.core.identity import canonical_json
from pacore.core.problem import (
    MAX_PRINTED_KINDS,
    MAX_PRINTED_PLACES,
    Placed,
    Problem,
    original_name,
)
from pacore.errors import BadInput

_VARIES = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[0-9][0-9,.]*")
"""Parts of messages that differ between issues of one kind: quoted values and numbers."""


@dataclass(frozen=True, slots=True)
class RowIssue:
    """One issue of one row of a problem set.

    ``line`` is 1-based: a physical line, or the number of the row where a format has no lines;
    0 where the issue belongs to no row.
    """

    file: str
    line: int
    field: str
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field}: {self.what}" if self.field else f"{place}: {self.what}"

    @property
    def kind(self) -> tuple[str, str]:
        """Equal for issues that differ in file, line and values only."""
        return _VARIES.sub("…", self.field), _VARIES.sub("…", self.what)

    def place_beside(self, other: RowIssue) -> str:
        """The line, with the file where it is not that of the other issue."""
        return str(self.line) if self.file == other.file else f"{self.file}:{self.line}"


class Issues:
    """Collects the issues of one row."""

    def __init__(self, file: str, line: int) -> None:
        self.found: list[RowIssue] = []
        self.line = line
        self._file = file

    def note(self, field: str, what: str) -> None:
        """Add an issue; ``field`` is the name in the file, which may have any characters."""
        place = field if field.isprintable() else ascii(field)
        self.found.append(RowIssue(self._file, self.line, place, what))


class BadProblems(BadInput):
    """A problem set with bad rows; ``issues`` has every issue.

    The message has at most `MAX_PRINTED_KINDS` lines: one for each kind of issue, with the first
    issue, the number of the others, and the lines of the next ones.
    """

    def __init__(self, issues: Sequence[RowIssue]) -> None:
        self.issues = tuple(issues)
        kinds: dict[tuple[str, str], list[RowIssue]] = {}
        for issue in self.issues:
            kinds.setdefault(issue.kind, []).append(issue)
        printed = [_alike(group) for group in kinds.values()]
        if more := len(printed) - MAX_PRINTED_KINDS:
            left = sum(map(len, list(kinds.values())[MAX_PRINTED_KINDS:]))
            if more > 0:
                printed[MAX_PRINTED_KINDS:] = [f"… and {left:,} more of {more:,} other kinds"]
        super().__init__("\n".join(printed))


def _alike(issues: Sequence[RowIssue]) -> str:
    """The first issue of a kind, with the number and lines of the others."""
    first, *others = issues
    if not others:
        return str(first)
    places = list(dict.fromkeys(one.place_beside(first) for one in others if one.line))
    where = f": {', '.join(places[:MAX_PRINTED_PLACES])}" if places else ""
    more = ", …" if len(places) > MAX_PRINTED_PLACES else ""
    return f"{first} (and {len(others):,} more{where}{more})"


def merge(rows: Sequence[Placed]) -> tuple[list[Problem], list[RowIssue]]:
    """Sort by id, keep one of identical problems, and report equal ids of different problems.

    Which of identical problems with different metadata is kept depends on the metadata only, not on
    the order of the rows. Each problem is given the position of its first row.
    """
    firsts: dict[str, Placed] = {}
    kept: dict[str, Problem] = {}
    positions: dict[str, int] = {}
    issues = []
    for position, row in enumerate(rows):
        problem = row.problem
        positions.setdefault(problem.problem_id, position)
        first = firsts.setdefault(problem.problem_id, row)
        if first.problem.content_digest != problem.content_digest:
            issues.append(RowIssue(row.file, row.line, "id", _clash(first, problem)))
        other = kept.setdefault(problem.problem_id, problem)
        kept[problem.problem_id] = min(other, problem, key=_metadata_key)
    return [replace(kept[name], position=positions[name]) for name in sorted(kept)], issues


def _clash(first: Placed, problem: Problem) -> str:
    """The message for two problems with one id, with their ids in the file where these differ."""
    names = [original_name(one.problem_id, one.metadata) for one in (first.problem, problem)]
    where = f"{first.file}:{first.line}"
    if names[0] != names[1]:
        return (
            f"{names[1]!r} and {names[0]!r} ({where}) both get the id {problem.problem_id!r}; "
            "--fields id= makes ids from the content"
        )
    return (
        f"duplicate {problem.problem_id!r}: {where} has the same id with other content; "
        "--fields id= makes ids from the content"
    )


def _metadata_key(problem: Problem) -> bytes:
    return canonical_json(problem.metadata)
