"""The lease of a run, for stores that do not honour put-if-absent.

Where two writers of one key may both learn that they were first, commits decide nothing, and only one
process may work on a run. It writes a lease into the store and renews it; a process that sees another
renew its lease is refused. Writing, waiting and reading again settles which of two that begin at once
may continue: the one whose lease was written last.

Whether a lease is renewed is seen, and not told by times in it: clocks of two machines differ, and a
clock is set while a run goes on.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pacore.errors import Refused, StoreError
from pacore.processes import is_alive
from pacore.store.backends.capability import prepare
from pacore.store.backends.protocol import Backend
from pacore.store.layout import lease_key
from pacore.store.records import Time, encode, find

_log = logging.getLogger("pacore.store")


@dataclass(frozen=True)
class Terms:
    """How long a lease lasts unless it is renewed, how often it is, and how long a process waits before
    it reads one again.
    """

    lasts_seconds: float = 60.0
    renew_seconds: float = 15.0
    settle_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The record of a lease: who holds it, and, for people to read, until when by the holder's clock."""

    holder: str
    host: str
    process: int
    expires_at: Time
    renewed_at: Time | None = None

    @property
    def is_left(self) -> bool:
        """Whether its holder was on this machine and is gone."""
        return self.host == socket.gethostname() and not is_alive(self.process)


def hold_run(
    store: Backend, run_id: str, on_lost: Callable[[], None], terms: Terms | None = None
) -> Lease | None:
    """Take the run's lease where the store needs one; None where it does not.

    Takes as long as a lease lasts where one is there that nobody renews. Raises Refused when another
    process renews it, naming that.
    """
    if prepare(store).put_if_absent:
        return None
    lease = Lease(store, run_id, terms or Terms())
    lease.take(on_lost)
    return lease


class Lease:
    """The right to work on a run, renewed by a thread until `release`."""

    def __init__(self, store: Backend, run_id: str, terms: Terms) -> None:
        self._store = store
        self._run_id = run_id
        self._terms = terms
        self._holder = secrets.token_hex(16)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, on_lost: Callable[[], None]) -> None:
        """Raises Refused when another holds it. ``on_lost`` is called once if it is lost later."""
        self._await_another()
        self._write()
        time.sleep(self._terms.settle_seconds)
        if (found := self._another()) is not None:
            raise self._refusal(found)
        self._thread = threading.Thread(
            target=self._renew, args=(on_lost,), name="lease", daemon=True
        )
        self._thread.start()

    def release(self) -> None:
        """Let another take it at once."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        found = self._read()
        if found is not None and found.holder == self._holder:
            self._store.delete(lease_key(self._run_id))

    def _read(self) -> LeaseRecord | None:
        return find(self._store, lease_key(self._run_id), LeaseRecord, is_versioned=False)

    def _another(self) -> LeaseRecord | None:
        """The lease of another whose process is not known to be gone."""
        found = self._read()
        if found is None or found.holder == self._holder or found.is_left:
            return None
        return found

    def _await_another(self) -> None:
        """Look at the lease of another for as long as one lasts. Raises Refused once it is renewed."""
        if (first := self._another()) is None:
            return
        _log.warning(
            "run %s: looking for up to %g s whether process %d on %s still works on it",
            self._run_id,
            self._terms.lasts_seconds,
            first.process,
            first.host,
        )
        deadline = time.monotonic() + self._terms.lasts_seconds
        while time.monotonic() < deadline:
            time.sleep(self._terms.settle_seconds)
            if (found := self._another()) is None:
                return
            if found != first:
                raise self._refusal(found)

    def _refusal(self, found: LeaseRecord) -> Refused:
        return Refused(
            f"run {self._run_id} is being worked on by process {found.process} on {found.host}, which "
            "renews its lease; this store does not honour put-if-absent, so a second one could do harm"
        )

    def _write(self) -> None:
        now = datetime.now(UTC)
        expires_at = now + timedelta(seconds=self._terms.lasts_seconds)
        record = LeaseRecord(self._holder, socket.gethostname(), os.getpid(), expires_at, now)
        self._store.put(lease_key(self._run_id), encode(record, is_versioned=False))

    def _renew(self, on_lost: Callable[[], None]) -> None:
        good_until = time.monotonic() + self._terms.lasts_seconds
        while not self._ended.wait(self._terms.renew_seconds):
            began = time.monotonic()
            try:
                found = self._read()
                is_ours = found is not None and found.holder == self._holder
                if is_ours:
                    self._write()
                    good_until = began + self._terms.lasts_seconds
            except StoreError as fault:
                _log.warning("the lease of run %s could not be renewed: %s", self._run_id, fault)
                is_ours = time.monotonic() < good_until
            if not is_ours:
                _log.warning("run %s is stopped: its lease was lost", self._run_id)
                on_lost()
                return
