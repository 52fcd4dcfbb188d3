"""The marts on runs of the real stages, with everything that can go wrong, against plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from pacore.core.trajectory import UNFINISHED
from pacore.evaluation.accuracy import Totals
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_files
from pacore.store.parquet import read_rows
from pacore.store.run import open_run
from pacore.store.schema import TABLES
from pacore.warehouse.views import Warehouse
from tests.fixtures.graded import graded_store
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.small_store import Row, rows_of, select, small_store


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    """Two nights over the same problems: a small run with faults, and a larger that reuses it."""
    folder = tmp_path_factory.mktemp("nights")
    problems = write_problems(folder / "problems.jsonl", 6)
    model = "scripted?words=12&truncate=0.2&empty=0.1&fault=0.3"
    shared: dict[str, Any] = {"model": model, "replicates": 2, "attempts": 2, "shard_size": 4}
    for run_id, widths in (("first", (3,)), ("second", (5, 2))):
        config = scripted_config(folder / "store", problems, widths=widths, run_id=run_id, **shared)
        run_stages(config)
        run_stages(config)
    return open_store(str(folder / "store"))


def stored(store: Backend, run_id: str, table: str) -> list[Row]:
    """Rows of a table of a run with their round, read without SQL."""
    found = []
    for key in current_files(store, run_id).get(table, []):
        round_ = int(key.split("round=")[1].split("/")[0])
        names = TABLES[table].schema.names
        found += [{**row, "round": round_} for row in read_rows(store.uri(key), names)]
    return found


def place(row: Row) -> tuple[Any, ...]:
    return (row["round"], row["problem_id"], row["replicate"], row["slot"])


def standing(rows: list[Row]) -> list[Row]:
    last = {place(row): row for row in sorted(rows, key=lambda row: row["attempt"])}
    return list(last.values())


@pytest.mark.slow
@pytest.mark.parametrize("run_id", ["first", "second"])
def test_a_real_run_with_faults_breaks_no_invariant(nights: Backend, run_id: str) -> None:
    with Warehouse(nights, [run_id]) as warehouse:
        found = warehouse.run_checks()
    assert not any(found.values()), found


@pytest.mark.parametrize("run_id", ["first", "second"])
def test_accuracy_is_the_mean_over_problems_of_their_replicates(
    nights: Backend, run_id: str
) -> None:
    answers, scores = stored(nights, run_id, "answers"), stored(nights, run_id, "verdicts")
    rounds = open_run(nights, run_id).plan.rounds
    last = {
        (row["problem_id"], row["replicate"]): row["conclusion_status"]
        for row in standing(stored(nights, run_id, "trajectories"))
        if row["round"] == rounds
    }
    # A set of one message at least fails for the model's reasons only where the engine filled every slot.
    unfilled = {
        place(row)[:3]
        for row in standing(stored(nights, run_id, "trajectories"))
        if row["finish_reason"] in UNFINISHED
    }
    lost = {
        (row["problem_id"], row["replicate"])
        for row in answers
        if (row["failed_round"], row["problem_id"], row["replicate"]) in unfilled
    }
    by_problem: dict[str, list[float]] = {}
    for row in scores:
        if (row["problem_id"], row["replicate"]) not in lost:
            by_problem.setdefault(row["problem_id"], []).append(row["score"])
    finals = Counter(last.get((row["problem_id"], row["replicate"])) for row in answers)
    statuses = Counter(row["status"] for row in answers)
    with Warehouse(nights, [run_id]) as warehouse:
        (found,) = warehouse.read(Totals, run_id=run_id)
    assert found.accuracy == pytest.approx(fmean(fmean(given) for given in by_problem.values()))
    assert (found.answers, found.planned, found.lost) == (12, 12, len(lost))
    assert found.scored == 12 - len(lost)
    assert found.no_answer_rate == pytest.approx(statuses["no_answer"] / 12)
    assert found.failed_rate == pytest.approx(statuses["failed"] / 12)
    assert found.truncated_rate == pytest.approx(finals["truncated"] / 12)
    assert found.empty_rate == pytest.approx(finals["empty"] / 12)
    assert found.ungraded_rate == 0


@pytest.mark.parametrize("run_id", ["first", "second"])
def test_ttc_counts_the_path_of_each_answer_and_what_the_run_itself_generated(
    nights: Backend, run_id: str
) -> None:
    rows = stored(nights, run_id, "trajectories")
    effective: Counter[tuple[str, int]] = Counter()
    for row in standing(rows):
        effective[row["problem_id"], row["replicate"]] += row["completion_tokens"] or 0
    generated = {
        row["trajectory_id"]: row["completion_tokens"] or 0 for row in rows if not row["reused"]
    }
    with Warehouse(nights, [run_id]) as warehouse:
        found = list(warehouse.query("FROM mart_ttc").rows)
        columns = warehouse.query("FROM mart_ttc").columns
    ttc = [dict(zip(columns, row, strict=True)) for row in found]
    tokens = {(row["problem_id"], row["replicate"]): row["effective_tokens"] or 0 for row in ttc}
    assert tokens == dict(effective)
    assert sum(row["marginal_tokens"] for row in ttc) == sum(generated.values())
    assert sum(row["trajectories"] for row in ttc) == len(standing(rows))
    chains: dict[tuple[str, int], dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in standing(rows):
        chains[row["problem_id"], row["replicate"]][row["round"]].append(row)
    for row in ttc:
        rounds = chains[row["problem_id"], row["replicate"]].values()
        longest = [max(one["completion_tokens"] or 0 for one in some) for some in rounds]
        assert row["path_tokens"] == sum(longest)
        waits = [max(one["latency_seconds"] or 0 for one in some) for some in rounds]
        assert row["path_seconds"] == pytest.approx(sum(waits))
        taken = sum(one["latency_seconds"] or 0 for some in rounds for one in some)
        assert row["engine_seconds"] == pytest.approx(taken)
    flights = [
        (one["generated_at"].timestamp() - one["latency_seconds"], one["generated_at"].timestamp())
        for one in standing(rows)
    ]
    with Warehouse(nights, [run_id]) as warehouse:
        ((busy,),) = warehouse.query("SELECT busy_seconds FROM mart_costs").rows
    moments = sorted({moment for flight in flights for moment in flight})
    together = [
        until - since
        for since, until in pairwise(moments)
        if any(began <= since and until <= ended for began, ended in flights)
    ]
    assert busy == pytest.approx(sum(together), abs=1e-4)
    if run_id == "second":
        assert 0 < sum(row["reused"] for row in ttc) == sum(row["reused"] for row in standing(rows))
        assert sum(generated.values()) < sum(effective.values())


def test_a_trajectory_shared_by_replicates_was_generated_once(tmp_path: Path) -> None:
    config = scripted_config(
        tmp_path / "store",
        write_problems(tmp_path / "problems.jsonl", 2),
        widths=(3,),
        replicates=4,
        pool=4,
        run_id="pooled",
    )
    run_stages(config)
    store = open_store(config.store)
    rows = stored(store, "pooled", "trajectories")
    once = {row["trajectory_id"]: row["completion_tokens"] for row in rows}
    assert len(once) < len(rows)
    with Warehouse(store) as warehouse:
        (found,) = warehouse.read(Totals, run_id="pooled")
    assert found.marginal_tokens == sum(once.values())
    assert found.effective_tokens == sum(row["completion_tokens"] for row in rows)


@pytest.mark.parametrize("run_id", ["first", "second"])
def test_rounds_and_failures_count_the_attempts_that_stand(nights: Backend, run_id: str) -> None:
    rows = stored(nights, run_id, "trajectories")
    lasting = standing(rows)
    with Warehouse(nights, [run_id]) as warehouse:
        result = warehouse.query("FROM mart_rounds ORDER BY round")
        rounds = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
        failed = list(
            warehouse.query("SELECT round, problem_id, replicate, slot FROM mart_failures").rows
        )
    assert sorted(failed) == sorted(place(row) for row in lasting if row["conclusion"] is None)
    assert any(row["finish_reason"] in UNFINISHED for row in rows)
    for found in rounds:
        mine = [row for row in lasting if row["round"] == found["round"]]
        reasons = Counter(row["finish_reason"] for row in mine)
        assert found["trajectories"] == len(mine)
        assert found["attempts"] == sum(row["round"] == found["round"] for row in rows)
        assert found["reused"] == sum(row["reused"] for row in mine)
        assert found["completion_tokens"] == sum(row["completion_tokens"] or 0 for row in mine)
        for reason in ("stop", "length", "engine_error", "timeout", "rejected", "cancelled"):
            assert found[reason] == reasons[reason]


def test_accuracy_by_round_is_the_mean_over_problems_of_its_graded_trajectories(
    tmp_path: Path,
) -> None:
    asked = "SELECT round, accuracy, scored FROM mart_rounds ORDER BY round"
    # sum-1 is right three times, sum-2 once of three, sum-4 three times; sum-3 has nothing to grade.
    first, last = (1, pytest.approx(7 / 9), 9), (2, pytest.approx(1 / 3), 3)
    with Warehouse(graded_store(tmp_path / "graded")) as warehouse:
        assert list(warehouse.query(asked).rows) == [first, last]
    with Warehouse(small_store(tmp_path / "own")) as warehouse:
        assert list(warehouse.query(asked).rows) == [(1, None, 0), last]


def test_without_gold_or_verdict_there_is_no_accuracy_and_it_shows(tmp_path: Path) -> None:
    rows = rows_of()
    for row in select(rows, "verdicts"):
        row.update(score=None, verdict="timeout")
    with Warehouse(small_store(tmp_path / "store", rows)) as warehouse:
        (found,) = warehouse.read(Totals, run_id="demo")
    assert (found.accuracy, found.scored, found.lost) == (None, 0, 1)
    assert (found.ungraded, found.ungraded_rate) == (3, 0.75)


def test_what_was_spent_on_attempts_given_up_is_waste_and_no_effective_ttc(tmp_path: Path) -> None:
    rows = rows_of()
    given_up = select(rows, "trajectories", problem_id="sum-2", slot=2, attempt=0)[0]
    given_up["completion_tokens"] = 1000
    with Warehouse(small_store(tmp_path / "store", rows)) as warehouse:
        (ttc,) = warehouse.query(
            "SELECT effective_tokens, marginal_tokens FROM mart_ttc WHERE problem_id = 'sum-2'"
        ).rows
        (waste,) = warehouse.query("SELECT wasted_tokens FROM mart_rounds WHERE round = 1").rows
    assert ttc == (158, 1158)
    assert waste == (1000 + 4 * 7,)
