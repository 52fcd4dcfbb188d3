"""What a store costs: bytes in and out, commits, and a run that is finished or lacks its last answers.

    python -m benchmarks.store --trajectories 100000
    python -m benchmarks.store --trajectories 100000 --s3

Texts of random words go into the journal and into tables and are read back; the same bytes put and
read without journal and tables are ``bytes alone``. Then `pacore run` of the line of a finished run
(`benchmarks.published`), and again after its end and the answers of its last shard were deleted. With
``--s3`` the store is on a SeaweedFS started for it, and requests are counted by the endpoint in between.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.processes import pacore, spent, start_prefect
from benchmarks.published import WIDTH, build
from benchmarks.results import Figure, Results, add_option
from pacore.core.round import Round
from pacore.core.trajectory import Generation, Request, Slot, Trajectory
from pacore.engine.scripted import VOCABULARY
from pacore.problems.files import read_problem_set
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import publish
from pacore.store.journal import Journal
from pacore.store.layout import Unit, commits_prefix, final_key, journal_key
from pacore.store.parquet import read_rows
from pacore.store.run import Run
from pacore.store.schema import TABLES
from tests.fixtures.forwarder import Forwarder, forwarding
from tests.fixtures.pipeline import scripted_config, write_problems
from tests.fixtures.s3_server import environment_of, seaweed

THREADS = 8

RUN = "rerun"

COMMITS = 30

Sample = tuple[Request, Generation]


@contextlib.contextmanager
def _place(folder: Path, is_s3: bool) -> Iterator[tuple[str, Callable[[], Forwarder | None]]]:
    """A store's URL, and what to call for its requests to be counted from then on."""
    if not is_s3:
        yield str(folder / "store"), lambda: None
        return
    with seaweed(folder / "seaweed") as server, forwarding(server.endpoint) as between:
        os.environ.update(server.environment)

        def count() -> Forwarder:
            os.environ.update(environment_of(between.endpoint))
            return between

        yield "s3://test/store", count


def _samples(problems: Path, count: int, characters: int) -> list[Sample]:
    """So many requests, each with a generation of random words: the scripted engine's texts repeat each
    other, which would make tables smaller than any model's.
    """
    config = scripted_config(problems.parent, problems, widths=(WIDTH,))
    found: list[Sample] = []
    for problem in read_problem_set(config.problems, -(-count // WIDTH)):
        for prompt in Round(config.plan, config.recipe, problem, (1, 0)).prompts():
            for draw in prompt.draws:
                request = prompt.request(config.recipe, draw)
                words = random.Random(request.seed).choices(VOCABULARY, k=characters // 5)
                found.append((request, _generation(" ".join(words)[:characters])))
    return found[:count]


def _generation(text: str) -> Generation:
    return Generation(
        finish_reason="stop",
        content="The answer is \\boxed{1}.",
        reasoning=text,
        prompt_tokens=40,
        completion_tokens=len(text) // 4,
        usage_source="server",
        error=None,
        engine="scripted",
        latency_seconds=0.1,
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _side_by_side(work: Callable[[Any], object], items: Sequence[Any]) -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, items))


def rates(store: Backend, samples: Sequence[Sample]) -> dict[str, float]:
    """Seconds to write and read all samples in several ways, and the bytes that they take."""
    journal = Journal(store)
    unit = Unit(RUN, "trajectory_texts", 1, "s0000", 0, "")
    found = {
        "journal in": _seconds(
            lambda: _side_by_side(lambda one: journal.add(one[0], one[1], RUN), samples)
        )
    }
    keys = [journal_key(request.trajectory_id) for request, _ in samples]
    found["journal out"] = _seconds(
        lambda: list(journal.find_many(request.trajectory_id for request, _ in samples))
    )
    packed: list[bytes] = []
    found["bytes out"] = _seconds(
        lambda: packed.extend(one or b"" for one in store.find_many(keys))
    )
    found["bytes in"] = _seconds(
        lambda: _side_by_side(
            lambda one: store.put_new(f"plain/{one[0]}", one[1]),
            list(zip(keys, packed, strict=True)),
        )
    )
    rows = [
        TABLES["trajectory_texts"].row(Trajectory.of(Slot(1, "p", 0, place, place), *sample))
        for place, sample in enumerate(samples)
    ]
    found["tables in"] = _seconds(lambda: publish(store, unit, rows))
    (file,) = store.entries(f"data/{unit.table}")

    def read() -> None:
        with store.open(file.key) as opened:
            for _ in read_rows(opened, ["trajectory_id", "reasoning", "content"]):
                pass

    found["tables out"] = _seconds(read)

    def publish_row(number: int) -> None:
        publish(store, unit._replace(shard=f"s{number:04}"), rows[:1])

    commits = [_seconds(partial(publish_row, number)) for number in range(1, COMMITS + 1)]
    found["commit"] = statistics.median(commits)
    return {**found, "journal bytes": sum(map(len, packed)), "tables bytes": file.bytes}


def _rate_figures(
    place: str, samples: Sequence[Sample], runs: list[dict[str, float]]
) -> list[Figure]:
    characters = sum(len(made.content or "") + len(made.reasoning or "") for _, made in samples)
    megabytes = characters / 1e6
    figures = []
    for way in ("in", "out"):
        alone = [megabytes / run[f"bytes {way}"] for run in runs]
        for kind in ("journal", "tables"):
            values = [megabytes / run[f"{kind} {way}"] for run in runs]
            figures.append(
                Figure(place, kind, f"texts {way}", "MB/s", values, "bytes alone", alone, "higher")
            )
    for kind in ("journal", "tables"):
        values = [run[f"{kind} bytes"] / characters for run in runs]
        figures.append(Figure(place, kind, "bytes a character", "bytes", values))
    commits = [1000 * run["commit"] for run in runs]
    return [*figures, Figure(place, "tables", "publication of one row", "ms", commits)]


def _line(url: str, problems: Path) -> list[str]:
    return pacore(
        "run", "--problems", str(problems), "--engine", "scripted", "--widths", str(WIDTH), "--store",
        url, "--run-id", RUN,
    )  # fmt: skip


def _take_up(url: str, problems: Path, between: Forwarder | None, said: str) -> dict[str, float]:
    """Seconds and requests of a command that finds the run as it is, and says so."""
    if between is not None:
        between.clear()
    took = spent(_line(url, problems))
    if said not in took.errors:
        raise SystemExit(f"the run was not found as it is: {took.errors}")
    found = {"wall": took.wall_seconds, "CPU": took.cpu_seconds}
    return found if between is None else {**found, "requests": len(between.seen)}


def _reopen(store: Backend, run: Run) -> None:
    """Delete the end of the run, and what answers and verdicts its last shard has."""
    store.delete(final_key(run.run_id))
    last = run.shards[-1].name
    for key in list(store.list(commits_prefix(run.run_id))):
        if f"/{last}" in key and ("/answers/" in key or "/verdicts/" in key):
            store.delete(key)


def _rerun_figures(workload: str, found: dict[str, list[dict[str, float]]]) -> list[Figure]:
    figures = []
    start = [one["CPU"] for one in found["start"]]
    for kind in ("rerun", "resume"):
        runs = found[kind]
        figures += [
            Figure(
                workload, kind, "CPU", "s", [one["CPU"] for one in runs], "pacore status", start
            ),
            Figure(workload, kind, "command to exit", "s", [one["wall"] for one in runs]),
        ]
        if "requests" in runs[0]:
            figures.append(
                Figure(workload, kind, "requests", "", [one["requests"] for one in runs])
            )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=int, default=100_000)
    parser.add_argument("--texts", type=int, default=1_000)
    parser.add_argument("--characters", type=int, default=20_000)
    parser.add_argument("--s3", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    add_option(parser)
    given = parser.parse_args()
    start_prefect()
    results = Results("store", given.results)
    place = "S3" if given.s3 else "folder"
    with tempfile.TemporaryDirectory() as name, _place(Path(name), given.s3) as (url, count):
        problems = write_problems(Path(name) / "problems.jsonl", given.trajectories // (WIDTH + 1))
        samples = _samples(problems, given.texts, given.characters)
        measured = [rates(open_store(f"{url}-{number}"), samples) for number in range(given.runs)]
        workload = f"{place}, {given.texts:,} x {given.characters:,}"
        results.add(*_rate_figures(workload, samples, measured))
        config = scripted_config(Path(name), problems, widths=(WIDTH,), run_id=RUN)
        run = build(config.model_copy(update={"store": url}))
        found: dict[str, list[dict[str, float]]] = defaultdict(list)
        between = count()
        for _ in range(given.runs):
            took = spent(pacore("status", "--store", url))
            found["start"].append({"CPU": took.cpu_seconds})
            found["rerun"].append(_take_up(url, problems, between, "nothing to do"))
            _reopen(open_store(url), run)
            found["resume"].append(_take_up(url, problems, between, "reused"))
        results.add(*_rerun_figures(f"{place}, {given.trajectories:,}", found))


if __name__ == "__main__":
    main()
