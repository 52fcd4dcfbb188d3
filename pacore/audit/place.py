"""Audit of one place: its trajectories, their messages and its answer, each against what it follows from.

A place is a problem and a replicate. A trajectory is planned, named by its content, and as the journal
has it; a message set is compacted again from its trajectories; an answer is read again from the last
message.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pacore.audit.derive import (
    PlaceRows,
    Prompts,
    concluded,
    needs_journal,
    recipe_of_attempt,
    slot_outcome,
)
from pacore.audit.finding import Finding, Where, differing, quoted
from pacore.core.answer import Answer, Ended, final_answer
from pacore.core.identity import sha256_hex, trajectory_key
from pacore.core.message import Message
from pacore.core.problem import Problem
from pacore.core.quorum import SlotOutcome, mark_answer
from pacore.core.trajectory import NOT_JOURNALLED, UNFINISHED, normalise
from pacore.store.journal import Named
from pacore.store.layout import journal_key
from pacore.store.rows import StoredAnswer, StoredMessage, StoredText, StoredTrajectory
from pacore.store.run import Run

_EARLIER = frozenset(("answer/1",))
"""Compactors that read other answers in conclusions; their messages cannot be recomputed."""

_ANSWER_COLUMNS = ("status", "answer", "method", "trajectory_id", "finish_reason", "failed_round")
"""All but ``reason``, which is words for a person."""

_UNREAD_COLUMNS = ("trajectory_id", "finish_reason", "failed_round")
"""Columns that do not depend on how an answer is read in a message."""


@dataclass(frozen=True)
class Concluded:
    """The rows one replicate of a problem ends in, and what they follow from.

    ``file`` is that of the answers, ``final`` are the messages of the last round. ``is_read_alike``:
    whether the answers were read by this version of `pacore.core.grading.extraction.extract`.
    """

    problem: Problem
    replicate: int
    file: str
    ended: Ended | None
    final: list[StoredMessage]
    answers: list[StoredAnswer]
    is_read_alike: bool


def check_trajectories(run: Run, here: PlaceRows) -> Iterator[Finding]:
    """Compare the trajectories of one place with the plan, their prompts and the journal."""
    if here.trajectories is None:
        return
    prompts = None
    if here.before or (here.round == 1 and here.before is not None):
        texts = [message.text for message in here.before]
        prompts = Prompts(run, here.problem, (here.round, here.replicate), texts)
    yield from _slots(here, prompts)
    yield from _attempts(here)
    yield from _prompts(here, prompts)
    for row in here.trajectories:
        where = Where.of(row, here.round)
        yield from _limit(run, row, where)
        yield from _identity(run, row, where)
        yield from _journalled(run, here, row, where)
    yield from _texts(here)
    yield from _alike(run, here)


def _slots(here: PlaceRows, prompts: Prompts | None) -> Iterator[Finding]:
    """Every slot of the plan is there, no other, and each took the draw the plan says."""
    rows, place = here.trajectories or [], here.where("trajectories")
    if here.before == [] and here.round > 1 and rows:
        what = f"is in round {here.round}, but round {here.round - 1} gave no messages"
        yield Finding("lineage", Where.of(rows[0], here.round), what)
    if prompts is None:
        return
    draws, slots = prompts.draws, here.slots()
    for slot in draws.keys() - slots.keys():
        yield Finding("plan", place.at(slot=slot), "is missing: the plan has a trajectory here")
    for slot, attempts in slots.items():
        where = Where.of(attempts[0], here.round)
        if slot not in draws:
            yield Finding("plan", where, f"is too many: the round has slots 0 to {len(draws) - 1}")
            continue
        for row in attempts:
            where = Where.of(row, here.round)
            yield from differing(row, {"draw": draws[slot]}, where, "plan", "the plan says")


def _limit(run: Run, row: StoredTrajectory, where: Where) -> Iterator[Finding]:
    """An attempt had the limit of its round, or one that a retry gave it within the round's bound."""
    bound, limit = run.plan.step(where.round or 1).max_tokens, row.max_tokens
    is_bounded = bound is None or (limit is not None and limit <= bound)
    if limit != bound and not (row.retry_of and is_bounded):
        yield Finding("plan", where, f"max_tokens is {limit}; the plan gives this round {bound}")


def _attempts(here: PlaceRows) -> Iterator[Finding]:
    """Attempts count from 0 without a gap, none is there twice, and a retry names what it replaced."""
    rows = here.trajectories or []
    ids = Counter(row.trajectory_id for row in rows)
    for attempts in here.slots().values():
        earlier: set[str] = set()
        for number, row in enumerate(attempts):
            where = Where.of(row, here.round)
            if number and row.attempt == attempts[number - 1].attempt:
                yield Finding("duplicates", where, "is here twice")
            elif row.attempt != number and len(attempts) == len({a.attempt for a in attempts}):
                yield Finding("attempts", where, f"is the slot's attempt number {number} in order")
            if row.retry_of is not None and row.retry_of not in earlier:
                what = f"retries {row.retry_of}, which is no earlier attempt at this slot"
                yield Finding("lineage", where, what)
            earlier.add(row.trajectory_id)
    for first, second in pairwise(sorted(rows, key=lambda row: str(row.trajectory_id))):
        same_slot = (first.slot, first.attempt) == (second.slot, second.attempt)
        if first.trajectory_id == second.trajectory_id and not same_slot:
            count = ids[second.trajectory_id]
            what = f"trajectory {second.trajectory_id} is {count} times in this set"
            yield Finding("duplicates", Where.of(second, here.round), what)


def _prompts(here: PlaceRows, prompts: Prompts | None) -> Iterator[Finding]:
    """Each prompt digest is that of P(x, M), rendered again with the messages that the plan shows."""
    for row in here.trajectories or []:
        prompt = prompts.of(row) if prompts is not None else None
        if prompt is None:
            continue
        where = Where.of(row, here.round)
        seen = prompt.positions
        if row.prompt_positions != (None if seen is None else list(seen)):
            what = f"prompt_positions is {quoted(row.prompt_positions)}; the plan shows it "
            yield Finding("prompts", where, what + ("all" if seen is None else quoted(list(seen))))
        if row.prompt_digest != prompt.digest:
            count = len(prompt.shown(here.before or []))
            source = f"{count} messages before it" if here.before else "the problem"
            what = (
                f"prompt_digest is {row.prompt_digest[:12]}…; the prompt rendered again from "
                f"{source} has {prompt.digest[:12]}…"
            )
            yield Finding("prompts", where, what)


def _identity(run: Run, row: StoredTrajectory, where: Where) -> Iterator[Finding]:
    """Id and seed follow from recipe, prompt, draw and attempt."""
    recipe = recipe_of_attempt(run, row)
    try:
        key = trajectory_key(recipe.digest, row.prompt_digest, row.draw, row.attempt)
    except UnicodeEncodeError:
        yield Finding("identity", where, f"prompt_digest is {quoted(row.prompt_digest)}")
        return
    because = "recipe, prompt, draw and attempt make"
    yield from differing(row, key._asdict(), where, "identity", because)


def _journalled(
    run: Run, here: PlaceRows, row: StoredTrajectory, where: Where
) -> Iterator[Finding]:
    """The row says what the journal's entry says."""
    key = journal_key(row.trajectory_id)
    found = here.entries.get(row.trajectory_id)
    if isinstance(found, str):
        yield Finding("journal", where, found)
        return
    if found is None:
        if row.finish_reason not in NOT_JOURNALLED:
            yield Finding("journal", where, f"{key} is missing")
        return
    if row.finish_reason == "aborted":
        # What the journal has is of another run, or came after the decision.
        return
    entry = found.entry
    if entry.trajectory_id != row.trajectory_id:
        yield Finding("journal", where, f"{key} is the entry of {quoted(entry.trajectory_id)}")
        return
    if entry.named is not None:
        recipe = recipe_of_attempt(run, row).digest
        named = Named(recipe, row.prompt_digest, row.draw, row.attempt, row.seed)
        yield from differing(named, entry.named._asdict(), where, "journal", f"{key} says")
    yield from differing(row, found.columns, where, "journal", f"{key} says")
    if row.reused and entry.run_id == run.run_id:
        yield Finding("reuse", where, f"is marked as reused; {key} is this run's own")
    if row.text_run_id not in (run.run_id, entry.run_id):
        what = f"text_run_id is {quoted(row.text_run_id)}; {key} is of {quoted(entry.run_id)}"
        yield Finding("reuse", where, what)


def _digest(text: str | None) -> str | None:
    return None if text is None else sha256_hex(text.encode("utf-8", "surrogatepass"))


def _texts(here: PlaceRows) -> Iterator[Finding]:
    """A stored text is that of the journal, and is stored once."""
    seen: set[str] = set()
    for row in here.texts or []:
        where = Where.of(row, here.round)
        key = journal_key(row.trajectory_id)
        if row.trajectory_id in seen:
            yield Finding("texts", where, f"the text of {row.trajectory_id} is here twice")
        seen.add(row.trajectory_id)
        if isinstance(here.entries.get(row.trajectory_id), str):
            continue
        entry = here.entry(row)
        if entry is None and _is_overflow(here, row):
            continue
        if entry is None:
            yield Finding("texts", where, f"{key} is missing")
            continue
        made = normalise(entry.generation).reasoning, entry.generation.content
        for column, text in zip(("reasoning", "content"), made, strict=True):
            if getattr(row, f"{column}_sha256") != _digest(text):
                what = f"{column} of {row.trajectory_id} is not what {key} has"
                yield Finding("texts", where, what)


def _is_overflow(here: PlaceRows, text: StoredText) -> bool:
    """Whether there is nothing to be journalled: the prompt never reached a model."""
    empty = text.reasoning_sha256 is None and text.content_sha256 is None
    rows = [r for r in here.trajectories or [] if r.trajectory_id == text.trajectory_id]
    return empty and all(row.finish_reason in NOT_JOURNALLED for row in rows)


def _alike(run: Run, here: PlaceRows) -> Iterator[Finding]:
    """Samples of one prompt at a temperature above 0 with equal texts are suspicious, not wrong."""
    if not run.recipe.temperature > 0:
        return
    alike: dict[tuple[str | None, ...], list[StoredTrajectory]] = defaultdict(list)
    for row in here.current():
        entry = here.entry(row)
        if entry is None or row.finish_reason in UNFINISHED:
            continue
        text = entry.generation.reasoning, entry.generation.content
        if any(text):
            alike[row.prompt_digest, *map(_digest, text)].append(row)
    for rows in alike.values():
        if len({row.trajectory_id for row in rows}) > 1:
            slots = ", ".join(str(row.slot) for row in rows)
            what = f"slots {slots} hold the same text, sampled under different seeds"
            where = Where.of(rows[1], here.round)
            yield Finding("duplicates", where, what, "warning")


def expected_outcomes(run: Run, here: PlaceRows) -> list[SlotOutcome]:
    """What the slots of a place came to, with the message compaction makes of each."""
    place = here.round, here.problem
    found = [slot_outcome(run, place, row, here.entry(row)) for row in here.current()]
    ends_with = here.stops[0].ends_with if here.stops else None
    if ends_with is not None:
        # A set is decided once none of its slots is to be tried again.
        found = [replace(outcome, is_lost=True) for outcome in mark_answer(found, ends_with)]
    return found


def check_messages(run: Run, here: PlaceRows, found: Sequence[SlotOutcome]) -> Iterator[Finding]:
    """Compare one message set with what its slots came to: texts, order, positions, set."""
    if here.messages is None or here.trajectories is None:
        return
    plan = run.plan
    policy = plan.step(here.round).compaction.policy
    if policy == "answer" and any(row.compactor in _EARLIER for row in here.messages or []):
        return
    if any(
        here.entry(row) is None and needs_journal(plan, here.round, row) for row in here.current()
    ):
        return
    place = (here.round, here.problem.problem_id, here.replicate)
    expected = concluded(plan, place, found, is_lenient=bool(here.messages)) if found else []
    if not found or not isinstance(expected, list):
        if here.messages:
            what = "is a message of a set on which no round could follow"
            yield Finding("messages", Where.of(here.messages[0], here.round), what)
        return
    yield from _compare_set(here, expected)


def _compare_set(here: PlaceRows, expected: Sequence[Message]) -> Iterator[Finding]:
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
            yield from _same_message(row, message, where)
        seen.add(row.trajectory_id)
    for message in expected:
        if message.trajectory_id not in seen:
            where = here.where("messages").at(position=message.position)
            slot = slots[message.trajectory_id]
            what = f"is missing: the message of slot {slot}, trajectory {message.trajectory_id}"
            yield Finding("messages", where, what)


def _same_message(row: StoredMessage, message: Message, where: Where) -> Iterator[Finding]:
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


def check_answer(run: Run, here: Concluded) -> Iterator[Finding]:
    """Compare one answer with the message it was read from."""
    if not here.answers:
        problem_id = here.problem.problem_id
        where = Where(here.file, "answers", run.plan.rounds, problem_id, here.replicate)
        yield Finding("answers", where, "is missing")
        return
    row = here.answers[0]
    where = Where.of(row, run.plan.rounds)
    if len(here.answers) > 1:
        yield Finding("duplicates", where, f"is here {len(here.answers)} times")
    expected = _expected_answer(run, here)
    if expected is None:
        yield Finding("lineage", where, "no trajectory of this replicate leads to it")
        return
    columns = _ANSWER_COLUMNS if here.is_read_alike else _UNREAD_COLUMNS
    because = "read again from the last message it is" if here.final else "from what there is it is"
    values = {column: getattr(expected, column) for column in columns}
    yield from differing(row, values, where, "answers", because)
    if (row.reason is None) != (row.status == "answered"):
        what = f"reason is {quoted(row.reason)} where status is {row.status}"
        yield Finding("answers", where, what)


def _expected_answer(run: Run, here: Concluded) -> Answer | None:
    """The answer the rows before it lead to; None where there are none."""
    if here.ended is None:
        return None
    ended, plan = here.ended, run.plan
    if here.final:
        row, problem_id = here.final[0], here.problem.problem_id
        message = Message(
            plan.rounds, problem_id, here.replicate, 1, row.trajectory_id, row.text, ""
        )
        ended = replace(ended, messages=[message])
    return final_answer(plan, here.problem, here.replicate, ended)
