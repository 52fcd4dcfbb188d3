"""Checkpoints by what they make of messages, against plain Python; and two of them crossed between
rounds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from pacore.api.checkpoints import checkpoints, cross
from pacore.errors import BadInput, Refused
from pacore.report.rendering.sheet import to_json
from pacore.report.rendering.terminal import to_text
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.pipeline import journal_size, run_stages, scripted_config, table
from tests.fixtures.regraded import grade
from tests.fixtures.training_runs import POOL, SYNTHESIS, training_store

pytestmark = pytest.mark.slow

MODELS = {"before": "scripted?words=6&lure=0.6&digit_error=0.3", "after": "scripted?words=7"}

PROBLEMS, WIDTH, REPLICATES = 12, 4, 3


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Graded runs of two models over the same products; and one that is not graded."""
    folder = tmp_path_factory.mktemp("checkpoints")
    rows = [
        {"id": f"p{n}", "problem": f"What is {n + 2} * {3 * n + 1}?", "answer": str((n + 2) * (3 * n + 1))}
        for n in range(PROBLEMS)
    ]  # fmt: skip
    problems = folder / "problems.jsonl"
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    place = folder / "store"
    shared: dict[str, Any] = {"widths": (WIDTH,), "replicates": REPLICATES}
    for run_id, model in MODELS.items():
        run_stages(scripted_config(place, problems, model=model, run_id=run_id, **shared))
        grade(str(place), run_id)
    run_stages(scripted_config(place, problems, model="scripted", run_id="ungraded", **shared))
    return str(place)


def rights(store: str, run_id: str) -> dict[int, dict[tuple[str, int], list[bool]]]:
    """Whether each trajectory is right, by round, problem and replicate; from the rows alone."""
    found: dict[int, dict[tuple[str, int], list[bool]]] = {
        1: defaultdict(list),
        2: defaultdict(list),
    }
    columns = ("problem_id", "replicate", "grading", "verdict")
    for round_, problem_id, replicate, grading, verdict in table(
        store, run_id, "verdicts", columns
    ):
        if grading != "run":
            found[round_][problem_id, replicate].append(verdict == "correct")
    return found


@pytest.mark.parametrize("run_id", MODELS)
def test_a_checkpoint_is_measured_by_what_its_last_round_makes_of_messages(
    store: str, run_id: str
) -> None:
    (found,) = checkpoints([run_id], store=store).data
    seen = rights(store, run_id)
    by_problem: defaultdict[str, list[bool]] = defaultdict(list)
    lost = []
    for (problem_id, replicate), (is_right,) in seen[2].items():
        by_problem[problem_id].append(is_right)
        if not any(seen[1][problem_id, replicate]):
            lost.append(is_right)
    assert found.accuracy.value == pytest.approx(fmean(map(fmean, by_problem.values())))
    assert found.message_accuracy is not None
    assert found.message_accuracy.value == pytest.approx(fmean(map(fmean, seen[1].values())))
    assert found.accuracy.cases == PROBLEMS * REPLICATES
    emergent = (None, 0) if found.emergent is None else (found.emergent.value, found.emergent.cases)
    assert emergent == ((fmean(lost) if lost else None), len(lost))
    with Warehouse(open_store(store), [run_id]) as warehouse:
        query = "SELECT accuracy, emergent_rate, all_wrong, any_rate FROM mart_checkpoints"
        (row,) = warehouse.query(query).rows
    assert row[0] == pytest.approx(found.accuracy.value)
    assert (row[1], row[2]) == pytest.approx(emergent)
    assert found.any_rate is not None and row[3] == found.any_rate.value


def test_checkpoints_stand_in_their_order_in_a_table_and_a_figure(store: str) -> None:
    found = checkpoints(["after", "before"], store=store)
    assert [one.run_id for one in found.data] == ["after", "before"]
    shown = to_text(found.sheets[0], 100)
    assert shown.index("scripted?words=7") < shown.index("scripted?words=6")
    assert found.figure() is not None
    twice = checkpoints(["after", "after"], store=store)
    assert len(twice.data) == 1


def test_syntheses_of_a_training_set_count_with_the_messages_of_its_pool(tmp_path: Path) -> None:
    store = training_store(tmp_path)
    grade(store, POOL)
    grade(store, SYNTHESIS)
    (found,) = checkpoints([SYNTHESIS], store=store).data
    assert (found.round, found.message_run_id) == (1, POOL)
    with Warehouse(open_store(store), [SYNTHESIS, POOL]) as warehouse:
        rows = warehouse.query("SELECT message_model, episodes FROM mart_checkpoints").rows
        (row,) = rows
    assert found.message_accuracy is None, (
        "the problems do not say which of their messages are right"
    )
    assert tuple(row) == ("scripted", found.accuracy.cases)


def test_runs_without_messages_or_verdicts_are_refused(store: str) -> None:
    with pytest.raises(
        Refused, match="no trajectory of it has messages in its prompt and a verdict"
    ):
        checkpoints(["before", "ungraded"], store=store)
    with pytest.raises(Refused, match="its messages have no verdicts yet"):
        cross("ungraded", "before", 2, store=store)
    with pytest.raises(Refused, match="round 1 is none that synthesises"):
        cross("before", "after", 1, store=store)
    with pytest.raises(BadInput, match="is crossed with itself"):
        cross("before", "before", 2, store=store)


def test_two_checkpoints_are_crossed_on_the_same_messages_and_nothing_is_paid_for_twice(
    store: str, command: Pacore, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    line = ("cross", "before", "after", "--round", "2", "--samples", "2", "--store", store)
    done = command(*line, "--format", "json")
    assert done.returncode == 0, done.stderr
    found, paid = json.loads(done.stdout), journal_size(store)
    cells = {(one["messages"], one["synthesis"]): one for one in found["cells"]}
    before, after = (model for model in MODELS.values())
    assert cells.keys() == {(m, s) for m in (before, after) for s in (before, after)}
    (own,) = checkpoints(["before"], store=store).data
    assert cells[before, before]["accuracy"]["value"] == pytest.approx(own.accuracy.value)
    made = cells[before, after]["run_id"]
    (crossed,) = checkpoints([made], store=store).data
    assert cells[before, after]["accuracy"]["value"] == pytest.approx(crossed.accuracy.value)
    assert crossed.accuracy.cases == 2 * PROBLEMS * REPLICATES
    # The same messages, so as many of them are right.
    assert crossed.message_accuracy is not None and own.message_accuracy is not None
    assert crossed.message_accuracy.value == pytest.approx(own.message_accuracy.value)
    with Warehouse(open_store(store), ["before", made]) as warehouse:
        prompts = warehouse.query(
            "SELECT count(DISTINCT prompt_digest), count(DISTINCT run_id) FROM trajectories "
            "WHERE run_id <> 'before' OR round = 2"
        )
        assert list(prompts.rows) == [(PROBLEMS * REPLICATES, 2)], "the very prompts of the round"
        models = warehouse.query("SELECT run_id, model FROM runs ORDER BY len(run_id)")
        assert list(models.rows) == [("before", before), (made, after)]
    effects = {one["what"]: one["difference"] for one in found["effects"]}
    means = {place: one["accuracy"]["value"] for place, one in cells.items()}
    whole = effects["both"]["difference"]
    assert whole == pytest.approx(means[after, after] - means[before, before])
    one_way = effects["synthesis, messages before"], effects["messages, synthesis after"]
    assert whole == pytest.approx(sum(part["difference"] for part in one_way))
    assert effects["messages, synthesis before"]["low"] > 0, "better messages, planted"
    again = command(*line)
    assert again.returncode == 0
    assert "synthesis by" in again.stdout
    assert journal_size(store) == paid


def test_as_json_checkpoints_have_their_figures(store: str) -> None:
    found = json.loads(to_json(checkpoints(["after"], store=store).data))
    assert found[0]["checkpoint"] == "scripted?words=7"
    assert found[0]["accuracy"]["low"] < found[0]["accuracy"]["value"]
