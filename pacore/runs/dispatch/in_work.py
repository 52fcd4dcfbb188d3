"""Which problems a run is at, in which round and for how long, and what its rounds came to in this process.

A *set in work* is one problem of one replicate in one round, from its first request until the last of its
trajectories is settled. Only those are kept: memory grows with what is in flight, not with the run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pacore.core.trajectory import Generation, Request
from pacore.runs.dispatch.writers import Filled, Follower

STALLED_SECONDS = 300.0
"""A set is stalled no earlier than this after the last sign of it."""

STALLED_TIMES = 3.0
"""A set is stalled no earlier than so many times the longest trajectory of this process."""

UNKNOWN_SECONDS = 1_200.0
"""As how long the longest trajectory counts before the first one has come."""

Stage = Literal["waiting", "generating", "stalled"]


class SetPlace(NamedTuple):
    """Where a set is: the number of its shard, its 1-based round, its problem and replicate."""

    shard: int
    round: int
    problem_id: str
    replicate: int


@dataclass(frozen=True, slots=True)
class RoundCounts:
    """What became of the trajectories of a round in this process: ``planned`` in all, ``reused`` from the
    store, ``generated`` now, ``failed`` without a result, and of those generated or reused with a known
    end ``truncated`` at the token limit. ``tokens`` are the completion tokens of those generated.
    ``aborted`` were no longer needed, as a rule had decided their set; such sets have ``decided`` slots.
    """

    planned: int = 0
    reused: int = 0
    generated: int = 0
    failed: int = 0
    truncated: int = 0
    tokens: int = 0
    aborted: int = 0
    decided: int = 0

    @staticmethod
    def of(filled: Filled) -> RoundCounts:
        """One trajectory that was settled now."""
        if filled.finish_reason == "aborted":
            return RoundCounts(aborted=1)
        return RoundCounts(
            generated=int(filled.is_finished),
            failed=int(not filled.is_finished),
            truncated=int(filled.finish_reason == "length"),
            tokens=filled.completion_tokens,
        )

    def __add__(self, other: RoundCounts) -> RoundCounts:
        return RoundCounts(
            self.planned + other.planned,
            self.reused + other.reused,
            self.generated + other.generated,
            self.failed + other.failed,
            self.truncated + other.truncated,
            self.tokens + other.tokens,
            self.aborted + other.aborted,
            self.decided + other.decided,
        )

    @property
    def left(self) -> int:
        """Trajectories that are not settled yet."""
        done = self.reused + self.generated + self.failed + self.aborted
        return max(0, self.planned - done)

    def expected_left(self, needed: float) -> float:
        """Trajectories that are still to be settled and needed, where this share of the slots of a set that
        a rule decides is.
        """
        settled = self.planned - self.left
        return max(0.0, (self.planned - self.decided) * needed - (settled - self.decided))


@dataclass(slots=True)
class SetInWork:
    """A set while it is in work: when it ``began`` to wait for the engine, and when something of it was
    ``seen`` last, its first request or a trajectory. ``open`` has the ids of the trajectories that are not
    settled, of ``slots`` in all.
    """

    place: SetPlace
    began: float
    seen: float
    is_sent: bool = False
    slots: int = 0
    open: set[str] = field(default_factory=set)
    is_named: bool = False

    @property
    def settled(self) -> int:
        return self.slots - len(self.open)


class SetNow(NamedTuple):
    """What a set in work is at now: its ``stage``, how many of its ``slots`` are settled, and for how many
    seconds it has been in its round, and nothing of it has come.
    """

    place: SetPlace
    stage: Stage
    settled: int
    slots: int
    seconds: float
    silent_seconds: float


class InWork:
    """The sets that are in work in this process. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sets: dict[SetPlace, SetInWork] = {}
        self._longest = 0.0

    def begin(
        self, place: SetPlace, trajectory_ids: Iterable[str], follower: Follower | None = None
    ) -> Follower:
        """Note that trajectories of a set wait for the engine from now on.

        Returns what has to be called with their requests, which passes that on to ``follower``.
        """
        now = self._clock()
        with self._lock:
            one = self._sets.setdefault(place, SetInWork(place, now, now))
            before = len(one.open)
            one.open.update(trajectory_ids)
            one.slots += len(one.open) - before
        return _Followed(self, place, follower)

    def send(self, place: SetPlace) -> None:
        """Note that a request of a set is sent to the engine."""
        with self._lock:
            one = self._sets.get(place)
            if one is not None and not one.is_sent:
                one.is_sent, one.seen = True, self._clock()

    def took(self, seconds: float | None) -> None:
        """Take how long a trajectory took at the engine."""
        with self._lock:
            self._longest = max(self._longest, seconds or 0.0)

    def settle(self, place: SetPlace, filled: Filled) -> None:
        """Note that a trajectory of a set is settled; with its last one a set is no longer in work."""
        with self._lock:
            one = self._sets.get(place)
            if one is None:
                return
            one.open.discard(filled.trajectory_id)
            one.seen = self._clock()
            if not one.open:
                del self._sets[place]

    def now(self) -> list[SetNow]:
        """What is in work, the set that has been silent for longest first; those that wait to be sent
        come last.
        """
        with self._lock:
            found = [self._now(one) for one in self._sets.values()]
        return sorted(
            found, key=lambda one: (one.stage == "waiting", -one.silent_seconds, one.place)
        )

    def newly_stalled(self) -> Iterator[SetNow]:
        """Each set that is stalled, once."""
        with self._lock:
            found = [(one, self._now(one)) for one in self._sets.values() if not one.is_named]
            stalled = [(one, now) for one, now in found if now.stage == "stalled"]
            for one, _ in stalled:
                one.is_named = True
        yield from (now for _, now in stalled)

    @property
    def longest_seconds(self) -> float:
        """How long the longest trajectory took that has come; 0 before the first."""
        return self._longest

    def _now(self, one: SetInWork) -> SetNow:
        now = self._clock()
        silent = now - one.seen
        stage: Stage = "generating" if one.is_sent else "waiting"
        patience = max(STALLED_SECONDS, STALLED_TIMES * (self._longest or UNKNOWN_SECONDS))
        if stage == "generating" and silent > patience:
            stage = "stalled"
        return SetNow(one.place, stage, one.settled, one.slots, now - one.began, silent)


@dataclass(slots=True, eq=False)
class _Followed:
    """Follows the requests of a set in work, and passes them on to another follower."""

    in_work: InWork
    place: SetPlace
    other: Follower | None

    def sent(self, request: Request) -> None:
        self.in_work.send(self.place)
        if self.other is not None:
            self.other.sent(request)

    def kept(self, request: Request, made: Generation) -> None:
        self.in_work.took(made.latency_seconds)
        if self.other is not None:
            self.other.kept(request, made)
