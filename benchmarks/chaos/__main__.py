"""The command: campaigns, a table on stderr, one JSON object on stdout; 1 where something is wrong."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.chaos.series import Fought, fight, summary

KINDS = ("flow", "scheduler", "model", "s3")
_COLUMNS = ("where", *KINDS, "rows", "lost", "doubled", "over", "bound", "in vain", "tokens over")


@contextmanager
def prefect_server(folder: Path) -> Iterator[None]:
    """A standing Prefect server of our own, for those schedulers that are ``pacore run``."""
    os.environ.update(
        PACORE_HOME=str(folder / "home"),
        PREFECT_HOME=str(folder / "prefect"),
        PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="CRITICAL",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="false",
        DO_NOT_TRACK="1",
    )
    # Prefect reads its settings once, when it is imported.
    from tasks.server import start, stop

    os.environ["PREFECT_API_URL"] = start()
    try:
        yield
    finally:
        stop()


def table(found: dict[str, Any]) -> str:
    """The figures by store and setting, and together."""
    lines = [_COLUMNS, *(_line(name, sums) for name, sums in found["groups"].items())]
    lines.append(_line("together", found))
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _line(name: str, sums: dict[str, Any]) -> Sequence[str]:
    bound = sums["requests_bound"]
    return (
        name,
        *(str(sums["kills"].get(kind, 0)) for kind in KINDS),
        str(sums["rows"]),
        str(sums["rows_lost"]),
        str(sums["rows_doubled"]),
        str(sums["requests_over_one_pass"]),
        "-" if bound is None else str(bound),
        str(sums["sent_in_vain"]),
        f"{sums['tokens_over_one_pass'] / max(1, sums['tokens_one_pass']):.1%}",
    )


def _say(one: Fought) -> None:
    wrong = ", ".join(one.verdict.faults) or "nothing wrong"
    print(
        f"{one.store}, {one.setting.name}: {one.toll.kills.total()} kills in "
        f"{one.toll.seconds:.0f} s, {wrong}",
        file=sys.stderr,
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--store", choices=("local", "s3", "both"), default="both")
    parser.add_argument("--problems", type=int, default=60, help="of each campaign")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    stores = ("local", "s3") if options.store == "both" else (options.store,)
    started, fought = time.monotonic(), []
    with tempfile.TemporaryDirectory() as name, prefect_server(Path(name)):
        for one in fight(Path(name), options.kills, stores, options.problems, options.seed):
            _say(one)
            fought.append(one)
    found = summary(fought, started)
    print(table(found), file=sys.stderr)
    print(json.dumps(found))
    wrong = found["processes_left"] or any(one.verdict.faults for one in fought)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
