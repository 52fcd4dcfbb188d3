"""Stages without a run: sources that are read once, and message sets that follow from content."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.config.training import Synthesis, TrainingConfig
from pacore.core.problem import Problem, Turn
from pacore.core.prompt import turns_for
from pacore.errors import BadInput, Refused
from pacore.problems.files import read_problem_set
from pacore.store.backends.opening import open_store
from pacore.store.schema import TrainingDecision
from pacore.store.training import (
    counts,
    kept_problems,
    list_training,
    put_training,
    read_decisions,
    write_decisions,
)
from pacore.training.examples import PooledMessage, TrainingExample
from pacore.training.stages import conclude_stage2, prepare_training, synthesis_problems
from tests.fixtures.pipeline import run_stages


def config_of(folder: Path, **fields: object) -> TrainingConfig:
    given_fields = {
        "name": "mine", "sources": [{"kind": "arithmetic", "name": "sums", "count": 5}],
        "run": {"engine": "scripted", "store": str(folder / "store")}, **fields,
    }  # fmt: skip
    return TrainingConfig.model_validate(given_fields)


def test_sources_are_read_once_and_what_they_gave_stays(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    rows = [{"id": str(n), "problem": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(3)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = {"kind": "set", "name": "own", "problems": str(file), "licence": "MIT"}
    config = config_of(tmp_path, sources=[own])
    store, read = open_store(config.run.store), list[str]()
    record = prepare_training(store, config, read.append)
    assert record.recipes["pool"]["model"] == config.run.model, "known before the pool is drawn"
    assert kept_problems(store, "mine", "filters") == ["own.0", "own.1", "own.2"]
    assert [one.licence for one in record.sources] == ["MIT"]
    file.unlink()
    assert prepare_training(store, config, read.append) == record
    assert read == ["own"]
    assert len(read_problem_set(store.uri(record.problem_set))) == 3


def test_a_name_stays_with_its_sources_and_filters(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    store = open_store(config.run.store)
    prepare_training(store, config)
    other = [{"kind": "arithmetic", "name": "sums", "count": 6}]
    with pytest.raises(Refused, match="training set mine exists with other sources or filters"):
        prepare_training(store, config_of(tmp_path, sources=other))
    with pytest.raises(Refused, match=r"filters.links: True -> False"):
        prepare_training(store, config_of(tmp_path, filters={"links": False}))
    prepare_training(store, config_of(tmp_path, bands={"math": "1/2"}, synthesis={"run": {}}))


def test_without_a_problem_left_nothing_is_written_but_the_reasons_are_said(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text('{"id": "a", "problem": "See https://example.org"}\n')
    own = {"kind": "set", "name": "own", "problems": str(file), "licence": "MIT"}
    config = config_of(tmp_path, sources=[own])
    store = open_store(config.run.store)
    with pytest.raises(Refused, match="the filters leave no problem: 1 no checkable answer"):
        prepare_training(store, config)
    assert list_training(store) == []
    assert list(store.list("training")) == []


def test_counts_are_those_of_the_filters_before_anything_is_run(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    store = open_store(config.run.store)
    prepare_training(store, config)
    assert [tuple(one) for one in counts(store, "mine")] == [("filters", "sums", None, 5)]


def pool_of(count: int, silent: int = 0) -> tuple[PooledMessage, ...]:
    return tuple(
        PooledMessage("p", f"{n:032x}", n, None if n < silent else f"It is {n}.", n % 2, 9)
        for n in range(count)
    )


PROBLEM = Problem("p", (Turn("system", "Be brief."), Turn("user", "What is it?")), "1", "math")


def synthesis(sets: int = 16, messages: Sequence[int] | None = None) -> Synthesis:
    return Synthesis.model_validate({"run": {}, "sets": sets, "messages": messages})


@given(
    count=st.integers(1, 30), silent=st.integers(0, 10), sets=st.integers(1, 8),
    bounds=st.tuples(st.integers(1, 12), st.integers(0, 12)), data=st.data(),
)  # fmt: skip
def test_message_sets_follow_from_the_pool_whatever_its_order(
    count: int, silent: int, sets: int, bounds: tuple[int, int], data: st.DataObject
) -> None:
    least, most = bounds[0], bounds[0] + bounds[1]
    pool = pool_of(count, silent)
    wanted = synthesis(sets, (least, most))
    found = list(synthesis_problems(TrainingExample(PROBLEM, pool), "run", wanted, 30))
    shuffled = tuple(data.draw(st.permutations(pool)))
    assert list(synthesis_problems(TrainingExample(PROBLEM, shuffled), "run", wanted, 30)) == found
    said = {one.trajectory_id: one for one in pool if one.text is not None}
    assert len(found) == (sets if len(said) >= least else 0)
    for number, one in enumerate(found):
        made = one.metadata["synthesis"]
        assert isinstance(made, dict)
        ids = [str(name) for name in made["messages"]]  # type: ignore[union-attr]
        assert least <= len(ids) <= most
        assert len(set(ids)) == len(ids) and set(ids) <= said.keys()
        assert one.turns == turns_for(PROBLEM.turns, [str(said[name].text) for name in ids])
        assert made["right"] == sum(said[name].score == 1 for name in ids)
        assert (one.problem_id, made["set"], one.gold) == (f"p~{number}", number, "1")


def test_sizes_of_message_sets_are_uniform_and_scale_with_the_pool() -> None:
    assert synthesis().sizes(24) == (16, 24)
    assert synthesis().sizes(8) == (6, 8)
    assert synthesis(messages=(2, 5)).sizes(8) == (2, 5)
    example = TrainingExample(PROBLEM, pool_of(24))
    sizes = Counter(
        len(one.metadata["synthesis"]["messages"])  # type: ignore[arg-type, call-overload, index]
        for one in synthesis_problems(example, "run", synthesis(4000), 24)
    )
    assert sorted(sizes) == list(range(16, 25))
    assert all(350 < number < 540 for number in sizes.values())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"run": {"engine": "scripted", "widths": [4]}}, "run.widths: is set by the training set"),
        ({"synthesis": {"run": {"modell": "x"}}}, "synthesis: run.modell: is not a known name"),
        ({"synthesis": {"run": {"store": "x"}}}, "synthesis.run: store: is that of the pool's run"),
        ({"synthesis": {"run": {}, "messages": [4, 30]}}, "synthesis: sets of 30 messages need a pool"),
        ({"bands": {"math": "9/0"}}, "bands.math: must be a share such as 9/24 or 0.375"),
        ({"bands": {"policy": "sample", "most_draws": 8}}, "bands: most_draws is less than the pool"),
        ({"name": "Mine"}, "name: must begin with a small letter"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_in_a_line(
    fields: dict[str, object], said: str
) -> None:
    from pacore.core.validation import validated

    given_fields = {
        "name": "mine", "sources": [{"kind": "arithmetic", "name": "a", "count": 1}],
        "run": {"engine": "scripted"}, **fields,
    }  # fmt: skip
    with pytest.raises(BadInput) as refused:
        validated(TrainingConfig, given_fields)
    assert str(refused.value).startswith(said)


def test_a_problem_whose_pool_has_too_few_messages_for_a_set_is_not_kept_and_says_so(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path, pool=6, synthesis={"run": {}, "sets": 2})
    store = open_store(config.run.store)
    record = prepare_training(store, config)
    run_stages(config.pool_run(store.uri(record.problem_set)))
    stage1 = [
        TrainingDecision("mine", "stage1", "sums", problem_id, is_kept=True, kind="math")
        for problem_id in kept_problems(store, "mine", "filters")
    ]
    key = write_decisions(store, "mine", "stage1", stage1)
    record = put_training(store, replace(record, decisions={**record.decisions, "stage1": key}))
    record = conclude_stage2(store, config, record, None)
    found = list(read_decisions(store, record, "stage2"))
    assert len(found) == 5
    assert {(one.is_kept, one.reason, one.detail) for one in found} == {
        (False, "too few messages", "its pool has fewer than 4")
    }
