"""Parallel Coordinated Reasoning (PaCoRe, arXiv 2601.05593) as a resumable batch pipeline.

    import pacore

    config = pacore.RunConfig(problems="my.jsonl", model="NAME", endpoints=["http://127.0.0.1:8000/v1"])
    pacore.plan(config)                       # what it would generate and reuse
    run = pacore.run(config)                  # without Prefect; run(config, prefect=True) as a flow run
    pacore.evaluate(run.run_id).figure()      # graded, checked, measured; pass@k and maj@k over k
    pacore.compare("baseline", run.run_id)    # paired: difference, interval, tests
    pacore.message_values(run.run_id, 2)      # what each message was worth to round 2
    pacore.checkpoints([run.run_id])          # checkpoints, by what they make of messages
    pacore.replay(run.run_id)                 # what rules that stop early would save
    store = pacore.open_store("./store")
    store.query("SELECT * FROM mart_rounds").to_polars()

What these give is a `Report`: ``data`` are its records, ``print`` shows it as a terminal does, and a
notebook as a page. Every name is imported when it is first used, so that importing the package itself
takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pacore.api.checkpoints import checkpoints, cross
    from pacore.api.evaluation import (
        compare,
        evaluate,
        fit_scorer,
        mechanism,
        message_values,
        planned_values,
        replay,
        replay_check,
        sweep,
    )
    from pacore.api.plan import plan
    from pacore.api.report import Report
    from pacore.api.results import RunReport
    from pacore.api.runs import resume, run
    from pacore.api.store import QueryTable, Store, open_store
    from pacore.core.config.evaluate import EvaluateConfig
    from pacore.core.config.run import RunConfig
    from pacore.core.config.sweep import SweepConfig
    from pacore.errors import (
        BadInput,
        ChecksFailed,
        EngineUnavailable,
        Interrupted,
        PacoreError,
        Refused,
        StoreError,
    )
    from pacore.evaluation.measures import Measures
    from pacore.problems.survey import survey_problems
    from pacore.warehouse.views import Warehouse

__version__ = "0.1.0"

_MODULES = {
    "BadInput": "errors",
    "ChecksFailed": "errors",
    "EngineUnavailable": "errors",
    "EvaluateConfig": "core.config.evaluate",
    "Interrupted": "errors",
    "Measures": "evaluation.measures",
    "PacoreError": "errors",
    "QueryTable": "api.store",
    "Refused": "errors",
    "Report": "api.report",
    "RunConfig": "core.config.run",
    "RunReport": "api.results",
    "Store": "api.store",
    "StoreError": "errors",
    "SweepConfig": "core.config.sweep",
    "Warehouse": "warehouse.views",
    "checkpoints": "api.checkpoints",
    "compare": "api.evaluation",
    "cross": "api.checkpoints",
    "evaluate": "api.evaluation",
    "fit_scorer": "api.evaluation",
    "mechanism": "api.evaluation",
    "message_values": "api.evaluation",
    "open_store": "api.store",
    "plan": "api.plan",
    "planned_values": "api.evaluation",
    "replay": "api.evaluation",
    "replay_check": "api.evaluation",
    "resume": "api.runs",
    "run": "api.runs",
    "survey_problems": "problems.survey",
    "sweep": "api.evaluation",
}

__all__ = [
    "BadInput",
    "ChecksFailed",
    "EngineUnavailable",
    "EvaluateConfig",
    "Interrupted",
    "Measures",
    "PacoreError",
    "QueryTable",
    "Refused",
    "Report",
    "RunConfig",
    "RunReport",
    "Store",
    "StoreError",
    "SweepConfig",
    "Warehouse",
    "checkpoints",
    "compare",
    "cross",
    "evaluate",
    "fit_scorer",
    "mechanism",
    "message_values",
    "open_store",
    "plan",
    "planned_values",
    "replay",
    "replay_check",
    "resume",
    "run",
    "survey_problems",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
