"""Progress of a run in this process: counters that the stages add to, and the rate of tokens.

Times come from a clock that is given, so that a test can set it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from pacore.core.plan import Plan
from pacore.runs.dispatch.in_work import InWork, RoundCounts, SetNow

WINDOW_SECONDS = 60.0


TOGETHER_SECONDS = 0.5
"""Counts so near to each other are kept as one."""


class TokenRate:
    """Tokens a second over the last minute, from a count that only grows.

    ``begin`` is the moment from which tokens can have come, with the count at that time: a wait before
    it, such as for a model that loads, is no part of the rate.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def begin(self, now: float, tokens: int = 0) -> None:
        if not self._seen:
            self._seen.append((now, tokens))

    def see(self, now: float, tokens: int) -> None:
        """Note a count. One that is before the window is kept as where it begins."""
        self.begin(now, tokens)
        if len(self._seen) > 1 and now - self._seen[-1][0] < TOGETHER_SECONDS:
            now = self._seen.pop()[0]
        self._seen.append((now, tokens))
        while len(self._seen) > 1 and self._seen[1][0] <= now - WINDOW_SECONDS:
            self._seen.popleft()

    def over_last_minute(self, now: float) -> tuple[float, float] | None:
        """Tokens a second, and over how many seconds; None before a second has passed.

        Seconds in which nothing more was seen count.
        """
        start = max(self._seen[0][0], now - WINDOW_SECONDS) if self._seen else now
        seconds = now - start
        if seconds < 1.0:
            return None
        before = [tokens for seen, tokens in self._seen if seen <= start]
        return (self._seen[-1][1] - before[-1]) / seconds, seconds


class GrowingCount:
    """A count that only grows, from one that begins again at 0 whenever its server does.

    ``base`` is the server's count before this run used it; None takes the first count.
    """

    def __init__(self, base: int | None = 0) -> None:
        self._last = base
        self._total = 0

    def see(self, counted: int) -> int:
        """The tokens counted so far in all, given the server's count now."""
        if self._last is not None:
            self._total += counted - self._last if counted >= self._last else counted
        self._last = counted
        return self._total


FIRST_SECONDS, MOST_SECONDS = 10.0, 60.0
"""Between two lines of progress: at first, and at most."""


FIRST_WAIT_SECONDS = 3.0
"""Before the first line on a wait in which nothing else is shown."""

FEWEST_GENERATED = 10
"""Trajectories after which the time that is left is estimated: fewer are too short to be a sample."""

WARNING = "warning: "
"""What a notice of something that may have to be looked at begins with."""

MOST_STALLED = 20
"""Stalled problems that notices name; each is in `InWork` as long as it is stalled."""


class Awaited(NamedTuple):
    """What nothing can go on without, and since when by the monotonic clock."""

    what: str
    since: float


@dataclass
class Progress:
    """How far a run is in this process. Trajectories count once, whichever way they were settled.

    ``reused`` came from the store, ``generated`` were sampled now, ``unfinished`` are tombstones, and
    ``aborted`` were no longer needed; ``completion_tokens`` are those of trajectories generated now;
    ``rounds`` has the same counts by 1-based round. ``metered_tokens`` are all that the run's own
    servers have generated, those of unfinished trajectories included, None where they do not report it.
    ``generating_seconds`` have passed with requests at the engine. ``ruled`` are the rounds under a
    stopping rule. ``in_work`` are the problems that the run is at, ``spending`` says what is spent of
    its budget where it has one. ``notices`` are lines for a person, which name ``run``; ``listener`` is
    called with each at once where there is one. Safe to use from several threads.
    """

    planned: int = 0
    reused: int = 0
    generated: int = 0
    unfinished: int = 0
    completion_tokens: int = 0
    metered_tokens: int | None = None
    engine: str = ""
    aborted: int = 0
    awaited: dict[str, Awaited] = field(default_factory=dict)
    finished_seconds: float | None = None
    notices: list[str] = field(default_factory=list)
    listener: Callable[[str], None] | None = None
    run: str = ""
    rounds: dict[int, RoundCounts] = field(default_factory=dict)
    ruled: frozenset[int] = frozenset()
    spending: Callable[[], str] | None = None
    started: float = field(default_factory=time.monotonic)
    clock: Callable[[], float] = time.monotonic
    in_work: InWork = field(init=False)
    _stalled: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _generating_since: float | None = None
    _generated_seconds: float = 0.0
    _finished_rate: TokenRate = field(default_factory=TokenRate, repr=False)
    _metered_rate: TokenRate = field(default_factory=TokenRate, repr=False)
    _meter: GrowingCount | None = field(default=None, repr=False)
    _is_own_meter: bool = False

    def __post_init__(self) -> None:
        self.in_work = InWork(self.clock)

    @staticmethod
    def of(
        run: str, plan: Plan, problems: int, clock: Callable[[], float] = time.monotonic
    ) -> Progress:
        """The progress of a run of a plan over so many problems."""
        sets = problems * plan.replicates
        rounds = {
            number: RoundCounts(sets * plan.width(number)) for number in range(1, plan.rounds + 1)
        }
        planned = sum(counts.planned for counts in rounds.values())
        ruled = frozenset(number for number in rounds if plan.step(number).stopping is not None)
        return Progress(
            planned=planned, run=run, rounds=rounds, ruled=ruled, started=clock(), clock=clock
        )

    def add(
        self,
        *,
        planned: int = 0,
        reused: int = 0,
        generated: int = 0,
        unfinished: int = 0,
        completion_tokens: int = 0,
        aborted: int = 0,
    ) -> None:
        with self._lock:
            self.aborted += aborted
            self.planned += planned
            self.reused += reused
            self.generated += generated
            self.unfinished += unfinished
            self.completion_tokens += completion_tokens
            if generated:
                self._finished_rate.see(self.clock(), self.completion_tokens)

    def add_to(self, round_: int, more: RoundCounts) -> None:
        """Count trajectories of a 1-based round."""
        self.add(
            planned=more.planned,
            reused=more.reused,
            generated=more.generated,
            unfinished=more.failed,
            completion_tokens=more.tokens,
            aborted=more.aborted,
        )
        with self._lock:
            self.rounds[round_] = self.rounds.get(round_, RoundCounts()) + more

    def say(self, notice: str, where: str = "") -> None:
        """Add a line for the person who waits for the run: it names the run, and ``where`` in it."""
        if named := ", ".join(filter(None, [self.run and f"run {self.run}", where])):
            is_warning = notice.startswith(WARNING)
            said = f"{named}: {notice.removeprefix(WARNING)}"
            notice = f"{WARNING}{said}" if is_warning else said
        with self._lock:
            self.notices.append(notice)
        if self.listener is not None:
            self.listener(notice)

    def look(self) -> None:
        """Say which problems are stalled now that were not before: the first few of the process by name."""
        for one in self.in_work.newly_stalled():
            self._stalled += 1
            if self._stalled <= MOST_STALLED:
                self._say_stalled(one)
            elif self._stalled == MOST_STALLED + 1:
                self.say(f"{WARNING}further stalled problems are not named")

    def _say_stalled(self, one: SetNow) -> None:
        shard, round_, problem_id, replicate = one.place
        known = self.in_work.longest_seconds
        longest = f"the longest trajectory so far took {known:,.0f} s" if known else "none came yet"
        self.say(
            f"{WARNING}stalled in round {round_}: {one.settled} of {one.slots} trajectories, nothing for "
            f"{one.silent_seconds:,.0f} s; {longest}",
            f"shard {shard}, problem {problem_id}, replicate {replicate}",
        )

    def wait_for(self, what: str | None, by: str = "engine") -> None:
        """Set what the run waits for from now on; None when it has come."""
        with self._lock:
            others = {name: waits for name, waits in self.awaited.items() if name != by}
            own = {} if what is None else {by: Awaited(what, self.clock())}
            self.awaited = others | own

    def work(self, is_at_work: bool) -> None:
        """Set whether requests are at the engine, from now on."""
        now = self.clock()
        with self._lock:
            if is_at_work and self._generating_since is None:
                self._generating_since = now
                self._finished_rate.begin(now, self.completion_tokens)
            elif not is_at_work and self._generating_since is not None:
                self._generated_seconds += now - self._generating_since
                self._generating_since = None

    def meter(self, counted: int, is_own: bool) -> None:
        """Note how many tokens the servers have generated since they started; ``is_own`` where they
        have no other clients.
        """
        now = self.clock()
        with self._lock:
            if self._meter is None:
                self._meter, self._is_own_meter = GrowingCount(None), is_own
                self._meter.see(counted)
            total = self._meter.see(counted)
            self._metered_rate.see(now, total)
            if is_own:
                self.metered_tokens = total

    @property
    def settled(self) -> int:
        return self.reused + self.generated + self.unfinished + self.aborted

    @property
    def may_need_fewer(self) -> bool:
        """Whether a stopping rule has sets to decide still, so that not all slots may be needed."""
        counts = (self.rounds[number] for number in self.ruled)
        return any(one.decided < one.planned for one in counts)

    @property
    def elapsed_seconds(self) -> float:
        return self.clock() - self.started

    @property
    def generating_seconds(self) -> float:
        since = self._generating_since
        return self._generated_seconds + (0.0 if since is None else self.clock() - since)

    @property
    def stage(self) -> tuple[object, ...]:
        """What a further line would show: a new line is worth printing where this changed."""
        return self.settled, self.metered_tokens, *(one.what for one in self.awaited.values())

    def line(self) -> str:
        """One line for a log or an artifact."""
        now = self.clock()
        parts = [
            f"waiting for {awaited.what}, {now - awaited.since:.0f} s"
            for awaited in self.awaited.values()
        ]
        most = "≤" if self.may_need_fewer else ""
        settled, planned = self.settled - self.aborted, self.planned - self.aborted
        parts.append(f"{settled:,}/{most}{planned:,} trajectories")
        parts.append(f"{self.reused:,} reused")
        if self.unfinished:
            parts.append(f"{self.unfinished:,} unfinished")
        if self.aborted:
            parts.append(f"{self.aborted:,} not needed")
        parts += self._tokens()
        if (seconds := self.seconds_left()) is not None:
            parts.append(f"about {_rounded(seconds)} left")
        if self.spending is not None:
            parts.append(f"spent {self.spending()}")
        return ", ".join(parts)

    def seconds_left(self) -> float | None:
        """Expected seconds until the last trajectory, at the rate of the last minute and with trajectories
        as long as those of the same round so far; None where too little is known. What those in flight
        have generated is not taken off: of long-tailed lengths the longer one is, the more is left of
        it. Of the sets that a stopping rule has not decided yet as much is needed as of those that it
        has. At the end few are left and rates mean little: it is no less than the longest trajectory so
        far takes, in each round that is not complete.
        """
        if self.generated < FEWEST_GENERATED or self.awaited:
            return None
        with self._lock:
            mean = self.completion_tokens / self.generated
            if (
                None
                in (needed := {number: self._needed(number) for number in self.rounds}).values()
            ):
                return None
            tokens = sum(
                counts.expected_left(needed[number] or 0.0)
                * (counts.tokens / counts.generated if counts.generated else mean)
                for number, counts in self.rounds.items()
            )
            rate = self._rate.over_last_minute(self.clock())
        if rate is None or not rate[0] or tokens <= 0 or not self.generating_seconds:
            return None
        rounds = sum(counts.left > 0 for counts in self.rounds.values())
        return max(tokens / rate[0], rounds * self.in_work.longest_seconds)

    def _needed(self, round_: int) -> float | None:
        """The share of the slots of a set of a round that is needed, by those that a rule has decided, of
        any round before one of its own is; None before there is one.
        """
        if round_ not in self.ruled:
            return 1.0
        counts = self.rounds[round_]
        if not counts.decided:
            counts = sum((self.rounds[number] for number in self.ruled), RoundCounts())
        return 1 - counts.aborted / counts.decided if counts.decided else None

    @property
    def _rate(self) -> TokenRate:
        """The rate of what this run generates itself: by its own servers, or in what has finished."""
        return self._metered_rate if self._is_own_meter else self._finished_rate

    def _tokens(self) -> list[str]:
        """The tokens so far and their rate, with what was counted."""
        with self._lock:
            is_metered = self._meter is not None
            rate = self._metered_rate if is_metered else self._finished_rate
            found = rate.over_last_minute(self.clock())
        if self.metered_tokens is not None:
            parts = [f"{self.metered_tokens:,} tokens so far"]
        elif self.completion_tokens:
            parts = [f"{self.completion_tokens:,} tokens in finished ones"]
        else:
            parts = []
        if found is None or self.awaited or not self.generating_seconds:
            return parts
        a_second, seconds = found
        whose = ""
        if is_metered and not self._is_own_meter:
            whose = " at the server"
        elif not is_metered:
            whose = " in finished ones"
        shown = f"{a_second:,.0f}" if a_second >= 10 else f"{a_second:.1f}"
        return [*parts, f"{shown} tokens/s{whose} over the last {seconds:.0f} s"]


def _rounded(seconds: float) -> str:
    """A time that is only known roughly."""
    if seconds < 90:
        return f"{max(1, round(seconds, -1 if seconds > 20 else 0)):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"


@dataclass
class GradingProgress(Progress):
    """How far gradings are in this process: ``reused`` trajectories had their verdicts before.

    ``decided`` counts the different answers that were graded now, ``known`` those whose verdict the
    run had already.
    """

    decided: int = 0
    known: int = 0

    def add_answers(self, *, decided: int = 0, known: int = 0) -> None:
        with self._lock:
            self.decided += decided
            self.known += known

    def line(self) -> str:
        parts = [f"{self.settled:,}/{self.planned:,} trajectories"]
        return ", ".join([*parts, f"{self.decided:,} answers graded", f"{self.known:,} known"])


class Pace:
    """When to print another line of progress: less often the longer it takes, and less often still
    while nothing changes.
    """

    def __init__(self, now: float, first_seconds: float = FIRST_SECONDS) -> None:
        self._began = self._last = now
        self._first_seconds = first_seconds
        self._stage: object = None
        self._unchanged = 0

    def is_due(self, stage: object, now: float) -> bool:
        """Whether to print a line now; then it counts as printed. ``stage`` is what it would show."""
        first = self._first_seconds
        wait = min(max(first, (now - self._began) / 10), MOST_SECONDS)
        is_new = stage != self._stage
        if not is_new:
            wait = min(first * 2**self._unchanged, MOST_SECONDS)
        if now - self._last < wait:
            return False
        self._unchanged = 0 if is_new else self._unchanged + 1
        self._last, self._stage = now, stage
        return True
