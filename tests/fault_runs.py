"""Runs against an endpoint that fails by seed: their configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.fault_endpoint import MODEL
from pacore.core.config.run import RunConfig

SCRIPT = "scripted?words=12&latency_ms=2&truncate=0.05"
WIDTH = 4


def config_for(folder: Path, url: str, **fields: Any) -> RunConfig:
    given: dict[str, Any] = {
        "model": MODEL,
        "endpoints": (url,),
        "widths": (WIDTH,),
        "run_id": "faults",
        "timeout_seconds": 4.0,
        "retries": 2,
        "retry_wait_seconds": 0.05,
        "retry_wait_max_seconds": 1.0,
        "concurrency": 32,
        "shard_size": 20,
    }
    paths = {"problems": str(folder / "problems.jsonl"), "store": str(folder / "store")}
    return RunConfig.model_validate(paths | given | fields)
