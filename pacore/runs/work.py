"""The work on a run in one process: what all its stages share, and what those of one shard share."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Self, TypeVar

from pacore.core.config.run import RunConfig
from pacore.core.engine import Engine, EngineInfo, Hint
from pacore.core.plan import Shard
from pacore.core.problem import Problem
from pacore.core.quorum import Retry
from pacore.core.trajectory import Generation, Request
from pacore.engine.capacity import FIRST_REQUESTS
from pacore.engine.opening import open_engine
from pacore.engine.watch import FirstFacts, WatchedEngine
from pacore.errors import PacoreError, StoreError
from pacore.home import state_path
from pacore.runs.ahead import Ahead
from pacore.runs.dispatch.budget import Budget
from pacore.runs.dispatch.dispatcher import Dispatcher
from pacore.runs.dispatch.in_work import RoundCounts, SetPlace
from pacore.runs.dispatch.order import WorkOrder
from pacore.runs.dispatch.places import Gate, Priority
from pacore.runs.dispatch.progress import Progress
from pacore.runs.dispatch.sampler import RetryPolicy
from pacore.runs.dispatch.writers import Filled, Follower
from pacore.runs.filling.decisions import Decisions
from pacore.runs.planning.budget import SharedBudget, budget_of
from pacore.runs.planning.together import RuleNeed, no_need_known
from pacore.runs.unpublished import unpublished
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import (
    Commit,
    current_commits,
    current_files,
    find_commit,
    text_ids,
)
from pacore.store.journal import Journal
from pacore.store.layout import Unit, commit_key
from pacore.store.lease import hold_run
from pacore.store.retries import read_retries
from pacore.store.run import Run, problems_of

_T = TypeVar("_T")

TABLE_THREADS = 2
"""Threads that read and write tables. Arrow and DuckDB keep memory for each thread that ever used
them, so the hundreds of threads that wait for shards must not."""

LOOK_AHEAD_SECONDS = 1.0

LOOK_AHEAD_SLOTS = 2_000


FEWEST_ACTIVE_SHARDS = 16


BACKLOG_PER_SLOT = 8

HISTORY_SECONDS = 2.0
"""How long the first requests wait for what the store knows of the lengths of their trajectories."""


@dataclass(frozen=True, slots=True)
class OpenShard:
    """A shard with work to do, and the revision that work is published under."""

    number: int
    revision: int


@dataclass(frozen=True, slots=True)
class StageReport:
    """What one stage made of one shard: a reference and counts, never rows."""

    table: str
    shard: str
    round: int
    path: str
    rows: int
    counts: dict[str, int]

    @staticmethod
    def of(commit: Commit) -> StageReport:
        """The report on what is committed, now or by an earlier start."""
        unit = commit.unit
        return StageReport(
            unit.table, unit.name, unit.round, commit.path, commit.rows, commit.counts
        )

    def __str__(self) -> str:
        counted = [f"{count:,} {name.replace('_', ' ')}" for name, count in self.counts.items()]
        of = f"{self.table} of shard {self.shard}, round {self.round}"
        return f"{of}: {', '.join([f'{self.rows:,} rows', *counted])}"


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """``attempts`` that a run spends on a trajectory, and the longest grading of one answer."""

    attempts: int
    grading_timeout_seconds: float


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How a run generates: what opens its engine, how many requests that takes at first, and how a
    request is tried again.

    ``open`` is given the progress that hears what the engine has to say.
    """

    open: Callable[[Progress], Engine]
    slots: int
    retry: RetryPolicy

    @staticmethod
    def of(config: RunConfig, budget: Budget | None = None) -> EngineSettings:
        """As a configuration has them, within a budget."""

        def opened(progress: Progress) -> Engine:
            return open_engine(config, state_path(), progress.say, progress.wait_for)

        retry = RetryPolicy(
            config.retries,
            config.retry_wait_seconds,
            config.retry_wait_max_seconds,
            config.early_stop,
            budget,
        )
        first = min(config.concurrency, FIRST_REQUESTS)
        return EngineSettings(opened, first * max(1, len(config.endpoints)), retry)


class Work:
    """A run opened for work in this process, by whoever begins it. A context manager; `close` ends it.

    ``left`` are the shards to work on. Without ``engine`` nothing is generated. ``producer`` is part of
    every commit. Opening it raises Refused when another process works on the run in a store that
    admits one alone.
    """

    def __init__(
        self,
        store: Backend,
        run: Run,
        limits: WorkLimits,
        engine: EngineSettings | None = None,
        left: Sequence[OpenShard] = (),
    ) -> None:
        self.store = store
        self.run = run
        self.limits = limits
        self.left = left
        self.budget = None if engine is None else engine.retry.budget
        self.journal = Journal(store)
        self.progress = Progress.of(run.run_id, run.plan, run.problems)
        if self.budget is not None:
            self.progress.spending = self.budget.spending
        self.producer: dict[str, object] = {}
        self._tables = ThreadPoolExecutor(TABLE_THREADS, thread_name_prefix="tables")
        self._active = Gate(self._active_shards(0 if engine is None else engine.slots))
        self._shards = run.shards
        self._order = WorkOrder(run)
        self._history: Future[None] | None = None
        self._texts: dict[str, set[str]] = {}
        self._texts_lock = threading.Lock()
        self._dispatcher: Dispatcher | None = None
        self.ahead: Ahead | None = None
        self._lease = hold_run(store, run.run_id, self.stop)
        if engine is not None:
            self._dispatcher = Dispatcher(
                lambda: self._watched(engine.open(self.progress)),
                self.journal,
                engine.retry,
                self._on_open,
                self.progress,
                lambda slots: self._active.widen(self._active_shards(slots)),
            )
            self.ahead = Ahead(
                run.plan, run.recipe, self.journal, self._send, self._count, self._order
            )  # fmt: skip
            self._history = self._tables.submit(self._order.learn, store)
        self.decisions = Decisions(self)
        if self.ahead is not None:
            self.ahead.decisions = self.decisions

    @staticmethod
    def of(
        config: RunConfig,
        run: Run,
        left: Sequence[OpenShard],
        shared_budgets: Sequence[SharedBudget] = (),
        rule_need: RuleNeed = no_need_known,
    ) -> Work:
        """The work that a configuration makes of its run, which others may share budgets with; what it
        needs under a stopping rule ``rule_need`` says. Raises as `budget_of` does.
        """
        limits = WorkLimits(config.attempts, config.grading_timeout_seconds)
        store = open_store(config.store)
        budget = budget_of(config, store, run, shared_budgets, rule_need) if left else None
        return Work(store, run, limits, EngineSettings.of(config, budget), left)

    def _active_shards(self, slots: int) -> int:
        """How many shards in memory keep so many slots busy, whatever round they are in."""
        least = self.run.shard_size * self.run.plan.replicates
        return max(FEWEST_ACTIVE_SHARDS, -(-BACKLOG_PER_SLOT * slots // least))

    def _watched(self, engine: Engine) -> Engine:
        return WatchedEngine(engine, FirstFacts(self.store, self.run.run_id), self.progress.say)

    def _on_open(self, info: EngineInfo) -> None:
        self.progress.engine = f"{info.name} {info.version or ''}".strip()

    def open_engine_ahead(self) -> None:
        """Begin to open the engine, for one that takes its time, if a request will need it.

        Returns at once. What goes wrong is raised for the first request.
        """
        if self._needs_engine():
            threading.Thread(target=self._open_ahead, name="engine", daemon=True).start()

    def _open_ahead(self) -> None:
        with suppress(PacoreError):
            self.engine.info()

    def open_engine(self) -> None:
        """Open the engine now if a request will need it. Raises EngineUnavailable."""
        if self._needs_engine():
            self.engine.info()

    def _needs_engine(self) -> bool:
        """Whether a trajectory is known to be in no journal, by a sample of them."""
        commits = current_commits(self.store, self.run.run_id)
        deadline = time.monotonic() + LOOK_AHEAD_SECONDS
        found = unpublished(self.store, self.run, commits, deadline, LOOK_AHEAD_SLOTS)
        return found.finished < found.slots

    @property
    def is_generating(self) -> bool:
        """Whether there is an engine for what the journal lacks."""
        return self._dispatcher is not None

    @property
    def engine(self) -> Dispatcher:
        """What has requests generated. Raises StoreError where there is no engine."""
        if self._dispatcher is None:
            raise StoreError(
                "its prompts were cut to the window of a model that is not started again"
            )
        return self._dispatcher

    def begin(
        self,
        place: SetPlace,
        requests: Sequence[Request],
        hint: Callable[[], Hint],
        looked_up: float,
        follower: Follower | None = None,
        on_filled: Callable[[Filled], None] | None = None,
    ) -> Future[list[Filled]]:
        """Begin to have generated what the journal lacked of a set at ``looked_up``: `Dispatcher.begin`.

        With ``on_filled``, which is called with each as it is settled, they may be aborted.
        Raises StoreError where there is no engine.
        """
        if self._dispatcher is None:
            raise StoreError(
                f"{len(requests):,} of its trajectories are not in the journal: their entries are "
                "lost, or their prompts did not fit the model's window"
            )
        ahead = self.ahead
        if ahead is not None and any(ahead.has_sent(one.trajectory_id) for one in requests):
            # What has come since is in the journal, and what has not is joined in flight.
            looked_up = -math.inf
        if on_filled is None:
            return self._send(place, requests, hint, self._note, looked_up, follower)

        def note(place: SetPlace, filled: Filled) -> None:
            self._note(place, filled)
            on_filled(filled)

        return self._send(place, requests, hint, note, looked_up, follower, may_be_aborted=True)

    def abort(self, begun: Sequence[Future[list[Filled]]]) -> None:
        """End requests that are no longer needed: `Dispatcher.abort`."""
        if begun and self._dispatcher is not None:
            self._dispatcher.abort(begun)

    @property
    def engine_name(self) -> str:
        """Of the engine that the run has had its trajectories of."""
        return str(self.run.config.get("engine", ""))

    def _send(  # noqa: PLR0913 - what `Dispatcher.begin` takes
        self,
        place: SetPlace,
        requests: Sequence[Request],
        hint: Callable[[], Hint],
        on_filled: Callable[[SetPlace, Filled], None],
        looked_up: float,
        follower: Follower | None,
        *,
        may_be_aborted: bool = False,
    ) -> Future[list[Filled]]:
        ids = [request.trajectory_id for request in requests]
        followed = self.progress.in_work.begin(place, ids, follower)
        settled = partial(on_filled, place)
        return self.engine.begin(
            self.run.run_id,
            requests,
            hint,
            settled,
            looked_up,
            followed,
            may_be_aborted=may_be_aborted,
        )

    def is_counted(self, trajectory_id: str) -> bool:
        """Whether a trajectory was requested ahead of its stage, and so is counted; True once for each."""
        return self.ahead is not None and self.ahead.takes(trajectory_id)

    def refused_ahead(self, trajectory_id: str) -> Generation | None:
        """The context overflow of a trajectory that was requested ahead of its stage; given once."""
        return None if self.ahead is None else self.ahead.refused(trajectory_id)

    def _note(self, place: SetPlace, filled: Filled) -> None:
        """Count a trajectory that was settled now, unless it went ahead."""
        if self.is_counted(filled.trajectory_id):
            self.progress.in_work.settle(place, filled)
        else:
            self._count(place, filled)

    def _count(self, place: SetPlace, filled: Filled) -> None:
        self.progress.in_work.settle(place, filled)
        self.progress.add_to(place.round, RoundCounts.of(filled))

    def shard(self, opened: OpenShard) -> ShardWork:
        """The work on one of the run's shards."""
        return ShardWork(self, self._shards[opened.number], opened.revision)

    @contextmanager
    def active(self, priority: Priority) -> Iterator[None]:
        """Hold a shard's prompts in memory: as many shards at a time as keep the engine busy.

        Raises Interrupted once the work is stopped.
        """
        self._active.enter(priority)
        try:
            yield
        finally:
            self._active.leave()

    @property
    def order(self) -> WorkOrder:
        """What decides which request is next; what the store knows is waited for a short time."""
        if self._history is not None and wait([self._history], HISTORY_SECONDS).done:
            self._history.result()
        return self._order

    def with_tables(self, work: Callable[[], _T]) -> _T:
        """Do ``work`` in one of the threads that read and write tables, and wait for it."""
        return self._tables.submit(work).result()

    def retries(self) -> list[Retry]:
        """The retries of the run as of now, the first first."""
        return [record.retry for record in read_retries(self.store, self.run.run_id)]

    def has_text(self, run_id: str, trajectory_id: str) -> bool:
        """Whether a run's committed texts hold a trajectory's, as of the first call for that run."""
        with self._texts_lock:
            if run_id not in self._texts:
                keys = current_files(self.store, run_id).get("trajectory_texts", [])
                self._texts[run_id] = text_ids(self.store, keys)
            return trajectory_id in self._texts[run_id]

    def stop(self) -> None:
        """Cancel what is in flight and wake every thread that waits."""
        self._active.shut()
        if self._dispatcher is not None:
            self._dispatcher.stop()

    def close(self) -> None:
        """Stop, and close the engine. May be called again."""
        self.stop()
        if self.ahead is not None:
            self.ahead.close()
        self.decisions.close()
        if self._dispatcher is not None:
            self._dispatcher.close()
        self._tables.shutdown()
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class ShardWork:
    """The work on one shard: what its stages read, and what they publish it under."""

    work: Work
    shard: Shard
    revision: int

    def unit(self, table: str, round_: int) -> Unit:
        return Unit(self.work.run.run_id, table, round_, self.shard.name, self.revision)

    def input_key(self, table: str, round_: int) -> str:
        """Key of the commit a stage reads."""
        return commit_key(self.unit(table, round_))

    def committed(self, table: str, round_: int) -> Commit:
        """The commit a stage reads. Raises StoreError where there is none."""
        commit = find_commit(self.work.store, self.unit(table, round_))
        if commit is None:
            raise StoreError(f"{self.input_key(table, round_)}: is not committed")
        return commit

    def may_agree(self, round_: int) -> bool:
        """Whether a rule may find that the messages of a set agree, so that no round follows."""
        rule = self.work.run.plan.step(round_).stopping
        return rule is not None and rule.depth is not None

    def problems(self) -> list[Problem]:
        """The problems of the shard, sorted by id."""
        return list(problems_of(self.work.store, self.work.run, self.shard))

    def priority(self, round_: int) -> Priority:
        """That of the shard; see `WorkOrder`."""
        return self.work.order.of_shard(self.shard.number, round_)
