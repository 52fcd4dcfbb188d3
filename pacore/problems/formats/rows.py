"""Reads rows from JSON lines and JSON arrays, with one row in memory at a time.

JSON arrays are split into items here, with the standard library's decoder, so that faults of a row are
the same in ``.json`` and ``.jsonl`` files: of the available streaming parsers one replaces lone
surrogates silently, and the other keeps everything it has read in memory.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple

from pacore.errors import BadInput
from pacore.problems.formats.bytes import western
from pacore.problems.formats.documents import document_rows, unwrapped_row

_CHUNK_BYTES = 64 * 1024

MAX_LINE_BYTES = 128 * 1024 * 1024
"""Longest row of a problem set: LiveCodeBench has all tests of a program in one row."""

MAX_DOCUMENT_BYTES = 512 * 1024 * 1024
"""Longest JSON value that is read as a whole: an object that contains all rows."""

CUT_NUMBER_CHARACTERS = 3
"""Characters that must follow a value: of ``1e+5`` cut before its last digit, ``1`` is a number."""

NOT_UTF8 = "is not UTF-8"

CONVERT = "save it as UTF-8 (iconv -f ENCODING -t UTF-8)"

SEVERAL_LINES = (
    "is JSON spread over several lines, not one object per line; `jq -c .` writes one per line, and an "
    "array of objects may have any layout"
)

COMMAS = (
    "has commas between its objects and no brackets around them; put [ and ] around all of them"
)

NOT_ROWS = "is neither a JSON array of objects nor one object per line"

LINES_TRIED = 20
"""Lines that are read to distinguish JSON lines from one value spread over lines."""

Say = Callable[[str], None]
"""Called with a remark for the user on how a file was read."""


def too_long(max_bytes: int) -> str:
    """The message for a row of more than ``max_bytes``."""
    return f"is longer than {max_bytes // 1024**2} MiB"


def ignore_message(text: str) -> None:
    """Discard a remark."""
    del text


UNDECODED = re.compile("[\udc80-\udcff]")

_WHITE_SPACE = re.compile(r"[ \t\n\r]*")

_DECODER = json.JSONDecoder()


def _long_integer(digits: str) -> int | str:
    """An integer; one with too many digits for Python's conversion stays a text."""
    return int(digits) if len(digits) <= sys.get_int_max_str_digits() else digits


_LONG_DECODER = json.JSONDecoder(parse_int=_long_integer)


class DecodedRow(NamedTuple):
    """One decoded row and its 1-based line, or row number where the format has no lines."""

    line: int
    value: Any


class RowFault(NamedTuple):
    """A row that could not be decoded, and why."""

    line: int
    what: str
    field: str = ""


Rows = Iterator[DecodedRow | RowFault]

NumberedLines = Iterator[tuple[int, bytes | None]]


class TextDecoder:
    """Decodes the rows of a file: as UTF-8, or as Windows-1252 where that is unambiguous.

    A whole file has one of the two encodings. ``contradicted`` yields a fault for each line that was
    decoded as Windows-1252 if another line turns out to be UTF-8.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._utf8_line = 0
        self._western_lines: list[int] = []

    def text(self, data: bytes, line: int) -> str:
        """The text of a line. Raises UnicodeDecodeError for bytes in neither encoding."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            found = None if self._utf8_line else western(data)
            if found is None:
                raise
            if not self._western_lines:
                self._say("is not UTF-8, and is read as Windows-1252 (cp1252)")
            self._western_lines.append(line)
            return found
        if not self._utf8_line and not data.isascii():
            self._utf8_line = line
        return text

    def contradicted(self) -> Iterator[RowFault]:
        if self._utf8_line:
            for line in self._western_lines:
                yield RowFault(line, f"{NOT_UTF8}, and line {self._utf8_line} is")


def lines(file: BinaryIO, max_bytes: int = MAX_LINE_BYTES) -> NumberedLines:
    """Physical lines with their 1-based numbers; None for one of more than ``max_bytes``."""
    number, line, is_long = 1, bytearray(), False
    while chunk := file.read(_CHUNK_BYTES):
        for index, piece in enumerate(chunk.split(b"\n")):
            if index > 0:
                yield number, None if is_long else _without_mark(line)
                number, line, is_long = number + 1, bytearray(), False
            is_long = is_long or len(line) + len(piece) > max_bytes
            if is_long:
                line = bytearray()
            else:
                line += piece
    if line or is_long:
        yield number, None if is_long else _without_mark(line)


def _without_mark(line: bytearray) -> bytes:
    """A line without the byte order mark at the beginning of a file, or of one of several joined files."""
    return bytes(line.removeprefix(codecs.BOM_UTF8))


def jsonl_rows(file: BinaryIO, max_bytes: int = MAX_LINE_BYTES, say: Say = ignore_message) -> Rows:
    """One JSON value per line; blank lines are skipped.

    The only value of a file may contain all rows (`pacore.problems.formats.documents`). Raises BadInput
    for objects spread over several lines each.
    """
    decoder = TextDecoder(say)
    given = _not_blank(lines(file, max_bytes))
    first = next(given, None)
    if first is None:
        return
    row = _decoded(*first, decoder, max_bytes)
    if isinstance(row, RowFault) and first[1] is not None:
        # Invalid lines are reported one by one only if some line is an object.
        tried = [first, *islice(given, LINES_TRIED - 1)]
        if not any(_is_object(line) for _, line in tried):
            yield from _spread_rows(chain(tried, given), decoder)
            return
        given = chain(tried[1:], given)
    second = next(given, None)
    if second is None and isinstance(row, DecodedRow):
        yield from _document_rows(row)
        return
    yield row
    for number, line in chain([] if second is None else [second], given):
        yield _decoded(number, line, decoder, max_bytes)
    yield from decoder.contradicted()


def _not_blank(found: NumberedLines) -> NumberedLines:
    return ((number, line) for number, line in found if line is None or line.strip())


def _is_object(line: bytes | None) -> bool:
    try:
        return line is not None and isinstance(decode_json(line.decode("utf-8", "replace")), dict)
    except (ValueError, RecursionError):
        return False


def _spread_rows(given: NumberedLines, decoder: TextDecoder) -> Rows:
    """The rows of one JSON value that is spread over lines, or one fault for invalid JSON."""
    held, last = bytearray(), 1
    for number, line in given:
        # Blank lines were skipped, but line numbers in messages count them.
        held += b"\n" * (number - last) + (line or b"")
        last = number
        if line is None or len(held) > MAX_DOCUMENT_BYTES:
            raise BadInput(
                f"is a JSON value that {too_long(MAX_DOCUMENT_BYTES)}; write rows as JSONL"
            )
    try:
        text = decoder.text(bytes(held), 1)
        value, end = decoded_value(text, 0)
    except UnicodeDecodeError as fault:
        yield RowFault(1, f"{NOT_UTF8} at byte {fault.start + 1}; {CONVERT}")
    except json.JSONDecodeError as fault:
        yield RowFault(fault.lineno, f"invalid JSON: {fault.msg} at character {fault.colno}")
    except (ValueError, RecursionError) as fault:
        yield RowFault(1, json_fault(fault, 0))
    else:
        if text[end:].lstrip().startswith(","):
            raise BadInput(COMMAS)
        if text[end:].strip() or document_rows(value) is None:
            raise BadInput(SEVERAL_LINES)
        yield from _document_rows(DecodedRow(1, value))


def _document_rows(row: DecodedRow) -> Rows:
    """The rows in a file's only value, numbered from 1; the value itself where it is a row."""
    held = document_rows(row.value)
    if held is None:
        yield row
        return
    for number, value in enumerate(held, 1):
        yield _unwrapped(number, value)


def _unwrapped(line: int, value: Any) -> DecodedRow | RowFault:
    """A row without the object that the Hugging Face hub's server puts around it."""
    value, cut_off = unwrapped_row(value)
    if cut_off:
        return RowFault(
            line, f"the server that sent it has truncated {', '.join(map(ascii, cut_off))}"
        )
    return DecodedRow(line, value)


def _decoded(
    number: int, line: bytes | None, decoder: TextDecoder, max_bytes: int
) -> DecodedRow | RowFault:
    if line is None:
        return RowFault(number, f"line {too_long(max_bytes)}")
    try:
        return _unwrapped(number, decode_json(decoder.text(line, number)))
    except UnicodeDecodeError as fault:
        return RowFault(number, f"{NOT_UTF8} at byte {fault.start + 1}; {CONVERT}")
    except (ValueError, RecursionError) as fault:
        return RowFault(number, json_fault(fault, 0))


def decode_json(text: str) -> Any:
    """The JSON value of a text. Raises ValueError and RecursionError."""
    value, end = decoded_value(text, 0)
    if end != len(text) and (more := _end_of_space(text, end)) != len(text):
        raise json.JSONDecodeError("Extra data", text, more)
    return value


def decoded_value(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at ``start``, and its end. Raises as `decode_json` does.

    An integer with too many digits for Python's conversion stays text.
    """
    start = _end_of_space(text, start)
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _LONG_DECODER.raw_decode(text, start)


def _end_of_space(text: str, start: int) -> int:
    match = _WHITE_SPACE.match(text, start)
    return match.end() if match else start


def json_fault(fault: ValueError | RecursionError, start: int) -> str:
    """The reason why a text is not JSON, in one line; positions count from ``start``."""
    if isinstance(fault, json.JSONDecodeError):
        return f"invalid JSON: {fault.msg} at character {fault.pos - start + 1}"
    if isinstance(fault, RecursionError):
        return "invalid JSON: nested too deeply"
    return f"invalid JSON: {str(fault).partition(';')[0]}"


def json_rows(file: BinaryIO, max_bytes: int = MAX_LINE_BYTES, say: Say = ignore_message) -> Rows:
    """The items of one JSON array, up to the first invalid one, after which the next is not found.

    Raises BadInput for a file that is no JSON array.
    """
    text = _Text(file, max_bytes, TextDecoder(say))
    if not (opening := text.next_character()):
        return
    if opening != "[":
        raise BadInput(NOT_ROWS)
    number = 1
    separator = text.next_character(is_peek=True)
    if separator == "]":
        text.next_character()
    while separator != "]":
        try:
            value = text.item(number)
        except UnicodeDecodeError:
            yield RowFault(number, f"{NOT_UTF8}; {CONVERT}")
        except ValueError as fault:
            yield RowFault(number, str(fault))
            return
        else:
            yield _unwrapped(number, value)
        separator = text.next_character()
        if separator not in (",", "]"):
            yield RowFault(number, "invalid JSON: ',' or ']' must follow an item")
            return
        number += 1
    if text.next_character():
        yield RowFault(number, "invalid JSON: text after the array")
    yield from text.decoder.contradicted()


class _Text:
    """The text of a JSON file, read as far as the current item needs."""

    def __init__(self, file: BinaryIO, max_bytes: int, decoder: TextDecoder) -> None:
        self.decoder = decoder
        self._file = file
        self._max_bytes = max_bytes
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape").decode
        self._held = ""
        self._start = 0
        self._is_whole = False

    def _grow(self) -> None:
        """Read as much again as is in memory, so that all attempts at an item cost at most twice one."""
        room = max(0, self._max_bytes - self._waiting)
        chunk = self._file.read(_CHUNK_BYTES + min(self._waiting, room))
        self._is_whole = not chunk
        self._held = self._held[self._start :] + self._decode(chunk, final=not chunk)
        self._start = 0

    @property
    def _waiting(self) -> int:
        return len(self._held) - self._start

    def next_character(self, *, is_peek: bool = False) -> str:
        """The next character that is not white space; empty at the end of the file."""
        while True:
            self._start = _end_of_space(self._held, self._start)
            if self._waiting or self._is_whole:
                break
            self._grow()
        found = self._held[self._start : self._start + 1]
        self._start += 0 if is_peek else len(found)
        return found

    def item(self, number: int) -> Any:
        """Decode the next value, item ``number``.

        Raises ValueError with a one-line reason for invalid JSON, and UnicodeDecodeError for a value in
        an unknown encoding.
        """
        self.next_character(is_peek=True)
        while True:
            try:
                value, end = decoded_value(self._held, self._start)
            except RecursionError as fault:
                raise ValueError(json_fault(fault, self._start)) from fault
            except ValueError as fault:
                what = json_fault(fault, self._start)
                if self._is_whole:
                    raise ValueError(what) from fault
                if self._waiting > self._max_bytes:
                    raise ValueError(f"item {too_long(self._max_bytes)}, or {what}") from fault
            else:
                if len(self._held) - end >= CUT_NUMBER_CHARACTERS or self._is_whole:
                    break
            self._grow()
        start, self._start = self._start, end
        source = self._held[start:end]
        if source.isascii():
            return value
        # The decoder needs the bytes to detect the file's encoding.
        text = self.decoder.text(source.encode("utf-8", "surrogateescape"), number)
        return decode_json(text) if UNDECODED.search(source) else value
