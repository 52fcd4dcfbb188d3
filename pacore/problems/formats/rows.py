"""Rows out of the bytes of a file, one row held at a time: JSON lines and JSON arrays.

JSON arrays are cut into items here, with the standard library's decoder, because a row's faults
must come out of a ``.json`` file just as they do out of a ``.jsonl`` file: of the streaming parsers
at hand one replaces lone surrogates without a word and the other keeps whatever it has read.
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

CHUNK_BYTES = 64 * 1024


MAX_LINE_BYTES = 128 * 1024 * 1024
"""Longest row of a problem set: LiveCodeBench has the tests of a program in one."""

MAX_DOCUMENT_BYTES = 512 * 1024 * 1024
"""Longest JSON value that is read whole: an object that holds all rows."""

CUT_NUMBER_CHARACTERS = 3
"""So much must follow a value: of ``1e+5`` cut before its last digit, ``1`` alone is a number."""

NOT_UTF8 = "is not UTF-8"


CONVERT = "save it as UTF-8 (iconv -f ENCODING -t UTF-8)"


SEVERAL_LINES = (
    "is JSON spread over several lines, not one object a line; `jq -c .` writes one a line, and an "
    "array of objects may have any layout"
)


COMMAS = (
    "has commas between its objects and no brackets around them; put [ and ] around all of them"
)


NOT_ROWS = "is not a JSON array of objects; neither is it one object a line"


LINES_TRIED = 20
"""So many lines are looked at to tell lines of JSON from one value spread over lines."""

Say = Callable[[str], None]
"""Hears what a person should know of how a file was read."""


def too_long(max_bytes: int) -> str:
    """What is wrong with a row of more than ``max_bytes``."""
    return f"is longer than {max_bytes // 1024**2} MiB"


def unsaid(text: str) -> None:
    """Say nothing."""
    del text


UNDECODED = re.compile("[\udc80-\udcff]")


_WHITE_SPACE = re.compile(r"[ \t\n\r]*")


_DECODER = json.JSONDecoder()


def _long_integer(digits: str) -> int | str:
    """A whole number; one that Python does not convert stays the text it is."""
    return int(digits) if len(digits) <= sys.get_int_max_str_digits() else digits


_LONG_DECODER = json.JSONDecoder(parse_int=_long_integer)


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


NumberedLines = Iterator[tuple[int, bytes | None]]


class TextDecoder:
    """The text of a file's rows: UTF-8, or Windows-1252 where that is certain.

    A file is one or the other. ``contradicted`` gives the lines that were taken for Windows-1252
    once another line turns out to be UTF-8.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._utf8_line = 0
        self._western_lines: list[int] = []

    def text(self, data: bytes, line: int) -> str:
        """Raises UnicodeDecodeError for bytes that are neither."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            found = None if self._utf8_line else western(data)
            if found is None:
                raise
            if not self._western_lines:
                self._say("is not UTF-8 and is read as Windows-1252 (cp1252)")
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
    """Physical lines with their 1-based numbers; None stands for one too long to hold."""
    number, line, is_long = 1, bytearray(), False
    while chunk := file.read(CHUNK_BYTES):
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
    """A line without the byte order mark that begins a file, and in the middle of joined ones a line."""
    return bytes(line.removeprefix(codecs.BOM_UTF8))


def jsonl_rows(file: BinaryIO, max_bytes: int = MAX_LINE_BYTES, say: Say = unsaid) -> Rows:
    """One JSON value a line; blank lines are no rows.

    A file of a single value may be an object that holds all rows (`pacore.problems.formats.documents`).
    Raises BadInput for objects spread over several lines each.
    """
    decoder = TextDecoder(say)
    given = _not_blank(lines(file, max_bytes))
    first = next(given, None)
    if first is None:
        return
    row = _decoded(*first, decoder, max_bytes)
    if isinstance(row, RowFault) and first[1] is not None:
        # Broken lines of a file of lines are reported one by one, anything else as one thing.
        tried = [first, *islice(given, LINES_TRIED - 1)]
        if not any(_is_object(line) for _, line in tried):
            yield from _spread_rows(chain(tried, given), decoder)
            return
        given = chain(tried[1:], given)
    second = next(given, None)
    if second is None and isinstance(row, Row):
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
    """The rows of one JSON value that is spread over lines, or one fault where it is none."""
    held, last = bytearray(), 1
    for number, line in given:
        # Blank lines were left out, and places in the text are told by line.
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
        yield from _document_rows(Row(1, value))


def _document_rows(row: Row) -> Rows:
    """The rows that a file's only value holds, by their number; the value itself where it is a row."""
    held = document_rows(row.value)
    if held is None:
        yield row
        return
    for number, value in enumerate(held, 1):
        yield _unwrapped(number, value)


def _unwrapped(line: int, value: Any) -> Row | RowFault:
    """A row out of what the hub's server puts around it."""
    value, cut_off = unwrapped_row(value)
    if cut_off:
        return RowFault(
            line, f"the server that sent it has cut off {', '.join(map(ascii, cut_off))}"
        )
    return Row(line, value)


def _decoded(
    number: int, line: bytes | None, decoder: TextDecoder, max_bytes: int
) -> Row | RowFault:
    if line is None:
        return RowFault(number, f"line {too_long(max_bytes)}")
    try:
        return _unwrapped(number, decode_json(decoder.text(line, number)))
    except UnicodeDecodeError as fault:
        return RowFault(number, f"{NOT_UTF8} at byte {fault.start + 1}; {CONVERT}")
    except (ValueError, RecursionError) as fault:
        return RowFault(number, json_fault(fault, 0))


def decode_json(text: str) -> Any:
    """The one JSON value that a text is. Raises ValueError and RecursionError."""
    value, end = decoded_value(text, 0)
    if end != len(text) and (more := _end_of_space(text, end)) != len(text):
        raise json.JSONDecodeError("Extra data", text, more)
    return value


def decoded_value(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at ``start``, and where it ends. Raises as `decode_json` does.

    A whole number longer than Python converts stays text.
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
    """Why text is not JSON, in one line; places count from ``start``."""
    if isinstance(fault, json.JSONDecodeError):
        return f"invalid JSON: {fault.msg} at character {fault.pos - start + 1}"
    if isinstance(fault, RecursionError):
        return "invalid JSON: nested too deeply"
    return f"invalid JSON: {str(fault).partition(';')[0]}"


def json_rows(file: BinaryIO, max_bytes: int = MAX_LINE_BYTES, say: Say = unsaid) -> Rows:
    """The items of one JSON array; after invalid JSON nobody knows where the next one begins.

    Raises BadInput when the file holds something else.
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
        yield RowFault(number, "invalid JSON: something follows the array")
    yield from text.decoder.contradicted()


class _Text:
    """The text of a JSON file, read as far as the item at hand needs."""

    def __init__(self, file: BinaryIO, max_bytes: int, decoder: TextDecoder) -> None:
        self.decoder = decoder
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
            self._start = _end_of_space(self._held, self._start)
            if self._waiting or self._is_whole:
                break
            self._grow()
        found = self._held[self._start : self._start + 1]
        self._start += 0 if is_peek else len(found)
        return found

    def item(self, number: int) -> Any:
        """Decode the value that comes next, the ``number``-th.

        Raises ValueError, saying in one line why there is no such value; UnicodeDecodeError for one
        that is there and is no text.
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
        said = self._held[start:end]
        if said.isascii():
            return value
        # Only the bytes tell a file of another encoding, and whether this one has been UTF-8 so far.
        text = self.decoder.text(said.encode("utf-8", "surrogateescape"), number)
        return decode_json(text) if UNDECODED.search(said) else value
