"""What an open run has finished that no table has yet: its generations in the journal.

A shard's trajectories become rows when all of a round are there, and a run that is stopped leaves
shards that are only begun. What they have is in the journal, under ids that follow from the prompts: those
of the next round of each shard, and of problems that went ahead those of the rounds after it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pacore.core.plan import Shard
from pacore.core.policies.stops import SetStop
from pacore.core.quorum import SlotOutcome, mark_answer
from pacore.core.round import OpenSlot, Round, open_slots
from pacore.core.trajectory import Generation, Request, Trajectory
from pacore.runs.inputs import round_inputs
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Commit, read_commits
from pacore.store.journal import Entry, Journal
from pacore.store.layout import Unit
from pacore.store.run import Run, find_set_stop

MAX_SLOTS = 200_000
"""Slots that are derived at most; of more, those of every n-th message set are a sample."""

MAX_FOLLOWED = 20_000
"""Slots whose messages are kept at most, to look for the rounds that problems went ahead to."""

FEWEST_LOOKED_UP = 100
"""Slots of a run that are looked up even where the time is up: fewer are too small a sample."""


COUNTED_TABLES = ("trajectories", "messages", "answers")
"""Tables whose commits say how far a run is."""


@dataclass(frozen=True, slots=True)
class Published:
    """What the current commits of a run say of how far it is."""

    commits: Sequence[Commit]

    @staticmethod
    def of(store: Backend, units: Iterable[Unit]) -> Published:
        """By the current ``units`` of a run. Raises StoreError."""
        return Published(
            list(read_commits(store, [one for one in units if one.table in COUNTED_TABLES]))
        )

    def of_table(self, table: str) -> list[Commit]:
        return [commit for commit in self.commits if commit.unit.table == table]

    def total(self, name: str) -> int:
        """A count of trajectories or answers, summed up."""
        counted = (*self.of_table("trajectories"), *self.of_table("answers"))
        return sum(commit.counts.get(name, 0) for commit in counted)


@dataclass(frozen=True, slots=True)
class Unpublished:
    """Of ``slots`` of rounds whose prompts are known: those whose trajectory is finished, those of them
    that another run generated, and the completion tokens of the others; estimates where not all were
    looked up.
    """

    slots: int = 0
    finished: int = 0
    reused: int = 0
    completion_tokens: int = 0
    is_estimate: bool = False

    def __add__(self, other: Unpublished) -> Unpublished:
        return Unpublished(
            self.slots + other.slots,
            self.finished + other.finished,
            self.reused + other.reused,
            self.completion_tokens + other.completion_tokens,
            self.is_estimate or other.is_estimate,
        )


def unpublished(
    store: Backend, run: Run, commits: Iterable[Commit], deadline: float, max_slots: int = MAX_SLOTS
) -> Unpublished:
    """Look up what the journal has of a run's next rounds, and of the rounds that problems went ahead to,
    until ``deadline`` of the monotonic clock.

    ``commits`` are the run's current ones of trajectories and messages. Ids are digests, so the
    first in their order are a fair sample of all: where time is up, what was found among them is
    scaled to the rest. Prompts that a server's window made shorter are not known here, and what was
    generated for them is left out.
    """
    rounds = list(_next_rounds(run, commits))
    slots = sum(
        (shard.stop - shard.start) * run.plan.replicates * run.plan.width(round_)
        for shard, round_, _ in rounds
    )
    step = max(1, -(-slots // max_slots))
    sets = [
        _Set.of(store, run, Round(run.plan, run.recipe, problem, (round_, replicate), messages))
        for shard, round_, path in rounds
        for problem, replicate, messages in islice(
            round_inputs(store, run, shard, path), 0, None, step
        )
    ]
    journal, found = Journal(store), Unpublished()
    while sets:
        found += _look_up(journal, run, sets, step, deadline)
        ahead = [one.ahead() for one in sets]
        sets = [_Set.of(store, run, round_) for round_ in ahead if round_ is not None]
    return found


def _next_rounds(run: Run, commits: Iterable[Commit]) -> Iterator[tuple[Shard, int, str | None]]:
    """Each shard's first round without trajectories, where its prompts are known: with the file of
    the messages they are made of, None for round 1.
    """
    done = {(one.unit.table, one.unit.shard, one.unit.round): one.path for one in commits}
    for shard in run.shards:
        for round_ in range(1, run.plan.rounds + 1):
            if ("trajectories", shard.name, round_) in done:
                continue
            path = done.get(("messages", shard.name, round_ - 1))
            if round_ == 1 or path is not None:
                yield shard, round_, path
            break


class _Set:
    """The slots of a problem in a round with the first attempts at them, and what those came to.

    Of a set that a rule has decided these are the slots that had arrived; the others are ``left``.
    """

    def __init__(self, round_: Round, stop: SetStop | None) -> None:
        self._round = round_
        self._outcomes: dict[int, SlotOutcome] = {}
        slots = open_slots(round_.prompts())
        self._ends_with = None if stop is None else stop.ends_with
        arrived = None if stop is None else {one.slot for one in stop.arrivals}
        self.slots = [one for one in slots if arrived is None or one.place.slot in arrived]
        self.left = len(slots) - len(self.slots)

    @staticmethod
    def of(store: Backend, run: Run, round_: Round) -> _Set:
        """The set of a round, with the decision that is recorded of it."""
        stop = None
        if round_.step.stopping is not None:
            number, replicate = round_.place
            stop = find_set_stop(store, run.run_id, number, round_.problem.problem_id, replicate)
        return _Set(round_, stop)

    def requests(self) -> Iterator[tuple[Request, _Set, OpenSlot]]:
        """The first attempt at each slot, with the set and the slot."""
        return ((slot.begin(self._round.recipe), self, slot) for slot in self.slots)

    @property
    def is_last(self) -> bool:
        """Whether no round follows."""
        return self._round.place[0] == self._round.plan.rounds

    def note(self, slot: OpenSlot, request: Request, made: Generation) -> None:
        """Keep what a slot came to that was finished, for the round after this one if there is one."""
        if not self.is_last:
            trajectory = Trajectory.of(slot.place, request, made)
            self._outcomes[slot.place.slot] = SlotOutcome.of(trajectory, slot.prompt.compaction)

    def ahead(self) -> Round | None:
        """The next round, where every slot of this one is finished and there is one."""
        if not self._outcomes or len(self._outcomes) < len(self.slots):
            return None
        outcomes = [self._outcomes[slot] for slot in sorted(self._outcomes)]
        concluded = self._round.conclude(mark_answer(outcomes, self._ends_with))
        return self._round.after(concluded) if isinstance(concluded, list) else None


def _look_up(
    journal: Journal, run: Run, sets: Sequence[_Set], step: int, deadline: float
) -> Unpublished:
    """What the slots of some sets came to, of which each stands for ``step``."""
    slots = sorted(
        (request for one in sets for request in one.requests()),
        key=lambda one: one[0].trajectory_id,
    )
    is_followed = len(slots) <= MAX_FOLLOWED or all(one.is_last for one in sets)
    found: Counter[str] = Counter()
    looked_up = 0
    entries = journal.find_many(request.trajectory_id for request, _, _ in slots)
    for (request, one, slot), first in zip(slots, entries, strict=True):
        entry = _first_finished(journal, request, first)
        looked_up += 1
        if entry is not None:
            is_reused = entry.run_id != run.run_id
            found["finished"] += 1
            found["reused"] += is_reused
            found["completion_tokens"] += (
                0 if is_reused else entry.generation.completion_tokens or 0
            )
            if is_followed:
                one.note(slot, request, entry.generation)
        if looked_up >= FEWEST_LOOKED_UP and time.monotonic() > deadline:
            break
    scale = step * len(slots) / max(looked_up, 1)
    left = step * sum(one.left for one in sets)
    return Unpublished(
        step * len(slots) + left,
        round(found["finished"] * scale) + left,
        round(found["reused"] * scale),
        round(found["completion_tokens"] * scale),
        (scale != 1 and looked_up > 0) or not is_followed,
    )


def _first_finished(journal: Journal, request: Request, entry: Entry | None) -> Entry | None:
    """The first attempt at a slot that was finished; None where every one is a tombstone."""
    attempt = request.attempt
    while entry is not None and not entry.generation.is_finished:
        attempt += 1
        again = Request.of(
            request.recipe, request.turns, request.prompt_digest, request.draw, attempt
        )
        entry = journal.find(again.trajectory_id)
    return entry
