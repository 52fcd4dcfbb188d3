"""What the rounds do to the messages they see, against going through every episode in plain Python."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacore.cli.main import main
from pacore.evaluation.mechanism import measure_mechanism
from pacore.evaluation.statistics.bootstrap import ratio
from pacore.evaluation.statistics.intervals import student_t, wilson
from pacore.report.mechanism import mechanism_sheet
from pacore.report.rendering.sheet import to_json
from pacore.report.rendering.terminal import to_text
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_files
from pacore.store.layout import unit_of_data
from pacore.store.parquet import read_rows
from pacore.store.run import open_run
from pacore.store.schema import TABLES
from pacore.warehouse.views import Warehouse
from tests.fixtures.golden_files import golden
from tests.fixtures.graded import MATH, Judged, grade_rows, verdict_rows
from tests.fixtures.graded_rounds import Told, right, silent, told_run, wrong
from tests.fixtures.mechanism_oracle import Oracle
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.small_store import Row, Rows
from tests.fixtures.strategies import STRATEGIES

pytestmark = pytest.mark.slow

KEYS = {
    "message_accuracy": ("round",),
    "emergence": ("round",),
    "outcome_by_message_accuracy": ("round", "seen", "right_seen"),
    "rescues": ("round",),
    "copying": ("round",),
    "positions": ("round", "reference"),
    "overlap": ("round",),
    "words": ("round",),
}


RANDOM_RUNS = 4


CHOSEN = ("answers alone", "summaries in subsets", "a workspace of whole trajectories")
"""Strategies that together have every step, every kind of message and every view of M."""

WIDTH = 100


def made_up(source: random.Random, most: int | None = None) -> Told:
    """A trajectory as it may come: few answers, so that they agree, tie and are copied."""
    positions, shown = None, None
    if most is not None and most > 1 and source.random() < 0.5:
        positions = tuple(sorted(source.sample(range(1, most + 1), source.randint(1, most))))
    elif most is not None and most > 1 and source.random() < 0.2:
        shown = source.randint(1, most - 1)
    vocabulary = ("the sum is", "as Reference 2 says", "by reference and Ref 3", "参考 1", "ref 4")
    text = " ".join(source.choice(vocabulary) for _ in range(source.randint(1, 6)))
    fields: dict[str, Any] = {
        "positions": positions, "shown": shown, "thought": source.choice(["", "a ref 12, preference"]),
    }  # fmt: skip
    chance = source.random()
    if chance < 0.1:
        return silent(**fields)
    if chance < 0.15:
        return Told(None, "no_answer", finish_reason="context_overflow", **fields)
    if chance < 0.2:
        return Told("right", source.choice(["timeout", "crash"]), text, **fields)
    if chance < 0.5:
        return right(text, **fields)
    return wrong(f"w{source.randrange(2)}", text, **fields)


def made_up_rounds(source: random.Random) -> list[list[Told]]:
    rounds: list[list[Told]] = []
    for width in (4, 3, 1):
        most = None
        if rounds:
            most = sum(one.finish_reason == "stop" for one in rounds[-1])
            if not most:
                break
        pool = source.sample(range(6), width) if not rounds and source.random() < 0.5 else None
        slots = [made_up(source, most) for _ in range(width)]
        if pool is not None:
            # What is drawn twice says the same twice.
            slots = [
                wrong(f"w{draw % 2}", f"draw number {draw} of the six it is", draw=draw)
                for draw in pool
            ]
        rounds.append(slots)
    return rounds


@pytest.fixture(scope="module")
def made_up_store(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    store = open_store(str(tmp_path_factory.mktemp("made-up") / "store"))
    for number in range(RANDOM_RUNS):
        source = random.Random(number)
        passes = 1 + number % 3
        told = {
            f"p{problem}": [made_up_rounds(source) for _ in range(passes)] for problem in range(6)
        }
        told_run(store, f"random-{number}", told)
    return store


def judged(row: Row, answer: str | None) -> Judged:
    """Right where it is the sum of `write_problems`; what ends in 3 breaks the grading off."""
    if answer is None:
        return "no_answer", 0.0
    if row["trajectory_id"].endswith("3"):
        return "timeout", None
    is_right = answer == str(3 * int(row["problem_id"].partition("-")[2]) + 1)
    return ("correct", 1.0) if is_right else ("wrong", 0.0)


def grade_stored(store: Backend, run_id: str) -> None:
    rows: Rows = {}
    for key in current_files(store, run_id)["trajectories"]:
        unit = unit_of_data(key)
        assert unit is not None
        with store.open(key) as file:
            rows[unit] = list(read_rows(file, TABLES["trajectories"].schema.names))
    grade_rows(store, run_id, verdict_rows(rows, MATH, judged))


@pytest.fixture(scope="module")
def strategies_store(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    """A graded run of the paper's strategy, and one of each of the chosen."""
    folder = tmp_path_factory.mktemp("strategies")
    problems = write_problems(folder / "problems.jsonl", 3)
    for name in ("paper", *CHOSEN):
        config = scripted_config(
            folder / "store", problems, model="scripted?words=6&truncate=0.1&empty=0.1&answers=3",
            widths=(5, 3), replicates=2, attempts=2, on_shortfall="refill",
            run_id=name.replace(" ", "-"), **STRATEGIES.get(name, {}),
        )  # fmt: skip
        run = run_stages(config)
        grade_stored(open_store(config.store), run.run_id)
    return open_store(str(folder / "store"))


RUNS = [
    *(("made_up_store", f"random-{number}") for number in range(RANDOM_RUNS)),
    *(("strategies_store", name.replace(" ", "-")) for name in ("paper", *CHOSEN)),
]


def mart(warehouse: Warehouse, name: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    result = warehouse.query(f"FROM mart_{name}")
    found = {}
    for values in result.rows:
        row = dict(zip(result.columns, values, strict=True))
        row.pop("run_id")
        found[tuple(row.pop(column) for column in KEYS[name])] = row
    return found


@pytest.mark.parametrize(("place", "run_id"), RUNS)
def test_every_mart_says_what_plain_python_finds(
    request: pytest.FixtureRequest, place: str, run_id: str
) -> None:
    store: Backend = request.getfixturevalue(place)
    oracle = Oracle(store, run_id)
    with Warehouse(store, [run_id]) as warehouse:
        for name in KEYS:
            found, expected = mart(warehouse, name), getattr(oracle, name)()
            assert found.keys() == expected.keys(), name
            # A message that is an answer alone has no five words.
            assert bool(expected) == ((run_id, name) != ("answers-alone", "overlap")), name
            for key, row in expected.items():
                assert found[key] == pytest.approx(row, abs=1e-12), (name, key)


def test_the_runs_have_every_kind_of_episode(
    made_up_store: Backend, strategies_store: Backend
) -> None:
    met: set[str] = set()
    for store in (made_up_store, strategies_store):
        with Warehouse(store) as warehouse:
            for row in warehouse.query("SELECT DISTINCT step, majority FROM episodes").rows:
                met.update(row)
            ((undecided, tied),) = warehouse.query(
                "SELECT count(*) FILTER (NOT is_decided), count(*) FILTER (leaders > 1) FROM episodes"
            ).rows
            assert undecided > 0 and tied > 0
    assert met == {"sample", "condense", "distill", "right", "wrong", "tied", "none_right"}


def one_run(folder: Path, told: dict[str, list[list[list[Told]]]], **fields: Any) -> Backend:
    store = open_store(str(folder / "store"))
    told_run(store, "mine", told, **fields)
    return store


def only(store: Backend, name: str) -> dict[str, Any]:
    with Warehouse(store) as warehouse:
        (row,) = mart(warehouse, name).values()
    return row


def test_emergence_is_a_ratio_of_sums_over_problems(tmp_path: Path) -> None:
    bad, good = [wrong("a"), wrong("b")], [right(), wrong("a")]
    store = one_run(
        tmp_path,
        {
            "p": [[bad, [right()]], [bad, [wrong("a")]], [bad, [wrong("c")]]],
            "q": [[bad, [right()]], [good, [right()]], [good, [silent()]]],
        },
    )
    row = only(store, "emergence")
    assert (row["all_wrong"], row["all_wrong_problems"], row["emergent_rate"]) == (4, 2, 0.5)
    assert (row["some_right"], row["some_right_problems"], row["base_rate"]) == (2, 1, 0.5)


def test_only_messages_in_the_prompt_count_as_seen(tmp_path: Path) -> None:
    messages = [wrong("a"), right(), wrong("b")]
    shown = [
        right(positions=(1, 3)), wrong("a", positions=(2, 3)), wrong("a", shown=1), wrong("b")
    ]  # fmt: skip
    store = one_run(tmp_path, {"p": [[messages, shown, [right()]]]})
    with Warehouse(store) as warehouse:
        row = mart(warehouse, "emergence")[2,]
        references = mart(warehouse, "positions")
    assert (row["all_wrong"], row["emergent_rate"], row["some_right"]) == (2, 0.5, 2)
    # The reference is numbered in the prompt: position 3 of M is its second where it shows two.
    assert references[2, 2]["episodes"] == 3
    assert references[2, 3]["episodes"] == 1


def test_a_tie_is_neither_a_right_majority_nor_a_wrong_one(tmp_path: Path) -> None:
    told = {
        "tied": [[[right(), wrong("a")], [right()]]],
        "lost": [[[right(), right(), wrong("a")], [wrong("a")]]],
        "cut": [[[right(), right(), wrong("a")], [silent()]]],
        "rescued": [[[wrong("a"), wrong("a"), wrong("b"), right()], [right()]]],
        "all the tied are wrong": [
            [[*(wrong(key) for key in "aabb"), right()], [wrong("a")]]
        ],
    }  # fmt: skip
    row = only(one_run(tmp_path, told), "rescues")
    assert (row["tied"], row["tied_correct"]) == (1, 1.0)
    assert (row["majority_right"], row["lost"], row["lost_unanswered"]) == (2, 1.0, 0.5)
    assert (row["minority_right"], row["rescued"]) == (2, 0.5)


def test_copying_tells_the_majority_the_first_and_new_answers_apart(tmp_path: Path) -> None:
    messages = [wrong("first"), right(), right()]
    told = {
        f"p{number}": [[messages, [end]]]
        for number, end in enumerate([right(), right(), wrong("first"), wrong("new"), silent()])
    }
    row = only(one_run(tmp_path, told), "copying")
    assert (row["episodes"], row["answered"]) == (5, 4)
    assert (row["copied"], row["copied_majority"], row["copied_first"], row["novel"]) == (
        0.75, 0.5, 0.25, 0.25,
    )  # fmt: skip
    assert (row["copied_accuracy"], row["novel_accuracy"]) == (pytest.approx(2 / 3), 0.0)


def test_text_that_follows_its_references_is_told_from_text_that_would_be_the_same_without(
    tmp_path: Path,
) -> None:
    one = "first we take the two and then we add one to it"
    two = "a quite different way is to count all of them by hand"
    follows = {"p": [[[right(one)], [right(one)]], [[right(two)], [right(two)]]]}
    ignores = {"p": [[[right(one)], [right(one)]], [[right(one)], [right(one)]]]}
    row = only(one_run(tmp_path / "follows", follows), "overlap")
    assert (row["seen"], row["unseen"], row["dependence"]) == (1.0, 0.0, 1.0)
    row = only(one_run(tmp_path / "ignores", ignores), "overlap")
    assert (row["seen"], row["unseen"], row["dependence"]) == (1.0, 1.0, 0.0)
    alone = only(one_run(tmp_path / "alone", {"p": [follows["p"][0]]}), "overlap")
    assert (alone["compared"], alone["unseen"], alone["dependence"]) == (0, None, None)


def test_words_are_counted_as_the_paper_writes_them(tmp_path: Path) -> None:
    said = "Reference 1 and reference 2, Ref 3 and ref 4, Ref. 5, REF 6, 参考参考, preferences"
    store = one_run(tmp_path, {"p": [[[right("x")], [right(said, thought="as Ref 7 has it")]]]})
    with Warehouse(store) as warehouse:
        found = mart(warehouse, "words")
    assert found[1,]["words"] == 0
    row = found[2,]
    assert (row["reference"], row["reference_zh"], row["ref_number"]) == (2, 2, 3)
    assert (row["words"], row["any_rate"], row["capitalised"]) == (7, 1.0, 1)


def shown_of(warehouse: Warehouse, run_id: str) -> str:
    run = open_run(warehouse.store, run_id)
    return to_text(mechanism_sheet(run, measure_mechanism(warehouse, run_id)), WIDTH)


def test_a_run_whose_rounds_are_not_graded_has_overlaps_and_words_alone(tmp_path: Path) -> None:
    said = "one two three four five six"
    store = one_run(tmp_path, {"p": [[[right(said)], [right(said)]]]}, is_graded=False)
    with Warehouse(store) as warehouse:
        rows = {name for name in KEYS if mart(warehouse, name)}
        shown = shown_of(warehouse, "mine")
    assert rows == {"overlap", "words"}
    assert shown.endswith("Only answers are graded; pacore grade mine grades every round.")


def test_what_is_asked_without_texts_reads_none(made_up_store: Backend) -> None:
    with Warehouse(made_up_store) as warehouse:
        for name in KEYS:
            explained = "\n".join(
                str(row) for row in warehouse.query(f"EXPLAIN FROM mart_{name}").rows
            )
            assert ("reasoning" in explained) == (name == "words"), name
            assert ("conclusion" in explained.replace("conclusion_status", "")) == (
                name == "overlap"
            ), name


def test_a_ratio_resamples_problems_and_not_cases() -> None:
    source = random.Random(3)
    wholes = [source.randint(1, 9) for _ in range(40)]
    parts = [sum(source.random() < 0.3 for _ in range(whole)) for whole in wholes]
    found = ratio(parts, wholes)
    value = sum(parts) / sum(wholes)
    # The textbook's variance of a ratio of sums over clusters.
    rests = np.array([part - value * whole for part, whole in zip(parts, wholes, strict=True)])
    variance = len(parts) * rests.var(ddof=1) / sum(wholes) ** 2
    assert found.value == pytest.approx(value)
    assert (found.low, found.high) == pytest.approx(
        wilson(value, variance, student_t(0.95, 39), 40), abs=1e-9
    )
    assert ratio(parts[::-1], wholes[::-1]) == found
    alone = ratio([1], [2])
    assert (alone.value, alone.low, alone.high) == (0.5, None, None)
    for wrong_parts, wrong_wholes in (([], []), ([1], [1, 2]), ([0], [0])):
        with pytest.raises(ValueError, match="whole"):
            ratio(wrong_parts, wrong_wholes)


@pytest.fixture(scope="module")
def warehouse(made_up_store: Backend) -> Iterator[Warehouse]:
    with Warehouse(made_up_store, ["random-2"]) as opened:
        yield opened


def test_the_report_reads_as_it_should(warehouse: Warehouse) -> None:
    shown = shown_of(warehouse, "random-2")
    assert shown + "\n" == golden("mechanism/report.txt", shown + "\n")


SHARES = {
    "emergence": ("emergent_rate", "base_rate"),
    "rescues": ("rescued", "lost", "lost_unanswered", "tied_correct"),
    "copying": (
        "copied", "copied_majority", "copied_first", "novel", "copied_accuracy", "novel_accuracy"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHARES)
def test_the_shares_of_the_report_are_those_of_the_marts(warehouse: Warehouse, name: str) -> None:
    found = measure_mechanism(warehouse, "random-2")
    for (round_,), row in mart(warehouse, name).items():
        for column in SHARES[name]:
            figure = found.shares_of(round_).get((column, 0))
            assert (figure.value if figure else None) == pytest.approx(row[column]), column
            if figure is not None and figure.low is not None and figure.high is not None:
                assert figure.low <= figure.value <= figure.high


def test_all_else_in_the_report_is_what_the_marts_say(warehouse: Warehouse) -> None:
    found = measure_mechanism(warehouse, "random-2")
    for of_round in found.messages:
        row = mart(warehouse, "message_accuracy")[of_round.round,]
        assert of_round.accuracy is not None
        assert of_round.accuracy.value == pytest.approx(row["accuracy"])
        assert of_round.no_answer_rate == row["no_answer_rate"]
    for (round_, reference), row in mart(warehouse, "positions").items():
        shares = found.shares_of(round_)
        assert shares["position_copied", reference].value == pytest.approx(row["copied"])
        assert shares["position_accuracy", reference].value == pytest.approx(row["accuracy"])
        assert shares["position_copied", reference].cases == row["episodes"]
    for (round_,), row in mart(warehouse, "overlap").items():
        for name, figure in found.overlaps_of(round_).items():
            assert figure.value == pytest.approx(row[name])
    for words in found.words:
        row = mart(warehouse, "words")[words.round,]
        assert words.words_mean == pytest.approx(row["words_mean"])
        assert words.any_rate.value == pytest.approx(row["any_rate"])
        assert words.per_thousand_characters == pytest.approx(row["per_thousand_characters"])


def test_a_figure_of_few_cases_says_so(warehouse: Warehouse) -> None:
    (told,) = json.loads(to_json([measure_mechanism(warehouse, "random-2")]))
    for share in told["shares"]:
        assert share["is_enough"] == (share["cases"] >= 10 and share["problems"] >= 3)
    assert {share["is_enough"] for share in told["shares"]} == {True, False}


def test_the_command_prints_the_report_or_json(
    made_up_store: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["mechanism", "--store", str(Path(made_up_store.uri("runs")).parent)]
    assert main([*where, "random-0", "random-1"]) == 0
    shown = capsys.readouterr().out
    assert "run random-0" in shown and "run random-1" in shown
    assert main([*where, "random-0", "--format", "json"]) == 0
    assert [one["run_id"] for one in json.loads(capsys.readouterr().out)] == ["random-0"]
    assert main([*where, "nobody"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
