"""``pacore plan`` of every strategy: what it says is to generate is what the run then generates."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pacore.core.config.run import RunConfig
from pacore.core.engine import EngineInfo
from pacore.core.problem import set_digest
from pacore.core.trajectory import Request
from pacore.problems.files import read_problem_set
from pacore.report.plan import forecast_sheet
from pacore.report.rendering.terminal import to_text
from pacore.runs.planning.forecast import Forecast, Forecaster
from pacore.runs.planning.reuse import Planned, nearest
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal
from tests.fixtures.pipeline import (
    Killed,
    journal_size,
    killed_after,
    run_stages,
    scripted_config,
    table,
    write_problems,
)
from tests.fixtures.strategies import STRATEGIES, UNEVEN

by_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def config_of(folder: Path, strategy: str, **fields: Any) -> RunConfig:
    given = {"model": "scripted?words=4", "widths": (4, 2), "run_id": "mine"}
    problems = write_problems(folder / "problems.jsonl", 2)
    return scripted_config(
        folder / "store", problems, **{**given, **STRATEGIES[strategy], **fields}
    )


def count_words(request: Request) -> int | None:
    return max(1, sum(len(turn.content.split()) for turn in request.turns))


def forecast(config: RunConfig, window: int | None = None) -> Forecast:
    info = None if window is None else EngineInfo("scripted", window_tokens=window)
    counter = None if window is None else count_words
    journal = Journal(open_store(config.store))
    forecaster = Forecaster(config.plan, config.recipe, journal, info, counter)
    return forecaster.forecast(read_problem_set(config.problems), 1)


@pytest.mark.slow
@by_strategy
def test_before_a_run_and_wherever_it_stopped_the_rest_is_known_to_the_trajectory(
    tmp_path: Path, strategy: str
) -> None:
    config = config_of(tmp_path, strategy)
    whole = forecast(config)
    assert whole.total("to_generate") == whole.total("trajectories")
    assert [r.trajectories for r in whole.rounds] == [2 * step.width for step in config.plan.steps]
    for stop in (3, 5, 7, None):
        to_generate = forecast(config).total("to_generate")
        before = journal_size(config.store)
        if stop is None:
            run_stages(config)
            assert journal_size(config.store) - before == to_generate
        else:
            with pytest.raises(Killed):
                run_stages(config, killed_after(stop))
            made = journal_size(config.store) - before
            assert forecast(config).total("to_generate") == to_generate - made
    done = forecast(config)
    assert done.total("to_generate") == done.total("unknown") == 0
    assert done.total("stored") == journal_size(config.store)


@pytest.mark.slow
@by_strategy
def test_of_a_run_in_which_messages_fail_it_is_an_upper_bound_and_in_the_end_exact(
    tmp_path: Path, strategy: str
) -> None:
    config = config_of(tmp_path, strategy, model=UNEVEN, on_shortfall="refill", min_messages=(3, 1))
    to_generate = forecast(config).total("to_generate")
    run_stages(config)
    refills = sum(attempt > 0 for _, attempt in attempts(config))
    assert journal_size(config.store) <= to_generate + refills
    done = forecast(config)
    assert done.total("to_generate") == 0
    rounds = Counter(round_ for round_, _ in attempts(config))
    assert {n: r.stored for n, r in enumerate(done.rounds, 1) if r.stored} == dict(rounds)


def attempts(config: RunConfig) -> list[tuple[Any, ...]]:
    return table(config.store, "mine", "trajectories", ["attempt"])


@pytest.mark.parametrize("overflow", ["fail", "fewer_messages"])
@by_strategy
def test_slots_whose_prompts_are_too_long_are_told_each_by_itself(
    tmp_path: Path, strategy: str, overflow: str
) -> None:
    config = config_of(
        tmp_path, strategy, model="scripted?words=10&window=125", max_tokens=30, overflow=overflow
    )
    run_stages(config)
    done = forecast(config, window=125)
    reasons = table(config.store, "mine", "trajectories", ["finish_reason"])
    lost = Counter(round_ for round_, reason in reasons if reason == "context_overflow")
    assert {n: r.too_long for n, r in enumerate(done.rounds, 1) if r.too_long} == dict(lost)
    assert done.total("to_generate") == 0


def test_the_bounds_of_steps_bound_what_is_to_pay(tmp_path: Path) -> None:
    config = config_of(tmp_path, "a workspace of summaries", max_tokens=100)
    found = forecast(config)
    longest = [found.longest_in(round_) for round_ in range(1, config.plan.rounds + 1)]
    assert longest == [100, 16, 24, 100, 16, 24, 100]
    assert found.new_tokens([1]) == 2 * 4 * 100
    assert found.new_tokens([2, 3]) == 2 * (4 * 16 + 24)
    text = to_text(forecast_sheet(found), 100)
    total = 2 * (4 * 100 + 4 * 16 + 24 + 2 * 100 + 2 * 16 + 24 + 100)
    assert f"at most {total:,}: 30 trajectories of up to 100" in text
    assert [line.split()[1] for line in text.splitlines()[2:9]] == [
        "4", "4c", "1d", "2", "2c", "1d", "1",
    ]  # fmt: skip
    unbounded = forecast(config.model_copy(update={"max_tokens": None}))
    assert unbounded.new_tokens([2, 3]) == 2 * (4 * 16 + 24)
    assert unbounded.new_tokens([1, 2]) is None


def test_a_wording_of_a_prompt_and_more_of_a_width_are_named_by_what_is_not_reused(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path, "summaries", widths=(4,))
    run_stages(config)

    def changes(template: str = "", **fields: Any) -> list[str]:
        problems = read_problem_set(config.problems)
        store = open_store(config.store)
        identity = config.model_copy(update=fields).identity(set_digest(problems))
        if template:
            identity["condense_template"] = template
        earlier = nearest(store, Planned(identity, problems), set())
        assert earlier is not None
        return earlier.changes

    assert changes() == []
    (wording,) = changes(template="another")
    unused = "stored trajectories of {} were made under other settings"
    assert wording.endswith(f"other prompts; all 10 {unused.format('rounds 2 to 3')}")
    (wider,) = changes(widths=(6,))
    assert wider == (
        "plan.widths: [4] -> [6]: 4 of 6 draws of round 1 reused; other messages make other "
        f"prompts; all 2 {unused.format('round 3')}"
    )
    (longer,) = changes(summary_tokens=9)
    assert longer.startswith("plan.summary_tokens: 16 -> 9: other prompts; all 10 stored")
