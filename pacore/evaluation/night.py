"""A night of a job: its run compared with the accepted baseline and the nights before, and the decision.

The decision rests on the ledger alone: what tonight came to is kept there first, problem by problem, and
what the baseline and the nights before came to is read from there. So it is the same whether or not their
runs are still in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

from pacore.core.config.nightly import Gated, NightlyJob
from pacore.core.config.sweep import PlannedSweep
from pacore.errors import Refused
from pacore.evaluation.accuracy import Totals
from pacore.evaluation.comparison import GO, NO_GO, ProblemAccuracy
from pacore.evaluation.evidence import Evidence, detectable_beside, evidence_of
from pacore.evaluation.measures import Measures as RunMeasures
from pacore.evaluation.nightly.changes import NightRuns, changes
from pacore.evaluation.statistics.nightly import (
    WINDOW,
    Measures,
    detectable,
    night_tests,
    old_of,
    pooled,
)
from pacore.evaluation.sweep import SweepResult, scores_of_arms
from pacore.runs.problems import is_at_end
from pacore.store.backends.protocol import Backend
from pacore.store.nights import (
    Acceptance,
    Night,
    NightArm,
    NightEvidence,
    NightMeasure,
    accept,
    add_night,
    keep_scores,
    read_acceptances,
    read_nights,
    read_scores,
)
from pacore.store.run import is_of_votes, open_run
from pacore.store.schema import NightScore
from pacore.warehouse.views import ReportWarehouse, Warehouse

NO_BASELINE, INCOMPLETE, FAILED = "NO BASELINE", "INCOMPLETE", "FAILED"

FLAKY_NIGHTS = 5
"""The last nights, tonight included, over which a problem may turn."""

FEWEST_TURNS = 2

_SHOWN = {"accuracy": "accuracy", "answered": "the share of answers that the model gave"}

Scores = Sequence[NightScore]


@dataclass(frozen=True, slots=True)
class NightSweep:
    """The sweep that a night of a job with arms is, once it is concluded; ``runs`` are all that it made."""

    planned: PlannedSweep
    result: SweepResult
    runs: tuple[str, ...]


def conclude_night(
    store: Backend,
    job: NightlyJob,
    run_id: str,
    sweep: NightSweep | None = None,
    judge: str | None = None,
    measured: RunMeasures | None = None,
) -> Night:
    """Decide on a night whose runs have come to their end and were graded, and add it to the ledger.

    ``judge`` is the run of a judge's votes, which is a part of what the night took; ``measured`` is what
    the evaluation of the run has found, where that is known. Raises StoreError where a run or a record
    cannot be read.
    """
    runs = sweep.runs if sweep else (run_id, judge) if judge else ()
    if sweep is None:
        with ReportWarehouse(store, runs or [run_id]) as warehouse:
            if measured is None:
                (totals,) = warehouse.read(Totals, run_id=run_id)
                evidence = evidence_of(warehouse, [run_id], detectable_beside(totals))
            else:
                totals, evidence = measured.totals, measured.evidence
            votes = warehouse.read(Totals, run_id=judge) if judge else ()
            scores = _scores_of_run(warehouse, run_id)
        made = _made_by_run(totals, sum(one.marginal_tokens for one in (totals, *votes)))
    else:
        counts = [arm.count for arm in sweep.planned.arms]
        with ReportWarehouse(store, sweep.runs, numbers=counts) as warehouse:
            scores = _scores_of_sweep(warehouse, sweep.planned)
            evidence = sweep.result.evidence or evidence_of(warehouse, sweep.runs, None)
        made = _made_by_sweep(sweep, job)
    keep_scores(store, job.name, run_id, scores)
    night = made(decided(store, job, run_id, scores, runs))
    night = _with_evidence(night, evidence)
    add_night(store, night)
    return night


def decided(
    store: Backend, job: NightlyJob, run_id: str, scores: Scores, runs: tuple[str, ...] = ()
) -> Night:
    """The decision on what a night came to, by what the ledger has of the nights before it; the record
    lacks what the runs came to by themselves.
    """
    # A night is no baseline of its own, so that once accepted it is decided on as it was before.
    accepted = [one for one in read_acceptances(store, job.name) if run_id not in one.runs]
    baseline = accepted[-1].runs if accepted else ()
    since = accepted[-1].accepted_at if accepted else None
    nights = read_nights(store, job.name)
    earlier = [
        night
        for night in nights
        if night.run_id < run_id
        and night.run_id not in baseline
        and night.decision in (GO, NO_GO)
        and (since is None or night.ended_at > since)
    ]
    last = earlier[1 - max(WINDOW, FLAKY_NIGHTS) :]
    old = [night.run_id for night in old_of(earlier, lambda night: night.decision == GO)]
    names = {*baseline, *(night.run_id for night in last), *old}
    rows = {name: _kept(store, job, name) for name in sorted(names)} | {run_id: scores}
    tonight = Night(job.name, run_id, datetime.now(UTC), GO, runs=runs)
    known = {night.run_id: night for night in nights} | {run_id: tonight}
    compared = _Compared(rows, tonight, baseline, job.gated)
    changed: tuple[str, ...] = ()
    if baseline:
        both = [
            NightRuns(name, known[name].all_runs if name in known else (name,), rows[name])
            for name in (baseline[0], run_id)
        ]
        changed = tuple(changes(store, *both))
    tonight = replace(tonight, baseline=baseline, changed=changed)
    return _judged(job, compared, [*last, tonight], old)


def last_runs(store: Backend, job: str) -> tuple[str, ...]:
    """The run of a job's last night that came to its end. Raises Refused where there is none."""
    ended = [night for night in read_nights(store, job) if night.accuracy is not None]
    if not ended:
        raise Refused(f"job {job}: no night has come to its end; name a run")
    return (ended[-1].run_id,)


def accept_runs(store: Backend, job: str, runs: Sequence[str], by: str, why: str) -> Acceptance:
    """Make some runs, pooled, the baseline of a job from now on: nights of the job, or other runs.

    Raises Refused for a run that is not there or not at its end, and for runs of different problem sets.
    """
    nights = {night.run_id: night for night in read_nights(store, job)}
    made = {name: nights[name].runs if name in nights else () for name in runs}
    opened = [open_run(store, one) for name in runs for one in made[name] or (name,)]
    for run in opened:
        if not is_at_end(store, run):
            raise Refused(f"run {run.run_id} is not at its end, and so no baseline")
    sets = {run.problem_set for run in opened if not is_of_votes(run.run_id)}
    if len(sets) > 1:
        raise Refused("the runs have different problem sets, and so are no baseline together")
    for name in runs:
        if not made[name]:
            with Warehouse(store, [name]) as warehouse:
                keep_scores(store, job, name, _scores_of_run(warehouse, name))
    acceptance = Acceptance(job, tuple(runs), datetime.now(UTC), by, why)
    accept(store, acceptance)
    return acceptance


def _kept(store: Backend, job: NightlyJob, name: str) -> Scores:
    """What the ledger has of a night or an accepted run; of an earlier version's, what the run has."""
    if (found := read_scores(store, job.name, name)) is not None:
        return found
    with Warehouse(store, [name]) as warehouse:
        return _scores_of_run(warehouse, name)


def _scores_of_run(warehouse: Warehouse, run_id: str, arm: str = "") -> list[NightScore]:
    return [
        NightScore(
            arm, row.problem_id, row.content_digest, row.accuracy, row.answered, tuple(row.graders)
        )
        for row in warehouse.read(ProblemAccuracy, run_ids=[run_id])
    ]


def _scores_of_sweep(warehouse: Warehouse, planned: PlannedSweep) -> list[NightScore]:
    """Of each arm: of one that is measured on the pool, questions and graders are those of the pool."""
    pool = {row.problem_id: row for row in _scores_of_run(warehouse, str(planned.pool.run_id))}
    values = scores_of_arms(warehouse, planned)
    found: list[NightScore] = []
    for arm in planned.arms:
        if arm.kind == "run":
            found += _scores_of_run(warehouse, planned.run_id(arm), arm.name)
            continue
        for name, value in values[arm.name].items():
            answered = pool[name].answered if arm.kind == "pool" else None
            found.append(replace(pool[name], arm=arm.name, accuracy=value, answered=answered))
    return found


class _Compared:
    """Means by night, measure and problem, over the problems of tonight whose text and gold are the same.

    A measure is named after what it is of, such as ``accuracy`` or ``accuracy of low vs single``;
    ``measured`` has both parts of each name.
    """

    def __init__(
        self,
        rows: Mapping[str, Scores],
        tonight: Night,
        baseline: Sequence[str],
        gated: Sequence[Gated],
    ) -> None:
        self.run_id, self.baseline = tonight.run_id, tuple(baseline)
        self._gated = gated
        self._rows: dict[str, dict[str, dict[str, NightScore]]] = {}
        for name, scores in rows.items():
            arms = self._rows.setdefault(name, {})
            for row in scores:
                arms.setdefault(row.arm, {})[row.problem_id] = row
        digests = {
            name: {row.problem_id: row.content_digest for row in scores}
            for name, scores in rows.items()
        }
        self._same = {
            name: digest
            for name, digest in digests[self.run_id].items()
            if all(digests[run].get(name, digest) == digest for run in baseline)
        }
        self.measured = {
            f"{measure} of {one.name}" if one.name else measure: (measure, one.name)
            for one in gated or (Gated(""),)
            for measure in ("accuracy", *(("answered",) if one.other is None else ()))
        }

    @property
    def first(self) -> str:
        """The measure that stands for a night."""
        name, *_ = self.measured
        return name

    def measures(self, night: str) -> Measures:
        gated = self._gated or (Gated(""),)
        found: dict[str, Mapping[str, float]] = {}
        for one in gated:
            of = f" of {one.name}" if one.name else ""
            accuracy = self._means(night, one.arm, lambda row: row.accuracy)
            if one.other is None:
                found[f"accuracy{of}"] = accuracy
                found[f"answered{of}"] = self._means(night, one.arm, lambda row: row.answered)
            else:
                other = self._means(night, one.other, lambda row: row.accuracy)
                both = accuracy.keys() & other.keys()
                found[f"accuracy{of}"] = {name: accuracy[name] - other[name] for name in both}
        return found

    def accuracies(self, night: str) -> Mapping[str, float]:
        """The accuracy of each problem by the first arm that the gate looks at."""
        first = self._gated[0].arm if self._gated else ""
        return self._means(night, first, lambda row: row.accuracy)

    def _means(
        self, night: str, arm: str, value_of: Callable[[NightScore], float | None]
    ) -> dict[str, float]:
        return {
            name: value
            for name, row in self._rows[night].get(arm, {}).items()
            if self._same.get(name) == row.content_digest and (value := value_of(row)) is not None
        }


def _judged(
    job: NightlyJob, found: _Compared, nights: Sequence[Night], old: Sequence[str]
) -> Night:
    """Tonight, the last of some nights, with the decision."""
    tonight = replace(nights[-1], flaky=_flaky(found, nights[-FLAKY_NIGHTS:]))
    if not found.baseline:
        reason = (
            f"there is no baseline: pacore nightly accept {job.name} {found.run_id} makes it one"
        )
        return replace(tonight, decision=NO_BASELINE, reasons=(reason,))
    baseline = pooled([found.measures(name) for name in found.baseline])
    last = [found.measures(night.run_id) for night in nights]
    tests = [
        replace(test, measure=measure, arm=arm)
        for test in night_tests(baseline, last, [found.measures(name) for name in old])
        for measure, arm in [found.measured[test.measure]]
    ]
    if not tests:
        reason = "tonight and the baseline have fewer than two problems in common"
        return replace(tonight, decision=NO_BASELINE, reasons=(reason,))
    reasons = tuple(_reasons(tests, job))
    return replace(
        tonight,
        decision=NO_GO if reasons else GO,
        reasons=reasons,
        measures=tuple(tests),
        detectable=detectable(baseline, last[-1], found.first, pools=len(found.baseline)),
    )


def _reasons(tests: Sequence[NightMeasure], job: NightlyJob) -> Iterator[str]:
    for test in tests:
        when = "tonight" if test.nights == 1 else f"over the last {test.nights} nights"
        fall = f"{100 * -test.difference:.1f} points below the baseline"
        of = f" of {test.arm}" if test.arm else ""
        if test.is_alarm:
            what = f"{_SHOWN[test.measure]}{of}"
            yield f"{what} {when} is {fall}, which is not chance (p = {test.p:.2g})"
        is_tonight = test.measure == "accuracy" and test.nights == 1
        if is_tonight and job.max_drop is not None and -test.difference > job.max_drop:
            yield f"accuracy{of} tonight is {fall}, {100 * job.max_drop:g} are allowed"


def _flaky(found: _Compared, nights: Sequence[Night]) -> tuple[str, ...]:
    """Problems that were mostly right and mostly wrong in turns, between nights of which nothing else is
    known to be different.
    """
    by_night = [(found.accuracies(night.run_id), night.changed) for night in nights]
    turned = []
    for name in sorted(by_night[-1][0]):
        sides = [
            (means[name] > 0.5, changed)
            for means, changed in by_night
            if name in means and means[name] != 0.5
        ]
        turns = sum(
            one != other and before == after for (one, before), (other, after) in pairwise(sides)
        )
        if turns >= FEWEST_TURNS:
            turned.append(name)
    return tuple(turned)


def _with_evidence(night: Night, evidence: Evidence) -> Night:
    """No night is a GO whose evidence is lacking: what is not there may be what was worse."""
    lacking = tuple(f"not {row.part}: {row}" for row in evidence.missing())
    words = NightEvidence(evidence.complete, evidence.observed, evidence.detectable)
    night = replace(night, evidence=words)
    if not lacking:
        return night
    decision = NO_GO if night.decision == GO else night.decision
    return replace(night, decision=decision, reasons=(*lacking, *night.reasons))


def _made_by_run(totals: Totals, tokens: int) -> Callable[[Night], Night]:
    """What adds to a night what its run came to."""
    return lambda night: replace(
        night,
        accuracy=totals.accuracy,
        low=totals.population_low,
        high=totals.population_high,
        tokens=tokens,
    )


def _made_by_sweep(sweep: NightSweep, job: NightlyJob) -> Callable[[Night], Night]:
    """What adds to a night what its arms came to."""
    arms = tuple(
        NightArm(row.name, row.run_id, row.accuracy, row.low, row.high, row.effective_tokens)
        for row in sweep.result.arms
    )
    first = next(arm for arm in arms if arm.name == job.gated[0].arm)
    return lambda night: replace(
        night,
        accuracy=first.accuracy,
        low=first.low,
        high=first.high,
        tokens=sweep.result.new_tokens,
        arms=arms,
    )
