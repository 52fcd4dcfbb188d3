"""The ledger of nights: what each night of a job came to, and which runs a person accepted as baseline.

Records are only added: a night that is run again has a further one, and the last counts.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from pacore.store.backends.protocol import Backend
from pacore.store.layout import NIGHTS, acceptances_prefix, job_prefix, nights_prefix
from pacore.store.records import Time, put_next, read_many


@dataclass(frozen=True, slots=True)
class NightMeasure:
    """One measure over ``nights`` nights against the baseline, over the problems that both have.

    ``value`` and ``baseline`` are means over problems, in [0, 1], where more is better; ``low`` and
    ``high`` the 95 % interval of their difference. ``p`` is one-sided, of a fall at least as great by
    chance, and ``is_alarm`` whether it is rejected among all tests of the night.
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

    @property
    def difference(self) -> float:
        return self.value - self.baseline


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
    put_next(store, nights_prefix(night.job, night.run_id), night)


def read_nights(
    store: Backend, job: str | None = None, runs: Container[str] | None = None
) -> list[Night]:
    """The last record of each night, of one job or of all, in the order of their names and their runs'.

    With ``runs`` only nights of these are read. Raises StoreError for a record that is damaged.
    """
    last: dict[str, str] = {}
    for key in store.list(NIGHTS if job is None else job_prefix(job)):
        night, _, _ = key.rpartition("/")
        *_, kind, run_id = night.split("/")
        if kind == "nights" and (runs is None or run_id in runs):
            last[night] = max(key, last.get(night, ""))
    return read_many(store, [last[night] for night in sorted(last)], Night) if last else []


def list_jobs(store: Backend) -> list[str]:
    """The jobs that have nights in the ledger, or a baseline, sorted."""
    return sorted({key.split("/")[1] for key in store.list(NIGHTS)})


def accept(store: Backend, acceptance: Acceptance) -> None:
    """Make some runs a job's baseline."""
    put_next(store, acceptances_prefix(acceptance.job), acceptance)


def read_acceptances(store: Backend, job: str) -> list[Acceptance]:
    """All acceptances of a job, the first first. Raises StoreError."""
    keys = sorted(store.list(acceptances_prefix(job)))
    return read_many(store, keys, Acceptance) if keys else []
