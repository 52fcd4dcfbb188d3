"""How long trajectories are expected to be, and the order of work that follows from it."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pacore.core.config.run import RunConfig
from pacore.runs.dispatch.order import WorkOrder
from pacore.runs.planning.expected import Expected, stored_tokens
from pacore.runs.problems import begin
from pacore.store.backends.opening import open_store
from pacore.store.commits import current_files
from tests.fixtures.pipeline import run_stages, scripted_config, table


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_expected_before_anything_is_known() -> None:
    expected = Expected()
    assert expected.tokens("p") == 0
    assert not expected.is_known("p")
    expected.see("p", None)
    assert not expected.is_known("p")


def test_a_problem_of_which_nothing_came_is_expected_to_be_as_the_mean_of_all() -> None:
    expected = Expected()
    expected.see("p", 100)
    expected.see("q", 300)
    assert (expected.tokens("p"), expected.tokens("q"), expected.tokens("r")) == (100, 300, 200)


def test_a_problem_whose_first_trajectory_is_still_not_there_is_expected_to_be_long() -> None:
    clock = Clock()
    expected = Expected(clock)
    for name in ("slow", "young", "quick"):
        expected.begin(name)
        clock.now += 10 if name == "slow" else 0
    expected.see("quick", 100, 2.0)
    clock.now += 1
    assert expected.tokens("slow") == 11 * 50
    assert expected.tokens("young") == 100
    assert expected.tokens("unsent") == 100


def test_what_a_run_sees_corrects_what_the_store_has() -> None:
    expected = Expected()
    expected.learn({"p": 100.0})
    assert expected.tokens("p") == 100
    for _ in range(4):
        expected.see("p", 300)
    assert expected.tokens("p") == 200


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.integers(1, 10**6)), max_size=40))
def test_an_expectation_lies_within_what_was_seen(seen: list[tuple[str, int]]) -> None:
    expected = Expected()
    for name, tokens in seen:
        expected.see(name, tokens)
    if seen:
        least, most = min(t for _, t in seen), max(t for _, t in seen)
        assert all(least - 1e-6 <= expected.tokens(name) <= most + 1e-6 for name in "pqrs")


def _lengths(store: str, run_id: str) -> dict[str, float]:
    """Mean tokens by problem of round 1 of a run."""
    found: dict[str, list[int]] = {}
    for round_, problem, tokens in table(
        store, run_id, "trajectories", ("problem_id", "completion_tokens")
    ):
        if round_ == 1:
            found.setdefault(problem, []).append(tokens)
    return {problem: sum(all_) / len(all_) for problem, all_ in found.items()}


def _problems(folder: Path) -> Path:
    path = folder / "problems.jsonl"
    rows = [{"id": f"p{n}", "problem": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_lengths_are_those_of_earlier_runs_on_the_same_problems_and_of_the_same_model_first(
    tmp_path: Path,
) -> None:
    problems, numbers = _problems(tmp_path), count()

    def config(words: int, **fields: object) -> RunConfig:
        return scripted_config(
            tmp_path / "store", problems, model=f"scripted?words={words}", widths=(3,),
            run_id=f"run{next(numbers)}", **fields,
        )  # fmt: skip

    one, other = config(words=40), config(words=200)
    store = open_store(str(tmp_path / "store"))
    new = begin(config(words=40, seed_root="other"))
    assert stored_tokens(store, new) == {}
    run_stages(other)
    assert stored_tokens(store, new) == _lengths(str(tmp_path / "store"), "run1"), "another model's"
    run_stages(one)
    assert stored_tokens(store, new) == _lengths(str(tmp_path / "store"), "run0")
    some = problems.read_text().splitlines()[:2]
    problems.write_text("\n".join(some) + "\n")
    assert stored_tokens(store, begin(config(words=40))) == {}, "another problem set"


def test_files_of_another_run_that_are_damaged_or_missing_keep_none_from_being_planned(
    tmp_path: Path,
) -> None:
    problems, place = _problems(tmp_path), str(tmp_path / "store")
    for name in ("one", "two"):
        run_stages(scripted_config(Path(place), problems, run_id=name, seed_root=name, widths=(3,)))
    store = open_store(place)
    new = begin(scripted_config(Path(place), problems, run_id="new", seed_root="new", widths=(3,)))
    for key in current_files(store, "two")["trajectories"]:
        file = Path(place) / key
        file.unlink()
        file.write_bytes(b"PAR1 and no more")
    assert stored_tokens(store, new) == _lengths(place, "one")
    for key in current_files(store, "two")["trajectories"]:
        (Path(place) / key).unlink()
    assert stored_tokens(store, new) == _lengths(place, "one")


def test_the_longest_problems_go_first_and_of_equal_ones_those_in_later_rounds(
    tmp_path: Path,
) -> None:
    problems = _problems(tmp_path)
    run = begin(scripted_config(tmp_path / "store", problems, shard_size=1, run_id="r"))
    order = WorkOrder(run)
    order.expected.learn({"p1": 100.0, "p2": 1000.0, "p3": 104.0})
    named = {"p1": (1, 1), "p2": (2, 1), "p3": (3, 2)}
    priorities = {
        name: order.hint(shard, round_, name).priority for name, (shard, round_) in named.items()
    }
    assert sorted(priorities, key=lambda name: priorities[name]) == ["p2", "p3", "p1"]
    assert all(
        order.first(shard, "").priority < priority
        for shard, priority in enumerate(priorities.values())
    )
    assert order.of_shard(0, 2) < order.of_shard(1, 1), "shards that began go on first"


def test_shards_with_long_problems_begin_first_and_each_scheduler_has_its_own_order(
    tmp_path: Path,
) -> None:
    problems = _problems(tmp_path)
    config = scripted_config(
        tmp_path / "store", problems, model="scripted?words=60", widths=(2,), shard_size=1,
        run_id="earlier",
    )  # fmt: skip
    run_stages(config)
    store = open_store(config.store)
    run = begin(config.model_copy(update={"run_id": "new", "seed_root": "other"}))
    lengths = _lengths(config.store, "earlier")
    longest, shortest = max(lengths, key=lengths.__getitem__), min(lengths, key=lengths.__getitem__)
    orders = set()
    for _ in range(20):
        order = WorkOrder(run)
        order.learn(store)
        priorities = [order.of_shard(shard, 1) for shard in range(6)]
        shards = sorted(range(6), key=priorities.__getitem__)
        orders.add(tuple(shards))
        if lengths[longest] > 2 * lengths[shortest]:
            assert shards.index(int(longest[1])) < shards.index(int(shortest[1]))
    assert len(orders) > 1
