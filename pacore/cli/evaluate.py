"""What ``pacore grade`` and ``pacore evaluate`` do: grading at once, or through the flow.

Grading needs no Prefect server and waits for none: it takes seconds, and says itself what came of it.
An evaluation is what people schedule, look at in the UI and publish numbers from.

What ``pacore grade --grader judge`` does: a run of votes through the flow, and what they came to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pacore.cli.run import make_run
from pacore.cli.showing import shown, tell
from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.grading.spec import Against
from pacore.errors import Exit, PacoreError, Refused
from pacore.evaluation.batches import Evaluation, close_evaluation, evaluation_of, grade_all
from pacore.evaluation.gradings import OpenGrading
from pacore.evaluation.judging import begin_judging, finish_judging
from pacore.report.evaluation import evaluation_report, grading_table
from pacore.runs.problems import is_at_rest
from pacore.store.backends.opening import open_store
from pacore.store.run import open_run
from pacore.text import visible
from pacore.warehouse.prices import read_prices
from pacore.warehouse.views import Warehouse


def grade_to_end(config: EvaluateConfig) -> int:
    """Grade some runs, and print what came of each. Raises as `Evaluation.batches`."""
    evaluation = evaluation_of(config)
    try:
        batches = evaluation.batches()
        gradings = evaluation.gradings()
        left = {batch.run_id for batch in batches}
        for opened in gradings:
            if opened.run.run_id not in left:
                click.echo(f"{_named(opened)}: graded already; nothing to do", err=True)
        if batches:
            with shown(evaluation.progress):
                grade_all(evaluation, batches)
        else:
            # It may have been killed between its last verdict and its end.
            evaluation.finish()
    finally:
        close_evaluation(config)
    for opened in gradings:
        with Warehouse(open_store(config.store), [opened.run.run_id]) as warehouse:
            grading_id = opened.grading.grading_id
            click.echo(grading_table(warehouse, opened.run.run_id, grading_id))
    click.echo(_next(config))
    return Exit.COMPLETE


def _named(opened: OpenGrading) -> str:
    return f"run {opened.run.run_id}, grading {opened.grading.grading_id}"


def _next(config: EvaluateConfig) -> str:
    store = "" if config.store == "./store" else f" --store {config.store}"
    return "\n".join(
        ["next", *(f"  {visible(f'pacore flips{store} {run}')}" for run in config.runs)]
    )


def evaluate_to_end(config: EvaluateConfig) -> int:
    """Evaluate some runs through the flow, and print the report.

    Raises what the flow ended with: ChecksFailed where invariants are broken, or the first fault;
    BadInput for a price table that cannot be read.
    """
    prices = [] if config.prices is None else read_prices(config.prices)
    evaluation = evaluation_of(config)
    try:
        tasks = 1 + len(evaluation.batches())
        state, address = _flow(evaluation, tasks)
    finally:
        close_evaluation(config)
    if state.name == "Cancelled":
        click.echo("pacore: interrupted; the same line goes on where it stopped", err=True)
        return Exit.INTERRUPTED
    if state.name != "Completed":
        fault = state.result(raise_on_failure=False)
        if isinstance(fault, PacoreError):
            raise fault
        raise PacoreError(f"the evaluation stopped: {state.message}; see {address}")
    with Warehouse(evaluation.store, config.runs, prices) as warehouse:
        for run_id in config.runs:
            gradings = warehouse.rows("reports/gradings", run_id=run_id)
            (stands,) = (row["grading"] for row in gradings if row["stands"])
            click.echo(grading_table(warehouse, run_id, stands) + "\n")
        click.echo(evaluation_report(warehouse, config.runs))
    return Exit.COMPLETE


def _flow(evaluation: Evaluation, tasks: int) -> tuple[Any, str]:
    """Run the flow against the configured or standing Prefect server, with live progress."""
    from flows.evaluate import evaluate
    from tasks.server import connected, wait_for_records

    evaluation.progress.listener = tell
    tell("finding a Prefect server, or starting one")
    with shown(evaluation.progress), connected() as api:
        address = api.removesuffix("/api")
        tell(f"watch the evaluation at {address}")
        state = evaluate(evaluation.config, return_state=True)
        flow_run_id = state.state_details.flow_run_id
        is_whole = state.name == "Completed"
        if is_whole and flow_run_id and not wait_for_records(flow_run_id, tasks):
            click.echo("the Prefect server is still recording this evaluation's tasks", err=True)
    return state, address


def judge_to_end(config: EvaluateConfig, against: Against, changes: Mapping[str, Any]) -> int:
    """Have every trajectory of some runs judged, and print what came of each.

    ``changes`` are fields of the judge's run that differ from those of the run it judges. Raises
    Refused for a run that is not at its end or has nothing to judge, BadInput for a field that is
    wrong.
    """
    store = open_store(config.store)
    runs = [open_run(store, run_id) for run_id in config.runs]
    for run in runs:
        if not is_at_rest(store, run):
            raise Refused(
                f"run {run.run_id} is not at its end; the line it was started with finishes it"
            )
    for run in runs:
        judging = begin_judging(store, run, str(config.grader), against, changes)
        if make_run(judging.config).code == Exit.INTERRUPTED:
            return Exit.INTERRUPTED
        finish_judging(store, judging)
        grading_id = judging.grading.grading_id
        with Warehouse(store, [run.run_id]) as warehouse:
            if against == "gold":
                click.echo(grading_table(warehouse, run.run_id, grading_id))
            else:
                judge = judging.config.model
                click.echo(f"run {run.run_id}: grading {grading_id}, an opinion of {judge}")
            for row in warehouse.rows("reports/judged", run_id=run.run_id, grading=grading_id):
                click.echo(_agreement(row))
    return Exit.COMPLETE


def _agreement(row: Mapping[str, Any]) -> str:
    if not row["compared"]:
        return "decides on no trajectory that a grading by rules has decided on"
    kappa = "" if row["kappa"] is None else f", kappa {row['kappa']:.2f}"
    found = f"{row['agreement']:.1%} of {row['compared']:,} trajectories{kappa}"
    return f"agrees with {row['other_grader']} on {found}"
