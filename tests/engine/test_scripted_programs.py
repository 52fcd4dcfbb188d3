"""Programs of the scripted engine: right as often as planned, in a synthesis that of most references."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from pacore.core.problem import Turn
from pacore.core.prompt import turns_for
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Request
from pacore.engine.scripted import ScriptedEngine
from pacore.engine.scripted_programs import QUANTITIES, program_for, program_reply

ASKED = "Write a program that reads integers from standard input and prints their {}."

DRAWS = 600

NUMBERS = [3, -7, 3, 8, 10]

EXPECTED = {
    "sum": 17, "product": -5040, "maximum": 10, "minimum": -7, "range": 17, "number": 5, "first": 3,
    "last": 10, "median": 3, "largest gap": 10, "number of even ones": 2,
    "number of different ones": 4,
}  # fmt: skip


def contents(statement: str, model: str, messages: tuple[str, ...] = ()) -> Counter[str]:
    turns: tuple[Turn, ...] = (Turn("user", statement),)
    if messages:
        turns = turns_for(turns, messages)
    engine, recipe = ScriptedEngine(model), Recipe(model)
    requests = [Request.of(recipe, turns, "0" * 64, draw) for draw in range(DRAWS)]

    async def said() -> list[str]:
        replies = await asyncio.gather(*map(engine.generate, requests))
        return [str(reply.content) for reply in replies]

    return Counter(asyncio.run(said()))


@pytest.mark.parametrize("what", QUANTITIES)
def test_a_right_program_computes_what_is_asked_for(what: str) -> None:
    name = f"the_{what.replace(' ', '_')}"
    asked = f"Write a function `{name}(numbers)` that returns the {what} of a list of integers."
    names: dict[str, object] = {}
    exec(program_for(asked, what), names)
    assert names[name](NUMBERS) == EXPECTED[what]  # type: ignore[operator]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_programs_are_right_as_often_as_planned(share: float) -> None:
    asked = ASKED.format("range")
    found = contents(asked, f"scripted?words=0&programs={share}")
    right = found[program_reply(program_for(asked, "range"))]
    assert right / DRAWS == pytest.approx(share, abs=0.06)
    assert len(found) == (1 if share == 1 else len(QUANTITIES) - (share == 0))


def test_a_synthesis_gives_the_program_of_most_references_or_one_of_its_own() -> None:
    asked = ASKED.format("sum")
    most, other = (program_reply(program_for(asked, what)) for what in ("median", "sum"))
    found = contents(asked, "scripted?words=0&programs=1", (most, other, "No program.", most))
    assert found.keys() == {most, other}
    assert found[most] / DRAWS == pytest.approx(0.9, abs=0.05)


def test_without_the_option_or_a_program_to_write_replies_are_as_ever() -> None:
    assert all("boxed" in said for said in contents(ASKED.format("sum"), "scripted?words=0"))
    assert all("boxed" in said for said in contents("What is 2 + 2?", "scripted?programs=1"))
