"""People's own queries, answered in a process of their own (`pacore.bounded`)."""

from __future__ import annotations

import sys

from pacore.prices import read_prices
from pacore.query_output import query_output
from pacore.store import open_store
from pacore.visible import visible
from pacore.warehouse import Warehouse


def answer(store_url: str, text: str, form: str, prices: str, memory_bytes: int) -> None:
    """Print what a query gives; ``prices`` is a file's name, or empty. Raises as `Warehouse.query`."""
    rows = read_prices(prices) if prices else ()
    store = open_store(store_url)
    with Warehouse(store, prices=rows, memory_bytes=memory_bytes, say=_say) as warehouse:
        for part in query_output(warehouse.query(text), form):
            sys.stdout.write(part)


def _say(notice: str) -> None:
    sys.stderr.write(f"pacore: {visible(notice)}\n")
