"""The slots of an engine: who waits for one, and what happens where their number changes."""

from __future__ import annotations

import asyncio

from pacore.runs.dispatch.places import Places


class Engine:
    """Slots that a test changes."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.places = Places(lambda: self.slots)
        self.log: list[str] = []
        self.free: dict[str, asyncio.Event] = {}

    async def work(self, name: str, priority: int = 0) -> None:
        self.free[name] = asyncio.Event()
        async with self.places.taken((priority,)):
            self.log.append(name)
            await self.free[name].wait()


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_of_those_who_wait_the_smallest_priority_is_next_and_then_the_first_to_come() -> None:
    async def go() -> list[str]:
        engine = Engine(1)
        orders = {"first": 5, "late": 3, "early": 1, "second": 3}
        tasks = [asyncio.create_task(engine.work(name, order)) for name, order in orders.items()]
        await _settled()
        for _ in orders:
            engine.free[engine.log[-1]].set()
            await _settled()
        await asyncio.gather(*tasks)
        return engine.log

    assert asyncio.run(go()) == ["first", "early", "late", "second"]


def test_new_slots_are_given_to_those_who_wait_and_fewer_let_nobody_in() -> None:
    async def go() -> None:
        engine = Engine(2)
        tasks = {name: asyncio.create_task(engine.work(name)) for name in "abcde"}
        await _settled()
        assert engine.log == ["a", "b"]
        engine.slots = 4
        engine.places.look()
        await _settled()
        assert engine.log == ["a", "b", "c", "d"]
        engine.slots = 2
        for name in "ab":
            engine.free[name].set()
        await _settled()
        assert engine.log == ["a", "b", "c", "d"], "two are held, and two are allowed"
        engine.free["c"].set()
        await _settled()
        assert engine.log[-1] == "e"
        for name in "de":
            engine.free[name].set()
        await asyncio.gather(*tasks.values())

    asyncio.run(go())


def test_a_slot_is_lost_to_nobody_who_is_cancelled_while_waiting_or_just_called() -> None:
    async def go() -> None:
        engine = Engine(1)
        tasks = {name: asyncio.create_task(engine.work(name)) for name in "abcd"}
        await _settled()
        tasks["b"].cancel()
        await _settled()
        engine.free["a"].set()
        # Until a has ended and c is called; and c is cancelled before it goes on.
        while not tasks["a"].done():
            await asyncio.sleep(0)
        tasks["c"].cancel()
        await _settled()
        assert engine.log[-1] == "d"
        engine.free["d"].set()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        async with engine.places.taken(()):
            pass

    asyncio.run(go())
