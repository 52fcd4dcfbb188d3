"""What servers say of themselves while a run goes on, and a word when they say something else.

Behind an endpoint the weights are known by name only. A name that stands for something else halfway
through a run leaves trajectories of two models under one recipe; pacore cannot tell, but it can say
aloud what it sees: version, context window, model root, and the served model and fingerprint that
come with every response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pacore.core.engine import Cause, Engine, EngineInfo, Refusal
from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request
from pacore.store.backends.protocol import Backend
from pacore.store.layout import engine_key
from pacore.store.records import Time, find, put_new
from pacore.text import excerpt, visible

Facts = Mapping[str, str | int | None]
"""What a server says by name of the fact; None where it says nothing."""

FACT_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """The record ``engine.json``: what was known of the engine when it was first used for a run."""

    seen_at: Time
    facts: dict[str, str | int | None]


class FirstFacts:
    """The facts that a run's first trajectory was generated under: ``runs/<run_id>/engine.json``."""

    def __init__(self, store: Backend, run_id: str) -> None:
        self._store = store
        self._key = engine_key(run_id)

    def read(self) -> dict[str, str | int]:
        """Empty where no trajectory of the run has been generated. Raises StoreError."""
        record = find(self._store, self._key, EngineRecord)
        facts = record.facts if record else {}
        return {name: value for name, value in facts.items() if value is not None}

    def keep(self, facts: Facts) -> None:
        """Record the facts, unless another process was first."""
        put_new(self._store, self._key, EngineRecord(datetime.now(UTC), dict(facts)))


class WatchedEngine:
    """An engine that compares what its servers say with what they said first.

    ``say`` hears of every change once in a process, with the old fact and the new one. The first
    facts are the run's, whichever process it was that met them.
    """

    def __init__(self, engine: Engine, first: FirstFacts, say: Callable[[str], None]) -> None:
        self._engine = engine
        self._first = first
        self._say = say
        self._known: dict[str, str | int] = {}
        self._said: set[tuple[str, str | int]] = set()
        self._described: Facts = {}
        self._is_recorded = False
        self._wires: set[str] = set()

    @property
    def slots(self) -> int:
        return self._engine.slots

    async def describe(self) -> EngineInfo:
        """Raises StoreError where the record of the first facts cannot be read."""
        info = await self._engine.describe()
        self._known = await asyncio.to_thread(self._first.read)
        self._is_recorded = bool(self._known)
        self._described = {
            "version": info.version,
            "window_tokens": info.window_tokens,
            "model_root": info.model_root,
        }
        self._compare(self._described)
        return info

    async def generate(self, request: Request) -> Generation:
        generation = await self._engine.generate(request)
        facts: Facts = {
            "served_model": generation.served_model,
            "fingerprint": generation.fingerprint,
        }
        self._compare(facts)
        if generation.wire is not None and generation.wire not in self._wires:
            self._wires.add(generation.wire)
            self._say(
                f"the endpoint takes requests in another form ({generation.wire}), and gets them so; "
                "each trajectory's row says it in wire"
            )
        if not self._is_recorded and generation.finish_reason != "context_overflow":
            self._is_recorded = True
            wire = {} if generation.wire is None else {"wire": generation.wire}
            await asyncio.to_thread(self._first.keep, {**self._described, **facts, **wire})
        return generation

    async def count_prompt_tokens(self, recipe: Recipe, turns: Sequence[Turn]) -> int | None:
        return await self._engine.count_prompt_tokens(recipe, turns)

    async def cause_of(self, request: Request, refusal: Refusal) -> Cause:
        return await self._engine.cause_of(request, refusal)

    async def generated_tokens(self) -> int | None:
        return await self._engine.generated_tokens()

    async def close(self) -> None:
        await self._engine.close()

    def _compare(self, facts: Facts) -> None:
        changes = []
        for name, value in facts.items():
            if value is None or self._known.setdefault(name, value) == value:
                continue
            if (name, value) not in self._said:
                self._said.add((name, value))
                changes.append(f"{name} {_shown(self._known[name])} -> {_shown(value)}")
        if changes:
            self._say(
                "warning: the server is not what it was when this run began: "
                f"{', '.join(changes)}; if the weights are not the same either, begin another run with "
                "--revision"
            )


def _shown(fact: str | int) -> str:
    return visible(excerpt(str(fact), FACT_CHARACTERS))
