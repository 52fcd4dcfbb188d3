"""Decompresses and decodes a file, or refuses one that has no rows.

The first bytes decide, not the name: a `.json` may have lines, a `.csv` may be Excel's UTF-16, and a
download may be a web page. The result is UTF-8, or a `BadInput` with the file's kind and what to do.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple, cast

import zstandard

from pacore.errors import BadInput

HEAD_BYTES = 64 * 1024

PARQUET_MAGIC = b"PAR1"
"""What a Parquet file begins with, and ends with."""

_COPY_BYTES = 1024 * 1024

READ_FAULTS: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    zipfile.BadZipFile,
)
"""Exceptions raised while reading a file that is damaged, truncated or unreachable."""


class OpenedFile(NamedTuple):
    """A file, positioned at its first byte, and its first `HEAD_BYTES` bytes."""

    file: BinaryIO
    head: bytes


class PrefixedFile(io.RawIOBase):
    """A file that cannot seek, preceded by the bytes that were already read from it."""

    def __init__(self, head: bytes, file: Any) -> None:
        super().__init__()
        self._head = head
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if not self._head:
            return cast(bytes, self._file.read(size))
        if size is None or size < 0:
            found, self._head = self._head + bytes(self._file.read()), b""
        else:
            found, self._head = self._head[:size], self._head[size:]
        return found

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


class _ConvertedFile(io.RawIOBase):
    """A file whose bytes are converted while they are read, a bounded piece at a time."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        is_all = size is None or size < 0
        pieces = [self._waiting]
        length = len(self._waiting)
        while is_all or length < cast(int, size):
            chunk = self._file.read(HEAD_BYTES)
            converted = b"".join(self._converted(chunk))
            pieces.append(converted)
            length += len(converted)
            if not chunk:
                break
        whole = b"".join(pieces)
        cut = len(whole) if is_all else cast(int, size)
        self._waiting = whole[cut:]
        return whole[:cut]

    def _converted(self, chunk: bytes) -> Iterator[bytes]:
        """The converted bytes of a chunk; of an empty one at the end of the file."""
        raise NotImplementedError


class Utf8File(_ConvertedFile):
    """A file converted to UTF-8.

    ``encoding`` is that of the file; with None it is left unchanged, and carriage returns are replaced
    by line feeds. Raises BadInput for bytes that are invalid in the encoding.
    """

    def __init__(self, file: BinaryIO, encoding: str | None) -> None:
        super().__init__(file)
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding or "latin-1")("strict")

    def _converted(self, chunk: bytes) -> Iterator[bytes]:
        if self._encoding is None:
            yield chunk.replace(b"\r", b"\n")
            return
        try:
            yield self._decoder.decode(chunk, final=not chunk).encode()
        except UnicodeError as fault:
            named = self._encoding.upper()
            raise BadInput(f"is not {named}, although its first bytes are") from fault


def open_as_utf8(file: BinaryIO) -> OpenedFile:
    """A file decompressed and in UTF-8. Raises BadInput for one that has no rows."""
    found = with_head(file, is_source=True)
    for _ in range(2):
        unpack = next((open_ for magic, open_ in _PACKED if found.head.startswith(magic)), None)
        if unpack is None:
            break
        found = with_head(unpack(found.file))
    if what := _no_rows(found):
        raise BadInput(what)
    return _in_utf8(found)


def with_head(file: BinaryIO, *, is_source: bool = False) -> OpenedFile:
    """A file and its first bytes, which are read again from it; a source that can seek still can.

    Decompressed and recoded files are not seeked in: a decompressor whose seek fails loses the data
    that it has read.
    """
    head = b""
    while len(head) < HEAD_BYTES and (chunk := file.read(HEAD_BYTES - len(head))):
        head += chunk
    if is_source:
        try:
            file.seek(0)
        except (OSError, ValueError):
            pass
        else:
            return OpenedFile(file, head)
    return OpenedFile(cast(BinaryIO, PrefixedFile(head, file)), head)


@contextmanager
def seekable(file: BinaryIO) -> Iterator[BinaryIO]:
    """The file itself where it can seek, else a temporary copy for the duration of the context."""
    try:
        file.seek(0)
    except (OSError, ValueError):
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy, _COPY_BYTES)
            copy.seek(0)
            yield cast(BinaryIO, copy)
    else:
        yield file


def _gunzip(file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb"))


class _Unzstd(_ConvertedFile):
    """Decompressed zstd frames; the library's own reader does not detect a truncated file."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._is_begun = False

    def _converted(self, chunk: bytes) -> Iterator[bytes]:
        """The decompressed bytes of a chunk, which may end one frame and begin the next."""
        if not chunk and self._is_begun:
            raise EOFError("the compressed file is cut short")
        while chunk:
            yield self._frame.decompress(chunk)
            self._is_begun = not self._frame.eof
            chunk = self._frame.unused_data
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()


def _bunzip2(file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, bz2.BZ2File(file))


def _unxz(file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, lzma.LZMAFile(file))


_PACKED: tuple[tuple[bytes, Callable[[BinaryIO], BinaryIO]], ...] = (
    (b"\x1f\x8b\x08", _gunzip),
    (b"\x28\xb5\x2f\xfd", lambda file: cast(BinaryIO, _Unzstd(file))),
    (b"BZh", _bunzip2),
    (b"\xfd7zXZ\0", _unxz),
)

PACKED_ENDINGS = (".gz", ".zst", ".zstd", ".bz2", ".xz")


# Files without rows.

_LFS = re.compile(rb"version https://git-lfs\.github\.com/spec/.*?\nsize (?P<size>\d+)", re.DOTALL)

_ANNEX = re.compile(rb"[./]*(?:\.git)?/annex/objects/")

_MARKUP = re.compile(
    rb"\s*(?:<!--.*?-->\s*)*<(?P<tag>!doctype html|html|head|body|\?xml|error)\b", re.I | re.DOTALL
)

_AS_CSV = "export the sheet as CSV (UTF-8)"

_AS_PARQUET = "write it as Parquet"

_KINDS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(start, re.DOTALL), what)
    for start, what in (
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"an Excel workbook; {_AS_CSV}"),
        (rb"%PDF-", "a PDF document"),
        (rb"SQLite format 3\0", "an SQLite database; export its table as CSV"),
        (rb"ARROW1|\xff\xff\xff\xff", f"an Arrow file; {_AS_PARQUET}"),
        (rb"Obj\x01", f"an Avro file; {_AS_PARQUET}"),
        (rb"ORC", f"an ORC file; {_AS_PARQUET}"),
        (rb"\x93NUMPY", f"a NumPy array; {_AS_PARQUET}"),
        (rb"\x89HDF", f"an HDF5 file; {_AS_PARQUET}"),
        (rb"\x80[\x02-\x05]", "a pickle, which is never read; write its rows as JSONL or Parquet"),
        (rb"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
        (rb"Rar!\x1a\x07", "a RAR archive; unpack it first"),
        (rb".{257}ustar", "a tar archive; unpack it first"),
    )
)


def _no_rows(found: OpenedFile) -> str | None:
    """The message for a file that has no rows; None for one that may have some."""
    head = found.head
    if pointer := _LFS.match(head):
        size = int(pointer["size"])
        return f"is a Git LFS pointer, not the file of {size:,} bytes itself; `git lfs pull` fetches it"
    if _ANNEX.match(head):
        return "is a git-annex pointer, not the file itself; `git annex get` fetches it"
    if markup := _MARKUP.match(head):
        if markup["tag"].lower() in (b"?xml", b"error"):
            return "is XML, perhaps a server's error saved in place of the file"
        return (
            "is a web page (HTML) saved in place of the file; on the Hugging Face hub the file "
            "itself is at /resolve/, its page at /blob/"
        )
    if head.startswith(b"PK\x03\x04"):
        return _archive(found)
    what = next((what for start, what in _KINDS if start.match(head)), None)
    return None if what is None else f"is {what}"


def _archive(found: OpenedFile) -> str:
    """The message for a zip file, by the names in it."""
    try:
        with seekable(found.file) as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "is a zip archive that is cut short"
    if any(name.startswith("xl/") for name in names):
        return f"is an Excel workbook; {_AS_CSV}"
    if "content.xml" in names and "mimetype" in names:
        return f"is an OpenDocument sheet; {_AS_CSV}"
    if any(name.endswith(".iwa") for name in names):
        return f"is a Numbers sheet; {_AS_CSV}"
    shown = ", ".join(ascii(name)[1:-1] for name in names[:3]) + (", …" if names[3:] else "")
    return f"is a zip archive of {shown}; name a file in it as zip://NAME::ARCHIVE"


# Encodings.

_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_UNMARKED: tuple[tuple[re.Pattern[bytes], str], ...] = (
    # Text that begins with two ASCII characters, as JSON and headers do.
    (re.compile(rb"[\t-\x7e]\0\0\0[\t-\x7e]\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0\0\0[\t-\x7e]\0\0\0[\t-\x7e]"), "utf-32-be"),
    (re.compile(rb"[\t-\x7e]\0[\t-\x7e]\0"), "utf-16-le"),
    (re.compile(rb"\0[\t-\x7e]\0[\t-\x7e]"), "utf-16-be"),
)


def _in_utf8(found: OpenedFile) -> OpenedFile:
    head = found.head
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if encoding is None:
        encoding = next((name for start, name in _UNMARKED if start.match(head)), None)
    if encoding is not None:
        found = with_head(cast(BinaryIO, Utf8File(found.file, encoding)))
    text = found.head
    if b"\r" in text and b"\n" not in text and not text.startswith(b"PAR1"):
        return with_head(cast(BinaryIO, Utf8File(found.file, None)))
    return found


_WESTERN = re.compile("[\u20ac‚„…‘’“”•–—™œŒ\u00a0-ÿ]")  # noqa: RUF001

_RUN = re.compile(r"[^\x00-\x7f]{3}")

_ODD_CASE = re.compile(r"[a-zß-öø-ÿ][À-ÖØ-Þ]")


def western(data: bytes) -> str | None:
    """The text of bytes that are unambiguously Windows-1252, a Western single-byte encoding; else None.

    In Western languages accented letters and typographic marks occur alone or in pairs among ASCII;
    other encodings decoded as Windows-1252 have runs of them, unusual cases, or invalid characters.
    """
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    others = [character for character in text if character > "\x7f"]
    is_certain = all(_WESTERN.match(character) for character in others)
    return text if is_certain and not _RUN.search(text) and not _ODD_CASE.search(text) else None
