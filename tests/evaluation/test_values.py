"""The value of messages: balanced sets, an estimate that finds what was planted, rows by the command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect.settings import PREFECT_API_URL, temporary_settings

import pacore
from benchmarks.value import PLANTED, Planted, line, mart_rows, measured
from pacore.core.policies.select import parse_scorer, scorer_text
from pacore.evaluation.interventions import JudgedMessage
from pacore.evaluation.statistics.intervals import PENALTY, line_in_groups
from pacore.evaluation.values.design import TREATMENTS, TriedSets, stand_ins, treated, tried_sets
from pacore.report.rendering.sheet import to_json
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.audited import errors
from tests.fixtures.pipeline import journal_size, run_stages, scripted_config, write_problems
from tests.fixtures.regraded import grade


def names(count: int, start: int = 0) -> list[str]:
    return [f"t{number:03d}" for number in range(start, start + count)]


def messages(count: int, start: int = 0) -> list[JudgedMessage]:
    return [JudgedMessage(name, f"text of {name}", None) for name in names(count, start)]


def design(count: int, salt: int = 0) -> TriedSets:
    found = tried_sets("drop", [f"{salt} {name}" for name in names(count)])
    assert found is not None
    return found


@pytest.mark.parametrize("count", [*range(2, 34), 40, 64])
def test_the_tried_sets_are_fewer_than_two_a_message_and_none_of_them_is_empty(count: int) -> None:
    found = design(count)
    assert count < len(found.levels) < 2 * count
    assert all(any(levels) for levels in found.levels)
    assert len(set(found.levels)) == len(found.levels)


@pytest.mark.parametrize("count", [2, *range(4, 34), 40, 64])
def test_each_message_is_in_half_of_a_matrix_and_each_pair_in_a_quarter(count: int) -> None:
    found = design(count)
    columns = list(zip(*found.levels, strict=True))
    assert {sum(column) for column in columns} == {found.order // 2}
    both = {
        sum(a and b for a, b in zip(one, other, strict=True))
        for one, other in combinations(columns, 2)
    }
    assert both == {found.order // 4}


def test_three_messages_are_tried_in_the_sets_that_hold_an_odd_number_of_them() -> None:
    assert sorted(map(sum, design(3).levels)) == [1, 1, 1, 3]


def test_one_message_alone_is_not_tried() -> None:
    assert tried_sets("drop", ["t"]) is None


@given(st.integers(2, 24), st.sampled_from(TREATMENTS))
def test_the_tried_sets_follow_from_the_messages_and_the_treatment(
    count: int, treatment: Any
) -> None:
    assert tried_sets(treatment, names(count)) == tried_sets(treatment, names(count))


def test_other_messages_are_tried_in_other_sets() -> None:
    assert len({design(8, salt).levels for salt in range(20)}) > 10


def test_a_treatment_gives_the_messages_of_a_tried_set_in_the_order_of_the_set() -> None:
    own, others = messages(4), messages(4, 10)
    levels = (True, False, False, True)

    def tried(treatment: Any) -> list[str]:
        return [one.trajectory_id for one in treated(treatment, levels, own, others)]

    assert tried("drop") == ["t000", "t003"]
    assert tried("swap") == ["t000", "t011", "t012", "t003"]
    assert tried("duplicate") == ["t000", "t000", "t001", "t002", "t003", "t003"]


def test_what_is_swapped_in_is_of_other_sets_and_no_message_is_so_twice() -> None:
    own = messages(4)
    found = stand_ins(own, [*own, *messages(6, 2)])
    assert found is not None
    swapped_in = {one.trajectory_id for one in found}
    assert len(swapped_in) == 4 and not swapped_in & {one.trajectory_id for one in own}
    assert found == stand_ins(own, [*messages(6, 2), *own])


def test_a_set_without_enough_messages_beside_it_is_not_swapped() -> None:
    assert stand_ins(messages(4), [*messages(4), *messages(3, 4)]) is None


def rows_of(tried: TriedSets, scores: Any, tokens: Any = None) -> list[dict[str, Any]]:
    return [
        {
            "problem_id": "p",
            "number": number,
            "prompt_digest": str(number),
            "matrix_order": tried.order,
            "sets": len(tried.levels),
            "message_ids": [f"t{place}" for place in range(len(levels))],
            "upper": [place for place, is_upper in enumerate(levels, 1) if is_upper],
            "accuracy": float(scores[number]),
            "prompt_tokens": None if tokens is None else float(tokens[number]),
        }
        for number, levels in enumerate(tried.levels)
    ]


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(2, 20), st.integers(0, 1000), st.integers(0, 2**32 - 1))
def test_a_value_is_the_coefficient_of_the_least_squares_line(
    count: int, salt: int, seed: int
) -> None:
    tried = design(count, salt)
    levels = np.array(tried.levels, dtype=float)
    scores = np.random.default_rng(seed).random(len(levels))
    ((_, found),) = mart_rows(rows_of(tried, scores))
    assert [one[0] for one in found] == pytest.approx(line(levels, lambda _: scores), abs=1e-9)


@pytest.mark.parametrize("count", [2, 3, 4, 7, 16])
def test_what_messages_add_and_what_they_cost_is_found_exactly_where_nothing_is_by_chance(
    count: int,
) -> None:
    tried = design(count)
    levels = np.array(tried.levels, dtype=float)
    values = np.linspace(-0.02, 0.03, count)
    costs = 7.0 * np.arange(1, count + 1)
    ((_, found),) = mart_rows(rows_of(tried, 0.5 + levels @ values, 90 + levels @ costs))
    assert [one[0] for one in found] == pytest.approx(list(values), abs=1e-9)
    assert [one[3] for one in found] == pytest.approx(list(costs), abs=1e-9)
    for value, low, high, _ in found:
        assert -1 <= low < value < high <= 1


def test_an_interval_has_a_width_where_every_trajectory_is_right() -> None:
    tried = design(8)
    ((_, found),) = mart_rows(rows_of(tried, np.ones(len(tried.levels))))
    for value, low, high, _ in found:
        assert value == pytest.approx(0, abs=1e-9) and low < -0.05 and high > 0.05


def test_sets_that_show_the_same_have_one_trajectory_and_do_not_count_as_several() -> None:
    tried = design(8)
    rows = rows_of(tried, [number % 2 for number in range(len(tried.levels))])
    halves = []
    for shared in (False, True):
        for row in rows:
            row["prompt_digest"] = "one" if shared and 1 in row["upper"] else str(row["number"])
        ((_, found),) = mart_rows(rows)
        halves.append(found[0][2] - found[0][1])
    assert halves[1] > 1.2 * halves[0]


def test_a_message_set_that_lacks_the_score_of_a_tried_set_has_no_values() -> None:
    tried = design(8)
    assert mart_rows(rows_of(tried, np.ones(len(tried.levels)))[1:]) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "planted",
    [one for one in PLANTED if one.messages in (4, 8) or one.name.endswith("20 %")],
    ids=lambda one: f"{one.name}, {one.messages}",
)
def test_planted_values_are_found_without_bias_and_intervals_hold_them(planted: Planted) -> None:
    found = measured(planted, 400)
    noise = 4 * found.error / (400 * planted.messages) ** 0.5
    assert abs(found.bias) < 0.01 + noise
    # Copies leave few prompts to tell how much scores vary, and the interval is on the safe side.
    assert 0.93 <= found.coverage <= (0.975 if planted.texts is None else 0.995)
    assert found.error < found.one_by_one
    assert found.trajectories < 2


def test_weights_are_those_of_a_ridge_within_groups() -> None:
    random = np.random.default_rng(3)
    rows, groups = random.normal(size=(200, 3)), [f"g{number // 8}" for number in range(200)]
    offsets = np.repeat(random.normal(size=25), 8)
    values = rows @ [0.5, -0.2, 0.0] + offsets + random.normal(0, 0.1, 200)
    found = line_in_groups(rows.tolist(), values.tolist(), groups, groups)
    x = np.concatenate([part - part.mean(axis=0) for part in np.split(rows, 25)])
    y = np.concatenate([part - part.mean() for part in np.split(values, 25)])
    scale = x.std(axis=0)
    plain = np.linalg.solve((x / scale).T @ (x / scale) + PENALTY * np.eye(3), (x / scale).T @ y)
    assert [one.weight for one in found] == pytest.approx(list(plain / scale))
    for one, shrunk in zip(found, (0.5, -0.2, 0.0), strict=True):
        assert one.low is not None and one.high is not None
        assert one.low < one.weight < one.high and abs(one.weight - shrunk) < 0.05


def test_a_feature_that_does_not_vary_within_groups_has_no_weight() -> None:
    rows = [[float(group), float(number)] for group in range(4) for number in range(3)]
    values = [row[1] for row in rows]
    groups = [str(row[0]) for row in rows]
    constant, varying = line_in_groups(rows, values, groups, groups)
    assert constant.weight == 0 and varying.weight > 0


SUMS = 4


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graded run: 4 problems, K = [4, 1], 2 replicates, some messages missing."""
    folder = tmp_path_factory.mktemp("valued")
    problems = write_problems(folder / "p.jsonl", SUMS)
    fields: dict[str, Any] = {"model": "scripted?words=12&truncate=0.1", "replicates": 2}
    run_stages(scripted_config(folder / "store", problems, run_id="mine", widths=(4,), **fields))
    grade(str(folder / "store"), "mine")
    return folder


@pytest.fixture
def place(finished: Path, tmp_path: Path) -> str:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return str(tmp_path / "store")


@pytest.fixture
def value(place: str, command: Pacore, prefect_api: str) -> Iterator[Callable[..., dict[str, Any]]]:
    def run(*arguments: str) -> dict[str, Any]:
        done = command(
            "value", "mine", "--store", place, "--round", "2", "--format", "json", *arguments
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield run


def ask(place: str, text: str) -> list[tuple[Any, ...]]:
    with Warehouse(open_store(place)) as warehouse:
        return list(warehouse.query(text).rows)


@pytest.mark.slow
def test_the_flow_gives_what_the_command_gives_and_refuses_what_it_refuses(
    place: str, value: Callable[..., dict[str, Any]]
) -> None:
    from flows.values import values

    expected = value("--by", "duplicate")
    paid = journal_size(place)
    # As Prefect's form sends it.
    form: dict[str, Any] = {
        "what": {"run_id": "mine", "round": 2}, "how": {"treatment": "duplicate"},
        "where": {"store": place},
    }  # fmt: skip
    state = values(form, return_state=True)
    assert state.is_completed(), state.message
    assert json.loads(to_json(state.result())) == expected
    assert journal_size(place) == paid
    refused = values(form | {"what": {"run_id": "mine", "round": 1}}, return_state=True)
    assert refused.is_failed()
    none = values(form | {"what": {"run_id": "mine", "round": 3}}, return_state=True)
    assert none.name == "Refused" and "round 3 is none" in (none.message or "")


@pytest.mark.slow
def test_a_run_of_values_generates_what_was_planned_and_nothing_twice(
    place: str, value: Callable[..., dict[str, Any]]
) -> None:
    before = journal_size(place)
    planned = value("--dry-run")
    assert journal_size(place) == before
    found = value()
    assert journal_size(place) - before == planned["to_generate"]
    assert found["tokens"]["trajectories"] == planned["trajectories"]
    assert planned["trajectories"] < 2 * planned["tried"]["messages"]
    again = value()
    assert journal_size(place) - before == planned["to_generate"]
    assert again["messages"] == found["messages"]
    assert value("--dry-run")["to_generate"] == 0
    assert not errors(open_store(place), found["run_id"])


@pytest.mark.slow
def test_every_message_has_a_row_with_its_value_and_what_it_costs(
    place: str, value: Callable[..., dict[str, Any]]
) -> None:
    found = value()
    rows = ask(
        place,
        "SELECT had.text, valued.cost_tokens, valued.value, valued.low, valued.high, valued.is_right, "
        "judged.score FROM mart_message_values AS valued JOIN messages AS had "
        "ON had.run_id = valued.source_run_id AND had.trajectory_id = valued.trajectory_id "
        "AND (had.round, had.problem_id, had.replicate, had.position) "
        "= (valued.round - 1, valued.problem_id, valued.replicate, valued.position) "
        "JOIN all_verdicts AS judged ON judged.run_id = had.run_id "
        "AND judged.trajectory_id = had.trajectory_id AND judged.round = had.round",
    )
    tried = ask(
        place,
        "SELECT count(*) FROM messages AS had WHERE run_id = 'mine' AND round = 1 AND 1 < (SELECT count(*) "
        "FROM messages AS beside WHERE (beside.run_id, beside.round, beside.problem_id, beside.replicate) "
        "= (had.run_id, had.round, had.problem_id, had.replicate))",
    )
    assert len(rows) == len(found["messages"]) == tried[0][0]
    for text, cost, worth, low, high, is_right, score in rows:
        # The engine's tokens are words, and `Reference 1:` before the message is two of them.
        assert cost == pytest.approx(len(text.split()) + 2)
        assert low < worth < high or worth in (-1, 1)
        assert is_right is (score == 1)


@pytest.mark.slow
@pytest.mark.parametrize("treatment", ["swap", "duplicate"])
def test_messages_are_tried_against_others_and_twice(
    place: str, value: Callable[..., dict[str, Any]], treatment: str
) -> None:
    found = value("--by", treatment, "--samples", "2")
    assert found["tokens"]["trajectories"] == 2 * found["tried"]["sets"]
    shown = ask(
        place,
        f"SELECT DISTINCT len(string_split(statement, 'Reference ')) - 2, "
        f"len(json_extract(metadata, '$.message_value.messages')::VARCHAR[]), "
        f"len(json_extract(metadata, '$.message_value.upper')::VARCHAR[]) FROM problems "
        f"WHERE run_id = '{found['run_id']}'",
    )
    for references, messages_of_set, upper in shown:
        assert references == messages_of_set + (upper if treatment == "duplicate" else 0)
    skipped = found["tried"]["skipped"]
    assert found["tried"]["message_sets"] + skipped == 2 * SUMS


@pytest.mark.slow
def test_a_scorer_is_fitted_and_chooses_in_a_run_whose_audit_finds_nothing(
    place: str, value: Callable[..., dict[str, Any]], command: Pacore, tmp_path: Path
) -> None:
    file = tmp_path / "scorer.json"
    value("--fit", str(file))
    scorer = json.loads(file.read_text())["scorer"]
    assert scorer == scorer_text(parse_scorer(scorer))
    line = [
        "run", "--problems", str(tmp_path / "p.jsonl"), "--store", place, "--engine", "scripted",
        "--model", "scripted?words=12&truncate=0.1", "--widths", "4", "--subset", "2",
        "--select", "trained", "--scorer",
    ]  # fmt: skip
    assert command(*line, str(file), "--run-id", "trained").returncode == 0
    assert command(*line, scorer, "--run-id", "same").returncode == 0
    assert not errors(open_store(place), "trained")
    shown = ask(
        place,
        "SELECT run_id, problem_id, prompt_positions, trajectory_id FROM trajectories "
        "WHERE round = 2 AND run_id IN ('trained', 'same') ORDER BY ALL",
    )
    same, trained = shown[:SUMS], shown[SUMS:]
    assert [row[1:] for row in same] == [row[1:] for row in trained]
    assert any(len(positions or ()) == 2 for _, _, positions, _ in trained)
    again = command("value", "mine", "--store", place, "--round", "2", "--fit", str(file))
    assert again.returncode == 2 and "is there already" in again.stderr


@pytest.mark.slow
def test_a_selection_by_value_beats_a_random_one_at_equal_tokens_on_an_engine_that_follows_most(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "p.jsonl", 60)
    chosen: dict[str, dict[str, Any]] = {
        "random": {"select": "random"},
        "by-value": {"select": "trained", "scorer": "agreement:0.3"},
    }
    for run_id, fields in chosen.items():
        settings = {"model": "scripted?words=4&answers=3", "widths": (8,), "subset": 3, **fields}
        run_stages(scripted_config(tmp_path / "store", problems, run_id=run_id, **settings))
    found = pacore.compare("random", "by-value", store=str(tmp_path / "store")).data.paired
    assert found.low is not None and found.low > 0.05
    assert found.permutation_p is not None and found.permutation_p < 0.01
    read = ask(
        str(tmp_path / "store"),
        "SELECT sum(prompt_tokens) FROM trajectories WHERE round = 2 GROUP BY run_id",
    )
    assert max(read)[0] / min(read)[0] < 1.02


@pytest.mark.slow
def test_a_run_without_verdicts_and_a_round_without_messages_are_refused(
    place: str, command: Pacore, tmp_path: Path
) -> None:
    run_stages(scripted_config(Path(place), tmp_path / "p.jsonl", run_id="bare", widths=(2,)))
    done = command("value", "bare", "--store", place, "--round", "2")
    assert done.returncode == 2 and "pacore grade bare first" in done.stderr
    done = command("value", "mine", "--store", place, "--round", "3")
    assert done.returncode == 2 and "round 3 is none that synthesises messages" in done.stderr
