"""A run's budget in tokens, money and time: nothing new is sent once it is spent.

What is in flight counts with what it is expected to cost, so that what is spent at the end exceeds the
budget by what was misjudged of the requests in flight, and never by more than those. They are finished and
kept: they are paid for. A problem may have a budget of its own: when that is spent nothing more is sent for
it, and the others go on. Several runs that are made one after the other may share further budgets.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from operator import attrgetter
from typing import NamedTuple

from pacore.core.engine import EngineFault, Hint
from pacore.core.trajectory import Generation, Request
from pacore.errors import BudgetSpent
from pacore.warehouse.prices import Price

CHARACTERS_A_TOKEN = 4
"""For what nothing has counted yet, such as the prompt of a request that is to be sent."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Generated ``tokens``, those of failed tries included, and ``money`` in the price table's currency."""

    tokens: float = 0.0
    money: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.tokens + other.tokens, self.money + other.money)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.tokens - other.tokens, self.money - other.money)


NOTHING = Amount()


@dataclass(slots=True)
class InFlight:
    """How many requests are in flight, and the ``amount`` that is set aside for all of them."""

    requests: int = 0
    amount: Amount = NOTHING

    def begin(self, amount: Amount) -> None:
        self.requests += 1
        self.amount += amount

    def end(self, amount: Amount) -> None:
        self.requests -= 1
        # What rounding leaves of sums of fractions would keep the last request waiting, for nothing.
        self.amount = self.amount - amount if self.requests else NOTHING


@dataclass(frozen=True, slots=True)
class SpendingLimits:
    """What a run, and each of its problems, may spend in all its starts, and for how many hours of one
    start it may send requests.
    """

    tokens: int | None = None
    money: float | None = None
    hours: float | None = None
    problem_tokens: int | None = None

    def without(self, others: SpendingLimits) -> SpendingLimits:
        """The limits but for those that ``others`` has too, of the same size."""
        mine, theirs = asdict(self), asdict(others)
        return SpendingLimits(
            **{name: None if mine[name] == theirs[name] else mine[name] for name in mine}
        )


class Limited(NamedTuple):
    """One limit by the name of its setting, what is spent of it, and what of an amount counts in it;
    ``whose`` it is where several runs share it, such as ``the night's``.
    """

    name: str
    limit: float
    spent: float
    of: Callable[[Amount], float]
    whose: str = ""

    @property
    def left(self) -> float:
        return self.limit - self.spent

    @property
    def title(self) -> str:
        return f"{self.whose} {self.name}".strip()

    def __str__(self) -> str:
        return f"{self.spent:,.10g} of {self.title} {self.limit:,.10g}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """Some limits with what is spent of them, and when the hours ``began`` by the monotonic clock.

    ``whose`` it is where several runs share it; ``is_partial`` where one of them may begin although what is
    left is expected not to suffice for it; ``is_of_runs`` where it is the budget that each of them was
    given.
    """

    limits: SpendingLimits
    spent: Amount
    began: float
    whose: str = ""
    is_partial: bool = False
    is_of_runs: bool = False

    def limited(self) -> Iterator[Limited]:
        """The limits of tokens and money, as far as there are any."""
        limits, spent = self.limits, self.spent
        if limits.tokens is not None:
            tokens = attrgetter("tokens")
            yield Limited("max_tokens_total", limits.tokens, spent.tokens, tokens, self.whose)
        if limits.money is not None:
            yield Limited("max_cost", limits.money, spent.money, attrgetter("money"), self.whose)

    def seconds_left(self, now: float) -> float:
        """For how long requests may be sent; infinite without a limit."""
        hours = self.limits.hours
        return math.inf if hours is None else 3600 * hours - (now - self.began)

    def fault(self, needs: Amount, now: float) -> BudgetSpent | None:
        """Why nothing can be sent that costs as much; None where it can."""
        for part in self.limited():
            if part.left <= 0 or part.left < part.of(needs):
                return BudgetSpent(f"the budget is spent: {part}", self.whose)
        if self.seconds_left(now) <= 0:
            title = f"{self.whose} max_hours".strip()
            return BudgetSpent(f"the time is over: {title} {self.limits.hours:g}", self.whose)
        return None

    def shown(self, now: float) -> Iterator[str]:
        """``4,000 of max_tokens_total 5,000``: what is spent of each limit."""
        yield from map(str, self.limited())
        if self.limits.hours is not None:
            title = f"{self.whose} max_hours".strip()
            yield f"{(now - self.began) / 3600:.2g} of {title} {self.limits.hours:g}"


class ProblemBudgetSpent(Exception):
    """The budget of one problem does not suffice for a further request; the text says why, in a line."""


@dataclass(slots=True)
class ProblemAccount:
    """What one problem has ``spent``, in tokens, and what is set aside for its requests in flight.

    ``is_refused``: a request of it was not sent, as its budget did not suffice.
    """

    spent: float = 0.0
    in_flight: InFlight = field(default_factory=InFlight)
    is_refused: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def why_spent(self, limit: int, needs: float) -> str | None:
        """Why nothing can be sent that costs as much, once nothing is in flight; None where it can."""
        if self.spent < limit and (self.in_flight.requests or self.spent + needs <= limit):
            return None
        return f"the problem's budget is spent: {self.spent:,.10g} of max_tokens_problem {limit:,}"

    def has_room(self, limit: int, needs: float) -> bool:
        held = self.spent + self.in_flight.amount.tokens
        return held < limit and held + needs <= limit


@dataclass(slots=True)
class Budget:
    """An account of one start of a run, which ``began`` by the monotonic ``clock``. Lives in one event
    loop, but for what is read of it.

    ``spent`` begins with what the run has spent before, and ``problems`` with what each problem has;
    ``price`` is needed for a limit of money. ``shared`` are budgets that it shares with other runs, each
    with what those have spent.
    """

    limits: SpendingLimits
    price: Price | None = None
    shared: tuple[Allowance, ...] = ()
    spent: Amount = NOTHING
    clock: Callable[[], float] = time.monotonic
    began: float = field(default_factory=time.monotonic)
    stopped: BudgetSpent | None = None
    problems: dict[str, ProblemAccount] = field(default_factory=dict)
    _in_flight: InFlight = field(default_factory=InFlight)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def reserve(self, request: Request, hint: Hint) -> Reservation:
        """Set aside what a request is expected to cost, which is waited for while others are in flight.

        Raises BudgetSpent where the budget does not suffice for it; then nothing more is sent.
        """
        amount = self._expected(request, hint)
        while True:
            needs = NOTHING if self._in_flight.requests else amount
            if self.stopped is None and (fault := self.fault(needs)) is not None:
                self.stopped = fault
                self._changed.set()
            if self.stopped is not None:
                raise BudgetSpent(str(self.stopped), self.stopped.whose)
            if self._has_room(amount):
                self._in_flight.begin(amount)
                return Reservation(self, amount, hint.problem_id)
            await self._changed.wait()

    @asynccontextmanager
    async def share(
        self, request: Request, hint: Hint, on_wait: Callable[[int], None] = lambda _: None
    ) -> AsyncIterator[None]:
        """Hold what a try is expected to cost of its problem's budget, while others of it are waited for.

        ``on_wait`` is called with 1 when it begins to wait, and with -1 when it has waited. Raises
        ProblemBudgetSpent where the budget does not suffice for it.
        """
        limit = self.limits.problem_tokens
        if limit is None:
            yield
            return
        account = self.account(hint.problem_id)
        amount = self._expected(request, hint)
        tokens = amount.tokens
        while not account.has_room(limit, tokens):
            if (why := account.why_spent(limit, tokens)) is not None:
                account.is_refused = True
                raise ProblemBudgetSpent(why)
            on_wait(1)
            try:
                await account.changed.wait()
            finally:
                on_wait(-1)
        account.in_flight.begin(amount)
        try:
            yield
        finally:
            account.in_flight.end(amount)
            account.changed.set()
            account.changed = asyncio.Event()

    def account(self, problem_id: str) -> ProblemAccount:
        """What a problem has spent."""
        return self.problems.setdefault(problem_id, ProblemAccount())

    def amount_of(self, made: Generation) -> Amount:
        """What a generation has cost, its failed tries included."""
        tokens = made.completion_tokens
        if tokens is None:
            tokens = len((made.reasoning or "") + (made.content or "")) // CHARACTERS_A_TOKEN
        return self.amount(
            made.prompt_tokens or 0, made.cached_prompt_tokens or 0, tokens + made.wasted_tokens
        )

    def amount(self, prompt_tokens: int, cached_tokens: int, tokens: float) -> Amount:
        """What some tokens cost."""
        if self.price is None:
            return Amount(tokens)
        return Amount(tokens, self.price.cost(prompt_tokens, cached_tokens, tokens))

    def settle(self, reserved: Amount, spent: Amount, problem_id: str = "") -> None:
        """Put what a request has cost in the place of what was reserved for it."""
        self._in_flight.end(reserved)
        self.spend(spent, problem_id)
        self._changed.set()
        self._changed = asyncio.Event()

    def spend(self, amount: Amount, problem_id: str) -> None:
        """Note what was spent on a problem."""
        self.spent += amount
        if self.limits.problem_tokens is not None:
            self.account(problem_id).spent += amount.tokens

    def _expected(self, request: Request, hint: Hint) -> Amount:
        prompt = sum(len(turn.content) for turn in request.turns) // CHARACTERS_A_TOKEN
        most = request.recipe.max_tokens
        tokens = hint.expected_tokens if most is None else min(most, hint.expected_tokens)
        return self.amount(prompt, 0, tokens)

    def _has_room(self, amount: Amount) -> bool:
        needs = self._in_flight.amount + amount
        parts = (part for one in self.allowances() for part in one.limited())
        return all(part.of(needs) <= part.left for part in parts)

    def allowances(self) -> Iterator[Allowance]:
        """The run's own budget, and those that it shares, each with what is spent of it by now."""
        yield Allowance(self.limits, self.spent, self.began)
        for one in self.shared:
            yield replace(one, spent=one.spent + self.spent)

    def fault(self, needs: Amount = NOTHING) -> BudgetSpent | None:
        """Why nothing can be sent that costs as much; None where it can."""
        faults = (one.fault(needs, self.clock()) for one in self.allowances())
        return next((fault for fault in faults if fault is not None), None)

    def spending(self) -> str:
        """``4,000 of max_tokens_total 5,000``: what is spent of each limit, what is in flight left out."""
        spent = [text for one in self.allowances() for text in one.shown(self.clock())]
        is_without_limit = all(one.limits.money is None for one in self.allowances())
        if self.price is not None and is_without_limit:
            spent.append(f"{self.spent.money:,.4g} by the price table")
        if (limit := self.limits.problem_tokens) is not None:
            refused = sum(one.is_refused for one in self.problems.values())
            spent.append(f"max_tokens_problem {limit:,} stopped {refused:,} problems")
        return ", ".join(spent)


@dataclass(slots=True)
class Reservation:
    """What is set aside for one try."""

    budget: Budget
    amount: Amount
    problem_id: str = ""

    @contextmanager
    def spending(self) -> Iterator[Callable[[Generation], None]]:
        """Account for one try: of its generation, which is to be passed on, or of its fault."""
        spent = NOTHING

        def see(made: Generation) -> None:
            nonlocal spent
            spent = self.budget.amount_of(made)

        try:
            yield see
        except EngineFault as fault:
            spent = self.budget.amount(0, 0, fault.wasted_tokens)
            raise
        finally:
            self.budget.settle(self.amount, spent, self.problem_id)
