"""What finished runs are worth: evaluated, compared, their mechanism measured, strategies compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

from pacore.api.progress import progress_shown, run_flow
from pacore.api.report import Report
from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.config.sweep import SweepConfig
from pacore.core.validation import validated
from pacore.errors import BadInput, Interrupted
from pacore.evaluation.batches import Evaluation, grade_all
from pacore.evaluation.comparison import Comparison, Criteria, Decision, compare_pairs, decide
from pacore.evaluation.measures import Measures
from pacore.evaluation.mechanism import Mechanism, measure_mechanism
from pacore.report.comparison import comparison_figure, comparison_sheet
from pacore.report.evaluation import EvaluatedRun, evaluated_run, evaluation_figure, refusal
from pacore.report.mechanism import mechanism_figure, mechanism_sheet
from pacore.report.sweep import SweepOutcome, sweep_figure, sweep_sheet
from pacore.runs.problems import refuse_unfinished
from pacore.runs.work import Work
from pacore.store.backends.opening import open_store
from pacore.store.run import open_run
from pacore.warehouse.prices import read_prices
from pacore.warehouse.views import ReportWarehouse


def evaluate(
    runs: str | Sequence[str],
    *,
    store: str = "./store",
    prefect: bool = False,
    progress: bool = True,
    **settings: Any,
) -> Report[Mapping[str, Measures]]:
    """Grade every trajectory of some runs, check every invariant over them, and measure each, by run id.

    What is graded already is not graded again. ``settings`` are further fields of `EvaluateConfig`, such as
    ``grader`` and ``prices``. Raises BadInput for a field that is wrong, Refused for a run that is not at
    its end, ChecksFailed, which names them, where checks return rows: nothing is measured then.
    """
    named = [runs] if isinstance(runs, str) else list(runs)
    config = validated(EvaluateConfig, {**settings, "runs": named, "store": store})
    return evaluated(config, prefect=prefect, progress=progress)


def evaluated(
    config: EvaluateConfig, *, prefect: bool, progress: bool = True
) -> Report[Mapping[str, Measures]]:
    """The evaluation that a configuration describes; see `evaluate`.

    With ``prefect`` what is to be graded is graded by the flow; where nothing is, no server is needed.
    """
    with Evaluation(config) as evaluation:
        by_flow = prefect and bool(evaluation.batches())
        found = _by_flow(evaluation) if by_flow else _here(evaluation, progress)
    measures = {one.found.run_id: one.found for one in found}
    sheets = [*(one.grading for one in found), *(one.measures for one in found)]
    records = {
        one.found.run_id: {**asdict(one.found), "gradings": one.gradings, "verdicts": one.rounds}
        for one in found
    }
    return Report(
        measures, sheets, lambda: evaluation_figure(list(measures.values())), records=records
    )


def _by_flow(evaluation: Evaluation) -> list[EvaluatedRun]:
    tasks = 1 + len(evaluation.batches())
    from flows.evaluate import evaluate as flow
    from tasks.opened import EVALUATION, given

    with given(EVALUATION, evaluation):
        state = run_flow(
            flow, evaluation.config, "the evaluation", evaluation.progress, tasks=tasks
        )
    if state.name == "Cancelled":
        raise KeyboardInterrupt
    found: list[EvaluatedRun] = state.result()
    return found


def _here(evaluation: Evaluation, progress: bool) -> list[EvaluatedRun]:
    runs, doing = evaluation.config.runs, evaluation.progress.do
    with progress_shown(evaluation.progress) if progress else nullcontext():
        grade_all(evaluation, evaluation.batches())
        with ReportWarehouse(evaluation.store, runs, evaluation.prices) as warehouse:
            if not (broken := warehouse.broken_checks(doing)):
                found = [evaluated_run(warehouse, run_id, doing) for run_id in runs]
        doing(None)
    if broken:
        raise refusal(broken)
    return found


def compare(
    run_a: str,
    run_b: str,
    *,
    store: str = "./store",
    margin: float | None = None,
    prices: str | None = None,
) -> Report[Comparison]:
    """Compare run B with run A, problem by problem: difference, interval, tests, cost.

    With ``margin``, a share, test whether the two differ by less. Raises BadInput for a margin or a price
    table that is wrong and for a run compared with itself, Refused for runs of the same trajectories, and
    for one that is not at its end.
    """
    report, _ = gated(run_a, run_b, store, margin=margin, prices=prices, criteria=None)
    return report


def gated(
    run_a: str,
    run_b: str,
    store: str,
    *,
    margin: float | None,
    prices: str | None,
    criteria: Criteria | None,
) -> tuple[Report[Comparison], Decision | None]:
    """As `compare`; with ``criteria``, also the decision whether B may take A's place."""
    if margin is not None and not 0 < margin < 1:
        raise BadInput(f"--margin {margin:g}: is a share between 0 and 1, such as 0.02")
    if run_a == run_b:
        raise BadInput(f"{run_a}: is compared with itself; name two runs")
    opened = open_store(store)
    for run_id in (run_a, run_b):
        refuse_unfinished(opened, open_run(opened, run_id))
    rows = read_prices(prices) if prices else ()
    with ReportWarehouse(opened, (run_a, run_b), rows) as warehouse:
        found = compare_pairs(warehouse, run_a, run_b, margin)
        decision = None if criteria is None else decide(found, criteria, warehouse.run_checks())
    sheet = comparison_sheet(found, decision)
    decided = {} if decision is None else {"decision": decision}
    records = {**asdict(found), **decided}
    return Report(found, [sheet], lambda: comparison_figure(found), records), decision


def mechanism(runs: str | Sequence[str], *, store: str = "./store") -> Report[Sequence[Mechanism]]:
    """What the rounds of graded runs do with the messages they see. Raises Refused for an unknown run."""
    named = tuple(dict.fromkeys([runs] if isinstance(runs, str) else runs))
    opened = open_store(store)
    run_of = {run_id: open_run(opened, run_id) for run_id in named}
    with ReportWarehouse(opened, named) as warehouse:
        found = [measure_mechanism(warehouse, run_id) for run_id in named]
    sheets = [mechanism_sheet(run_of[one.run_id], one) for one in found]
    first = found[0]
    return Report(found, sheets, lambda: mechanism_figure(run_of[first.run_id], first))


def sweep(
    config: SweepConfig,
    showing: Callable[[Work], AbstractContextManager[object]] = lambda _: nullcontext(),
) -> Report[SweepOutcome]:
    """Make or finish the runs of a sweep, evaluate them, and measure each strategy; through Prefect.

    ``showing`` gives what shows the progress of each run while it is made. Raises what a run or the
    evaluation ended with, and Interrupted where it was cancelled.
    """
    from flows.sweep import sweep as flow
    from tasks.opened import SHOWING, given

    with given(SHOWING, showing):
        state = run_flow(flow, config, "the sweep")
    if state.name == "Cancelled":
        raise Interrupted("the sweep was interrupted; the same sweep goes on")
    found = state.result(raise_on_failure=False)
    assert isinstance(found, SweepOutcome)
    sheet = sweep_sheet(found.title, found.result, found.files)
    return Report(
        found,
        [sheet],
        lambda: sweep_figure(found.title, found.result),
        records={**asdict(found.result), "files": found.files},
    )
