"""A store as a repair sees it: what is broken is absent, and what is made in its place is there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from pacore.identity import canonical_json
from pacore.layout import Unit, commit_key, unit_of_commit, unit_of_data
from pacore.repairing.broken import Broken
from pacore.store import Backend, Reader, Stored


class RepairView:
    """Stages publish into this as they do into a store, and it takes only what was broken.

    A commit whose file has the digest it had makes nothing but its file again. Another is put as the
    next repair of its unit, and its file under the name that says so.
    """

    def __init__(self, store: Backend, broken: Sequence[Broken]) -> None:
        self._store = store
        self._broken: Mapping[Unit, Broken] = {one.unit: one for one in broken}
        self._hidden = set()
        for one in broken:
            unit = one.commit.unit if one.commit else one.unit
            self._hidden |= {
                commit_key(unit._replace(repair=number)) for number in range(unit.repair + 1)
            }
        self._made: dict[str, bytes] = {}
        self.done: dict[Unit, bool] = {}
        """The units made again, and whether byte for byte."""

    def _repaired(self, unit: Unit) -> Unit:
        """The unit under which a file with other bytes is published."""
        commit = self._broken[unit].commit
        return unit if commit is None else unit._replace(repair=commit.unit.repair + 1)

    def _name(self, key: str, unit: Unit) -> str:
        """The key of a data file that a stage names ``key``, as it is published."""
        commit = self._broken[unit].commit
        if commit is not None and _digest(commit.path) == _digest(key):
            return commit.path
        return key.replace(f"/{unit.name}-", f"/{self._repaired(unit).name}-")

    def put_file(self, key: str, source: Path) -> None:
        unit = unit_of_data(key)
        if unit is None:
            self._store.put_file(key, source)
        elif unit in self._broken:
            self._store.put_file(self._name(key, unit), source)
        else:
            source.unlink()

    def put_new(self, key: str, data: bytes) -> bool:
        unit = unit_of_commit(key)
        if unit is None:
            return self._store.put_new(key, data)
        if unit not in self._broken:
            return False
        record, commit = json.loads(data), self._broken[unit].commit
        (file,) = record["files"]
        if commit is not None and file["sha256"] == commit.sha256:
            self._made[key] = self._store.get(commit_key(commit.unit))
            self.done[unit] = True
            return True
        file["path"] = self._name(file["path"], unit)
        repaired = self._repaired(unit)
        record |= {"repair": repaired.repair} if repaired.repair else {}
        stands = commit_key(repaired)
        if commit is None:
            # What is there is no commit, or it would have been read as one.
            self._store.delete(stands)
        self._store.put_new(stands, canonical_json(record))
        self._made[key] = self._store.get(stands)
        self.done[unit] = False
        return True

    def get(self, key: str) -> bytes:
        if key in self._made:
            return self._made[key]
        if key in self._hidden:
            raise KeyError(key)
        return self._store.get(key)

    def get_many(self, keys: Sequence[str]) -> Sequence[bytes]:
        if self._hidden.isdisjoint(keys):
            return self._store.get_many(keys)
        return [self.get(key) for key in keys]

    def exists(self, key: str) -> bool:
        return key in self._made or (key not in self._hidden and self._store.exists(key))

    def list(self, prefix: str) -> Iterator[str]:
        for key in self._store.list(prefix):
            if key not in self._hidden or key in self._made:
                yield key

    @property
    def url(self) -> str:
        return self._store.url

    def put(self, key: str, data: bytes) -> None:
        self._store.put(key, data)

    def find_many(self, keys: Iterable[str]) -> Iterator[bytes | None]:
        return self._store.find_many(keys)

    def stat(self, key: str) -> Stored:
        return self._store.stat(key)

    def entries(self, prefix: str) -> Iterator[Stored]:
        return self._store.entries(prefix)

    def delete(self, key: str) -> None:
        self._store.delete(key)

    def uri(self, key: str) -> str:
        return self._store.uri(key)

    def open(self, key: str) -> BinaryIO:
        return self._store.open(key)

    def local_path(self, key: str) -> AbstractContextManager[str]:
        return self._store.local_path(key)

    def reader(self) -> Reader:
        return self._store.reader()

    def scratch(self) -> Path:
        return self._store.scratch()


def _digest(path: str) -> str:
    """The part of a data file's name that its content gives it."""
    return path.rpartition("-")[2]
