"""How a rule that stops early decides a message set: what arrived in which order, and what came of the
rest.

`pacore.core.stopping` has the rules. Here is how a set goes through one: slots are begun in their order,
each trajectory that ends is an arrival, and after each the rule says whether to begin more, or that the set
is decided. The order of arrival is no content, so it is recorded (`SetStop`): whoever reads it decides the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pacore.core.problem import Problem
from pacore.core.stopping import Arrival, Decision, Stopping, decide
from pacore.core.trajectory import FinishReason, Generation, UsageSource

AnswerKeys = Callable[[Sequence[tuple[str, str]]], Sequence[str]]
"""Gives the keys of (grader, answer) items, in their order: equivalent answers have equal keys."""

AFTER_DECISION = "its round was decided without it"


@dataclass(slots=True)
class Arriving:
    """A message set of so many slots under a rule: what has arrived, and what is decided by now.

    ``message_keys`` are the votes of the messages that its prompts show, where the rule looks at them.
    """

    rule: Stopping
    width: int
    message_keys: Sequence[str | None] = ()
    begun: int = 0
    arrivals: list[Arrival] = field(default_factory=list)
    decision: Decision | None = None

    def begin(self) -> int:
        """How many slots to begin at first."""
        return self._decide().begin

    def see(self, arrival: Arrival) -> Decision:
        """Take one more trajectory that has ended; what is decided now."""
        self.arrivals.append(arrival)
        return self._decide()

    def _decide(self) -> Decision:
        slots = self.rule.slots(self.width, self.message_keys)
        self.decision = decide(self.rule, self.width, self.begun, self.arrivals, slots)
        self.begun += self.decision.begin
        return self.decision

    @staticmethod
    def of(rule: Stopping, width: int, arrivals: Iterable[Arrival]) -> Arriving:
        """A set after some arrivals."""
        arriving = Arriving(rule, width)
        arriving.begin()
        for arrival in arrivals:
            arriving.see(arrival)
        return arriving

    @property
    def ending(self) -> Arrival | None:
        """The arrival whose message has the answer of its replicate, as no round follows, if any."""
        return self.rule.ending(self.arrivals)


@dataclass(frozen=True, slots=True)
class SeenArrival:
    """A trajectory as a rule saw it; ``key`` names the class of answers that it voted for, if any."""

    slot: int
    trajectory_id: str
    key: str | None
    has_message: bool
    tokens: int

    @property
    def arrival(self) -> Arrival:
        return Arrival(self.slot, self.key, self.has_message, self.tokens)


@dataclass(frozen=True, slots=True)
class LeftSlot:
    """A slot that a set was decided without: what its trajectory had cost when it was aborted.

    ``sent`` is how many requests were sent for it, 0 where it was never begun.
    """

    slot: int
    trajectory_id: str
    tokens: int = 0
    source: UsageSource = "unknown"
    sent: int = 0

    @staticmethod
    def of(slot: int, trajectory_id: str, made: Generation | None) -> LeftSlot:
        """By what came of it; None where nothing did."""
        if made is None:
            return LeftSlot(slot, trajectory_id)
        return LeftSlot(
            slot, trajectory_id, made.completion_tokens or 0, made.usage_source, made.tries
        )

    def generation(self, engine: str) -> Generation:
        """What its row says of it."""
        return Generation(
            "aborted",
            completion_tokens=self.tokens,
            usage_source=self.source,
            error=AFTER_DECISION,
            engine=engine,
            tries=self.sent,
        )


@dataclass(frozen=True, slots=True)
class SetStop:
    """How a rule decided one message set: one row of the table ``stops``, and a record of its run.

    ``arrivals`` are in their order, ``left`` has every other slot, in slot order. ``begun`` counts the
    slots that the rule had begun. ``rule`` is the rule as text; ``is_stopped``, ``reason`` and
    ``probability`` are its last decision, taken at a time in ISO 8601. ``message_keys`` are the votes of
    the messages before it, where the rule looks at them, by position. ``ends_with`` is the trajectory whose
    message has the answer, None where a round follows.
    """

    run_id: str
    round: int
    problem_id: str
    replicate: int
    rule: str
    width: int
    begun: int
    is_stopped: bool
    reason: str | None
    probability: float | None
    arrivals: tuple[SeenArrival, ...]
    left: tuple[LeftSlot, ...]
    engine: str
    decided_at: str
    message_keys: tuple[str | None, ...] = ()
    ends_with: str | None = None

    @property
    def decided_time(self) -> datetime:
        return datetime.fromisoformat(self.decided_at)

    @property
    def place(self) -> tuple[int, str, int]:
        return self.round, self.problem_id, self.replicate

    @property
    def trajectory_ids(self) -> tuple[str, ...]:
        return tuple(one.trajectory_id for one in self.arrivals)

    @property
    def answer_keys(self) -> tuple[str | None, ...]:
        return tuple(one.key for one in self.arrivals)

    @property
    def messages(self) -> int:
        return sum(one.has_message for one in self.arrivals)

    @property
    def seen_tokens(self) -> int:
        return sum(one.tokens for one in self.arrivals)

    @property
    def aborted(self) -> tuple[str, ...]:
        return tuple(one.trajectory_id for one in self.left if one.sent)

    @property
    def aborted_tokens(self) -> tuple[int, ...]:
        return tuple(one.tokens for one in self.left if one.sent)

    @property
    def not_begun(self) -> int:
        return sum(not one.sent for one in self.left)


def voted_answer(
    rule: Stopping, problem: Problem, finish_reason: FinishReason, conclusion: str | None
) -> tuple[str, str] | None:
    """The grader of a problem and the answer that it reads in the conclusion of a trajectory; None without
    a vote, and for a rule that depends on none.
    """
    return answer_vote(problem, finish_reason, conclusion) if rule.looks_at_votes else None


def answer_vote(
    problem: Problem, finish_reason: FinishReason, conclusion: str | None
) -> tuple[str, str] | None:
    """The grader of a problem and the answer that it reads in a conclusion; None without a vote."""
    if conclusion is None:
        return None
    # Runs without such a rule need not wait for the graders.
    from pacore.core.grading.choose import choose_grader, gold_answer
    from pacore.core.grading.extraction.extract import Extracted, find_answer
    from pacore.core.grading.programs.tests import wanted_of

    spec = choose_grader(problem)
    wanted = wanted_of(spec, gold_answer(problem))
    found = find_answer(conclusion, spec, wanted, is_cut=finish_reason == "length")
    if not isinstance(found, Extracted) or not found.text.strip():
        return None
    return spec, found.text


def votes_of_messages(
    rule: Stopping, problem: Problem, texts: Sequence[str]
) -> list[tuple[str, str] | None]:
    """What each message that the prompts of a set show votes for, as `voted_answer`; empty for a rule that
    depends on none of them.
    """
    if rule.fewest is None:
        return []
    return [answer_vote(problem, "stop", text) for text in texts]


def keys_by_place(
    answers: Sequence[tuple[str, str] | None], keys_of: AnswerKeys
) -> list[str | None]:
    """The class of each answer, None where there is none; ``keys_of`` gives those of (grader, answer), and
    is called once where there are any.
    """
    given = [answer for answer in answers if answer is not None]
    keys = iter(keys_of(given) if given else ())
    return [None if answer is None else next(keys) for answer in answers]


def plain_keys(items: Sequence[tuple[str, str]]) -> list[str]:
    """The classes of (grader, answer) as far as exact rules know them, without computer algebra."""
    from pacore.core.grading.rules import plain_key
    from pacore.core.grading.spec import parse_spec

    return [plain_key(parse_spec(spec), answer)[0] for spec, answer in items]
