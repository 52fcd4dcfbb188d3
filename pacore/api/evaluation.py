"""What finished runs are worth: evaluated, compared, their mechanism measured, strategies compared; and the
value of messages, for which a round is sampled again on sets in which its messages are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

from pacore.api.progress import progress_shown, run_flow
from pacore.api.report import Report
from pacore.api.runs import make_to_end
from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.config.sweep import SweepConfig
from pacore.core.config.values import Treatment, ValuesConfig
from pacore.core.stopping import Stopping, parse_stopping
from pacore.core.validation import validated
from pacore.engine.opening import resolve_recipe
from pacore.errors import BadInput, Interrupted
from pacore.evaluation.batches import Evaluation, grade_all
from pacore.evaluation.comparison import Comparison, Criteria, Decision, compare_pairs, decide
from pacore.evaluation.measures import Measures
from pacore.evaluation.mechanism import Mechanism, measure_mechanism
from pacore.evaluation.replay.check import ForecastCheck, check_forecast, rules_of, spent_by
from pacore.evaluation.replay.figures import Replay
from pacore.evaluation.replay.files import file_pools
from pacore.evaluation.replay.forecast import ReplaySettings, forecast
from pacore.evaluation.replay.pools import Pools, run_pools
from pacore.evaluation.replay.rounds import Rounds, run_rounds
from pacore.evaluation.values.fit import FittedScorer, fitted_scorer
from pacore.evaluation.values.problems import TriedCounts
from pacore.evaluation.values.results import MessageValues, PlannedValues, RoundTokens
from pacore.evaluation.values.work import nothing_tried, put_tried, tried_of, values_of
from pacore.problems.files import is_row_file
from pacore.report.comparison import comparison_figure, comparison_sheet
from pacore.report.evaluation import EvaluatedRun, evaluated_run, evaluation_figure, refusal
from pacore.report.mechanism import (
    mechanism_figure,
    mechanism_sheet,
    planned_values_sheet,
    scorer_sheet,
    values_sheet,
)
from pacore.report.replay.check import check_sheet
from pacore.report.replay.page import replay_figure, replay_sheet
from pacore.report.sweep import SweepOutcome, sweep_figure, sweep_sheet
from pacore.runs.derived import derived_config
from pacore.runs.planning.forecast import Forecaster
from pacore.runs.problems import refuse_unfinished
from pacore.runs.work import Work
from pacore.store.backends.opening import check_folder, open_store
from pacore.store.journal import Journal
from pacore.store.run import open_run
from pacore.warehouse.prices import prices_in, read_prices
from pacore.warehouse.views import ReportWarehouse, Warehouse


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


def replay(
    source: str,
    policies: Sequence[str] = (),
    *,
    store: str = "./store",
    settings: ReplaySettings | None = None,
    prices: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Report[Replay]:
    """Forecast stopping rules from stored trajectories, generating nothing.

    ``source`` is a run, or a file of pools with its ``columns`` (`file_pools`); without scores or gold
    answers votes are compared with those of whole pools. ``policies`` are
    rules such as ``votes:0.9,batch:8`` (`parse_stopping`); without any, those of `default_rules`. Raises
    BadInput for a policy, a file or a price table that is wrong, Refused for sets that are
    too wide, and for a policy about rounds where there is one round or no
    score.
    """
    rules = [_stopping(policy) for policy in policies]
    pools, rounds = _stored(source, store, rules, columns)
    models = list(dict.fromkeys(one.model for one in pools.pooled))
    priced = prices_in(prices, models) if prices else {}
    found = forecast(pools, rules, settings, priced, rounds)
    return Report(found, [replay_sheet(found)], lambda: replay_figure(found))


def replay_check(
    source: str,
    stopped: str,
    *,
    store: str = "./store",
    orders: int = 200,
    columns: Mapping[str, str] | None = None,
) -> Report[ForecastCheck]:
    """Compare what the run ``stopped`` spent under a stopping rule, in its first round, and in the others
    where the rule is about rounds, with the forecast of that rule from ``source``, as in `replay`. Raises
    Refused where it has no rule, or has ended for no common problem.
    """
    opened = open_store(store)
    run = open_run(opened, stopped)
    pools, rounds = _stored(source, store, rules_of(run), columns)
    refuse_unfinished(opened, run)
    with ReportWarehouse(opened, [stopped]) as warehouse:
        found = check_forecast(pools, run, spent_by(warehouse, run), orders, rounds)
    return Report(found, [check_sheet(found, pools.title)])


def _stored(
    source: str,
    store: str,
    rules: Sequence[Stopping],
    columns: Mapping[str, str] | None,
) -> tuple[Pools, Rounds | None]:
    """The pools of a file or of a run; and the rounds of a run that has several, where rules are about them
    or there are none.
    """
    if is_row_file(source):
        return file_pools(source, columns), None
    if columns:
        raise BadInput(f"{source}: is no file whose columns have to be named")
    check_folder(store)
    opened = open_store(store)
    run = open_run(opened, source)
    with ReportWarehouse(opened, [source]) as warehouse:
        pools = run_pools(warehouse, run)
        are_wanted = not rules or any(rule.of_rounds.text for rule in rules)
        has_scores = pools.unobserved is None
        return pools, run_rounds(warehouse, run) if are_wanted and has_scores else None


def _stopping(policy: str) -> Stopping:
    try:
        return parse_stopping(policy)
    except ValueError as fault:
        raise BadInput(f"policy {policy!r}: {fault}") from None


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


def message_values(
    run_id: str,
    round_: int,
    *,
    store: str = "./store",
    treatment: Treatment = "drop",
    samples: int = 1,
    **changes: object,
) -> Report[MessageValues]:
    """What each message is worth that a round of a graded run saw, with its interval and cost.

    The sets in which the messages are tried are a derived run; what is in the store is not generated
    again. ``changes`` are fields of that run which differ, such as ``engine``. Raises Refused for a run
    that is not graded, a round that is no synthesis, and where nothing can be tried; BadInput for a field
    that is wrong; Interrupted where it was cancelled: the same call goes on.
    """
    opened = open_store(store)
    wanted = _wanted(run_id, round_, treatment, samples, store, changes)
    tried = put_tried(opened, wanted)
    make_to_end(tried.config)
    values = values_of(opened, wanted, tried)
    return Report(values, [values_sheet(values)])


def _wanted(
    run_id: str,
    round_: int,
    treatment: Treatment,
    samples: int,
    store: str,
    changes: Mapping[str, object],
) -> ValuesConfig:
    fields = {"run_id": run_id, "round": round_, "treatment": treatment, "samples": samples}
    return validated(ValuesConfig, {**fields, "store": store, "changes": dict(changes)})


def fit_scorer(values: MessageValues, *, store: str = "./store") -> Report[FittedScorer]:
    """A scorer for ``select`` from what `message_values` found. Raises Refused where there is no value."""
    opened = open_store(store)
    run = open_run(opened, values.source_run_id)
    with Warehouse(opened, [run.run_id]) as warehouse:
        found = fitted_scorer(opened, warehouse, run, values.round, values.run_id, values.messages)
    return Report(found, [scorer_sheet(found)])


def planned_values(
    run_id: str,
    round_: int,
    *,
    store: str = "./store",
    treatment: Treatment = "drop",
    samples: int = 1,
    **changes: object,
) -> Report[PlannedValues]:
    """What `message_values` would generate; generates nothing, and writes nothing. Raises as it does."""
    opened, counts = open_store(store), TriedCounts()
    wanted = _wanted(run_id, round_, treatment, samples, store, changes)
    trajectories = to_generate = 0
    with tried_of(opened, wanted, counts) as (place, problems):
        config = derived_config(opened, place.run, "planned", samples, wanted.changes)
        forecaster = Forecaster(config.plan, resolve_recipe(config), Journal(opened))
        for problem in problems:
            (tried,) = forecaster.forecast([problem], 1).rounds
            trajectories += tried.trajectories
            to_generate += tried.to_generate
    if not counts.sets:
        raise nothing_tried(wanted, counts)
    with Warehouse(opened, [run_id]) as warehouse:
        (of_round,) = warehouse.read(RoundTokens, run_id=run_id, round=round_)
    each = of_round.mean_tokens
    planned = PlannedValues(
        run_id,
        round_,
        treatment,
        counts,
        trajectories,
        to_generate,
        None if each is None else round(each * to_generate),
    )
    return Report(planned, [planned_values_sheet(planned)])
