"""What a run says of itself while it goes on: what is awaited, how far it is, and a rate that is true."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.engine.chat.responses import read_generated_tokens
from pacore.engine.http import HttpEngine
from pacore.runs.dispatch.progress import GrowingCount, Pace, Progress, TokenRate
from tests.fixtures.faulty_server import MODEL, FaultyServer, answers


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Run:
    """A run of fifty trajectories under a clock of its own."""

    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.progress = Progress(planned=50, clock=self.clock, started=self.clock.now)

    def after(self, seconds: float) -> Progress:
        self.clock.now += seconds
        return self.progress

    @property
    def line(self) -> str:
        return self.progress.line()


def test_what_is_awaited_is_said_with_since_when() -> None:
    run = Run()
    run.progress.wait_for("vLLM to load SmolLM2 (its log: /x.log)")
    run.after(35)
    said = "waiting for vLLM to load SmolLM2 (its log: /x.log), 35 s, 0/50 trajectories, 0 reused"
    assert run.line == said
    run.progress.wait_for("a Prefect server", "flow")
    run.after(5)
    assert "(its log: /x.log), 40 s, waiting for a Prefect server, 5 s, 0/50" in run.line
    run.progress.wait_for(None, "flow")
    assert "Prefect" not in run.line and "vLLM" in run.line
    run.progress.wait_for(None)
    assert run.line == "0/50 trajectories, 0 reused"


def test_a_rate_is_of_the_time_in_which_tokens_could_come() -> None:
    """Loading the model for two minutes makes nothing slower."""
    run = Run()
    run.after(120).work(True)
    run.after(10).add(generated=1, completion_tokens=450)
    said = "1/50 trajectories, 0 reused, 450 tokens in finished ones, "
    assert run.line == said + "45 tokens/s in finished ones over the last 10 s"


def test_a_rate_is_over_the_last_minute() -> None:
    run = Run()
    run.progress.work(True)
    for _ in range(100):
        run.after(1).add(generated=1, completion_tokens=10)
    for _ in range(60):
        run.after(1).add(generated=1, completion_tokens=40)
    assert "40 tokens/s in finished ones over the last 60 s" in run.line
    run.after(30)
    assert "20 tokens/s in finished ones over the last 60 s" in run.line
    run.after(600)
    assert " 0.0 tokens/s in finished ones over the last 60 s" in run.line


def test_a_server_of_our_own_tells_the_tokens_of_unfinished_trajectories_too() -> None:
    run = Run()
    run.progress.meter(7_000, is_own=True)
    run.progress.work(True)
    run.after(20).meter(7_900, is_own=True)
    assert (
        run.line == "0/50 trajectories, 0 reused, 900 tokens so far, 45 tokens/s over the last 20 s"
    )


def test_a_server_that_others_use_too_tells_a_rate_and_no_tokens_of_ours() -> None:
    run = Run()
    run.progress.work(True)
    run.progress.meter(7_000, is_own=False)
    run.after(20).meter(7_900, is_own=False)
    run.progress.add(generated=1, completion_tokens=100)
    assert "100 tokens in finished ones, 45 tokens/s at the server over the last 20 s" in run.line


def test_the_time_of_generating_is_that_with_requests_at_the_engine() -> None:
    run = Run()
    run.after(100).work(True)
    run.after(10).work(True)
    assert run.progress.generating_seconds == 10
    run.after(5).work(False)
    run.after(50).work(False)
    assert run.progress.generating_seconds == 15
    run.progress.work(True)
    run.after(2)
    assert run.progress.generating_seconds == 17
    assert run.progress.elapsed_seconds == 167


@given(st.lists(st.tuples(st.floats(0.01, 200), st.integers(0, 10_000)), min_size=1, max_size=40))
def test_a_rate_is_tokens_by_seconds_within_the_window(steps: list[tuple[float, int]]) -> None:
    rate, now, tokens = TokenRate(), 0.0, 0
    rate.begin(now)
    for seconds, more in steps:
        now, tokens = now + seconds, tokens + more
        rate.see(now, tokens)
    found = rate.over_last_minute(now)
    if found is None:
        assert now < 1
        return
    a_second, seconds = found
    assert seconds == pytest.approx(min(now, 60))
    assert 0 <= a_second * seconds <= tokens + 1e-6
    if now <= 60:
        assert a_second * seconds == pytest.approx(tokens)


@given(st.lists(st.integers(0, 1000), min_size=1))
def test_a_count_goes_on_where_a_server_that_was_started_again_counts_from_0(
    counts: list[int],
) -> None:
    meter = GrowingCount()
    totals = [meter.see(count) for count in counts]
    assert all(before <= after for before, after in pairwise(totals))
    grown = sum(after - before if after >= before else after for before, after in pairwise(counts))
    assert totals[-1] == counts[0] + grown


def test_lines_come_less_often_the_longer_a_run_takes_and_while_nothing_changes() -> None:
    pace = Pace(0.0)
    changing = [float(now) for now in range(1, 3600) if pace.is_due(now, now)]
    assert changing[0] == 10
    assert max(after - before for before, after in pairwise(changing)) <= 60
    assert len(changing) < 90
    pace = Pace(0.0)
    standing = [float(now) for now in range(1, 300) if pace.is_due("waiting", now)]
    assert standing == [10, 20, 40, 80, 140, 200, 260]


@pytest.mark.parametrize(
    ("metrics", "tokens"),
    [
        ("", None),
        ("<html>404</html>", None),
        ("# HELP vllm:generation_tokens_total x\n# TYPE vllm:generation_tokens_total counter\n", None),
        ('vllm:generation_tokens_total{engine="0",model_name="a b"} 123.0\n', 123),
        ("vllm:generation_tokens_total 1.5e+03\nvllm:generation_tokens_created 9\n", 1500),
        ('vllm:generation_tokens_total{engine="0"} 1.0\nvllm:generation_tokens_total{engine="1"} 2\n', 3),
        ("sglang:generation_tokens_total{x=\"y\"} 7\n", 7),
        ("llamacpp:tokens_predicted_total 8\nllamacpp:tokens_predicted_seconds_total 1\n", 8),
        ("vllm:generation_tokens_total NaN\n", None),
        ("vllm:generation_tokens_total much\n", None),
        ("vllm:prompt_tokens_total 5\n", None),
    ],
)  # fmt: skip
def test_counters_of_the_usual_servers_are_read(metrics: str, tokens: int | None) -> None:
    assert read_generated_tokens(metrics) == tokens


def counted(*texts: str) -> int | None:
    """What an engine over servers with these metrics says, asked twice."""

    async def ask() -> int | None:
        routes = [{"/metrics": answers(text.encode())} if text else {} for text in texts]
        servers = [await FaultyServer(route).__aenter__() for route in routes]
        engine = HttpEngine(
            [server.endpoint for server in servers],
            MODEL,
            api_key=None,
            concurrency=1,
            timeout_seconds=10,
            connect_timeout_seconds=10,
        )
        first = await engine.generated_tokens()
        assert await engine.generated_tokens() == first
        await engine.close()
        silent = [server for server, text in zip(servers, texts, strict=True) if not text]
        assert all(len(server.requests) == 1 for server in silent), "asked again and again"
        for server in servers:
            await server.__aexit__(None, None, None)
        return first

    return asyncio.run(ask())


def test_endpoints_are_counted_together_and_only_where_all_of_them_count() -> None:
    assert counted("vllm:generation_tokens_total 5\n") == 5
    assert counted("vllm:generation_tokens_total 5\n", "sglang:generation_tokens_total 6\n") == 11
    assert counted("vllm:generation_tokens_total 5\n", "") is None
    assert counted("") is None
