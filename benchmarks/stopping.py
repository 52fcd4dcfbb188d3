"""What runs under stopping rules abort on real vLLM: by their rows, and by the server's log.

    python -m benchmarks.stopping

One run of a few problems for each kind of rule, on a model of 135 million parameters that runs on a CPU,
all against one server. *Aborted* are rows of trajectories that were sent and not needed; *late* are those
of them that had ended before the abort reached them, which the server counts as finished. So the server
has to have aborted the rest, neither more nor fewer; its metrics count no request that a client aborts.
*Tokens* are those of all rows beside those that the server says it has generated meanwhile: what it
generates between an abort and its end is in no row.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.real.server import MODEL, OPTIONS, RealServer, real_server
from benchmarks.results import Figure, Results, add_option
from pacore.core.config.run import RunConfig
from pacore.core.stopping import parse_stopping
from pacore.runs.loop import finish_shards
from pacore.runs.problems import open_work
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal
from pacore.warehouse.views import Warehouse

PROBLEMS = Path("infra/demo/problems.jsonl")

RULES = (
    "votes:0.9",
    "votes:0.9,batch:4",
    "arrivals:6",
    "lead:0.8,batch:4",
    "lead:0.8,batch:4,ready:0.5,abort_late",
    "tokens:400",
    "votes:0.9,fewest:2",
    "depth:0.8",
)

LATER_WIDTH = 4
"""Slots of a second round, for rules that are about rounds."""

SETTLED_SECONDS = 60.0
"""How long the server may take to log the last abort."""

ROWS = """
    SELECT trajectory_id, finish_reason = 'aborted' AND tries > 0, coalesce(completion_tokens, 0)
    FROM trajectories
"""


SUMS = """
    SELECT
        sum(arrived),
        sum(not_begun),
        1 - sum(seen_tokens + aborted_tokens)
            / sum(seen_tokens + aborted_tokens + saved_tokens + coalesce(rounds_saved_tokens, 0))
    FROM mart_stops
"""


@dataclass(frozen=True, slots=True)
class Aborts:
    """What one run has aborted, by its rows, and by its server."""

    rule: str
    arrived: int
    not_begun: int
    aborted: int
    late: int
    logged: int
    tokens: int
    served_tokens: int
    saved: float

    @property
    def agrees(self) -> bool:
        return self.aborted - self.late == self.logged


def aborts_of(server: RealServer, rule: str, folder: Path, problems: int, width: int) -> Aborts:
    """Make a run under a rule, and count."""
    is_about_rounds = bool(parse_stopping(rule).of_rounds.text)
    config = RunConfig(
        problems=str(PROBLEMS),
        limit=problems,
        endpoints=(server.url,),
        model=server.model,
        widths=(width, LATER_WIDTH) if is_about_rounds else (width,),
        stopping=rule,
        temperature=0.6,
        max_tokens=160,
        concurrency=problems * width,
        store=str(folder),
        run_id="stopped",
    )
    logged = server.logged_as_aborted
    served = server.counts()["vllm:generation_tokens_total"]
    with open_work(config) as work:
        finish_shards(work)
    store = open_store(config.store)
    with Warehouse(store, ["stopped"]) as warehouse:
        rows = list(warehouse.query(ROWS).rows)
        ((arrived, not_begun, saved),) = warehouse.query(SUMS).rows
    aborted = [identity for identity, is_aborted, _ in rows if is_aborted]
    late = sum(entry is not None for entry in Journal(store).find_many(aborted))
    deadline = time.monotonic() + SETTLED_SECONDS
    while (found := server.logged_as_aborted - logged) < len(aborted) - late:
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    return Aborts(
        rule,
        arrived,
        not_begun,
        len(aborted),
        late,
        found,
        sum(tokens for _, _, tokens in rows),
        round(server.counts()["vllm:generation_tokens_total"] - served),
        saved,
    )


def table(found: Sequence[Aborts]) -> str:
    """The figures of all runs."""
    lines = ["rule | arrived | not begun | aborted | late | log | tokens | served | saved"]
    for one in found:
        cells = [
            one.rule, one.arrived, one.not_begun, one.aborted, one.late, one.logged,
            f"{one.tokens:,}", f"{one.served_tokens:,}", f"{one.saved:.1%}",
        ]  # fmt: skip
        lines.append(" | ".join(map(str, cells)) + ("" if one.agrees else "  !"))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--problems", type=int, default=4)
    parser.add_argument("--width", type=int, default=12)
    parser.add_argument("--rule", action="append", help="instead of one of each kind; repeatable")
    add_option(parser)
    given = parser.parse_args()
    results = Results("stopping", given.results)
    options = (*OPTIONS, "--enable-log-requests")
    with real_server(MODEL, options) as server, TemporaryDirectory() as scratch:
        found = [
            aborts_of(server, rule, Path(scratch) / str(number), given.problems, given.width)
            for number, rule in enumerate(given.rule or RULES)
        ]
    print(table(found))
    workload = f"{given.problems} problems, sets of {given.width}"
    for one in found:
        results.add(
            Figure(workload, one.rule, "aborted, rows", "requests", [one.aborted - one.late]),
            Figure(workload, one.rule, "aborted, log", "requests", [one.logged]),
            Figure(workload, one.rule, "tokens", "tokens", [one.tokens]),
        )


if __name__ == "__main__":
    main()
