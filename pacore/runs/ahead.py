"""Rounds that begin before their stage: a problem goes on when its own round has ended, not its shard's.

A shard is the unit of tasks and files, and its stages follow each other; the slowest trajectory of its
problems would hold up all of them. So as soon as every slot of a message set is filled, its next round's
prompts are made of what came, by the definitions that the stages use (`pacore.core.round`), and sent. What
comes is journalled as any trajectory is, and the stage finds it there: nothing that is decided or written
depends on whether a request went ahead.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from pacore.core.engine import Hint
from pacore.core.plan import Plan
from pacore.core.quorum import SlotOutcome
from pacore.core.recipe import Recipe
from pacore.core.round import Fits, OpenSlot, Round, open_slots
from pacore.core.trajectory import Generation, Request, Trajectory
from pacore.errors import PacoreError
from pacore.runs.dispatch.in_work import SetPlace
from pacore.runs.dispatch.order import WorkOrder
from pacore.runs.dispatch.writers import Filled, Follower
from pacore.runs.filling.decisions import Decisions
from pacore.runs.filling.slots import run_slots
from pacore.store.journal import Journal

FitsOf = Callable[[int], Fits]
"""What tells whether a prompt of a round fits the engine's window."""


class Begin(Protocol):
    """Sends requests of a set, as `pacore.runs.dispatch.dispatcher.Dispatcher.begin` does for one run."""

    def __call__(
        self,
        place: SetPlace,
        requests: Sequence[Request],
        hint: Callable[[], Hint],
        on_filled: Callable[[SetPlace, Filled], None],
        looked_up: float,
        follower: Follower | None,
    ) -> Future[list[Filled]]: ...


@dataclass(slots=True, eq=False)
class _Followed:
    """One message set while its slots are filled: those that are open by prompt and draw, and what came."""

    ahead: Ahead
    round: Round
    shard: int
    fits: FitsOf
    open: dict[tuple[str, int], OpenSlot]
    outcomes: dict[int, SlotOutcome] = field(default_factory=dict)
    is_ended: bool = False

    def sent(self, request: Request) -> None:
        del request
        self.ahead.order.expected.begin(self.round.problem.problem_id)

    def kept(self, request: Request, made: Generation) -> None:
        self.ahead.note(self, request, made)


class Ahead:
    """What a run sends ahead of its stages. Safe to use from several threads.

    ``begin`` sends requests, and ``count`` is called with each trajectory that was settled for one of them;
    ``order`` gives the hint for what is sent, and is told how long each was that is followed.
    """

    def __init__(
        self,
        plan: Plan,
        recipe: Recipe,
        journal: Journal,
        begin: Begin,
        count: Callable[[SetPlace, Filled], None],
        order: WorkOrder,
    ) -> None:
        self.order = order
        self.decisions: Decisions | None = None
        self._plan = plan
        self._recipe = recipe
        self._journal = journal
        self._begin = begin
        self._count = count
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._lock = threading.Lock()
        self._reached: dict[int, int] = {}
        self._going: set[Future[None]] = set()
        self._sent: set[str] = set()
        self._refused: dict[str, Generation] = {}

    def reach(self, shard: int, round_: int) -> None:
        """Note that a shard's stage has begun a round: from here on its requests are its own.

        Raises what went wrong with any request ahead, if it is no PacoreError.
        """
        with self._lock:
            self._reached[shard] = round_
            ended = [one for one in self._going if one.done()]
            self._going.difference_update(ended)
        for one in ended:
            one.result()

    def follow(
        self,
        round_: Round,
        slots: Sequence[OpenSlot],
        shard: int,
        fits: FitsOf,
    ) -> Follower | None:
        """Begin the next round when all slots are filled.

        Returns what has to be told of each request for one; None in the last round.
        """
        if round_.place[0] >= self._plan.rounds:
            return None
        open_ = {(slot.prompt.digest, slot.place.draw): slot for slot in slots}
        return _Followed(self, round_, shard, fits, open_)

    def has_sent(self, trajectory_id: str) -> bool:
        """Whether a trajectory was requested ahead, so that it may have come since one looked for it."""
        return trajectory_id in self._sent

    def refused(self, trajectory_id: str) -> Generation | None:
        """The context overflow of a trajectory that went ahead, which no journal has; given once, and so
        taken.
        """
        found = self._refused.pop(trajectory_id, None)
        if found is not None:
            self.takes(trajectory_id)
        return found

    def takes(self, trajectory_id: str) -> bool:
        """Whether a trajectory was requested ahead, and so is counted once it is settled; True only once.

        The journal may have it a moment before that.
        """
        with self._lock:
            if trajectory_id not in self._sent:
                return False
            self._sent.discard(trajectory_id)
            return True

    def close(self) -> None:
        """Begin nothing any more. May be called again."""
        self._thread.shutdown()

    def note(self, followed: _Followed, request: Request, made: Generation) -> None:
        """Note what fills a slot. Only its message is kept, and only of trajectories that finished: what
        becomes of the others is for the stage to decide.
        """
        drawn = request.prompt_digest, request.draw
        slot = followed.open.get(drawn)
        if slot is None or followed.is_ended:
            return
        if not made.is_finished:
            followed.is_ended = True
            return
        self.order.expected.see(slot.place.problem_id, made.completion_tokens, made.latency_seconds)
        outcome = SlotOutcome.of(Trajectory.of(slot.place, request, made), slot.prompt.compaction)
        with self._lock:
            followed.outcomes[slot.place.slot] = outcome
            followed.open.pop(drawn, None)
            is_filled = not followed.open
        if is_filled:
            self._submit(partial(self._go_on, followed))

    def decided(
        self, round_: Round, shard: int, fits: FitsOf, outcomes: Sequence[SlotOutcome]
    ) -> None:
        """Begin the next round of a set that a rule has decided, given what its slots came to."""
        followed = _Followed(self, round_, shard, fits, {}, is_ended=True)
        self._submit(partial(self._conclude, followed, outcomes))

    def _submit(self, work: Callable[[], None]) -> None:
        """Do some work in a thread. After `close` there is nothing to go on with."""
        with suppress(RuntimeError), self._lock:
            self._going.add(self._thread.submit(work))

    def _go_on(self, followed: _Followed) -> None:
        """Send the next round of a set. Faults are the stage's, which meets them itself."""
        if followed.is_ended:
            return
        followed.is_ended = True
        self._conclude(followed, [followed.outcomes[slot] for slot in sorted(followed.outcomes)])

    def _conclude(self, followed: _Followed, outcomes: Sequence[SlotOutcome]) -> None:
        concluded = followed.round.conclude(outcomes)
        if not isinstance(concluded, list):
            return
        with suppress(PacoreError):
            self._send(followed, followed.round.after(concluded))

    def _send(self, before: _Followed, round_: Round) -> None:
        number = round_.place[0]
        if round_.step.stopping is not None:
            self._decide(before, round_)
            return
        slots = open_slots(round_.prompts(before.fits(number)))
        requests = [slot.begin(self._recipe) for slot in slots]
        follower = self.follow(round_, slots, before.shard, before.fits)
        looked_up = time.monotonic()
        entries = self._journal.find_many([request.trajectory_id for request in requests])
        missing = []
        for request, entry in zip(requests, entries, strict=True):
            if entry is None:
                missing.append(request)
            elif follower is not None:
                follower.kept(request, entry.generation)
        with self._lock:
            # The stage of the round before may follow a set that went ahead, whose next round has begun.
            missing = [one for one in missing if one.trajectory_id not in self._sent]
            if missing and self._reached.get(before.shard, 0) < number:
                self._sent.update(request.trajectory_id for request in missing)
                hint = partial(self.order.hint, before.shard, number, round_.problem.problem_id)
                place = SetPlace(before.shard, number, round_.problem.problem_id, round_.place[1])
                self._begin(place, missing, hint, self._note_filled, looked_up, follower)

    def _decide(self, before: _Followed, round_: Round) -> None:
        """Have a set filled that a rule decides. What goes wrong is for its stage, which waits for it."""
        assert self.decisions is not None
        fits, shard = before.fits, before.shard
        slots = run_slots(round_.prompts(fits(round_.place[0])))
        go_on = partial(self.decided, round_, shard, fits)
        with self._lock:
            if self._reached.get(shard, 0) < round_.place[0]:
                self.decisions.fill(round_, slots, shard, go_on, is_ahead=True)

    def _note_filled(self, place: SetPlace, filled: Filled) -> None:
        if filled.generation is not None:
            self._refused[filled.trajectory_id] = filled.generation
        self._count(place, filled)
