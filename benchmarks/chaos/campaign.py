"""One run under kills: its schedulers, their model servers, and what befalls them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.victims import Broken, Kind, ModelServer, Scheduler, free_port
from benchmarks.counting_server import MODEL
from pacore.core.config.run import RunConfig
from pacore.store.backends.opening import open_store
from pacore.store.run import is_closed
from tests.fixtures.processes import left_after
from tests.fixtures.s3_server import S3Server

RUN_ID = "chaos"
WIDTHS = (8, 3)
SHARD_SIZE = 5
CONCURRENCY = 8
STUCK_SECONDS = 240.0
POLL_SECONDS = 0.1
S3_STARTS = 5


@dataclass(frozen=True)
class Setting:
    """How a run is beset. ``salts`` has one for each scheduler; different ones make a race.

    ``flow_share`` of the schedulers' starts are ``pacore run``; ``grown`` bounds
    how many keys the store must grow by before the next kill. ``victims`` are met in a random order,
    all of them before any a second time; ``s3`` is passed over where there is no S3 server.
    """

    name: str
    salts: tuple[str, ...] = ("",)
    flow_share: float = 0.0
    grown: int = 12
    latency_seconds: float = 0.15
    victims: tuple[str, ...] = ("scheduler",) * 6 + ("model",) * 2 + ("s3",) * 2

    @property
    def is_race(self) -> bool:
        return len(set(self.salts)) > 1


@dataclass
class Toll:
    """What befell a campaign. ``stops`` are schedulers that ended by themselves, saying why."""

    kills: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    grown: list[int] = field(default_factory=list)
    processes_left: int = 0
    seconds: float = 0.0

    @property
    def interruptions(self) -> int:
        """How often requests in flight were given up: never with the S3 server, which is waited for."""
        return self.kills.total() - self.kills["s3"] + self.stops.total()


def config_of(store_url: str, problems: Path, endpoint: str) -> RunConfig:
    """So patient that a model server may be gone for a while and leave no tombstone."""
    return RunConfig(
        problems=str(problems),
        endpoints=(endpoint,),
        model=MODEL,
        widths=WIDTHS,
        run_id=RUN_ID,
        store=store_url,
        concurrency=CONCURRENCY,
        shard_size=SHARD_SIZE,
        retries=100,
        retry_wait_seconds=0.1,
        retry_wait_max_seconds=1.0,
        timeout_seconds=60.0,
    )


class Campaign:
    """A run with its schedulers and servers; a context, so that no process outlives it."""

    def __init__(
        self,
        folder: Path,
        setting: Setting,
        problems: Path,
        store_url: str,
        generator: random.Random,
    ) -> None:
        self.setting = setting
        self.store_url = store_url
        self.toll = Toll()
        self._random = generator
        self._next: list[str] = []
        self._starts = 0
        self.schedulers = []
        for number, salt in enumerate(setting.salts):
            place = folder / f"scheduler-{number}"
            server = ModelServer(place, salt, setting.latency_seconds, free_port(generator))
            config = config_of(store_url, problems, server.endpoint)
            self.schedulers.append(Scheduler(place, config, server))

    def __enter__(self) -> Campaign:
        return self

    def __exit__(self, *_: object) -> None:
        for scheduler in self.schedulers:
            scheduler.end()
            scheduler.server.kill()

    def run(self, kills: int, s3: S3Server | None) -> Toll:
        """Kill up to ``kills`` times, then let the run end. Raises Broken for one that cannot."""
        started = time.monotonic()
        # All servers first: one that is slow to start would leave the run to the schedulers before it.
        for scheduler in self.schedulers:
            scheduler.server.start()
        for scheduler in self.schedulers:
            scheduler.start(self._kind())
        size = 0
        while self.toll.kills.total() < kills:
            goal = size + self._random.randint(1, self.setting.grown)
            grown_to = self._wait_for_growth(goal)
            if grown_to is None:
                break
            time.sleep(self._random.uniform(0.0, 0.3))
            if self._kill_one(s3):
                self.toll.grown.append(grown_to - size)
                size = grown_to
        while not all(self._revive()):
            self._wait_a_little(started + STUCK_SECONDS * 3)
        pids = set().union(*(scheduler.left for scheduler in self.schedulers))
        self.toll.processes_left = len(left_after(pids, 20.0))
        self.toll.seconds = time.monotonic() - started
        if not is_closed(open_store(self.store_url), RUN_ID):
            raise Broken("every scheduler ended well, and the run is not closed")
        return self.toll

    def _kind(self) -> Kind:
        share = self.setting.flow_share
        self._starts += 1
        return (
            "flow" if int(self._starts * share) > int((self._starts - 1) * share) else "scheduler"
        )

    def size(self) -> int:
        """Values the run has in the store: generations and commits."""
        store = open_store(self.store_url)
        return sum(1 for prefix in ("journal", "commits") for _ in store.list(prefix))

    def _wait_for_growth(self, goal: int) -> int | None:
        """The store's size once it is ``goal`` and somebody can be killed; None if the run ended."""
        deadline = time.monotonic() + STUCK_SECONDS
        while not all(self._revive()):
            size = self.size()
            if size >= goal and any(one.has_begun for one in self.schedulers):
                return size
            self._wait_a_little(deadline)
        return None

    def _wait_a_little(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            said = [scheduler.last_words() for scheduler in self.schedulers]
            raise Broken(f"no progress any more; the schedulers said {said}")
        time.sleep(POLL_SECONDS)

    def _revive(self) -> Sequence[bool]:
        """Start again who stopped saying why; returns whether each scheduler is done."""
        for scheduler in self.schedulers:
            code = scheduler.exit_code()
            if code is None or scheduler.is_done:
                continue
            reason = scheduler.last_words()
            if code == 0:
                scheduler.is_done = True
            elif code in (1, 2) and reason.startswith("pacore: "):
                self.toll.stops[reason.removeprefix("pacore: ")] += 1
                scheduler.start(self._kind())
            else:
                raise Broken(f"a scheduler ended with {code}: {reason}")
        return [scheduler.is_done for scheduler in self.schedulers]

    def _kill_one(self, s3: S3Server | None) -> bool:
        """False where the one chosen has ended meanwhile."""
        working = [one for one in self.schedulers if one.has_begun]
        if not working:
            return False
        victim = self._random.choice(working)
        kind = self._next_kind(s3 is not None)
        if kind == "scheduler":
            self.toll.kills[victim.kind] += 1
            victim.kill()
            victim.start(self._kind())
        elif kind == "model":
            self.toll.kills["model"] += 1
            victim.server.kill()
            time.sleep(self._random.uniform(0.0, 1.0))
            victim.server.start()
        elif s3 is not None:
            self.toll.kills["s3"] += 1
            s3.kill()
            time.sleep(self._random.uniform(0.0, 2.0))
            start_again(s3)
        return True

    def _next_kind(self, has_s3: bool) -> str:
        if not self._next:
            self._next = [kind for kind in self.setting.victims if has_s3 or kind != "s3"]
            self._random.shuffle(self._next)
        return self._next.pop()


def start_again(s3: S3Server) -> None:
    """On the same data and ports; again, where somebody's connection has taken one of these."""
    for number in range(1, S3_STARTS + 1):
        try:
            s3.start_again()
        except AssertionError:
            s3.stop()
            if number == S3_STARTS:
                raise
            time.sleep(1.0)
        else:
            return
