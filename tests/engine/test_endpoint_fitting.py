"""The speed of a simulated server is found from what a client can measure of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.endpoint.batching import Job, Speed
from benchmarks.endpoint.fitting import fitted, line_through, makespan
from benchmarks.endpoint.server import parser, speed_of

SPEEDS = st.builds(
    Speed,
    slots=st.just(64),
    step_seconds=st.floats(1e-3, 0.1),
    sequence_seconds=st.floats(1e-5, 1e-2),
    prefill_seconds=st.floats(1e-6, 1e-2),
)


def measured(speed: Speed) -> Speed:
    """What is fitted to the times of a server of this speed, as a client measures them."""
    steps = [
        (batch, makespan(speed, [Job(0, 100, str(number)) for number in range(batch)]) / 100)
        for batch in (1, 8, 32, 64)
    ]
    prefills = [(tokens, makespan(speed, [Job(tokens, 1)])) for tokens in (50, 400, 2000)]
    return fitted(steps, prefills, speed.slots)


@given(SPEEDS)
def test_a_fit_to_a_servers_times_finds_the_servers_speed(speed: Speed) -> None:
    assert asdict(measured(speed)) == pytest.approx(asdict(speed), rel=1e-3, abs=1e-9)


@given(
    st.lists(
        st.tuples(st.integers(1, 2000), st.floats(1e-3, 10)), min_size=2, unique_by=lambda p: p[0]
    )
)
def test_no_time_is_ever_fitted_as_less_than_nothing(points: list[tuple[int, float]]) -> None:
    line = line_through(points)
    assert line.fixed >= 0 and line.slope >= 0


def test_prompts_that_follow_one_of_their_kind_cost_no_prefill() -> None:
    speed = Speed(slots=8, step_seconds=0.01, prefill_seconds=0.001)
    alike = makespan(speed, [Job(1000, 10, "the same") for _ in range(4)])
    apart = makespan(speed, [Job(1000, 10, str(number)) for number in range(4)])
    assert alike == pytest.approx(1.1)
    assert apart == pytest.approx(4.1)


def test_of_a_prompt_in_the_cache_what_fills_no_block_is_computed_again() -> None:
    speed = Speed(slots=8, step_seconds=0.01, prefill_seconds=0.001, block_tokens=128)
    assert makespan(speed, [Job(300, 10, "one"), Job(300, 10, "one")]) == pytest.approx(0.444)
    assert makespan(speed, [Job(256, 10, "one"), Job(256, 10, "one")]) == pytest.approx(0.484)


def test_a_server_takes_its_speed_from_a_file(tmp_path: Path) -> None:
    speed = Speed(slots=7, step_seconds=0.5, prefill_seconds=0.25, has_priority=True)
    file = tmp_path / "speed.json"
    file.write_text(json.dumps(asdict(speed)))
    arguments = ["--port", "1", "--log", "log", "--speed", str(file)]
    assert speed_of(parser().parse_args(arguments)) == speed
    assert speed_of(parser().parse_args(arguments[:4])) == Speed()
