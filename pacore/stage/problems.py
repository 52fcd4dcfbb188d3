"""The stage `problems`: read and freeze the problem set, open the run, find its unfinished shards."""

from __future__ import annotations

from pacore.commits import committed_units, find_commit
from pacore.config import RunConfig
from pacore.engine.factory import resolve_recipe
from pacore.layout import Unit
from pacore.problem_files import read_problem_set
from pacore.run import Run, is_closed, start_run
from pacore.stage.context import OpenShard
from pacore.store import Backend, open_store


def begin(config: RunConfig) -> Run:
    """Open or start the run of a configuration. Raises BadInput and Refused, nothing written."""
    problems = read_problem_set(config.problems, config.limit)
    recipe = resolve_recipe(config)
    return start_run(open_store(config.store), config, recipe, problems)


def open_shards(store: Backend, run: Run) -> list[OpenShard]:
    """The shards with work left, and the revision to publish it under.

    A shard is done when its scores are committed and no tombstone of it would be tried again;
    otherwise it goes on where it stopped, or opens under its next revision.
    """
    if is_closed(store, run.run_id):
        return []
    revisions: dict[str, int] = {}
    finished: dict[str, int] = {}
    for unit in committed_units(store, run.run_id):
        revisions[unit.shard] = max(unit.revision, revisions.get(unit.shard, 0))
        if unit.table == "scores":
            finished[unit.shard] = max(unit.revision, finished.get(unit.shard, 0))
    found = []
    for shard in run.shards:
        revision = revisions.get(shard.name, 0)
        if finished.get(shard.name) != revision:
            found.append(OpenShard(shard.number, revision))
        elif _retryable(store, run, shard.name, revision):
            found.append(OpenShard(shard.number, revision + 1))
    return found


def _retryable(store: Backend, run: Run, shard: str, revision: int) -> bool:
    answers = find_commit(store, Unit(run.run_id, "answers", run.plan.rounds, shard, revision))
    return answers is not None and answers.counts["retryable"] > 0
