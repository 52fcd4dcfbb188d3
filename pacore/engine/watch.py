"""Reports when the facts that servers report about themselves change during a run.

Behind an endpoint the weights are known by name only. If a name comes to mean other weights halfway
through a run, its trajectories come from two models under one recipe. pacore cannot detect that, but
reports a change of version, context window, model root, or of the served model and fingerprint in the
responses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pacore.core.engine import NO_HINT, Cause, Engine, EngineInfo, Hint, Refusal
from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request
from pacore.store.backends.protocol import Backend
from pacore.store.layout import engine_key
from pacore.store.records import Time, find, put_new
from pacore.text import excerpt, visible

ServerFacts = Mapping[str, str | int | None]
"""Facts reported by a server, by name; None where it does not report one."""

FACT_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """The record ``engine.json``: the facts of the engine when a run first used it."""

    seen_at: Time
    facts: dict[str, str | int | None]


class FirstFacts:
    """The facts when a run's first trajectory was generated: ``runs/<run_id>/engine.json``."""

    def __init__(self, store: Backend, run_id: str) -> None:
        self._store = store
        self._key = engine_key(run_id)

    def read(self) -> dict[str, str | int]:
        """The recorded facts, without missing ones; empty before a run's first generation.

        Raises StoreError.
        """
        record = find(self._store, self._key, EngineRecord)
        facts = record.facts if record else {}
        return {name: value for name, value in facts.items() if value is not None}

    def record(self, facts: ServerFacts) -> None:
        """Write the facts, unless another process has already written some."""
        put_new(self._store, self._key, EngineRecord(datetime.now(UTC), dict(facts)))


class WatchedEngine:
    """An engine that compares the facts its servers report with those of the run's first generation.

    ``say`` is called with one line for each change, once per process, naming the old and the new
    fact. The first facts belong to the run, whichever process recorded them.
    """

    def __init__(self, engine: Engine, first: FirstFacts, say: Callable[[str], None]) -> None:
        self._engine = engine
        self._first = first
        self._say = say
        self._known: dict[str, str | int] = {}
        self._reported: set[tuple[str, str | int]] = set()
        self._described: ServerFacts = {}
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

    async def generate(self, request: Request, hint: Hint = NO_HINT) -> Generation:
        generation = await self._engine.generate(request, hint)
        facts: ServerFacts = {
            "served_model": generation.served_model,
            "fingerprint": generation.fingerprint,
        }
        self._compare(facts)
        if generation.wire is not None and generation.wire not in self._wires:
            self._wires.add(generation.wire)
            self._say(
                f"the endpoint needs another wire format ({generation.wire}), which is now used; "
                "it is recorded in the column wire of each trajectory"
            )
        if not self._is_recorded and generation.finish_reason != "context_overflow":
            self._is_recorded = True
            wire = {} if generation.wire is None else {"wire": generation.wire}
            await asyncio.to_thread(self._first.record, {**self._described, **facts, **wire})
        return generation

    async def count_prompt_tokens(self, recipe: Recipe, turns: Sequence[Turn]) -> int | None:
        return await self._engine.count_prompt_tokens(recipe, turns)

    async def cause_of(self, request: Request, refusal: Refusal) -> Cause:
        return await self._engine.cause_of(request, refusal)

    async def generated_tokens(self) -> int | None:
        return await self._engine.generated_tokens()

    async def close(self) -> None:
        await self._engine.close()

    def _compare(self, facts: ServerFacts) -> None:
        changes = []
        for name, value in facts.items():
            if value is None or self._known.setdefault(name, value) == value:
                continue
            if (name, value) not in self._reported:
                self._reported.add((name, value))
                changes.append(f"{name} {_shown(self._known[name])} -> {_shown(value)}")
        if changes:
            self._say(
                "warning: the server has changed since this run began: "
                f"{', '.join(changes)}; if its weights have changed too, start another run with "
                "--revision"
            )


def _shown(fact: str | int) -> str:
    return visible(excerpt(str(fact), FACT_CHARACTERS))
