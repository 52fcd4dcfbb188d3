"""An example is a problem with its pool, and with what was made of message sets drawn from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacore.core.prompt import turns_for
from pacore.errors import Refused
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.training.examples import TrainingExample, examples_of
from tests.fixtures.graded_rounds import Told, right, silent, told_run, wrong
from tests.fixtures.training_runs import (
    DRAWS,
    POOL,
    PROBLEMS,
    ROUNDS,
    SEEN,
    SYNTHESIS,
    WIDTH,
    training_store,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return open_store(training_store(tmp_path_factory.mktemp("training")))


@pytest.mark.slow
def test_a_pool_has_each_trajectory_of_the_first_round_with_its_message_and_score(
    store: Backend,
) -> None:
    examples = list(examples_of(store, POOL))
    assert [example.problem.problem_id for example in examples] == [
        f"sum-{n}" for n in range(PROBLEMS)
    ]
    for example in examples:
        assert len(example.pool) == WIDTH == example.observed
        assert [one.draw for one in example.pool] == list(range(WIDTH))
        assert 0 < example.right < WIDTH
        assert (example.source, example.licence) == ("sums", "CC0-1.0")
        for one in example.pool:
            said = f"\\boxed{{{example.problem.gold}}}" in (one.text or "")
            assert one.score == float(said)


@pytest.mark.slow
def test_a_synthesis_of_a_derived_run_belongs_to_the_problem_its_messages_are_of(
    store: Backend,
) -> None:
    for example in examples_of(store, POOL, synthesis_run_id=SYNTHESIS):
        texts = {one.trajectory_id: one.text or "" for one in example.pool}
        assert len(example.syntheses) == DRAWS
        for made in example.syntheses:
            assert made.problem_id == example.problem.problem_id
            assert made.is_exact
            assert made.message_ids == [one.trajectory_id for one in example.pool[:SEEN]]
            shown = [texts[name] for name in made.message_ids]
            assert made.prompt == turns_for(example.problem.turns, shown)
            assert made.reasoning
            assert made.conclusion


@pytest.mark.slow
def test_a_run_of_several_rounds_has_its_syntheses_itself_and_scores_of_what_was_graded(
    store: Backend,
) -> None:
    for example in examples_of(store, ROUNDS):
        assert [made.round for made in example.syntheses] == [2, 2]
        assert {len(made.message_ids) for made in example.syntheses} == {8}
        assert {one.score for one in example.pool} == {None}
        assert example.observed == 0
        assert example.messages == []


def test_only_the_problems_that_were_asked_for_are_read(store: Backend) -> None:
    asked = examples_of(store, POOL, ["sum-4", "sum-1", "unknown"], SYNTHESIS)
    found = [(one.problem.problem_id, len(one.pool), len(one.syntheses)) for one in asked]
    assert found == [("sum-1", WIDTH, DRAWS), ("sum-4", WIDTH, DRAWS)]


def test_a_run_that_is_not_there_is_refused(store: Backend) -> None:
    with pytest.raises(Refused, match="no run 'nothing'"):
        next(examples_of(store, "nothing"))
    with pytest.raises(Refused, match="no run 'nothing'"):
        next(examples_of(store, POOL, synthesis_run_id="nothing"))


def told(tmp_path: Path, *slots: Told) -> TrainingExample:
    store = open_store(str(tmp_path / "store"))
    told_run(store, "told", {"sum": [[list(slots), [right()]]]})
    (example,) = examples_of(store, "told")
    return example


def test_what_an_engine_or_a_grader_failed_is_not_observed_and_never_wrong(tmp_path: Path) -> None:
    slots = [
        right(), wrong(), silent(), Told("odd", "timeout"), Told("lost", "crash"),
        right(finish_reason="engine_error"),
    ]  # fmt: skip
    example = told(tmp_path, *slots)
    assert len(example.pool) == len(slots)
    assert (example.right, example.observed) == (1, 3)


def test_a_trajectory_without_a_message_counts_and_is_not_in_the_pool_of_messages(
    tmp_path: Path,
) -> None:
    example = told(tmp_path, right("It is 1."), silent(), wrong("w", "It is 2."))
    assert (len(example.pool), example.observed) == (3, 3)
    assert sorted(one.text or "" for one in example.messages) == ["It is 1.", "It is 2."]


def test_a_trajectory_that_two_replicates_share_is_in_the_pool_once(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    shared = right("It is 1.", draw=3)
    told_run(store, "told", {"sum": [[[shared], [right()]], [[shared], [right()]]]})
    (example,) = examples_of(store, "told")
    assert len(example.pool) == 1
    assert len(example.syntheses) == 2
