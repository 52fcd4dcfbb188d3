"""What counts as evidence of a model: an outage is no score, and what is missing is always said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.solve import Solved
from pacore.core.trajectory import FAILED
from pacore.evaluation.accuracy import Totals
from pacore.report.evaluation import evaluated_run
from pacore.report.query import answer
from pacore.report.rendering.sheet import ABSENT
from pacore.report.rendering.terminal import to_text
from pacore.report.run import result_sheet, run_results
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.warehouse.views import Warehouse
from tests.fixtures.ended import GOLD, OUTAGE, Fate, Place, ended_run

pytestmark = pytest.mark.slow

WIDTH = 100


NAMES = ("p", "q")


def slots(fates: Sequence[Fate], problem: str = "p", round_: int = 1) -> dict[Place, Fate]:
    """Fates of the slots of the first replicate."""
    return {(problem, round_, 0, slot): fate for slot, fate in enumerate(fates)}


def rows(store: Backend, text: str) -> list[tuple[Any, ...]]:
    with Warehouse(store) as warehouse:
        return list(warehouse.query(text).rows)


CASES: dict[str, tuple[dict[Place, Fate], dict[str, Any], str]] = {
    "nothing went wrong": ({}, {}, "answered"),
    "a wrong answer": (slots(["7"], round_=2), {}, "answered"),
    "no slot was filled": (slots(["rejected"] * 3), {}, "lost"),
    "timeouts": (slots(["timeout"] * 3), {}, "lost"),
    "engine errors": (slots(["engine_error"] * 3), {}, "lost"),
    "cancelled": (slots(["cancelled"] * 3), {}, "lost"),
    "the last trajectory was not filled": (slots(["engine_error"], round_=2), {}, "lost"),
    "one of three was not filled": (slots(["timeout"]), {}, "answered"),
    "all were cut": (slots(["cut"] * 3), {}, "no_answer"),
    "all were empty": (slots(["empty"] * 3), {}, "no_answer"),
    "the last was cut": (slots(["cut"], round_=2), {}, "no_answer"),
    "the last has no answer in it": (slots(["mute"], round_=2), {}, "no_answer"),
    "two were cut and one was lost": (slots(["cut", "cut", "timeout"]), {}, "lost"),
    "what was lost could not have made the quorum": (
        slots(["cut", "cut", "timeout"]), {"min_messages": 2}, "no_answer",
    ),
    "what was lost could have made the quorum": (
        slots(["5", "cut", "timeout"]), {"min_messages": 2}, "lost",
    ),
    "a quorum missed by the model alone": (
        slots(["5", "cut", "cut"]), {"min_messages": 2}, "no_answer",
    ),
    "a set that goes on with fewer": (
        slots(["5", "cut", "timeout"]), {"min_messages": 2, "on_shortfall": "proceed"}, "answered",
    ),
    "a set that would go on with any": (
        slots(["cut", "cut", "timeout"]), {"min_messages": 2, "on_shortfall": "proceed"}, "lost",
    ),
    "the bare problem does not fit": (slots(["context_overflow"] * 3), {}, "lost"),
    "the bare problem does not fit a single trajectory": (
        slots(["context_overflow"]), {"widths": ()}, "lost",
    ),
    "the model's messages do not fit": (slots(["context_overflow"], round_=2), {}, "no_answer"),
    "a single trajectory that was cut": (slots(["cut"]), {"widths": ()}, "no_answer"),
    "answers alone, of which there is none": (
        slots(["mute"] * 3), {"compaction": "answer"}, "no_answer",
    ),
    "answers alone, of which one was lost": (
        slots(["mute", "mute", "rejected"]), {"compaction": "answer"}, "lost",
    ),
}  # fmt: skip


RUNS = {case: f"run-{number}" for number, case in enumerate(CASES)}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    store = open_store(str(tmp_path_factory.mktemp("cases") / "store"))
    for case, (fates, fields, _) in CASES.items():
        ended_run(store, RUNS[case], NAMES, fates, **{"widths": (3,), **fields})
    with Warehouse(store) as warehouse:
        yield warehouse


@pytest.mark.parametrize("case", CASES)
def test_an_end_without_an_answer_is_the_models_or_it_is_not(cases: Warehouse, case: str) -> None:
    expected = CASES[case][2]
    mine = f"WHERE run_id = '{RUNS[case]}'"
    found = dict(cases.query(f"SELECT problem_id, outcome FROM outcomes {mine}").rows)
    assert found == {"p": expected, "q": "answered"}
    scored = dict(cases.query(f"SELECT problem_id, score FROM scores {mine}").rows)
    is_wrong = expected == "no_answer" or case == "a wrong answer"
    assert scored == {"q": 1.0} if expected == "lost" else {"p": float(not is_wrong), "q": 1.0}


def test_none_of_these_ends_breaks_an_invariant(cases: Warehouse) -> None:
    assert not any(cases.run_checks().values())


def test_an_outage_has_no_score_no_interval_and_says_why(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    lost = {**slots(["rejected"] * 3), **slots(["rejected"] * 3, "q")}
    ended_run(store, "demo", NAMES, lost, widths=(3,))
    with Warehouse(store) as warehouse:
        (found,) = warehouse.read(Totals, run_id="demo")
        shown = to_text(result_sheet(run_results(warehouse, "demo")), WIDTH)
        told = to_text(evaluated_run(warehouse, "demo").measures, WIDTH)
    assert (found.accuracy, found.scored, found.planned) == (None, 0, 2)
    assert (found.lost, found.missing_rate) == (2, 1.0)
    assert (found.population_low, found.these_low) == (None, None)
    for text in (shown, told):
        none = "0 of 2 answers scored; 2 failed for a reason that is not the model's"
        assert f"accuracy       {ABSENT} ({none})" in text
        assert f"missing        2 rejected: {OUTAGE}" in text
        assert "other problems of this kind" not in text
    assert rows(store, "SELECT avg(score), count(*) FROM scores") == [(None, 0)]
    assert rows(store, "SELECT count(*) FROM verdicts") == [(0,)]


def test_what_is_missing_bounds_what_the_accuracy_can_be(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    fates = {**slots(["timeout"] * 3), ("q", 2, 1, 0): "7"}
    ended_run(store, "demo", NAMES, fates, widths=(3,), replicates=2)
    with Warehouse(store) as warehouse:
        (found,) = warehouse.read(Totals, run_id="demo")
        shown = to_text(result_sheet(run_results(warehouse, "demo")), WIDTH)
    assert (found.accuracy, found.scored, found.planned) == (0.75, 3, 4)
    assert (found.lowest_accuracy, found.highest_accuracy) == (0.5, 0.75)
    assert "75.0 % (3 of 4 answers scored; 1 failed for a reason that is not the model's)" in shown
    bounds = "50.0 % to 75.0 %: accuracy, if answers without a score were all wrong, or all right"
    assert bounds in shown


def test_a_run_that_goes_on_is_scored_on_what_it_has_and_says_how_much_that_is(
    tmp_path: Path,
) -> None:
    store = open_store(str(tmp_path / "store"))
    ended_run(store, "demo", ("p", "q", "r"), {}, widths=(3,), pending=("q", "r"))
    with Warehouse(store) as warehouse:
        (found,) = warehouse.read(Totals, run_id="demo")
        shown = to_text(result_sheet(run_results(warehouse, "demo")), WIDTH)
    assert (found.accuracy, found.scored, found.planned) == (1.0, 1, 3)
    assert found.pending == 2 and found.missing_rate == pytest.approx(2 / 3)
    assert found.population_low is None
    assert "100.0 % (1 of 3 answers scored; 2 not there yet)" in shown
    assert "33.3 % to 100.0 %: accuracy" in shown


def test_tokens_of_an_answer_are_of_answers_and_not_of_passes_that_were_cut_short(
    tmp_path: Path,
) -> None:
    store = open_store(str(tmp_path / "store"))
    ended_run(store, "demo", NAMES, slots(["rejected"], round_=2), widths=(3,))
    ((tokens,),) = rows(store, "SELECT tokens_per_answer FROM mart_frontier")
    assert tokens == 4 * 20
    ((all_of_them,),) = rows(store, "SELECT sum(effective_tokens) FROM mart_ttc")
    assert all_of_them == 7 * 20


Fates = st.sampled_from(["right", "7", "cut", "empty", "mute", "context_overflow", *sorted(FAILED)])


def expected_outcome(solved: Solved, replicate: int, need: int) -> str:
    """The rule in plain Python, over the messages there really were."""
    (answer,) = (one for one in solved.answers if one.replicate == replicate)
    if answer.answer is not None:
        return "answered"
    ended_in = answer.failed_round or max(t.place.round for t in solved.trajectories)
    here = [
        t
        for t in solved.trajectories
        if (t.place.round, t.place.replicate) == (ended_in, replicate)
    ]
    silent = [
        t
        for t in here
        if t.generation.finish_reason in FAILED
        or (t.generation.finish_reason == "context_overflow" and ended_in == 1)
    ]
    have = sum(t.thought.conclusion is not None for t in here)
    needed = need if len(here) > 1 else 1
    return "lost" if silent and have + len(silent) >= needed else "no_answer"


MANY = tuple(f"p{number}" for number in range(12))


@settings(max_examples=10)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(MANY), st.integers(1, 2), st.integers(0, 1), st.integers(0, 2)),
        Fates,
        min_size=10,
        max_size=120,
    ),
    st.integers(1, 3),
)
def test_every_planned_answer_has_its_outcome_and_the_score_is_of_the_evidence_alone(
    tmp_path_factory: pytest.TempPathFactory, fates: Mapping[Place, Fate], need: int
) -> None:
    store = open_store(str(tmp_path_factory.mktemp("ended") / "store"))
    given: dict[str, Any] = {"widths": (3,), "replicates": 2, "min_messages": need}
    solved = ended_run(store, "demo", MANY, fates, **given)
    expected = {
        (name, replicate): expected_outcome(one, replicate, need)
        for name, one in zip(MANY, solved, strict=True)
        for replicate in range(2)
    }
    found_outcomes = rows(store, "SELECT problem_id, replicate, outcome FROM outcomes")
    assert {(name, replicate): outcome for name, replicate, outcome in found_outcomes} == expected
    by_problem = [
        [
            float(answer.answer == GOLD)
            for answer in one.answers
            if expected[name, answer.replicate] in ("answered", "no_answer")
        ]
        for name, one in zip(MANY, solved, strict=True)
    ]
    means = [fmean(scores) for scores in by_problem if scores]
    with Warehouse(store) as warehouse:
        (found,) = warehouse.read(Totals, run_id="demo")
    assert found.scored == sum(map(len, by_problem))
    assert found.scored + found.missing + found.ungraded == found.planned == 24
    if not means:
        assert found.accuracy is found.population_low is found.these_low is None
        return
    assert found.accuracy == pytest.approx(fmean(means))
    assert found.accuracy is not None
    assert found.lowest_accuracy is not None and found.highest_accuracy is not None
    assert found.lowest_accuracy <= found.highest_accuracy
    assert (found.lowest_accuracy == found.highest_accuracy) == (found.missing == 0)
    for low, high in (
        (found.population_low, found.population_high),
        (found.these_low, found.these_high),
    ):
        assert low is None or high is None or 0 <= low <= found.accuracy <= high <= 1


def test_a_mart_that_is_empty_for_want_of_a_grading_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(str(tmp_path / "store"))
    ended_run(store, "demo", NAMES, {}, widths=(3,))

    def said(text: str) -> str:
        answer(store.url, text, "csv", "", "", 1 << 30)
        return capsys.readouterr().err

    ungraded = "pacore: runs that have no finished grading: demo; pacore grade demo\n"
    for empty in ("FROM mart_majority", "SELECT count(*), avg(maj_at_k) FROM mart_majority"):
        assert said(empty) == ungraded
    assert "no judge's opinion: demo; pacore grade demo --grader judge" in said(
        "FROM mart_best_of_n"
    )
    assert "graded by no judge: demo" in said("FROM mart_judges")
    for text in ("FROM mart_accuracy", "FROM runs WHERE false", "SELECT 0"):
        assert said(text) == ""
