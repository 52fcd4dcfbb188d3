"""Stopping: when a set of trajectories is decided, so that the rest of its slots need not be sampled.

A rule of one round decides after each trajectory that ends, from those that have ended so far, in the order
in which they did, and from nothing else. So a live run, its resume, its audit and a replay of stored pools
take the same decisions from the same arrivals. Every part of a rule is off by default. Beyond the paper,
which waits for all of K_r.

    votes       the class of equivalent answers that leads is more frequent than the second, with this
                posterior probability, were any number of trajectories sampled
    lead        it will still lead when the whole set has ended, with this predictive probability: it is
                about the answer of the set, so that a close race is decided when little is left
    arrivals    so many messages are there
    tokens      so many tokens were generated for the set, and a message is there
    batch       so many slots are begun at a time, the next when those before have ended; ``growth`` makes
                each batch so many times as wide as the one before
    ready       the share of what was begun that has to have ended before the next batch is begun
    abort_late  what has not ended then is aborted, rather than left to go on beside the next batch; the
                last batch ends the set then
    fewest      how many slots a set has follows from how far the messages agree that its prompts show:
                so many where all do, all slots where no two do, and in proportion in between; round 1
                shows none, and has all its slots
    depth       no round follows where the leading class of the messages of the set is more frequent than
                the second with this posterior probability: a message of that class has the answer

``votes`` and ``lead`` decide where the leading class has `LEAST_VOTES`, and wherever the second can no
longer reach it; never while two classes have equally many. ``depth`` needs `LEAST_VOTES` always.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Literal, NamedTuple

LEAST_VOTES = 3
"""Of the leading class: two answers that agree, of two, decide nothing at any probability."""

StopReason = Literal["votes", "lead", "arrivals", "tokens", "ready", "fewest"]

_NEARLY_CERTAIN = math.nextafter(1.0, 0.0)
"""Further votes may all be for the second class, where they have not been so far."""

_ROUNDING = 1e-9
"""Below any difference of two shares of a batch: 0.7 of 10 is 7."""


class Arrival(NamedTuple):
    """A trajectory of a set that has ended.

    ``key`` is equal for equivalent answers, None where it gives no vote; ``tokens`` were generated.
    """

    slot: int
    key: str | None
    has_message: bool
    tokens: int


class Decision(NamedTuple):
    """What is done next with a set.

    ``begin`` further slots are begun, in slot order. ``is_stopped``: no slot is begun any more, for
    ``reason``. ``aborts``: what is in flight is aborted, before any slot is begun; always where the set is
    stopped. ``probability`` is that of the part that stopped it, else of the first that looks at votes;
    None where none does.
    """

    begin: int = 0
    is_stopped: bool = False
    reason: StopReason | None = None
    probability: float | None = None
    aborts: bool = False


@dataclass(frozen=True, slots=True)
class Stopping:
    """A rule of one round; the head of the module says what its parts are. Raises ValueError."""

    votes: float | None = None
    lead: float | None = None
    arrivals: int | None = None
    batch: int | None = None
    growth: int = 1
    ready: float = 1.0
    abort_late: bool = False
    tokens: int | None = None
    fewest: int | None = None
    depth: float | None = None

    def __post_init__(self) -> None:
        for name in ("votes", "lead", "depth"):
            probability = getattr(self, name)
            if probability is not None and not 0.5 < probability <= 1:
                raise ValueError(f"{name}: {probability:g} is no probability above 0.5")
        for name in ("arrivals", "batch", "growth", "tokens", "fewest"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise ValueError(f"{name}: {count} is less than 1")
        if not 0 < self.ready <= 1:
            raise ValueError(f"ready: {self.ready:g} is no share above 0")
        if self.batch is None and (self.growth, self.ready) != (1, 1):
            raise ValueError("growth and ready are of batches, and batch is not given")
        if self.abort_late and self.ready == 1:
            raise ValueError("abort_late needs a share below 1 as ready: nothing is late otherwise")

    @property
    def text(self) -> str:
        """Its one spelling, such as ``votes:0.9,batch:8``; empty for the rule that never stops."""
        return ",".join(
            _spelled(field.name, value)
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        )

    def decided(
        self, leading: int, second: int, left: int, share: float
    ) -> tuple[StopReason | None, float | None]:
        """Which of ``votes`` and ``lead`` decides, None where neither does, and its probability.

        ``leading`` and ``second`` are the votes of the two largest classes, ``share`` is that of the two
        among the trajectories that have ended, and ``left`` have still to end.
        """
        if not self.stops_by_votes:
            return None, None
        if leading == second:
            return None, 0.5
        is_certain = leading - second > left
        found: list[tuple[StopReason, float, float]] = []
        if self.votes is not None:
            found.append(("votes", posterior(leading, second), self.votes))
        if self.lead is not None:
            of_two = math.ceil(left * share - _ROUNDING)
            likely = min(predictive(leading, second, of_two), _NEARLY_CERTAIN)
            held = 1.0 if is_certain else likely
            found.append(("lead", held, self.lead))
        for reason, probability, wanted in found:
            if is_certain or (leading >= LEAST_VOTES and probability >= wanted):
                return reason, probability
        return None, found[0][1]

    @property
    def stops_by_votes(self) -> bool:
        """Whether it depends on which answers of its set agree when the set is decided."""
        return self.votes is not None or self.lead is not None

    @property
    def of_sets(self) -> Stopping:
        """The parts that decide a set by what has arrived of it."""
        return replace(self, fewest=None, depth=None)

    @property
    def of_rounds(self) -> Stopping:
        """The parts about rounds: how wide a later one is, and whether one follows."""
        return Stopping(fewest=self.fewest, depth=self.depth)

    @property
    def looks_at_votes(self) -> bool:
        """Whether anything depends on which answers of its set agree."""
        return self.stops_by_votes or self.depth is not None

    def inert(self, width: int, *, shows_messages: bool) -> dict[str, str]:
        """The parts that can do nothing in a set of ``width`` slots, whatever its answers are, and why.

        ``shows_messages``: the prompts of the set show two messages or more. ``batch`` by itself is such a
        part: it delays slots, and all of them are filled. How its batches grow, and when, are no parts.
        """
        bounds = self.boundaries(width)
        of_batches = zip((0, *bounds), bounds, strict=False)
        nothing_is_late = all(self.needed(*one) >= one[1] - one[0] for one in of_batches)
        is_too_wide = not shows_messages or (self.fewest or 0) >= width
        is_too_sure = width < LEAST_VOTES or posterior(width, 0) < (self.depth or 0)
        found = {
            "votes": (width < 3, "it needs 3 slots"),
            "lead": (width < 3, "it needs 3 slots"),
            "arrivals": ((self.arrivals or 0) >= width, "it has to be below the width"),
            "tokens": (False, ""),
            "abort_late": (nothing_is_late, "no trajectory is late in batches of so few"),
            "fewest": (
                is_too_wide,
                "it has to be below the width, of a round whose prompts show several messages",
            ),
            "depth": (is_too_sure, "no agreement of so few messages reaches it"),
        }
        parts = [name for name in found if getattr(self, name) not in (None, False)]
        if not parts and self.batch is not None:
            return {self.text: "batches delay slots, and stop none without votes, lead or another"}
        inert = {name: found[name][1] for name in parts if found[name][0]}
        return {_spelled(name, getattr(self, name)): why for name, why in inert.items()}

    def slots(self, width: int, keys: Sequence[str | None]) -> int:
        """How many slots a set of ``width`` has, whose prompts show messages with these votes.

        ``keys`` are equal for equivalent answers, None for a message that gives no vote, which agrees with
        no other. Empty in round 1.
        """
        if self.fewest is None or len(keys) < 2 or self.fewest >= width:
            return width
        leading = max(Counter(key for key in keys if key is not None).values(), default=1)
        others = (len(keys) - leading) * (width - self.fewest)
        return self.fewest - (-others // (len(keys) - 1))

    def least(self, width: int, tokens: float, *, shows_messages: bool) -> int:
        """How many trajectories of a set of ``width`` slots have to end at least, each of so many
        ``tokens``: as many as where all agree, and all messages that its prompts show, if it shows several.
        """
        slots = self.slots(width, ("", "") if shows_messages else ())
        arrivals: list[Arrival] = []
        begun, slot = decide(self, width, 0, arrivals, slots).begin, 0
        while slot < slots:
            arrivals.append(Arrival(slot, "", True, math.ceil(tokens)))
            decision = decide(self, width, begun, arrivals, slots)
            if decision.is_stopped:
                break
            # What is late of a batch does not end where the next one aborts it.
            slot = begun if decision.aborts else slot + 1
            begun += decision.begin
        return len(arrivals)

    def ending(self, arrivals: Sequence[Arrival]) -> Arrival | None:
        """The arrival whose message has the answer, as no round follows; None where one does.

        Of the leading class it is the one with the lowest slot. Votes without a message do not count.
        """
        if self.depth is None:
            return None
        voting = [one for one in arrivals if one.has_message and one.key is not None]
        (leader, leading), (_, second) = leaders(one.key for one in voting)
        if leading < LEAST_VOTES or leading == second:
            return None
        if posterior(leading, second) < self.depth:
            return None
        return min(one for one in voting if one.key == leader)

    def boundaries(self, width: int) -> list[int]:
        """How many slots are begun after each batch; the last is ``width``."""
        if self.batch is None:
            return [width]
        size, bounds = self.batch, [0]
        while bounds[-1] < width:
            bounds.append(min(width, bounds[-1] + size))
            size *= self.growth
        return bounds[1:]

    def needed(self, started: int, begun: int) -> int:
        """How many trajectories have to have ended before the next batch is begun.

        ``started`` slots were begun before the last batch, and ``begun`` with it. Counted are those of the
        last batch alone where late ones are aborted, else all.
        """
        of = begun - started if self.abort_late else begun
        return math.ceil(of * self.ready - _ROUNDING)


def decide(
    rule: Stopping, width: int, begun: int, arrivals: Sequence[Arrival], slots: int | None = None
) -> Decision:
    """What to do with a set of ``width`` slots, of which ``begun`` are begun and ``arrivals`` have ended.

    It is called before anything is begun, and after each arrival. A set whose slots have all ended is
    whole, not stopped. ``slots`` is how many of them the set has (`Stopping.slots`), None for all.
    """
    is_narrow = slots is not None and slots < width
    width = width if slots is None else slots
    bounds = rule.boundaries(width)
    if begun < width and begun not in bounds:
        return Decision(min(bound for bound in bounds if bound > begun) - begun)
    started = max((bound for bound in bounds if bound < begun), default=0)
    of_batch = sum(one.slot >= started for one in arrivals) if rule.abort_late else len(arrivals)
    left = width - (started + of_batch if rule.abort_late else of_batch)
    reason, probability = _stopped(rule, left, arrivals)
    is_ready = of_batch >= rule.needed(started, begun)
    if reason is None and is_ready and begun == width and left and rule.abort_late:
        reason = "ready"
    if reason is not None and left:
        return Decision(0, True, reason, probability, aborts=True)
    if is_ready and begun < width:
        bound = bounds[bounds.index(begun) + 1]
        return Decision(bound - begun, probability=probability, aborts=rule.abort_late)
    if is_narrow and not left:
        return Decision(0, True, "fewest", probability, aborts=True)
    return Decision(probability=probability)


def leaders(keys: Iterable[str | None]) -> tuple[tuple[str | None, int], tuple[str | None, int]]:
    """The two largest classes of votes, each with how many it has; None with 0 where there is none."""
    votes = Counter(key for key in keys if key is not None)
    first, second = [*votes.most_common(2), (None, 0), (None, 0)][:2]
    return first, second


def _stopped(
    rule: Stopping, left: int, arrivals: Sequence[Arrival]
) -> tuple[StopReason | None, float | None]:
    """Why no more is needed, None where it is; and how probable it is that the leading class leads."""
    if not arrivals:
        return None, None
    reason, probability = None, None
    if rule.stops_by_votes:
        (_, leading), (_, second) = leaders(one.key for one in arrivals)
        share = (leading + second) / len(arrivals)
        reason, probability = rule.decided(leading, second, left, share)
    messages = sum(one.has_message for one in arrivals)
    if reason is None and rule.arrivals is not None and messages >= rule.arrivals:
        reason = "arrivals"
    spent = sum(one.tokens for one in arrivals)
    if reason is None and messages and rule.tokens is not None and spent >= rule.tokens:
        reason = "tokens"
    return reason, probability


@cache
def posterior(leading: int, second: int) -> float:
    """P(θ > 1/2), θ ~ Beta(leading + 1, second + 1): that the one class is more frequent than the other.

    θ is its share among votes for the two; before any vote every θ is as likely. Exact but for one
    rounding.
    """
    trials = leading + second + 1
    ways = sum(math.comb(trials, count) for count in range(leading + 1))
    return float(ways / 2**trials)


@cache
def predictive(leading: int, second: int, left: int) -> float:
    """The chance that the class that leads still does after ``left`` more votes for one of the two.

    The votes to come are Beta-binomial under `posterior`'s θ; where the two end equal, each wins as often.
    Exact but for one rounding.
    """
    ways = 0
    for more in range(left + 1):
        ahead = (leading + more) - (second + left - more)
        if ahead >= 0:
            of_both = math.comb(leading + more, more) * math.comb(second + left - more, left - more)
            ways += of_both * (2 if ahead else 1)
    return ways / (2 * math.comb(leading + second + left + 1, left))


def parse_stopping(text: str) -> Stopping:
    """The rule that ``votes:0.9,batch:8`` or ``lead:0.85,batch:16,ready:0.75,abort_late`` spells.

    Raises ValueError.
    """
    known = {field.name: field for field in fields(Stopping)}
    values: dict[str, Any] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, sign, number = (piece.strip() for piece in part.partition(":"))
        if name not in known:
            raise ValueError(
                f"{part!r} is no part of a rule: {', '.join(known)}, such as votes:0.9,batch:8"
            )
        if bool(sign) is (name == "abort_late"):
            raise ValueError(
                f"{name} takes no number"
                if sign
                else f"{name} needs a number, as in votes:0.9,batch:8"
            )
        if name in values:
            raise ValueError(f"{name} is given twice")
        try:
            values[name] = _value(name, number)
        except ValueError:
            raise ValueError(f"{name}: {number!r} is not a number") from None
    if text.strip() and not values:
        raise ValueError(f"{text!r} has no part of a rule, such as votes:0.9,batch:8")
    return replace(Stopping(), **values)


def _spelled(name: str, value: Any) -> str:
    return name if value is True else f"{name}:{value!r}"


def _value(name: str, number: str) -> int | float | bool:
    if name == "abort_late":
        return True
    return float(number) if name in ("votes", "lead", "ready", "depth") else int(number)
