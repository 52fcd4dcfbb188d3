"""What the SQL of pacore costs: every mart, check and report query, beside a scan of the trajectories.

    python -m benchmarks.sql --shape 5000x16,4
    python -m benchmarks.sql --shape 57200x16,4 --only mart_

Makes a graded run of that shape once, in ``--folder``. Each query has a process of its own with a warehouse
as commands open it: it is run once, then again, and the second time is the warm one. CPU is user and system
time in all threads. A mart is counted (``select count(*)``, for which DuckDB leaves out what nobody reads)
and read in full. The ratio is of the CPU of a query to that of a scan, which reads and hashes every column
of every trajectory; the median of three in the same run. The peak is the largest resident size of the
process, of which some 150 MB are there before any query.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.graded_store import RUN, Shape, build
from benchmarks.results import Figure, Results, add_option
from pacore.core.identity import sha256_hex
from pacore.store.backends.opening import open_store
from pacore.warehouse.relations import MARTS, SQL_FOLDER, check_names, statement
from pacore.warehouse.views import ReportWarehouse, Warehouse
from tests.fixtures.report_parameters import named_in, report_parameters

SCAN = "SELECT bit_xor(hash(tried)) FROM all_trajectories AS tried"

PROBLEM = "sum-000007"


Reading = Callable[[], int]
"""Runs a query to its end; how many rows it gave."""


def _parameters(name: str, grading: str) -> dict[str, Any]:
    """What a report's query is given: all that its text names."""
    given = report_parameters(RUN, grading, [PROBLEM], rows=20, characters=500)
    if not name.startswith("flips/trajector"):
        given |= {"before": RUN, "after": RUN}
    return named_in(statement(f"reports/{name}"), given)


def queries() -> list[str]:
    """Names of all that is measured: ``mart_ttc``, ``checks/seeds``, ``reports/run/totals``."""
    reports = sorted((SQL_FOLDER / "reports").glob("*/*.sql"))
    return [
        *(f"mart_{name}" for name in MARTS),
        *(f"checks/{name}" for name in check_names()),
        *(f"reports/{path.parent.name}/{path.stem}" for path in reports),
    ]


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _timed(work: Reading) -> tuple[int, float, float]:
    """Rows, CPU and wall seconds of a query."""
    began, before = time.monotonic(), _cpu_seconds()
    rows = work()
    return rows, _cpu_seconds() - before, time.monotonic() - began


def _asked(warehouse: Warehouse, text: str) -> Reading:
    def read() -> int:
        return sum(batch.num_rows for batch in warehouse.columns(text).batches)

    return read


def _streamed(warehouse: Warehouse, name: str, given: dict[str, Any]) -> Reading:
    def read() -> int:
        return sum(1 for _ in warehouse.stream(name, **given).rows)

    return read


def measure(url: str, name: str, memory_mb: int, *, is_once: bool) -> dict[str, Any]:
    """The figures of one query, in this process."""
    is_mart = name.startswith("mart_") or name == "scan"
    kind = Warehouse if is_mart else ReportWarehouse
    with kind(open_store(url), [RUN], memory_bytes=memory_mb * 2**20) as warehouse:
        (grading,) = [g for (g,) in warehouse.query("SELECT grading FROM graded_runs").rows]
        found: dict[str, Any] = {"query": name}
        if name == "scan":
            full = _asked(warehouse, SCAN)
        elif is_mart:
            full = _asked(warehouse, f"SELECT * FROM {name}")
        if is_mart and name != "scan" and not is_once:
            _, found["count_cpu"], found["count_seconds"] = _timed(
                _asked(warehouse, f"SELECT count(*) FROM {name}")
            )
        if not is_mart:
            given = _parameters(name.removeprefix("reports/"), grading) if "reports" in name else {}
            full = _streamed(warehouse, name, given)
        if is_mart:
            list(warehouse.query("SELECT count(*) FROM all_trajectories").rows)
        if not is_once:
            _, found["first_cpu"], found["first_seconds"] = _timed(full)
        found["rows"], found["cpu"], found["seconds"] = _timed(full)
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def _contents(url: str, name: str) -> str:
    """A digest of all rows of a mart, whatever their order: to compare two versions of its SQL.

    Sums depend on the order of their parts in the last digits, which are left out.
    """
    with Warehouse(open_store(url), [RUN]) as warehouse:
        rows = sorted(
            repr([f"{value:.10g}" if isinstance(value, float) else value for value in row])
            for row in warehouse.query(f"SELECT * FROM {name}").rows
        )
    return sha256_hex("\n".join(rows).encode())[:16]


def _apart(url: str, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one query in a process of its own."""
    command = [
        sys.executable, "-m", "benchmarks.sql", "--one", name, "--store", url,
        "--memory-mb", str(options.memory_mb), *(["--once"] if options.once else []),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _figures(shape: str, name: str, found: dict[str, Any], scan: float) -> Iterator[Figure]:
    yield Figure(shape, name, "CPU, warm", "s", [found["cpu"]], "scan", [scan])
    yield Figure(shape, name, "seconds, warm", "s", [found["seconds"]])
    yield Figure(shape, name, "peak memory", "MB", [found["peak_mb"]])
    if "count_cpu" in found:
        yield Figure(shape, name, "CPU of count(*)", "s", [found["count_cpu"]])
    if "first_cpu" in found:
        yield Figure(shape, name, "CPU, first", "s", [found["first_cpu"]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=Shape.of, default=Shape.of("5000x16,4"))
    parser.add_argument("--folder", type=Path, default=Path("build/bench-sql"))
    parser.add_argument("--only", default="", help="queries whose names contain this")
    parser.add_argument("--once", action="store_true", help="one reading of each query, no count")
    parser.add_argument("--memory-mb", type=int, default=4096, help="memory to plan queries with")
    parser.add_argument("--contents", action="store_true", help="digests of the marts, not figures")
    add_option(parser)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(
            json.dumps(measure(options.store, options.one, options.memory_mb, is_once=options.once))
        )
        return
    url = build(options.folder, options.shape)
    names = [name for name in queries() if options.only in name]
    if options.contents:
        for name in (one for one in names if one.startswith("mart_")):
            print(f"{name:44}{_contents(url, name)}", flush=True)
        return
    results = Results("sql", options.results)
    scan = statistics.median(_apart(url, "scan", options)["cpu"] for _ in range(3))
    for name in names:
        results.add(*_figures(options.shape.text, name, _apart(url, name, options), scan))


if __name__ == "__main__":
    main()
