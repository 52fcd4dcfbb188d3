"""The simulated server's parameters, measured on real vLLM, and one workload replayed on both.

    python -m benchmarks.calibration --speed build/bench/speed.json

Measured on a CPU with a small model: how long a step takes with 1 to 32 requests running, and a prompt of
100 to 2,000 tokens until its first token, in the prefix cache and not. A line through each gives a speed,
which is written as a file for ``python -m benchmarks.endpoint.server --speed FILE``. Then the same
requests, of long-tailed lengths and more than there are slots, are sent to the real server and replayed at
that speed, and the makespans compared; each run is calibrated anew, since a shared machine is not as fast
at all times. At last whether the order by ``priority``, and preemption where memory is full, are those of
the simulator.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import random
import signal
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.endpoint.batching import Batching, Job, Speed
from benchmarks.endpoint.fitting import fitted, line_through, makespan, replay
from benchmarks.real.load import Asked, send
from benchmarks.real.server import MODEL, RealServer, fast_dtype, real_server
from benchmarks.real.workloads import prose
from benchmarks.results import Figure, Results, add_option

SLOTS = 32

BATCHES = (1, 4, 8, 16, 32)

SENTENCES = (4, 20, 50, 100)
"""Of the prompts whose prefill is measured; one has some twenty tokens."""

STEP_TOKENS = 24

LATE_SECONDS = 3.0
"""By then the first requests run, and none has ended."""

REPLAYED = 96

SHARED = 4
"""Requests in a row with one prompt, as those of a width have."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Seconds of a step by requests running, and of a prefill by tokens, in no cache and in the cache;
    tokens in a block of the cache.
    """

    steps: list[tuple[int, float]]
    prefills: list[tuple[int, float]]
    cached: list[tuple[int, float]]
    block_tokens: int


def calibrate(server: RealServer, run: str) -> Calibration:
    """Measure a server that does nothing else."""
    steps = []
    for batch in BATCHES:
        prompts = [prose(f"{run} step {batch} {number}", 2) for number in range(batch)]
        done = send(server, [Asked(prompt, STEP_TOKENS, seed=1) for prompt in prompts])
        steps.append((batch, done.mean("inter_token_latency_seconds")))
    prefills: list[tuple[int, float]] = []
    cached: list[tuple[int, float]] = []
    for sentences in SENTENCES:
        prompt = prose(f"{run} prefill {sentences}", sentences)
        tokens = server.tokens_of(prompt)
        for points in (prefills, cached):
            points.append((tokens, send(server, [Asked(prompt, 1, seed=1)]).seconds))
    return Calibration(steps, prefills, cached, server.block_tokens)


def replayed_requests(server: RealServer, run: str) -> tuple[list[Asked], list[Job]]:
    """The same work for both: lengths long-tailed around 40 tokens, prompts of 50 to 400, each several
    times.
    """
    chosen = random.Random("calibration")
    asked, jobs = [], []
    for number in range(REPLAYED // SHARED):
        prompt = prose(f"{run} replay {number}", chosen.randrange(2, 18))
        tokens = server.tokens_of(prompt)
        for seed in range(SHARED):
            length = max(4, min(240, round(40 * math.exp(chosen.gauss(0, 0.7)))))
            asked.append(Asked(prompt, length, seed=seed))
            jobs.append(Job(tokens, length, prompt))
    return asked, jobs


def in_order(server: RealServer, speed: Speed, run: str) -> tuple[float, float]:
    """Where in the order of all ends those requests are on average, 0 to 1, that have the better priority
    and arrive last, when all slots are taken and as many wait: on the real server and simulated.
    """
    asked = [
        Asked(prose(f"{run} order {number}", 2), 24, 5, seed=number) for number in range(2 * SLOTS)
    ] + [
        Asked(prose(f"{run} late {number}", 2), 24, 1, seed=number, after_seconds=LATE_SECONDS)
        for number in range(SLOTS)
    ]
    jobs = [Job(80, one.tokens, one.prompt, one.priority, one.after_seconds) for one in asked]
    done = send(server, asked)
    replay(Batching(dataclasses.replace(speed, has_priority=True)), jobs)
    priorities = [one.priority for one in asked]
    return _place(done.ends, priorities), _place([job.ended or 0.0 for job in jobs], priorities)


def _place(ends: Sequence[float], priorities: Sequence[int]) -> float:
    order = sorted(range(len(ends)), key=ends.__getitem__)
    places = [place for place, number in enumerate(order) if priorities[number] == 1]
    return statistics.fmean(places) / len(ends)


def preempted(server: RealServer, memory_tokens: int, run: str) -> tuple[int, int, set[int]]:
    """Preemptions where memory holds half of what runs, real and simulated, and the priorities of those
    that were preempted in the simulation.
    """
    asked = [
        Asked(prose(f"{run} memory {number}", 2), 160, 1 + number % 2, seed=number)
        for number in range(16)
    ]
    tokens = server.tokens_of(asked[0].prompt)
    jobs = [Job(tokens, 160, str(number), 1 + number % 2) for number in range(16)]
    done = send(server, asked)
    replay(Batching(Speed(slots=SLOTS, memory_tokens=memory_tokens, has_priority=True)), jobs)
    hit = {job.priority for job in jobs if job.preemptions}
    return (
        round(done.counts["vllm:num_preemptions_total"]),
        sum(job.preemptions for job in jobs),
        hit,
    )


def _speed(found: Sequence[Calibration]) -> Speed:
    steps = _medians([one.steps for one in found])
    prefills = _medians([one.prefills for one in found])
    return fitted(steps, prefills, SLOTS, found[0].block_tokens)


def _print(found: Sequence[Calibration], speed: Speed) -> None:
    print(f"{'measured':28} {'ms':>8} {'fitted':>8}")
    for name, lists in (
        ("a step, requests running", [one.steps for one in found]),
        ("a prompt's first token, of", [one.prefills for one in found]),
        ("the same in the cache, of", [one.cached for one in found]),
    ):
        points = _medians(lists)
        line = line_through(points)
        for x, seconds in points:
            print(f"{name:28} {x:5} {1e3 * seconds:8.1f} {1e3 * line.at(x):8.1f}")
    print(
        f"fitted: a step {1e3 * speed.step_seconds:.2f} ms and {1e6 * speed.sequence_seconds:.0f} us a"
        f" request, {1e6 * speed.prefill_seconds:.0f} us a prompt token; blocks of"
        f" {speed.block_tokens} tokens"
    )


def _medians(lists: Sequence[list[tuple[int, float]]]) -> list[tuple[int, float]]:
    return [
        (points[0][0], statistics.median(seconds for _, seconds in points))
        for points in zip(*lists, strict=True)
    ]


def measure(model: Path, runs: int, file: Path, results: Results) -> Speed:
    """Calibrate and replay so many times; returns the speed of all, and writes it."""
    found, real, simulated = [], [], []
    with real_server(model, ("--enforce-eager", f"--max-num-seqs={SLOTS}")) as server:
        calibrate(server, "first")
        for run in range(runs):
            before = calibrate(server, f"{run} before")
            asked, jobs = replayed_requests(server, str(run))
            real.append(send(server, asked).seconds)
            after = calibrate(server, f"{run} after")
            found += [before, after]
            speed = _speed([before, after])
            simulated.append(makespan(speed, jobs))
            print(
                f"run {run}: real {real[-1]:.1f} s, simulated {simulated[-1]:.1f} s, ratio"
                f" {simulated[-1] / real[-1]:.2f}; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    speed = _speed(found)
    _print(found, speed)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(dataclasses.asdict(speed), indent=2) + "\n")
    print(f"written: {file}")
    results.add(
        Figure(
            f"{REPLAYED} requests, {SLOTS} slots", "simulated server", "makespan", "s", simulated,
            "real vLLM", real,
        )
    )  # fmt: skip
    return speed


def measure_order(model: Path, speed: Speed) -> None:
    """Compare order and preemption with those of a server that orders by priority and has little memory."""
    blocks, block_tokens = 24, 128
    options = (
        "--enforce-eager", f"--max-num-seqs={SLOTS}", "--scheduling-policy=priority",
        "--max-model-len=2048", f"--num-gpu-blocks-override={blocks}",
    )  # fmt: skip
    with real_server(model, options) as server:
        place = in_order(server, speed, "order")
        print(
            f"requests of the better priority that arrive last end at {place[0]:.2f} of the order of ends,"
            f" simulated {place[1]:.2f} (in order of arrival: 0.83)"
        )
        real, simulated, hit = preempted(server, blocks * block_tokens, "memory")
        print(
            f"preemptions where memory is short: {real}, simulated {simulated}, of priorities {hit}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--speed", type=Path, default=Path("build/bench/speed.json"))
    add_option(parser)
    given = parser.parse_args()
    # Servers end with the benchmark, however that ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results = Results("calibration", given.results)
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors, {fast_dtype()}")
    measure_order(given.model, measure(given.model, given.runs, given.speed, results))


if __name__ == "__main__":
    main()
