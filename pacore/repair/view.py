"""A store as a repair sees it: what is broken is absent, and what is made in its place is there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from pacore.core.identity import canonical_json
from pacore.repair.broken import Broken
from pacore.store.backends.protocol import Backend, Reader, Stored
from pacore.store.layout import Unit, commit_key, unit_of_commit, unit_of_data


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
        self._taken: Unit | None = None
        self.done: dict[Unit, bool] = {}
        """The units made again, and whether byte for byte."""

    def take(self, unit: Unit) -> None:
        """From here on take what is published of this unit, and nothing else that comes with it."""
        self._taken = unit

    def _of_taken(self) -> Broken:
        assert self._taken is not None
        return self._broken[self._taken]

    def _as_published(self, key: str) -> tuple[Unit, str]:
        """The unit and key under which the taken unit's data file, which stages call ``key``, stands.

        They are those it had where the content is what it was.
        """
        one = self._of_taken()
        if one.path is not None and _digest(one.path) != _digest(key):
            before = one.commit.unit.repair if one.commit else 0
            repaired = one.unit._replace(repair=before + 1)
            return repaired, key.replace(f"/{one.unit.name}-", f"/{repaired.name}-")
        return (one.commit.unit if one.commit else one.unit), one.path or key

    def put_file(self, key: str, source: Path) -> None:
        unit = unit_of_data(key)
        if unit is not None and unit != self._taken:
            source.unlink()
        else:
            self._store.put_file(key if unit is None else self._as_published(key)[1], source)

    def put_new(self, key: str, data: bytes) -> bool:
        unit = unit_of_commit(key)
        if unit is None:
            return self._store.put_new(key, data)
        if unit == self._taken:
            self._commit(key, json.loads(data))
        return True

    def _commit(self, key: str, record: dict[str, Any]) -> None:
        """Commit the taken unit, unless the commit that it has says all this already."""
        one = self._of_taken()
        (file,) = record["files"]
        unit, path = self._as_published(file["path"])
        self.done[one.unit] = one.commit is not None and file["sha256"] == one.commit.sha256
        if one.commit is None:
            # What is there is no commit, or it would have been read as one.
            self._store.delete(key)
            if unit.repair:
                # Snapshots list the file it had.
                self._store.put_new(key, canonical_json({**record, "files": [one.listed]}))
        if not self.done[one.unit]:
            record = {**record, "files": [{**file, "path": path}]}
            record |= {"repair": unit.repair} if unit.repair else {}
            self._store.put_new(commit_key(unit), canonical_json(record))
        self._made[key] = self._store.get(commit_key(unit))

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
