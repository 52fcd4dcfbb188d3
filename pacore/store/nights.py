"""The ledger of nights: what each night of a job came to, and which runs a person accepted as baseline.

Records are only added: a night that is run again has a further one, and the last counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pacore.store.backends.protocol import Backend
from pacore.store.layout import acceptance_key, acceptances_prefix, night_key, nights_prefix
from pacore.store.records import Time, put_new, read_many


@dataclass(frozen=True, slots=True)
class NightMeasure:
    """A measure of a night against its baseline; see
    `pacore.evaluation.statistics.nightly.NightTest`.
    """

    measure: str
    nights: int
    problems: int
    value: float
    baseline: float
    low: float
    high: float
    p: float
    is_alarm: bool


@dataclass(frozen=True, slots=True)
class Night:
    """The record of a job's night: its run, the decision with its reasons, and what it rests on.

    ``decision`` is GO, NO-GO, NO BASELINE, INCOMPLETE or FAILED; ``accuracy`` with its 95 % interval over
    problems is None where nothing was measured. ``baseline`` names the accepted runs, ``changed`` what is
    different from the first of them, and ``flaky`` the problems that turned between right and wrong while
    nothing was. ``detectable`` is the loss of accuracy that three nights find 4 times in 5.
    """

    job: str
    run_id: str
    ended_at: Time
    decision: str
    reasons: tuple[str, ...] = ()
    baseline: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    measures: tuple[NightMeasure, ...] = ()
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    detectable: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The record of runs that a person accepted as a job's baseline from then on."""

    job: str
    runs: tuple[str, ...]
    accepted_at: Time
    accepted_by: str
    why: str = ""


def add_night(store: Backend, night: Night) -> None:
    """Add a record to the ledger."""
    _add(store, lambda number: night_key(night.job, number), nights_prefix(night.job), night)


def read_nights(store: Backend, job: str) -> list[Night]:
    """The nights of a job in the order of their runs' names, the last record of each.

    Raises StoreError for a record that is damaged.
    """
    count = sum(1 for _ in store.list(nights_prefix(job)))
    keys = [night_key(job, number) for number in range(count)]
    last = {night.run_id: night for night in _read(store, keys, Night)}
    return [last[run_id] for run_id in sorted(last)]


def list_jobs(store: Backend) -> list[str]:
    """The jobs that have nights in the ledger, or a baseline, sorted."""
    return sorted({key.split("/")[1] for key in store.list("nightly")})


def accept(store: Backend, acceptance: Acceptance) -> None:
    """Make some runs a job's baseline."""
    job = acceptance.job
    _add(store, lambda number: acceptance_key(job, number), acceptances_prefix(job), acceptance)


def read_acceptances(store: Backend, job: str) -> list[Acceptance]:
    """All acceptances of a job, the first first. Raises StoreError."""
    count = sum(1 for _ in store.list(acceptances_prefix(job)))
    return _read(store, [acceptance_key(job, number) for number in range(count)], Acceptance)


_R = TypeVar("_R")


def _read(store: Backend, keys: Sequence[str], kind: type[_R]) -> list[_R]:
    return read_many(store, keys, kind) if keys else []


def _add(store: Backend, key: Callable[[int], str], prefix: str, record: object) -> None:
    number = sum(1 for _ in store.list(prefix))
    while not put_new(store, key(number), record):
        number += 1
