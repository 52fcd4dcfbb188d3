"""A page on a terminal: tables that fit, and model text that cannot do anything but be read.

Everything shown comes from problem sets and models and is data: control characters, escapes and
bidirectional overrides are written out, and no markup in it is ever interpreted.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import wrap

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table as RichTable
from rich.text import Text

from pacore.report.rendering.sheet import Facts, Heading, Note, Part, Passage, Sheet, Table
from pacore.text import visible, visible_lines

PLAIN_WIDTH = 100

LONG_WORD = 12
"""Columns that a word of a text that is folded has at least; the rest of a longer one may be below."""

GAP = 2
"""Columns between two columns of a table: one of padding, one of its lines."""

REFRESHES_A_SECOND = 4
LIVE_BAR_WIDTH = 40


def to_text(sheet: Sheet, width: int | None = None) -> str:
    """A page as text without an ending line break; styled only where stdout is a terminal.

    ``width`` is in columns; None is `terminal_width`.
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
    console.print(Group(*_page(sheet)), crop=False)
    return "\n".join(row.rstrip() for row in file.getvalue().split("\n")).rstrip("\n")


def terminal_width() -> int:
    """Columns of the terminal, or 100 where there is none; ``COLUMNS`` overrides."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns


def _page(sheet: Sheet) -> Iterator[RenderableType]:
    title = [] if sheet.title is None else [Heading(sheet.title)]
    first: list[Part] = [*title, *sheet.lead]
    blocks = [block for block in (first, *sheet.sections) if block]
    for position, parts in enumerate(blocks):
        if position:
            yield _line("")
        yield from map(_rendered, parts)


def _rendered(part: Part) -> RenderableType:
    match part:
        case Table():
            return _TerminalTable(part)
        case Facts():
            return _facts(part.pairs)
        case Heading():
            return _line(part.text, "bold")
        case Note():
            return _line(part.text, "dim" if part.weight == "faint" else "")
        case Passage():
            text = visible_lines(part.text)
            if part.is_folded:
                return Padding(Text(text, overflow="fold"), (0, 0, 0, 2))
            return Text(f"  {text}", overflow="ignore", no_wrap=True)


def _line(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style, overflow="fold")


def _facts(pairs: Sequence[tuple[str, str]]) -> RenderableType:
    """Labelled lines; long values wrap below themselves."""
    grid = RichTable.grid(padding=(0, GAP))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for label, value in pairs:
        grid.add_row(Text(visible(label)), Text(visible_lines(value)))
    return grid


class _TerminalTable:
    """A table in which every row is one line, unless columns are folded; the widest columns give way until
    it fits: those of texts before those of figures, which say something else when they are cut.

    Where ``narrowest`` leaves it no room, its rows stand side by side if these fit, else below each other.
    """

    def __init__(self, table: Table) -> None:
        self.columns = table.columns
        self.cells = table.cells
        self.narrowest = table.narrowest
        self.titles = [visible(column.title) for column in table.columns]
        self.rows = [[visible(cell) for cell in row] for row in self.cells]
        columns = zip(self.titles, *self.rows, strict=True)
        self.widths = [max(map(cell_len, column)) for column in columns]

    @property
    def gaps(self) -> int:
        return GAP * len(self.widths) - 1

    def fits(self, width: int) -> bool:
        """Whether there is room for the table when each column is cut to ``narrowest``."""
        if self.narrowest is None or not self.rows:
            return True
        return sum(min(own, self.narrowest) for own in self.widths) + self.gaps <= width

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        if self.fits(options.max_width):
            yield self._as_table(options.max_width)
            return
        if self._fits_turned(options.max_width):
            yield self._turned()
            return
        for position, row in enumerate(self.cells, 1):
            yield _line(f"row {position}", "bold")
            titles = [column.title for column in self.columns]
            yield _facts(list(zip(titles, row, strict=True)))
            yield _line("")

    @property
    def _least(self) -> list[int]:
        """What columns need at least so that none of their figures, and no word of their titles or of their
        folded texts, is cut; a long word of a text, such as a name, may be.
        """
        found = []
        for position, column in enumerate(self.columns):
            cells = [row[position] for row in self.rows]
            words = longest_word([self.titles[position]])
            if column.format.is_number:
                found.append(max(map(cell_len, cells), default=0))
            else:
                found.append(min(longest_word(cells), LONG_WORD) if column.is_folded else 1)
            found[-1] = max(found[-1], words)
        return found

    def _fits_turned(self, width: int) -> bool:
        """Whether several rows have room side by side, no value of them cut."""
        widths = [max(map(cell_len, row)) for row in self.rows]
        room = width - max(map(cell_len, self.titles)) - GAP * (len(widths) + 1) + 1
        return len(widths) > 1 and sum(widths) <= room

    def _turned(self) -> RichTable:
        """The rows side by side: a line for each column."""
        padding = (0, GAP - 1, 0, 0)
        table = RichTable(box=SIMPLE_HEAD, show_edge=False, padding=padding, header_style="bold")
        table.add_column("", no_wrap=True, style="bold")
        for position in range(1, len(self.rows) + 1):
            table.add_column(f"row {position}", no_wrap=True)
        for title, cells in zip(self.titles, zip(*self.rows, strict=True), strict=True):
            table.add_row(*map(Text, (title, *cells)))
        return table

    def _as_table(self, room: int) -> RichTable:
        widths = fitted(self.widths, room - self.gaps, self._least)
        padding = (0, GAP - 1, 0, 0)
        table = RichTable(box=SIMPLE_HEAD, show_edge=False, padding=padding, header_style="bold")
        for column, title, width in zip(self.columns, self.titles, widths, strict=True):
            table.add_column(
                Text("\n".join(wrap(title, width, break_long_words=False)) or title),
                width=width,
                justify="right" if column.format.is_number else "left",
                no_wrap=not column.is_folded,
                overflow="fold" if column.is_folded else "ellipsis",
            )
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table


def longest_word(texts: Sequence[str]) -> int:
    """Columns of the longest word of some texts; 0 where they have none."""
    return max((cell_len(word) for text in texts for word in text.split()), default=0)


def fitted(widths: Sequence[int], room: int, least: Sequence[int]) -> list[int]:
    """Widths that sum to at most ``room``, the widest cut first: none below its ``least`` while others are
    above theirs, and none below 1.
    """
    found = list(widths)
    for lowest in (least, [1] * len(found)):
        while (excess := sum(found) - room) > 0:
            wide = [index for index, width in enumerate(found) if width > lowest[index]]
            if not wide:
                break
            widest = max(found[index] for index in wide)
            peers = [index for index in wide if found[index] == widest]
            limits = [found[index] for index in wide if found[index] < widest]
            step = widest - max([*limits, *(lowest[index] for index in peers)])
            step = max(1, min(step, excess // len(peers)))
            for index in peers[:excess]:
                found[index] -= step
    return found


@contextmanager
def live_bar(done: Callable[[], float], caption: Callable[[], str]) -> Iterator[None]:
    """A bar on stderr, redrawn a few times a second until the context ends; ``done`` in [0, 1]."""

    def drawn() -> RenderableType:
        bar = ProgressBar(total=1.0, completed=done(), width=LIVE_BAR_WIDTH)
        row = RichTable.grid(padding=(0, 1))
        row.add_row(bar, Text(visible(caption())))
        return row

    console = Console(stderr=True)
    with Live(
        get_renderable=drawn, console=console, refresh_per_second=REFRESHES_A_SECOND, transient=True
    ):
        yield
