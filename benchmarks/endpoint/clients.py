"""Clients that request the same trajectories as pacore does and keep nothing but answers: what a hundred
lines of asyncio come to.

    python -m benchmarks.endpoint.clients reference config.json http://127.0.0.1:8800/v1 answers.jsonl

`reference`: all problems at once, one semaphore of 1,024, a new connection a request, as the public
reference client of PaCoRe has it. `pooled`: the same over pooled connections without a limit, first come
first served. `barrier`: pooled, and no problem begins a round before every problem has ended the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from pacore.core.answer import Answer, Ended, final_answer
from pacore.core.config.run import RunConfig
from pacore.core.engine import NO_HINT, Cause, EngineInfo, Hint, Refusal
from pacore.core.problem import Problem, Turn
from pacore.core.quorum import SlotOutcome
from pacore.core.recipe import Recipe
from pacore.core.round import Round, open_slots
from pacore.core.solve import rounds_of, solve
from pacore.core.trajectory import Generation, Request, Trajectory
from pacore.engine.chat.completion import read_generation
from pacore.engine.chat.responses import Response
from pacore.engine.chat.wire_format import STANDARD_FORMAT
from pacore.engine.faults import Origin
from pacore.engine.opening import resolve_recipe
from pacore.problems.files import read_problem_set

REFERENCE_LIMIT = 1024

HOURS = aiohttp.ClientTimeout(total=4 * 3600)


class PlainClient:
    """An Engine that sends each request once, to one endpoint, and hopes for the best."""

    def __init__(self, url: str, *, is_pooled: bool) -> None:
        self.slots = REFERENCE_LIMIT
        self._url = url
        self._is_pooled = is_pooled
        self._limit = nullcontext() if is_pooled else asyncio.Semaphore(REFERENCE_LIMIT)
        self._session: aiohttp.ClientSession | None = None

    async def describe(self) -> EngineInfo:
        return EngineInfo("plain")

    async def generate(
        self,
        request: Request,
        hint: Hint = NO_HINT,  # noqa: ARG002 - the engines' signature
    ) -> Generation:
        async with self._limit:
            if not self._is_pooled:
                async with self._opened() as session:
                    return await self._send(session, request)
            if self._session is None:
                self._session = self._opened()
            return await self._send(self._session, request)

    def _opened(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=HOURS)

    async def _send(self, session: aiohttp.ClientSession, request: Request) -> Generation:
        body = STANDARD_FORMAT.body(request)
        async with session.post(f"{self._url}/chat/completions", json=body) as answered:
            whole = Response(answered.status, await answered.read(), None, "application/json", None)
        made = read_generation(Origin(self._url, None), whole, datetime.now(UTC), None)
        assert made.finish_reason in ("stop", "length")
        return made

    async def count_prompt_tokens(
        self,
        recipe: Recipe,  # noqa: ARG002 - the engines' signature
        turns: Sequence[Turn],  # noqa: ARG002 - the engines' signature
    ) -> int | None:
        return None

    async def cause_of(self, request: Request, refusal: Refusal) -> Cause:
        raise NotImplementedError

    async def generated_tokens(self) -> int | None:
        return None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _at_once(
    config: RunConfig, recipe: Recipe, problems: Sequence[Problem], client: PlainClient
) -> list[Answer]:
    """Every problem on its own, as `solve` goes through its rounds."""
    solved = await asyncio.gather(
        *(solve(problem, config.plan, recipe, client) for problem in problems)
    )
    return [answer for one in solved for answer in one.answers]


async def _in_lockstep(
    config: RunConfig, recipe: Recipe, problems: Sequence[Problem], client: PlainClient
) -> list[Answer]:
    """Every problem's round before the next of any."""
    plan = config.plan
    going = [
        (problem, replicate, rounds_of(plan, recipe, problem, replicate))
        for problem in problems
        for replicate in range(plan.replicates)
    ]
    reached = [next(rounds) for _, _, rounds in going]
    while isinstance(reached[0], Round):
        outcomes = await asyncio.gather(*(_sample(one, recipe, client) for one in reached))
        reached = [rounds.send(one) for (_, _, rounds), one in zip(going, outcomes, strict=True)]
    return [
        final_answer(plan, problem, replicate, one)
        for (problem, replicate, _), one in zip(going, reached, strict=True)
        if isinstance(one, Ended)
    ]


async def _sample(round_: object, recipe: Recipe, client: PlainClient) -> list[SlotOutcome]:
    assert isinstance(round_, Round)
    slots = open_slots(round_.prompts())
    requests = [slot.begin(recipe, None) for slot in slots]
    made = await asyncio.gather(*map(client.generate, requests))
    return [
        SlotOutcome.of(
            Trajectory.of(slot.place, request, generation), slot.prompt.compaction, 0, False
        )
        for slot, request, generation in zip(slots, requests, made, strict=True)
    ]


async def _run(kind: str, config: RunConfig, url: str) -> list[Answer]:
    recipe = resolve_recipe(config)
    problems = list(read_problem_set(config.problems))
    client = PlainClient(url, is_pooled=kind != "reference")
    solving = _in_lockstep if kind == "barrier" else _at_once
    try:
        return await solving(config, recipe, problems, client)
    finally:
        await client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("reference", "pooled", "barrier"))
    parser.add_argument("config", type=Path)
    parser.add_argument("url")
    parser.add_argument("answers", type=Path)
    given = parser.parse_args()
    config = RunConfig.model_validate_json(given.config.read_text())
    found = asyncio.run(_run(given.kind, config, given.url))
    with given.answers.open("w") as file:
        for answer in found:
            file.write(json.dumps([answer.problem_id, answer.replicate, answer.answer]) + "\n")


if __name__ == "__main__":
    main()
