"""A local copy of somebody's file, so that what is checked is what is imported, and its sha256."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast

from pacore.errors import BadInput
from pacore.problem_csv import csv_rows
from pacore.problem_files import file_format, parquet_rows
from pacore.problem_formats import Rows, json_rows, jsonl_rows
from pacore.store import open_source

MAX_ROW_BYTES = 512 * 1024 * 1024
"""A row may hold every trajectory of a problem: 37 of 131,072 tokens are some 20 MB."""

COPY_BYTES = 1024 * 1024
PARQUET_ROWS = 8

_LARGE_ROWS: dict[Callable[[BinaryIO], Rows], Callable[[BinaryIO], Rows]] = {
    jsonl_rows: partial(jsonl_rows, max_bytes=MAX_ROW_BYTES),
    json_rows: partial(json_rows, max_bytes=MAX_ROW_BYTES),
    parquet_rows: partial(parquet_rows, batch_rows=PARQUET_ROWS),
}


@dataclass(frozen=True)
class Source:
    """One file as it was when the import began: read as often as needed, a row in memory."""

    url: str
    path: Path
    sha256: str

    def rows(self) -> Rows:
        """Every row in order. Raises BadInput for a file that cannot be read at all."""
        rows_of, compressed = file_format(self.url)
        if rows_of is csv_rows:
            raise BadInput(f"{self.url}: trajectories come as JSONL, JSON or Parquet, not as CSV")
        with ExitStack() as stack:
            file: BinaryIO = stack.enter_context(self.path.open("rb"))
            if compressed:
                file = cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=file, mode="rb")))
            try:
                yield from _LARGE_ROWS[rows_of](file)
            except BadInput as fault:
                raise BadInput(f"{self.url}: {fault}") from fault
            except (OSError, EOFError, zlib.error) as fault:
                raise BadInput(f"{self.url}: cannot be read: {fault}") from fault


@contextmanager
def sources(*urls: str) -> Iterator[list[Source]]:
    """Local copies of files, local ones or behind any fsspec URL, for as long as the context lasts.

    Raises BadInput for one that cannot be opened or whose ending nobody knows.
    """
    with TemporaryDirectory(prefix="pacore-import-") as folder:
        yield [_copied(url, Path(folder) / str(number)) for number, url in enumerate(urls)]


def _copied(url: str, path: Path) -> Source:
    file_format(url)
    sha256 = hashlib.sha256()
    with open_source(url) as source, path.open("wb") as copy:
        try:
            while chunk := source.read(COPY_BYTES):
                sha256.update(chunk)
                copy.write(chunk)
        except OSError as fault:
            raise BadInput(f"{url}: cannot be read: {fault}") from fault
    return Source(url, path, sha256.hexdigest())
