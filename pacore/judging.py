"""What ``pacore grade --grader judge`` does: a run of votes through the flow, and what they came to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.grading.spec import Against
from pacore.errors import Exit, Refused
from pacore.evaluation.judging import begin_judging, finish_judging
from pacore.report.evaluation import grading_table
from pacore.running import make_run
from pacore.runs.problems import is_at_rest
from pacore.store.backends.opening import open_store
from pacore.store.run import open_run
from pacore.warehouse.views import Warehouse


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
