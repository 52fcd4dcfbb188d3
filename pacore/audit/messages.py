"""Audit of messages: each set is compacted again from its trajectories, and compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacore.audit.derive import PlaceRows, concluded, needs_journal, slot_outcome
from pacore.audit.finding import Finding, Where, differing, quoted
from pacore.core.message import Message
from pacore.core.quorum import Shortfall, SlotOutcome
from pacore.store.rows import StoredMessage
from pacore.store.run import Run

EARLIER = frozenset(("answer/1",))
"""Compactors that read other answers in conclusions; their messages cannot be recomputed."""


def expected_outcomes(run: Run, here: PlaceRows) -> list[SlotOutcome]:
    """What the slots of a place came to, with the message compaction makes of each."""
    place = here.round, here.problem
    return [slot_outcome(run, place, row, here.entry(row)) for row in here.current()]


def check_messages(run: Run, here: PlaceRows, found: Sequence[SlotOutcome]) -> Iterator[Finding]:
    """Compare one message set with what its slots came to: texts, order, positions, set."""
    if here.messages is None or here.trajectories is None:
        return
    plan = run.plan
    policy = plan.step(here.round).compaction.policy
    if policy == "answer" and any(row.compactor in EARLIER for row in here.messages or []):
        return
    if any(
        here.entry(row) is None and needs_journal(plan, here.round, row) for row in here.current()
    ):
        return
    place = (here.round, here.problem.problem_id, here.replicate)
    expected = concluded(plan, place, found, is_lenient=bool(here.messages)) if found else []
    if not found or isinstance(expected, Shortfall):
        if here.messages:
            what = "is a message of a set on which no round could follow"
            yield Finding("messages", Where.of(here.messages[0], here.round), what)
        return
    yield from _compare(here, expected)


def _compare(here: PlaceRows, expected: Sequence[Message]) -> Iterator[Finding]:
    rows = here.messages or []
    by_id = {message.trajectory_id: message for message in expected}
    slots = {row.trajectory_id: row.slot for row in here.current()}
    seen: set[str] = set()
    for row in rows:
        where = Where.of(row, here.round)
        message = by_id.get(row.trajectory_id)
        if message is None:
            named = quoted(row.trajectory_id)
            yield Finding("messages", where, f"trajectory {named} gives this set no message")
        elif row.trajectory_id in seen:
            yield Finding("duplicates", where, f"trajectory {message.trajectory_id} is here twice")
        else:
            yield from _same(row, message, where)
        seen.add(row.trajectory_id)
    for message in expected:
        if message.trajectory_id not in seen:
            where = here.where("messages").at(position=message.position)
            slot = slots[message.trajectory_id]
            what = f"is missing: the message of slot {slot}, trajectory {message.trajectory_id}"
            yield Finding("messages", where, what)


def _same(row: StoredMessage, message: Message, where: Where) -> Iterator[Finding]:
    """A message's row is what compaction gives."""
    if row.text != message.text:
        at = _first_difference(row.text, message.text)
        what = (
            f"text is not the one compacted from trajectory {message.trajectory_id}: from character "
            f"{at} it is {quoted(row.text[at:])}, and should be {quoted(message.text[at:])}"
        )
        yield Finding("messages", where, what)
    for column, value, because in (
        ("position", message.position, "the order of the set makes it"),
        ("characters", len(row.text), "the text has"),
        ("compactor", message.compactor, "the plan says"),
    ):
        yield from differing(row, {column: value}, where, "messages", because)


def _first_difference(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
