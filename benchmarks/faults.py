"""Run a problem set against an endpoint that fails by seed, and compare the store with its books.

    python -m benchmarks.faults --problems 1000 --rate 0.3

Every planned trajectory must end as one row: generated, or a tombstone with its class, its tries and
what they are known to have cost. The endpoint wrote down every request; the store must say the same.
A second run, against an endpoint that works, says what the texts should be.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fault_endpoint import HARMLESS, MODEL, FaultEndpoint, FaultPlan, Served
from pacore.core.trajectory import UNFINISHED
from pacore.store.backends.opening import open_store
from pacore.store.commits import committed_units, current_among, read_commit
from pacore.store.layout import Unit
from pacore.store.parquet import read_rows
from pacore.store.schema import TABLES
from tests.fixtures.pipeline import write_problems

SCRIPT = "scripted?words=30&latency_ms=20&truncate=0.05"
WIDTHS = (4,)

Row = dict[str, Any]
Place = tuple[int, str, int, int]


def place_of(row: Row) -> Place:
    return (row["round"], row["problem_id"], row["replicate"], row["slot"])


def _rows(store_url: str, run_id: str, table: str, is_standing: bool) -> list[Row]:
    store = open_store(store_url)
    units: Iterable[Unit] = committed_units(store, run_id)
    if is_standing:
        units = current_among(units)
    found = []
    for unit in units:
        if unit.table == table:
            path = store.uri(read_commit(store, unit).path)
            for row in read_rows(path, TABLES[table].schema.names):
                found.append({**row, "round": unit.round, "revision": unit.revision})
    return found


def standing_rows(store_url: str, run_id: str) -> dict[Place, Row]:
    """The standing trajectory of every slot. Raises ValueError where a slot has two."""
    by_place: dict[Place, Row] = {}
    attempts: Counter[tuple[Place, int]] = Counter()
    for row in _rows(store_url, run_id, "trajectories", is_standing=True):
        place = place_of(row)
        attempts[place, row["attempt"]] += 1
        if place not in by_place or row["attempt"] > by_place[place]["attempt"]:
            by_place[place] = row
    if doubled := [place for (place, _), rows in attempts.items() if rows > 1]:
        raise ValueError(f"{len(doubled)} slots have one attempt twice, such as {doubled[0]}")
    return by_place


def texts(store_url: str, run_id: str) -> dict[str, tuple[str | None, str | None]]:
    """Reasoning and content by trajectory id, of the revisions that stand and those before."""
    rows = _rows(store_url, run_id, "trajectory_texts", is_standing=False)
    return {row["trajectory_id"]: (row["reasoning"], row["content"]) for row in rows}


@dataclass(frozen=True)
class Books:
    """What the store says of every trajectory that was asked for, tombstones of all attempts too.

    ``tries`` counts requests by request seed. A context overflow is no part of the journal and is
    asked again whenever its shard is opened again: each of its rows stands for requests of its own.
    """

    rows: dict[int, Row]
    tries: Counter[int]

    @staticmethod
    def of(store_url: str, run_id: str) -> Books:
        rows: dict[int, Row] = {}
        tries: Counter[int] = Counter()
        for row in _rows(store_url, run_id, "trajectories", is_standing=False):
            seed = row["seed"]
            if row["finish_reason"] == "context_overflow":
                tries[seed] += row["tries"]
            else:
                tries[seed] = row["tries"]
            rows[seed] = row
        return Books(rows, tries)

    @property
    def known_tokens(self) -> int:
        """Tokens the store knows to have been generated for this run, wasted ones included."""
        return sum(
            row["wasted_tokens"] + (row["completion_tokens"] or 0) for row in self.rows.values()
        )

    def is_cost_known(self, seed: int) -> bool:
        """Whether the row shows all its cost: one try, whose tokens somebody counted."""
        row = self.rows[seed]
        if row["finish_reason"] == "context_overflow":
            return True
        return bool(row["tries"] == 1 and row["usage_source"] != "unknown")


@dataclass
class Differences:
    """What the endpoint's books and the store's say differently; empty lists are agreement."""

    unknown_seeds: list[int] = field(default_factory=list)
    tries: list[tuple[int, int, int]] = field(default_factory=list)
    told_tokens: int = 0
    known_tokens: int = 0
    hidden: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        differs = self.told_tokens != self.known_tokens
        return bool(self.unknown_seeds or self.tries or self.hidden or differs)


def compare(served: Sequence[Served], books: Books) -> Differences:
    """Compare two ledgers, request by request.

    ``hidden`` are requests that generated tokens nobody told of and whose row does not show it.
    """
    asked = Counter(entry.seed for entry in served)
    found = Differences(known_tokens=books.known_tokens)
    found.unknown_seeds = sorted(asked.keys() ^ books.tries.keys())
    found.tries = [
        (seed, asked[seed], books.tries[seed])
        for seed in asked.keys() & books.tries.keys()
        if asked[seed] != books.tries[seed]
    ]
    found.told_tokens = sum(entry.told_tokens for entry in served)
    found.hidden = [
        entry.seed
        for entry in served
        if entry.generated_tokens > entry.told_tokens
        and entry.seed in books.rows
        and books.is_cost_known(entry.seed)
    ]
    return found


def spoilt_seeds(served: Sequence[Served]) -> set[int]:
    """Seeds whose text the endpoint itself changed; all others must read as if nothing happened."""
    return {
        entry.seed
        for entry in served
        if entry.fault == "null content" or (entry.fault or "").startswith("overflow")
    }


HEAD = ("fault", "requests", "trajectories", "ended as", "tries each", "tokens told", "not told")


def fault_table(served: Sequence[Served], books: Books) -> list[tuple[str, ...]]:
    """A row for each kind of fault: what became of the trajectories it hit, and what it cost."""
    by_fault: defaultdict[str, list[Served]] = defaultdict(list)
    for entry in served:
        by_fault[entry.fault or "none"].append(entry)
    table: list[tuple[str, ...]] = []
    for fault in sorted(by_fault, key=lambda name: (name == "none", name)):
        entries = by_fault[fault]
        rows = [books.rows[seed] for seed in {entry.seed for entry in entries}]
        ends = Counter(row["finish_reason"] for row in rows)
        told = sum(entry.told_tokens for entry in entries)
        table.append(
            (
                fault,
                f"{len(entries):,}",
                f"{len(rows):,}",
                ", ".join(f"{count:,} {name}" for name, count in ends.most_common()),
                f"{sum(row['tries'] for row in rows) / len(rows):.2f}",
                f"{told:,}",
                f"{sum(entry.generated_tokens for entry in entries) - told:,}",
            )
        )
    return table


def as_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def faulty_command(problems: Path, store: Path, url: str) -> list[str]:
    """The line that runs a problem set against an endpoint."""
    return [
        sys.executable, "-m", "pacore.cli.main", "run", "--problems", str(problems),
        "--endpoint", url, "--model", MODEL, "--widths", ",".join(map(str, WIDTHS)),
        "--run-id", "faults", "--store", str(store), "--timeout-seconds", "2",
        "--retry-wait-seconds", "0.1", "--retry-wait-max-seconds", "2",
    ]  # fmt: skip


class Start(NamedTuple):
    """One start of a run: its exit code, and how long it took."""

    code: int
    seconds: float


def run_to_the_end(command: list[str], most: int = 8) -> list[Start]:
    """Run a line until it finds nothing to try again. Raises RuntimeError where it never does."""
    found = []
    for _ in range(most):
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found.append(Start(done.returncode, round(time.monotonic() - started, 1)))
        if done.returncode not in (0, 3):
            raise RuntimeError(done.stderr)
        if "tries the unfinished ones again" not in done.stderr:
            return found
    raise RuntimeError(f"still unfinished after {most} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    planned = options.problems * (sum(WIDTHS) + 1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ.setdefault("PACORE_HOME", str(folder / "home"))
        problems = write_problems(folder / "problems.jsonl", options.problems)
        with FaultEndpoint(SCRIPT, FaultPlan(rate=0.0)) as works:
            clean = run_to_the_end(faulty_command(problems, folder / "clean", works.url))
        with FaultEndpoint(SCRIPT, FaultPlan(options.rate, options.seed)) as fails:
            faulty = run_to_the_end(faulty_command(problems, folder / "faulty", fails.url))
        rows = standing_rows(str(folder / "faulty"), "faults")
        books = Books.of(str(folder / "faulty"), "faults")
        expected = texts(str(folder / "clean"), "faults")
        given = texts(str(folder / "faulty"), "faults")
        spoilt = spoilt_seeds(fails.served)
        kept = [row for row in rows.values() if row["seed"] not in spoilt]
        same = [row["trajectory_id"] for row in kept if row["trajectory_id"] in expected]
        print(as_markdown(HEAD, fault_table(fails.served, books)))
        differences = compare(fails.served, books)
        summary = {
            "planned": planned,
            "standing_rows": len(rows),
            "tombstones": sum(row["finish_reason"] in UNFINISHED for row in rows.values()),
            "requests": len(fails.served),
            "tries": books.tries.total(),
            "tokens_told": differences.told_tokens,
            "tokens_in_store": differences.known_tokens,
            "is_accounted": not differences,
            "same_ids_as_clean": len(same),
            "of_these_other_text": sum(expected[one] != given[one] for one in same),
            "clean_passes": clean,
            "faulty_passes": faulty,
            "harmless": sum(entry.fault in HARMLESS for entry in fails.served),
        }
    print(json.dumps(summary, indent=1))
    sys.exit(0 if not differences and len(rows) == planned else 1)


if __name__ == "__main__":
    main()
