"""Rows out of the bytes of a file, one row held at a time: JSONL and JSON arrays.

JSON arrays are cut into items here, with the standard library's decoder, because a row's faults
must come out of a ``.json`` file just as they do out of a ``.jsonl`` file: of the streaming parsers
at hand one replaces lone surrogates without a word and the other keeps whatever it has read.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from pacore.errors import BadInput

CHUNK_BYTES = 64 * 1024
MAX_LINE_BYTES = 128 * 1024 * 1024
"""Longest row of a problem set: LiveCodeBench has the tests of a program in one."""

CUT_NUMBER_CHARACTERS = 3
"""So much must follow a value: of ``1e+5`` cut before its last digit, ``1`` alone is a number."""

NOT_UTF8 = "is not UTF-8"


def too_long(max_bytes: int) -> str:
    """What is wrong with a row of more than ``max_bytes``."""
    return f"is longer than {max_bytes // 1024**2} MiB"


UNDECODED = re.compile("[\udc80-\udcff]")
_WHITE_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class Row(NamedTuple):
    """One decoded row and its 1-based line, or row number where the format has no lines."""

    line: int
    value: Any


class RowFault(NamedTuple):
    """A row that could not be decoded, and why."""

    line: int
    what: str
    field: str = ""


Rows = Iterator[Row | RowFault]


def lines(file: BinaryIO, max_bytes: int = MAX_LINE_BYTES) -> Iterator[tuple[int, bytes | None]]:
    """Physical lines with their 1-based numbers; None stands for one too long to hold."""
    number, line, is_long = 1, bytearray(), False
    while chunk := file.read(CHUNK_BYTES):
        for index, piece in enumerate(chunk.split(b"\n")):
            if index > 0:
                yield number, None if is_long else bytes(line)
                number, line, is_long = number + 1, bytearray(), False
            is_long = is_long or len(line) + len(piece) > max_bytes
            if is_long:
                line = bytearray()
            else:
                line += piece
                if number == 1 and line.startswith(codecs.BOM_UTF8):
                    del line[: len(codecs.BOM_UTF8)]
    if line or is_long:
        yield number, None if is_long else bytes(line)


def jsonl_rows(file: BinaryIO, max_bytes: int = MAX_LINE_BYTES) -> Rows:
    """One JSON value a line; blank lines are no rows."""
    for number, line in lines(file, max_bytes):
        if line is None:
            yield RowFault(number, f"line {too_long(max_bytes)}")
        elif line.strip():
            yield _decoded(number, line)


def _decoded(number: int, line: bytes) -> Row | RowFault:
    try:
        return Row(number, _DECODER.decode(line.decode("utf-8")))
    except UnicodeDecodeError as fault:
        return RowFault(number, f"{NOT_UTF8} at byte {fault.start + 1}")
    except (ValueError, RecursionError) as fault:
        return RowFault(number, _json_fault(fault, 0))


def _json_fault(fault: ValueError | RecursionError, start: int) -> str:
    """Why text is not JSON, in one line; places count from ``start``."""
    if isinstance(fault, json.JSONDecodeError):
        return f"invalid JSON: {fault.msg} at character {fault.pos - start + 1}"
    if isinstance(fault, RecursionError):
        return "invalid JSON: nested too deeply"
    return f"invalid JSON: {str(fault).partition(';')[0]}"


def json_rows(file: BinaryIO, max_bytes: int = MAX_LINE_BYTES) -> Rows:
    """The items of one JSON array; after invalid JSON nobody knows where the next one begins.

    Raises BadInput when the file holds something else.
    """
    text = _Text(file, max_bytes)
    if not (opening := text.next_character()):
        return
    if opening != "[":
        raise BadInput("is not a JSON array of objects; one object a line belongs in a .jsonl file")
    number = 1
    separator = text.next_character(is_peek=True)
    if separator == "]":
        text.next_character()
    while separator != "]":
        try:
            value, is_utf8 = text.item()
        except ValueError as fault:
            yield RowFault(number, str(fault))
            return
        yield Row(number, value) if is_utf8 else RowFault(number, NOT_UTF8)
        separator = text.next_character()
        if separator not in (",", "]"):
            yield RowFault(number, "invalid JSON: ',' or ']' must follow an item")
            return
        number += 1
    if text.next_character():
        yield RowFault(number, "invalid JSON: something follows the array")


class _Text:
    """The text of a JSON file, read as far as the item at hand needs."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape").decode
        self._held = ""
        self._start = 0
        self._is_whole = False

    def _grow(self) -> None:
        """Read on by as much as is held, so that all tries at an item cost no more than two."""
        room = max(0, self._max_bytes - self._waiting)
        chunk = self._file.read(CHUNK_BYTES + min(self._waiting, room))
        self._is_whole = not chunk
        self._held = self._held[self._start :] + self._decode(chunk, final=not chunk)
        self._start = 0

    @property
    def _waiting(self) -> int:
        return len(self._held) - self._start

    def next_character(self, *, is_peek: bool = False) -> str:
        """The next character that is not white space; empty at the end of the file."""
        while True:
            match = _WHITE_SPACE.match(self._held, self._start)
            self._start = match.end() if match else self._start
            if self._waiting or self._is_whole:
                break
            self._grow()
        found = self._held[self._start : self._start + 1]
        self._start += 0 if is_peek else len(found)
        return found

    def item(self) -> tuple[Any, bool]:
        """Decode the value that comes next; the second says whether its bytes were UTF-8.

        Raises ValueError, saying in one line why there is no such value.
        """
        self.next_character(is_peek=True)
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._start)
            except RecursionError as fault:
                raise ValueError(_json_fault(fault, self._start)) from fault
            except ValueError as fault:
                what = _json_fault(fault, self._start)
                if self._is_whole:
                    raise ValueError(what) from fault
                if self._waiting > self._max_bytes:
                    raise ValueError(f"item {too_long(self._max_bytes)}, or {what}") from fault
            else:
                if len(self._held) - end >= CUT_NUMBER_CHARACTERS or self._is_whole:
                    break
            self._grow()
        is_utf8 = not UNDECODED.search(self._held, self._start, end)
        self._start = end
        return value, is_utf8
