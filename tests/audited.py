"""What the tests of audits share: a finished run with faults, and what an audit finds in a store."""

from __future__ import annotations

import shutil
from pathlib import Path

from pacore.audit.audit import Audit
from pacore.audit.finding import Finding
from pacore.core.config.run import RunConfig
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.run import is_closed
from tests.pipeline import run_stages, scripted_config, write_problems

RUN = "night"
FAULTY = "scripted?words=12&truncate=0.2&empty=0.1&fault=0.1"


def finish(config: RunConfig) -> Backend:
    """Start a run again and again until it has nothing left to do."""
    store = open_store(config.store)
    for _ in range(20):
        run = run_stages(config)
        if is_closed(store, run.run_id):
            return store
    raise AssertionError("the run never closed")


def audited(store: Backend, run_id: str = RUN) -> list[Finding]:
    return list(Audit(store, run_id).findings())


def errors(store: Backend, run_id: str = RUN) -> list[Finding]:
    return [finding for finding in audited(store, run_id) if finding.severity == "error"]


def finished_night(folder: Path) -> Path:
    """A run with faults, replicates and three rounds, in two shards, started until it was closed."""
    problems = write_problems(folder / "problems.jsonl", 6)
    config = scripted_config(
        folder / "store", problems, model=FAULTY, widths=(4, 2), replicates=2, shard_size=3,
        run_id=RUN, attempts=4,
    )  # fmt: skip
    finish(config)
    return folder / "store"


def copy_of(folder: Path, to: Path) -> Backend:
    """A store to be damaged."""
    shutil.copytree(folder, to)
    return open_store(str(to))
