"""Stops a run whose first requests all fail in the same way, for a reason that no retry cures.

Until an engine has served something, the cause of a refusal may be not the request but how the run is
set up: a wrong address, a model that is not loaded, a field the server does not take. So
the first refusals are held, in no journal. If something is served they are ordinary tombstones. If
all are alike the run stops with their cause, and costs no trajectory an attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pacore.core.engine import Cause, Refusal
from pacore.core.trajectory import Generation, Request
from pacore.errors import EngineUnavailable

FIRST_WITHOUT_CONTENT = 4
"""So many first trajectories, each all reasoning and without content, have the same cause."""

FindCause = Callable[[Request, Refusal], Awaitable[Cause]]

_NO_CONTENT = (
    "the first {count} trajectories came with all their text as reasoning and none as content, so the "
    "run stops: the server's reasoning parser does not fit the model or its chat template; serve it "
    "without one (vLLM and SGLang: without --reasoning-parser), or have the model think "
    "(--chat-template-options). They are kept; --early-stop 0 goes on as it is"
)


class EarlyStop:
    """Holds the refusals of an engine that has served nothing yet. Lives in one event loop.

    ``most`` refusals that are alike stop the run, 0 stops none. ``find_cause`` finds their cause by the
    engine; ``on_held`` is called with 1 when a request begins to be held, and with -1 when that ends;
    ``under_way`` returns how many requests are, those that are held among them.
    """

    def __init__(
        self,
        most: int,
        find_cause: FindCause,
        on_held: Callable[[int], None],
        under_way: Callable[[], int],
    ) -> None:
        self._most = most
        self._find_cause = find_cause
        self._on_held = on_held
        self._under_way = under_way
        self._has_served = most == 0
        self._without_content: int | None = 0
        self._held: list[tuple[Request, Refusal, asyncio.Future[None]]] = []
        self._deciding: asyncio.Task[None] | None = None
        self._cause: Cause | None = None

    def served(self, made: Generation) -> None:
        """Note a trajectory. Raises EngineUnavailable where too many came without any content."""
        if made.finish_reason == "context_overflow":
            return
        self._release()
        if self._without_content is None or self._most == 0:
            return
        if made.finish_reason != "stop" or (made.content or "").strip() or not made.reasoning:
            self._without_content = None
            return
        self._without_content += 1
        if self._without_content >= min(self._most, FIRST_WITHOUT_CONTENT):
            raise EngineUnavailable(_NO_CONTENT.format(count=self._without_content))

    async def hold(self, request: Request, refusal: Refusal) -> bool:
        """Hold a refused request for as long as the refusal may be about all of them.

        Returns whether something was served since it was sent. Raises EngineUnavailable where the
        run stops.
        """
        if self._has_served:
            return False
        decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append((request, refusal, decided))
        if len({refusal.likeness for _, refusal, _ in self._held}) > 1:
            self._release()
        self._on_held(1)
        self.look()
        try:
            await decided
        finally:
            self._on_held(-1)
        return self._has_served

    def look(self) -> None:
        """Decide where there is enough to decide on: to be called whenever a request has ended."""
        is_ready = len(self._held) >= self._most or (self._held and self._is_idle())
        if is_ready and (self._deciding is None or self._deciding.done()):
            self._deciding = asyncio.create_task(self._decide())

    def _is_idle(self) -> bool:
        """Whether all that is under way is held, so that nothing may be served yet."""
        return self._under_way() == len(self._held)

    async def _decide(self) -> None:
        """Stop the run where the cause is certain, or where no other one is likely.

        A request that is under way may yet be served, and where all prompts are the same the server
        may refuse that prompt.
        """
        if not self._held:
            return
        request, refusal, _ = self._held[0]
        if self._cause is None:
            self._cause = await self._find_cause(request, refusal)
        count, prompts = len(self._held), {request.prompt_digest for request, _, _ in self._held}
        is_idle = self._is_idle()
        if self._cause.is_certain or (is_idle and count >= self._most and len(prompts) > 1):
            which = "request was" if count == 1 else f"{count} requests were all"
            stopped = EngineUnavailable(
                f"the run stops, for the first {which} refused: {self._cause.line}"
            )
            for _, _, decided in self._taken():
                decided.set_exception(stopped)
        elif is_idle:
            self._settle()

    def _release(self) -> None:
        """From now on a refusal is due to its request."""
        self._has_served = True
        self._settle()

    def _settle(self) -> None:
        for _, _, decided in self._taken():
            decided.set_result(None)

    def _taken(self) -> list[tuple[Request, Refusal, asyncio.Future[None]]]:
        held, self._held = self._held, []
        return [one for one in held if not one[2].done()]
