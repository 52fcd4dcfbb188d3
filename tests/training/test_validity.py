"""The votes on whether a problem is valid: 4 of 4, paid for once, and each rejected problem with its
reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.config.training import TrainingConfig
from pacore.core.grading.judge import ValidityQuestion, read_validity, read_vote
from pacore.core.problem import Turn
from pacore.core.validation import validated
from pacore.errors import BadInput, Refused
from pacore.problems.files import read_problem_set
from pacore.store.backends.opening import open_store
from pacore.store.training import TrainingRecord, kept_problems, read_decisions
from pacore.training.stages import prepare_training
from pacore.training.validity import INVALID, UNJUDGED, conclude_validity, put_questions
from tests.fixtures.golden_files import golden
from tests.fixtures.pipeline import journal_size, run_stages, table

SUMS = {"kind": "arithmetic", "name": "sums", "count": 30, "operations": ["add"], "digits": [1, 2]}


def config_of(
    folder: Path, judge: Mapping[str, Any] | None = None, **fields: Any
) -> TrainingConfig:
    unclear = folder / "unclear.jsonl"
    rows = [
        {"id": f"u{n}", "problem": f"How many are in picture {n}", "answer": "3"} for n in range(9)
    ]
    unclear.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given_fields = {
        "name": "mine",
        "sources": [
            SUMS, {"kind": "set", "name": "unclear", "problems": str(unclear), "licence": "MIT"}
        ],
        "filters": {"near_duplicates": False},
        "judge": {"run": {"model": "scripted?words=4"}, **(judge or {})},
        "run": {"engine": "scripted", "store": str(folder / "store"), "max_tokens_total": 7},
        **fields,
    }  # fmt: skip
    return validated(TrainingConfig, given_fields)


def judged(config: TrainingConfig) -> TrainingRecord:
    store = open_store(config.run.store)
    record = prepare_training(store, config)
    run = put_questions(store, config, record)
    assert run is not None
    run_stages(run)
    return conclude_validity(store, config, record)


def votes_of(config: TrainingConfig) -> dict[str, list[bool | None]]:
    """The votes on each problem as rows of the judge's run have them."""
    asked = {
        one.problem_id: one.metadata["validity"]["problem_id"]  # type: ignore[call-overload, index]
        for one in read_problem_set(f"{config.run.store}/derived/{config.name}.judge.jsonl")
    }
    found: dict[str, list[bool | None]] = {}
    rows = table(
        config.run.store, f"{config.name}.judge", "trajectories", ("problem_id", "conclusion")
    )
    for _, question_id, conclusion in rows:
        found.setdefault(str(asked[question_id]), []).append(read_validity(conclusion))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("needed", "model"), [(None, "scripted?words=4"), (3, "scripted?empty=0.1")]
)
def test_a_problem_is_kept_where_the_needed_votes_say_that_it_is_valid(
    needed: int | None, model: str, tmp_path: Path
) -> None:
    config = config_of(tmp_path, {"needed": needed, "run": {"model": model}})
    record = judged(config)
    store, votes = open_store(config.run.store), votes_of(config)
    decisions = {one.problem_id: one for one in read_decisions(store, record, "validity")}
    assert decisions.keys() == votes.keys() and len(votes) == 39
    for name, one in decisions.items():
        valid, read = votes[name].count(True), 4 - votes[name].count(None)
        assert (one.right, one.observed, one.drawn) == (valid, read, 4)
        assert one.is_kept == (valid >= (needed or 4))
        is_open = valid + 4 - read >= (needed or 4)
        assert one.reason == (None if one.is_kept else UNJUDGED if is_open else INVALID)
        assert one.is_kept or f"{valid} of 4 votes say valid" in str(one.detail)
    kept = kept_problems(store, "mine", "validity")
    assert 10 < sum(name.startswith("sums") for name in kept) < 30
    assert [one.problem_id for one in read_problem_set(store.uri(record.problem_set))] == kept
    assert record.runs == ("mine.pool", "mine.judge")


@pytest.mark.slow
def test_no_question_is_paid_for_twice_in_a_store(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    first = judged(config)
    paid = journal_size(config.run.store)
    assert paid == 4 * 39
    again = judged(config)
    assert again == first
    other = config_of(tmp_path, name="other")
    assert judged(other).decisions.keys() == first.decisions.keys()
    assert journal_size(config.run.store) == paid


def test_the_judges_budget_is_its_own(tmp_path: Path) -> None:
    assert config_of(tmp_path).judge_run("").max_tokens_total is None
    own = config_of(tmp_path, {"run": {"max_tokens_total": 99}})
    assert own.judge_run("").max_tokens_total == 99
    assert own.pool_run("x").max_tokens_total == 7


def test_the_runs_that_share_a_limit_of_money_have_one_price_table(tmp_path: Path) -> None:
    run = {"store": str(tmp_path / "store"), "max_cost": 1.0, "prices": "a.csv"}
    fields: dict[str, Any] = {"run": {"engine": "scripted", **run}}
    with pytest.raises(
        BadInput, match=r"synthesis: run\.prices: max_cost .* of all runs, by a\.csv"
    ):
        config_of(tmp_path, synthesis={"run": {"prices": "b.csv"}}, **fields)
    assert config_of(tmp_path, synthesis={"run": {"prices": "a.csv"}}, **fields).synthesis


def test_another_judge_is_another_training_set_and_another_budget_is_not(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    store = open_store(config.run.store)
    record = prepare_training(store, config)
    run = {"model": "scripted?words=4", "max_tokens_total": 99, "concurrency": 2}
    assert prepare_training(store, config_of(tmp_path, {"run": run})) == record
    with pytest.raises(Refused, match="exists with other sources or filters: judge.recipe.model"):
        prepare_training(store, config_of(tmp_path, {"run": {"model": "scripted?words=5"}}))
    with pytest.raises(Refused, match=r"judge.needed: 4 -> 3"):
        prepare_training(store, config_of(tmp_path, {"needed": 3}))


@pytest.mark.slow
def test_where_no_problem_is_valid_nothing_is_drawn(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    unclear = [one for one in config.sources if one.name == "unclear"]
    config = config.model_copy(update={"sources": tuple(unclear)})
    with pytest.raises(
        Refused, match="the judge leaves no problem: 9 not valid; its votes: run mine.judge"
    ):
        judged(config)


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        ({"votes": 4, "needed": 5}, "judge.needed: 5 of 4 votes cannot be had"),
        ({"run": {"store": "x"}}, "judge.run: store: is that of the pool's run"),
        ({"run": {"modell": "x"}}, "judge: run.modell: is not a known name"),
        ({"run": {"replicates": 2}}, "judge: run.replicates: is set by the training set"),
    ],
)  # fmt: skip
def test_a_judge_that_cannot_be_is_refused_in_a_line(
    tmp_path: Path, judge: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(BadInput) as refused:
        config_of(tmp_path, judge)
    assert str(refused.value).startswith(said)


def test_the_question_has_the_problem_and_what_answers_are_checked_by() -> None:
    question = ValidityQuestion((Turn("user", "What is 2 + 2?"),), "4").prompt
    assert question == golden("prompt/validity.txt", question)
    assert "tests of the program" in ValidityQuestion((Turn("user", "Write it."),), None).prompt


@given(st.text(), st.none() | st.text())
def test_no_text_of_a_problem_ends_its_own_part_of_the_question(
    text: str, gold: str | None
) -> None:
    question = ValidityQuestion((Turn("user", text),), gold).prompt
    fence = next(line for line in question.splitlines() if line.startswith("====== "))
    assert question.count(f"\n{fence}\n") == 4
    assert question.endswith("VERDICT: INVALID")


@pytest.mark.parametrize(
    ("said", "vote"),
    [
        ("It is fine.\n\nVERDICT: VALID", True), ("**Verdict: invalid**", False),
        ("VERDICT: VALID\nor so", None), ("VERDICT: RIGHT", None), ("", None), (None, None),
        ("VERDICT: VALID or VERDICT: INVALID", None),
    ],
)  # fmt: skip
def test_only_a_last_line_that_is_nothing_but_a_vote_is_one(
    said: str | None, vote: bool | None
) -> None:
    assert read_validity(said) is vote
    assert read_vote(said) is (True if said == "VERDICT: RIGHT" else None)
