"""The public names: exact, each the object its module defines, and enough for a notebook."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pacore
from tests.conftest import ROOT

PUBLIC = {
    "BadInput", "ChecksFailed", "EngineUnavailable", "EvaluateConfig", "Interrupted", "Measures",
    "PacoreError", "QueryTable", "Refused", "Report", "RunConfig", "RunReport", "Store", "StoreError",
    "SweepConfig", "Warehouse", "checkpoints", "compare", "cross", "evaluate", "fit_scorer", "mechanism",
    "message_values", "open_store", "plan", "planned_values", "replay", "replay_check", "resume", "run",
    "survey_problems", "sweep",
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


@pytest.mark.parametrize(
    ("modules", "unneeded"),
    [
        ("pacore.cli.main", ("pydantic", "pyarrow", "duckdb", "rich", "prefect")),
        ("pacore.cli.read", ("pydantic", "pyarrow", "duckdb", "rich", "prefect")),
        (
            "pacore.report.status",
            ("duckdb", "aiohttp", "prefect", "scipy", "pacore.core.grading.choose"),
        ),
        (
            "pacore.warehouse.catalog, pacore.report.rendering.catalog",
            ("pydantic", "pyarrow", "duckdb", "prefect"),
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
