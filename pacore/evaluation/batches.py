"""An evaluation of some runs in one process: its store, its threads and its open gradings."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Self

from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.grading.choose import is_by_rules
from pacore.errors import Refused
from pacore.evaluation.gradings import (
    count_trajectories,
    end,
    ungraded,
    wanted_grading,
)
from pacore.runs.dispatch.progress import Awaited, GradingProgress
from pacore.runs.verdicts import OpenGrading, UngradedShard, grade_shard
from pacore.runs.work import StageReport
from pacore.store.backends.opening import open_store
from pacore.store.gradings import Grading, begin_grading
from pacore.store.lease import Lease, hold_run
from pacore.store.run import Run, open_run
from pacore.warehouse.prices import Price, read_prices

MOST_BATCHES = 200
"""Prefect keeps up with some hundreds of task runs; where there are more shards, a task has several."""


class GradingBatch(NamedTuple):
    """Shards of one run that are graded one after the other: the unit of a mapped task."""

    run_id: str
    works: tuple[UngradedShard, ...]

    @property
    def name(self) -> str:
        """``mine s3``, or ``mine s3-s9``."""
        ends = dict.fromkeys((self.works[0].number, self.works[-1].number))
        return f"{self.run_id} " + "-".join(f"s{number}" for number in ends)


@dataclass
class EvaluationProgress(GradingProgress):
    """How far an evaluation is: its grading, and what it does once that has ended."""

    doing: Awaited | None = None

    def do(self, doing: str | None) -> None:
        """Set what is done from now on; None where nothing is left but what is shown of the grading."""
        self.doing = None if doing is None else Awaited(doing, self.clock())

    @property
    def stage(self) -> tuple[object, ...]:
        return *super().stage, self.doing

    def line(self) -> str:
        if self.doing is None:
            return super().line()
        seconds = self.clock() - self.doing.since
        return f"{self.doing.what}, {seconds:.0f} s so far ({super().line()})"


class Evaluation:
    """Runs opened for grading, by whoever begins it. A context manager; `close` ends it.

    ``prices`` is the price table of the configuration; opening raises BadInput for one that cannot be
    read. ``producer`` is part of every commit. Shards are graded by a few threads of its own, whichever
    thread submits them: Arrow and DuckDB keep memory for each thread that ever used them, and answers
    are graded in other processes.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config
        self.prices: list[Price] = [] if config.prices is None else read_prices(config.prices)
        self.store = open_store(config.store)
        self.progress = EvaluationProgress()
        self.producer: dict[str, object] = {}
        self._stopped = threading.Event()
        self._threads = ThreadPoolExecutor(config.workers, thread_name_prefix="grading")
        self._lock = threading.Lock()
        self._opened: dict[str, OpenGrading] = {}
        self._batches: list[GradingBatch] | None = None
        self._leases: list[Lease] = []

    def gradings(self) -> list[OpenGrading]:
        """The gradings of the configuration, one a run, begun by the first call.

        Raises Refused for a run that is unknown, not at its end, without gold answers, or worked on
        elsewhere in a store that admits one process alone, and BadInput for an unknown grader:
        nothing of any run is begun then.
        """
        with self._lock:
            if not self._opened:
                runs = [open_run(self.store, run_id) for run_id in self.config.runs]
                wanted = [wanted_grading(self.store, run, self.config.grader) for run in runs]
                for run in runs:
                    if (lease := hold_run(self.store, run.run_id, self.stop)) is not None:
                        self._leases.append(lease)
                for run, grading in zip(runs, wanted, strict=True):
                    self._opened[run.run_id] = self._open(run, grading)
            return list(self._opened.values())

    def _open(self, run: Run, grading: Grading) -> OpenGrading:
        return OpenGrading(
            self.store,
            run,
            begin_grading(self.store, run.run_id, grading),
            self.config.grading_timeout_seconds,
            self.progress,
            self.producer,
            self._stopped,
        )

    def batches(self) -> list[GradingBatch]:
        """The shards without verdicts at the first call, in a few hundred batches at most.

        Raises as `gradings`, and Refused where they need a judge.
        """
        opened = self.gradings()
        with self._lock:
            if self._batches is None:
                self._batches = list(self._batched([(one, self._left(one)) for one in opened]))
            return self._batches

    def _left(self, opened: OpenGrading) -> list[UngradedShard]:
        works = ungraded(opened)
        if works and not is_by_rules(opened.grading.grader):
            raise Refused(
                f"run {opened.run.run_id} has trajectories that its grader "
                f"{opened.grading.grader} has not seen; pacore grade with it goes on"
            )
        return works

    def _batched(
        self, left: Sequence[tuple[OpenGrading, list[UngradedShard]]]
    ) -> Iterator[GradingBatch]:
        size = max(1, -(-sum(len(works) for _, works in left) // MOST_BATCHES))
        for opened, works in left:
            count_trajectories(opened, works)
            for start in range(0, len(works), size):
                yield GradingBatch(opened.run.run_id, tuple(works[start : start + size]))

    def submit(self, batch: GradingBatch) -> Future[list[StageReport]]:
        """Grade a batch as soon as a thread is free."""
        return self._threads.submit(self._grade, batch)

    def _grade(self, batch: GradingBatch) -> list[StageReport]:
        (opened,) = (one for one in self.gradings() if one.run.run_id == batch.run_id)
        return [report for work in batch.works for report in grade_shard(opened, work)]

    def finish(self) -> None:
        """Record the end of every grading, all of whose verdicts are published."""
        for opened in self.gradings():
            end(opened)

    def stop(self) -> None:
        """End the work before the next answers are graded."""
        self._stopped.set()

    def close(self) -> None:
        """Stop. May be called again."""
        self.stop()
        self._threads.shutdown()
        while self._leases:
            self._leases.pop().release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def grade_all(evaluation: Evaluation, batches: Sequence[GradingBatch]) -> None:
    """Grade every batch and record the end. Raises the first fault, and stops the other batches."""
    futures = [evaluation.submit(batch) for batch in batches]
    try:
        for future in futures:
            future.result()
    except BaseException:
        evaluation.stop()
        raise
    evaluation.finish()
