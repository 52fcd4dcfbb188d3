"""The protocol of every engine, with its records; pure, so that the core can use it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import FinishReason, Generation, Request, UsageSource


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine reports of itself before any request.

    ``window_tokens`` is the context window (prompt and completion together), None where the server
    does not report it. ``version`` and ``model_root`` (the model behind the served name) are as the
    server reports them. ``is_owned``: its servers have no other clients.
    """

    name: str
    version: str | None = None
    window_tokens: int | None = None
    served_models: tuple[str, ...] = ()
    model_root: str | None = None
    is_owned: bool = False

    def overflowed(self, prompt_tokens: int | None, error: str) -> Generation:
        """The generation of a request that is not sent, as its prompt leaves no room."""
        return Generation(
            finish_reason="context_overflow",
            prompt_tokens=prompt_tokens,
            usage_source="tokenizer",
            error=error,
            engine=self.name,
            engine_version=self.version,
            tries=0,
        )


@dataclass(slots=True)
class Stream:
    """One response while it comes: the tokens so far, and who counted them."""

    tokens: int = 0
    source: UsageSource = "unknown"


@dataclass(slots=True)
class Meter:
    """What a request has cost while it is under way: how often it was sent, and the streams of it."""

    sent: int = 0
    streams: list[Stream] = field(default_factory=list)

    def begin(self) -> Stream:
        """Count a stream that is opened now."""
        self.streams.append(Stream())
        return self.streams[-1]

    def end(self, made: Generation) -> None:
        """Take what a generation has cost that has come whole."""
        self.streams[:] = [Stream(made.completion_tokens or 0, made.usage_source)]

    @property
    def tokens(self) -> int:
        return sum(one.tokens for one in self.streams)

    @property
    def source(self) -> UsageSource:
        """The worst of its streams' sources."""
        known: tuple[UsageSource, ...] = ("unknown", "stream", "tokenizer", "server")
        return min((one.source for one in self.streams), key=known.index, default="unknown")


@dataclass(frozen=True, slots=True)
class Hint:
    """When, where and how a request is best sent; it changes nothing of what comes back.

    Of two requests that wait the one with the smaller ``priority`` is next; its parts count in their order.
    ``expected_tokens`` is how long the trajectory is expected to be, 0 where nothing is known;
    ``problem_id`` names the problem whose budget it is of. With a ``meter`` the request may be aborted, and
    the response is streamed so that its tokens are known at any time.
    """

    priority: tuple[int, ...] = ()
    expected_tokens: float = 0.0
    problem_id: str = ""
    meter: Meter | None = None

    @property
    def level(self) -> int:
        """The priority as the one number that servers take, the smallest first; its last parts left out."""
        first, second = (*self.priority, 0, 0)[:2]
        return first * _LEVELS + second


_LEVELS = 1_000

NO_HINT = Hint()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server's refusal of a request, whose cause may be the request or how the run is configured.

    ``codes`` are the words of its error's code and type, ``parameter`` the field that it names.
    """

    endpoint: str
    status: int
    message: str
    codes: frozenset[str] = frozenset()
    parameter: str | None = None

    @property
    def likeness(self) -> tuple[int, str]:
        """Equal for refusals that differ in numbers and quoted values only."""
        plain = re.sub(r"[0-9]+|'[^']*'|\"[^\"]*\"|`[^`]*`", "#", self.message)
        return self.status, plain[:200]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an engine refuses requests, in one line with what to change.

    ``is_certain``: it was confirmed, or no request could be the reason.
    """

    line: str
    is_certain: bool = False


class EngineFault(Exception):
    """One try that produced no generation, classified once, here and nowhere else.

    ``finish_reason`` is the tombstone's if no later try does better. ``transient`` faults are worth
    trying again, after ``retry_after_seconds`` where the server named a time. ``wasted_tokens`` is
    what the try is known to have cost, ``requests`` how many were sent for it. ``detail`` is one line
    and carries no secret. ``refusal`` is set where a server refused the request, ``partial`` where
    text came before it broke off. ``is_endpoints``: the refusal is of one endpoint of
    several that has served nothing yet, so that another may take the request. ``is_overload``: a server
    refused it for its load.
    """

    def __init__(  # noqa: PLR0913 - one record of all that is known of a failed try
        self,
        finish_reason: FinishReason,
        detail: str,
        *,
        transient: bool,
        retry_after_seconds: float | None = None,
        wasted_tokens: int = 0,
        refusal: Refusal | None = None,
        partial: Generation | None = None,
    ) -> None:
        super().__init__(detail)
        self.finish_reason: FinishReason = finish_reason
        self.detail = detail
        self.transient = transient
        self.retry_after_seconds = retry_after_seconds
        self.wasted_tokens = wasted_tokens
        self.refusal = refusal
        self.partial = partial
        self.requests = 1
        self.is_endpoints = False
        self.is_overload = False

    def as_generation(self, tries: int = 1, wasted_tokens: int = 0) -> Generation:
        """The tombstone of a trajectory whose last try was this one.

        The tokens of a text that broke off are wasted, and so are none of the tombstone's own.
        """
        return replace(
            self.partial or Generation(self.finish_reason),
            finish_reason=self.finish_reason,
            completion_tokens=None,
            usage_source="unknown",
            error=self.detail,
            tries=tries,
            wasted_tokens=wasted_tokens + self.wasted_tokens,
        )


class Engine(Protocol):
    """Samples trajectories. All methods are called from one event loop.

    ``describe`` raises `pacore.errors.EngineUnavailable` when no server answers or the model is not
    served. ``generate`` makes one try, of which ``hint`` says when and where: it returns a generation
    (finish reason ``stop``, ``length`` or ``context_overflow``) or raises `EngineFault`; nothing else,
    whatever the server does, but ``asyncio.CancelledError``.

    ``count_prompt_tokens`` returns None where it cannot be known. ``cause_of`` looks for the reason of
    refusals that are all alike. ``generated_tokens`` is how many tokens the engine's servers have
    generated since they started, for other clients and in unfinished requests too; None where one of
    them does not report it.
    ``slots`` is how many requests the engine takes at a time; it may change after any of these calls.
    """

    @property
    def slots(self) -> int: ...

    async def describe(self) -> EngineInfo: ...

    async def generate(self, request: Request, hint: Hint = NO_HINT) -> Generation: ...

    async def count_prompt_tokens(self, recipe: Recipe, turns: Sequence[Turn]) -> int | None: ...

    async def cause_of(self, request: Request, refusal: Refusal) -> Cause: ...

    async def generated_tokens(self) -> int | None: ...

    async def close(self) -> None: ...
