"""Every visit to a problem draws its messages anew, and any visit can be drawn again."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.problem import Turn
from pacore.core.prompt import turns_for
from pacore.errors import BadInput
from pacore.store.parquet import write_rows
from pacore.store.schema import STRING, TableSchema, required
from pacore.training.exports.rows import POOLS
from pacore.training.handoff.episodes import MESSAGES, Episodes, drawn, epoch_order
from pacore.training.handoff.records import ExportedPool, PoolDetails
from tests.fixtures.loader_rows import loaded

SIZES = st.tuples(st.integers(1, 30), st.integers(0, 12)).map(lambda one: (one[0], sum(one)))


def pool_file(path: Path, problems: int, pool: int = 24) -> Path:
    """A pool file in which message k of problem p says "k of p", every third of them right."""
    rows = [
        ExportedPool(
            "pacore/made",
            [{"role": "user", "content": f"What is {p}?"}],
            "math",
            {"style": "rule", "ground_truth": str(p)},
            extra(p, pool),
        )
        for p in range(problems)
    ]
    write_rows(path, POOLS, map(POOLS.row, rows))
    return path


def extra(p: int, pool: int) -> PoolDetails:
    return PoolDetails(
        index=p, split="train", problem_id=f"made-{p}", stage="", problem=f"What is {p}?",
        turns=[{"role": "user", "content": f"What is {p}?"}], observation=-1, grader="math",
        message_pool=[f"{k} of {p}" for k in range(pool)],
        message_acc=[float(k % 3 == 0) for k in range(pool)],
        message_ids=[f"{p:04}{k:04}" for k in range(pool)], pool_right=(pool + 2) // 3,
        pool_observed=pool, pool_model="made", source="made", licence="CC0-1.0",
        pacore_version="0",
    )  # fmt: skip


@given(st.integers(1, 40), SIZES, st.integers(0, 9), st.integers(0, 9))
def test_a_draw_has_as_many_different_messages_as_the_range_says(
    pool: int, sizes: tuple[int, int], seed: int, epoch: int
) -> None:
    found = drawn(pool, sizes, (seed, epoch, "x"))
    assert min(sizes[0], pool) <= len(found) <= min(sizes[1], pool)
    assert len(set(found)) == len(found)
    assert set(found) <= set(range(pool))
    assert found == drawn(pool, sizes, (seed, epoch, "x"))


def test_the_number_of_messages_is_uniform_in_its_range() -> None:
    visits = 9_000
    sizes = Counter(len(drawn(24, MESSAGES, (0, epoch, "x"))) for epoch in range(visits))
    assert sorted(sizes) == list(range(16, 25))
    expected = visits / 9
    chi_square = sum((count - expected) ** 2 / expected for count in sizes.values())
    assert chi_square < 26.1  # the quantile 0.999 at 8 degrees of freedom


def test_each_message_is_drawn_equally_often_and_in_every_place() -> None:
    firsts = Counter(drawn(24, MESSAGES, (1, epoch, "x"))[0] for epoch in range(4_800))
    expected = 4_800 / 24
    assert sum((firsts[k] - expected) ** 2 / expected for k in range(24)) < 49.7  # 0.999 at 23


def test_seed_epoch_and_problem_each_make_another_draw() -> None:
    named = [(s, e, p) for s in range(4) for e in range(4) for p in ("x", "y", "z")]
    assert len({drawn(24, MESSAGES, one) for one in named}) == len(named)


@given(st.integers(1, 50), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch_visits_every_problem_once(problems: int, seed: int, epoch: int) -> None:
    assert sorted(epoch_order(problems, seed, epoch)) == list(range(problems))


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pool_file(tmp_path_factory.mktemp("pools") / "pools.parquet", 40)


def seen(episodes: Episodes, start: int = 0) -> list[tuple[str, int, tuple[int, ...]]]:
    found = (episodes[item] for item in range(start, len(episodes)))
    return [(one.row.extra_info.problem_id, one.epoch, one.messages) for one in found]


def test_epochs_are_laid_end_to_end_each_with_every_problem_and_draws_of_its_own(
    pools: Path,
) -> None:
    found = seen(Episodes([str(pools)], 120, seed=3))
    by_epoch: dict[int, list[str]] = {}
    for name, epoch, _ in found:
        by_epoch.setdefault(epoch, []).append(name)
    assert {epoch: len(set(names)) for epoch, names in by_epoch.items()} == {0: 40, 1: 40, 2: 40}
    assert by_epoch[0] != by_epoch[1]
    draws: dict[str, set[tuple[int, ...]]] = {}
    for name, _, messages in found:
        draws.setdefault(name, set()).add(messages)
    assert {len(different) for different in draws.values()} == {3}


def test_what_is_left_of_a_schedule_is_the_same_in_another_process_that_begins_there(
    pools: Path,
) -> None:
    whole = seen(Episodes([str(pools)], 120, seed=3))
    sent = pickle.loads(pickle.dumps(Episodes([str(pools)], 120, seed=3)))
    assert seen(sent, 77) == whole[77:]
    assert seen(Episodes([str(pools)], 120, seed=4)) != whole


def test_a_prompt_is_that_of_the_paper_with_the_drawn_messages_in_their_order(pools: Path) -> None:
    episode = Episodes([str(pools)])[7]
    of_pool = episode.row.extra_info
    shown = [of_pool.message_pool[number] for number in episode.messages]
    expected = turns_for((Turn("user", of_pool.problem),), shown)
    assert episode.prompt == [turn.as_json() for turn in expected]
    assert episode.right == sum(number % 3 == 0 for number in episode.messages)
    assert [name[4:] for name in episode.message_ids] == [f"{k:04}" for k in episode.messages]


def test_a_pool_that_is_smaller_than_the_range_gives_all_of_its_messages(tmp_path: Path) -> None:
    path = pool_file(tmp_path / "small.parquet", 3, pool=5)
    for _, _, messages in seen(Episodes([str(path)], 9)):
        assert sorted(messages) == list(range(5))


def test_several_files_are_read_as_one(pools: Path, tmp_path: Path) -> None:
    other = pool_file(tmp_path / "other.parquet", 3)
    episodes = Episodes([str(pools), str(other)])
    assert (episodes.problems, len(episodes)) == (43, 43)
    assert episodes.row(41).extra_info.problem_id == "made-1"
    with pytest.raises(IndexError):
        episodes[43]


def test_a_file_without_the_fields_of_a_pool_is_refused_by_name(tmp_path: Path) -> None:
    table = TableSchema("other", Turn, (required("role", STRING), required("content", STRING)))
    write_rows(tmp_path / "other.parquet", table, [("user", "What is 1?")])
    with pytest.raises(BadInput, match=r"other\.parquet: is no pool file: it has no extra_info"):
        Episodes([str(tmp_path / "other.parquet")])[0]


@pytest.mark.parametrize("sizes", [(0, 4), (5, 4)])
def test_a_range_that_is_none_is_refused(pools: Path, sizes: tuple[int, int]) -> None:
    with pytest.raises(BadInput, match="must be two numbers from 1 on"):
        Episodes([str(pools)], sizes=sizes)


def config_of(pools: Path, **fields: Any) -> dict[str, Any]:
    own = {"rows": 96, "messages": [16, 24]}
    return {"train_files": [str(pools)], "seed": 5, "shuffle": False, "pacore": own, **fields}


@pytest.mark.slow
def test_the_data_set_for_verl_draws_the_same_under_any_number_of_workers_and_after_a_resume(
    pools: Path,
) -> None:
    alone, shared, resumed = loaded(config_of(pools), [(0, 0), (2, 0), (2, 40)])
    assert len(alone) == 96
    assert shared == alone
    assert resumed == alone[40:]
    assert len({repr(prompt) for prompt in alone}) == 96


@pytest.mark.slow
def test_a_row_for_verl_has_the_gold_answer_for_the_reward_and_no_more_of_the_pool_than_was_drawn(
    pools: Path,
) -> None:
    pytest.importorskip("torch")
    from pacore.training.handoff.verl_dataset import PaCoReDataset

    row = PaCoReDataset(str(pools), config=config_of(pools))[0]
    info = row["extra_info"]
    assert row["reward_model"] == {"style": "rule", "ground_truth": info["problem_id"][5:]}
    assert (info["grader"], info["epoch"]) == ("math", 0)
    assert 16 <= info["messages"] <= 24
    assert not {"message_pool", "message_acc", "message_ids"} & set(info)
    assert row["data_source"] == "pacore/made"
    assert int(row["dummy_tensor"][0]) == 0


@pytest.mark.slow
def test_validation_files_are_visited_once_and_shuffling_is_refused(
    pools: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    from pacore.training.handoff.verl_dataset import PaCoReDataset

    other = pool_file(tmp_path / "validation.parquet", 5)
    config = config_of(pools)
    assert len(PaCoReDataset(str(other), config=config)) == 5
    assert len(PaCoReDataset(str(pools), config=config, max_samples=10)) == 10
    with pytest.raises(BadInput, match=r"data\.shuffle"):
        PaCoReDataset(str(pools), config=config_of(pools, shuffle=True))
