"""What of an earlier run a plan can use, and why it cannot use the rest.

Read-only. The journal alone decides what is reused; what stands here explains it: which earlier run
comes nearest, which fields of its identity differ, and what each difference makes stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass

from pacore.changes import Differing, Planned, explained
from pacore.core.config.run import differences
from pacore.core.plan import Shard
from pacore.core.problem import Problem
from pacore.core.prompt import prompt_digest
from pacore.core.trajectory import UNFINISHED
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import committed_units, read_commits, standing_units
from pacore.store.parquet import read_rows
from pacore.store.run import Run, list_runs, open_runs, problems_of


@dataclass(frozen=True)
class Earlier:
    """The earlier run nearest to a plan.

    ``stored`` counts its finished trajectories and ``stale`` those of them that the plan has no use
    for, both by 1-based round. ``changes`` says why, a line each; none means it is the same run.
    """

    run_id: str
    problems: int
    shared: int
    stored: dict[int, int]
    stale: dict[int, int]
    changes: list[str]


@dataclass(frozen=True)
class _Near:
    """A run beside a plan: their differences and common problems."""

    run: Run
    theirs: dict[str, Problem]
    changes: list[str]
    shared: int

    @property
    def distance(self) -> tuple[int, int, int]:
        """Smaller is nearer: fields that make everything stale, problems not shared, other fields."""
        fatal = sum(change.startswith(("recipe.", "template")) for change in self.changes)
        return fatal, -self.shared, len(self.changes)


def nearest(store: Backend, planned: Planned, used: Set[str]) -> Earlier | None:
    """The run that shares problems with a plan and differs from it least; the newest of several.

    ``used`` has the ids of the stored trajectories that the plan does use. Imported runs, whose
    trajectories nobody can ask for, are passed over.
    """
    asked = {prompt_digest(problem.turns) for problem in planned.problems}
    asked_ids = {problem.problem_id for problem in planned.problems}
    sets: dict[str, dict[str, Problem]] = {}
    near: list[_Near] = []
    runs = [run for run in open_runs(store, list_runs(store)) if _is_generated(run)]
    for run in sorted(runs, key=lambda run: run.created_at, reverse=True):
        if run.problem_set not in sets:
            sets[run.problem_set] = _problems(store, run)
        theirs = sets[run.problem_set]
        shared = sum(prompt_digest(problem.turns) in asked for problem in theirs.values())
        if shared or asked_ids & theirs.keys():
            changes = differences(run.identity, planned.identity)
            near.append(_Near(run, theirs, changes, shared))
    if not near:
        return None
    found = min(near, key=lambda one: one.distance)
    stored, stale = _counts(store, found.run, used)
    beside = Differing(found.run, found.theirs, found.changes, stored)
    changes = list(explained(beside, planned))
    return Earlier(found.run.run_id, len(found.theirs), found.shared, stored, stale, changes)


def _is_generated(run: Run) -> bool:
    return "imported" not in run.identity["recipe"]


def _problems(store: Backend, run: Run) -> dict[str, Problem]:
    whole = Shard(0, 0, run.problems)
    return {problem.problem_id: problem for problem in problems_of(store, run, whole)}


def _counts(store: Backend, run: Run, used: Set[str]) -> tuple[dict[int, int], dict[int, int]]:
    """Finished trajectories of a run by round: all, and those that are not ``used``."""
    stored: Counter[int] = Counter()
    stale: Counter[int] = Counter()
    units = standing_units(committed_units(store, run.run_id))
    chosen = [unit for unit in units if unit.table == "trajectories"]
    for commit in read_commits(store, chosen):
        try:
            file = store.open(commit.path)
        except KeyError:
            raise StoreError(f"{commit.path}: is missing from the store") from None
        with file:
            for row in read_rows(file, ["trajectory_id", "finish_reason"]):
                is_finished = row["finish_reason"] not in UNFINISHED
                stored[commit.unit.round] += is_finished
                stale[commit.unit.round] += is_finished and row["trajectory_id"] not in used
    return dict(stored), dict(stale)
