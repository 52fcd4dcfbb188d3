"""Commands that grade: ``grade`` at once, ``evaluate`` through the flow.

Grading by rules needs no Prefect server and waits for none: it takes seconds. A judge grades by a run
of votes through the flow. An evaluation is what people schedule, look at in Prefect's UI and publish
numbers from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pacore.api.evaluation import evaluated
from pacore.api.progress import progress_shown
from pacore.api.report import Form
from pacore.api.runs import make_run
from pacore.cli.config_options import ENGINE_FIELDS, checked, flags_given, with_engine_of
from pacore.cli.options import print_report, with_prices, with_report, with_store
from pacore.core.config.command import command_line, flag_of
from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.grading.choose import is_by_rules
from pacore.core.grading.spec import Against
from pacore.errors import BadInput, Exit
from pacore.evaluation.batches import Evaluation, grade_all
from pacore.evaluation.judging import begin_judging, finish_judging
from pacore.report.evaluation import JudgeAgreement, grading_sheet
from pacore.report.rendering.terminal import to_text
from pacore.runs.problems import refuse_unfinished
from pacore.runs.verdicts import OpenGrading
from pacore.store.backends.opening import open_store
from pacore.store.run import open_run
from pacore.text import visible
from pacore.warehouse.views import ReportWarehouse


def grade_to_end(config: EvaluateConfig) -> int:
    """Grade some runs, and print what came of each. Raises as `Evaluation.batches`."""
    with Evaluation(config) as evaluation:
        batches = evaluation.batches()
        gradings = evaluation.gradings()
        left = {batch.run_id for batch in batches}
        for opened in gradings:
            if opened.run.run_id not in left:
                click.echo(f"{_named(opened)}: graded already; nothing to do", err=True)
        if batches:
            with progress_shown(evaluation.progress):
                grade_all(evaluation, batches)
        else:
            # It may have been killed between its last verdict and its end.
            evaluation.finish()
    for opened in gradings:
        run_ids, grading_id = [opened.run.run_id], opened.grading.grading_id
        with ReportWarehouse(open_store(config.store), run_ids) as warehouse:
            click.echo(to_text(grading_sheet(warehouse, opened.run.run_id, grading_id)))
    click.echo(_next(config))
    return Exit.COMPLETE


def _named(opened: OpenGrading) -> str:
    return f"run {opened.run.run_id}, grading {opened.grading.grading_id}"


def _next(config: EvaluateConfig) -> str:
    lines = (visible(command_line("flips", config.store, run)) for run in config.runs)
    return "\n".join(["next", *(f"  {line}" for line in lines)])


def judge_to_end(config: EvaluateConfig, against: Against, changes: Mapping[str, object]) -> int:
    """Have every trajectory of some runs judged, and print what came of each.

    ``changes`` are fields of the judge's run that differ from those of the run it judges. Raises
    Refused for a run that is not at its end or has nothing to judge, BadInput for a field that is
    wrong.
    """
    store = open_store(config.store)
    runs = [open_run(store, run_id) for run_id in config.runs]
    for run in runs:
        refuse_unfinished(store, run)
    for run in runs:
        judging = begin_judging(store, run, str(config.grader), against, changes)
        if make_run(judging.config).code == Exit.INTERRUPTED:
            return Exit.INTERRUPTED
        finish_judging(store, judging)
        grading_id = judging.grading.grading_id
        with ReportWarehouse(store, [run.run_id]) as warehouse:
            if against == "gold":
                click.echo(to_text(grading_sheet(warehouse, run.run_id, grading_id)))
            else:
                judge = judging.config.model
                click.echo(f"run {run.run_id}: grading {grading_id}, an opinion of {judge}")
            for row in warehouse.read(JudgeAgreement, run_id=run.run_id, grading=grading_id):
                click.echo(str(row))
    return Exit.COMPLETE


with_timeout = click.option(
    "--grading-timeout-seconds",
    metavar="SECONDS",
    help="Longest grading of one answer.  [default: 5]",
)


with_workers = click.option(
    "--workers", metavar="N", help="Shards that are graded side by side.  [default: 2]"
)


@click.command()
@with_store
@click.option(
    "--grader",
    default="auto",
    show_default=True,
    help="Grader of every answer, or auto for the one each problem calls for. judge:k=3,n=4: a "
    "model votes n times on each answer, and k votes must say right; judge alone needs 4 of 4.",
)
@click.option(
    "--opinion",
    is_flag=True,
    help="A judge is shown no gold answer; its verdicts are never the score.",
)
@with_engine_of("Judge")
@with_timeout
@with_workers
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
def grade_command(opinion: bool, **flags: Any) -> int:
    """Grade every trajectory of finished runs, in all rounds; only a judge generates: its votes.

    Verdicts of earlier gradings are kept. The grading requested last is the current one, and flips
    shows what it changed. After an interruption the same command resumes; after a retry it grades what
    was replaced.
    """
    changes = flags_given({name: flags.pop(name) for name in ENGINE_FIELDS})
    config = checked(EvaluateConfig, flags)
    if not is_by_rules(str(config.grader)):
        return judge_to_end(config, "opinion" if opinion else "gold", changes)
    if for_judges := [*changes, *(["opinion"] if opinion else [])]:
        raise BadInput(f"{flag_of(for_judges[0])}: is for a judge, and --grader is {config.grader}")
    return grade_to_end(config)


@click.command()
@with_store
@click.option(
    "--grader",
    help="Grader of every answer, or auto for the one each problem calls for; without it the one the "
    "run was last graded by.",
)
@with_timeout
@with_workers
@with_prices
@with_report
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
def evaluate_command(form: Form, figure: str | None, **flags: Any) -> int:
    """Grade runs, check every invariant over them, and report.

    What is graded already is not graded again; where everything is, no Prefect server is needed.
    Nothing is reported while a check returns rows: each is named with its first ones, and the exit
    code is 1.
    """
    print_report(evaluated(checked(EvaluateConfig, flags), prefect=True), form, figure)
    return Exit.COMPLETE
