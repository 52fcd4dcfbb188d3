"""The critical path of sets whose rule began their slots in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pacore.core.policies.stops import SetStop
from pacore.core.stopping import parse_stopping
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse
from tests.fixtures.pipeline import finish
from tests.runs.test_stopping import RUN, config_of, records

pytestmark = pytest.mark.slow


def chain(stop: SetStop, spent: dict[str, float]) -> float:
    """The longest chain of a set, of what trajectories have ``spent`` by name: each batch follows on the
    longest of the arrivals it waited for.
    """
    rule, slots = parse_stopping(stop.rule), dict[int, float]()
    named = {one.trajectory_id: one.slot for one in stop.arrivals}
    named |= {one.trajectory_id: one.slot for one in stop.left}
    bounds = [0, *rule.boundaries(stop.width)]
    starts = dict.fromkeys(range(bounds[1]), 0.0)
    batch, waited, of_batch = 1, 0.0, 0
    for one in stop.arrivals:
        slots[one.slot] = starts[one.slot] + spent[one.trajectory_id]
        waited = max(waited, slots[one.slot])
        of_batch += one.slot >= bounds[batch - 1] if rule.abort_late else 1
        is_ready = of_batch >= rule.needed(bounds[batch - 1], bounds[batch])
        if is_ready and bounds[batch] < stop.begun:
            starts |= dict.fromkeys(range(bounds[batch], bounds[batch + 1]), waited)
            batch, of_batch = batch + 1, 0 if rule.abort_late else of_batch
    ends = [
        starts[named[name]] + count for name, count in spent.items() if named[name] < stop.begun
    ]
    return max(ends)


Pair = tuple[float, float]
"""Tokens and seconds."""


def measured(store_url: str) -> tuple[dict[str, Pair], dict[str, Pair], list[Any]]:
    """The chains of sets and the paths of answers, by problem, in tokens and in seconds; and the tokens and
    seconds of each trajectory.
    """
    chains = "SELECT problem_id, (chain_tokens, chain_seconds) FROM batch_chains"
    paths = "SELECT problem_id, (path_tokens, path_seconds) FROM mart_ttc"
    tokens = """
        SELECT
            problem_id, round, trajectory_id, coalesce(completion_tokens, 0), latency_seconds
        FROM trajectories
        ORDER BY problem_id, round, slot
    """
    with Warehouse(open_store(store_url), [RUN]) as warehouse:
        return (
            dict(warehouse.query(chains).rows),
            dict(warehouse.query(paths).rows),
            list(warehouse.query(tokens).rows),
        )


def test_batches_that_wait_for_all_before_them_add_up_their_longest(tmp_path: Path) -> None:
    config = config_of(tmp_path, "tokens:100000,batch:2", (6,), problems=2)
    finish(config)
    found, paths, counted = measured(config.store)
    for problem in found:
        for unit in (0, 1):
            a, b, c, d, e, f, last = (one[3 + unit] for one in counted if one[0] == problem)
            longest = found[problem][unit]
            assert longest == pytest.approx(max(a, b) + max(c, d) + max(e, f))
            assert paths[problem][unit] == pytest.approx(longest + last)


@pytest.mark.parametrize(
    "rule",
    [
        "votes:0.95,batch:4",
        "lead:0.9,batch:2,growth:2,ready:0.5",
        "lead:0.95,batch:4,ready:0.5,abort_late",
    ],
)
def test_the_path_of_batches_follows_on_the_arrivals_that_each_waited_for(
    tmp_path: Path, rule: str
) -> None:
    config = config_of(tmp_path, rule, (12,))
    finish(config)
    found, paths, counted = measured(config.store)
    stops = records(config.store)
    assert found.keys() == {stop.problem_id for stop in stops.values()}
    longer = 0
    for stop in stops.values():
        rows = [one for one in counted if one[0] == stop.problem_id]
        tokens = {name: count for _, round_, name, count, _ in rows if round_ == 1}
        seconds = {one.trajectory_id: 0.0 for one in stop.arrivals}
        seconds |= {name: time for _, _, name, _, time in rows if name in seconds}
        last = next((count, time) for _, round_, _, count, time in rows if round_ == 2)
        for unit, spent in enumerate((tokens, seconds)):
            longest = found[stop.problem_id][unit]
            assert longest == pytest.approx(chain(stop, spent))
            assert paths[stop.problem_id][unit] == pytest.approx(longest + last[unit])
        longer += found[stop.problem_id][0] > max(tokens.values())
    assert longer, "some set began a second batch"
