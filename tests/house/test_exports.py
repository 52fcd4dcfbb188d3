"""The public names: exact, each the object its module defines, and enough for a notebook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pacore
from tests.conftest import ROOT
from tests.fixtures.pipeline import tables, write_problems

PUBLIC = {
    "BadInput", "ChecksFailed", "EngineUnavailable", "EvaluateConfig", "Measures", "PacoreError", "Refused",
    "Run", "RunConfig", "StoreError", "SweepConfig", "Warehouse", "evaluate", "list_runs", "measure",
    "open_run", "open_store", "plan", "run", "survey_problems",
}  # fmt: skip


def test_the_public_names_are_exact_and_each_can_be_imported() -> None:
    assert set(pacore.__all__) == PUBLIC
    for name in pacore.__all__:
        assert getattr(pacore, name).__module__.startswith("pacore.")
    assert not hasattr(pacore, "nonsense")


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    code = "import sys, pacore; print([m for m in sys.modules if m.startswith('pacore.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_notebook_plans_runs_evaluates_and_queries_without_prefect(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 5)
    config = pacore.RunConfig.model_validate(
        {
            "problems": str(problems), "engine": "scripted", "store": str(tmp_path / "store"),
            "widths": (2,), "shard_size": 2, "run_id": "mine",
        }
    )  # fmt: skip
    assert [one.trajectories for one in pacore.plan(config).forecast.rounds] == [10, 5]
    seen: list[int] = []
    run = pacore.run(config, lambda progress: seen.append(progress.planned))
    assert (run.run_id, seen) == ("mine", [15] * 3)
    before = tables(config.store, "mine")
    assert pacore.run(config).run_id == "mine" and tables(config.store, "mine") == before
    measured = pacore.evaluate(pacore.EvaluateConfig(runs=("mine",), store=config.store))
    assert measured["mine"].totals.scored == 5
    with pacore.Warehouse(pacore.open_store(config.store), ["mine"]) as warehouse:
        rows = warehouse.query("SELECT count(*) FROM trajectories").rows
        assert list(rows) == [(15,)]


@pytest.mark.parametrize(
    ("modules", "unneeded"),
    [
        ("pacore.cli.main", ("pydantic", "pyarrow", "duckdb", "rich", "prefect")),
        ("pacore.cli.read", ("pydantic", "pyarrow", "duckdb", "rich", "prefect")),
        (
            "pacore.report.status",
            ("duckdb", "aiohttp", "prefect", "scipy", "pacore.core.grading.choose"),
        ),
        ("pacore.cli.run", ("prefect", "scipy", "matplotlib", "sympy")),
        ("pacore.cli.run, flows.infer", ("scipy", "matplotlib", "sympy")),
    ],
)
def test_what_starts_often_loads_nothing_that_it_seldom_needs(
    modules: str, unneeded: tuple[str, ...]
) -> None:
    code = f"import sys, {modules}; print(*sys.modules)"
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert modules.split(", ", maxsplit=1)[0] in loaded
    assert not loaded & set(unneeded)
