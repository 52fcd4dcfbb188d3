"""``pacore plan`` and the context window: what will not fit, what may not, and what is not known."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from pacore.core.engine import EngineInfo
from pacore.core.plan import Plan
from pacore.core.problem import Problem, Turn
from pacore.core.recipe import Recipe
from pacore.runs.planning.forecast import Forecast, Forecaster, TokenCounter
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal
from tests.conftest import Pacore
from tests.fixtures.faulty_server import MODEL, FaultyServer, answers, models

REPLICATES = 3


LENGTHS = (5, 480, 505, 700)
"""Prompts in words, which are the tokens of the test server: with 40 to generate one of them fits."""


def write_set(path: Path) -> Path:
    rows = [{"id": f"p{n}", "problem": "word " * n, "answer": "7"} for n in LENGTHS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def planned(tmp_path: Path, pacore: Pacore, server: FaultyServer, *flags: str) -> tuple[str, str]:
    """What the command says of a server that really answers, on stdout and on stderr."""

    async def run() -> tuple[str, str]:
        async with server:
            done = await asyncio.to_thread(
                pacore,
                "plan", "--problems", str(write_set(tmp_path / "p.jsonl")), "--model", MODEL,
                "--endpoint", server.endpoint, "--store", str(tmp_path / "store"), *flags,
            )  # fmt: skip
            assert not server.received("/v1/chat/completions")
        assert done.returncode == 0, done.stderr
        return " ".join(done.stdout.split()), done.stderr

    said = asyncio.run(run())
    assert not (tmp_path / "store").exists()
    return said


@pytest.mark.slow
def test_the_window_is_the_servers_and_every_prompt_that_will_not_fit_is_named_with_its_tokens(
    tmp_path: Path, pacore: Pacore
) -> None:
    said, _ = planned(tmp_path, pacore, FaultyServer(), "--max-tokens", "40", "--widths", "4")
    assert "window 512 tokens" in said
    for length in LENGTHS[1:]:
        why = f"{length} prompt tokens and 40 to generate do not fit a window of 512"
        assert f"p{length} in round 1: {why}" in said
    assert "p5 in round 1" not in said
    assert "12 trajectories, and so no later round" in said
    assert "new tokens at most 200: 5 trajectories of up to 40" in said


@pytest.mark.slow
def test_without_max_tokens_the_window_bounds_what_is_generated(
    tmp_path: Path, pacore: Pacore
) -> None:
    said, _ = planned(tmp_path, pacore, FaultyServer(), "--widths", "4")
    assert "p700 in round 1: 700 prompt tokens and 1 to generate" in said
    assert "p505 in round 1" not in said
    assert "at most 7,680: 15 trajectories of up to 512" in said
    assert "prompts of 3 later trajectories" in said


@pytest.mark.slow
def test_where_the_server_does_not_count_tokens_a_long_prompt_may_not_fit(
    tmp_path: Path, pacore: Pacore
) -> None:
    silent = FaultyServer({"/tokenize": answers({}, 404)})
    said, _ = planned(tmp_path, pacore, silent, "--max-tokens", "40")
    assert "will not fit" not in said
    assert "3 prompts have more bytes than the window has tokens" in said


@pytest.mark.slow
def test_where_nobody_knows_the_window_that_is_said(tmp_path: Path, pacore: Pacore) -> None:
    silent = FaultyServer({"/v1/models": answers(models(MODEL, window_tokens=None))})
    said, _ = planned(tmp_path, pacore, silent)
    assert "window not known" in said
    assert "fit" not in said
    assert "nothing bounds them" in said
    other = FaultyServer({"/v1/models": answers(models("another"))})
    said, errors = planned(tmp_path, pacore, other)
    assert "window not known" in said
    assert "does not serve model 'smol'; it serves: another" in errors


def forecast(
    tmp_path: Path, counter: TokenCounter | None, max_tokens: int, window_tokens: int = 512
) -> Forecast:
    problems = [Problem(f"p{n}", (Turn("user", "word " * n),), "7") for n in LENGTHS]
    forecaster = Forecaster(
        Plan(widths=(4, 2), replicates=REPLICATES),
        Recipe(MODEL, max_tokens=max_tokens),
        Journal(open_store(str(tmp_path / "store"))),
        EngineInfo("http", window_tokens=window_tokens),
        counter,
    )
    return forecaster.forecast(problems, 1)


def test_slots_are_stored_generated_shared_or_too_long_and_nothing_else(tmp_path: Path) -> None:
    found = forecast(tmp_path, lambda request: len(request.turns[-1].content.split()), 40)
    assert [one.problem_id for one in found.too_long] == ["p480", "p505", "p700"]
    for round_ in found.rounds:
        parts = (round_.stored, round_.to_generate, round_.shared, round_.too_long)
        assert round_.trajectories == sum(parts)
    assert [round_.too_long for round_ in found.rounds] == [36, 0, 0]
    assert [round_.to_generate for round_ in found.rounds] == [12, 6, 3]


def test_messages_at_their_longest_are_as_long_as_a_generation_may_be(tmp_path: Path) -> None:
    """Of 2,000 tokens each, four fit no window of 8,192, and two only beside the shortest problem."""
    assert forecast(tmp_path, None, 8, 8192).may_be_long == 0
    assert forecast(tmp_path, None, 2000, 8192).may_be_long == (4 * 2 + 3 * 1) * REPLICATES


def test_a_prompt_longer_in_bytes_than_the_window_is_uncounted_where_nobody_counts(
    tmp_path: Path,
) -> None:
    assert forecast(tmp_path, None, 40).uncounted == 3 * REPLICATES
    assert forecast(tmp_path, None, 40, 8192).uncounted == 0
