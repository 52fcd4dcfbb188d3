"""Kill a run with SIGKILL at random moments, again and again, and compare what it ends with.

    python -m benchmarks.kills --kills 30 --problems 120

Each kill waits until the run has made progress since the last, so a harness that kills before
anything happened cannot pass. The final tables must equal those of an uninterrupted run, and the
tokens generated must stay below one pass and what was in flight at each kill.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.counting_server import MODEL, CountingServer
from tests.pipeline import journal_size, tables, write_problems

CONCURRENCY = 16
SCRIPT = "scripted?words=30&latency_ms=150&truncate=0.05"


@dataclass(frozen=True)
class Outcome:
    """What a series of kills came to."""

    kills: int
    trajectories: int
    requests_uninterrupted: int
    requests_killed: int
    tokens_uninterrupted: int
    tokens_killed: int
    tables_are_equal: bool
    seconds: float

    @property
    def extra_requests(self) -> int:
        return self.requests_killed - self.requests_uninterrupted

    @property
    def most_extra_requests(self) -> int:
        """In flight at each kill: what the server had taken and nobody had journalled."""
        return self.kills * CONCURRENCY


def _command(problems: Path, store: Path, url: str) -> list[str]:
    return [
        sys.executable, "-m", "pacore.cli", "run", "--problems", str(problems),
        "--endpoint", url, "--model", MODEL, "--widths", "12,4", "--run-id", "killed",
        "--store", str(store), "--concurrency", str(CONCURRENCY), "--shard-size", "10",
    ]  # fmt: skip


def _kill_once(command: list[str], store: Path, advance: int) -> bool:
    """Start the run and kill it once it has journalled ``advance`` more; False if it finished."""
    goal = _journalled(store) + advance
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None:
        if _journalled(store) >= goal:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.02)
    return False


def _journalled(store: Path) -> int:
    return journal_size(str(store)) if (store / "journal").exists() else 0


def kill_again_and_again(folder: Path, kills: int, problem_count: int, seed: int = 0) -> Outcome:
    """Run once uninterrupted and once with ``kills`` SIGKILLs; raises if a run fails."""
    started = time.monotonic()
    problems = write_problems(folder / "problems.jsonl", problem_count)
    trajectories = problem_count * (12 + 4 + 1)
    generator = random.Random(seed)
    with CountingServer(SCRIPT) as whole:
        subprocess.run(
            _command(problems, folder / "whole", whole.url), check=True, capture_output=True
        )
    done = 0
    with CountingServer(SCRIPT) as server:
        command = _command(problems, folder / "killed", server.url)
        share = trajectories // (kills + 1)
        while done < kills and _kill_once(command, folder / "killed", generator.randint(1, share)):
            done += 1
        subprocess.run(command, check=True, capture_output=True)
    expected = tables(str(folder / "whole"), "killed")
    return Outcome(
        kills=done,
        trajectories=len(expected["trajectories"]),
        requests_uninterrupted=whole.requests,
        requests_killed=server.requests,
        tokens_uninterrupted=whole.tokens,
        tokens_killed=server.tokens,
        tables_are_equal=tables(str(folder / "killed"), "killed") == expected,
        seconds=round(time.monotonic() - started, 1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--problems", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_again_and_again(Path(folder), options.kills, options.problems, options.seed)
    print(json.dumps({**asdict(outcome), "most_extra_requests": outcome.most_extra_requests}))


if __name__ == "__main__":
    main()
