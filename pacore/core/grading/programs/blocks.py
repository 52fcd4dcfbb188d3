"""Blocks of code in a model's text: fenced, in HTML, or bare between lines of prose.

All of it takes time linear in the text, which is a model's.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterator
from typing import Literal, NamedTuple

Label = Literal["python", "plain", "other", "bare"]


class Block(NamedTuple):
    """A piece of text that may be code, and what it was called.

    ``is_open``: nothing ended it but the end of the text, or another block that began inside.
    """

    text: str
    label: Label
    is_open: bool = False


_FENCE = re.compile(
    r"(?P<lead>(?:[ \t]*+(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t])))*+[ \t]*+)"
    r"(?P<fence>`{3,}+|~{3,}+)[ \t]*+(?P<info>[^`\n]*+)$"
)


_LATE_OPENING = re.compile(r"(?<![`~])(?P<fence>```)[ \t]*(?P<info>\w+)[ \t]*$")


_LINE_BLOCK = re.compile(r"[ \t]*```[ \t]*(?P<text>[^`\n]+)```[ \t]*")


_PYTHON = re.compile(r"(?:language-|lang-|source\.)?(?:[ci]?python|py|pypy)[\d.]*", re.IGNORECASE)


_CONTENT_INDENT = 4
"""A fence that much further in than the one that opened its block is part of the block."""

_QUOTES = re.compile(
    r"\\.|#|'''|\"\"\"|'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\"|[\[({]|[\])}]", re.DOTALL
)


_ENDS = {quote: re.compile(rf"\\.|{quote}", re.DOTALL) for quote in ("'''", '"""')}


def label_of(info: str) -> Label:
    """What a fence says of its block: ``python3``, ``{.py}``, ``Python title="a.py"``."""
    word = re.split(r"[\s,:;{}]", info.strip().lstrip("{.").strip(), maxsplit=1)[0]
    if not word:
        return "plain"
    return "python" if _PYTHON.fullmatch(word) else "other"


class _Quoting:
    """Whether a line of Python begins within a text of several lines, and within how many brackets."""

    def __init__(self) -> None:
        self.quote = ""
        self.depth = 0

    def add(self, line: str) -> None:
        place = 0
        while True:
            if self.quote:
                place = self._after_quote(line, place)
                if self.quote:
                    return
            found = _QUOTES.search(line, place)
            if found is None or found[0] == "#":
                return
            place = found.end()
            if found[0] in _ENDS:
                self.quote = found[0]
            elif found[0] in "[({":
                self.depth += 1
            elif found[0] in "])}":
                self.depth = max(self.depth - 1, 0)

    def _after_quote(self, line: str, place: int) -> int:
        """Where the text ends that the line begins in, or is in at ``place``."""
        for found in _ENDS[self.quote].finditer(line, place):
            if found[0] == self.quote:
                self.quote = ""
                return found.end()
        return len(line)


class _Open(NamedTuple):
    """A fence that opened a block, and where."""

    start: int
    lead: str
    fence: str
    label: Label


class Fenced:
    """``found`` are the fenced blocks of a text, and the texts between them, in order."""

    def __init__(self, text: str) -> None:
        # Not splitlines: a program may have other line separators in its texts.
        self._lines = text.replace("\r\n", "\n").split("\n")
        self.found: list[Block | str] = []
        self._prose: list[str] = []
        self._open: _Open | None = None
        self._begin_block()
        self._is_careful = True
        number = 0
        while number < len(self._lines):
            self._take(number)
            number += 1
            if number == len(self._lines) and self._open and self._has_passed and self._is_careful:
                # What was taken for content may have been its end after all.
                self._is_careful = False
                number = self._open.start + 1
                self._begin_block()
        if self._open:
            self._close(is_open=True)
        self._end_prose()

    def _begin_block(self) -> None:
        self._content: list[str] = []
        self._quoting = _Quoting()
        self._has_passed = False

    def _take(self, number: int) -> None:
        line = self._lines[number]
        opened = self._open
        found = _FENCE.match(line)
        if opened is None:
            self._take_outside(number, line, found)
        elif found is None:
            self._add(line)
        elif self._is_content(found, opened):
            self._has_passed = True
            self._add(line)
        elif found["info"].strip():
            # A fence with a label opens a block even inside another, which was then left open, unless
            # the two fences of its end and of the next one's beginning are in one line.
            is_both = found["fence"].startswith(opened.fence + "```")
            self._close(is_open=not is_both)
            self._take_outside(number, line, found)
            if is_both and self._open:
                self._open = self._open._replace(fence=found["fence"][len(opened.fence) :])
        elif found["fence"].startswith(opened.fence):
            self._close(is_open=False)
        else:
            self._add(line)

    def _take_outside(self, number: int, line: str, found: re.Match[str] | None) -> None:
        lead = found["lead"] if found else ""
        if found is None and "```" in line:
            if in_line := _LINE_BLOCK.fullmatch(line):
                self._end_prose()
                self.found.append(Block(in_line["text"].strip(), "plain"))
                return
            late = _LATE_OPENING.search(line)
            if late and line.count("```") == 1 and label_of(late["info"]) == "python":
                self._prose.append(line[: late.start()])
                found = late
        if found is None:
            self._prose.append(line)
            return
        self._end_prose()
        self._open = _Open(number, lead, found["fence"], label_of(found["info"]))
        self._begin_block()

    def _is_content(self, found: re.Match[str], opened: _Open) -> bool:
        """Whether a fence is part of a program: in a text of several lines, or further in."""
        if not self._is_careful or opened.label == "other":
            return False
        further = len(found["lead"]) - len(opened.lead)
        return bool(self._quoting.quote) or further >= _CONTENT_INDENT

    def _add(self, line: str) -> None:
        assert self._open is not None
        line = _unindented(line, self._open.lead)
        self._content.append(line)
        self._quoting.add(line)
        # An end that comes after the last line of a program, on that line.
        if self._open.fence == "```" and not self._quoting.quote:
            before = line.rstrip()
            if before.endswith("```") and line.count("```") == 1 and not before.endswith("````"):
                self._content[-1] = before[:-3]
                self._close(is_open=False)

    def _close(self, *, is_open: bool) -> None:
        assert self._open is not None
        self.found.append(Block("\n".join(self._content), self._open.label, is_open))
        self._open = None
        self._begin_block()

    def _end_prose(self) -> None:
        if self._prose:
            self.found.append("\n".join(self._prose))
        self._prose = []


_QUOTED = re.compile(r"[ \t]*+>")


def _unindented(line: str, lead: str) -> str:
    """A line without what comes before its block's fences: quote signs, and white space."""
    place = 0
    for sign in lead:
        if sign == ">":
            quoted = _QUOTED.match(line, place)
            if quoted is None:
                return line
            place = quoted.end()
        elif line[place : place + 1] in (" ", "\t"):
            place += 1
    return line[place:]


_TAG = re.compile(r"<(?P<name>pre|code)\b(?P<attributes>[^<>]{0,300})>", re.IGNORECASE)


_MARKS = re.compile(r"</?(?:code|span|br|b|i|em|strong)\b[^<>]{0,300}>", re.IGNORECASE)


def html_blocks(text: str) -> Iterator[Block]:
    """The text in ``<pre>`` and ``<code>``, as a reader of the page sees it."""
    place = 0
    lowered = text.lower()
    while tag := _TAG.search(text, place):
        closing = f"</{tag['name'].lower()}>"
        end = lowered.find(closing, tag.end())
        is_open = end < 0
        inside = text[tag.end() : len(text) if is_open else end]
        place = len(text) if is_open else end + len(closing)
        inner = _TAG.match(inside.lstrip())
        named = tag["attributes"] + (inner["attributes"] if inner else "")
        label: Label = "python" if re.search(r"\bpy(?:thon)?\d?\b", named) else "plain"
        yield Block(html.unescape(_MARKS.sub("", inside)), label, is_open)


_GOES_ON = re.compile(r"(?:elif|else|except|finally)\b|[\])}]")


def chunks(text: str) -> Iterator[str]:
    """A text cut before each line that begins at the margin and begins a statement, if it is code."""
    quoting = _Quoting()
    taken: list[str] = []
    for line in text.split("\n"):
        begins = bool(line) and not line[0].isspace() and not _GOES_ON.match(line)
        is_decorated = bool(taken) and taken[-1].startswith("@")
        if begins and not quoting.quote and not quoting.depth and not is_decorated:
            if taken:
                yield "\n".join(taken)
            taken = []
        if not line.strip():
            quoting.depth = 0  # of a bracket in prose
        taken.append(line)
        quoting.add(line)
    if taken:
        yield "\n".join(taken)


def indented_blocks(text: str) -> Iterator[Block]:
    """Lines indented by four columns or more, as code does in Markdown without fences."""
    taken: list[str] = []
    for line in text.split("\n"):
        if line.startswith(("    ", "\t")) or (taken and not line.strip()):
            taken.append(line)
        elif taken:
            yield Block(textwrap.dedent("\n".join(taken)), "bare")
            taken = []
    if taken:
        yield Block(textwrap.dedent("\n".join(taken)), "bare", is_open=True)
