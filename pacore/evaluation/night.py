"""A night of a job: its run compared with the accepted baseline and the nights before, and the decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from pacore.core.config.nightly import NightlyJob
from pacore.core.config.run import differences
from pacore.engine.watch import FirstFacts
from pacore.errors import Refused
from pacore.evaluation.accuracy import Totals
from pacore.evaluation.comparison import GO, NO_GO, ProblemAccuracy
from pacore.evaluation.evidence import Evidence, evidence_of
from pacore.evaluation.statistics.nightly import (
    WINDOW,
    Measures,
    detectable,
    night_tests,
    old_of,
    pooled,
)
from pacore.runs.problems import is_at_end
from pacore.store.backends.protocol import Backend
from pacore.store.nights import (
    Acceptance,
    Night,
    NightMeasure,
    accept,
    add_night,
    read_acceptances,
    read_nights,
)
from pacore.store.run import Run, open_run
from pacore.warehouse.views import Warehouse

NO_BASELINE, INCOMPLETE, FAILED = "NO BASELINE", "INCOMPLETE", "FAILED"

FLAKY_NIGHTS = 5
"""The last nights, tonight included, over which a problem may turn."""

FEWEST_TURNS = 2

_NEVER_A_CAUSE = ("recipe.seed_root",)
"""Each night samples anew."""

_SHOWN = {"accuracy": "accuracy", "answered": "the share of answers that the model gave"}


def conclude_night(store: Backend, job: NightlyJob, run_id: str) -> Night:
    """Decide on a night whose run has come to its end and was graded, and add it to the ledger.

    Raises StoreError where a run or a record cannot be read.
    """
    accepted = read_acceptances(store, job.name)
    baseline = accepted[-1].runs if accepted else ()
    since = accepted[-1].accepted_at if accepted else None
    earlier = [
        night
        for night in read_nights(store, job.name)
        if night.run_id < run_id
        and night.decision in (GO, NO_GO)
        and (since is None or night.ended_at > since)
    ]
    last = [night.run_id for night in earlier[1 - max(WINDOW, FLAKY_NIGHTS) :]]
    old = [night.run_id for night in old_of(earlier, lambda night: night.decision == GO)]
    with Warehouse(store, sorted({run_id, *baseline, *last, *old})) as warehouse:
        (totals,) = warehouse.read(Totals, run_id=run_id)
        evidence = evidence_of(warehouse, [run_id], None)
        compared = _Compared(_means(warehouse, [run_id, *baseline, *last, *old]), run_id, baseline)
    night = _decided(store, job, compared, [*last, run_id], old)
    night = _with_totals(_with_evidence(night, evidence), totals)
    add_night(store, night)
    return night


def note_night(store: Backend, job: NightlyJob, run_id: str, decision: str, reason: str) -> Night:
    """Add a night to the ledger whose run did not come to its end."""
    night = Night(job.name, run_id, datetime.now(UTC), decision, (reason,))
    add_night(store, night)
    return night


def last_runs(store: Backend, job: str) -> tuple[str, ...]:
    """The run of a job's last night that came to its end. Raises Refused where there is none."""
    ended = [night for night in read_nights(store, job) if night.accuracy is not None]
    if not ended:
        raise Refused(f"job {job}: no night has come to its end; name a run")
    return (ended[-1].run_id,)


def accept_runs(store: Backend, job: str, runs: Sequence[str], by: str, why: str) -> Acceptance:
    """Make some runs, pooled, the baseline of a job from now on.

    Raises Refused for a run that is not there or not at its end, and for runs of different problem sets.
    """
    opened = [open_run(store, run_id) for run_id in runs]
    for run in opened:
        if not is_at_end(store, run):
            raise Refused(f"run {run.run_id} is not at its end, and so no baseline")
    if len({run.problem_set for run in opened}) > 1:
        raise Refused("the runs have different problem sets, and so are no baseline together")
    acceptance = Acceptance(job, tuple(runs), datetime.now(UTC), by, why)
    accept(store, acceptance)
    return acceptance


class _Compared:
    """Means by run, measure and problem, over the problems of tonight whose text and gold are the same."""

    def __init__(
        self,
        rows: Mapping[str, Mapping[str, ProblemAccuracy]],
        run_id: str,
        baseline: Sequence[str],
    ) -> None:
        self.run_id, self.baseline = run_id, tuple(baseline)
        self._rows = rows
        tonight = rows.get(run_id, {})
        self.graders = {
            name: sorted({version for row in of.values() for version in row.graders})
            for name, of in rows.items()
        }
        self._same = {
            name: row.content_digest
            for name, row in tonight.items()
            if all(
                rows[run][name].content_digest == row.content_digest
                for run in baseline
                if name in rows.get(run, {})
            )
        }

    def measures(self, run_id: str) -> Measures:
        rows = [
            row
            for name, row in self._rows.get(run_id, {}).items()
            if self._same.get(name) == row.content_digest
        ]
        return {
            "accuracy": {row.problem_id: row.accuracy for row in rows},
            "answered": {row.problem_id: row.answered for row in rows},
        }


def _means(warehouse: Warehouse, run_ids: Sequence[str]) -> dict[str, dict[str, ProblemAccuracy]]:
    found: dict[str, dict[str, ProblemAccuracy]] = defaultdict(dict)
    for row in warehouse.read(ProblemAccuracy, run_ids=list(dict.fromkeys(run_ids))):
        found[row.run_id][row.problem_id] = row
    return found


def _decided(
    store: Backend, job: NightlyJob, found: _Compared, nights: Sequence[str], old: Sequence[str]
) -> Night:
    """The decision, without what the run came to by itself."""
    now, last = datetime.now(UTC), [found.measures(name) for name in nights]
    flaky = _flaky([one["accuracy"] for one in last[-FLAKY_NIGHTS:]])
    if not found.baseline:
        reason = (
            f"there is no baseline: pacore nightly accept {job.name} {found.run_id} makes it one"
        )
        return Night(job.name, found.run_id, now, NO_BASELINE, (reason,), flaky=flaky)
    baseline = pooled([found.measures(name) for name in found.baseline])
    tests = night_tests(baseline, last, [found.measures(name) for name in old])
    changed = tuple(_changed(store, found))
    if not tests:
        reason = "tonight and the baseline have fewer than two problems in common"
        return Night(
            job.name, found.run_id, now, NO_BASELINE, (reason,), found.baseline, changed, flaky
        )
    reasons = tuple(_reasons(tests, job))
    decision = NO_GO if reasons else GO
    return Night(
        job.name, found.run_id, now, decision, reasons, found.baseline, changed, flaky,
        tuple(tests),
        detectable=detectable(baseline, last[-1], "accuracy", pools=len(found.baseline)),
    )  # fmt: skip


def _reasons(tests: Sequence[NightMeasure], job: NightlyJob) -> Iterator[str]:
    for test in tests:
        when = "tonight" if test.nights == 1 else f"over the last {test.nights} nights"
        fall = f"{100 * -test.difference:.1f} points below the baseline"
        if test.is_alarm:
            yield f"{_SHOWN[test.measure]} {when} is {fall}, which is not chance (p = {test.p:.2g})"
        elif (
            test.measure == "accuracy"
            and test.nights == 1
            and job.max_drop is not None
            and -test.difference > job.max_drop
        ):
            yield f"accuracy tonight is {fall}, {100 * job.max_drop:g} are allowed"


def _changed(store: Backend, found: _Compared) -> Iterator[str]:
    """What is different from the first run of the baseline: settings, problems, server, grader, program."""
    before, after = open_run(store, found.baseline[0]), open_run(store, found.run_id)
    for change in differences(before.identity, after.identity):
        if not change.startswith(_NEVER_A_CAUSE):
            yield change
    server, now = (dict(FirstFacts(store, run.run_id).read()) for run in (before, after))
    yield from differences(server, now, "server.")
    graders = [found.graders.get(run.run_id, []) for run in (before, after)]
    if graders[0] != graders[1]:
        yield f"grader: {', '.join(graders[0])} -> {', '.join(graders[1])}"
    yield from differences({"pacore": _version(before)}, {"pacore": _version(after)})


def _version(run: Run) -> object:
    return run.producer.get("git_revision") or run.producer.get("pacore")


def _flaky(nights: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    """Problems that were mostly right and mostly wrong in turns."""
    turned = []
    for name in sorted(nights[-1]):
        sides = [night[name] > 0.5 for night in nights if name in night and night[name] != 0.5]
        turns = sum(one != other for one, other in pairwise(sides))
        if turns >= FEWEST_TURNS:
            turned.append(name)
    return tuple(turned)


def _with_evidence(night: Night, evidence: Evidence) -> Night:
    """No night is a GO whose evidence is lacking: what is not there may be what was worse."""
    lacking = tuple(f"not {row.part}: {row}" for row in evidence.missing())
    if not lacking:
        return night
    decision = NO_GO if night.decision == GO else night.decision
    return replace(night, decision=decision, reasons=(*lacking, *night.reasons))


def _with_totals(night: Night, totals: Totals) -> Night:
    return replace(
        night,
        accuracy=totals.accuracy,
        low=totals.population_low,
        high=totals.population_high,
        tokens=totals.marginal_tokens,
    )
