"""Text on a terminal: tables that fit, and model text that cannot do anything but be read.

Everything shown comes from problem sets and models and is data: control characters, escapes and
bidirectional overrides are written out, and no markup in it is ever interpreted.

Figures as they are handed on: every digit that means something, and the same ones each time.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pacore.text import visible, visible_lines

PLAIN_WIDTH = 100


Content = RenderableType
"""Anything that can be stacked and rendered."""

GAP = 2
"""Columns between two columns of a table: one of padding, one of its lines."""

ABSENT = "\N{EN DASH}"


REFRESHES_A_SECOND = 4


LIVE_BAR_WIDTH = 40


def number(value: float | None, decimals: int = 0) -> str:
    """A number with its thousands set apart, or a dash."""
    return ABSENT if value is None else f"{value:,.{decimals}f}"


def share(value: float | None) -> str:
    """A value in [0, 1] in per cent, or a dash."""
    return ABSENT if value is None else f"{100 * value:.1f} %"


def points(difference: float | None) -> str:
    """A difference of two shares in percentage points with its sign, or a dash."""
    return ABSENT if difference is None else f"{100 * difference:+.1f} points"


class Column(NamedTuple):
    """A column's title, and whether its values are numbers, which stand to the right."""

    title: str
    is_number: bool = False


class Grid:
    """A table in which every row is one line; the widest columns give way until it fits."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        self.columns = [Column(visible(title), is_number) for title, is_number in columns]
        self.rows = [[visible(cell) for cell in row] for row in rows]
        titles = [column.title for column in self.columns]
        self.widths = [max(map(cell_len, cells)) for cells in zip(titles, *self.rows, strict=True)]

    def narrowed_width(self, most: int) -> int:
        """Columns the table takes when no column of it is wider than ``most``."""
        return sum(min(width, most) for width in self.widths) + self._gaps

    @property
    def _gaps(self) -> int:
        return GAP * len(self.widths) - 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Content]:
        widths = fitted(self.widths, options.max_width - self._gaps)
        padding = (0, GAP - 1, 0, 0)
        table = Table(box=SIMPLE_HEAD, show_edge=False, padding=padding, header_style="bold")
        for column, width in zip(self.columns, widths, strict=True):
            table.add_column(
                Text(column.title),
                width=width,
                justify="right" if column.is_number else "left",
                no_wrap=True,
                overflow="ellipsis",
            )
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))
        yield table


def fitted(widths: Sequence[int], room: int) -> list[int]:
    """Widths that sum to at most ``room``, the widest cut first, none below 1."""
    found = list(widths)
    excess = sum(found) - room
    while excess > 0 and max(found) > 1:
        widest = max(found)
        next_widest = max((width for width in found if width < widest), default=1)
        peers = [index for index, width in enumerate(found) if width == widest]
        step = max(1, min(widest - next_widest, excess // len(peers)))
        for index in peers[:excess]:
            found[index] -= step
        excess = sum(found) - room
    return found


def facts(pairs: Sequence[tuple[str, str]]) -> Content:
    """Labelled lines; long values wrap below themselves."""
    table = Table.grid(padding=(0, GAP))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for label, value in pairs:
        table.add_row(Text(visible(label)), Text(visible_lines(value)))
    return table


def line(text: str, style: str = "") -> Content:
    return Text(visible(text), style=style, overflow="fold")


def block(text: str) -> Content:
    """A text of several lines, set in."""
    return Padding(Text(visible_lines(text), overflow="fold"), (0, 0, 0, 2))


def stacked(*parts: Content) -> Content:
    return Group(*parts)


def terminal_width() -> int:
    """Columns of the terminal, or 100 where there is none; ``COLUMNS`` overrides."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns


def to_text(content: Content, width: int | None = None) -> str:
    """Render to a string without an ending line break; styled only where stdout is a terminal.

    ``width`` None is `terminal_width`.
    """
    file = io.StringIO()
    console = Console(
        file=file,
        width=width or terminal_width(),
        force_terminal=sys.stdout.isatty(),
        legacy_windows=False,
        highlight=False,
        soft_wrap=False,
    )
    console.print(content)
    return "\n".join(row.rstrip() for row in file.getvalue().split("\n")).rstrip("\n")


@contextmanager
def live_bar(done: Callable[[], float], caption: Callable[[], str]) -> Iterator[None]:
    """A bar on stderr, redrawn a few times a second until the context ends; ``done`` in [0, 1]."""

    def drawn() -> Content:
        bar = ProgressBar(total=1.0, completed=done(), width=LIVE_BAR_WIDTH)
        row = Table.grid(padding=(0, 1))
        row.add_row(bar, Text(visible(caption())))
        return row

    console = Console(stderr=True)
    with Live(
        get_renderable=drawn, console=console, refresh_per_second=REFRESHES_A_SECOND, transient=True
    ):
        yield


DIGITS = 12


def settled(value: Any) -> Any:
    """A value as JSON has it, dataclasses as objects, with its floats at 12 significant digits.

    Databases add up in the order in which threads come to an end, so that the last two or three digits
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
