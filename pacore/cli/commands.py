"""The commands that compare: ``compare``, ``mechanism``, ``intervene`` and ``sweep``.

What they do is imported when they are called, so that the others start without it.
"""

from __future__ import annotations

from typing import Any

import click
from pydantic import ValidationError

from pacore.cli.options import config_from, given, with_engine_of, with_run_options, with_store
from pacore.core.config.sweep import DEFAULT_ARMS
from pacore.errors import BadInput, Exit

with_prices = click.option(
    "--prices",
    metavar="FILE",
    help="Price table: CSV of model, prompt_per_million, cached_prompt_per_million, "
    "completion_per_million, currency.",
)


@click.command()
@click.option("--store", default="./store", show_default=True, help="Folder or s3://bucket/prefix.")
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
@click.option("--max-tokens-growth", type=float, help="Gate: growth of the tokens an answer takes.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@with_prices
@click.argument("run_a", metavar="RUN_A")
@click.argument("run_b", metavar="RUN_B")
def compare(store: str, run_a: str, run_b: str, **options: Any) -> int:
    """Compare run B with run A, problem by problem: difference, interval, tests, cost.

    What both share is said, by round; runs of the same trajectories are refused. With --gate B is let
    through (GO, exit code 0) or not (NO-GO, exit code 4), each reason a line.
    """
    from pacore.cli.compare import print_comparison
    from pacore.evaluation.comparison import Criteria

    gate, form, prices = options.pop("gate"), options.pop("form"), options.pop("prices")
    margin = options.pop("margin")
    if margin is not None and not 0 < margin < 1:
        raise BadInput(f"--margin {margin:g}: is a share between 0 and 1, such as 0.02")
    try:
        criteria = Criteria(**options)
    except ValidationError as invalid:
        fault = invalid.errors(include_url=False)[0]
        flag = str(fault["loc"][0]).replace("_", "-")
        raise BadInput(f"--{flag}: {fault['msg']}") from None
    word = print_comparison(
        store, (run_a, run_b), margin, criteria if gate else None, prices, form=form
    )
    return Exit.NO_GO if word == "NO-GO" else Exit.COMPLETE


@click.command()
@with_store
@click.option("--json", "is_json", is_flag=True, help="All figures as JSON.")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
def mechanism(store: str, runs: tuple[str, ...], is_json: bool) -> int:
    """Say what the rounds of runs do to the messages they see, with intervals over problems.

    How good the messages are; whether a round finds what no message had, heeds a right minority or
    loses a right majority; whose answer it gives; whether it matters where a message stands; and
    whether its text depends on the messages at all. Runs are graded before, with pacore grade.
    """
    from pacore.report.mechanism import mechanism_json, mechanism_text
    from pacore.store.backends.opening import open_store
    from pacore.store.run import open_run
    from pacore.warehouse.views import Warehouse

    unique = tuple(dict.fromkeys(runs))
    opened = open_store(store)
    for run_id in unique:
        open_run(opened, run_id)
    with Warehouse(opened, unique) as warehouse:
        text = mechanism_json if is_json else mechanism_text
        click.echo(text(warehouse, unique))
    return 0


@click.command()
@with_store
@click.option(
    "--round", "round_", type=click.IntRange(min=2), required=True, help="Round to make again."
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
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
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
    """Make one round of a graded run again on edited messages, and compare it with the control.

    Every edit is a run of its own, named after it; sets that cannot be edited so are skipped, and
    counted. The report is on the message sets that an edit and the control both have.
    """
    from pacore.cli.mechanism import print_interventions
    from pacore.evaluation.interventions import Asked

    asked = Asked(run_id, round_, edits, samples, given(flags))
    return print_interventions(store, asked, form)


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
@with_prices
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json"]), default="table",
    show_default=True,
)  # fmt: skip
def sweep(
    config_file: str | None, arms: tuple[str, ...], prices: str | None, form: str, **flags: Any
) -> int:
    """Compare strategies on one problem set, over one pool of trajectories, and draw the frontier.

    Every flag of run holds for all arms but those that arms themselves say. Nothing is generated
    twice: single and sc are measured on the pool, and round 1 of every other arm is taken from it.
    The table and the picture are kept in the store below sweeps/.
    """
    from pacore.cli.sweep import sweep_to_end

    return sweep_to_end(config_from(flags, config_file), arms or DEFAULT_ARMS, prices, form)
