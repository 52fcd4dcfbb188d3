"""Where a command's CPU time goes: that of its threads, by what they are there for.

    python -m benchmarks.parts parts.json run --engine scripted --problems problems.jsonl ...

Runs `pacore` with these arguments in this process, and a thread that reads every few milliseconds what CPU
time each thread has used. Time is told by thread and not by function: a look into the frames finds threads
where they wait for the interpreter, which is seldom where they work.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import defaultdict
from pathlib import Path

from pacore.cli.main import main as pacore

LOOK_SECONDS = 0.02

PARTS = {
    "MainThread": "start, flow, report",
    "dispatcher": "event loop, client",
    "journal": "journal",
    "tables": "table writing",
    "ahead": "stages, tasks",
    "shards": "stages, tasks",
    "ThreadPoolExecutor": "stages, tasks",
    "grading": "grading",
    "sandbox": "grading",
    "program": "grading",
    "progress": "progress",
    "store": "store",
    "": "Prefect's own",
}
"""By the beginnings of threads' names, the first that fits; threads without a name of Python's are those of
Arrow, DuckDB and the like.
"""

NATIVE = "native threads"


class Looker(threading.Thread):
    """Looks until `stop`."""

    def __init__(self) -> None:
        super().__init__(name="looker", daemon=True)
        self._used: dict[str, tuple[str, int]] = {}
        self._is_stopped = threading.Event()

    def run(self) -> None:
        while not self._is_stopped.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        names = {str(thread.native_id): thread.name for thread in threading.enumerate()}
        for place in Path("/proc/self/task").iterdir():
            try:
                used = int((place / "schedstat").read_text().split()[0])
            except OSError:
                continue
            # A thread has its name a moment after it has begun.
            name = names.get(place.name) or self._used.get(place.name, ("", 0))[0]
            self._used[place.name] = name, used

    def stop(self) -> dict[str, float]:
        """CPU seconds by part, the largest first."""
        self._is_stopped.set()
        self.join()
        self._look()
        seconds: dict[str, float] = defaultdict(float)
        for name, used in self._used.values():
            if name != self.name:
                seconds[_part(name)] += used / 1e9
        return dict(sorted(seconds.items(), key=lambda one: -one[1]))


def _part(name: str) -> str:
    if not name:
        return NATIVE
    return next(part for start, part in PARTS.items() if name.startswith(start))


def main() -> None:
    target, *arguments = sys.argv[1:]
    looker = Looker()
    looker.start()
    code = pacore(arguments)
    Path(target).write_text(json.dumps(looker.stop()))
    sys.exit(code)


if __name__ == "__main__":
    main()
