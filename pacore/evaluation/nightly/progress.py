"""How far a night is in this process: each job's state, and what is spent of the budget they share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pacore.evaluation.nightly.jobs import DatedJob
from pacore.runs.dispatch.budget import Allowance, Budget
from pacore.runs.dispatch.progress import Progress
from pacore.runs.work import Work
from pacore.store.nights import Night

WAITING, BEGUN, RUNNING, GRADING, GRADED = "waiting", "begun", "running", "grading", "graded"
"""States of a job before it is decided on."""


@dataclass
class JobProgress:
    """How far a job is: its state, once it is decided on the decision; and the last of its runs that was
    opened, of which a job with arms or a judge has several.
    """

    name: str
    run_id: str
    state: str = WAITING
    run: Progress | None = None

    @property
    def is_decided(self) -> bool:
        return self.state not in (WAITING, BEGUN, RUNNING, GRADING, GRADED)

    @property
    def done(self) -> float:
        """About how much of it is done, in [0, 1]: of several runs the one that is open."""
        if self.is_decided:
            return 1.0
        return 0.0 if self.run is None else min(self.run.settled / max(self.run.planned, 1), 1.0)


class NightProgress:
    """How far the jobs of a night are, and what was spent by then of the budget that they share.

    ``shared`` is that budget as the night found it; None without one. One thread goes on with the night,
    and any may look.
    """

    def __init__(self, jobs: Sequence[DatedJob], shared: Allowance | None = None) -> None:
        self.jobs = [JobProgress(job.name, str(run.run_id)) for job, run in jobs]
        self._shared = shared
        self._budget: Budget | None = None
        self._number = 0

    @property
    def current(self) -> JobProgress:
        """The job that is at work, or was last."""
        return self.jobs[self._number]

    def begin(self, number: int) -> None:
        """Go on with the job of a number, from 0 on."""
        self._number = number
        self.current.state = BEGUN

    @contextmanager
    def running(self, work: Work) -> Iterator[None]:
        """A run of the job, for as long as it is open."""
        self.current.run, self.current.state = work.progress, RUNNING
        if work.budget is not None:
            self._budget = work.budget
        try:
            yield
        finally:
            self.current.state = GRADING

    def graded(self) -> None:
        """All that the job's decision needs has come to its end."""
        self.current.state = GRADED

    def decided(self, night: Night) -> None:
        """Note what a job came to."""
        self.current.state = night.decision

    def spending(self) -> list[str]:
        """What is spent of each limit that the jobs share; nothing without one."""
        shared = self._shared
        if shared is None:
            return []
        known = () if self._budget is None else self._budget.allowances()
        last = next((one for one in known if one.whose == shared.whose), shared)
        return list(last.shown(time.monotonic()))

    @property
    def done(self) -> float:
        """About how much of the night is done, in [0, 1]: each job counts the same."""
        return sum(job.done for job in self.jobs) / len(self.jobs)

    @property
    def states(self) -> tuple[str, ...]:
        """The states of all jobs, in their order."""
        return tuple(job.state for job in self.jobs)
