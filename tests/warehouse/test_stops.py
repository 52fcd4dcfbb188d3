"""What rules that stop early have decided, as it can be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse
from tests.fixtures.pipeline import finish, scripted_config, write_problems


def rows_of(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in warehouse.query(query).rows]


@pytest.mark.slow
def test_what_rules_have_decided_and_saved_adds_up(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    model = "scripted?words=200&latency_ms=30"
    config = scripted_config(
        tmp_path / "store", problems, widths=(12, 4), stopping="votes:0.9,batch:4;arrivals:2",
        run_id="stopped", model=model,
    )  # fmt: skip
    finish(config)
    finish(config.model_copy(update={"stopping": None, "run_id": "whole"}))
    with Warehouse(open_store(config.store)) as warehouse:
        found = rows_of(
            warehouse,
            "SELECT round, rule, sets, stopped, slots, arrived, aborted, not_begun, seen_tokens, "
            "aborted_tokens, saved_tokens, saved FROM mart_stops",
        )
        assert [row[:3] for row in found] == [(1, "votes:0.9,batch:4", 4), (2, "arrivals:2", 4)]
        for _, _, sets, stopped, slots, arrived, aborted, not_begun, *tokens in found:
            assert stopped <= sets and slots == arrived + aborted + not_begun
            seen, _, saved, share = tokens
            assert seen > 0 and saved >= 0 and 0 <= share < 1
        (of_rounds,) = rows_of(
            warehouse,
            "SELECT sum(aborted), sum(aborted + stop) = sum(trajectories) FROM mart_rounds "
            "WHERE run_id = 'stopped'",
        )
        assert of_rounds == (sum(row[6] + row[7] for row in found), True)
        (is_paid,) = rows_of(
            warehouse,
            "SELECT (SELECT sum(effective_tokens) FROM mart_ttc WHERE run_id = 'stopped') = "
            "(SELECT sum(completion_tokens) FROM trajectories WHERE run_id = 'stopped')",
        )
        assert is_paid == (True,)
        assert rows_of(warehouse, "SELECT round FROM mart_votes WHERE run_id = 'stopped'") == [(3,)]
        of_run = "WHERE run_id = 'stopped'"
        lacking = f"SELECT rule FROM mart_evidence {of_run} AND status = 'lacking'"
        assert rows_of(warehouse, lacking) == []
        assert rows_of(warehouse, f"SELECT slot FROM mart_failures {of_run}") == []


@pytest.mark.slow
def test_rounds_that_do_not_follow_are_saved_as_long_as_those_of_other_problems(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 12)
    config = scripted_config(
        tmp_path / "store", problems, widths=(8, 4), stopping="depth:0.85", run_id="stopped",
        model="scripted?words=20&answers=3",
    )  # fmt: skip
    finish(config)
    with Warehouse(open_store(config.store)) as warehouse:
        found = rows_of(warehouse, "SELECT round, ended, rounds_saved_tokens FROM mart_stops")
        means = dict(
            rows_of(
                warehouse,
                "SELECT round, sum(completion_tokens) / count(DISTINCT problem_id) "
                "FROM trajectories GROUP BY round",
            )
        )
    (_, ended, saved), (_, ended_later, saved_later) = found
    assert 0 < ended < 12, "some end after round 1, some do not"
    assert saved == pytest.approx(ended * (means[2] + means[3]))
    assert saved_later == pytest.approx(ended_later * means[3])


@pytest.mark.slow
def test_nobody_knows_what_a_round_would_have_taken_that_no_problem_has_had(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    config = scripted_config(
        tmp_path / "store", problems, widths=(8,), stopping="depth:0.51", run_id="stopped",
        model="scripted?words=20&answers=2",
    )  # fmt: skip
    finish(config)
    with Warehouse(open_store(config.store)) as warehouse:
        found = rows_of(warehouse, "SELECT sets, ended, rounds_saved_tokens FROM mart_stops")
    assert found == [(2, 2, None)]
