"""The command ``pacore compare``, and the prices that ``pacore query`` takes.

What ``pacore compare`` does: reads both runs, and prints what was found.
"""

from __future__ import annotations

from typing import Any

import click
from pydantic import ValidationError

from pacore.errors import BadInput, Exit
from pacore.evaluation.comparison import Criteria, compare_pairs, decide
from pacore.report.comparison import comparison_json, comparison_text
from pacore.store.backends.opening import open_store
from pacore.store.run import open_run
from pacore.warehouse.prices import read_prices
from pacore.warehouse.views import Warehouse

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
    pass
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


def print_comparison(
    store_url: str,
    runs: tuple[str, str],
    margin: float | None,
    criteria: Criteria | None,
    prices: str | None,
    *,
    form: str,
) -> str | None:
    """Compare two runs and print it; the gate's word, None without ``criteria``.

    Raises Refused for an unknown run, for two without a common problem and for two of the same
    trajectories, BadInput for the same run twice.
    """
    if runs[0] == runs[1]:
        raise BadInput(f"{runs[0]}: is compared with itself; name two runs")
    store = open_store(store_url)
    for run_id in runs:
        open_run(store, run_id)
    with Warehouse(store, runs, read_prices(prices) if prices else ()) as warehouse:
        found = compare_pairs(warehouse, *runs, margin)
        decision = None
        if criteria is not None:
            decision = decide(found, criteria, warehouse.run_checks())
        text = comparison_json if form == "json" else comparison_text
        click.echo(text(found, decision))
    return decision.word if decision is not None else None
