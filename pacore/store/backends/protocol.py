"""What a store must do, and which keys it may have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from pacore.errors import PacoreError, StoreError


@dataclass(frozen=True, slots=True)
class Stored:
    """One value of a store: its key, its size, and when it was last written (UTC)."""

    key: str
    bytes: int
    modified_at: datetime


class Reader(Protocol):
    """How an engine that opens files itself (DuckDB) reads a store's values, and no others.

    ``filesystem`` is what it has to be given for that, an fsspec file system, or None where paths
    are local. ``admit`` returns the path of a value for it; ``size_bytes`` saves asking. ``failed``
    is why a value could not be read, as far as the store knows.
    """

    failed: PacoreError | None

    @property
    def filesystem(self) -> Any | None: ...

    def admit(self, key: str, size_bytes: int | None = None) -> str: ...


class Backend(Protocol):
    """A store. Safe to use from many threads, and the same place from many processes.

    ``put_new`` is put-if-absent: of any number of racing calls with different bytes exactly one
    returns True; with the same bytes, which it does not matter who wrote, more than one may. ``get``,
    ``get_many``, ``stat`` and ``open`` raise KeyError for an absent key. ``list`` yields the keys
    below a folder in order. Every method raises StoreError, one line, for a place that does not
    work; BadInput where it never has and the request itself is wrong, as without credentials.
    """

    @property
    def url(self) -> str: ...

    def put(self, key: str, data: bytes) -> None: ...

    def put_file(self, key: str, source: Path) -> None:
        """Publish a finished file of `scratch` under ``key``; the file itself is then removed."""

    def put_new(self, key: str, data: bytes) -> bool: ...

    def get(self, key: str) -> bytes: ...

    def get_many(self, keys: Sequence[str]) -> Sequence[bytes]: ...

    def find_many(self, keys: Iterable[str]) -> Iterator[bytes | None]:
        """Values in the order of their keys, None for an absent one; few are held at a time.

        A remote store gets requests side by side, and ahead of the reader.
        """

    def exists(self, key: str) -> bool: ...

    def stat(self, key: str) -> Stored: ...

    def list(self, prefix: str) -> Iterator[str]: ...

    def entries(self, prefix: str) -> Iterator[Stored]:
        """Like `list`, with sizes and times."""

    def delete(self, key: str) -> None:
        """Remove a value; one that is absent already is no error."""

    def uri(self, key: str) -> str:
        """The value's address for people and for other programs."""

    def open(self, key: str) -> BinaryIO:
        """The value as a seekable file that reads only the bytes that are read from it."""

    def local_path(self, key: str) -> AbstractContextManager[str]:
        """The value as a local file, for as long as the context lasts. Raises StoreError if absent."""

    def reader(self) -> Reader: ...

    def scratch(self) -> Path:
        """A local folder for files under construction."""


def checked_key(key: str) -> str:
    """The key itself. Raises StoreError for what could reach outside a store."""
    parts = key.split("/")
    if not key or any(part in ("", ".", "..") or "\x00" in part for part in parts):
        raise StoreError(f"{key!r} is not a key of a store")
    return key
