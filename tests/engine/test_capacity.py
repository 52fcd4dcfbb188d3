"""How many requests an endpoint is sent: as many as keep it busy, found while it works."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.endpoint.batching import Batching, Job, Speed
from pacore.engine.capacity import FIRST_REQUESTS, Capacity, ServerLoad
from pacore.engine.chat.responses import read_load


def served(slots: int, most: int, seconds: int = 30) -> tuple[Capacity, Batching]:
    """A capacity that has followed a simulated server with more work than it can take."""
    server, capacity = Batching(Speed(slots=slots, step_seconds=0.01)), Capacity(most)
    in_flight = submitted = 0
    for tick in range(seconds * 100):
        now = tick / 100
        in_flight -= len(server.ended(now))
        while in_flight < capacity.limit:
            submitted += 1
            server.submit(Job(10, 50 + submitted * 7919 % 300), now)
            in_flight += 1
        if tick % 50 == 0:
            capacity.see_load(ServerLoad(server.running, server.waiting), in_flight, now)
    return capacity, server


@pytest.mark.parametrize("slots", [4, 64, 96, 256, 700])
def test_a_server_that_reports_its_queue_is_kept_full_with_few_that_wait(slots: int) -> None:
    capacity, server = served(slots, most=1024)
    assert server.running == slots
    assert slots < capacity.limit <= slots + max(8, slots // 4)


def test_no_more_are_sent_than_the_user_allows() -> None:
    capacity, _ = served(slots=256, most=100)
    assert capacity.limit == 100
    assert Capacity(8).limit == 8
    assert Capacity(1024).limit == FIRST_REQUESTS


def test_a_server_that_preempts_is_sent_fewer_and_not_more_for_a_while() -> None:
    capacity = Capacity(1024)
    capacity.see_load(ServerLoad(64, 0, 3), 64, 0.0)
    assert capacity.limit == 128
    capacity.see_load(ServerLoad(100, 0, 5), 128, 1.0)
    assert capacity.limit == 96
    capacity.see_load(ServerLoad(96, 0, 5), 96, 2.0)
    assert capacity.limit == 96
    capacity.see_load(ServerLoad(96, 0, 5), 96, 40.0)
    assert capacity.limit == 192


def test_other_clients_of_a_server_do_not_leave_a_run_without_its_part() -> None:
    capacity = Capacity(1024)
    for second in range(10):
        capacity.see_load(ServerLoad(96, 700), 64, float(second))
    assert capacity.limit == FIRST_REQUESTS
    alone = Capacity(1024)
    alone.see_load(ServerLoad(4, 60), 64, 0.0)
    assert alone.limit == 8


def test_no_more_are_sent_than_files_may_be_open() -> None:
    """A process whose limit is low sends fewer, and one that may raise it does."""
    program = (
        "import resource\n"
        "from pacore.engine.http import HttpEngine\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD))\n"
        "engine = HttpEngine(['http://127.0.0.1:1/v1', 'http://127.0.0.1:2/v1'], 'm', api_key=None,\n"
        "    concurrency=1000, timeout_seconds=1, connect_timeout_seconds=1)\n"
        "print([one.capacity.most for one in engine._endpoints])\n"
    )
    for limits, most in ((("300", "300"), 22), (("300", "4096"), 1000)):
        text = program.replace("SOFT", limits[0]).replace("HARD", limits[1])
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"[{most}, {most}]\n"


def test_refusals_for_load_that_come_together_count_once() -> None:
    capacity = Capacity(1024)
    for _ in range(20):
        capacity.shrink(64, 10.0)
    assert capacity.limit == 48


def test_the_count_of_preemptions_before_a_run_is_none_of_its_own() -> None:
    capacity = Capacity(1024)
    capacity.see_load(ServerLoad(64, 0, 1_000), 64, 0.0)
    assert capacity.limit == 128


@pytest.mark.parametrize("slots", [20, 200])
def test_without_a_reported_load_the_number_grows_as_long_as_throughput_does(slots: int) -> None:
    """Each request takes a second while slots are free; throughput is what the slots allow."""
    capacity, now = Capacity(1024), 0.0
    for _ in range(600):
        finished = min(capacity.limit, slots)
        for _ in range(finished):
            now += 1 / finished
            capacity.see_completion(100, capacity.limit, now)
    assert capacity.limit >= min(slots, 43)
    assert capacity.limit <= 2 * max(slots, FIRST_REQUESTS)


@given(
    st.integers(1, 2000),
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 9), st.integers(0, 3)),
        max_size=30,
    ),
)
def test_the_limit_stays_between_one_and_what_is_allowed(
    most: int, seen: list[tuple[int, int, int, int]]
) -> None:
    capacity = Capacity(most)
    for now, (running, waiting, preemptions, kind) in enumerate(seen):
        if kind == 0:
            capacity.shrink(running, float(now))
        elif kind == 1:
            capacity.see_completion(waiting, running, float(now))
        else:
            capacity.see_load(ServerLoad(running, waiting, preemptions), running, float(now))
        assert 1 <= capacity.limit <= most


def test_the_load_is_read_from_the_metrics_of_each_kind_of_server() -> None:
    vllm = (
        "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
        'vllm:num_requests_running{engine="0",model_name="m"} 12.0\n'
        'vllm:num_requests_running{engine="1",model_name="m"} 3.0\n'
        'vllm:num_requests_waiting{engine="0",model_name="m"} 7.0\n'
        'vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 99.0\n'
        'vllm:num_preemptions_total{engine="0",model_name="m"} 2.0\n'
    )
    assert read_load(vllm) == ServerLoad(15, 7, 2)
    sglang = 'sglang:num_running_reqs{model_name="m"} 5\nsglang:num_queue_reqs{model_name="m"} 1\n'
    assert read_load(sglang) == ServerLoad(5, 1)
    llama = "llamacpp:requests_processing 2\nllamacpp:requests_deferred 0\n"
    assert read_load(llama) == ServerLoad(2, 0)
    assert read_load("vllm:num_requests_running 1\n") is None
    assert read_load("vllm:num_requests_running nan\nvllm:num_requests_waiting 0\n") is None
