"""The store: bytes under keys, written whole or not at all.

Keys are ``/``-separated names below a root. Nothing is ever written through an open handle that a
reader could see: `put` and `put_new` take whole values. A local folder is the backend; a backend is
the small `Backend` protocol, so that object storage adds one class and changes nothing above it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import fsspec

from pacore.errors import BadInput, Refused, StoreError

TEMPORARY = ".tmp"


class Backend(Protocol):
    """What a place to keep bytes must do; keys are relative and already checked.

    ``put_new`` is put-if-absent: of any number of racing calls exactly one returns True. ``get``
    and ``size`` raise KeyError for an absent key. ``list`` yields keys below a prefix in order.
    """

    def put(self, key: str, data: bytes) -> None: ...

    def put_file(self, key: str, source: Path) -> None: ...

    def put_new(self, key: str, data: bytes) -> bool: ...

    def get(self, key: str) -> bytes: ...

    def exists(self, key: str) -> bool: ...

    def list(self, prefix: str) -> Iterator[str]: ...

    def uri(self, key: str) -> str: ...

    def scratch(self) -> Path: ...


class LocalBackend:
    """A folder. Files appear by rename or hard link after fsync, so a kill leaves whole files only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known_folders: set[Path] = set()

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not key or any(part in ("", ".", "..") or "\x00" in part for part in parts):
            raise StoreError(f"{key!r} is not a key of a store")
        return self.root / key

    def _folder_of(self, path: Path) -> Path:
        folder = path.parent
        if folder not in self._known_folders:
            folder.mkdir(parents=True, exist_ok=True)
            self._known_folders.add(folder)
        return folder

    def scratch(self) -> Path:
        """A folder on the same file system for files under construction."""
        folder = self.root / TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _write_temporary(self, data: bytes) -> Path:
        path = self.scratch_path
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)
        return path

    @property
    def scratch_path(self) -> Path:
        folder = self.root / TEMPORARY
        if folder not in self._known_folders:
            folder.mkdir(parents=True, exist_ok=True)
            self._known_folders.add(folder)
        return folder / secrets.token_hex(8)

    def put(self, key: str, data: bytes) -> None:
        path = self._path(key)
        folder = self._folder_of(path)
        os.replace(self._write_temporary(data), path)
        _sync_folder(folder)

    def put_file(self, key: str, source: Path) -> None:
        """Move a finished local file of the scratch folder under ``key``."""
        path = self._path(key)
        folder = self._folder_of(path)
        descriptor = os.open(source, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(source, path)
        _sync_folder(folder)

    def put_new(self, key: str, data: bytes) -> bool:
        path = self._path(key)
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
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise KeyError(key) from None

    def exists(self, key: str) -> bool:
        return self._path(key).exists()

    def list(self, prefix: str) -> Iterator[str]:
        folder = self._path(prefix.rstrip("/"))
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(self.root).as_posix()

    def uri(self, key: str) -> str:
        return str(self._path(key))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_store(url: str) -> Backend:
    """The store at ``url``. Nothing is created until something is put.

    Raises Refused for a URL whose backend is not built in, BadInput for a path that is a file.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme != "file":
        raise Refused(f"--store {url}: only a local folder can be a store so far")
    root = Path(rest if separator else url).expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise BadInput(f"--store {url}: is a file, not a folder")
    return LocalBackend(root)


def open_source(url: str) -> BinaryIO:
    """Open someone else's file for reading, local or any fsspec URL.

    Raises BadInput naming the URL when it cannot be opened.
    """
    try:
        opened = fsspec.open(url, "rb").open()
    except FileNotFoundError:
        raise BadInput(f"{url}: no such file") from None
    except (OSError, ValueError, ImportError) as fault:
        raise BadInput(f"{url}: cannot be opened: {fault}") from fault
    return cast(BinaryIO, opened)
