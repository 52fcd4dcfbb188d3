"""Campaign after campaign until there were kills enough, and what they came to together."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.chaos.campaign import RUN_ID, Campaign, Setting, Toll, config_of
from benchmarks.chaos.scheduler import work_on
from benchmarks.chaos.verdict import Verdict, judge
from benchmarks.chaos.victims import ModelServer, free_port
from tests.fixtures.pipeline import Rows, tables, write_problems
from tests.fixtures.s3_server import BUCKET, S3Server, seaweed

ALONE = Setting("one scheduler", flow_share=0.3)
TOGETHER = Setting("two schedulers", ("", ""), flow_share=0.2)
RACE = Setting("race of three", ("", "b", "c"), flow_share=0.1)
SETTINGS = (ALONE, TOGETHER, RACE)


@dataclass(frozen=True)
class Fought:
    """One campaign, where it was, what befell it and what it came to."""

    store: str
    setting: Setting
    toll: Toll
    verdict: Verdict


@contextmanager
def stage_set(
    folder: Path, stores: Sequence[str]
) -> Iterator[dict[str, tuple[str, S3Server | None]]]:
    """Where runs of each kind of store go, and the server behind, which only S3 has."""
    places: dict[str, tuple[str, S3Server | None]] = {"local": (str(folder / "local"), None)}
    if "s3" not in stores:
        yield places
        return
    with seaweed(folder / "s3") as server:
        before = dict(os.environ)
        os.environ.update(server.environment)
        try:
            yield {**places, "s3": (f"s3://{BUCKET}/chaos", server)}
        finally:
            os.environ.clear()
            os.environ.update(before)


def undisturbed(folder: Path, problems: Path, generator: random.Random) -> dict[str, Rows]:
    """The tables of the run when nobody kills anything."""
    server = ModelServer(folder / "undisturbed", "", 0.0, free_port(generator))
    server.start()
    try:
        store_url = str(folder / "undisturbed" / "store")
        work_on(config_of(store_url, problems, server.endpoint))
    finally:
        server.kill()
    return tables(store_url, RUN_ID)


def fight(
    folder: Path, kills: int, stores: Sequence[str], problem_count: int, seed: int
) -> Iterator[Fought]:
    """Campaigns, each store and setting in turn, until they have ``kills`` together."""
    generator = random.Random(seed)
    problems = write_problems(folder / "problems.jsonl", problem_count)
    whole = undisturbed(folder, problems, generator)
    done = 0
    with stage_set(folder, stores) as places:
        turns = cycle([(store, setting) for setting in SETTINGS for store in stores])
        for number, (store, setting) in enumerate(turns):
            if done >= kills:
                return
            root, s3 = places[store]
            fought = one_campaign(
                folder / f"campaign-{number}", setting, (problems, whole),
                (store, f"{root}/{number}", s3), (kills - done, generator),
            )  # fmt: skip
            done += fought.toll.kills.total()
            yield fought


def one_campaign(
    folder: Path,
    setting: Setting,
    task: tuple[Path, dict[str, Rows]],
    place: tuple[str, str, S3Server | None],
    chance: tuple[int, random.Random],
) -> Fought:
    """``task``: problems and their whole tables; ``place``: kind, URL, server; ``chance``: most kills."""
    (problems, whole), (store, url, s3), (kills, generator) = task, place, chance
    with Campaign(folder, setting, problems, url, generator) as campaign:
        toll = campaign.run(kills, s3)
        return Fought(store, setting, toll, judge(campaign, whole))


def summary(fought: Sequence[Fought], started: float) -> dict[str, Any]:
    """One JSON object: totals by store and setting, and over all."""
    groups: dict[str, list[Fought]] = {}
    for one in fought:
        groups.setdefault(f"{one.store}, {one.setting.name}", []).append(one)
    return {
        "campaigns": len(fought),
        **_sums(fought),
        "kills_by_store": {
            store: _counted(one.toll.kills for one in fought if one.store == store)
            for store in sorted({one.store for one in fought})
        },
        "stops": _counted(one.toll.stops for one in fought),
        "groups": {name: _sums(members) for name, members in groups.items()},
        "seconds": round(time.monotonic() - started, 1),
    }


def _counted(counters: Iterator[Counter[str]] | Sequence[Counter[str]]) -> dict[str, int]:
    return dict(sum(counters, Counter()))


_SUMMED = (
    "rows", "rows_lost", "rows_doubled", "disagreeing", "contested", "requests",
    "requests_over_one_pass", "tokens_one_pass", "tokens_over_one_pass", "sent_in_vain",
)  # fmt: skip


def _sums(fought: Sequence[Fought]) -> dict[str, Any]:
    verdicts = [asdict(one.verdict) for one in fought]
    bounds = [one.verdict.requests_bound for one in fought]
    grown = [keys for one in fought for keys in one.toll.grown]
    return {
        "kills": _counted([one.toll.kills for one in fought]),
        "stopped_saying_why": sum(one.toll.stops.total() for one in fought),
        "least_growth_between_kills": min(grown, default=None),
        "processes_left": sum(one.toll.processes_left for one in fought),
        **{name: sum(verdict[name] for verdict in verdicts) for name in _SUMMED},
        "requests_bound": None if None in bounds else sum(bound or 0 for bound in bounds),
        "audit_findings": [line for one in fought for line in one.verdict.audit_findings],
    }
