"""Commands that compare: ``compare`` of two runs, ``flips`` of verdicts, ``sweep`` of strategies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import click
from pydantic import ValidationError

from pacore.api.evaluation import gated, sweep
from pacore.api.progress import run_shown, waiting
from pacore.api.report import Form, Report
from pacore.cli.config_options import config_from, say_cautions, with_run_options
from pacore.cli.options import (
    print_report,
    with_figure,
    with_format,
    with_prices,
    with_report,
    with_store,
    write_figure,
)
from pacore.core.config.run import RunConfig
from pacore.core.config.sweep import DEFAULT_ARMS, SET_BY_ARMS, SweepConfig
from pacore.core.validation import first_fault
from pacore.errors import BadInput, Exit
from pacore.evaluation.comparison import Criteria
from pacore.evaluation.flips import compare_gradings, compare_runs
from pacore.evaluation.strategies.budget import Cost, arm_for
from pacore.evaluation.sweep import begin_sweep
from pacore.problems.survey import survey_problems
from pacore.report.flips import flips_figure, flips_output
from pacore.report.sweep import budget_sheet, sweep_csv
from pacore.runs.problems import check_engine
from pacore.store.backends.opening import open_store
from pacore.text import did_you_mean
from pacore.warehouse.relations import rule_names
from pacore.warehouse.views import ReportWarehouse


@click.command()
@with_store
@click.option("--margin", type=float, help="Test whether the two differ by less than this share.")
@click.option("--gate", is_flag=True, help="Say GO or NO-GO; exit code 4 is NO-GO.")
@click.option(
    "--max-drop",
    type=float,
    default=0.05,
    show_default=True,
    help="Gate: share by which accuracy may fall.",
)
@click.option("--no-worse-than", type=float, help="Gate: drop that must be ruled out, at 95 %.")
@click.option(
    "--max-missing",
    type=float,
    default=0.0,
    show_default=True,
    help="Gate: share of planned answers, of either run, that may be missing.",
)
@click.option(
    "--max-ungraded",
    type=float,
    default=0.0,
    show_default=True,
    help="Gate: share of answers, of either run, that may be without a verdict.",
)
@click.option(
    "--max-unanswered", type=float, help="Gate: share of answers in which the model may give none."
)
@click.option(
    "--despite",
    metavar="RULE",
    multiple=True,
    help="Gate: rule of evidence, as in mart_evidence, that either run may break. Repeatable.",
)
@click.option("--max-tokens-growth", type=float, help="Gate: growth of the tokens an answer takes.")
@with_report
@with_prices
@click.argument("run_a", metavar="RUN_A")
@click.argument("run_b", metavar="RUN_B")
def compare_command(
    store: str,
    run_a: str,
    run_b: str,
    margin: float | None,
    gate: bool,
    form: Form,
    figure: str | None,
    prices: str | None,
    **criteria: Any,
) -> int:
    """Compare run B with run A, problem by problem: difference, interval, tests, cost.

    Trajectories that both share are counted by round; runs of the same trajectories are refused. With
    --gate B is accepted (GO, exit code 0) or rejected (NO-GO, exit code 4), with a line for each
    reason.
    """
    wanted = _criteria(criteria)
    report, decision = gated(
        run_a, run_b, store, margin=margin, prices=prices, criteria=wanted if gate else None
    )
    print_report(report, form, figure)
    is_refused = decision is not None and decision.word == "NO-GO"
    return Exit.NO_GO if is_refused else Exit.COMPLETE


def _criteria(given: dict[str, Any]) -> Criteria:
    for name in given["despite"]:
        if name not in rule_names():
            near = did_you_mean(name, rule_names()) or f"; there are {', '.join(rule_names())}"
            raise BadInput(f"--despite: no rule of evidence is called {name!r}{near}")
    try:
        return Criteria(**given)
    except ValidationError as invalid:
        fault = invalid.errors(include_url=False)[0]
        flag = str(fault["loc"][0]).replace("_", "-")
        raise BadInput(f"--{flag}: {fault['msg']}") from None


@click.command()
@with_store
@click.option(
    "--from", "before", metavar="GRADING", help="Grading by its id, or the run's own: run."
)
@click.option("--to", "after", metavar="GRADING", help="Grading to compare it with.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Most flips to show; without it 50 in a table, and all in the other formats.",
)
@with_figure
@with_format("table", "csv", "tsv", "spreadsheet", "json", "jsonl", "markdown", "latex", "html")
@click.argument("run_id", metavar="RUN")
@click.argument("other", metavar="[RUN]", required=False)
def flips_command(
    store: str,
    run_id: str,
    other: str | None,
    before: str | None,
    after: str | None,
    limit: int | None,
    form: str,
    figure: str | None,
) -> int:
    """Show which verdicts differ between two gradings of a run, or between two runs.

    Compared are the two gradings of a run that were finished last, the run's own being its first; or
    of two runs the answers to problems that both have.
    """
    if other is not None and (before, after) != (None, None):
        raise BadInput(
            "--from and --to name gradings of one run; of two runs the current ones are compared"
        )
    run_ids = [run_id] if other is None else [run_id, other]
    with ReportWarehouse(open_store(store), run_ids) as warehouse:
        compared = (
            compare_gradings(warehouse, run_id, before, after)
            if other is None
            else compare_runs(warehouse, run_id, other)
        )
        for part in flips_output(warehouse, compared, form, limit):
            click.echo(part, nl=False)
        if figure is not None:
            write_figure(Report(compared, [], partial(flips_figure, warehouse, compared)), figure)
    return Exit.COMPLETE


@click.command()
@with_store
@click.option("--tokens", type=float, help="Most tokens generated for an answer, all rounds.")
@click.option("--path-tokens", type=float, help="Most tokens on the critical path of an answer.")
@click.option("--money", type=float, help="Most money for an answer, by the sweep's price table.")
@click.option("--seconds", type=float, help="Most seconds on the critical path of an answer.")
@click.option(
    "--engine-seconds",
    type=float,
    help="Most seconds of all trajectories of an answer, added up; a GPU serves many at once.",
)
@with_format("table", "markdown", "latex", "html", "json")
@click.argument("sweep_name", metavar="SWEEP")
def budget_command(store: str, sweep_name: str, form: Form, **limits: float | None) -> int:
    """Say which arm of a sweep to run for a stated budget.

    By what the sweep has stored; nothing is generated. The arm with the highest accuracy is chosen among
    those whose answers cost at most each limit, and compared with the others, paired by problem.
    """
    budget = {_COSTS[name]: limit for name, limit in limits.items() if limit is not None}
    found = arm_for(open_store(store), sweep_name, budget)
    print_report(Report(found, [budget_sheet(found)]), form, None)
    return Exit.COMPLETE


_COSTS: dict[str, Cost] = {
    "tokens": "effective_tokens",
    "path_tokens": "path_tokens",
    "money": "money",
    "seconds": "path_seconds",
    "engine_seconds": "engine_seconds",
}


def sweep_to_end(
    run: RunConfig,
    arms: Sequence[str],
    form: Form | Literal["csv"],
    figure: str | None,
) -> int:
    """Make or finish the runs of a sweep, evaluate them, and print what was found.

    Raises BadInput for an arm that cannot be, and what a run or the evaluation ended with.
    """
    run = run.at(datetime.now(UTC))
    try:
        config = SweepConfig(run=run, arms=tuple(arms))
    except ValidationError as invalid:
        raise BadInput(first_fault(invalid).what) from None
    with waiting() as step:
        step(f"reading the problem set {run.problems}")
        read = survey_problems(run.problems, run.limit, run.fields)
        planned = begin_sweep(config, read.problems)
        if run.engine == "http":
            step(f"waiting for {', '.join(run.endpoints)}")
            check_engine(planned.pool)
    say_cautions(read.cautions)
    report = sweep(config, run_shown)
    if form != "csv":
        print_report(report, form, figure)
        return Exit.COMPLETE
    click.echo(sweep_csv(report.data.result).rstrip("\n"))
    write_figure(report, figure)
    for file in report.data.files:
        click.echo(file, err=True)
    return Exit.COMPLETE


@click.command()
@with_run_options
@click.option(
    "--arm",
    "arms",
    multiple=True,
    help="Strategy to compare: single, sc:K, low, medium, high, widths such as 32,4, sequential:N, "
    "verbatim, or one with policies, low+compaction=answer; NAME=… names it. Repeatable.  "
    f"[default: {' '.join(DEFAULT_ARMS)}]",
)
@with_figure
@with_format("table", "csv", "json", "markdown", "latex", "html")
def sweep_command(
    config_file: str | None,
    like: str | None,
    arms: tuple[str, ...],
    form: Form | Literal["csv"],
    figure: str | None,
    **flags: Any,
) -> int:
    """Compare strategies on one problem set at their cost, and draw the frontier.

    Every flag of run holds for all arms but those that an arm sets itself. Nothing is generated
    twice: all arms share one pool of trajectories, on which single and sc are measured and from which
    round 1 of every other arm is taken. The table and the picture are stored below sweeps/.
    """
    return sweep_to_end(
        config_from(flags, config_file, like, SET_BY_ARMS),
        arms or DEFAULT_ARMS,
        form,
        figure,
    )
