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

from pacore.cli.options import given, with_engine_of, with_format, with_store
from pacore.cli.run import make_run
from pacore.core.grading.choose import AUTO, is_by_rules, judged_by
from pacore.core.identity import digest
from pacore.core.problem import Problem
from pacore.core.prompt import template_of, turns_for
from pacore.engine.opening import resolve_recipe
from pacore.errors import BadInput, Exit, Refused
from pacore.evaluation.interventions import (
    CONTROL,
    Asked,
    Found,
    JudgedMessage,
    Place,
    edited,
    parse_edit,
)
from pacore.evaluation.statistics.paired import paired
from pacore.report.mechanism import (
    interventions_json,
    interventions_text,
    mechanism_json,
    mechanism_text,
)
from pacore.runs.derived import derived_config, put_problems
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.run import open_run, problems_of
from pacore.warehouse.views import Warehouse


def intervene_to_end(store: Backend, asked: Asked) -> list[Found] | None:
    """Make the runs of some edits, the control among them; None where it was interrupted.

    Raises Refused for a run that is not graded or whose round is no synthesis, BadInput for an edit
    or a field that is wrong.
    """
    run_id, round_, samples, changes = asked.run_id, asked.round, asked.samples, asked.changes
    wanted = list(dict.fromkeys([CONTROL, *map(parse_edit, asked.edits)]))
    run = open_run(store, run_id)
    if not 2 <= round_ <= run.plan.rounds or run.plan.step(round_).kind != "sample":
        raise Refused(f"run {run_id}: round {round_} is none that synthesises messages")
    probe = derived_config(store, run, "probe", samples, changes)
    batch = digest([resolve_recipe(probe).as_json(), samples, run_id, round_])[:8]
    made: dict[str, tuple[str, int]] = {}
    with Warehouse(store, [run_id]) as warehouse:
        place = Place(run, round_, _grader(warehouse, run_id), batch)
        for edit in wanted:
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
    gradings = warehouse.rows("reports/gradings", run_id=run_id)
    stands = next((row for row in gradings if row["stands"]), None)
    if stands is None or stands["grading"] == "run":
        raise Refused(
            f"run {run_id}: its messages have no verdicts yet; pacore grade {run_id} first"
        )
    # A judge would have to be asked anew about each answer; rules say at once what it is worth.
    return str(stands["grader"]) if is_by_rules(stands["grader"]) else AUTO


def _problems(
    store: Backend, warehouse: Warehouse, place: Place, edit: str, skipped: list[str]
) -> Iterator[Problem]:
    """A problem for each message set that can be edited so; the others are noted. By shard."""
    run, template = place.run, template_of(place.run.plan.step(place.round))
    for shard in run.shards:
        problems = {p.problem_id: p for p in problems_of(store, run, shard)}
        rows = warehouse.rows(
            "reports/judged_messages",
            run_id=run.run_id,
            round=place.round - 1,
            problem_ids=list(problems),
        )
        for problem_id, group in groupby(rows, key=lambda row: row["problem_id"]):
            sets: dict[int, list[JudgedMessage]] = {}
            for row in group:
                message = JudgedMessage(row["trajectory_id"], row["text"], row["is_right"])
                sets.setdefault(row["replicate"], []).append(message)
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


def _found(store: Backend, made: Mapping[str, tuple[str, int]]) -> Iterator[Found]:
    names = {name: edit for edit, (name, _) in made.items()}
    with Warehouse(store, list(names)) as warehouse:
        rows = warehouse.rows("reports/intervened", run_ids=list(names))
    by_run: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for row in rows:
        by_run[row["run_id"]].append(row)
    for name, edit in names.items():
        own = [row for row in by_run[name] if row["accuracy"] is not None]
        both = [row for row in own if row["control"] is not None and edit != CONTROL]
        against = None
        if not all(row["is_same"] for row in both):
            against = paired(
                [row["control"] for row in both],
                [row["paired"] for row in both],
                [row["is_same"] for row in both],
            )
        yield Found(
            edit,
            name,
            sum(row["episodes"] for row in own),
            made[edit][1],
            sum(row["accuracy"] for row in own) / len(own) if own else None,
            against,
        )


@click.command()
@with_store
@click.option("--json", "is_json", is_flag=True, help="All figures as JSON.")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
def mechanism(store: str, runs: tuple[str, ...], is_json: bool) -> int:
    """Measure what rounds do with the messages they receive, with intervals over problems.

    The quality of the messages; whether a round finds an answer that no message had, follows a right
    minority or abandons a right majority; which message's answer it gives; whether a message's
    position matters; and whether the round's text depends on the messages at all. Runs are graded
    before, with pacore grade.
    """
    unique = tuple(dict.fromkeys(runs))
    opened = open_store(store)
    for run_id in unique:
        open_run(opened, run_id)
    with Warehouse(opened, unique) as warehouse:
        text = mechanism_json if is_json else mechanism_text
        click.echo(text(warehouse, unique))
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
def intervene(
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
    asked = Asked(run_id, round_, edits, samples, given(flags))
    found = intervene_to_end(open_store(store), asked)
    if found is None:
        return Exit.INTERRUPTED
    is_json = form == "json"
    text = interventions_text(asked.run_id, asked.round, found)
    click.echo(interventions_json(found) if is_json else text)
    return Exit.COMPLETE
