"""The ledger of nights: what each night of a job came to, and which runs a person accepted as baseline.

Records are only added: a night that is run again has a further one, and the last counts. What the gate
needs of a night is in the ledger too, its record and the scores of its problems: its run may be removed.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import (
    NIGHTS,
    acceptances_prefix,
    job_prefix,
    night_scores_key,
    night_scores_prefix,
    nights_prefix,
)
from pacore.store.records import Time, put_next, read_many
from pacore.store.schema import NIGHT_SCORES, NightScore


@dataclass(frozen=True, slots=True)
class NightMeasure:
    """One measure over ``nights`` nights against the baseline, over the problems that both have.

    ``value`` and ``baseline`` are means over problems, where more is better: in [0, 1], or in [-1, 1] of a
    difference of two arms; ``low`` and ``high`` the 95 % interval of their difference. ``p`` is one-sided,
    of a fall at least as great by chance, and ``is_alarm`` whether it is rejected among all tests of the
    night. ``arm`` is what of a job with arms is measured: one, or a difference such as ``low vs single``.
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
    arm: str = ""

    @property
    def difference(self) -> float:
        return self.value - self.baseline


@dataclass(frozen=True, slots=True)
class NightArm:
    """What an arm of a night came to: its accuracy in [0, 1] with its 95 % interval over problems and
    draws, and the tokens of one answer.
    """

    name: str
    run_id: str
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    tokens: float | None = None


@dataclass(frozen=True, slots=True)
class NightEvidence:
    """What the evidence of a night is worth: whether it is complete, whether it was observed, and the least
    difference of two such runs that its problems and replicates reveal 4 times in 5, in [0, 1]; None where
    nothing is known of it.
    """

    complete: bool
    observed: bool
    detectable: float | None = None


@dataclass(frozen=True, slots=True)
class Night:
    """The record of a job's night: its run, the decision with its reasons, and what it rests on.

    A job with arms has a run for each: ``run_id`` is then the name that all of them begin with, ``runs``
    has their names, and ``accuracy`` is that of the first arm that the gate looks at.

    ``decision`` is GO, NO-GO, NO BASELINE, INCOMPLETE or FAILED; ``accuracy`` with its 95 % interval over
    problems is None where nothing was measured. ``baseline`` names the accepted runs, ``changed`` what is
    different from the first of them, and ``flaky`` the problems that turned between right and wrong while
    nothing was. ``detectable`` is the loss of accuracy that three nights find 4 times in 5.
    ``stopped_by`` is whose budget stopped an INCOMPLETE one, or did not suffice for it: that of the
    ``job``, of its judge too, or of the ``night``. ``evidence`` is None where nothing was measured.
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
    arms: tuple[NightArm, ...] = ()
    runs: tuple[str, ...] = ()
    stopped_by: str | None = None
    evidence: NightEvidence | None = None

    @property
    def did_not_run(self) -> bool:
        """Whether its budget was spent, or did not suffice, before anything of it was generated."""
        return self.stopped_by is not None and self.tokens == 0

    @property
    def all_runs(self) -> tuple[str, ...]:
        """The names of all its runs."""
        return self.runs or (self.run_id,)


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
    store: Backend, job: str | None = None, runs: Collection[str] | None = None
) -> list[Night]:
    """The last record of each night, of one job or of all, in the order of their names and their runs'.

    With ``runs`` only nights of these are read, or of arms that are among them. Raises StoreError for a
    record that is damaged.
    """
    begun = None if runs is None else {*runs, *(name.rpartition(".")[0] for name in runs)}
    last: dict[str, str] = {}
    for key in store.list(NIGHTS if job is None else job_prefix(job)):
        night, _, _ = key.rpartition("/")
        *_, kind, run_id = night.split("/")
        if kind == "nights" and (begun is None or run_id in begun):
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


def keep_scores(store: Backend, job: str, run_id: str, scores: Iterable[NightScore]) -> None:
    """Keep what the problems of a night, or of an accepted run, came to; the last kept count."""
    from pacore.store.parquet import write_rows

    scratch = store.scratch() / f"night-{secrets.token_hex(8)}.parquet"
    try:
        write_rows(scratch, NIGHT_SCORES, map(NIGHT_SCORES.row, scores))
        number = sum(1 for _ in store.list(night_scores_prefix(job, run_id)))
        store.put_file(night_scores_key(job, run_id, number), scratch)
    finally:
        scratch.unlink(missing_ok=True)


def read_scores(store: Backend, job: str, run_id: str) -> list[NightScore] | None:
    """What was last kept of a night; None where nothing was. Raises StoreError for a damaged file."""
    from pacore.store.parquet import read_values

    key = max(store.list(night_scores_prefix(job, run_id)), default=None)
    if key is None:
        return None
    names = [column.name for column in NIGHT_SCORES.columns]
    try:
        with store.open(key) as file:
            return [
                NightScore(arm, problem_id, content, accuracy, answered, tuple(graders))
                for arm, problem_id, content, accuracy, answered, graders in read_values(
                    file, *names
                )
            ]
    except (KeyError, OSError, ValueError) as fault:
        raise StoreError(f"{key}: cannot be read: {fault}") from None
