"""What becomes of sets that fall short, thoughts that were cut and prompts that do not fit.

The stages are compared with the oracle under every policy; the views say what happened.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pacore.core.config.run import RunConfig
from pacore.core.message import COMPACTOR_VERSION
from pacore.store.backends.opening import open_store
from pacore.store.commits import current_files
from pacore.store.run import is_closed, open_run
from pacore.warehouse.views import Warehouse
from tests.fixtures.pipeline import (
    Killed,
    journal_size,
    killed_after,
    oracle_tables,
    run_stages,
    scripted_config,
    table,
    tables,
    write_problems,
)

pytestmark = pytest.mark.slow

SHORT = "scripted?words=12&truncate=0.3&empty=0.2"


def config_of(folder: Path, problems: int = 6, **fields: Any) -> RunConfig:
    given = {"model": SHORT, "widths": (4, 2), "run_id": "mine", "shard_size": 2, **fields}
    folder.mkdir(exist_ok=True)
    return scripted_config(folder / "store", write_problems(folder / "p.jsonl", problems), **given)


def run_until_closed(config: RunConfig) -> int:
    """Start a run until it has nothing left to do; returns how many starts that took."""
    store, starts = open_store(config.store), 0
    while starts == 0 or not is_closed(store, "mine"):
        run_stages(config)
        starts += 1
    return starts


def ask(config: RunConfig, sql: str) -> list[tuple[Any, ...]]:
    with Warehouse(open_store(config.store), ["mine"]) as warehouse:
        assert not any(warehouse.run_checks().values())
        return list(warehouse.query(sql).rows)


def assert_is_the_oracles(config: RunConfig, attempts: int | None = None) -> None:
    found, expected = tables(config.store, "mine"), oracle_tables(config, attempts)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("min_messages", [1, 2, (3, 1), (4, 2)], ids=str)
@pytest.mark.parametrize("on_shortfall", ["fail", "refill", "proceed"])
def test_every_quorum_and_what_a_short_set_does_equal_the_oracles(
    tmp_path: Path, on_shortfall: str, min_messages: int | tuple[int, ...]
) -> None:
    config = config_of(
        tmp_path, on_shortfall=on_shortfall, min_messages=min_messages, replicates=2, refills=2
    )
    run_stages(config)
    assert_is_the_oracles(config)
    found = dict(ask(config, "SELECT outcome, count(*) FROM mart_quorums GROUP BY ALL"))
    assert ("proceeded" in found) <= (on_shortfall == "proceed")
    if on_shortfall == "proceed" and min_messages == (4, 2):
        assert found["proceeded"] > 0


@pytest.mark.parametrize("on_shortfall", ["fail", "refill", "proceed"])
def test_slots_the_engine_lost_are_waited_for_and_then_counted_out(
    tmp_path: Path, on_shortfall: str
) -> None:
    config = config_of(
        tmp_path,
        model=f"{SHORT}&fault=0.3",
        on_shortfall=on_shortfall,
        min_messages=(3, 1),
        attempts=2,
    )
    run_stages(config)
    first = dict(ask(config, "SELECT outcome, count(*) FROM mart_quorums GROUP BY ALL"))
    assert first["waiting"] > 0
    assert run_until_closed(config) > 1
    assert_is_the_oracles(config, attempts=2)
    (lost,) = ask(config, "SELECT sum(lost), bool_or(outcome = 'waiting') FROM mart_quorums")
    assert lost[0] > 0 and not lost[1]


def test_a_refilled_run_has_more_messages_and_says_what_it_took(tmp_path: Path) -> None:
    plain = config_of(tmp_path / "plain", min_messages=3, widths=(4,))
    refilled = config_of(
        tmp_path / "refilled", min_messages=3, widths=(4,), on_shortfall="refill", refills=9
    )
    run_stages(plain)
    run_stages(refilled)
    asked = "SELECT outcome, have, refills FROM mart_quorums WHERE round = 1"
    without, sets = ask(plain, asked), ask(refilled, asked)
    assert {outcome for outcome, _, _ in without} == {"met", "failed"}
    assert {outcome for outcome, _, _ in sets} == {"met"}
    assert {have for _, have, took in sets if took} == {3}
    refills = sum(refills for _, _, refills in sets)
    assert refills > 0 == sum(refills for _, _, refills in without)
    attempts = ask(
        refilled, "SELECT count(*) FROM all_trajectories WHERE round = 1 AND attempt > 0"
    )
    assert attempts == [(refills,)]
    draws = ask(refilled, "SELECT count(DISTINCT draw), max(draw) FROM trajectories")
    assert draws == [(4, 3)]


def test_refills_do_not_depend_on_shards_workers_or_the_order_of_problems(tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "on_shortfall": "refill",
        "min_messages": (3, 2),
        "replicates": 2,
    }
    one = config_of(tmp_path / "one", shard_size=1, concurrency=1, **fields)
    other = config_of(tmp_path / "other", shard_size=100, concurrency=50, **fields)
    problems = Path(other.problems)
    lines = problems.read_text().splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    problems.write_text("".join(lines))
    run_stages(one)
    run_stages(other)
    assert tables(one.store, "mine") == tables(other.store, "mine")


def test_a_refill_killed_in_the_middle_is_paid_for_once(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"on_shortfall": "refill", "min_messages": (4, 2), "refills": 9}
    whole = config_of(tmp_path / "whole", **fields)
    run_stages(whole)
    killed = config_of(tmp_path / "killed", **fields)
    for stages in (2, 4, 6, 8):
        with pytest.raises(Killed):
            run_stages(killed, killed_after(stages))
    run_stages(killed)
    assert tables(killed.store, "mine") == tables(whole.store, "mine")
    assert journal_size(killed.store) == journal_size(whole.store)


def test_another_run_with_refills_finds_those_of_the_first_in_the_store(tmp_path: Path) -> None:
    strict = config_of(tmp_path, min_messages=4, on_shortfall="refill", widths=(4,))
    run_stages(strict)
    paid = journal_size(strict.store)
    plain = strict.model_copy(update={"run_id": "plain", "on_shortfall": "fail"})
    run_stages(plain)
    assert journal_size(strict.store) == paid
    again = strict.model_copy(update={"run_id": "again"})
    run_stages(again)
    assert journal_size(strict.store) == paid
    assert tables(strict.store, "again") == tables(strict.store, "mine")
    attempts = table(strict.store, "plain", "trajectories", ["attempt"])
    assert {attempt for _, attempt in attempts} == {0}


def test_the_last_round_is_never_refilled(tmp_path: Path) -> None:
    config = config_of(
        tmp_path, model="scripted?truncate=0.5", widths=(2,), on_shortfall="refill", refills=9
    )
    run_stages(config)
    last = ask(config, "SELECT outcome, max(refills) FROM mart_quorums WHERE round = 2 GROUP BY 1")
    assert dict(last) == {"met": 0, "failed": 0}


@pytest.mark.parametrize("compaction", ["conclusion", "verbatim"])
@pytest.mark.parametrize("tail_tokens", [3, 10_000])
def test_the_tail_of_a_cut_thought_is_a_message_in_all_rounds_but_the_last(
    tmp_path: Path, tail_tokens: int, compaction: str
) -> None:
    config = config_of(tmp_path, truncated="tail", tail_tokens=tail_tokens, compaction=compaction)
    run_stages(config)
    assert_is_the_oracles(config)
    tail = f"tail({tail_tokens})/{COMPACTOR_VERSION}"
    columns = ["trajectory_id", "text", "compactor"]
    texts = {
        trajectory_id: text
        for _, trajectory_id, text, compactor in table(config.store, "mine", "messages", columns)
        if compactor == tail
    }
    cut = ask(
        config,
        "SELECT trajectory_id, reasoning, round FROM trajectories"
        " JOIN trajectory_texts USING (run_id, round, trajectory_id)"
        " WHERE conclusion_status = 'truncated'",
    )
    assert {row[0] for row in cut if row[2] < 3} == set(texts)
    for trajectory_id, reasoning, round_ in cut:
        if round_ < 3:
            text = texts[trajectory_id]
            assert reasoning.endswith(text)
            assert (text == reasoning) is (tail_tokens == 10_000)
            assert len(text) <= len(reasoning) * tail_tokens / 12 or tail_tokens == 10_000
    last = ask(config, "SELECT status FROM answers WHERE finish_reason = 'length'")
    assert set(last) <= {("no_answer",)}


def window_config(folder: Path, window: int, **fields: Any) -> RunConfig:
    model = f"scripted?words=10&window={window}"
    return config_of(folder, model=model, widths=(6, 2), max_tokens=30, **fields)


@pytest.mark.parametrize("window", [60, 100, 120, 1000])
@pytest.mark.parametrize("overflow", ["fail", "fewer_messages"])
def test_a_prompt_that_does_not_fit_equals_the_oracles(
    tmp_path: Path, overflow: str, window: int
) -> None:
    config = window_config(tmp_path, window, overflow=overflow)
    run_stages(config)
    assert_is_the_oracles(config)
    reasons = ask(config, "SELECT DISTINCT round, finish_reason, prompt_messages FROM trajectories")
    later = [row for row in reasons if row[0] == 2]
    if window == 1000:
        assert later == [(2, "stop", None)]
    elif window == 60 or overflow == "fail":
        assert later == [(2, "context_overflow", None)]
    else:
        shown = {shown for _, reason, shown in later if reason == "stop"}
        assert shown and shown <= set(range(1, 6))


def test_a_prompt_shows_as_many_messages_as_the_window_holds_and_not_one_fewer(
    tmp_path: Path,
) -> None:
    config = window_config(tmp_path, 120, overflow="fewer_messages")
    run_stages(config)
    rows = ask(
        config,
        "SELECT DISTINCT problem_id, prompt_tokens, prompt_messages FROM trajectories"
        " WHERE round = 2",
    )
    texts = table(config.store, "mine", "messages", ["problem_id", "position", "text"])
    for problem_id, prompt_tokens, shown in rows:
        next_text = next(
            text for round_, named, position, text in texts
            if (round_, named, position) == (1, problem_id, shown + 1)
        )  # fmt: skip
        assert prompt_tokens + 30 <= 120 < prompt_tokens + 30 + len(next_text.split()) + 2


def test_where_the_window_is_not_known_nothing_is_left_out(tmp_path: Path) -> None:
    config = config_of(tmp_path, widths=(6,), max_tokens=30, overflow="fewer_messages")
    run_stages(config)
    assert_is_the_oracles(config)
    assert ask(config, "SELECT DISTINCT prompt_messages FROM trajectories") == [(None,)]


def test_rates_beside_a_score_are_parts_of_the_answers(tmp_path: Path) -> None:
    config = config_of(tmp_path, problems=12, widths=(2,), min_messages=2)
    run_stages(config)
    (rates,) = ask(
        config,
        "SELECT truncated_rate, empty_rate, unparsed_rate, no_answer_rate, failed_rate"
        " FROM mart_accuracy",
    )
    truncated, empty, unparsed, no_answer, failed = rates
    assert no_answer == pytest.approx(truncated + empty + unparsed)
    assert truncated + empty > 0 and failed > 0
    assert current_files(open_store(config.store), "mine")["verdicts"]
    assert open_run(open_store(config.store), "mine").plan.min_messages == 2
