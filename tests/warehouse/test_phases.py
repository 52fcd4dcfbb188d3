"""Where the time of a run went, as `mart_phases` has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.store.backends.opening import open_store
from pacore.warehouse.connection import Connection, connect
from pacore.warehouse.relations import statement
from pacore.warehouse.views import Warehouse
from tests.fixtures.pipeline import finish, scripted_config, write_problems


def phases_of(store: str, run_id: str) -> list[dict[str, Any]]:
    with Warehouse(open_store(store)) as warehouse:
        found = warehouse.query(
            "SELECT * EXCLUDE (run_id), epoch(finished_at) - epoch(created_at) AS wall "
            "FROM mart_phases JOIN (SELECT run_id, created_at, finished_at FROM runs) USING (run_id) "
            f"WHERE run_id = '{run_id}'"
        )
        return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def test_phases_add_up_to_the_time_of_a_run_and_one_that_reuses_all_has_only_a_start(
    tmp_path: Path,
) -> None:
    config = scripted_config(
        tmp_path / "store",
        write_problems(tmp_path / "problems.jsonl", 4),
        widths=(6,),
        concurrency=8,
        run_id="first",
        model="scripted?words=20&latency_ms=40",
    )
    finish(config)
    finish(config.model_copy(update={"run_id": "second"}))
    phases = phases_of(config.store, "first")
    assert [row["position"] for row in phases] == list(range(1, len(phases) + 1))
    by_name = {row["phase"]: row for row in phases}
    order = ["start", "full", "idle", "tail", "end"]
    assert list(by_name) == [name for name in order if name in by_name]
    assert {"start", "full", "end"} <= by_name.keys()
    assert sum(row["seconds"] for row in phases) == pytest.approx(phases[0]["wall"], abs=1e-3)
    assert sum(row["share"] for row in phases) == pytest.approx(1)
    assert 1 <= by_name["full"]["in_flight"] <= 8
    assert all(row["in_flight"] is None for row in phases if row["phase"] not in ("full", "tail"))
    (again,) = phases_of(config.store, "second")
    assert (again["phase"], again["share"]) == ("start", 1)
    assert again["seconds"] == pytest.approx(again["wall"], abs=1e-3)


PLANTED = """
CREATE OR REPLACE TEMP TABLE runs AS
SELECT 'r' AS run_id, make_timestamp(0) AS created_at, make_timestamp({finished} * 1000000) AS finished_at;
CREATE OR REPLACE TEMP TABLE all_trajectories AS
SELECT
    'r' AS run_id,
    number::VARCHAR AS trajectory_id,
    false AS reused,
    make_timestamp(ended * 1000000) AS generated_at,
    (ended - began)::DOUBLE AS latency_seconds
FROM (VALUES {flights}) AS flights (number, began, ended);
"""

FLIGHTS = st.lists(
    st.tuples(st.integers(1, 20), st.integers(1, 8)).map(lambda pair: (pair[0], sum(pair))),
    min_size=1,
    max_size=8,
)


def by_seconds(flights: list[tuple[int, int]], finished: int) -> dict[str, int]:
    """How many whole seconds each phase has, counted one by one."""
    flying = [sum(began <= now < ended for began, ended in flights) for now in range(finished)]
    first, last = min(began for began, _ in flights), max(ended for _, ended in flights)
    half = max(now for now in range(finished) if 2 * flying[now] >= max(flying))
    names = [
        "start" if now < first
        else "end" if now >= last
        else "idle" if not flying[now]
        else "full" if now <= half
        else "tail"
        for now in range(finished)
    ]  # fmt: skip
    return dict(Counter(names))


@pytest.fixture(scope="module")
def database() -> Iterator[Connection]:
    with connect("", threads=1) as connection:
        yield connection


@given(flights=FLIGHTS, closing=st.integers(1, 5))
def test_a_phase_has_the_seconds_in_which_so_many_requests_were_in_flight(
    database: Connection, flights: list[tuple[int, int]], closing: int
) -> None:
    finished = max(ended for _, ended in flights) + closing
    rows = ", ".join(
        f"({number}, {began}, {ended})" for number, (began, ended) in enumerate(flights)
    )
    for _, text in database.statements(PLANTED.format(finished=finished, flights=rows)):
        database.execute(text)
    database.execute(statement("marts/phases"))
    found = {phase: seconds for _, _, phase, seconds, _, _ in database.fetch(9)}
    assert found == by_seconds(flights, finished)
