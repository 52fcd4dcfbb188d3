"""The lease of a run, for stores that do not honour put-if-absent.

Where of two writers both are told that they were first, commits decide nothing, and only one
process may work on a run. It says so in the store and keeps saying it; who finds another's word
that has not run out is refused. Writing, waiting and reading again settles two that begin at once:
the last word stands, and only its writer goes on.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pacore.core.identity import canonical_json
from pacore.errors import Refused, StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.capability import prepare
from pacore.store.layout import lease_key

_log = logging.getLogger("pacore.store")


@dataclass(frozen=True)
class Terms:
    """How long a lease lasts unless renewed, how often it is, and how long two beginners wait."""

    lasts_seconds: float = 60.0
    renew_seconds: float = 15.0
    settle_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class _Word:
    """What a lease says: whose it is, and until when."""

    holder: str
    host: str
    process: int
    expires_at: datetime

    @property
    def is_standing(self) -> bool:
        if datetime.now(UTC) >= self.expires_at:
            return False
        return self.host != socket.gethostname() or _is_alive(self.process)


def hold_run(
    store: Backend, run_id: str, on_lost: Callable[[], None], terms: Terms | None = None
) -> Lease | None:
    """Take the run's lease where the store needs one; None where it does not.

    Raises Refused when another process holds it, naming it and until when.
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
        self._refuse_another()
        self._say()
        time.sleep(self._terms.settle_seconds)
        self._refuse_another()
        self._thread = threading.Thread(
            target=self._renew, args=(on_lost,), name="lease", daemon=True
        )
        self._thread.start()

    def release(self) -> None:
        """Let another take it at once."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        word = self._read()
        if word is not None and word.holder == self._holder:
            self._store.delete(lease_key(self._run_id))

    def _read(self) -> _Word | None:
        key = lease_key(self._run_id)
        try:
            said = json.loads(self._store.get(key))
            expires_at = datetime.fromisoformat(said["expires_at"])
            return _Word(said["holder"], said["host"], said["process"], expires_at)
        except KeyError as missing:
            if missing.args == (key,):
                return None
            raise StoreError(f"{key}: is not a lease") from missing
        except (ValueError, TypeError) as fault:
            raise StoreError(f"{key}: is not a lease: {fault}") from fault

    def _refuse_another(self) -> None:
        word = self._read()
        if word is not None and word.holder != self._holder and word.is_standing:
            raise Refused(
                f"run {self._run_id} is being worked on by process {word.process} on {word.host}, "
                f"whose lease lasts until {word.expires_at:%Y-%m-%d %H:%M:%S} UTC; this store does "
                "not honour put-if-absent, so a second one could do harm"
            )

    def _say(self) -> None:
        now = datetime.now(UTC)
        record = {
            "holder": self._holder,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "renewed_at": now.isoformat(),
            "expires_at": (now + timedelta(seconds=self._terms.lasts_seconds)).isoformat(),
        }
        self._store.put(lease_key(self._run_id), canonical_json(record))

    def _renew(self, on_lost: Callable[[], None]) -> None:
        good_until = time.monotonic() + self._terms.lasts_seconds
        while not self._ended.wait(self._terms.renew_seconds):
            began = time.monotonic()
            try:
                word = self._read()
                is_ours = word is not None and word.holder == self._holder
                if is_ours:
                    self._say()
                    good_until = began + self._terms.lasts_seconds
            except StoreError as fault:
                _log.warning("the lease of run %s could not be renewed: %s", self._run_id, fault)
                is_ours = time.monotonic() < good_until
            if not is_ours:
                _log.warning("run %s is stopped: its lease was lost", self._run_id)
                on_lost()
                return


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
