"""Local copies of the files to import, so that the checked and the imported content are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pacore.errors import BadInput
from pacore.problems.files import ReadLimits, rows_in
from pacore.problems.formats.rows import Rows
from pacore.store.backends.sources import open_source, source_faults, unread

MAX_ROW_BYTES = 512 * 1024 * 1024
"""Longest row, which may have all trajectories of a problem: 37 of 131,072 tokens are about 20 MB."""

_COPY_BYTES = 1024 * 1024

LARGE_ROWS = ReadLimits(
    max_bytes=MAX_ROW_BYTES,
    batch_rows=8,
    refused="trajectories come as JSONL, JSON or Parquet, not as CSV",
)


@dataclass(frozen=True)
class SourceFile:
    """The copy of one file, made when the import began; read repeatedly, with one row in memory."""

    url: str
    path: Path
    sha256: str

    def rows(self) -> Rows:
        """Every row in order. Raises BadInput for a file that cannot be read."""
        with self.path.open("rb") as file:
            yield from rows_in(file, self.url, LARGE_ROWS)


@contextmanager
def sources(*urls: str) -> Iterator[list[SourceFile]]:
    """Temporary copies of files at local paths or any fsspec URL, deleted at the end of the context.

    Raises BadInput for one that cannot be opened.
    """
    with TemporaryDirectory(prefix="pacore-import-") as folder:
        yield [_copied(url, Path(folder) / str(number)) for number, url in enumerate(urls)]


def _copied(url: str, path: Path) -> SourceFile:
    sha256 = hashlib.sha256()
    with open_source(url) as source, path.open("wb") as copy:
        try:
            while chunk := source.read(_COPY_BYTES):
                sha256.update(chunk)
                copy.write(chunk)
        except source_faults() as fault:
            raise BadInput(unread(url, fault)) from fault
    return SourceFile(url, path, sha256.hexdigest())
