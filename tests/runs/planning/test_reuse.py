"""What `pacore plan` says of earlier runs: what is reused, what is not and why, and what is to pay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pacore.core.config.run import RunConfig
from pacore.core.plan import default_shard_size, shards
from pacore.core.problem import set_digest
from pacore.engine.opening import resolve_recipe
from pacore.problems.files import read_problem_set
from pacore.report.plan import forecast_figure, forecast_sheet
from pacore.report.rendering.terminal import to_text
from pacore.runs.planning.forecast import Forecast, Forecaster
from pacore.runs.planning.reuse import Earlier, Planned, nearest
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal
from tests.conftest import Pacore
from tests.fixtures.golden_files import golden
from tests.fixtures.pipeline import journal_size, run_stages, scripted_config, write_problems

WIDTH = 100


BASE: dict[str, Any] = {"widths": (4, 2), "max_tokens": 64}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one finished run, ``base``: K = [4, 2, 1] over five sums."""
    folder = tmp_path_factory.mktemp("reuse")
    problems = write_problems(folder / "problems.jsonl", 5)
    run_stages(scripted_config(folder / "store", problems, run_id="base", **BASE))
    return folder


def planned(place: Path, problems: str = "problems.jsonl", **fields: Any) -> RunConfig:
    return scripted_config(place / "store", place / problems, **{**BASE, **fields})


def forecast(config: RunConfig) -> tuple[Forecast, Earlier | None]:
    problems = read_problem_set(config.problems, config.limit)
    recipe, store = resolve_recipe(config), open_store(config.store)
    size = default_shard_size(len(problems), config.plan)
    forecaster = Forecaster(config.plan, recipe, Journal(store))
    found = forecaster.forecast(problems, len(shards(len(problems), size)))
    identity = {**config.identity(set_digest(problems)), "recipe": recipe.as_json()}
    return found, nearest(store, Planned(identity, problems), forecaster.used)


def said(config: RunConfig) -> str:
    return to_text(forecast_sheet(*forecast(config)), WIDTH) + "\n"


def edited_problems(place: Path) -> str:
    """One problem asks something else, one has another gold answer, one is new, and one is gone."""
    rows = [json.loads(line) for line in (place / "problems.jsonl").read_text().splitlines()]
    by_id = {row["id"]: row for row in rows}
    by_id["sum-0001"]["problem"] = "What is one and one?"
    by_id["sum-0002"]["answer"] = "8"
    del by_id["sum-0003"]
    by_id["sum-0009"] = {"id": "sum-0009", "problem": "What is 9 + 9?", "answer": "18"}
    text = "".join(json.dumps(row) + "\n" for row in by_id.values())
    (place / "edited.jsonl").write_text(text)
    return "edited.jsonl"


CHANGES: dict[str, dict[str, Any]] = {
    "same": {},
    "temperature": {"temperature": 0.7},
    "system": {"system": "Be brief.", "min_messages": 2},
    "wider": {"widths": (16,)},
    "later-width": {"widths": (4, 4)},
    "order": {"message_order": "reference"},
    "replicates": {"replicates": 3},
    "pool": {"pool": 8, "replicates": 3},
    "one-round-more": {"widths": (4, 2, 1)},
    "summaries": {"compaction": "summary", "summary_tokens": 16},
    "workspace": {"workspace_tokens": 32},
    "subset": {"subset": 2},
    "select": {"subset": 2, "select": "majority"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_plan_names_what_is_reused_what_is_not_and_the_field_that_changed(
    place: Path, name: str
) -> None:
    shown = said(planned(place, **CHANGES[name]))
    assert shown == golden(f"plan/{name}.txt", shown)


def test_a_plan_names_problems_that_changed_their_text_or_gold_and_those_that_came_or_went(
    place: Path,
) -> None:
    shown = said(planned(place, edited_problems(place)))
    assert shown == golden("plan/problems.txt", shown)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["later-width", "order", "replicates", "pool", "summaries", "workspace", "subset", "select"],
)
def test_what_a_plan_says_is_to_generate_is_what_the_run_then_generates(
    place: Path, tmp_path: Path, name: str
) -> None:
    """Exactly, but for prompts yet unknown: messages may come out as they did before."""
    found, _ = forecast(planned(place, **CHANGES[name]))
    copy = tmp_path / "copy"
    problems = write_problems(tmp_path / "problems.jsonl", 5)
    run_stages(scripted_config(copy, problems, run_id="base", **BASE))
    before = journal_size(str(copy))
    config = scripted_config(copy, problems, run_id="next", **{**BASE, **CHANGES[name]})
    run_stages(config)
    made, most = journal_size(str(copy)) - before, found.total("to_generate")
    assert most - found.total("unknown") <= made <= most


def test_a_template_that_changed_leaves_the_rounds_after_the_first_unused(place: Path) -> None:
    config = planned(place)
    problems = read_problem_set(config.problems)
    identity = {**config.identity(set_digest(problems)), "template": "another"}
    earlier = nearest(open_store(config.store), Planned(identity, problems), set())
    assert earlier is not None
    assert earlier.changes == [
        "template: another synthesis prompt; all 15 stored trajectories of rounds 2 to 3 were made under "
        "other settings"
    ]


def test_the_nearest_of_several_runs_is_named_and_not_merely_the_newest(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    for run_id, temperature, widths in (("near", 0.5, (2,)), ("far", 0.9, (3,))):
        config = scripted_config(
            tmp_path / "s", problems, run_id=run_id, temperature=temperature, widths=widths
        )
        run_stages(config)
    _, earlier = forecast(scripted_config(tmp_path / "s", problems, temperature=0.5, widths=(3,)))
    assert earlier is not None
    assert earlier.run_id == "near"


def test_the_runs_that_generated_what_is_reused_are_named_with_their_counts(
    tmp_path: Path,
) -> None:
    """``second`` differs least from the plan, but what it shares with ``first`` was generated by that."""
    problems, place = write_problems(tmp_path / "problems.jsonl", 3), tmp_path / "s"
    run_stages(scripted_config(place, problems, run_id="first", widths=(4,), limit=2))
    run_stages(scripted_config(place, problems, run_id="second", widths=(4,)))
    some = said(scripted_config(place, problems, widths=(4,), replicates=2))
    assert "reused       10 of run first, 5 of run second" in some
    assert "nearest run  second: 3 of its 3 problems are in this set" in some
    everything = said(scripted_config(place, problems, widths=(4,), limit=2))
    assert "reused       10 of run first\n" in everything
    assert "run first has these settings and problems; nothing is left to generate" in everything
    fewer = said(scripted_config(place, problems, widths=(), replicates=3))
    assert "reused      6 of run first, 3 of run second" in fewer
    assert "nearest" not in fewer


def test_the_figure_of_a_plan_has_what_is_reused_and_to_generate_by_round(place: Path) -> None:
    found, _ = forecast(planned(place, replicates=3))
    trajectories, tokens = forecast_figure(found).axes
    heights = [[bar.get_height() for bar in part] for part in trajectories.containers]
    assert heights == [[20.0, 10.0, 5.0], [40.0, 20.0, 10.0]]
    legend = trajectories.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["reused", "to generate"]
    reused, expected = ([bar.get_height() for bar in part] for part in tokens.containers)
    assert reused == [round_.stored_tokens for round_ in found.rounds]
    assert expected == pytest.approx([2 * one for one in reused])
    assert found.expected_tokens == pytest.approx(2 * sum(reused))
    other, _ = forecast(planned(place, temperature=0.7))
    assert other.expected_tokens is None
    assert [len(axes.containers) for axes in forecast_figure(other).axes] == [1, 1]


def test_a_plan_is_written_as_json_and_drawn_by_the_command(
    place: Path, tmp_path: Path, command: Pacore
) -> None:
    done = command(
        "plan", "--problems", str(place / "problems.jsonl"), "--engine", "scripted",
        "--widths", "4,2", "--max-tokens", "64", "--store", str(place / "store"), "--format", "json",
        "--figure", str(tmp_path / "plan.svg"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["sources"] for one in found["forecast"]["rounds"]] == [
        {"base": n} for n in (20, 10, 5)
    ]
    assert found["earlier"]["run_id"] == "base"
    assert (tmp_path / "plan.svg").read_text().startswith("<?xml")


def test_a_plan_that_reuses_nothing_names_no_run_but_the_nearest(place: Path) -> None:
    shown = said(planned(place, temperature=0.7))
    assert "reused       " not in shown
    assert "nearest run  base" in shown


def test_a_round_with_nothing_to_generate_costs_nothing_though_nothing_bounds_its_tokens(
    place: Path,
) -> None:
    found, _ = forecast(planned(place))
    found.longest_tokens = None
    assert found.new_tokens([1, 2, 3]) == 0


def test_a_run_over_other_problems_is_no_earlier_run(place: Path, tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text('{"id": "x", "problem": "Why?", "answer": "y"}\n')
    config = scripted_config(place / "store", tmp_path / "other.jsonl", **BASE)
    found, earlier = forecast(config)
    assert earlier is None
    assert found.total("to_generate") == 7


def test_the_command_says_the_same_and_writes_nothing(place: Path, command: Pacore) -> None:
    before = sorted((place / "store").rglob("*"))
    done = command(
        "plan", "--problems", str(place / "problems.jsonl"), "--engine", "scripted",
        "--widths", "4,2", "--max-tokens", "64", "--temperature", "0.7",
        "--store", str(place / "store"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reason = "recipe.temperature: 1.0 -> 0.7: all 35 stored trajectories of run base were made under other"
    assert reason in " ".join(done.stdout.split())
    assert sorted((place / "store").rglob("*")) == before
