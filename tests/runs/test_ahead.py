"""Rounds that begin before their stage: a problem waits for its own round alone, and for no other's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pacore.core.config.run import RunConfig
from pacore.core.engine import NO_HINT, Engine, Hint
from pacore.core.round import Round, anything_fits, open_slots
from pacore.core.trajectory import Generation, Request
from pacore.engine.scripted import ScriptedEngine
from pacore.runs.ahead import Ahead
from pacore.runs.dispatch.in_work import SetPlace
from pacore.runs.dispatch.order import WorkOrder
from pacore.runs.dispatch.sampler import RetryPolicy
from pacore.runs.dispatch.writers import Filled
from pacore.runs.loop import finish_shard
from pacore.runs.problems import begin, open_shards
from pacore.runs.work import EngineSettings, Work, WorkLimits
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal
from pacore.store.run import Run, problems_of
from tests.fixtures.pipeline import oracle, scripted_config, table, tables, write_problems

PROBLEMS, WIDTHS = 4, (3, 2)

SLOW = "sum-0002"


class HeldEngine(ScriptedEngine):
    """The scripted engine, which does not answer about one problem before it is released."""

    def __init__(self, model: str, held: str) -> None:
        super().__init__(model)
        self.requests: list[tuple[int, str]] = []
        self.released = threading.Event()
        self._held = held
        self._changed = threading.Condition()

    async def generate(self, request: Request, hint: Hint = NO_HINT) -> Generation:
        text = request.turns[-1].content
        is_synthesis = "reference" in text.lower()
        with self._changed:
            self.requests.append((2 if is_synthesis else 1, text))
            self._changed.notify_all()
        if self._held in text and not is_synthesis:
            while not self.released.is_set():
                await asyncio.sleep(0.01)
        return await super().generate(request, hint)

    def wait_for(self, met: Callable[[list[tuple[int, str]]], bool], seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: met(self.requests), seconds)


def _opened(config: RunConfig, engine: Engine) -> Work:
    run = begin(config)
    left = open_shards(open_store(config.store), run)
    settings = EngineSettings(lambda _: engine, 64, RetryPolicy())
    limits = WorkLimits(config.attempts, config.grading_timeout_seconds)
    return Work(open_store(config.store), run, limits, settings, left)


def _config(folder: Path, **fields: object) -> RunConfig:
    problems = write_problems(folder / "problems.jsonl", PROBLEMS)
    given = {"widths": WIDTHS, "shard_size": PROBLEMS, "run_id": "ahead", **fields}
    return scripted_config(folder / "store", problems, **given)


HELD = "What is 2 + 5?"
OTHERS = (PROBLEMS - 1) * (sum(WIDTHS) + 1)
"""Trajectories of the problems that are not held."""


def _wait_for_others(engine: HeldEngine) -> None:
    """Wait until every trajectory of the problems that are not held was requested."""

    def of_others(seen: list[tuple[int, str]]) -> int:
        return len([text for _, text in seen if HELD not in text])

    came = engine.wait_for(lambda seen: of_others(seen) >= OTHERS, 30)
    assert came, f"{of_others(engine.requests)} requests came of other problems, and not {OTHERS}"


def _fill_first_round(ahead: Ahead, run: Run) -> None:
    """Have a set of round 1 followed, and each of its slots filled."""
    problem = next(problems_of(open_store(run.config["store"]), run, run.shards[0]))
    round_ = Round(run.plan, run.recipe, problem, (1, 0))
    slots = open_slots(round_.prompts())
    follower = ahead.follow(round_, slots, 0, lambda _: anything_fits)
    assert follower is not None
    for slot in slots:
        made = Generation("stop", content="\\boxed{1}", completion_tokens=3)
        follower.kept(slot.begin(run.recipe), made)


def test_a_problem_goes_through_all_rounds_while_another_of_its_shard_is_still_in_the_first(
    tmp_path: Path,
) -> None:
    config = _config(tmp_path)
    engine = HeldEngine(config.model, HELD)
    with _opened(config, engine) as work, ThreadPoolExecutor(1) as threads:
        (shard,) = (work.shard(opened) for opened in work.left)
        ended = threads.submit(finish_shard, shard)
        try:
            _wait_for_others(engine)
            assert not ended.done()
        finally:
            engine.released.set()
        ended.result()
        progress = work.progress
        assert (progress.generated, progress.reused) == (progress.planned, 0)
        assert progress.settled == progress.planned == PROBLEMS * (sum(WIDTHS) + 1)
    assert len(engine.requests) == PROBLEMS * (sum(WIDTHS) + 1), "nothing was requested twice"
    solved = oracle(config)
    made = {row.trajectory_id for one in solved for row in one.trajectories}
    rows = table(config.store, "ahead", "trajectories", ("trajectory_id", "reused"))
    assert {identity for _, identity, _ in rows} == made
    assert not any(reused for _, _, reused in rows)


@pytest.mark.parametrize("shard_size", [1, 3])
def test_what_went_ahead_is_what_the_stages_would_have_made(
    tmp_path: Path, shard_size: int
) -> None:
    """With truncated and empty trajectories, and a window that does not hold all messages."""
    fields = {
        "model": "scripted?words=40&truncate=0.3&empty=0.1&window=600",
        "overflow": "fewer_messages",
        "max_tokens": 100,
    }
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    ahead = _config(one, **fields, shard_size=PROBLEMS)
    split = _config(other, **fields, shard_size=shard_size)
    for config in (ahead, split):
        with _opened(config, ScriptedEngine(config.model)) as work:
            for opened in work.left:
                finish_shard(work.shard(opened))
    assert tables(ahead.store, "ahead") == tables(split.store, "ahead")


def test_what_goes_wrong_ahead_and_is_no_fault_of_store_or_engine_is_raised_in_the_stage(
    tmp_path: Path,
) -> None:
    config = _config(tmp_path)
    run = begin(config)
    store = open_store(config.store)

    def refuse(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("in begin")

    ahead = Ahead(run.plan, run.recipe, Journal(store), refuse, lambda *_: None, WorkOrder(run))
    _fill_first_round(ahead, run)
    ahead.close()
    with pytest.raises(ZeroDivisionError, match="in begin"):
        ahead.reach(0, 2)
    ahead.reach(0, 3)


def test_a_trajectory_that_went_ahead_is_counted_once_whenever_its_stage_finds_it(
    tmp_path: Path,
) -> None:
    """The journal has it a moment before it is reported; a stage that looks then leaves it uncounted."""
    config = _config(tmp_path)
    run = begin(config)
    store = open_store(config.store)
    sent: list[tuple[SetPlace, list[Request], Callable[[SetPlace, Filled], None]]] = []
    counted: list[str] = []

    def keep(*given: Any, **__: Any) -> Any:
        sent.append((given[0], given[1], given[3]))
        return Future()

    ahead = Ahead(
        run.plan, run.recipe, Journal(store), keep, lambda _, one: counted.append(one.trajectory_id),
        WorkOrder(run),
    )  # fmt: skip
    for _ in range(2):  # as a set that goes ahead, and as its own stage finds it
        _fill_first_round(ahead, run)
    ahead.close()
    ((place, requests, on_filled),) = sent
    assert (place.round, place.replicate) == (2, 0)
    assert len(requests) == WIDTHS[1]
    first, second = (request.trajectory_id for request in requests)
    assert ahead.has_sent(first)
    assert ahead.takes(first)
    assert not ahead.takes(first)
    for one in (first, second):
        on_filled(place, Filled(one, "stop", 3))
    assert ahead.takes(second)
    assert counted == [first, second]


def test_a_set_that_is_short_sends_nothing_ahead(tmp_path: Path) -> None:
    config = _config(tmp_path, model="scripted?words=20&truncate=1")
    engine = HeldEngine(config.model, "nothing")
    with _opened(config, engine) as work:
        for opened in work.left:
            finish_shard(work.shard(opened))
    assert len(engine.requests) == PROBLEMS * WIDTHS[0]


def test_a_run_that_was_stopped_while_rounds_went_ahead_pays_for_nothing_again(
    tmp_path: Path,
) -> None:
    config = _config(tmp_path)
    engine = HeldEngine(config.model, HELD)
    with _opened(config, engine) as work, ThreadPoolExecutor(1) as threads:
        ended = threads.submit(finish_shard, work.shard(work.left[0]))
        _wait_for_others(engine)
        while work.progress.generated < OTHERS:
            threading.Event().wait(0.01)
        work.stop()
        assert ended.exception() is not None
    again = HeldEngine(config.model, "nothing")
    with _opened(config, again) as work:
        finish_shard(work.shard(work.left[0]))
        assert work.progress.settled == work.progress.planned
    assert len(again.requests) == sum(WIDTHS) + 1
    assert all(HELD in text for _, text in again.requests)
