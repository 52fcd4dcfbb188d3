"""A local copy of somebody's file, so that what is checked is what is imported, and its sha256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pacore.errors import BadInput
from pacore.problems.files import HowRead, rows_in
from pacore.problems.formats.rows import Rows
from pacore.store.backends.sources import open_source, source_faults, unread

MAX_ROW_BYTES = 512 * 1024 * 1024
"""A row may hold every trajectory of a problem: 37 of 131,072 tokens are some 20 MB."""

COPY_BYTES = 1024 * 1024

LARGE_ROWS = HowRead(
    max_bytes=MAX_ROW_BYTES,
    batch_rows=8,
    refused="trajectories come as JSONL, JSON or Parquet, not as CSV",
)


@dataclass(frozen=True)
class Source:
    """One file as it was when the import began: read as often as needed, a row in memory."""

    url: str
    path: Path
    sha256: str

    def rows(self) -> Rows:
        """Every row in order. Raises BadInput for a file that cannot be read at all."""
        with self.path.open("rb") as file:
            yield from rows_in(file, self.url, LARGE_ROWS)


@contextmanager
def sources(*urls: str) -> Iterator[list[Source]]:
    """Local copies of files, local ones or behind any fsspec URL, for as long as the context lasts.

    Raises BadInput for one that cannot be opened.
    """
    with TemporaryDirectory(prefix="pacore-import-") as folder:
        yield [_copied(url, Path(folder) / str(number)) for number, url in enumerate(urls)]


def _copied(url: str, path: Path) -> Source:
    sha256 = hashlib.sha256()
    with open_source(url) as source, path.open("wb") as copy:
        try:
            while chunk := source.read(COPY_BYTES):
                sha256.update(chunk)
                copy.write(chunk)
        except source_faults() as fault:
            raise BadInput(unread(url, fault)) from fault
    return Source(url, path, sha256.hexdigest())
