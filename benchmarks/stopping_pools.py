"""How far the forecast of a rule is off from a live run, over pools of real trajectories.

    python -m benchmarks.stopping_pools POOLS.parquet [--policy votes:0.95 …] [--width 64]

The engine of each run replays the pools: a request gets the stored answer of its problem and draw after
as long as that took, at one speed for all, and counts its tokens while it is under way, as a server's
stream does. All the rest is the pipeline as it is: slots, arrivals, votes, aborts, journal, tables. What
the rows of the first round have cost is compared with `pacore replay` of the same file
(`pacore.evaluation.replay.check`): its orders are drawn, those of a run are what the draws are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from benchmarks.results import Figure, Results, add_option
from pacore.core.config.run import RunConfig
from pacore.core.engine import NO_HINT, Hint
from pacore.core.plan import shuffled
from pacore.core.trajectory import Generation, Request
from pacore.engine.scripted import ScriptedEngine
from pacore.evaluation.replay.check import SavedTokens, check_forecast, spent_by
from pacore.evaluation.replay.files import file_pools
from pacore.evaluation.replay.pools import Pooled, Pools
from pacore.runs.loop import finish_shards
from pacore.runs.problems import begin
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import ReportWarehouse
from tests.fixtures.pipeline import open_with

POLICIES = (
    "votes:0.95",
    "votes:0.95,batch:8",
    "lead:0.9,batch:16,ready:0.5",
    "lead:0.8,batch:8,ready:0.5,abort_late",
    "arrivals:48",
)

SLOTS = 4_096
"""The most of a run; more than the trajectories of two sets of 64 of thirty problems: none waits for
another, as in a replay.
"""

Stored = dict[str, list[tuple[str | None, int]]]
"""The answers of a problem's trajectories and how many tokens they took."""


class PoolEngine(ScriptedEngine):
    """An engine whose trajectories are those of pools, in an order that has a name, all at the same speed
    in tokens a second.
    """

    def __init__(self, stored: Stored, tokens_a_second: float, order: str) -> None:
        super().__init__("scripted", slots=SLOTS)
        self._stored = {
            name: [pool[place] for place in shuffled(f"{order}\n{name}", len(pool))]
            for name, pool in stored.items()
        }
        self._speed = tokens_a_second

    async def generate(self, request: Request, hint: Hint = NO_HINT) -> Generation:
        if hint.meter is None:
            return Generation("stop", content="done", completion_tokens=1, usage_source="server")
        pool = self._stored[hint.problem_id]
        answer, tokens = pool[request.draw % len(pool)]
        stream = hint.meter.begin()
        stream.source = "server"
        start = time.monotonic()
        try:
            await asyncio.sleep(tokens / self._speed)
        except asyncio.CancelledError:
            stream.tokens = min(tokens, int(self._speed * (time.monotonic() - start)))
            raise
        stream.tokens = tokens
        content = "I do not know." if answer is None else f"The answer is \\boxed{{{answer}}}."
        return Generation("stop", content=content, completion_tokens=tokens, usage_source="server")


def id_of(problem: str) -> str:
    """The name of a problem as a run has it."""
    return problem.replace("/", "-")


def stored_of(pooled: Sequence[Pooled]) -> tuple[Stored, dict[str, str]]:
    """What `PoolEngine` replays of the pools of one model, and an answer of each problem that scores."""
    stored: Stored = {}
    golds: dict[str, str] = {}
    for one in pooled:
        scores = one.pool.class_scores
        stored[one.problem] = list(zip(one.pool.keys, one.pool.tokens, strict=True))
        golds[one.problem] = next((key for key in scores if scores[key] > 0.5), "none is right")
    return stored, golds


def live(
    folder: Path,
    stored: Stored,
    golds: dict[str, str],
    given: argparse.Namespace,
    policy: str,
    order: str,
) -> RunConfig:
    """Make a run under a rule, of the pools in an order; returns its settings."""
    folder.mkdir()
    problems = folder / "problems.jsonl"
    rows = [{"id": name, "problem": f"Problem {name}.", "answer": golds[name]} for name in stored]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = RunConfig.model_validate({
        "engine": "scripted", "store": str(folder / "store"), "problems": str(problems),
        "widths": (given.width,), "replicates": given.sets, "stopping": policy, "run_id": "live",
        "concurrency": SLOTS,
    })  # fmt: skip
    with open_with(config, PoolEngine(stored, given.speed, order), SLOTS) as work:
        finish_shards(work)
    return config


def checked(config: RunConfig, pools: Pools) -> SavedTokens:
    """The run beside the forecast. Raises AssertionError where trajectories were in the store already."""
    store = open_store(config.store)
    with ReportWarehouse(store, ["live"]) as warehouse:
        run = begin(config)
        found = check_forecast(pools, run, spent_by(warehouse, run), orders=200)
    assert not found.reused, "what is in the store at once tells nothing of a live run"
    return found.first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pools", help="Parquet file as pacore replay takes it")
    parser.add_argument("--policy", action="append", help="a rule; may be given several times")
    parser.add_argument("--width", type=int, default=64, help="slots of a set")
    parser.add_argument("--sets", type=int, default=2, help="sets of each problem in a run")
    parser.add_argument(
        "--runs", type=int, default=4, help="runs, each with the pools in another order"
    )
    parser.add_argument("--speed", type=float, default=1_000.0, help="tokens a second of a request")
    add_option(parser)
    given = parser.parse_args()
    results = Results("stopping", given.results)
    every = file_pools(given.pools)
    for model in dict.fromkeys(one.model for one in every.pooled):
        pooled = [
            replace(one, problem=id_of(one.problem)) for one in every.pooled if one.model == model
        ]
        stored, golds = stored_of(pooled)
        pools = replace(every, pooled=pooled, title=model)
        for policy in given.policy or POLICIES:
            found = []
            for number in range(given.runs):
                with tempfile.TemporaryDirectory(prefix="pacore-stopping-") as made:
                    config = live(Path(made) / "run", stored, golds, given, policy, str(number))
                    found.append(checked(config, pools))
            saved = [100 * one.saved for one in found]
            forecast = 100 * found[0].forecast
            results.add(Figure(f"{model} {policy}", "pacore", "saved", "%", saved))
            results.add(Figure(f"{model} {policy}", "pacore", "forecast", "%", [forecast]))
            print(
                f"{model:12} {policy:40} saved {fmean(saved):5.1f} % ({min(saved):.1f} to "
                f"{max(saved):.1f})  forecast {forecast:5.1f} %  off {fmean(saved) - forecast:+.1f} points",
                flush=True,
            )


if __name__ == "__main__":
    main()
