"""What is wrong with rows of a problem set, and how that is said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

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
"""What differs between issues of one kind: values and numbers."""


@dataclass(frozen=True, slots=True)
class RowIssue:
    """One thing wrong with one row of a problem set: where, which field, and what.

    ``line`` is 1-based: a physical line, or the number of the row where a format has no lines;
    0 where the fault has no place.
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
        """Equal for issues that differ in places and values alone."""
        return _VARIES.sub("…", self.field), _VARIES.sub("…", self.what)

    def place_beside(self, other: RowIssue) -> str:
        """Where it is, in a line that names the other's file."""
        return str(self.line) if self.file == other.file else f"{self.file}:{self.line}"


class Issues:
    """What is wrong with one row, noted field by field."""

    def __init__(self, file: str, line: int) -> None:
        self.found: list[RowIssue] = []
        self.line = line
        self._file = file

    def note(self, field: str, what: str) -> None:
        """``field`` is what the file calls it: names of fields may hold anything."""
        place = field if field.isprintable() else ascii(field)
        self.found.append(RowIssue(self._file, self.line, place, what))


class BadProblems(BadInput):
    """A problem set with bad rows: ``issues`` has every one of them.

    The text is at most a screen: a line for each kind of issue, with the first of the kind, how many
    there are, and where the next ones are.
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
    """The first issue of a kind, and how many more there are and where."""
    first, *others = issues
    if not others:
        return str(first)
    places = list(dict.fromkeys(one.place_beside(first) for one in others if one.line))
    where = f": {', '.join(places[:MAX_PRINTED_PLACES])}" if places else ""
    more = ", …" if len(places) > MAX_PRINTED_PLACES else ""
    return f"{first} (and {len(others):,} more{where}{more})"


def merge(rows: Sequence[Placed]) -> tuple[list[Problem], list[RowIssue]]:
    """Sort by id, keep one of identical rows, and report ids that stand for different content.

    Where identical problems carry different metadata, the one kept depends on the metadata alone,
    not on the order of the rows.
    """
    firsts: dict[str, Placed] = {}
    kept: dict[str, Problem] = {}
    issues = []
    for row in rows:
        problem = row.problem
        first = firsts.setdefault(problem.problem_id, row)
        if first.problem.content_digest != problem.content_digest:
            issues.append(RowIssue(row.file, row.line, "id", _clash(first, problem)))
        other = kept.setdefault(problem.problem_id, problem)
        kept[problem.problem_id] = min(other, problem, key=_metadata_key)
    return [kept[problem_id] for problem_id in sorted(kept)], issues


def _clash(first: Placed, problem: Problem) -> str:
    """That two problems have one id; where their names in the file differ, which these are."""
    names = [original_name(one.problem_id, one.metadata) for one in (first.problem, problem)]
    where = f"{first.file}:{first.line}"
    if names[0] != names[1]:
        return (
            f"{names[1]!r} and {names[0]!r} ({where}) both become {problem.problem_id!r}; "
            "--fields id= takes ids from the content"
        )
    return (
        f"duplicate {problem.problem_id!r}: {where} has the same id with other content; "
        "--fields id= takes ids from the content"
    )


def _metadata_key(problem: Problem) -> bytes:
    return canonical_json(problem.metadata)
