"""A folder as a store."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from pacore.errors import PacoreError, StoreError, StoreFull
from pacore.store.backends.protocol import Stored, checked_key
from pacore.text import near_names, visible

TEMPORARY = ".tmp"

_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


_FULL = (errno.ENOSPC, errno.EDQUOT)

MOST_NEAR = 3
"""Files that a message names."""


def near_places(typed: str) -> str:
    """Which files or folders a path that is not there may mean, to be put after "no such file"."""
    place = Path(typed)
    try:
        there = os.listdir(place.parent.expanduser())
    except OSError:
        return ""
    # The ending is left out: of many files it is the same, and of one it may be what is wrong.
    stems: dict[str, list[str]] = {}
    for name in sorted(there):
        stems.setdefault(Path(name).stem, []).append(name)
    alike = [place.stem] if place.stem in stems else near_names(place.stem, stems)
    near = [visible(str(place.parent / name)) for stem in alike for name in stems[stem]][:MOST_NEAR]
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def full(path: Path, fault: OSError, size_bytes: int | None = None) -> StoreFull | None:
    """What to raise where a file, of ``size_bytes`` if known, finds no room; None for another fault."""
    if fault.errno not in _FULL:
        return None
    reason = os.strerror(fault.errno).lower()
    needs = "" if size_bytes is None else f"{size_bytes:,} bytes are needed, "
    place = next(folder for folder in path.parents if folder.exists())
    free_bytes = shutil.disk_usage(place).free
    return StoreFull(
        f"{path}: cannot be written: {reason}: {needs}{free_bytes:,} bytes are free; what is finished is "
        "in the store, and the same command goes on once there is room"
    )


class LocalReader:
    """Local files are read in place."""

    filesystem = None

    def __init__(self, store: LocalBackend) -> None:
        self._store = store
        self.failed: PacoreError | None = None

    def admit(self, key: str, size_bytes: int | None = None) -> str:  # noqa: ARG002
        return self._store.uri(key)


class LocalBackend:
    """A folder. Files appear by rename or hard link after fsync, so that none is ever incomplete."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known_folders: set[Path] = set()

    @property
    def url(self) -> str:
        return str(self.root)

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)

    def _folder_of(self, path: Path) -> Path:
        folder = path.parent
        if folder not in self._known_folders:
            folder.mkdir(parents=True, exist_ok=True)
            self._known_folders.add(folder)
        return folder

    def scratch(self) -> Path:
        """A folder on the same file system, so that publishing is a rename."""
        folder = self.root / TEMPORARY
        with self._explained():
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def _explained(self, path: Path | None = None, size_bytes: int | None = None) -> Iterator[None]:
        """Raise StoreError, in one line, for an OSError; a removed folder is created again later.

        Where the file ``path`` finds no room that is StoreFull.
        """
        try:
            yield
        except OSError as fault:
            self._known_folders.clear()
            if found := full(path or self.root / TEMPORARY, fault, size_bytes):
                raise found from fault
            reason = (fault.strerror or type(fault).__name__).lower()
            if fault.errno in _NO_LINKS:
                reason += "; a store needs a file system with hard links"
            raise StoreError(f"{self.root}: cannot be used: {reason}") from fault

    def _write_temporary(self, data: bytes) -> Path:
        temporary = self.root / TEMPORARY / secrets.token_hex(8)
        self._folder_of(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except BaseException:
            os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)
        return temporary

    def put(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with self._explained(path, len(data)):
            folder = self._folder_of(path)
            os.replace(self._write_temporary(data), path)
            _sync_folder(folder)

    def put_file(self, key: str, source: Path) -> None:
        path = self._path(key)
        with self._explained(path):
            folder = self._folder_of(path)
            descriptor = os.open(source, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            # The collector leaves young files alone, and a file that is published again is young again.
            os.utime(source)
            os.replace(source, path)
            _sync_folder(folder)

    def put_new(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        with self._explained(path, len(data)):
            folder = self._folder_of(path)
            temporary = self._write_temporary(data)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            finally:
                os.unlink(temporary)
            _sync_folder(folder)
        return True

    def get(self, key: str) -> bytes:
        path = self._path(key)
        with self._explained():
            try:
                return path.read_bytes()
            except _ABSENT:
                raise KeyError(key) from None

    def get_many(self, keys: Sequence[str]) -> Sequence[bytes]:
        return [self.get(key) for key in keys]

    def find_many(self, keys: Iterable[str]) -> Iterator[bytes | None]:
        for key in keys:
            try:
                yield self.get(key)
            except KeyError:
                yield None

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def stat(self, key: str) -> Stored:
        path = self._path(key)
        with self._explained():
            try:
                found = path.stat()
            except _ABSENT:
                raise KeyError(key) from None
        if not S_ISREG(found.st_mode):
            raise KeyError(key)
        return Stored(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def list(self, prefix: str) -> Iterator[str]:
        found = []
        for folder, _, names in os.walk(self._path(prefix.rstrip("/"))):
            below = Path(folder).relative_to(self.root).as_posix()
            found += [f"{below}/{name}" for name in names]
        yield from sorted(found)

    def entries(self, prefix: str) -> Iterator[Stored]:
        for key in self.list(prefix):
            try:
                yield self.stat(key)
            except KeyError:
                continue

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._explained():
            path.unlink(missing_ok=True)

    def uri(self, key: str) -> str:
        return str(self._path(key))

    def open(self, key: str) -> BinaryIO:
        path = self._path(key)
        with self._explained():
            try:
                return path.open("rb")
            except _ABSENT:
                raise KeyError(key) from None

    @contextmanager
    def local_path(self, key: str) -> Iterator[str]:
        path = self._path(key)
        if not path.is_file():
            raise StoreError(f"{key}: is missing from the store")
        yield str(path)

    def reader(self) -> LocalReader:
        return LocalReader(self)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
