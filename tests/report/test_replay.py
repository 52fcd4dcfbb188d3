"""`pacore replay` as people read it, and over the pool of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pacore.core.stopping import parse_stopping
from pacore.evaluation.replay.forecast import ReplaySettings, forecast
from pacore.evaluation.replay.pools import Pooled, Pools, PromptTokens, run_pools
from pacore.report.rendering.plots import image
from pacore.report.rendering.terminal import to_text
from pacore.report.replay.page import replay_figure, replay_sheet
from pacore.store.run import open_run
from pacore.warehouse.prices import Price
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.golden_files import golden
from tests.fixtures.graded import graded_store
from tests.fixtures.replayed import drawn, pool
from tests.fixtures.small_store import small_store

RULES = [
    parse_stopping(text)
    for text in ("votes:0.9", "votes:0.9,batch:4", "lead:0.8,batch:8,ready:0.75,abort_late")
]


def two_models() -> Pools:
    pooled = [
        Pooled(
            model,
            f"p/{number}",
            pool(drawn(f"{model} {number}", right, (0.3, 0.1))),
            PromptTokens(100 * (number + 1), 50),
        )
        for model, right in (("small", 0.5), ("large", 0.9))
        for number in range(8)
    ]
    return Pools("pools.parquet", pooled, 16, {"small": 0.01, "large": 0.02})


def test_a_replay_fits_a_terminal_of_80_columns() -> None:
    prices = {
        "small": Price("small", "USD", 1.0, 0.5, 2.0),
        "large": Price("large", "USD", 2.0, 1.0, 6.0),
    }
    found = forecast(two_models(), RULES, ReplaySettings(orders=20), prices)
    text = to_text(replay_sheet(found), 80) + "\n"
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert text == golden("replay/two-models.txt", text)


def test_the_figure_has_every_policy() -> None:
    found = forecast(two_models(), RULES, ReplaySettings(orders=5))
    picture = image(replay_figure(found))
    ElementTree.fromstring(picture)
    assert all(rule.text.encode() in picture for rule in RULES)


def test_the_pool_of_a_run_is_its_graded_first_round(tmp_path: Path) -> None:
    store = graded_store(tmp_path / "store")
    with Warehouse(store) as warehouse:
        pools = run_pools(warehouse, open_run(store, "demo"))
        rows = warehouse.query(
            "SELECT problem_id, count(DISTINCT member) FROM pools WHERE pool = 'first_round' "
            "AND score IS NOT NULL GROUP BY ALL ORDER BY ALL"
        ).rows
        assert [(one.problem, len(one.pool.tokens)) for one in pools.pooled] == list(rows)
    assert pools.width == 3
    assert pools.seconds_a_token["scripted"] > 0
    assert all(one.prompt is not None and one.prompt.tokens > 0 for one in pools.pooled)


def test_without_gold_answers_a_page_says_what_is_unobserved() -> None:
    hidden = [replace(one, pool=replace(one.pool, scores=None)) for one in two_models().pooled]
    pools = replace(two_models(), pooled=hidden, unobserved="no column has the gold")
    found = forecast(pools, RULES, ReplaySettings(orders=20))
    text = to_text(replay_sheet(found), 80) + "\n"
    assert max(map(len, text.splitlines())) <= 80
    assert text == golden("replay/without-gold.txt", text)
    assert b"agreement" in image(replay_figure(found))


def test_the_votes_of_a_run_that_is_not_graded_are_those_of_its_grading(tmp_path: Path) -> None:
    votes = []
    for store in (small_store(tmp_path / "bare"), graded_store(tmp_path / "graded")):
        with Warehouse(store) as warehouse:
            pools = run_pools(warehouse, open_run(store, "demo"))
        is_graded = pools.unobserved is None
        assert all((one.pool.scores is not None) == is_graded for one in pools.pooled)
        votes.append({one.problem: (one.pool.keys, one.pool.tokens) for one in pools.pooled})
    assert votes[0] == votes[1]


def test_a_run_that_is_not_graded_is_replayed_and_says_how_to_grade_it(
    tmp_path: Path, command: Pacore
) -> None:
    small_store(tmp_path / "store")
    place = ("--width", "2", "--store", str(tmp_path / "store"))
    shown = command("replay", "demo", "--policy", "arrivals:1", *place)
    assert shown.returncode == 0, shown.stderr
    assert "unobserved: accuracy, coverage, and whether a policy is a gain" in shown.stdout
    assert "pacore evaluate demo" in " ".join(shown.stdout.split())
    refused = command("replay", "demo", "--policy", "depth:0.9", *place)
    assert refused.returncode == 2
    assert "depth:0.9: is about rounds after the first" in refused.stderr


def test_a_replay_of_a_run_is_a_command(tmp_path: Path, command: Pacore) -> None:
    graded_store(tmp_path / "store")
    place = ("--store", str(tmp_path / "store"))
    shown = command("replay", "demo", "--policy", "arrivals:2", "--width", "2", *place)
    assert shown.returncode == 0, shown.stderr
    assert "arrivals:2" in shown.stdout
    told = command("replay", "demo", "--width", "2", "--format", "json", *place)
    policies = json.loads(told.stdout)["policies"]
    assert policies[0]["policy"] == "wait for all"
    assert len({one["policy"] for one in policies}) == len(policies)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("demo", "--policy", "votes:2"), "policy 'votes:2': votes: 2 is no probability above 0.5"),
        (("demo", "--width", "99"), "demo: no problem has 99 trajectories; the most is"),
        (("other",), "no run 'other'"),
        (("demo", "--check", "demo"), "run demo: was made under no stopping rule"),
        (("demo", "--check", "demo", "--width", "2"), "--check takes policy and width of the run"),
        (("none.parquet",), "none.parquet: no such file"),
    ],
)
def test_what_cannot_be_replayed_is_refused_in_one_line(
    tmp_path: Path, command: Pacore, arguments: tuple[str, ...], said: str
) -> None:
    graded_store(tmp_path / "store")
    done = command("replay", *arguments, "--store", str(tmp_path / "store"))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
