"""A sweep end to end: its runs over one pool, what it says of them, and what it need not generate."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.sweep import sweep
from pacore.core.config.sweep import SweepConfig
from pacore.evaluation.strategies.equal_cost import EqualCost
from pacore.evaluation.sweep import SweepResult, SweepRow
from pacore.report.rendering.markup import MARKUP
from pacore.report.rendering.sheet import to_json
from pacore.report.rendering.terminal import to_text
from pacore.report.sweep import SweepOutcome, sweep_csv, sweep_sheet
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.golden_files import golden
from tests.fixtures.pipeline import journal_size, journal_tokens, write_problems

pytestmark = pytest.mark.slow

ARMS = ("single", "sc:3", "bon:3", "low", "sequential:3", "verbatim", "low+pool=8")


def row(name: str, accuracy: float | None, tokens: float | None, **fields: Any) -> SweepRow:
    given: dict[str, Any] = {
        "arm": name, "run_id": f"mine.{name}", "trajectories": 5, "planned": 80, "scored": 80,
        "low": None, "high": None,
        "unanswered": None, "accuracy_per_thousand_tokens": None, "money": None,
        "alone_tokens": 1_000, **fields,
    }  # fmt: skip
    return SweepRow(name=name, accuracy=accuracy, effective_tokens=tokens, **given)


TITLE = "run mine.pool · a-model · K = [1] · 8 replicates"


RESULT = SweepResult.of(
    "mine",
    "single",
    [
        row("low", 0.3, 1200.0, low=0.2, high=0.42, unanswered=0.05, money=0.0012),
        row("single", 0.25, 200.0, accuracy_per_thousand_tokens=1.25, alone_tokens=3_000),
        row("sc-99", None, 19_800.0),
        row(
            "verbatim",
            0.28,
            2_500.0,
            scored=76,
            difference=0.03,
            difference_low=-0.02,
            difference_high=0.09,
            compared=10,
        ),
    ],
    4_100,
    "USD",
)


def test_the_arms_read_cheapest_first_with_the_frontier_marked() -> None:
    shown = to_text(sweep_sheet(TITLE, RESULT), 100)
    assert shown + "\n" == golden("sweep/table.txt", shown + "\n")


def test_csv_and_json_hold_every_field_of_every_arm() -> None:
    lines = sweep_csv(RESULT).splitlines()
    assert lines[0].split(",") == [*SweepRow.__dataclass_fields__]
    assert len(lines) == 5
    told = json.loads(to_json(RESULT))
    assert told["frontier"] == ["single", "low"]
    assert (told["alone_tokens"], told["new_tokens"]) == (6_000, 4_100)
    assert [arm["name"] for arm in told["arms"]] == ["low", "single", "sc-99", "verbatim"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> SweepConfig:
    folder = tmp_path_factory.mktemp("sweep")
    prices = folder / "prices.csv"
    prices.write_text(
        "model,prompt_per_million,completion_per_million\nscripted?words=20&truncate=0.1,1,4\n"
    )
    run = {
        "engine": "scripted",
        "model": "scripted?words=20&truncate=0.1",
        "problems": str(write_problems(folder / "problems.jsonl", 8)),
        "store": str(folder / "store"),
        "replicates": 2,
        "run_id": "mine",
    }
    return SweepConfig.model_validate({"run": {**run, "prices": str(prices)}, "arms": ARMS})


@pytest.fixture(scope="module")
def swept(config: SweepConfig, prefect_api: str) -> SweepOutcome:
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        state = sweep(config, return_state=True)
    assert state.name == "Completed", state.message
    found = state.result()
    assert isinstance(found, SweepOutcome)
    return found


def test_every_arm_has_its_accuracy_and_its_cost(swept: SweepOutcome, config: SweepConfig) -> None:
    rows = {one.name: one for one in swept.result.arms}
    assert list(rows) == [
        "single", "sc-3", "bon-3", "low", "sequential-3", "verbatim", "low-pool-8",
    ]  # fmt: skip
    with Warehouse(open_store(config.run.store), numbers=[3]) as warehouse:
        scores = dict(warehouse.query("SELECT run_id, accuracy FROM mart_accuracy").rows)
        ((voted,),) = warehouse.query(
            "SELECT maj_at_k FROM mart_majority "
            "WHERE run_id = 'mine.pool' AND pool = 'first_round' AND k = 3"
        ).rows
        ((best,),) = warehouse.query(
            "SELECT best_of_n FROM mart_best_of_n WHERE run_id = 'mine.pool' AND n = 3"
        ).rows
    assert rows["bon-3"].accuracy == pytest.approx(best)
    for name in ("low", "sequential-3", "verbatim", "low-pool-8"):
        assert rows[name].accuracy == pytest.approx(scores[f"mine.{name}"])
    assert rows["single"].accuracy == pytest.approx(scores["mine.pool"])
    assert rows["sc-3"].accuracy == pytest.approx(voted)
    single, three = rows["single"].effective_tokens, rows["sc-3"].effective_tokens
    assert single is not None
    assert three == pytest.approx(3 * single)
    for one in rows.values():
        assert one.accuracy is not None
        assert one.money is not None
        assert one.low is not None
        assert one.high is not None
        assert one.low <= one.accuracy <= one.high
        assert one.scored == one.planned
        if one.name == "single":
            assert one.difference is None
            continue
        assert rows["single"].accuracy is not None
        assert one.difference is not None and one.difference_low is not None
        assert one.difference == pytest.approx(one.accuracy - rows["single"].accuracy)
        assert one.difference_high is not None
        assert -1 <= one.difference_low <= one.difference <= one.difference_high <= 1
        assert one.compared == 8
    assert swept.result.currency == "USD"


def test_each_arm_that_is_a_run_is_compared_with_the_vote_that_costs_as_much(
    swept: SweepOutcome, config: SweepConfig
) -> None:
    found = {one.arm: one for one in swept.result.equal_cost}
    assert list(found) == ["low", "sequential-3", "verbatim", "low-pool-8"]
    member = {one.name: one for one in swept.result.arms}["single"].effective_tokens
    assert member is not None
    for one in found.values():
        assert one.count == max(1, round(one.tokens / member))
        assert one.vote_tokens == pytest.approx(one.count * member)
        assert abs(one.vote_tokens - one.tokens) <= member / 2
    low = found["low"]
    with Warehouse(open_store(config.run.store), numbers=[low.count]) as warehouse:
        ((voted,),) = warehouse.query(
            "SELECT maj_at_k FROM mart_majority WHERE run_id = 'mine.pool' "
            f"AND pool = 'first_round' AND k = {low.count}"
        ).rows
        ((score,),) = warehouse.query(
            "SELECT accuracy FROM mart_accuracy WHERE run_id = 'mine.low'"
        ).rows
    assert low.pair is not None
    assert low.pair.first == pytest.approx(voted)
    assert low.pair.second == pytest.approx(score)
    shown = to_text(sweep_sheet(TITLE, swept.result), 100)
    assert f"sc:{low.count}" in shown.partition("at equal tokens")[2]


def test_a_vote_that_the_pool_is_too_small_for_is_named_with_the_arm_that_makes_it() -> None:
    short = replace(RESULT, equal_cost=[EqualCost("low", 6, 1200.0, 1200.0, None)])
    shown = to_text(sweep_sheet(TITLE, short), 100)
    assert "low: the pool has fewer than 6 samples; --arm sc:6 makes them" in shown


def test_nothing_is_generated_twice(swept: SweepOutcome, config: SweepConfig) -> None:
    with Warehouse(open_store(config.run.store)) as warehouse:
        ((distinct, rows, tokens),) = warehouse.query(
            "SELECT count(DISTINCT trajectory_id), count(*), "
            "(SELECT sum(tokens) FROM (SELECT any_value(completion_tokens) AS tokens "
            "FROM trajectories GROUP BY trajectory_id)) FROM trajectories"
        ).rows
    assert journal_size(config.run.store) == distinct < rows
    assert swept.result.new_tokens == tokens
    assert swept.result.new_tokens < swept.result.alone_tokens


def test_its_files_are_what_they_say(swept: SweepOutcome) -> None:
    picture, pixels, csv, told, scores, table = (Path(file) for file in swept.files)
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert pixels.read_bytes().startswith(b"\x89PNG")
    assert csv.read_text() == sweep_csv(swept.result)
    assert json.loads(told.read_text())["sweep"] == "mine"
    assert set(json.loads(scores.read_text())) == {row.name for row in swept.result.arms}
    assert table.read_text().startswith("run mine.pool · scripted?words=20")


@pytest.mark.parametrize("form", ["markdown", "html", "latex"])
def test_its_page_has_every_arm_and_file_in_every_markup(swept: SweepOutcome, form: str) -> None:
    page = MARKUP[form](sweep_sheet(swept.title, swept.result, swept.files))
    plain = re.sub(r"[\\{}]", "", page)
    assert [file for file in swept.files if Path(file).name not in plain] == []
    assert [arm.name for arm in swept.result.arms if arm.name not in plain] == []


def test_the_same_sweep_again_pays_for_nothing_and_finds_the_same(
    swept: SweepOutcome, config: SweepConfig, pacore: Pacore, prefect_api: str
) -> None:
    paid = journal_size(config.run.store)
    flags = [
        "--problems", config.run.problems, "--engine", "scripted", "--model", config.run.model,
        "--store", config.run.store, "--replicates", "2", "--run-id", "mine",
        "--prices", str(config.run.prices), *(part for arm in ARMS for part in ("--arm", arm)),
    ]  # fmt: skip
    again = pacore("sweep", *flags, "--format", "json")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert told.pop("files") == list(swept.files)
    assert told == json.loads(to_json(swept.result))
    assert journal_size(config.run.store) == paid
    assert prefect_api


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--arm", "lowe"), "pacore: --arm 'lowe': 'lowe' (did you mean low?) is none of single"),
        (("--preset", "low"), "preset: is set by an arm"),
        (("--arm", "low+subset=0"), "pacore: --arm 'low+subset=0': subset: "),
    ],
)
def test_what_cannot_be_swept_is_refused_in_a_line(
    tmp_path: Path, command: Pacore, flags: tuple[str, ...], says: str
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    store = tmp_path / "store"
    done = command(
        "sweep", "--problems", str(problems), "--engine", "scripted", "--store", str(store), *flags
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not store.exists()


def test_the_runs_of_a_sweep_and_its_own_votes_share_a_budget_and_a_larger_one_goes_on(
    tmp_path: Path, prefect_api: str, command: Pacore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    problems = write_problems(tmp_path / "problems.jsonl", 8)
    words, slots = 20, 2

    def swept(store: str, *budget: str) -> tuple[int, str, str]:
        arms = [f"--arm={arm}" for arm in ("low", "bon:3")]
        done = command(
            "sweep", "--problems", str(problems), "--engine", "scripted", "--store", store,
            "--model", f"scripted?words={words}", "--run-id", "mine", "--concurrency", str(slots),
            *arms, *budget,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    undisturbed, store = str(tmp_path / "undisturbed"), str(tmp_path / "store")
    code, shown, said = swept(undisturbed)
    assert code == 0, said
    whole = journal_tokens(undisturbed)
    (judge,) = (name for name in whole if ".judge-" in name)
    assert len(whole) == 3
    in_flight = slots * 3 * words

    for limit in (
        whole["mine.pool"] // 2,
        whole["mine.pool"] + whole["mine.low"] // 2,
        sum(whole.values()) - whole[judge] // 2,
    ):
        code, _, said = swept(store, f"--max-tokens-total={limit}", "--partial")
        assert code == 5, said
        assert f"of the sweep's max_tokens_total {limit:,}" in said
        total = sum(journal_tokens(store).values())
        assert limit - in_flight < total <= limit + in_flight
    with Warehouse(open_store(store)) as warehouse:
        states = list(warehouse.query(f"SELECT status FROM runs WHERE run_id = '{judge}'").rows)
    assert states == [("incomplete: budget",)]
    code, again, said = swept(store, f"--max-tokens-total={10**6}")
    assert code == 0, said
    assert journal_tokens(store) == whole
    assert journal_size(store) == journal_size(undisturbed), "nothing twice"
    # The paths of its files are broken where lines end.
    assert "".join(again.split()).replace(store, undisturbed) == "".join(shown.split())
    code, _, said = swept(store, "--max-tokens-total=1")
    assert code == 0, "nothing is needed to end"
