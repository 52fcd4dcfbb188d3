"""Parallel Coordinated Reasoning (PaCoRe, arXiv 2601.05593) as a resumable batch pipeline.

    import pacore

    config = pacore.RunConfig(problems="my.jsonl", model="NAME", endpoints=["http://127.0.0.1:8000/v1"])
    pacore.plan(config).forecast       # what it would generate
    run = pacore.run(config)           # without Prefect; with it: from flows.infer import infer
    pacore.evaluate(pacore.EvaluateConfig(runs=[run.run_id]))[run.run_id].totals
    with pacore.Warehouse(pacore.open_store(config.store), [run.run_id]) as warehouse:
        warehouse.query("SELECT * FROM mart_rounds").rows

Every name is imported when it is first used, so that importing the package itself takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pacore.core.config.evaluate import EvaluateConfig
    from pacore.core.config.run import RunConfig
    from pacore.core.config.sweep import SweepConfig
    from pacore.errors import (
        BadInput,
        ChecksFailed,
        EngineUnavailable,
        PacoreError,
        Refused,
        StoreError,
    )
    from pacore.evaluation.measures import Measures, evaluate, measure
    from pacore.problems.survey import survey_problems
    from pacore.runs.loop import run
    from pacore.runs.planning.preview import plan
    from pacore.store.backends.opening import open_store
    from pacore.store.run import Run, list_runs, open_run
    from pacore.warehouse.views import Warehouse

__version__ = "0.1.0"

_MODULES = {
    "BadInput": "errors",
    "ChecksFailed": "errors",
    "EngineUnavailable": "errors",
    "EvaluateConfig": "core.config.evaluate",
    "Measures": "evaluation.measures",
    "PacoreError": "errors",
    "Refused": "errors",
    "Run": "store.run",
    "RunConfig": "core.config.run",
    "StoreError": "errors",
    "SweepConfig": "core.config.sweep",
    "Warehouse": "warehouse.views",
    "evaluate": "evaluation.measures",
    "list_runs": "store.run",
    "measure": "evaluation.measures",
    "open_run": "store.run",
    "open_store": "store.backends.opening",
    "plan": "runs.planning.preview",
    "run": "runs.loop",
    "survey_problems": "problems.survey",
}

__all__ = [
    "BadInput",
    "ChecksFailed",
    "EngineUnavailable",
    "EvaluateConfig",
    "Measures",
    "PacoreError",
    "Refused",
    "Run",
    "RunConfig",
    "StoreError",
    "SweepConfig",
    "Warehouse",
    "evaluate",
    "list_runs",
    "measure",
    "open_run",
    "open_store",
    "plan",
    "run",
    "survey_problems",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
