"""Commands on how rounds use messages: ``mechanism`` measures it, ``intervene`` changes the messages.

An intervention samples one round of a run again on message sets that were edited. Each edit is a
derived run of single trajectories, whose prompts are the round's own template over the edited
messages. The control is the round's own prompts; its first replicate is reused from the store where
the recipe is the run's, and the others are sampled anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import click
from pydantic import JsonValue

from pacore.api.evaluation import mechanism
from pacore.api.report import Form
from pacore.api.runs import make_run
from pacore.cli.config_options import flags_given, with_engine_of
from pacore.cli.options import print_report, with_format, with_report, with_store
from pacore.core.grading.choose import AUTO, is_by_rules, judged_by
from pacore.core.identity import digest
from pacore.core.problem import Problem
from pacore.core.prompt import template_of, turns_for
from pacore.engine.opening import resolve_recipe
from pacore.errors import BadInput, Exit, Refused
from pacore.evaluation.accuracy import GradingAccuracy, current_accuracy
from pacore.evaluation.interventions import (
    CONTROL,
    EditedRound,
    EditResult,
    IntervenedProblem,
    Intervention,
    JudgedMessage,
    MessageOfSet,
    edit_result,
    edited,
    parse_edit,
)
from pacore.report.mechanism import interventions_sheet
from pacore.report.rendering.sheet import to_json
from pacore.report.rendering.terminal import to_text
from pacore.runs.derived import derived_config, put_problems
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.layout import OWN
from pacore.store.run import open_run, problems_of
from pacore.warehouse.views import ReportWarehouse, Warehouse


def intervene_to_end(store: Backend, wanted: Intervention) -> list[EditResult] | None:
    """Make the runs of some edits, the control among them; None where it was interrupted.

    Raises Refused for a run that is not graded or whose round is no synthesis, BadInput for an edit
    or a field that is wrong.
    """
    run_id, round_, samples, changes = wanted.run_id, wanted.round, wanted.samples, wanted.changes
    edits = list(dict.fromkeys([CONTROL, *map(parse_edit, wanted.edits)]))
    run = open_run(store, run_id)
    if not 2 <= round_ <= run.plan.rounds or run.plan.step(round_).kind != "sample":
        raise Refused(f"run {run_id}: round {round_} is none that synthesises messages")
    probe = derived_config(store, run, "probe", samples, changes)
    batch = digest([resolve_recipe(probe).as_json(), samples, run_id, round_])[:8]
    made: dict[str, tuple[str, int]] = {}
    with Warehouse(store, [run_id]) as warehouse:
        place = EditedRound(run, round_, _grader(warehouse, run_id), batch)
        for edit in edits:
            name = f"{run_id}.{batch}-{_slug(edit)}"
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


def _grader(warehouse: Warehouse, run_id: str) -> str:
    current = current_accuracy(warehouse.read(GradingAccuracy, run_id=run_id))
    if current.grading == OWN:
        raise Refused(
            f"run {run_id}: its messages have no verdicts yet; pacore grade {run_id} first"
        )
    # A judge would have to vote on each new answer; rules grade it at once.
    return current.grader if is_by_rules(current.grader) else AUTO


def _problems(
    store: Backend, warehouse: Warehouse, place: EditedRound, edit: str, skipped: list[str]
) -> Iterator[Problem]:
    """A problem for each message set that can be edited so; the others are noted. By shard."""
    run, template = place.run, template_of(place.run.plan.step(place.round))
    for shard in run.shards:
        problems = {p.problem_id: p for p in problems_of(store, run, shard)}
        rows = warehouse.read(
            MessageOfSet,
            run_id=run.run_id,
            round=place.round - 1,
            problem_ids=list(problems),
        )
        for problem_id, group in groupby(rows, key=lambda row: row.problem_id):
            sets: dict[int, list[JudgedMessage]] = {}
            for row in group:
                sets.setdefault(row.replicate, []).append(row.judged)
            every = [message for some in sets.values() for message in some]
            problem = problems[problem_id]
            for replicate, own in sorted(sets.items()):
                messages = edited(edit, own, every)
                by = judged_by(place.grader, "gold", problem)
                if messages is None or by is None:
                    skipped.append(f"{problem_id} {replicate}")
                    continue
                intervention: dict[str, JsonValue] = {
                    "run_id": run.run_id,
                    "round": place.round,
                    "edit": edit,
                    "batch": place.batch,
                    "problem_id": problem_id,
                    "replicate": replicate,
                    "messages": len(messages),
                    "right": sum(message.is_right is True for message in messages),
                }
                yield Problem(
                    f"{problem_id}~{replicate}",
                    turns_for(
                        problem.turns,
                        [message.text for message in messages],
                        template,
                        run.plan.observation(problem.turns),
                    ),
                    by[1],
                    by[0],
                    {"intervention": intervention},
                )


def _found(store: Backend, made: Mapping[str, tuple[str, int]]) -> Iterator[EditResult]:
    names = {name: edit for edit, (name, _) in made.items()}
    with ReportWarehouse(store, list(names)) as warehouse:
        rows = warehouse.read(IntervenedProblem, run_ids=list(names))
    for name, edit in names.items():
        yield edit_result(edit, made[edit][1], name, [row for row in rows if row.run_id == name])


@click.command()
@with_store
@with_report
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
def mechanism_command(store: str, runs: tuple[str, ...], form: Form, figure: str | None) -> int:
    """Measure what rounds do with the messages they receive, with intervals over problems.

    The quality of the messages; whether a round finds an answer that no message had, follows a right
    minority or abandons a right majority; which message's answer it gives; whether a message's
    position matters; and whether the round's text depends on the messages at all. Runs are graded
    before, with pacore grade.
    """
    print_report(mechanism(runs, store=store), form, figure)
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
