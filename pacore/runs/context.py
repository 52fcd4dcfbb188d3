"""What every stage of one run shares in one process: the store, the run, and the engine."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pacore.core.config.run import RunConfig
from pacore.core.engine import Engine, EngineInfo
from pacore.core.plan import Shard
from pacore.core.problem import Problem
from pacore.core.quorum import Retry
from pacore.engine.opening import open_engine
from pacore.engine.watch import FirstFacts, WatchedEngine
from pacore.errors import PacoreError, StoreError
from pacore.home import state_path
from pacore.runs.dispatch.dispatcher import Dispatcher, Gate, Priority
from pacore.runs.dispatch.progress import Progress
from pacore.runs.dispatch.sampler import RetryPolicy
from pacore.runs.dispatch.writers import Filled
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
from pacore.store.run import Run, open_run, problems_of

T = TypeVar("T")

TABLE_THREADS = 2
"""Threads that read and write tables. Arrow and DuckDB keep memory for each thread that ever used
them, so the hundreds of threads that wait for shards must not."""

LOOK_AHEAD_SECONDS = 1.0


FEWEST_ACTIVE_SHARDS = 16


BACKLOG_PER_SLOT = 8


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


class Context:
    """Opens a run for work. One for each run and process; see `context_of`.

    ``generates`` is false where trajectories are taken from the journal alone.
    """

    generates = True

    def __init__(self, store: Backend, run: Run, config: RunConfig) -> None:
        self.store = store
        self.run = run
        self.config = config
        self.journal = Journal(store)
        self.progress = Progress(planned=run.trajectories)
        self.producer: dict[str, Any] = {}
        self._tables = ThreadPoolExecutor(TABLE_THREADS, thread_name_prefix="tables")
        slots = config.concurrency * max(1, len(config.endpoints))
        least = run.shard_size * run.plan.replicates
        self._active = Gate(max(FEWEST_ACTIVE_SHARDS, -(-BACKLOG_PER_SLOT * slots // least)))
        # Several schedulers on one run take its shards in different orders, and so seldom work on the
        # same one; in one order, one catches up and both send the same from there on.
        self._order = random.sample(range(len(run.shards)), len(run.shards))
        self._texts: dict[str, set[str]] = {}
        self._texts_lock = threading.Lock()
        self._lease = hold_run(store, run.run_id, self.stop)
        self.dispatcher = Dispatcher(
            self._open_engine,
            self.journal,
            RetryPolicy(
                config.retries,
                config.retry_wait_seconds,
                config.retry_wait_max_seconds,
                config.early_stop,
            ),
            self._on_open,
            self.progress,
        )

    def _open_engine(self) -> Engine:
        progress = self.progress
        engine = open_engine(self.config, state_path(), progress.say, progress.wait_for)
        first = FirstFacts(self.store, self.run.run_id)
        return WatchedEngine(engine, first, self.progress.say)

    def _on_open(self, info: EngineInfo) -> None:
        self.progress.engine = f"{info.name} {info.version or ''}".strip()

    def open_engine_ahead(self) -> None:
        """Begin to open the engine, for one that takes its time, if a request will need it.

        Returns at once. What goes wrong is raised for the first request.
        """
        commits = current_commits(self.store, self.run.run_id)
        found = unpublished(self.store, self.run, commits, time.monotonic() + LOOK_AHEAD_SECONDS)
        if found.finished < found.slots:
            threading.Thread(target=self._open_ahead, name="engine", daemon=True).start()

    def _open_ahead(self) -> None:
        with suppress(PacoreError):
            self.dispatcher.info()

    def note(self, filled: Filled) -> None:
        """Count a trajectory that was settled now."""
        self.progress.add(
            generated=int(filled.is_finished),
            unfinished=int(not filled.is_finished),
            completion_tokens=filled.completion_tokens,
        )

    @cached_property
    def shards(self) -> list[Shard]:
        return self.run.shards

    @contextmanager
    def active(self, work: OpenShard, round_: int) -> Iterator[None]:
        """Hold a shard's prompts in memory: as many shards at a time as keep the engine busy.

        Later rounds come first. Raises Interrupted once the context is stopped.
        """
        self._active.enter(self.priority(work, round_))
        try:
            yield
        finally:
            self._active.leave()

    def priority(self, work: OpenShard, round_: int) -> Priority:
        """Later rounds first, so that problems that began get finished."""
        return -round_, self._order[work.number]

    def with_tables(self, work: Callable[[], T]) -> T:
        """Do ``work`` in one of the threads that read and write tables, and wait for it."""
        return self._tables.submit(work).result()

    def problems(self, shard: Shard) -> list[Problem]:
        """The problems of one shard, sorted by id."""
        return list(problems_of(self.store, self.run, shard))

    def retries(self) -> list[Retry]:
        """The retries of the run as of now, the first first."""
        return [record.retry for record in read_retries(self.store, self.run.run_id)]

    def stop(self) -> None:
        """Cancel what is in flight and wake every thread that waits."""
        self._active.shut()
        self.dispatcher.stop()

    def unit(self, table: str, round_: int, work: OpenShard) -> Unit:
        name = self.shards[work.number].name
        return Unit(self.run.run_id, table, round_, name, work.revision)

    def input_of(self, table: str, round_: int, work: OpenShard) -> str:
        """Key of the commit a stage reads."""
        return commit_key(self.unit(table, round_, work))

    def committed(self, table: str, round_: int, work: OpenShard) -> Commit:
        """The commit a stage reads. Raises StoreError where there is none."""
        commit = find_commit(self.store, self.unit(table, round_, work))
        if commit is None:
            raise StoreError(f"{self.input_of(table, round_, work)}: is not committed")
        return commit

    def has_text(self, run_id: str, trajectory_id: str) -> bool:
        """Whether a run's committed texts hold a trajectory's, as of the first call for that run."""
        with self._texts_lock:
            if run_id not in self._texts:
                keys = current_files(self.store, run_id).get("trajectory_texts", [])
                self._texts[run_id] = text_ids(self.store, keys)
            return trajectory_id in self._texts[run_id]

    def close(self) -> None:
        self.stop()
        self.dispatcher.close()
        self._tables.shutdown()
        if self._lease is not None:
            self._lease.release()


_contexts: dict[tuple[str, str], Context] = {}


_contexts_lock = threading.Lock()


def context_of(config: RunConfig, run_id: str) -> Context:
    """The context of a run in this process, opened by the first task that calls this."""
    key = (config.store, run_id)
    with _contexts_lock:
        if key not in _contexts:
            store = open_store(config.store)
            _contexts[key] = Context(store, open_run(store, run_id), config)
        return _contexts[key]


def open_contexts() -> list[tuple[str, Progress]]:
    """The runs that are open in this process, and how far each is."""
    with _contexts_lock:
        return [(run_id, context.progress) for (_, run_id), context in _contexts.items()]


def run_under_way(config: RunConfig) -> Run | None:
    """The run that this very configuration has open in this process."""
    with _contexts_lock:
        context = _contexts.get((config.store, config.run_id or ""))
    return context.run if context is not None and context.config == config else None


def close_context(config: RunConfig, run_id: str) -> None:
    """Cancel what is in flight and close the engine; another `context_of` opens anew."""
    with _contexts_lock:
        context = _contexts.pop((config.store, run_id), None)
    if context is not None:
        context.close()
