"""Commands on how rounds use messages: ``mechanism`` measures it, ``intervene`` changes the messages,
``value`` tries each of them, and ``cross`` has another model see them.

An intervention samples one round of a run again on message sets that were edited. Each edit is a
derived run of single trajectories, whose prompts are the round's own template over the edited
messages. The control is the round's own prompts; its first replicate is reused from the store where
the recipe is the run's, and the others are sampled anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from pydantic import JsonValue

from pacore.api.checkpoints import checkpoints, cross
from pacore.api.evaluation import fit_scorer, mechanism, message_values, planned_values
from pacore.api.report import Form
from pacore.api.runs import make_run
from pacore.cli.config_options import flags_given, with_engine_of
from pacore.cli.options import OneOf, print_report, with_format, with_report, with_store
from pacore.core.config.values import Treatment
from pacore.core.grading.choose import judged_by
from pacore.core.problem import Problem
from pacore.engine.opening import resolve_recipe
from pacore.errors import BadInput, Exit
from pacore.evaluation.interventions import (
    CONTROL,
    EditedRound,
    EditResult,
    IntervenedProblem,
    Intervention,
    edit_result,
    edited,
    edited_problem,
    edited_round,
    judged_message_sets,
    parse_edit,
    refuse_no_synthesis,
)
from pacore.evaluation.values.design import TREATMENTS
from pacore.report.mechanism import interventions_sheet
from pacore.report.rendering.sheet import to_json
from pacore.report.rendering.terminal import to_text
from pacore.runs.derived import derived_config, put_problems
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.run import open_run
from pacore.warehouse.views import ReportWarehouse, Warehouse


def intervene_to_end(store: Backend, wanted: Intervention) -> list[EditResult] | None:
    """Make the runs of some edits, the control among them; None where it was interrupted.

    Raises Refused for a run that is not graded or whose round is no synthesis, BadInput for an edit
    or a field that is wrong.
    """
    run_id, round_, samples, changes = wanted.run_id, wanted.round, wanted.samples, wanted.changes
    edits = list(dict.fromkeys([CONTROL, *map(parse_edit, wanted.edits)]))
    run = open_run(store, run_id)
    refuse_no_synthesis(run, round_)
    probe = derived_config(store, run, "probe", samples, changes)
    made: dict[str, tuple[str, int]] = {}
    with Warehouse(store, [run_id]) as warehouse:
        place = edited_round(warehouse, run, round_, samples, resolve_recipe(probe))
        for edit in edits:
            name = f"{run_id}.{place.batch}-{_slug(edit)}"
            skipped: list[str] = []
            problems = _problems(store, warehouse, place, edit, skipped)
            if put_problems(store, problems, partial(_called, name)):
                made[edit] = (name, len(skipped))
            else:
                click.echo(f"--edit {edit}: no message set of run {run_id} can be had so", err=True)
    for name, _ in made.values():
        if make_run(derived_config(store, run, name, samples, changes)).code == Exit.INTERRUPTED:
            return None
    return list(_found(store, made))


def _called(name: str, _: Sequence[str]) -> str:
    return name


def _slug(edit: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", edit)


def _problems(
    store: Backend, warehouse: Warehouse, place: EditedRound, edit: str, skipped: list[str]
) -> Iterator[Problem]:
    """A problem for each message set that can be edited so; the others are noted. By shard."""
    run = place.run
    for problem, sets in judged_message_sets(store, warehouse, run, place.round):
        every = [message for some in sets.values() for message in some]
        for replicate, own in sets.items():
            messages = edited(edit, own, every)
            by = judged_by(place.grader, "gold", problem)
            if messages is None or by is None:
                skipped.append(f"{problem.problem_id} {replicate}")
                continue
            intervention: dict[str, JsonValue] = {
                "run_id": run.run_id,
                "round": place.round,
                "edit": edit,
                "batch": place.batch,
                "problem_id": problem.problem_id,
                "replicate": replicate,
                "messages": len(messages),
                "right": sum(message.is_right is True for message in messages),
            }
            yield edited_problem(
                place, problem, by, str(replicate), messages, {"intervention": intervention}
            )


def _found(store: Backend, made: Mapping[str, tuple[str, int]]) -> Iterator[EditResult]:
    names = {name: edit for edit, (name, _) in made.items()}
    with ReportWarehouse(store, list(names)) as warehouse:
        rows = warehouse.read(IntervenedProblem, run_ids=list(names))
    for name, edit in names.items():
        yield edit_result(edit, made[edit][1], name, [row for row in rows if row.run_id == name])


@click.command()
@with_store
@click.option(
    "--by-checkpoint",
    is_flag=True,
    help="One table of all runs, for runs of successive checkpoints in their order.",
)
@with_report
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
def mechanism_command(
    store: str, runs: tuple[str, ...], by_checkpoint: bool, form: Form, figure: str | None
) -> int:
    """Measure what rounds do with the messages they receive, with intervals over problems.

    The quality of the messages; whether a round finds an answer that no message had, follows a right
    minority or abandons a right majority; which message's answer it gives; whether a message's
    position matters; and whether the round's text depends on the messages at all. Runs are graded
    before, with pacore grade.
    """
    if by_checkpoint:
        print_report(checkpoints(runs, store=store), form, figure)
    else:
        print_report(mechanism(runs, store=store), form, figure)
    return Exit.COMPLETE


@click.command()
@with_store
@click.option(
    "--round", "round_", type=click.IntRange(min=2), required=True, help="Round to sample again."
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Trajectories of each message set.",
)
@with_format("table", "markdown", "latex", "html", "json")
@with_engine_of("Sampling")
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="AFTER")
def cross_command(
    store: str, round_: int, samples: int, before: str, after: str, form: Form, **flags: Any
) -> int:
    """Sample a round of two graded runs again, each with the model of the other.

    BEFORE and AFTER are runs of the same problems by two models, such as two checkpoints. With messages by
    each and synthesis by each, the table tells what a better round 1 gives from what a better synthesis
    gives. The rows are in mart_checkpoints.
    """
    found = cross(before, after, round_, store=store, samples=samples, **flags_given(flags))
    click.echo(found.written(form))
    return Exit.COMPLETE


@click.command()
@with_store
@click.option(
    "--round", "round_", type=click.IntRange(min=2), required=True, help="Round to sample again."
)
@click.option(
    "--edit",
    "edits",
    multiple=True,
    help="What to do to its messages: wrong=k/n, duplicate=m, shuffle, drop=k, only-wrong, only-right, "
    "first=wrong, first=right. Repeatable; same, the control, is always made.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Trajectories of each edited message set.",
)
@with_format("table", "json")
@with_engine_of("Sampling")
@click.argument("run_id", metavar="RUN")
def intervene_command(
    store: str,
    run_id: str,
    round_: int,
    edits: tuple[str, ...],
    samples: int,
    form: str,
    **flags: Any,
) -> int:
    """Sample one round of a graded run again on edited messages, and compare it with the control.

    Every edit is a run of its own, named after it; message sets that cannot be edited in this way are
    skipped and counted. The report covers the message sets that an edit and the control both have.
    """
    if not edits:
        raise BadInput("--edit: say at least one")
    wanted = Intervention(run_id, round_, edits, samples, flags_given(flags))
    found = intervene_to_end(open_store(store), wanted)
    if found is None:
        return Exit.INTERRUPTED
    sheet = interventions_sheet(wanted.run_id, wanted.round, found)
    click.echo(to_json(found) if form == "json" else to_text(sheet))
    return Exit.COMPLETE


def _new_file(context: click.Context, parameter: click.Parameter, file: str | None) -> str | None:
    """A file that can be made. Raises BadInput where it is there, before anything is done."""
    del context, parameter
    if file is not None and Path(file).exists():
        raise BadInput(f"--fit {file}: is there already; name a new file")
    if file is not None and not Path(file).parent.is_dir():
        raise BadInput(f"--fit {file}: there is no folder {Path(file).parent}")
    return file


@click.command()
@with_store
@click.option(
    "--round",
    "round_",
    type=click.IntRange(min=2),
    required=True,
    help="Round that sees the messages.",
)
@click.option(
    "--by",
    "treatment",
    type=OneOf(TREATMENTS),
    default=TREATMENTS[0],
    show_default=True,
    help="What a message is compared with: being left out; a message of another replicate in its place; "
    "being there once, where it is there twice.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Trajectories of each tried set.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be generated; generates nothing.")
@click.option(
    "--fit",
    "file",
    metavar="FILE",
    callback=_new_file,
    help="Fit a scorer to the values and write it to a new file, for run --select trained --scorer FILE.",
)
@with_format("table", "markdown", "latex", "html", "json")
@with_engine_of("Sampling")
@click.argument("run_id", metavar="RUN")
def value_command(
    store: str,
    run_id: str,
    round_: int,
    treatment: Treatment,
    samples: int,
    dry_run: bool,
    file: str | None,
    form: Form,
    **flags: Any,
) -> int:
    """Measure what each message is worth to the next round.

    A round of a graded run is sampled again on fewer than two sets a message, and each message is tried
    in half of them. The value of a message is by how much it raises the share of right trajectories; its
    interval is wide, as it rests on one message set, and means over many messages are what to read. The
    values are in mart_message_values, a row for each message.
    """
    given = flags_given(flags)
    if dry_run:
        planned = planned_values(
            run_id, round_, store=store, treatment=treatment, samples=samples, **given
        )
        click.echo(planned.written(form))
        return Exit.COMPLETE
    found = message_values(
        run_id, round_, store=store, treatment=treatment, samples=samples, **given
    )
    click.echo(found.written(form))
    if file is not None:
        scorer = fit_scorer(found.data, store=store)
        with open(file, "x", encoding="utf-8") as opened:
            opened.write(to_json(scorer.data) + "\n")
        click.echo(
            f"\n{scorer}" if form == "table" else f"pacore: wrote {file}", err=form != "table"
        )
    return Exit.COMPLETE
