"""A run's budget in tokens, money and time: nothing new is sent once it is spent.

What is in flight counts with what it is expected to cost, so that what is spent at the end exceeds the
budget by what was misjudged of the requests in flight, and never by more than those. They are finished and
kept: they are paid for.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class SpendingLimits:
    """What a run may spend in all its starts, and for how many hours of one start it may send requests."""

    tokens: int | None = None
    money: float | None = None
    hours: float | None = None


class Limited(NamedTuple):
    """One limit by the name of its setting, what is spent of it, and what of an amount counts in it."""

    name: str
    limit: float
    spent: float
    of: Callable[[Amount], float]

    @property
    def left(self) -> float:
        return self.limit - self.spent

    def __str__(self) -> str:
        return f"{self.spent:,.10g} of {self.name} {self.limit:,.10g}"


@dataclass(slots=True)
class Budget:
    """An account of one start of a run, which ``began`` by the monotonic ``clock``. Lives in one event
    loop, but for what is read of it.

    ``spent`` begins with what the run has spent before; ``price`` is needed for a limit of money.
    """

    limits: SpendingLimits
    price: Price | None = None
    spent: Amount = NOTHING
    clock: Callable[[], float] = time.monotonic
    began: float = field(default_factory=time.monotonic)
    stopped: BudgetSpent | None = None
    _reserved: Amount = NOTHING
    _outstanding: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def reserve(self, request: Request, hint: Hint) -> Reservation:
        """Set aside what a request is expected to cost, which is waited for while others are in flight.

        Raises BudgetSpent where the budget does not suffice for it; then nothing more is sent.
        """
        amount = self._expected(request, hint)
        while True:
            needs = NOTHING if self._outstanding else amount
            if self.stopped is None and (why := self.why_spent(needs)) is not None:
                self.stopped = BudgetSpent(why)
                self._changed.set()
            if self.stopped is not None:
                raise BudgetSpent(str(self.stopped))
            if self._has_room(amount):
                self._reserved += amount
                self._outstanding += 1
                return Reservation(self, amount)
            await self._changed.wait()

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

    def settle(self, reserved: Amount, spent: Amount) -> None:
        """Put what a request has cost in the place of what was reserved for it."""
        self._reserved -= reserved
        self._outstanding -= 1
        self.spent += spent
        self._changed.set()
        self._changed = asyncio.Event()

    def _expected(self, request: Request, hint: Hint) -> Amount:
        prompt = sum(len(turn.content) for turn in request.turns) // CHARACTERS_A_TOKEN
        most = request.recipe.max_tokens
        tokens = hint.expected_tokens if most is None else min(most, hint.expected_tokens)
        return self.amount(prompt, 0, tokens)

    def _has_room(self, amount: Amount) -> bool:
        needs = self._reserved + amount
        return all(part.of(needs) <= part.left for part in self.limited())

    def why_spent(self, needs: Amount = NOTHING) -> str | None:
        """Why nothing can be sent that costs as much; None where it can."""
        for part in self.limited():
            if part.left <= 0 or part.left < part.of(needs):
                return f"the budget is spent: {part}"
        return (
            f"the time is over: max_hours {self.limits.hours:g}" if self.seconds_left <= 0 else None
        )

    def spending(self) -> str:
        """``4,000 of max_tokens_total 5,000``: what is spent of each limit, what is in flight left out."""
        spent = list(map(str, self.limited()))
        if self.price is not None and self.limits.money is None:
            spent.append(f"{self.spent.money:,.4g} by the price table")
        if self.limits.hours is not None:
            spent.append(
                f"{(self.clock() - self.began) / 3600:.2g} of max_hours {self.limits.hours:g}"
            )
        return ", ".join(spent)

    @property
    def seconds_left(self) -> float:
        """For how long requests may be sent; infinite without a limit."""
        hours = self.limits.hours
        return math.inf if hours is None else 3600 * hours - (self.clock() - self.began)

    def limited(self) -> Iterator[Limited]:
        """The limits of tokens and money, as far as there are any."""
        if self.limits.tokens is not None:
            yield Limited(
                "max_tokens_total", self.limits.tokens, self.spent.tokens, attrgetter("tokens")
            )
        if self.limits.money is not None:
            yield Limited("max_cost", self.limits.money, self.spent.money, attrgetter("money"))


@dataclass(slots=True)
class Reservation:
    """What is set aside for one try."""

    budget: Budget
    amount: Amount

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
            self.budget.settle(self.amount, spent)
