"""What an audit finds: which file, which row, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from pacore.store.layout import Unit, commit_key
from pacore.store.rows import StoredRow
from pacore.text import excerpt, visible

Severity = Literal["error", "warning"]

SHOWN_CHARACTERS = 80
"""Of a value that is quoted in a finding."""


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a finding: a key of the store, and the row in it as far as there is one.

    ``round`` and ``position`` are 1-based, ``replicate``, ``slot`` and ``attempt`` 0-based.
    """

    file: str
    table: str | None = None
    round: int | None = None
    problem_id: str | None = None
    replicate: int | None = None
    slot: int | None = None
    attempt: int | None = None
    position: int | None = None

    @staticmethod
    def of(row: StoredRow, round_: int) -> Where:
        """The place of a row of a round."""
        named = {name: getattr(row, name, None) for name in ("slot", "attempt", "position")}
        return Where(row.file, row.table.name, round_, *row.place, **named)

    @staticmethod
    def of_commit(unit: Unit) -> Where:
        """The commit of a unit."""
        return Where(commit_key(unit), unit.table, unit.round)

    def at(self, **named: Any) -> Self:
        """The same place, narrowed: ``at(slot=3)``."""
        return replace(self, **named)

    @property
    def row(self) -> str:
        """``messages round 1 sum-3 replicate 0 position 2``; empty where there is no row."""
        words = []
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value is not None:
                named = field.name not in ("table", "problem_id")
                words.append(f"{field.name} {value}" if named else str(value))
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing an audit found. ``check`` names the rule; an ``error`` is never as it should be.

    A ``warning`` is suspicious, or says what could not be checked.
    """

    check: str
    where: Where
    what: str
    severity: Severity = "error"

    def __str__(self) -> str:
        place = (
            f"{self.where.file}: {self.where.row}: " if self.where.row else f"{self.where.file}: "
        )
        return visible(f"{self.severity}: {place}{self.what} [{self.check}]")

    def as_json(self) -> dict[str, Any]:
        place = {field.name: getattr(self.where, field.name) for field in fields(self.where)}
        return {"severity": self.severity, "check": self.check, **place, "what": self.what}


def quoted(value: Any) -> str:
    """A value as a finding quotes it: short, and on one line."""
    text = f"{value!r}" if isinstance(value, str) else str(value)
    return excerpt(text, SHOWN_CHARACTERS)


def differing(
    row: object, expected: Mapping[str, Any], where: Where, check: str, because: str
) -> Iterator[Finding]:
    """A finding for each attribute of ``row`` that has another value than is expected.

    ``because`` leads from the value that is there to the expected one: ``score is 1.0; graded again
    it is 0.0``.
    """
    for name, value in expected.items():
        if (found := getattr(row, name)) != value:
            yield Finding(check, where, _differs(name, found, because, value))


def miscounted(
    stated: Mapping[str, int], counted: Mapping[str, int], where: Where, check: str, because: str
) -> Iterator[Finding]:
    """A finding for each name under which another number is stated than was counted; 0 where none is."""
    for name in sorted(stated.keys() | counted.keys()):
        number, value = stated.get(name, 0), counted.get(name, 0)
        if number != value:
            yield Finding(check, where, _differs(name, number, because, value))


def _differs(name: str, found: Any, because: str, expected: Any) -> str:
    return f"{name} is {quoted(found)}; {because} {quoted(expected)}"


@dataclass(slots=True)
class Tally:
    """What an audit has looked at, so that no findings means something."""

    commits: int = 0
    files: int = 0
    bytes: int = 0
    trajectories: int = 0
    prompts: int = 0
    journal_entries: int = 0
    texts: int = 0
    messages: int = 0
    answers: int = 0
    verdicts: int = 0
    invariants: int = 0

    def as_json(self) -> dict[str, int]:
        return {field.name: getattr(self, field.name) for field in fields(self)}
