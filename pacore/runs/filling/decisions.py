"""Message sets under a rule that stops early: filled until the rule has decided them, and no further.

Slots are begun as the rule says, in their order; what ends is an arrival, in the order in
which it ended, and after each the rule is applied (`pacore.core.policies.stops`). Once a set is decided
what is in flight is aborted, and the decision is recorded before the set goes on. A start that finds the
record takes its decision; where there is none, what the journal has of the set arrives first: trajectories
of other runs in the order of their slots, then those of the run in the order in which they were journalled.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, Protocol

from pacore.core.engine import Hint
from pacore.core.message import Candidate
from pacore.core.policies.stops import (
    Arriving,
    LeftSlot,
    SeenArrival,
    SetStop,
    keys_by_place,
    voted_answer,
    votes_of_messages,
)
from pacore.core.quorum import History, SlotOutcome, mark_answer
from pacore.core.round import Round
from pacore.core.trajectory import Generation, Request, Trajectory
from pacore.errors import Interrupted, StoreError
from pacore.runs.dispatch.dispatcher import filled
from pacore.runs.dispatch.in_work import RoundCounts, SetPlace
from pacore.runs.dispatch.order import WorkOrder
from pacore.runs.dispatch.writers import Filled, Follower
from pacore.runs.filling.slots import Opened, RunSlot, WantedSlot, look_up
from pacore.sandbox.grade import answer_keys
from pacore.store.backends.protocol import Backend
from pacore.store.journal import Entry
from pacore.store.layout import set_stop_key
from pacore.store.records import find, put_new

THREADS = 8

NOT_BEGUN = "not begun: its round waits for trajectories that failed"

GoOn = Callable[[Sequence[SlotOutcome]], None]
"""Called with what the slots of a set came to once it is decided."""


class Deciding(Opened, Protocol):
    """What deciding sets needs of the work on a run (`pacore.runs.work.Work`)."""

    store: Backend

    @property
    def order(self) -> WorkOrder: ...

    @property
    def engine_name(self) -> str: ...

    def begin(
        self,
        place: SetPlace,
        requests: Sequence[Request],
        hint: Callable[[], Hint],
        looked_up: float,
        follower: Follower | None = None,
        on_filled: Callable[[Filled], None] | None = None,
    ) -> Future[list[Filled]]: ...

    def abort(self, begun: Sequence[Future[list[Filled]]]) -> None: ...


class Decided(NamedTuple):
    """The slots of a set with what came of them, and how it was decided: None where it waits for slots that
    the engine has failed to fill.
    """

    slots: list[RunSlot]
    stop: SetStop | None


class Decisions:
    """The sets of a run that are under a rule, each filled once. Safe to use from several threads."""

    def __init__(self, work: Deciding) -> None:
        self.work = work
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="decisions")
        self._lock = threading.Lock()
        self._sets: dict[tuple[int, str, int], Future[Decided]] = {}
        self._taken: set[tuple[int, str, int]] = set()

    def fill(
        self,
        round_: Round,
        slots: list[RunSlot],
        shard: int,
        go_on: GoOn | None = None,
        *,
        is_ahead: bool = False,
    ) -> Future[Decided]:
        """Fill a set until it is decided; of a set that is being filled already what comes of it.

        ``go_on`` is called once it is decided, before the future is done. What ``is_ahead`` of its stage is
        not begun after it. The future's exceptions are those of
        `pacore.runs.dispatch.dispatcher.filled`.
        """
        one = _Set(self, round_, slots, shard, go_on)
        place = (round_.place[0], round_.problem.problem_id, round_.place[1])
        with self._lock:
            if place in self._sets:
                return self._sets[place]
            if is_ahead and place in self._taken:
                one.done.cancel()
                return one.done
            self._sets[place] = one.done
        self.submit(one, one.begin)
        return one.done

    def take(self, place: tuple[int, str, int]) -> None:
        """Forget a set, whose stage has what came of it."""
        with self._lock:
            self._taken.add(place)
            self._sets.pop(place, None)

    def submit(self, one: _Set, work: Callable[[], None]) -> None:
        """Do some work on a set in a thread. After `close` there is nothing to go on with."""
        try:
            self._threads.submit(one.do, work).add_done_callback(one.check)
        except RuntimeError:
            one.fail(Interrupted("stopped"))

    def close(self) -> None:
        """Begin nothing any more. May be called again."""
        self._threads.shutdown()


@dataclass(eq=False)
class _Set:
    """One set while it is filled. ``waiting`` are arrivals in their order that the rule has not seen yet,
    ``open`` the slots whose requests are not settled, with those they were begun with, and ``outcomes``
    what has arrived, by slot.
    """

    owner: Decisions
    round: Round
    slots: list[RunSlot]
    shard: int
    go_on: GoOn | None
    done: Future[Decided] = field(default_factory=Future)
    arriving: Arriving = field(init=False)
    seen: list[SeenArrival] = field(default_factory=list)
    outcomes: dict[int, SlotOutcome] = field(default_factory=dict)
    waiting: list[tuple[tuple[float, ...], int, Trajectory]] = field(default_factory=list)
    open: dict[int, Future[list[Filled]]] = field(default_factory=dict)
    settled: deque[tuple[int, Request, Filled]] = field(default_factory=deque)
    texts: dict[str, Generation] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    to_begin: int = 0
    began: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        rule = self.round.step.stopping
        assert rule is not None, "a set without a rule"
        self.arriving = Arriving(rule, len(self.slots))

    def _message_keys(self) -> list[str | None]:
        """The votes of the messages that the prompts show, where the rule looks at them."""
        read = votes_of_messages(self.arriving.rule, self.round.problem, self.round.messages)
        return keys_by_place(read, self._keys_of)

    def _keys_of(self, answers: Sequence[tuple[str, str]]) -> list[str]:
        return answer_keys(answers, self.work.limits.grading_timeout_seconds)

    @property
    def work(self) -> Deciding:
        return self.owner.work

    @property
    def place(self) -> SetPlace:
        number, replicate = self.round.place
        return SetPlace(self.shard, number, self.round.problem.problem_id, replicate)

    @property
    def key(self) -> str:
        """Of the record of its decision."""
        place = self.place
        return set_stop_key(self.work.run.run_id, place.round, place.problem_id, place.replicate)

    @property
    def is_stopped(self) -> bool:
        return self.arriving.decision is not None and self.arriving.decision.is_stopped

    def do(self, work: Callable[[], None]) -> None:
        """Do some work on the set, alone; nothing once it is done."""
        with self.lock:
            if not self.done.done():
                work()

    def check(self, did: Future[None]) -> None:
        """What goes wrong is for whoever waits for the set."""
        fault = did.exception()
        if fault is not None:
            self.fail(fault)

    def fail(self, fault: BaseException) -> None:
        with self.lock:
            if not self.done.done():
                self._abort()
                self.done.set_exception(fault)

    def _abort(self) -> None:
        """End all requests that are not settled."""
        self.work.abort(list(set(self.open.values())))

    def begin(self) -> None:
        """Take the recorded decision, or begin what the rule begins at first."""
        recorded = find(self.work.store, self.key, SetStop)
        if recorded is not None:
            self._adopt(recorded)
            return
        self.arriving.message_keys = self._message_keys()
        self.to_begin = self.arriving.begin()
        self._go_on()

    def _go_on(self) -> None:
        """Apply the rule to all that has arrived, until it has to wait for more."""
        while True:
            if self.to_begin and not self.is_stopped:
                if self._is_aborting():
                    return
                count, self.to_begin = self.to_begin, 0
                self._begin_slots(count)
            elif self.waiting and not self.is_stopped:
                _, slot, trajectory = heapq.heappop(self.waiting)
                if slot not in self.left:
                    self._see(slot, trajectory)
            else:
                break
        if not self.open:
            self._end()

    def _is_aborting(self) -> bool:
        return any(slot in self.open for slot in self.left)

    def _see(self, slot: int, trajectory: Trajectory) -> None:
        """Take an arrival, and do what the rule says."""
        outcome = SlotOutcome.of(trajectory, self.slots[slot].prompt.compaction)
        key = self._key(trajectory)
        tokens = trajectory.generation.completion_tokens or 0
        seen = SeenArrival(
            slot, trajectory.trajectory_id, key, outcome.candidate.text is not None, tokens
        )
        self.seen.append(seen)
        self.outcomes[slot] = outcome
        decision = self.arriving.see(seen.arrival)
        self.to_begin += decision.begin
        if decision.aborts:
            self.left |= set(range(self.began)) - self.outcomes.keys()
            self._abort()

    def _key(self, trajectory: Trajectory) -> str | None:
        finish_reason = trajectory.generation.finish_reason
        conclusion = trajectory.thought.conclusion
        answer = voted_answer(self.arriving.rule, self.round.problem, finish_reason, conclusion)
        (key,) = keys_by_place([answer], self._keys_of)
        return key

    def _begin_slots(self, count: int) -> None:
        """Look up the next slots in the journal, and request those that are not there."""
        looked_up = time.monotonic()
        numbers = range(self.began, self.began + count)
        self.began += count
        wanted = [WantedSlot(self.slots[number], None, self._found) for number in numbers]
        missing = look_up(self.work, wanted)
        for number in numbers:
            made = self.slots[number].refused.get(len(self.slots[number].history.attempts) - 1)
            if made is not None:
                self._arrive(number, made)
            elif self.slots[number].history.is_lost(self.work.limits.attempts):
                self._arrive_lost(number)
        requests = [(wanted[at].slot.place.slot, request) for at, request in missing.items()]
        place = self.place
        parts = self.work.order.parts(self.shard, place.round, place.problem_id, requests)
        for part, hint in parts:
            self._request(part, hint, looked_up)

    def _request(
        self, asked: Sequence[tuple[int, Request]], hint: Callable[[], Hint], looked_up: float
    ) -> None:
        """Begin the requests of slots together, so that they are sent in the order of the slots."""
        by_id = {request.trajectory_id: (slot, request) for slot, request in asked}

        def take(filled: Filled) -> None:
            self.settled.append((*by_id[filled.trajectory_id], filled))
            self.owner.submit(self, self._take_settled)

        requests = [request for _, request in asked]
        begun = self.work.begin(self.place, requests, hint, looked_up, self, take)
        self.open |= dict.fromkeys((slot for slot, _ in asked), begun)
        begun.add_done_callback(self._check_begun)

    def _check_begun(self, begun: Future[list[Filled]]) -> None:
        """Fail with requests that have failed."""
        if begun.cancelled():
            fault: BaseException | None = Interrupted("stopped")
        else:
            fault = begun.exception()
        if fault is not None:
            self.owner.submit(self, partial(self.fail, fault))

    def _take_settled(self) -> None:
        """Take what requests came to in the order in which they did, whichever thread is first here."""
        while self.settled:
            self._ended(*self.settled.popleft())

    def _found(self, slot: RunSlot, request: Request, entry: Entry) -> None:
        """Take what the journal has: of other runs in slot order, then the run's own by their time."""
        if entry.generation.is_finished:
            is_own = entry.run_id == self.work.run.run_id
            order = (1.0, entry.generated_at.timestamp()) if is_own else (0.0, 0.0)
            self._wait(order, slot.place.slot, request, entry.generation)

    def _wait(
        self, order: tuple[float, ...], slot: int, request: Request, made: Generation
    ) -> None:
        place = self.slots[slot].place
        heapq.heappush(self.waiting, (order, slot, Trajectory.of(place, request, made)))

    def _arrive(self, slot: int, made: Generation, request: Request | None = None) -> None:
        """Let a trajectory arrive now, after all that has arrived."""
        if request is None:
            one = self.slots[slot]
            history = one.history
            request = one.prompt.request(
                self.round.recipe, one.place.draw, len(history.attempts) - 1
            )
        self._wait((2.0, time.monotonic()), slot, request, made)

    def _arrive_lost(self, slot: int) -> None:
        reason = self.slots[slot].history.current.finish_reason
        assert reason is not None, "an attempt without an end"
        self._arrive(slot, Generation(reason))

    def _ended(self, slot: int, request: Request, result: Filled) -> None:
        """Take what a request came to."""
        self.open.pop(slot, None)
        one = self.slots[slot]
        made = self.texts.pop(request.trajectory_id, None)
        if slot in self.left:
            # It came after the decision, and so does not count; what it has cost does.
            self._leave(one, result)
        elif result.generation is not None:
            one.refuse(result.generation)
            if result.finish_reason == "context_overflow":
                self._arrive(slot, result.generation, request)
        else:
            one.history = one.history.ended(result.finish_reason)
            if result.is_finished:
                self._arrive(slot, made or self._journalled(request.trajectory_id), request)
            elif one.history.is_lost(self.work.limits.attempts):
                self._arrive_lost(slot)
        self._go_on()

    def _leave(self, slot: RunSlot, result: Filled) -> None:
        if result.generation is not None and result.finish_reason == "aborted":
            slot.refuse(result.generation)
        elif result.is_finished and result.generation is None:
            late = Generation(
                "aborted", completion_tokens=result.completion_tokens, usage_source="server"
            )
            slot.refuse(late)
        elif result.generation is None:
            slot.history = slot.history.ended(result.finish_reason)

    def _journalled(self, trajectory_id: str) -> Generation:
        entry = self.work.journal.find(trajectory_id)
        if entry is None:
            raise StoreError(f"trajectory {trajectory_id} is gone from the journal")
        return entry.generation

    def _end(self) -> None:
        """Record the decision on the set, and go on; or leave it to wait for what the engine failed at."""
        rest = [number for number in range(len(self.slots)) if number not in self.outcomes]
        if not self.is_stopped and set(rest) - self.left:
            self._wait_for_engine()
            return
        unseen = {slot: (order, one) for order, slot, one in self.waiting}
        stop = self._decision([self._left_slot(number, unseen.get(number)) for number in rest])
        if not put_new(self.work.store, self.key, stop):
            recorded = find(self.work.store, self.key, SetStop)
            assert recorded is not None, "a record that is there and is not"
            self._adopt(recorded)
            return
        unbegun = len(self.slots) - self.began
        counts = RoundCounts(aborted=unbegun, decided=len(self.slots))
        self.work.progress.add_to(self.place.round, counts)
        self._conclude(stop)

    def _wait_for_engine(self) -> None:
        """Leave a set whose rule has to wait for slots that a later start tries again."""
        for slot in self.slots[self.began :]:
            slot.begin(self.round.recipe)
            slot.refuse(Generation("cancelled", error=NOT_BEGUN, tries=0))
            self.work.progress.add_to(self.place.round, RoundCounts(failed=1))
        self.done.set_result(Decided(self.slots, None))

    def _left_slot(
        self, number: int, unseen: tuple[tuple[float, ...], Trajectory] | None
    ) -> LeftSlot:
        """What a slot came to that the set was decided without."""
        slot = self.slots[number]
        attempt = len(slot.history.attempts) - 1
        if attempt < 0 or (slot.history.current.is_tombstone and attempt not in slot.refused):
            return LeftSlot(number, slot.begin(self.round.recipe).trajectory_id)
        trajectory_id = slot.history.current.trajectory_id
        if unseen is not None:
            order, trajectory = unseen
            is_own = order[0] > 0
            made = replace(trajectory.generation, tries=1) if is_own else None
            return LeftSlot.of(number, trajectory_id, made)
        made = slot.refused.get(attempt)
        is_aborted = made is not None and made.finish_reason == "aborted"
        return LeftSlot.of(number, trajectory_id, made if is_aborted else None)

    def _decision(self, left: Sequence[LeftSlot]) -> SetStop:
        arriving, place = self.arriving, self.place
        assert arriving.decision is not None
        ending = arriving.ending
        ends_with = None
        if ending is not None:
            ends_with = self.outcomes[ending.slot].candidate.trajectory_id
        return SetStop(
            run_id=self.work.run.run_id,
            round=place.round,
            problem_id=place.problem_id,
            replicate=place.replicate,
            rule=arriving.rule.text,
            width=arriving.width,
            begun=arriving.begun,
            is_stopped=arriving.decision.is_stopped,
            reason=arriving.decision.reason,
            probability=arriving.decision.probability,
            arrivals=tuple(self.seen),
            left=tuple(left),
            engine=self.work.engine_name,
            decided_at=datetime.now(UTC).isoformat(),
            message_keys=tuple(arriving.message_keys),
            ends_with=ends_with,
        )

    def _conclude(self, stop: SetStop) -> None:
        """Give every slot its end by the decision, and go on with the set."""
        for left in stop.left:
            slot = self.slots[left.slot]
            made = left.generation(stop.engine)
            slot.refuse(made)
            slot.decided_at = stop.decided_time
            candidate = Candidate(left.trajectory_id, None, 0)
            self.outcomes[left.slot] = SlotOutcome(candidate, "aborted", "none", made.error)
        if self.go_on is not None:
            found = [self.outcomes[number] for number in range(len(self.slots))]
            self.go_on(mark_answer(found, stop.ends_with))
        self.outcomes.clear()
        self.done.set_result(Decided(self.slots, stop))

    def _adopt(self, stop: SetStop) -> None:
        """Take a decision that is recorded, by an earlier start or another process."""
        named = {one.slot: one.trajectory_id for one in stop.arrivals}
        named |= {one.slot: one.trajectory_id for one in stop.left}
        if stop.rule != self.arriving.rule.text or named.keys() != set(range(len(self.slots))):
            raise StoreError(f"{self.key}: is no decision on this set")
        self.outcomes.clear()
        requests = {number: self._attempt(number, named[number]) for number in named}
        entries = self.work.journal.find_many(one.trajectory_id for one in stop.arrivals)
        for seen, entry in zip(stop.arrivals, entries, strict=True):
            slot, request = self.slots[seen.slot], requests[seen.slot]
            if entry is None:
                made = self._requested(slot, request)
            else:
                made = entry.generation
                is_reused = entry.run_id != self.work.run.run_id
                slot.history = slot.history.ended(made.finish_reason, is_reused)
            trajectory = Trajectory.of(slot.place, request, made)
            compaction = slot.prompt.compaction
            self.outcomes[seen.slot] = SlotOutcome.of(trajectory, compaction, is_lost=True)
        arrived, left = len(stop.arrivals), len(stop.left)
        counts = RoundCounts(reused=arrived, aborted=left, decided=arrived + left)
        self.work.progress.add_to(self.place.round, counts)
        self._conclude(stop)

    def _attempt(self, number: int, trajectory_id: str) -> Request:
        """Begin the attempt at a slot that a record names, after those that failed before it."""
        slot = self.slots[number]
        slot.history, slot.refused = History(), {}
        while True:
            request = slot.begin(self.round.recipe)
            if request.trajectory_id == trajectory_id:
                return request
            entry = self.work.journal.find(request.trajectory_id)
            if entry is None or entry.generation.is_finished:
                raise StoreError(f"{self.key}: names {trajectory_id}, no attempt at slot {number}")
            is_reused = entry.run_id != self.work.run.run_id
            slot.history = slot.history.ended(entry.generation.finish_reason, is_reused)

    def _requested(self, slot: RunSlot, request: Request) -> Generation:
        """What an arrival came to that is in no journal, as its prompt did not fit."""
        now = time.monotonic()
        place = self.place
        hint = partial(self.work.order.hint, self.shard, place.round, place.problem_id)
        (result,) = filled(self.work.begin(place, [request], hint, now))
        if result.generation is not None:
            slot.refuse(result.generation)
            return result.generation
        slot.history = slot.history.ended(result.finish_reason)
        return self._journalled(request.trajectory_id)

    # What follows its requests.

    def sent(self, request: Request) -> None:
        del request
        self.work.order.expected.begin(self.round.problem.problem_id)

    def kept(self, request: Request, made: Generation) -> None:
        if made.is_finished:
            self.texts[request.trajectory_id] = made
            expected = self.work.order.expected
            expected.see(
                self.round.problem.problem_id, made.completion_tokens, made.latency_seconds
            )
