"""Audit of rules that stop early: each decision is taken again from what had arrived, in the order that is
recorded.

The order of arrival is nobody's to recompute; all else about a decision follows from it, from the rows of
the trajectories, and from the rule of the plan. The run's own record of the decision says the same as its
row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property

from pacore.audit.derive import PlaceRows, slot_outcome
from pacore.audit.finding import Finding, Where, differing, quoted
from pacore.core.grading.extraction.extract import EXTRACTION_VERSION
from pacore.core.policies.stops import (
    Arriving,
    SetStop,
    keys_by_place,
    plain_keys,
    voted_answer,
    votes_of_messages,
)
from pacore.core.stopping import Arrival, Stopping
from pacore.core.trajectory import FAILED
from pacore.errors import StoreError
from pacore.sandbox.grade import answer_keys
from pacore.store.backends.protocol import Backend
from pacore.store.layout import set_stop_key
from pacore.store.records import BadRecord, find
from pacore.store.rows import StoredStop, StoredTrajectory
from pacore.store.run import Run

TIMEOUT_SECONDS = 5.0
"""For the class of one answer."""


def check_stops(
    store: Backend, run: Run, here: PlaceRows, *, is_read_alike: bool
) -> Iterator[Finding]:
    """Compare how a rule has decided one message set with what follows from its rows.

    ``is_read_alike``: this version reads the answers that were voted for as that did which wrote them.
    """
    if here.trajectories is None or here.stops is None:
        return
    rule = run.plan.step(here.round).stopping
    if rule is None or not here.trajectories:
        for stop in here.stops:
            what = "is of a set that no rule stops early"
            yield Finding("stops", Where.of(stop, here.round), what)
    if rule is None:
        yield from _unruled(here)
        return
    if not here.trajectories:
        return
    if not here.stops:
        yield from _missing(here)
        return
    stop, *more = here.stops
    where = Where.of(stop, here.round)
    if more:
        yield Finding("duplicates", where, f"is here {len(here.stops)} times")
    audited = _Stop(run, here, rule, stop, where)
    yield from audited.findings(is_read_alike=is_read_alike)
    yield from _recorded(store, run, stop, here.round, where)


def _unruled(here: PlaceRows) -> Iterator[Finding]:
    for row in here.trajectories or []:
        if row.finish_reason == "aborted":
            what = "was aborted, and the plan has no rule that stops this round early"
            yield Finding("stops", Where.of(row, here.round), what)


def _missing(here: PlaceRows) -> Iterator[Finding]:
    """A set without a decision waits for the engine; nothing of it was aborted."""
    current = here.current()
    where = here.where("stops")
    if not any(row.finish_reason in FAILED for row in current):
        yield Finding("stops", where, "is missing: all slots of the set have come to their end")
    elif any(row.finish_reason == "aborted" for row in current):
        yield Finding("stops", where, "is missing: trajectories of the set were aborted")


@dataclass(frozen=True)
class _Stop:
    """One decision, with the rows that it is about."""

    run: Run
    here: PlaceRows
    rule: Stopping
    stop: StoredStop
    where: Where

    @cached_property
    def rows(self) -> Mapping[str, StoredTrajectory]:
        """The trajectories of the set by id."""
        return {row.trajectory_id: row for row in self.here.trajectories or []}

    @cached_property
    def seen(self) -> list[StoredTrajectory]:
        """Those that had arrived, in their order, as far as they are of the set."""
        return [self.rows[one] for one in self.stop.trajectory_ids if one in self.rows]

    def findings(self, *, is_read_alike: bool) -> Iterator[Finding]:
        width = len(self.here.slots())
        of_plan = {"rule": self.rule.text, "width": width}
        yield from differing(self.stop, of_plan, self.where, "stops", "the plan says")
        found = list(self._arrivals())
        yield from found
        yield from self._left()
        if found:
            return
        keys = self.stop.answer_keys
        if is_read_alike:
            wrong = list(self._keys())
            yield from wrong
            if wrong:
                return
        arrivals = [
            Arrival(row.slot, key, self._has_message(row), row.completion_tokens or 0)
            for row, key in zip(self.seen, keys, strict=True)
        ]
        summed = {
            "messages": sum(one.has_message for one in arrivals),
            "seen_tokens": sum(one.tokens for one in arrivals),
        }
        yield from differing(self.stop, summed, self.where, "stops", "what arrived adds up to")
        if is_read_alike:
            wrong = list(self._message_keys())
            yield from wrong
            if wrong:
                return
        yield from self._decision(width, arrivals)

    def _arrivals(self) -> Iterator[Finding]:
        """What arrived are trajectories of the set that had ended, each of another slot, with its key."""
        slots: set[int] = set()
        for trajectory_id in self.stop.trajectory_ids:
            row = self.rows.get(trajectory_id)
            what = None
            if row is None:
                what = "is no trajectory of the set"
            elif row.finish_reason in ("aborted", "cancelled"):
                what = f"arrived, and its row says {row.finish_reason}"
            elif row.slot in slots:
                what = f"arrived, and so had another of slot {row.slot}"
            if row is not None:
                slots.add(row.slot)
            if what is not None:
                yield Finding("stops", self.where, f"trajectory {quoted(trajectory_id)} {what}")
        ids, keys = len(self.stop.trajectory_ids), len(self.stop.answer_keys)
        if ids != keys:
            what = f"answer_keys are {keys}; {ids} trajectories arrived"
            yield Finding("stops", self.where, what)

    def _left(self) -> Iterator[Finding]:
        """Every other slot was aborted, or nothing was sent for it; what they cost is as their rows say."""
        arrived = {row.slot for row in self.seen}
        left = [row for row in self.here.current() if row.slot not in arrived]
        for row in left:
            if row.finish_reason != "aborted":
                what = f"is {row.finish_reason}; it had not arrived when its set was decided"
                yield Finding("stops", Where.of(row, self.here.round), what)
        for row in self.here.current():
            if row.finish_reason == "aborted" and row.slot in arrived:
                what = "was aborted, and its slot had arrived when its set was decided"
                yield Finding("stops", Where.of(row, self.here.round), what)
        sent = [row for row in left if row.tries]
        expected = {
            "aborted": [row.trajectory_id for row in sent],
            "aborted_tokens": [row.completion_tokens or 0 for row in sent],
            "not_begun": len(left) - len(sent),
        }
        yield from differing(self.stop, expected, self.where, "stops", "the rows say")
        for row in left:
            if not row.tries and row.completion_tokens:
                what = f"cost {row.completion_tokens} tokens, and nothing was sent for it"
                yield Finding("stops", Where.of(row, self.here.round), what)

    def _keys(self) -> Iterator[Finding]:
        """Each vote is for the class of the answer that the trajectory's conclusion has."""
        read = [
            voted_answer(self.rule, self.here.problem, row.finish_reason, row.conclusion)
            for row in self.seen
        ]
        keys, plain = _keys_of(read)
        pairs = zip(self.seen, self.stop.answer_keys, keys, plain, strict=True)
        for row, key, expected, by_text in pairs:
            if key not in (expected, by_text):
                what = (
                    f"the vote of trajectory {row.trajectory_id} is {quoted(key)}; its conclusion gives "
                    f"{quoted(expected)}"
                )
                yield Finding("stops", self.where, what)

    def _message_keys(self) -> Iterator[Finding]:
        """The messages before the set vote for the answers that they have."""
        if self.here.before is None:
            return
        texts = [message.text for message in self.here.before]
        read = votes_of_messages(self.rule, self.here.problem, texts)
        keys, plain = _keys_of(read)
        stated = self.stop.message_keys
        if len(stated) != len(read) or any(
            key not in known for key, *known in zip(stated, keys, plain, strict=True)
        ):
            what = f"message_keys are {quoted(stated)}; the messages give {quoted(keys)}"
            yield Finding("stops", self.where, what)

    def _has_message(self, row: StoredTrajectory) -> bool:
        place = self.here.round, self.here.problem
        outcome = slot_outcome(self.run, place, row, self.here.entry(row))
        return outcome.candidate.text is not None

    def _decision(self, width: int, arrivals: Sequence[Arrival]) -> Iterator[Finding]:
        """The rule decides at the last arrival what is recorded, and before it nothing."""
        arriving = Arriving(self.rule, width, self.stop.message_keys)
        arriving.begin()
        for number, arrival in enumerate(arrivals, 1):
            decision = arriving.see(arrival)
            if decision.is_stopped and number < len(arrivals):
                what = (
                    f"{len(arrivals)} trajectories arrived; the rule decides after {number} of them"
                )
                yield Finding("stops", self.where, what)
                return
        assert arriving.decision is not None
        ending = arriving.ending
        expected = {
            "begun": arriving.begun,
            "is_stopped": arriving.decision.is_stopped,
            "reason": arriving.decision.reason,
            "probability": arriving.decision.probability,
            "ends_with": None if ending is None else self._at_slot(ending.slot),
        }
        yield from differing(self.stop, expected, self.where, "stops", "the rule gives")
        may_end_short = arriving.decision.is_stopped or self.rule.abort_late
        if len(arrivals) < width and not may_end_short:
            what = (
                f"{len(arrivals)} of {width} trajectories arrived, and the rule stops nothing yet"
            )
            yield Finding("stops", self.where, what)

    def _at_slot(self, slot: int) -> str:
        return next(row.trajectory_id for row in self.seen if row.slot == slot)


def _keys_of(
    answers: Sequence[tuple[str, str] | None],
) -> tuple[list[str | None], list[str | None]]:
    """The classes of answers, and what they are by text: what computer algebra cannot tell in time counts
    by its text, on one day or the other.
    """
    exact = keys_by_place(answers, lambda some: answer_keys(some, TIMEOUT_SECONDS))
    return exact, keys_by_place(answers, plain_keys)


def _recorded(
    store: Backend, run: Run, stop: StoredStop, round_: int, where: Where
) -> Iterator[Finding]:
    """The record by which a resume goes on says what the row says."""
    key = set_stop_key(run.run_id, round_, stop.problem_id, stop.replicate)
    try:
        record = find(store, key, SetStop)
    except BadRecord as bad:
        yield Finding("stops", Where(key), bad.why)
        return
    except StoreError as fault:
        yield Finding("stops", Where(key), f"cannot be read: {fault}")
        return
    if record is None:
        yield Finding("stops", Where(key), "is missing")
        return
    if (record.run_id, *record.place) != (run.run_id, round_, stop.problem_id, stop.replicate):
        yield Finding("stops", Where(key), f"is of {quoted((record.run_id, *record.place))}")
        return
    names = (
        "rule", "width", "begun", "is_stopped", "reason", "probability", "trajectory_ids",
        "answer_keys", "messages", "seen_tokens", "aborted", "aborted_tokens", "not_begun",
        "message_keys", "ends_with",
    )  # fmt: skip
    stated = {name: getattr(record, name) for name in names}
    expected = {
        name: list(value) if isinstance(value, tuple) else value for name, value in stated.items()
    }
    decided_at = record.decided_time.astimezone(UTC).replace(tzinfo=None)
    yield from differing(
        stop, {**expected, "decided_at": decided_at}, where, "stops", f"{key} says"
    )


def reads_alike(producer: Mapping[str, object]) -> bool:
    """Whether what wrote decisions read answers as this version does."""
    return producer.get("extraction") == EXTRACTION_VERSION
