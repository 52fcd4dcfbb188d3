"""Read-only files over ranges of stored values, by which DuckDB and Arrow read object storage.

The file system has the values that were registered and no others. It cannot list a bucket, read
another key, or write; and as sizes come from commits and values never change, the only requests to
the service are for the bytes that are read.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from fsspec import AbstractFileSystem

from pacore.errors import PacoreError

SCHEME = "pacore"

WHOLE_BYTES = 256 * 1024
"""Values up to this size are read in one request and kept: a request costs more than the memory."""

KEPT_BYTES = 64 * 1024 * 1024

AT_ONCE = 16

_UNCHANGING = datetime(2000, 1, 1, tzinfo=UTC)

ReadRange = Callable[[str, int, int], bytes]
"""(key, first byte, byte after the last) to bytes. Raises StoreError."""


class RangeFile(io.RawIOBase):
    """One value, a request for each read."""

    def __init__(self, read_range: ReadRange, key: str, size_bytes: int) -> None:
        super().__init__()
        self._read_range = read_range
        self._key = key
        self.size = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        stop = self.size
        if size is not None and size >= 0:
            stop = min(self.size, self._position + size)
        if stop <= self._position:
            return b""
        data = self._read_range(self._key, self._position, stop)
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


class RangeFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The values admitted, as ``pacore://<key>``.

    ``failed`` is what kept one from being read: an engine that reads through this makes another
    error of it.
    """

    protocol = SCHEME
    cachable = False

    def __init__(self, read_range: ReadRange, size_of: Callable[[str], int]) -> None:
        super().__init__()
        self._read_range = read_range
        self._size_of = size_of
        self._sizes: dict[str, int] = {}
        self._kept: dict[str, bytes] = {}
        self._begun: set[str] = set()
        self._lock = threading.Lock()
        self.failed: PacoreError | None = None

    @property
    def filesystem(self) -> RangeFiles:
        return self

    def admit(self, key: str, size_bytes: int | None = None) -> str:
        self._sizes[key] = self._size_of(key) if size_bytes is None else size_bytes
        return f"{SCHEME}://{key}"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        key = str(self._strip_protocol(path))
        if key not in self._sizes:
            raise FileNotFoundError(path)
        return {"name": key, "size": self._sizes[key], "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        return str(self._strip_protocol(path)) in self._sizes

    def isfile(self, path: str) -> bool:
        return self.exists(path)

    def isdir(self, path: str) -> bool:  # noqa: ARG002
        return False

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: ARG002
        raise PermissionError(path)

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path] if self.exists(path) else []

    def modified(self, path: str) -> datetime:  # noqa: ARG002
        return _UNCHANGING

    def open(self, path: str, mode: str = "rb", **_: Any) -> RangeFile:
        if mode not in ("rb", "r"):
            raise PermissionError(path)
        info = self.info(path)
        return RangeFile(self._read, info["name"], info["size"])

    def _read(self, key: str, start: int, stop: int) -> bytes:
        try:
            if self._sizes[key] <= WHOLE_BYTES:
                self._keep(key)
            kept = self._kept.get(key)
            return self._read_range(key, start, stop) if kept is None else kept[start:stop]
        except PacoreError as fault:
            self.failed = fault
            raise

    def _keep(self, key: str) -> None:
        """Read a small value completely, and with the second one of a folder all of that folder.

        An engine reads one file of a table for its columns; if it reads another it reads all of them,
        and one after the other each would take a round trip.
        """
        with self._lock:
            if key in self._kept:
                return
            folder, wanted = key.rpartition("/")[0], [key]
            if folder in self._begun:
                small = (other for other, size in self._sizes.items() if size <= WHOLE_BYTES)
                beside = (other for other in small if other.rpartition("/")[0] == folder)
                wanted += [other for other in beside if other not in self._kept and other != key]
            self._begun.add(folder)
            room = KEPT_BYTES - sum(map(len, self._kept.values()))
            chosen = []
            for other in wanted:
                room -= self._sizes[other]
                if room < 0:
                    break
                chosen.append(other)
            if chosen:
                with ThreadPoolExecutor(min(AT_ONCE, len(chosen)), "ranges") as threads:
                    found = threads.map(
                        lambda one: self._read_range(one, 0, self._sizes[one]), chosen
                    )
                    self._kept.update(zip(chosen, found, strict=True))
