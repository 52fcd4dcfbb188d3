"""Task on invariants: what of some runs must not be reported."""

from __future__ import annotations

from prefect import task

from pacore.core.config.evaluate import EvaluateConfig
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import CheckRow, Warehouse
from tasks.settings import SETTINGS


@task(name="checks", task_run_name="checks", **SETTINGS)
def checks(config: EvaluateConfig) -> dict[str, list[CheckRow]]:
    """Rows that break an invariant, by the invariant's name; the others are left out."""
    with Warehouse(open_store(config.store), config.runs) as warehouse:
        return {name: rows for name, rows in warehouse.run_checks().items() if rows}
