"""What ``pacore compare`` does: reads both runs, and prints what was found."""

from __future__ import annotations

import click

from pacore.errors import BadInput
from pacore.evaluation.comparison import Criteria, compare_pairs, decide
from pacore.report.comparison import comparison_json, comparison_text
from pacore.store.backends.opening import open_store
from pacore.store.run import open_run
from pacore.warehouse.prices import read_prices
from pacore.warehouse.views import Warehouse


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
