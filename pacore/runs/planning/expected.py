"""How long trajectories are expected to be, so that the longest problems begin first.

Known from what the store has of the same problems, by the same model or else by another, and corrected by
what a run sees itself. It decides nothing but the order of work.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pacore.core.plan import Shard
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_files
from pacore.store.run import (
    Run,
    is_closed,
    is_of_votes,
    list_runs,
    open_run,
    open_runs,
    problems_of,
)

MOST_RUNS = 200
"""Runs whose records are looked at: those with the last names."""

MOST_ROWS = 50_000
"""Trajectories that are read: more would tell hardly more of each problem."""

UNREADABLE = (StoreError, KeyError, OSError, ValueError)
"""What reading files of another run raises that are missing or damaged, as Arrow does for the latter. The
audit reports them; they keep no run from being planned.
"""

STORED_WEIGHT = 4
"""As how many trajectories of a run itself the stored mean of a problem counts."""


class Expected:
    """Expected tokens of a trajectory of each problem. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stored: dict[str, float] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._began: dict[str, float] = {}
        self._count = self._tokens = 0
        self._timed_tokens, self._seconds = 0, 0.0

    def learn(self, stored: Mapping[str, float]) -> None:
        """Take the stored means of problems, by id."""
        with self._lock:
            self._stored = dict(stored)

    def is_known(self, problem_id: str) -> bool:
        """Whether anything is known of a problem itself."""
        with self._lock:
            return problem_id in self._stored or problem_id in self._seen

    def begin(self, problem_id: str) -> None:
        """Note that a trajectory of a problem begins now."""
        with self._lock:
            self._began.setdefault(problem_id, self._clock())

    def see(self, problem_id: str, tokens: int | None, seconds: float | None = None) -> None:
        """Take the length of a trajectory of this run, and how long it took."""
        if not tokens:
            return
        with self._lock:
            if seconds:
                self._timed_tokens += tokens
                self._seconds += seconds
            count, total = self._seen.get(problem_id, (0, 0))
            self._seen[problem_id] = count + 1, total + tokens
            self._count += 1
            self._tokens += tokens

    def tokens(self, problem_id: str) -> float:
        """Expected tokens of a trajectory of a problem.

        Of one none of whose trajectories has come, what the first would have by now if it is as fast as
        others, or the mean of all, whichever is more; 0 where nothing is known at all.
        """
        with self._lock:
            count, total = self._seen.get(problem_id, (0, 0))
            stored = self._stored.get(problem_id)
            if stored is not None:
                return (stored * STORED_WEIGHT + total) / (STORED_WEIGHT + count)
            if count:
                return total / count
            if not self._count:
                return 0.0
            mean, began = self._tokens / self._count, self._began.get(problem_id)
            if began is None or not self._seconds:
                return mean
            return max(mean, (self._clock() - began) * self._timed_tokens / self._seconds)


def runs_over(store: Backend, identity: Mapping[str, Any]) -> list[Run]:
    """The runs of a store on the problem set of a run's identity, the last first. Raises StoreError."""
    found = open_runs(store, list_runs(store)[-MOST_RUNS:])
    same = [one for one in found if one.identity["problem_set"] == identity["problem_set"]]
    return sorted(same, key=lambda one: one.created_at, reverse=True)


def stored_tokens(store: Backend, run: Run) -> dict[str, float]:
    """Mean tokens of the stored trajectories of a run's problems in round 1, by problem id.

    They are of other runs on the same problem set, those of the same model if there are any, the last
    first; where there are none for a run of votes, by question of the last votes of the same judge. Raises
    StoreError for a run whose record cannot be read.
    """
    found = stored_tokens_of(store, run.problem_set, run.recipe.model, run.run_id)
    if found or not is_of_votes(run.run_id):
        return found
    # Questions about other answers are other problems.
    against = _judged_by(store, run).get("against")
    like = [votes for votes, _ in runs_of_votes(store, run.recipe.model, against)]
    return _means(store, sorted(like, key=lambda one: one.created_at, reverse=True))


def stored_tokens_of(
    store: Backend, problem_set: str, model: str, run_id: str | None
) -> dict[str, float]:
    """`stored_tokens` of a run that need not have begun, by the key of its problem set and its model."""
    names = [name for name in list_runs(store) if name != run_id][-MOST_RUNS:]
    same = [one for one in open_runs(store, names) if one.problem_set == problem_set]
    by_model = [one for one in same if one.recipe.model == model]
    return _means(store, by_model or same)


def _means(store: Backend, runs: Sequence[Run]) -> dict[str, float]:
    """Mean tokens of the trajectories of some runs in round 1, by problem id."""
    sums: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for problem_id, tokens in _lengths(store, runs):
        count, total = sums[problem_id]
        sums[problem_id] = count + 1, total + tokens
    return {problem_id: total / count for problem_id, (count, total) in sums.items()}


def _lengths(store: Backend, runs: Sequence[Run]) -> Iterator[tuple[str, int]]:
    """Problem id and tokens of trajectories of some runs, of at most `MOST_ROWS` rows."""
    from pacore.store.parquet import read_rows

    left = MOST_ROWS
    for run in runs:
        try:
            keys = current_files(store, run.run_id).get("trajectories", [])
            for key in (key for key in keys if "/round=1/" in key):
                with store.open(key) as file:
                    columns = ["problem_id", "completion_tokens", "finish_reason"]
                    for row in read_rows(file, columns):
                        left -= 1
                        # What was aborted says nothing of how long it would have been.
                        if row["completion_tokens"] and row["finish_reason"] != "aborted":
                            yield row["problem_id"], row["completion_tokens"]
                if left <= 0:
                    return
        except UNREADABLE:
            continue


def runs_of_votes(store: Backend, model: str, against: object) -> Iterator[tuple[Run, Run]]:
    """The complete runs of votes of a model, each with the run that it judged, as far as both are there."""
    names = list_runs(store)
    known, judges = set(names), [name for name in names if is_of_votes(name)]
    for run in open_runs(store, judges[-MOST_RUNS:]):
        if run.recipe.model != model or not is_closed(store, run.run_id):
            continue
        try:
            judged = _judged_by(store, run)
            name = str(judged.get("run_id"))
            about = open_run(store, name) if name in known else None
        except UNREADABLE:
            continue
        if about is not None and judged.get("against") == against:
            yield run, about


def _judged_by(store: Backend, run: Run) -> dict[str, object]:
    """What the questions of a run of votes are about, as they say it; empty of a run that is none."""
    first: Sequence[object] = [
        problem.metadata.get("judged") for problem in problems_of(store, run, Shard(0, 0, 1))
    ]
    return next((one for one in first if isinstance(one, dict)), {})
