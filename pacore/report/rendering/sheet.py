"""A page as data: a title and sections of facts, tables, headings, notes and passages.

A report builds a `Sheet`, which the module `terminal` renders for a terminal and `markup` for other
pages. JSON is not made from pages: `to_json` writes the records that they show.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Literal, NamedTuple, TypeVar

from pacore.text import excerpt

ABSENT = "\N{EN DASH}"


def number(value: float | None, decimals: int = 0) -> str:
    """A number with its thousands set apart, or a dash."""
    return ABSENT if value is None else f"{value:,.{decimals}f}"


def share(value: float | None) -> str:
    """A value in [0, 1] in per cent, or a dash."""
    return ABSENT if value is None else f"{100 * value:.1f} %"


def points(difference: float | None) -> str:
    """A difference of two shares in percentage points with its sign, or a dash."""
    return ABSENT if difference is None else f"{100 * difference:+.1f} points"


def between(
    low: float | None, high: float | None, write: Callable[[float | None], str] = share
) -> str:
    """``20.0 % to 42.0 %``, or a dash where a bound is not known."""
    return ABSENT if low is None or high is None else f"{write(low)} to {write(high)}"


class Format(NamedTuple):
    """How the values of a column are written, and whether they are numbers, which are on the right."""

    write: Callable[[Any], str]
    is_number: bool = True


def decimals(count: int) -> Format:
    return Format(lambda value: number(value, count))


def cut(characters: int) -> Format:
    """The beginning of a text, or a dash for none."""
    return Format(lambda value: excerpt(value or ABSENT, characters), is_number=False)


TEXT = Format(lambda value: ABSENT if value is None else str(value), is_number=False)
FIGURE = Format(TEXT.write)
"""A number without separators, such as that of a round; or a text that is one already."""
COUNT = Format(number)
SHARE = Format(share)
POINTS = Format(points)
INTERVAL = Format(lambda bounds: between(*bounds))
"""A pair of bounds, each a share or None."""


class SheetColumn(NamedTuple):
    """A column's title, and how its values are written.

    A value that has no room on a terminal is continued below where ``is_folded``, and cut where not.
    """

    title: str
    format: Format = TEXT
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of values, one for each column.

    ``narrowest``: where a terminal has no room for columns of so many characters, rows are shown side by
    side, a line for each column, or below each other, a value a line; None never does that. ``caption``
    says what it shows where it stands away from its page; the heading before it does where it is empty.
    """

    columns: Sequence[SheetColumn]
    rows: Sequence[Sequence[object]]
    narrowest: int | None = None
    caption: str = ""

    @property
    def cells(self) -> list[list[str]]:
        """The rows as they are written."""
        formats = [column.format for column in self.columns]
        return [
            [form.write(value) for form, value in zip(formats, row, strict=True)]
            for row in self.rows
        ]


Shown = TypeVar("Shown")


def table(
    rows: Sequence[Shown],
    *columns: tuple[str, Format, Callable[[Shown], object]],
    caption: str = "",
) -> Table:
    """A table of records: the title of each column, its format, and its value of a record."""
    return Table(
        [SheetColumn(title, form) for title, form, _ in columns],
        [[value(row) for _, _, value in columns] for row in rows],
        caption=caption,
    )


@dataclass(frozen=True, slots=True)
class Facts:
    """Labelled lines; one without a label continues the fact above it. ``caption`` is as in `Table`."""

    pairs: Sequence[tuple[str, str]]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A line of text."""

    text: str
    weight: Literal["plain", "faint"] = "plain"


@dataclass(frozen=True, slots=True)
class Passage:
    """A text of several lines, such as a model's, as it is; ``is_folded`` false keeps lines whole that are
    wider than a terminal, for commands that are copied.
    """

    text: str
    is_folded: bool = True


Part = Table | Facts | Heading | Note | Passage


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page: its title, the parts directly below it, and sections with an empty line between them."""

    title: str | None
    sections: Sequence[Sequence[Part]]
    lead: Sequence[Part] = ()


DIGITS = 12


def to_json(found: Any) -> str:
    """Records as JSON: the fields of dataclasses are keys, numbers are as `settled` gives them."""
    return json.dumps(settled(found), indent=2, default=str)


def settled(value: Any) -> Any:
    """A value as JSON has it, dataclasses as objects, with its floats at 12 significant digits.

    Databases add up in the order in which threads end, so that the last two or three digits
    of a mean differ from one reading of the same rows to the next.
    """
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if is_dataclass(value) and not isinstance(value, type):
        return settled(asdict(value))
    if isinstance(value, dict):
        return {name: settled(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [settled(one) for one in value]
    return value
