"""What no client can be faster than, where servers die and slow down."""

from __future__ import annotations

import math

import pytest

from benchmarks.endpoint.server import SLOWS_BY, parser
from benchmarks.makespan import least_seconds, rates_of


def rates(*options: str) -> list[tuple[float, float]]:
    given = ["--port", "0", "--log", "-", "--slots", "10", "--step-ms", "10", *options]
    return rates_of(parser().parse_args(given))


def test_servers_that_stay_as_they_are_take_all_tokens_at_their_common_rate() -> None:
    assert rates() == [(0.0, 1000.0)]
    assert least_seconds(10_000, [rates(), rates()]) == 5.0


def test_a_server_that_dies_counts_until_then_and_one_that_slows_down_counts_less_after_that() -> (
    None
):
    dies, slows = rates("--dies-after", "2"), rates("--slows-after", "4")
    assert least_seconds(6_000, [rates(), dies]) == 4.0
    assert least_seconds(5_000, [slows]) == pytest.approx(4 + 1 / (1 / SLOWS_BY))
    assert least_seconds(1_000, [dies]) == 1.0
    assert least_seconds(3_000, [dies]) == math.inf
