"""Runs under rules that stop early are killed at chosen points, and go on as they had decided."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pacore.core.policies.stops import SetStop
from pacore.runs.loop import finish_shards
from pacore.store.backends.opening import open_store
from pacore.store.run import is_closed
from tests.fixtures.killed import Asked, Death, killed
from tests.fixtures.pipeline import open_with, table
from tests.runs.test_stopping import RUN, STOPS, config_of, findings, records

pytestmark = pytest.mark.slow

PROBLEMS = 5

RULES: dict[str, tuple[str, tuple[int, ...]]] = {
    "votes, all at once": ("votes:0.9", (12,)),
    "votes in batches": ("votes:0.9,batch:4", (12,)),
    "arrivals": ("arrivals:5", (12,)),
    "the lead, late ones aborted": ("lead:0.8,batch:4,ready:0.5,abort_late", (12,)),
    "a budget of tokens": ("tokens:400", (12,)),
    "width by agreement": ("fewest:2", (6, 6)),
    "depth by agreement": ("votes:0.9,depth:0.9", (12,)),
}

DEATHS = {
    "trajectories have arrived": Death("journal/", 13),
    "a set is decided, and that is not recorded": Death(f"runs/{RUN}/stops/", 2, "before"),
    "decisions are recorded, and nothing follows from them yet": Death(f"runs/{RUN}/stops/", 2),
    "a table has decisions whose trajectories are in none": Death(
        f"commits/run_id={RUN}/stops/", 1
    ),
}


def journalled(store_url: str) -> set[str]:
    keys = open_store(store_url).list("journal")
    return {key.rpartition("/")[2].partition(".")[0] for key in keys}


@pytest.mark.parametrize("name", RULES)
def test_a_run_that_is_killed_again_and_again_keeps_its_decisions_and_generates_nothing_twice(
    tmp_path: Path, name: str
) -> None:
    rule, widths = RULES[name]
    config = config_of(tmp_path, rule, widths, problems=PROBLEMS)
    sets = PROBLEMS * len(widths)
    asked = tmp_path / "asked.txt"
    decided, kept = records(config.store), set[str]()
    for why, death in DEATHS.items():
        killed(config, death, asked)
        assert not is_closed(open_store(config.store), RUN), why
        assert_none_is_asked_for_again(asked, decided, kept)
        before, decided = decided, records(config.store)
        assert before.items() <= decided.items(), why
        kept = journalled(config.store)
        assert {one for stop in decided.values() for one in stop.trajectory_ids} <= kept, why
    assert 0 < len(decided) <= sets
    with open_with(config, Asked(config.model, asked)) as work:
        finish_shards(work)
    assert is_closed(open_store(config.store), RUN)
    assert_none_is_asked_for_again(asked, decided, kept)
    after = records(config.store)
    assert len(after) == len(table(config.store, RUN, "stops", STOPS)) == sets
    assert decided.items() <= after.items()
    assert findings(config.store) == []


def assert_none_is_asked_for_again(
    asked: Path, decided: Mapping[tuple[int, str, int], SetStop], kept: set[str]
) -> None:
    """Neither what a start has found in the journal, nor what decisions that it has found do without."""
    ids = asked.read_text().split()
    asked.write_text("")
    left = {slot.trajectory_id for stop in decided.values() for slot in stop.left}
    assert len(set(ids)) == len(ids)
    assert not set(ids) & (kept | left)
