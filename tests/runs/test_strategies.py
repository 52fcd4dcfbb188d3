"""Strategies beyond the paper's: the stages compared with `solve`, and what each makes and sees."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pacore.cli.exchange import ImportOptions, import_from
from pacore.core.config.run import RunConfig
from pacore.exchange.export_folder import export_run
from pacore.runs.retry import begin_retry
from pacore.store.backends.opening import open_store
from pacore.store.run import is_closed, open_run
from pacore.warehouse.views import Warehouse
from tests.fixtures.audited import errors
from tests.fixtures.pipeline import (
    Killed,
    journal_size,
    killed_after,
    oracle_tables,
    run_stages,
    scripted_config,
    tables,
    write_problems,
)
from tests.fixtures.strategies import STRATEGIES, UNEVEN, UNTHINKING

pytestmark = pytest.mark.slow

by_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def config_of(folder: Path, strategy: str, problems: int = 3, **fields: Any) -> RunConfig:
    folder.mkdir(exist_ok=True)
    given = {"model": UNEVEN, "widths": (4, 2), "run_id": "mine", "shard_size": 2}
    return scripted_config(
        folder / "store",
        write_problems(folder / "p.jsonl", problems),
        **{**given, **STRATEGIES[strategy], **fields},
    )


def assert_is_the_oracles(config: RunConfig, attempts: int | None = None) -> None:
    found, expected = tables(config.store, "mine"), oracle_tables(config, attempts)
    assert {name: found[name] for name in expected} == expected


def ask(config: RunConfig, text: str) -> list[tuple[Any, ...]]:
    with Warehouse(open_store(config.store), ["mine"]) as warehouse:
        assert not any(warehouse.run_checks().values())
        return list(warehouse.query(text).rows)


@pytest.mark.parametrize(
    ("widths", "replicates", "shard_size"),
    [((), 1, 2), ((4,), 2, 100), ((5, 3), 1, 1), ((1, 2, 1), 2, 2)],
    ids=str,
)
@by_strategy
def test_the_tables_equal_the_oracles(
    tmp_path: Path, strategy: str, widths: tuple[int, ...], replicates: int, shard_size: int
) -> None:
    config = config_of(
        tmp_path, strategy, widths=widths, replicates=replicates, shard_size=shard_size
    )
    run_stages(config)
    assert_is_the_oracles(config)


@pytest.mark.parametrize(("on_shortfall", "model"), [("refill", UNTHINKING), ("proceed", UNEVEN)])
@by_strategy
def test_quorums_faults_and_pools_equal_the_oracles(
    tmp_path: Path, strategy: str, model: str, on_shortfall: str
) -> None:
    config = config_of(
        tmp_path, strategy, model=f"{model}&fault=0.1", min_messages=(2, 2), pool=6, replicates=2,
        on_shortfall=on_shortfall, message_order="reference", attempts=2, problems=2,
    )  # fmt: skip
    starts = 0
    while not is_closed(open_store(config.store), "mine"):
        run_stages(config)
        starts += 1
        assert starts < 20
    assert_is_the_oracles(config, attempts=2)
    sets = ask(config, "SELECT outcome, have, need FROM mart_quorums")
    assert all(have is None or (have >= need) is (how == "met") for how, have, need in sets)


@by_strategy
def test_what_the_quorum_mart_counts_are_the_messages(tmp_path: Path, strategy: str) -> None:
    config = config_of(tmp_path, strategy, model=UNTHINKING, on_shortfall="proceed")
    run_stages(config)
    counted = ask(
        config,
        "SELECT have, count(trajectory_id) FROM mart_quorums LEFT JOIN messages"
        " USING (run_id, round, problem_id, replicate) WHERE outcome <> 'failed'"
        " GROUP BY run_id, round, problem_id, replicate, have",
    )
    assert counted and all(have == messages for have, messages in counted)


@pytest.mark.parametrize(
    ("overflow", "window"), [("fail", 130), ("fewer_messages", 90), ("fewer_messages", 150)]
)
@by_strategy
def test_prompts_that_do_not_fit_equal_the_oracles(
    tmp_path: Path, strategy: str, overflow: str, window: int
) -> None:
    """Each slot for itself: where views differ some fit and others do not."""
    config = config_of(
        tmp_path, strategy, problems=2, model=f"scripted?words=10&window={window}", widths=(5, 2),
        max_tokens=30, overflow=overflow,
    )  # fmt: skip
    run_stages(config)
    assert_is_the_oracles(config)


@by_strategy
def test_a_run_killed_in_every_round_is_paid_for_once_and_ends_the_same(
    tmp_path: Path, strategy: str
) -> None:
    whole = config_of(tmp_path / "whole", strategy)
    run_stages(whole)
    killed = config_of(tmp_path / "killed", strategy)
    stages = 2
    while stages < 2 * killed.plan.rounds + 2:
        with pytest.raises(Killed):
            run_stages(killed, killed_after(stages))
        stages += 3
    run_stages(killed)
    assert tables(killed.store, "mine") == tables(whole.store, "mine")
    assert journal_size(killed.store) == journal_size(whole.store)


@by_strategy
def test_neither_shards_workers_nor_the_order_of_problems_change_a_table(
    tmp_path: Path, strategy: str
) -> None:
    one = config_of(tmp_path / "one", strategy, shard_size=1, concurrency=1)
    other = config_of(tmp_path / "other", strategy, shard_size=100)
    problems = Path(other.problems)
    lines = problems.read_text().splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    problems.write_text("".join(lines))
    run_stages(one)
    run_stages(other)
    assert tables(one.store, "mine") == tables(other.store, "mine")


@by_strategy
def test_a_retry_of_any_round_equals_the_oracles_and_is_asked_for_once(
    tmp_path: Path, strategy: str
) -> None:
    config = config_of(tmp_path, strategy, model="scripted?words=12&truncate=0.3&empty=0.1")
    run_stages(config)
    store = open_store(config.store)
    retries = []
    for where in ("round = 2 AND slot = 0", "round = 1 AND conclusion_status <> 'present'"):
        record = begin_retry(store, open_run(store, "mine"), where, 99)
        assert record is not None
        retries.append(record.retry)
        run_stages(config)
    expected, found = oracle_tables(config, None, retries), tables(config.store, "mine")
    assert {name: found[name] for name in expected} == expected
    limits = ask(config, "SELECT DISTINCT round, max_tokens FROM trajectories WHERE max_tokens > 0")
    bounds = {round_: step.max_tokens for round_, step in enumerate(config.plan.steps, 1)}
    assert all(limit == (bounds[round_] or 99) for round_, limit in limits)
    again = begin_retry(store, open_run(store, "mine"), "round = 2 AND retry_of IS NOT NULL", 99)
    assert again is None


def test_answers_alone_are_the_answers_and_nothing_else(tmp_path: Path) -> None:
    config = config_of(tmp_path, "answers alone", problems=6)
    run_stages(config)
    rows = ask(config, "SELECT DISTINCT round < 3, text, compactor FROM messages")
    early = [(text, compactor) for is_early, text, compactor in rows if is_early]
    assert all(text.startswith("\\boxed{") and text.endswith("}") for text, _ in early)
    assert {compactor for _, compactor in early} == {"answer/2"}
    assert {compactor for is_early, _, compactor in rows if not is_early} == {"conclusion/1"}


def test_rounds_in_which_all_agree_are_sampled_each_by_itself(tmp_path: Path) -> None:
    """Every answer is 0, so that both later rounds have the same prompt."""
    config = config_of(tmp_path, "answers alone", model="scripted?answers=1", widths=(3, 3))
    Path(config.problems).write_text('{"id": "p", "problem": "How many?", "answer": "0"}\n')
    run_stages(config)
    later = ask(
        config,
        "SELECT count(DISTINCT prompt_digest), count(*), count(DISTINCT trajectory_id)"
        " FROM trajectories WHERE round > 1",
    )
    assert later == [(1, 4, 4)]


def test_a_trajectory_without_an_answer_gives_no_message_where_answers_alone_count(
    tmp_path: Path,
) -> None:
    """A letter is asked for, and the text breaks off before it names one."""
    config = config_of(
        tmp_path, "answers alone", model="scripted?words=12", widths=(3,), max_tokens=14
    )
    Path(config.problems).write_text('{"id": "p", "problem": "Which?", "answer": "B"}\n')
    run_stages(config)
    assert_is_the_oracles(config)
    reason = "round 1: 0 of 3 messages (3 no_answer)"
    assert ask(config, "SELECT status, reason FROM answers") == [("failed", reason)]
    assert ask(config, "SELECT have, outcome FROM mart_quorums") == [(None, "failed")]


def test_a_condensing_round_makes_one_summary_of_each_message_that_it_sees_alone(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path, "summaries", problems=6)
    run_stages(config)
    kinds = ask(config, "SELECT steps, bound_tokens FROM runs")
    assert kinds == [
        (["sample", "condense", "sample", "condense", "sample"], [None, 16, None, 16, None])
    ]
    seen = ask(
        config,
        "SELECT seen.compactor, t.prompt_positions = [seen.position], t.slot + 1 = seen.position,"
        " t.max_tokens, t.completion_tokens <= 16 FROM trajectories AS t JOIN messages AS seen"
        " ON (seen.run_id, seen.round, seen.problem_id, seen.position)"
        " = (t.run_id, t.round - 1, t.problem_id, t.slot + 1) WHERE t.round IN (2, 4)",
    )
    assert set(seen) == {("verbatim/1", True, True, 16, True)}
    counts = ask(
        config,
        "SELECT (SELECT count(*) FROM trajectories WHERE round = 2)"
        " - (SELECT count(*) FROM messages WHERE round = 1)",
    )
    assert counts == [(0,)]


def test_a_summary_cut_at_its_bound_is_a_message_as_far_as_it_goes(tmp_path: Path) -> None:
    config = config_of(tmp_path, "summaries", model=UNTHINKING, summary_tokens=5)
    run_stages(config)
    rows = ask(
        config,
        "SELECT conclusion, compactor, text = content, finish_reason FROM trajectories"
        " JOIN messages USING (run_id, round, problem_id, replicate, trajectory_id)"
        " JOIN trajectory_texts USING (run_id, round, problem_id, trajectory_id)"
        " WHERE round = 2",
    )
    assert set(rows) == {(None, "cut(5)/1", True, "length")}
    assert ask(config, "SELECT DISTINCT outcome FROM mart_quorums WHERE round < 5") == [("met",)]


def test_a_bound_that_cuts_the_thinking_leaves_no_summary(tmp_path: Path) -> None:
    config = config_of(tmp_path, "summaries", model="scripted?words=12", summary_tokens=8)
    run_stages(config)
    reasons = ask(config, "SELECT DISTINCT reason FROM answers")
    assert reasons == [("round 2: 0 of 4 messages (4 truncated)",)]


def test_a_workspace_is_all_that_the_next_round_sees(tmp_path: Path) -> None:
    config = config_of(tmp_path, "a workspace", model=UNTHINKING)
    run_stages(config)
    sets = ask(
        config,
        "SELECT round, count(*), any_value(compactor) FROM messages"
        " GROUP BY problem_id, round ORDER BY round",
    )
    assert {row for row in sets if row[0] in (2, 4)} == {
        (2, 1, "workspace/1"),
        (4, 1, "workspace/1"),
    }
    assert [count for round_, count, _ in sets if round_ == 1] != [1, 1, 1]


def test_a_subset_is_the_same_whoever_asks_and_what_its_slots_saw_stands_in_the_table(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path, "subsets", problems=6, widths=(6, 5), model="scripted?words=5")
    run_stages(config)
    later = ask(
        config,
        "SELECT round, problem_id, prompt_positions, prompt_digest FROM trajectories"
        " WHERE round > 1",
    )
    assert {len(positions) for _, _, positions, _ in later} == {2}
    assert all(sorted(positions) == positions for _, _, positions, _ in later)
    by_view: dict[Any, set[str]] = {}
    for round_, problem_id, positions, digest in later:
        by_view.setdefault((round_, problem_id, tuple(positions)), set()).add(digest)
    assert all(len(digests) == 1 for digests in by_view.values())
    assert len({view[2] for view in by_view}) > 5
    assert ask(config, "SELECT DISTINCT prompt_positions FROM trajectories WHERE round = 1") == [
        (None,)
    ]


def test_a_subset_of_all_is_the_papers_own_policy_and_pays_for_nothing_again(
    tmp_path: Path,
) -> None:
    plain = config_of(tmp_path, "subsets", subset=None)
    run_stages(plain)
    paid = journal_size(plain.store)
    run_stages(plain.model_copy(update={"run_id": "all", "subset": 4}))
    assert journal_size(plain.store) == paid
    assert tables(plain.store, "all") == tables(plain.store, "mine")


def test_medium_after_low_condenses_only_what_low_did_not_have(tmp_path: Path) -> None:
    low = config_of(tmp_path, "summaries", model="scripted?words=5", widths=(4,), run_id="low")
    run_stages(low)
    assert journal_size(low.store) == 3 * (4 + 4 + 1)
    run_stages(low.model_copy(update={"run_id": "medium", "widths": (16,)}))
    assert journal_size(low.store) == 3 * (16 + 16 + 1) + 3


def test_a_run_of_any_strategy_moves_to_another_store_and_is_complete_there(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path, "summaries in subsets", widths=(4, 3))
    run_stages(config)
    store, folder = open_store(config.store), tmp_path / "exported"
    export_run(store, "mine", open_store(str(folder)))
    other = config.model_copy(update={"store": str(tmp_path / "other")})
    assert import_from(str(folder), ImportOptions(other.store)) == 0
    assert tables(other.store, "mine") == tables(config.store, "mine")
    assert errors(open_store(other.store), "mine") == []
    paid = journal_size(other.store)
    run_stages(other)
    assert journal_size(other.store) == paid
