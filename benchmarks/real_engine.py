"""Tokens a second of pacore on real vLLM, beside vLLM's own ways to be used.

    python -m benchmarks.real_engine --runs 3

Every subject gets the same prompts, seeds and limits, on a model of 135 million parameters that runs on a
CPU: pacore against a server (`pacore`) and with one of its own (`pacore owned`), `AsyncLLM` and
`LLM.generate` in their process, what ``vllm run-batch``, ``vllm bench serve`` and ``vllm bench throughput``
run, and the plain client. Rates are of the engine phase, from the first request to the last answer; the
ratio is to `AsyncLLM` in the same run; what is printed are medians over the runs. The prefix cache is
emptied before each. ``steps`` are those of the engine, where it counts them: they say how full its batches
were, whatever else the machine did. ``command s`` is from command to exit; that of subjects in a process
of their own holds the start of the engine, as that of `pacore owned` does.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.real.server import (
    MODEL,
    OPTIONS,
    STEPS,
    RealServer,
    cpu_seconds,
    environment,
    fast_dtype,
    real_server,
)
from benchmarks.real.workloads import WORKLOADS, Workload, endless
from benchmarks.results import Figure, Results, add_option
from pacore.core.config.run import RunConfig
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse

BASE = "AsyncLLM"

SUBJECTS = {
    "AsyncLLM": ("async", "async"),
    "run-batch": ("async", "batch"),
    "LLM.generate": ("llm", "generate"),
    "bench throughput": ("llm", "throughput"),
    "plain client": ("http", "plain"),
    "bench serve": ("http", "serve"),
}
"""Of each subject that is no command of pacore: the process that runs it, and its name there."""

ENGINE_PHASE = """
    select epoch(max(generated_at)) - min(epoch(generated_at) - latency_seconds), sum(completion_tokens)
    from trajectories
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds from the first request to the last answer, those from command to exit, and of CPU; tokens,
    and steps of the engine, 0 where it counts none.
    """

    engine_seconds: float
    command_seconds: float
    cpu_seconds: float
    tokens: int
    steps: float

    @property
    def rate(self) -> float:
        return self.tokens / self.engine_seconds


class Process:
    """A subject's process, which stays."""

    def __init__(self, kind: str, model: Path, url: str) -> None:
        began = time.monotonic()
        command = [sys.executable, "-m", "benchmarks.real.subjects", kind, str(model), url]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**environment(), "VLLM_LOGGING_LEVEL": "ERROR"}, start_new_session=True,
        )  # fmt: skip
        self._read("READY")
        self._steps = 0.0
        self.start_seconds = time.monotonic() - began
        self.pid = self._process.pid

    def measure(self, subject: str, config: RunConfig) -> tuple[float, int, float]:
        """Seconds of the engine phase, tokens, and steps of an engine in the process."""
        assert self._process.stdin is not None
        line = json.dumps([subject, config.model_dump(mode="json")])
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        seconds, tokens, steps = json.loads(self._read("MEASURED"))
        made, self._steps = float(steps) - self._steps, float(steps)
        return float(seconds), int(tokens), made

    def _read(self, word: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(word):
                return line.removeprefix(word)
        raise SystemExit(f"a subject ended: {self._process.args!r}")

    def end(self) -> None:
        # With the engine's processes, which outlive a process that was ended.
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class Bench:
    """Everything that runs while one workload is measured."""

    def __init__(self, workload: Workload, model: Path, folder: Path, stack: ExitStack) -> None:
        self.workload = workload
        self._model, self._folder, self._stack = model, folder, stack
        self.server: RealServer = stack.enter_context(real_server(model))
        self._processes: dict[str, Process] = {}

    def measure(self, subject: str, run: str, problems: int | None = None) -> Measured:
        """One subject on the requests of one run."""
        file = self.workload.write(self._folder, run, problems)
        config = self.workload.config(file, self.server.model, self.server.url)
        self.server.forget()
        if subject.startswith("pacore"):
            return self._pacore(config, run, is_owned=subject == "pacore owned")
        kind, name = SUBJECTS[subject]
        process = self._process(kind)
        pids = [process.pid, *([self.server.pid] if kind == "http" else [])]
        before, served = sum(map(cpu_seconds, pids)), self._served_steps()
        seconds, tokens, steps = process.measure(name, config)
        cpu = sum(map(cpu_seconds, pids)) - before
        steps += self._served_steps() - served
        return Measured(seconds, process.start_seconds + seconds, cpu, tokens, steps)

    def _served_steps(self) -> float:
        return self.server.counts().get(STEPS, 0.0)

    def _process(self, kind: str) -> Process:
        if kind not in self._processes:
            made = self._processes[kind] = Process(kind, self._model, self.server.url)
            self._stack.callback(made.end)
        return self._processes[kind]

    def _pacore(self, config: RunConfig, run: str, is_owned: bool) -> Measured:
        store = self._folder / f"store-{run}-{is_owned}-{self.workload.name.replace(' ', '-')}"
        engine = (
            ["--engine=vllm", f"--model={self._model}", f"--vllm-option=--dtype={fast_dtype()}"]
            + [f"--vllm-option={option}" for option in OPTIONS]
            if is_owned
            else [f"--model={config.model}", f"--endpoint={self.server.url}"]
        )
        command = [
            sys.executable, "-m", "pacore.cli", "run", "--problems", config.problems, "--preset=single",
            f"--replicates={self.workload.draws}", f"--max-tokens={self.workload.max_tokens}",
            "--store", str(store), "--run-id=real", *engine,
        ]  # fmt: skip
        used, before = sum(os.times()[2:4]), cpu_seconds(self.server.pid)
        served = self._served_steps()
        began = time.monotonic()
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment(), check=False
        )
        wall = time.monotonic() - began
        # What the keeper of an owned server has used ends with it, and is not counted.
        cpu = sum(os.times()[2:4]) - used + cpu_seconds(self.server.pid) - before
        if done.returncode:
            raise SystemExit(f"pacore: exit code {done.returncode}\n{done.stderr[-2000:]}")
        with Warehouse(open_store(str(store))) as warehouse:
            ((seconds, tokens),) = list(warehouse.query(ENGINE_PHASE).rows)
        return Measured(float(seconds), wall, cpu, int(tokens), self._served_steps() - served)


def _report(workload: Workload, found: dict[str, list[Measured]], results: Results) -> None:
    base = [one.rate for one in found[BASE]]
    for subject, all_ in found.items():
        rates = [one.rate for one in all_]
        ratios = [rate / of for rate, of in zip(rates, base, strict=True)]
        command = statistics.median(one.command_seconds for one in all_)
        print(
            f"{workload.name:16} {subject:17} {statistics.median(one.tokens for one in all_):7.0f}"
            f" {statistics.median(one.engine_seconds for one in all_):9.1f}"
            f" {statistics.median(rates):9.1f} {statistics.median(ratios):9.3f}"
            f" {min(ratios):6.2f}-{max(ratios):4.2f}"
            f" {statistics.median(one.steps for one in all_):6.0f} {command:10.1f}"
            f" {1e3 * statistics.median(one.cpu_seconds / one.tokens for one in all_):14.2f}",
            flush=True,
        )
        results.add(
            Figure(workload.name, subject, "engine phase", "tokens/s", rates, BASE, base, "higher"),
            Figure(
                workload.name, subject, "from command to exit", "s",
                [one.command_seconds for one in all_],
            ),
        )  # fmt: skip


def measure(
    workload: Workload, subjects: Sequence[str], runs: int, results: Results, model: Path
) -> None:
    """All subjects in turn, so many times, after a few requests each that are not counted."""
    found: dict[str, list[Measured]] = defaultdict(list)
    with TemporaryDirectory() as made, ExitStack() as stack:
        folder = Path(made)
        served = endless(model, folder / "model") if workload.is_endless else model.resolve()
        bench = Bench(workload, served, folder, stack)
        for subject in subjects:
            if subject != "pacore owned":
                bench.measure(subject, f"first {subject}", problems=8)
        for run in range(runs):
            # Each run begins with another subject: what the machine does besides has no favourite.
            for subject in [*subjects[run % len(subjects) :], *subjects[: run % len(subjects)]]:
                one = bench.measure(subject, f"run {run}")
                found[subject].append(one)
                print(
                    f"# {workload.name}, run {run}, {subject}: {one.tokens} tokens in"
                    f" {one.engine_seconds:.1f} s, {one.rate:.1f} tokens/s, {one.steps:.0f} steps,"
                    f" {one.cpu_seconds:.0f} s of CPU, load {os.getloadavg()[0]:.1f}",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
    _report(workload, found, results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workloads", default=",".join(one.name for one in WORKLOADS))
    parser.add_argument("--problems", type=int, help="in place of each workload's own number")
    parser.add_argument("--subjects", default=",".join(("pacore", "pacore owned", *SUBJECTS)))
    add_option(parser)
    given = parser.parse_args()
    if BASE not in given.subjects.split(","):
        parser.error(f"--subjects: without {BASE}, to which the ratios are")
    # Servers end with the benchmark, however that ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results = Results("real engine", given.results)
    print(
        f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors, {fast_dtype()}\n"
        f"{'workload':16} {'subject':17} {'tokens':>7} {'engine s':>9} {'tokens/s':>9} {'/AsyncLLM':>9}"
        f" {'range':>11} {'steps':>6} {'command s':>10} {'CPU ms a token':>14}",
        flush=True,
    )
    for workload in WORKLOADS:
        if workload.name in given.workloads.split(","):
            named = f"{workload.name} ({given.problems} problems)"
            fewer = (
                replace(workload, problems=given.problems, name=named)
                if given.problems
                else workload
            )
            subjects = given.subjects.split(",")
            measure(fewer, subjects, given.runs, results, given.model)


if __name__ == "__main__":
    main()
