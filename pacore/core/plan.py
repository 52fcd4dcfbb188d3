"""The plan of a run: trajectory configuration, replicates, draws, the steps, and shards of problems.

A plan expands to steps, one a round: what the round does, how many slots it has, and what compaction
makes of its trajectories.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

from pacore.core.grading.programs.program import Wanted
from pacore.core.problem import Turn
from pacore.core.stopping import Stopping, parse_stopping

Preset = Literal["single", "low", "medium", "high"]


PRESETS: dict[Preset, tuple[int, ...]] = {
    "single": (),
    "low": (4,),
    "medium": (16,),
    "high": (32, 4),
}
"""The paper's trajectory configurations (section 3.2); the final round of width 1 is implied. ``single``
is that round alone: its K replicates are K samples of the bare problem, each with an answer of its own.
"""

MessageOrder = Literal["content", "reference"]


CompactionPolicy = Literal["conclusion", "verbatim", "reference", "answer", "summary"]


ShortfallPolicy = Literal["fail", "refill", "proceed"]


TruncatedPolicy = Literal["drop", "tail"]


OverflowPolicy = Literal["fail", "fewer_messages"]


SelectPolicy = Literal["own", "random", "shortest", "longest", "majority", "spread", "trained"]

FIRST_FIELDS = ("widths", "replicates", "pool", "message_order", "compaction", "min_messages")
"""Fields that a plan's JSON always has; those added since are left out where they have their default."""

DRAWS_A_ROUND = 10_000_000
"""More than any round takes of a prompt: the distance between rounds that are numbered apart."""

MAX_SHARDS = 200


TRAJECTORIES_A_SHARD = 256


MIN_SHARDS = 4


@dataclass(frozen=True)
class Plan:
    """How many trajectories each round samples, how they are drawn, and what becomes of them.

    ``widths`` is K⃗ without the implied final 1 (eq. 1). ``pool`` None draws every replicate
    afresh; a number P gives each replicate K of the first P draws, as the paper does with 512.
    ``min_messages`` is the quorum: what a problem needs from a round to go on, one number for all
    rounds or one for each of ``widths``; ``on_shortfall`` is what happens to a set short of it, and
    ``refills`` how many further attempts a slot gets to make it up. ``truncated`` and
    ``tail_tokens`` are what is kept of a thought that was cut, ``overflow`` what happens to a
    prompt that does not fit the window.

    Compaction ``reference`` is the published code's, to the byte: what follows the last ``</think>``
    of the content, white space included, or all of it, also where it was cut.

    Beyond the paper: under compaction ``answer`` messages are answers alone, and ``summary`` has the model
    condense each trajectory to ``summary_tokens``; ``subset`` shows each slot of the later rounds,
    the last included, so many messages: its own, drawn for it, or those that ``select`` ranks first for
    all slots (`pacore.core.policies.select`), ``trained`` by the weights of ``scorer``;
    ``workspace_tokens`` has one trajectory distil all messages of a round into what the next one sees.

    ``stopping`` is the rule by which a message set is decided before all its slots have their
    trajectories (`pacore.core.stopping`), as text: one for all of ``widths``, or one for each.
    """

    widths: tuple[int, ...]
    replicates: int = 1
    pool: int | None = None
    message_order: MessageOrder = "content"
    compaction: CompactionPolicy = "conclusion"
    min_messages: int | tuple[int, ...] = 1
    on_shortfall: ShortfallPolicy = "fail"
    refills: int = 3
    truncated: TruncatedPolicy = "drop"
    tail_tokens: int = 512
    overflow: OverflowPolicy = "fail"
    summary_tokens: int | None = None
    subset: int | None = None
    workspace_tokens: int | None = None
    select: SelectPolicy = "own"
    scorer: str | None = None
    stopping: str | None = None

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """What each round does: the widths one after the other, each with the steps that make its
        messages, and the final trajectory (eq. 3), whose message is its conclusion alone.
        """
        found = [step for number in range(len(self.widths)) for step in self._steps_of(number)]
        return (*found, Step("sample", 1, 1, Compaction("conclusion")))

    def _steps_of(self, number: int) -> Iterator[Step]:
        """The steps of one of ``widths``; a quorum holds for its messages, whatever they become."""
        width, given = self.widths[number], self.min_messages
        need = min(given if isinstance(given, int) else given[number], width)
        tail_tokens = self.tail_tokens if self.truncated == "tail" else None
        stopping = self._stopping_of(number)
        if self.compaction != "summary":
            compaction = Compaction(self.compaction, tail_tokens)
            yield Step("sample", width, need, compaction, stopping=stopping)
        else:
            bound = self.summary_tokens
            compaction = Compaction("verbatim", tail_tokens)
            yield Step("sample", width, need, compaction, stopping=stopping)
            summary = Compaction("summary", bound_tokens=bound)
            yield Step("condense", width, need, summary, bound)
        if (bound := self.workspace_tokens) is not None:
            yield Step("distill", 1, 1, Compaction("workspace", bound_tokens=bound), bound)

    def _stopping_of(self, number: int) -> Stopping | None:
        """The rule of one of ``widths``; None where nothing can stop it early."""
        if self.stopping is None or self.widths[number] == 1:
            return None
        given = parse_rules(self.stopping)
        rule = given[number] if len(given) > 1 else given[0]
        return None if rule == Stopping() else rule

    @property
    def rounds(self) -> int:
        """R, the final round included."""
        return len(self.steps)

    def step(self, round_: int) -> Step:
        """What the 1-based round does."""
        return self.steps[round_ - 1]

    def width(self, round_: int) -> int:
        """K_r of the 1-based round; 1 for the last."""
        return self.step(round_).width

    def need(self, round_: int) -> int:
        """The quorum of a round: messages a set of it needs; the last round's is the answer."""
        return self.step(round_).need

    def most_seen(self, round_: int) -> int:
        """How many messages a slot of a round after the first sees at most."""
        before = self.width(round_ - 1)
        kind = self.step(round_).kind
        if kind == "condense":
            return 1
        return before if kind == "distill" else min(before, self.subset or before)

    @property
    def configuration(self) -> str:
        """K⃗ as people read it: ``[4, 1]``; ``[4, 4c, 1d, 1]`` with a condensing and a distilling
        round.
        """
        return f"[{', '.join(step.label for step in self.steps)}]"

    def refills_in(self, round_: int) -> int:
        """Further attempts a slot of a round gets to make up a shortfall.

        None in the last round: its trajectory is the answer, and sampling until one has an answer
        would raise the score.
        """
        is_refilled = self.on_shortfall == "refill" and round_ < self.rounds
        return self.refills if is_refilled else 0

    @property
    def trajectories_a_problem(self) -> int:
        """Slots of all rounds and replicates; fewer where a condensing round has fewer messages."""
        return self.replicates * sum(step.width for step in self.steps)

    def trajectories_after(self, round_: int) -> int:
        """Slots that one replicate has in the rounds after a 1-based round."""
        return sum(step.width for step in self.steps[round_:])

    def observation(self, turns: Sequence[Turn]) -> int:
        """Index of the turn that P(x, M) replaces: the last, which may be a tool's.

        The published code replaces the last turn of the user, and so does its compaction.
        """
        users = [place for place, turn in enumerate(turns) if turn.role == "user"]
        last = len(turns) - 1
        return users[-1] if users and self.compaction == "reference" else last

    def draws(
        self, recipe_digest: str, prompt_digest: str, round_: int, replicate: int
    ) -> list[int]:
        """Which draws of its prompt a replicate takes in a round, one for each slot.

        Only round 1 shares a prompt between replicates, so only there a pool is drawn from. Where
        messages are answers alone, one workspace, or a selection, two rounds often have the very same
        prompt; their draws are then numbered apart, as the later would else be samples of the earlier.
        """
        width = self.width(round_)
        if round_ == 1 and self.pool is not None:
            named = f"pool\n{recipe_digest}\n{prompt_digest}\n{self.pool}\n{replicate}"
            return shuffled(named, self.pool)[:width]
        is_apart = self.compaction == "answer" or self.workspace_tokens is not None
        is_apart |= self.select != "own"
        first = replicate * width + is_apart * (round_ - 1) * DRAWS_A_ROUND
        return list(range(first, first + width))

    def positions_seen(
        self, recipe_digest: str, prompt_digest: str, draw: int, messages: int
    ) -> tuple[int, ...] | None:
        """Which 1-based positions of M the slot that takes ``draw`` sees, in M's order; None for all.

        ``prompt_digest`` is that of P(x, M) over all of M, which has ``messages``. A smaller subset
        is part of a larger one, so that runs that differ in it alone look at like things.
        """
        if self.subset is None or messages <= self.subset:
            return None
        named = f"subset\n{recipe_digest}\n{prompt_digest}\n{draw}"
        chosen = shuffled(named, messages)[: self.subset]
        return tuple(sorted(index + 1 for index in chosen))

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON; fields that are not among `FIRST_FIELDS` are in it only where they are not
        the default, so that a plan without them keeps the digest it had.
        """
        values = ((field, getattr(self, field.name)) for field in fields(self))
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field, value in values
            if field.name in FIRST_FIELDS or value != field.default
        }

    @staticmethod
    def from_json(values: dict[str, Any]) -> Plan:
        given = values["min_messages"]
        needed = given if isinstance(given, int) else tuple(given)
        return Plan(**{**values, "widths": tuple(values["widths"]), "min_messages": needed})


def shuffled(named: str, count: int) -> list[int]:
    """0 to ``count`` - 1 in an order that follows from a name."""
    order = list(range(count))
    random.Random(hashlib.sha256(named.encode()).digest()).shuffle(order)
    return order


def parse_quorum(text: str) -> int | tuple[int, ...]:
    """Read a quorum: one number for all rounds, or one for each width, such as ``24,3``.

    Raises ValueError.
    """
    try:
        numbers = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number, nor a list such as 24,3") from None
    if not numbers:
        raise ValueError("is empty")
    return numbers if "," in text else numbers[0]


def parse_rules(text: str) -> list[Stopping]:
    """Rules that stop early: one for all rounds, or one for each width, with semicolons between them, such
    as ``votes:0.95,batch:8;arrivals:3``. Raises ValueError.
    """
    rules = [parse_stopping(part) for part in text.split(";")]
    if len(rules) > 1 and not any(rule.text for rule in rules):
        raise ValueError(f"{text!r} has no rule for any round, such as votes:0.95;arrivals:3")
    return rules


def rules_text(rules: Sequence[Stopping]) -> str:
    """The one spelling of rules, by which a run knows them."""
    return ";".join(rule.text for rule in rules)


@dataclass(frozen=True, slots=True)
class Shard:
    """A group of whole problems: rows ``start`` to ``stop`` of the frozen problem set."""

    number: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        return f"s{self.number:05d}"


def default_shard_size(problems: int, plan: Plan) -> int:
    """Problems in a shard: at most a few hundred tasks a round, none tiny where the set is large.

    A shard costs some 0.1 s of CPU in tasks, files and commits whatever it holds.
    """
    bounded = -(-problems // MAX_SHARDS)
    worthwhile = -(-TRAJECTORIES_A_SHARD // plan.trajectories_a_problem)
    return max(1, bounded, min(worthwhile, -(-problems // MIN_SHARDS)))


def shards(problems: int, size: int) -> list[Shard]:
    """Cut ``problems`` rows into shards of ``size``; the last may be shorter."""
    return list(_shards(problems, size))


def _shards(problems: int, size: int) -> Iterator[Shard]:
    for number, start in enumerate(range(0, problems, size)):
        yield Shard(number, start, min(start + size, problems))


StepKind = Literal["sample", "condense", "distill"]

MessagePolicy = CompactionPolicy | Literal["workspace"]

_MARKS: dict[StepKind, str] = {"sample": "", "condense": "c", "distill": "d"}


@dataclass(frozen=True, slots=True)
class Compaction:
    """C of one round: what message a trajectory becomes, and what one that was cut.

    A truncated trajectory is dropped, unless ``tail_tokens`` keeps its last tokens, or
    ``bound_tokens`` is set where its step bounds it: then its text as far as it goes is the message.
    ``grader`` is the spec by which an answer is read, for the policy ``answer`` alone, and ``wanted``
    what the tests of a program run.
    """

    policy: MessagePolicy
    tail_tokens: int | None = None
    bound_tokens: int | None = None
    grader: str | None = None
    wanted: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one round of a plan does.

    ``sample`` attempts the problem, with the messages before it as references; ``condense`` writes
    a summary of each message before it, seeing that one alone; ``distill`` writes one workspace out
    of all of them. ``width`` is how many slots the round has (condensing: at most, as each message
    takes one) and ``need`` its quorum. ``max_tokens`` bounds a generation, None leaves the recipe's
    limit. ``stopping`` is the rule that decides its message sets early, None where all slots are filled.
    """

    kind: StepKind
    width: int
    need: int
    compaction: Compaction
    max_tokens: int | None = None
    stopping: Stopping | None = None

    @property
    def label(self) -> str:
        """The width as a trajectory configuration shows it: ``4``, ``4c`` or ``1d``."""
        return f"{self.width}{_MARKS[self.kind]}"
