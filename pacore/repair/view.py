"""A store as repairs use it: what is broken is absent, and what was recomputed in its place is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pacore.repair.broken import Broken
from pacore.store.backends.protocol import Backend, Reader, Stored
from pacore.store.commits import Commit
from pacore.store.layout import Unit, commit_key, unit_of_commit, unit_of_data
from pacore.store.records import decode, put_new


class RepairView:
    """Stages publish into this as they do into a store, and it stores only what was broken.

    A commit whose file has the digest it had only puts its file again. Another is put as the
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
        self._accepted: Unit | None = None
        self.done: dict[Unit, bool] = {}
        """The units that were recomputed, and whether their bytes are the same."""

    def accept(self, unit: Unit) -> None:
        """From now on store what is published of this unit, and nothing else that is published with it."""
        self._accepted = unit

    def _of_accepted(self) -> Broken:
        assert self._accepted is not None
        return self._broken[self._accepted]

    def _as_published(self, key: str) -> tuple[Unit, str]:
        """The unit and key of the accepted unit's data file, which stages call ``key``.

        They are those it had where the content is what it was.
        """
        one = self._of_accepted()
        if one.path is not None and _digest(one.path) != _digest(key):
            before = one.commit.unit.repair if one.commit else 0
            repaired = one.unit._replace(repair=before + 1)
            return repaired, key.replace(f"/{one.unit.name}-", f"/{repaired.name}-")
        return (one.commit.unit if one.commit else one.unit), one.path or key

    def put_file(self, key: str, source: Path) -> None:
        unit = unit_of_data(key)
        if unit is not None and unit != self._accepted:
            source.unlink()
        else:
            self._store.put_file(key if unit is None else self._as_published(key)[1], source)

    def put_new(self, key: str, data: bytes) -> bool:
        unit = unit_of_commit(key)
        if unit is None:
            return self._store.put_new(key, data)
        if unit == self._accepted:
            self._commit(key, decode(data, key, Commit))
        return True

    def _commit(self, key: str, made: Commit) -> None:
        """Commit the accepted unit, unless the commit that it has says all this already."""
        one = self._of_accepted()
        unit, path = self._as_published(made.path)
        self.done[one.unit] = one.commit is not None and made.file.sha256 == one.commit.file.sha256
        if one.commit is None:
            # What is there is no commit, or it would have been read as one.
            self._store.delete(key)
            if unit.repair and one.listed is not None:
                # Snapshots list the file it had.
                put_new(self._store, key, replace(made, files=(one.listed,)))
        if not self.done[one.unit]:
            file = replace(made.file, path=path)
            put_new(self._store, commit_key(unit), replace(made, files=(file,), repair=unit.repair))
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
