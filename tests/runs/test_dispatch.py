"""The dispatcher: what it admits, what it keeps, and what it does when something fails."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pacore.core.engine import NO_HINT, Cause, EngineFault, EngineInfo, Hint, Refusal
from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request
from pacore.errors import Interrupted, StoreError
from pacore.runs.dispatch.dispatcher import ADMITTED_PER_SLOT, Dispatcher, filled
from pacore.runs.dispatch.places import Priority
from pacore.runs.dispatch.sampler import RetryPolicy
from pacore.runs.dispatch.writers import Filled
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal

RECIPE = Recipe("counted")


SLOTS = 4


class CountedEngine:
    """An engine that answers when it is told to, and counts who asked and how many at once."""

    def __init__(self, slots: int = SLOTS) -> None:
        self.asked: list[int] = []
        self.now = self.most = 0
        self.faults: dict[int, EngineFault] = {}
        self.silent: set[int] = set()
        self.seconds = 0.002
        self.is_certain = False
        self.is_starting = False
        self._slots = slots

    @property
    def slots(self) -> int:
        return self._slots

    async def describe(self) -> EngineInfo:
        await asyncio.sleep(3600.0 if self.is_starting else 0.0)
        return EngineInfo("counted", "1")

    async def generate(
        self,
        request: Request,
        hint: Hint = NO_HINT,  # noqa: ARG002 - the engines' signature
    ) -> Generation:
        self.asked.append(request.draw)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(3600.0 if request.draw in self.silent else self.seconds)
        finally:
            self.now -= 1
        if (fault := self.faults.pop(request.draw, None)) is not None:
            raise fault
        return Generation("stop", content=f"draw {request.draw}", completion_tokens=7)

    async def count_prompt_tokens(
        self,
        recipe: Recipe,  # noqa: ARG002 - the protocol's
        turns: Sequence[Turn],  # noqa: ARG002 - the protocol's
    ) -> int | None:
        return None

    async def cause_of(
        self,
        request: Request,  # noqa: ARG002 - the protocol's
        refusal: Refusal,
    ) -> Cause:
        return Cause(refusal.message, self.is_certain)

    async def generated_tokens(self) -> int | None:
        return None

    async def close(self) -> None:
        """Nothing is held."""


def requests(*draws: int) -> list[Request]:
    turns = (Turn("user", "Count."),)
    return [Request.of(RECIPE, turns, "p" * 64, draw) for draw in draws]


def fill(
    dispatcher: Dispatcher,
    asked: Sequence[Request],
    priority: Priority = (0, 0),
    on_filled: Callable[[Filled], None] = lambda _: None,
) -> list[Filled]:
    """Have requests of one run filled, and wait for it."""
    return filled(dispatcher.begin("run", asked, lambda: Hint(priority), on_filled))


class Bench:
    """A dispatcher over a counted engine and a journal in a folder."""

    def __init__(self, folder: Path, retry: RetryPolicy) -> None:
        self.engine = CountedEngine()
        self.store = open_store(str(folder / "store"))
        self.journal = Journal(self.store)
        self.dispatcher = Dispatcher(lambda: self.engine, self.journal, retry)

    def fill(self, *draws: int, priority: tuple[int, int] = (0, 0)) -> list[Filled]:
        return fill(self.dispatcher, requests(*draws), priority)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, RetryPolicy(2, 0.01, 0.05))
    yield made
    made.dispatcher.close()


def test_results_come_in_the_order_of_the_requests_and_are_all_journalled(bench: Bench) -> None:
    asked = requests(*range(40))
    heard: list[str] = []
    made = fill(bench.dispatcher, asked, on_filled=lambda one: heard.append(one.trajectory_id))
    assert [one.trajectory_id for one in made] == [one.trajectory_id for one in asked]
    assert sorted(heard) == sorted(one.trajectory_id for one in asked)
    for number, request in enumerate(asked):
        entry = bench.journal.find(request.trajectory_id)
        assert entry is not None
        assert entry.generation.content == f"draw {number}"


def test_no_more_requests_reach_the_engine_than_it_has_slots(bench: Bench) -> None:
    bench.fill(*range(60))
    assert bench.engine.most == SLOTS


def test_nothing_to_fill_opens_no_engine(bench: Bench) -> None:
    assert fill(bench.dispatcher, []) == []
    assert not bench.engine.asked


def test_one_trajectory_wanted_in_several_places_is_generated_once(bench: Bench) -> None:
    made = bench.fill(5, 6, *[5] * (ADMITTED_PER_SLOT * SLOTS))
    assert sorted(bench.engine.asked) == [5, 6]
    assert {one.trajectory_id for one in made} == {one.trajectory_id for one in requests(5, 6)}


def test_later_rounds_are_admitted_before_earlier_ones(bench: Bench) -> None:
    bench.engine.seconds = 0.05
    held = range(ADMITTED_PER_SLOT * SLOTS)
    first, second = requests(*held, *range(100, 140)), requests(*range(200, 210))
    earlier = bench.dispatcher.begin("run", first, lambda: Hint((-1, 0)), lambda _: None)
    later = bench.dispatcher.begin("run", second, lambda: Hint((-2, 0)), lambda _: None)
    filled(earlier)
    filled(later)
    asked = bench.engine.asked
    assert max(asked.index(draw) for draw in range(200, 210)) < asked.index(139)


def test_a_passing_fault_is_tried_again_and_what_it_cost_is_kept(bench: Bench) -> None:
    bench.engine.faults[3] = EngineFault("engine_error", "busy", transient=True, wasted_tokens=11)
    (made,) = bench.fill(3)
    entry = bench.journal.find(made.trajectory_id)
    assert entry is not None
    assert (entry.generation.finish_reason, entry.generation.tries) == ("stop", 2)
    assert entry.generation.wasted_tokens == 11


def test_a_fault_that_will_not_pass_is_a_tombstone_after_one_try(bench: Bench) -> None:
    bench.engine.faults[3] = EngineFault("rejected", "no such thing", transient=False)
    (made,) = bench.fill(3)
    entry = bench.journal.find(made.trajectory_id)
    assert entry is not None
    assert (entry.generation.finish_reason, entry.generation.tries) == ("rejected", 1)
    assert not made.is_finished


def test_requests_that_wait_to_try_again_give_their_places_to_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path, RetryPolicy(1, 30.0, 30.0))
    resting = range(ADMITTED_PER_SLOT * SLOTS)
    for draw in resting:
        bench.engine.faults[draw] = EngineFault(
            "engine_error", "come back later", transient=True, retry_after_seconds=30.0
        )
    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(bench.fill, *resting)
        while len(bench.engine.asked) < len(resting):
            threading.Event().wait(0.001)
        assert len(bench.fill(*range(100, 120))) == 20
        assert not waiting.done()
        bench.dispatcher.close()
        with pytest.raises(Interrupted):
            waiting.result()


@pytest.mark.slow
def test_what_another_scheduler_journalled_meanwhile_is_adopted_and_not_sent(bench: Bench) -> None:
    bench.engine.seconds = 0.6
    *_, last = asked = requests(*range(4 * SLOTS))
    with ThreadPoolExecutor(1) as threads:
        filling = threads.submit(fill, bench.dispatcher, asked)
        theirs = Generation("stop", content="theirs", completion_tokens=3)
        bench.journal.add(last, theirs, "run")
        made = filling.result()
    assert last.draw not in bench.engine.asked
    assert (made[-1].is_finished, made[-1].completion_tokens) == (True, 3)


def test_stopping_wakes_every_waiting_thread_and_keeps_what_was_journalled(bench: Bench) -> None:
    bench.engine.silent.update((1, 2))
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(bench.fill, 0, 1), threads.submit(bench.fill, 2)]
        (first,) = requests(0)
        while bench.journal.find(first.trajectory_id) is None:
            threading.Event().wait(0.001)
        bench.dispatcher.stop()
        for one in waiting:
            with pytest.raises(Interrupted):
                one.result(timeout=120)
    with pytest.raises(Interrupted):
        bench.fill(9)
    assert bench.journal.find(first.trajectory_id) is not None


def test_closing_wakes_every_waiting_thread(bench: Bench) -> None:
    bench.engine.silent.add(1)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(bench.fill, 1)
        while not bench.engine.asked:
            threading.Event().wait(0.001)
        bench.dispatcher.close()
        with pytest.raises(Interrupted):
            waiting.result(timeout=120)
    with pytest.raises(Interrupted):
        bench.fill(2)


@pytest.mark.parametrize("is_closed", [False, True], ids=["stopped", "closed"])
def test_an_engine_that_starts_after_the_stop_holds_up_nobody(
    tmp_path: Path, is_closed: bool
) -> None:
    bench = Bench(tmp_path, RetryPolicy())
    bench.engine.is_starting = True
    began, may_go_on = threading.Event(), threading.Event()

    def opened() -> CountedEngine:
        began.set()
        may_go_on.wait()
        return bench.engine

    dispatcher = Dispatcher(opened, bench.journal, RetryPolicy())
    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(fill, dispatcher, requests(0))
        began.wait()
        dispatcher.stop()
        closing = threads.submit(dispatcher.close) if is_closed else None
        may_go_on.set()
        with pytest.raises(Interrupted):
            waiting.result(timeout=120)
        if closing is not None:
            closing.result(timeout=120)
    dispatcher.close()
    bench.dispatcher.close()


def test_a_journal_that_fails_stops_the_shard_with_its_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path, RetryPolicy())
    (blocked,) = requests(0)
    folder = tmp_path / "store" / "journal"
    folder.mkdir(parents=True)
    (folder / blocked.trajectory_id[:2]).write_text("a file where a folder should be")
    with pytest.raises(StoreError):
        bench.fill(0)
    bench.dispatcher.close()


class MeteredEngine(CountedEngine):
    """Counts two tokens of each request at once; no request ends by itself."""

    async def generate(self, request: Request, hint: Hint = NO_HINT) -> Generation:
        if hint.meter is not None:
            hint.meter.begin().tokens = 2
        return await super().generate(request, hint)


@pytest.fixture
def metered(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, RetryPolicy(0, 0.01, 0.05))
    made.engine = MeteredEngine()
    made.engine.silent = set(range(100))
    yield made
    made.dispatcher.close()


def begun(bench: Bench, draw: int, run_id: str = "run") -> Future[list[Filled]]:
    """A request of its own that may be aborted."""
    return bench.dispatcher.begin(run_id, requests(draw), lambda: Hint((0, 0)), may_be_aborted=True)


def wait_until(is_met: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_met():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that")


def test_what_is_aborted_is_settled_with_what_it_has_cost_and_is_in_no_journal(
    metered: Bench,
) -> None:
    one, other = begun(metered, 1), begun(metered, 2)
    wait_until(lambda: metered.engine.now == 2)
    metered.dispatcher.abort([one])
    (ended,) = filled(one)
    assert (ended.finish_reason, ended.completion_tokens) == ("aborted", 2)
    assert ended.generation is not None and ended.generation.tries == 1
    assert metered.journal.find(ended.trajectory_id) is None
    assert metered.engine.now == 1 and not other.done()


def test_what_was_never_sent_is_aborted_at_no_cost(metered: Bench) -> None:
    waiting = [begun(metered, draw) for draw in range(SLOTS * ADMITTED_PER_SLOT + 3)]
    wait_until(lambda: metered.engine.now == SLOTS)
    metered.dispatcher.abort(waiting[SLOTS:])
    ended = [filled(one)[0] for one in waiting[SLOTS:]]
    assert {(one.finish_reason, one.completion_tokens) for one in ended} == {("aborted", 0)}
    assert {one.generation.tries for one in ended if one.generation} == {0}
    assert len(metered.engine.asked) == SLOTS


def test_what_two_want_goes_on_until_the_second_needs_it_no_more(metered: Bench) -> None:
    first, second = begun(metered, 1), begun(metered, 1)
    wait_until(lambda: metered.engine.now == 1)
    metered.dispatcher.abort([first])
    (ended,) = filled(first)
    assert (ended.finish_reason, ended.completion_tokens) == ("aborted", 0)
    assert metered.engine.now == 1 and not second.done()
    metered.dispatcher.abort([second])
    assert filled(second)[0].completion_tokens == 2
    assert metered.engine.now == 0


def test_what_was_aborted_can_be_begun_again(metered: Bench) -> None:
    one = begun(metered, 1)
    wait_until(lambda: metered.engine.now == 1)
    metered.dispatcher.abort([one])
    metered.engine.silent = set()
    again = begun(metered, 1)
    assert filled(one)[0].finish_reason == "aborted"
    assert filled(again)[0].finish_reason == "stop"


def test_to_abort_what_has_ended_changes_nothing(metered: Bench) -> None:
    metered.engine.silent = set()
    one = begun(metered, 1)
    assert filled(one)[0].finish_reason == "stop"
    metered.dispatcher.abort([one])
    assert filled(begun(metered, 2))[0].finish_reason == "stop"
    assert filled(one)[0].finish_reason == "stop"
