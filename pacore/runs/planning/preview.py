"""What a run would generate and reuse, found before anything is generated."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self, TypeVar

from pacore.core.config.run import RunConfig
from pacore.core.engine import Engine, EngineInfo
from pacore.core.plan import default_shard_size, shards
from pacore.core.problem import set_digest
from pacore.core.trajectory import Request
from pacore.engine.opening import open_engine, resolve_recipe
from pacore.errors import EngineUnavailable
from pacore.home import state_path
from pacore.problems.survey import ProblemSurvey, survey_problems
from pacore.runs.planning.forecast import Forecast, Forecaster, TokenCounter
from pacore.runs.planning.reuse import Earlier, Planned, nearest
from pacore.runs.start import start_run
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal
from pacore.store.layout import run_key
from pacore.store.run import is_closed


class Preview(NamedTuple):
    """``forecast`` is what would be generated; ``earlier`` the run most like it, None without one."""

    forecast: Forecast
    earlier: Earlier | None


def _ignore(_: object) -> None:
    pass


def preview(
    config: RunConfig,
    on_notice: Callable[[str], None] = _ignore,
    on_survey: Callable[[ProblemSurvey], None] = _ignore,
    on_step: Callable[[str], None] = _ignore,
) -> Preview:
    """Find what a run of ``config`` would do, reading the store and, where it answers, the endpoint.

    ``on_survey`` is called with the problem set as it was read, ``on_notice`` with a line for what could
    not be found out, ``on_step`` with what is done next. Writes nothing. Raises BadInput and Refused
    as a run does.
    """
    config = config.at(datetime.now(UTC))
    on_step(f"reading the problem set {config.problems}")
    read = survey_problems(config.problems, config.limit, config.fields)
    problems = read.problems
    on_survey(read)
    on_step(f"reading the files of model {config.model}")
    recipe = resolve_recipe(config)
    on_step(f"looking up what {config.store} has")
    store = open_store(config.store)
    size = config.shard_size or default_shard_size(len(problems), config.plan)
    if config.run_id and store.exists(run_key(config.run_id)):
        run = start_run(store, config, recipe, problems)
        size = run.shard_size
        if is_closed(store, run.run_id):
            on_notice(f"run {run.run_id} is complete already")
    journal = Journal(store)
    with _described(config, on_notice) as (info, count_tokens):
        forecaster = Forecaster(config.plan, recipe, journal, info, count_tokens)
        found = forecaster.forecast(problems, len(shards(len(problems), size)))
    identity = {**config.identity(set_digest(problems)), "recipe": recipe.as_json()}
    return Preview(found, nearest(store, Planned(identity, problems), forecaster.used))


@contextmanager
def _described(
    config: RunConfig, on_notice: Callable[[str], None]
) -> Iterator[tuple[EngineInfo | None, TokenCounter | None]]:
    """What the engine says of itself, and what counts tokens by it; None each where none answers."""
    if config.engine == "vllm":
        on_notice("the context window is not known: a plan starts no vLLM server")
        yield None, None
        return
    with _WaitedEngine(open_engine(config, state_path(), on_notice)) as engine:
        try:
            info = engine.describe()
        except EngineUnavailable as fault:
            on_notice(f"the context window is not known: {fault}")
            yield None, None
        else:
            yield info, engine.count_prompt_tokens


_T = TypeVar("_T")


class _WaitedEngine:
    """An engine for one thread that waits for each answer; a context manager that closes it at its end.

    Engines are asynchronous. The event loop has a thread of its own, so that this can be used where
    another loop runs already, as in a notebook.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counts: dict[str, int | None] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)

    def describe(self) -> EngineInfo:
        """Raises EngineUnavailable."""
        return self._wait(self._engine.describe())

    def count_prompt_tokens(self, request: Request) -> int | None:
        """Tokens of a request's prompt as the engine counts them; None where it cannot.

        Each distinct prompt is counted once.
        """
        prompt = request.prompt_digest
        if prompt not in self._counts:
            counting = self._engine.count_prompt_tokens(request.recipe, request.turns)
            self._counts[prompt] = self._wait(counting)
        return self._counts[prompt]

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._engine.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
