"""Object storage as a store, through fsspec.

A request that fails for a passing reason (throttling, a time-out, a refused connection) is sent again
for some time; then it is a StoreError. Whether a put-if-absent came first is decided by reading the
value, where an earlier try of it may have arrived. Many values are requested side by side, a bounded
number ahead of the reader.
"""

from __future__ import annotations

import logging
import secrets
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay
from tenacity.wait import wait_random_exponential

from pacore.errors import BadInput, StoreError
from pacore.store.backends.faults import Kind, Meaning, meaning_of
from pacore.store.backends.protocol import Stored, checked_key
from pacore.store.backends.ranges import RangeFile, RangeFiles
from pacore.store.backends.services import Service

FIRST_PATIENCE_SECONDS = 8.0
"""How long requests to a store that never answered are repeated: its address may be wrong."""

PATIENCE_SECONDS = 120.0

WAIT_MAX_SECONDS = 10.0

SAID_EVERY_SECONDS = 10.0

_MODIFIED = ("LastModified", "last_modified", "mtime", "updated", "created")

_T = TypeVar("_T")

_log = logging.getLogger("pacore.store")

_in_memory = threading.Lock()


class _Passing(Exception):
    def __init__(self, meaning: Meaning) -> None:
        super().__init__(meaning.reason)
        self.meaning = meaning


class ObjectBackend:
    """A prefix of a bucket. ``root`` is the URL without its scheme."""

    def __init__(self, scheme: str, root: str, service: Service) -> None:
        self._scheme = scheme
        self._root = root
        self._service = service
        self._caught: tuple[type[BaseException], ...] = (OSError, *service.faults)
        self._has_answered = False
        self._said_at = float("-inf")
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self.patience_seconds = PATIENCE_SECONDS

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._root}"

    def _path(self, key: str) -> str:
        return f"{self._root}/{checked_key(key)}"

    def uri(self, key: str) -> str:
        return f"{self._scheme}://{self._path(key)}"

    def _request(self, call: Callable[[], _T]) -> _T:
        """What the service answers; requests that fail for a passing reason are sent again.

        Raises KeyError for what is absent, FileExistsError for what is there, StoreError, BadInput.
        """
        patience = self.patience_seconds
        if not self._has_answered:
            patience = min(patience, FIRST_PATIENCE_SECONDS)
        tries = Retrying(
            retry=retry_if_exception_type(_Passing),
            wait=wait_random_exponential(0.1, WAIT_MAX_SECONDS),
            stop=stop_after_delay(patience),
            before_sleep=partial(self._say_waiting, patience),
            reraise=True,
        )
        try:
            return tries(lambda: self._once(call))
        except _Passing as last:
            raise StoreError(f"{self.url}: {last.meaning.reason}") from last

    def _once(self, call: Callable[[], _T]) -> _T:
        try:
            found = call()
        except self._caught as fault:
            meaning = meaning_of(fault)
            if meaning.kind is Kind.PASSING:
                raise _Passing(meaning) from fault
            if meaning.kind is Kind.SETUP and not self._has_answered:
                raise BadInput(f"--store {self.url}: {meaning.reason}") from fault
            if meaning.kind is Kind.ABSENT:
                raise KeyError(meaning.reason) from fault
            if meaning.kind is Kind.EXISTS:
                raise FileExistsError(meaning.reason) from fault
            raise StoreError(f"{self.url}: {meaning.reason}") from fault
        self._has_answered = True
        return found

    def _say_waiting(self, patience: float, state: RetryCallState) -> None:
        now = time.monotonic()
        if state.outcome is None or now - self._said_at < SAID_EVERY_SECONDS:
            return
        self._said_at = now
        reason = str(state.outcome.exception())
        _log.warning("%s: %s; trying again for up to %.0f s", self.url, reason, patience)

    def put(self, key: str, data: bytes) -> None:
        path = self._path(key)
        self._request(lambda: self._service.writing.pipe_file(path, data))

    def put_file(self, key: str, source: Path) -> None:
        path, options = self._path(key), self._service.put_file_options
        self._request(lambda: self._service.writing.put_file(str(source), path, **options))
        source.unlink()

    def put_new(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        create = partial(self._service.writing.pipe_file, path, data, mode="create")
        if not self._service.is_shared:
            with _in_memory:
                return self._is_done(create)
        # Every layer below may have sent it twice, after losing the answer to the first: HTTP's own
        # client does so for any PUT, without a sign of it. So whoever finds its own bytes was first.
        return self._is_done(create) or self.get(key) == data

    def _is_done(self, create: Callable[[], object]) -> bool:
        try:
            self._request(create)
        except FileExistsError:
            return False
        return True

    def get(self, key: str) -> bytes:
        path = self._path(key)
        with self._naming(key):
            return cast(bytes, self._request(lambda: self._service.writing.cat_file(path)))

    def get_many(self, keys: Sequence[str]) -> Sequence[bytes]:
        return list(request_ahead(self.get, keys))

    def find_many(self, keys: Iterable[str]) -> Iterator[bytes | None]:
        return request_ahead(self._find, keys)

    def _find(self, key: str) -> bytes | None:
        try:
            return self.get(key)
        except KeyError:
            return None

    def exists(self, key: str) -> bool:
        try:
            self.stat(key)
        except KeyError:
            return False
        return True

    def stat(self, key: str) -> Stored:
        path = self._path(key)
        with self._naming(key):
            info = self._request(lambda: self._service.writing.info(path))
        if info["type"] != "file":
            raise KeyError(key)
        return Stored(key, int(info["size"]), _modified_at(info))

    @contextmanager
    def _naming(self, key: str) -> Iterator[None]:
        try:
            yield
        except KeyError:
            raise KeyError(key) from None

    def list(self, prefix: str) -> Iterator[str]:
        yield from (entry.key for entry in self.entries(prefix))

    def entries(self, prefix: str) -> Iterator[Stored]:
        folder = self._path(prefix.rstrip("/"))
        try:
            found = self._request(lambda: self._service.writing.find(folder, detail=True))
        except KeyError:
            return
        start = len(self._root) + 1
        for name in sorted(found):
            info, key = found[name], name.lstrip("/")[start:]
            if info["type"] == "file" and not key.endswith("/"):
                yield Stored(key, int(info["size"]), _modified_at(info))

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            self._request(lambda: self._service.writing.rm_file(path))
        except KeyError:
            return

    def read_range(self, key: str, start: int, stop: int) -> bytes:
        """Bytes ``start`` up to ``stop`` of a value. Raises StoreError, also for one that is missing."""
        path = self._path(key)
        try:
            data = self._request(
                lambda: self._service.reading.cat_file(path, start=start, end=stop),
            )
        except KeyError:
            raise StoreError(f"{key}: is missing from the store") from None
        return cast(bytes, data)

    def open(self, key: str) -> BinaryIO:
        return cast(BinaryIO, RangeFile(self.read_range, key, self.stat(key).bytes))

    def reader(self) -> RangeFiles:
        return RangeFiles(self.read_range, lambda key: self.stat(key).bytes)

    @contextmanager
    def local_path(self, key: str) -> Iterator[str]:
        path, copy = self._path(key), self.scratch() / f"read-{secrets.token_hex(8)}"
        try:
            try:
                self._request(lambda: self._service.writing.get_file(path, str(copy)))
            except KeyError:
                raise StoreError(f"{key}: is missing from the store") from None
            yield str(copy)
        finally:
            copy.unlink(missing_ok=True)

    def scratch(self) -> Path:
        with self._lock:
            if self._scratch is None:
                # Emptied and removed when the process ends.
                self._scratch = tempfile.TemporaryDirectory(prefix="pacore-scratch-")
            return Path(self._scratch.name)


def _modified_at(info: dict[str, object]) -> datetime:
    """When a value was last written, however its service says so; now where it does not."""
    for name in _MODIFIED:
        said = info.get(name)
        if isinstance(said, datetime):
            return said.astimezone(UTC) if said.tzinfo else said.replace(tzinfo=UTC)
        if isinstance(said, int | float):
            return datetime.fromtimestamp(said, UTC)
        if isinstance(said, str):
            return datetime.fromisoformat(said)
    return datetime.now(UTC)


THREADS = 16

AHEAD = 32
"""Answers held at most, those still awaited included."""

Answered = TypeVar("Answered")


def request_ahead(request: Callable[[str], Answered], keys: Iterable[str]) -> Iterator[Answered]:
    """``request`` of each key, in order; raises what it raises, at that key's turn."""
    keys = iter(keys)
    threads = ThreadPoolExecutor(THREADS, "store")
    waiting: deque[Future[Answered]] = deque()
    try:
        waiting.extend(threads.submit(request, key) for key in islice(keys, AHEAD))
        while waiting:
            answer = waiting.popleft().result()
            waiting.extend(threads.submit(request, key) for key in islice(keys, 1))
            yield answer
    finally:
        # Not waited for: requests that are not needed any more may wait for a store that does not answer.
        threads.shutdown(wait=False, cancel_futures=True)
