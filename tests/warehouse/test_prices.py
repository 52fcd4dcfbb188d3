"""Price tables, and the money that marts make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pacore.errors import BadInput
from pacore.store.backends.protocol import Backend
from pacore.warehouse.prices import Price, read_prices
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.small_store import rows_of, select, small_store

HEAD = "model,prompt_per_million,completion_per_million"


def written(folder: Path, text: str) -> str:
    path = folder / "prices.csv"
    path.write_text(text)
    return str(path)


def test_a_price_table_is_read_with_what_it_leaves_out(tmp_path: Path) -> None:
    full = (
        "model,currency,prompt_per_million,cached_prompt_per_million,completion_per_million\n"
        "one,EUR,1,0.25,4\n"
        "two,EUR,2,,8\n"
    )
    assert read_prices(written(tmp_path, full)) == [
        Price("one", "EUR", 1.0, 0.25, 4.0),
        Price("two", "EUR", 2.0, 2.0, 8.0),
    ]
    assert read_prices(written(tmp_path, f"{HEAD}\none,1,4\n")) == [
        Price("one", "USD", 1.0, 1.0, 4.0)
    ]
    assert read_prices(written(tmp_path, f"\ufeff{HEAD}\n")) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model,prompt_per_million\none,1\n", ":1: completion_per_million: is missing"),
        (f"{HEAD},colour\none,1,4,red\n", ":1: 'colour': unknown"),
        (f"{HEAD}\none,1,4\none,2,3\n", ":3: model: 'one' has its prices in line 2"),
        (f"{HEAD}\n,1,4\n", ":2: model: is empty"),
        (f"{HEAD}\none,dear,4\n", ":2: prompt_per_million: 'dear' is no number"),
        (f"{HEAD}\none,-1,4\n", ":2: prompt_per_million: '-1' is no price"),
        (f"{HEAD}\none,nan,4\n", ":2: prompt_per_million: 'nan' is no price"),
        (f"{HEAD}\none,1\n", ":2: completion_per_million: '' is no number"),
        (f"{HEAD},currency\none,1,4,USD\ntwo,1,4,EUR\n", ":3: currency: 'EUR' beside 'USD'"),
        (f'{HEAD}\n"one,1,4\n', "is not CSV"),
        ("", ":1: model: is missing"),
    ],
)
def test_what_is_wrong_with_a_price_table_is_said_with_its_line(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(BadInput) as raised:
        read_prices(written(tmp_path, text))
    assert says in str(raised.value)
    assert "prices.csv" in str(raised.value)


def costs(store: Backend, *prices: Price) -> dict[str, Any]:
    with Warehouse(store, prices=prices) as warehouse:
        result = warehouse.query("FROM mart_costs")
        (row,) = result.rows
    return dict(zip(result.columns, row, strict=True))


def test_money_is_tokens_times_prices_and_cached_ones_have_their_own(tmp_path: Path) -> None:
    rows = rows_of()
    for row in select(rows, "trajectories", problem_id="sum-1"):
        row["cached_prompt_tokens"] = 15
    found = costs(small_store(tmp_path / "store", rows), Price("scripted", "USD", 1.0, 0.1, 10.0))
    finished = [row for row in select(rows, "trajectories") if row["completion_tokens"] is not None]
    paid = sum(
        (row["prompt_tokens"] - (row["cached_prompt_tokens"] or 0)) * 1.0
        + (row["cached_prompt_tokens"] or 0) * 0.1
        + row["completion_tokens"] * 10.0
        for row in finished
    )
    wasted = sum(row["wasted_tokens"] for row in select(rows, "trajectories")) * 10.0
    assert found["currency"] == "USD"
    assert found["effective_money"] == pytest.approx(paid / 1e6)
    # Three answers: of the fourth problem every trajectory timed out.
    assert found["effective_money_per_answer"] == pytest.approx(paid / 3e6)
    assert found["marginal_money"] == pytest.approx((paid + wasted) / 1e6)


def test_without_a_price_or_a_count_there_is_no_money(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    for prices in ((), (Price("another", "USD", 1.0, 1.0, 1.0),)):
        found = costs(store, *prices)
        assert (found["effective_money"], found["marginal_money"]) == (None, None)
    rows = rows_of()
    select(rows, "trajectories", problem_id="sum-1", round=2)[0]["completion_tokens"] = None
    store = small_store(tmp_path / "uncounted", rows)
    found = costs(store, Price("scripted", "USD", 1.0, 1.0, 1.0))
    assert (found["currency"], found["effective_money"]) == ("USD", None)


def test_what_another_run_paid_for_costs_this_one_nothing_new(tmp_path: Path) -> None:
    rows = rows_of()
    for row in select(rows, "trajectories"):
        row["reused"] = True
    found = costs(small_store(tmp_path / "store", rows), Price("scripted", "USD", 1.0, 1.0, 1.0))
    assert found["effective_money"] > 0
    assert found["marginal_money"] == 0


@pytest.mark.slow
def test_a_query_takes_the_prices_it_is_given(tmp_path: Path, command: Pacore) -> None:
    small_store(tmp_path / "store")
    prices = written(tmp_path, f"{HEAD}\nscripted,1,10\n")
    done = command(
        "query", "--store", str(tmp_path / "store"), "--prices", prices, "--format", "csv",
        "SELECT currency, effective_money > 0 AS paid FROM mart_costs",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "currency,paid\nUSD,true\n"), done.stderr
    wrong = command("query", "--store", str(tmp_path / "store"), "--prices", "no.csv", "SELECT 1")
    assert wrong.returncode == 2
    assert "no.csv" in wrong.stderr
