"""Planning a sweep and keeping what it found: the same work from the command line and from Prefect."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from pacore.core.config.sweep import PlannedSweep, SweepConfig
from pacore.evaluation.judging import Judging
from pacore.evaluation.sweep import SweepResult, sweep_result
from pacore.frontier import draw
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.layout import sweep_key
from pacore.sweep_report import sweep_csv, sweep_json, sweep_table
from pacore.warehouse.prices import read_prices
from pacore.warehouse.views import Warehouse


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep found, and the addresses of the files that say so: picture, CSV and JSON."""

    result: SweepResult
    files: tuple[str, ...]


def conclude_sweep(
    config: SweepConfig, planned: PlannedSweep, judging: Judging | None = None
) -> SweepOutcome:
    """Ask the marts of its runs, all graded, and keep table and picture below ``sweeps/``."""
    store = open_store(config.run.store)
    run_ids = [str(run.run_id) for run in planned.configs]
    judge = None if judging is None else judging.config
    if judge is not None:
        run_ids.append(str(judge.run_id))
    prices = read_prices(config.prices) if config.prices else ()
    counts = [arm.count for arm in planned.arms]
    with Warehouse(store, run_ids, prices, counts) as warehouse:
        result = sweep_result(warehouse, planned, judge)
    written = {
        "frontier.svg": draw(result.points, result.title),
        "frontier.png": draw(result.points, result.title, "png"),
        "arms.csv": sweep_csv(result).encode(),
        "arms.json": sweep_json(result).encode(),
        "arms.txt": sweep_table(result).encode() + b"\n",
    }
    files = [_keep(store, planned.sweep_id, name, data) for name, data in written.items()]
    return SweepOutcome(result, tuple(files))


def _keep(store: Backend, sweep_id: str, name: str, data: bytes) -> str:
    """Put one file of a sweep, in place of an earlier one; its address."""
    scratch = store.scratch() / f"sweep-{secrets.token_hex(8)}"
    scratch.write_bytes(data)
    try:
        key = sweep_key(sweep_id, name)
        store.put_file(key, scratch)
        return store.uri(key)
    finally:
        scratch.unlink(missing_ok=True)
