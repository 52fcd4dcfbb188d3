"""What a sweep found: a row for each arm, as a table, as CSV or JSON, and what sharing saved."""

from __future__ import annotations

import csv
import io
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, fields

from pacore.core.config.sweep import PlannedSweep, SweepConfig
from pacore.evaluation.judging import Judging
from pacore.evaluation.sweep import SweepResult, SweepRow, frontier, sweep_result
from pacore.report.plots import draw
from pacore.report.terminal import (
    ABSENT,
    Column,
    Content,
    Grid,
    facts,
    line,
    number,
    points,
    settled,
    share,
    stacked,
    to_text,
)
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.layout import sweep_key
from pacore.warehouse.prices import read_prices
from pacore.warehouse.views import Warehouse


def sweep_table(result: SweepResult, width: int | None = None) -> str:
    """The arms as a table, cheapest first, those on the frontier marked, and what sharing saved."""
    best = {point.name for point in frontier(result.points)}
    columns = [
        Column("arm"),
        Column("accuracy", is_number=True),
        Column("accuracy, 95 %", is_number=True),
        Column("scored", is_number=True),
        Column("no answer", is_number=True),
        Column("tokens", is_number=True),
        Column("points/1k", is_number=True),
        Column("frontier"),
    ]
    if result.currency is not None:
        columns.insert(7, Column(f"{result.currency} an answer", is_number=True))
    rows = []
    for row in sorted(result.rows, key=lambda row: (row.effective_tokens or 0.0, row.name)):
        known = row.low is not None and row.high is not None
        cells = [
            row.name,
            share(row.accuracy),
            f"{share(row.low)} to {share(row.high)}" if known else ABSENT,
            f"{row.scored:,}/{row.planned:,}",
            share(row.unanswered),
            number(row.effective_tokens),
            _points(row.accuracy_per_thousand_tokens),
            "●" if row.name in best else "",
        ]
        if result.currency is not None:
            cells.insert(7, number(row.money, 6))
        rows.append(cells)
    saved = result.alone_tokens - result.new_tokens
    spent = [
        ("tokens", "effective TTC of an answer; points of accuracy per thousand of them"),
        ("each arm alone", f"{result.alone_tokens:,} tokens"),
        ("generated now", f"{result.new_tokens:,} tokens"),
        ("not generated", f"{saved:,} tokens ({share(_ratio(saved, result.alone_tokens))})"),
    ]
    parts: list[Content] = [
        line(result.title, "bold"),
        line(""),
        Grid(columns, rows),
        line(""),
        *_differences(result),
        facts(spent),
    ]
    return to_text(stacked(*parts), width)


def _differences(result: SweepResult) -> Iterator[Content]:
    """Every arm beside the first, where there is something to compare."""
    beside = [row for row in result.rows if row.difference is not None]
    if not beside:
        return
    columns = [
        Column("arm"),
        Column("difference", is_number=True),
        Column("difference, 95 %", is_number=True),
        Column("problems", is_number=True),
    ]
    cells = [
        [row.name, points(row.difference), _between(row), f"{row.compared:,}"] for row in beside
    ]
    yield line(
        f"beside {result.baseline}, paired by problem: all share the pool of round 1", "bold"
    )
    yield Grid(columns, cells)
    yield line("")


def _between(row: SweepRow) -> str:
    if row.difference_low is None or row.difference_high is None:
        return ABSENT
    return f"{points(row.difference_low)} to {points(row.difference_high)}"


def _points(share_per_thousand: float | None) -> str:
    """Percentage points of accuracy a thousand tokens buy."""
    return number(None if share_per_thousand is None else 100 * share_per_thousand, 1)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def sweep_csv(result: SweepResult) -> str:
    """The arms as CSV, a column for each field of `SweepRow`."""
    file = io.StringIO()
    writer = csv.DictWriter(file, [one.name for one in fields(SweepRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(settled(row) for row in result.rows)
    return file.getvalue()


def sweep_json(result: SweepResult) -> str:
    """The arms, the frontier and the totals as JSON."""
    return json.dumps(
        {
            "sweep": result.sweep_id,
            "baseline": result.baseline,
            "arms": [settled(row) for row in result.rows],
            "frontier": [point.name for point in frontier(result.points)],
            "alone_tokens": result.alone_tokens,
            "new_tokens": result.new_tokens,
            "currency": result.currency,
        },
        indent=2,
    )


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep found, and the addresses of the files that say so: picture, CSV and JSON."""

    result: SweepResult
    files: tuple[str, ...]


def conclude_sweep(
    config: SweepConfig, planned: PlannedSweep, judging: Judging | None = None
) -> SweepOutcome:
    """Ask the marts of its runs, all graded, and keep table and picture below ``sweeps/``."""
    store = open_store(config.run.store)
    run_ids = [str(run.run_id) for run in planned.configs]
    judge = None if judging is None else judging.config
    if judge is not None:
        run_ids.append(str(judge.run_id))
    prices = read_prices(config.prices) if config.prices else ()
    counts = [arm.count for arm in planned.arms]
    with Warehouse(store, run_ids, prices, counts) as warehouse:
        result = sweep_result(warehouse, planned, judge)
    written = {
        "frontier.svg": draw(result.points, result.title),
        "frontier.png": draw(result.points, result.title, "png"),
        "arms.csv": sweep_csv(result).encode(),
        "arms.json": sweep_json(result).encode(),
        "arms.txt": sweep_table(result).encode() + b"\n",
    }
    files = [_keep(store, planned.sweep_id, name, data) for name, data in written.items()]
    return SweepOutcome(result, tuple(files))


def _keep(store: Backend, sweep_id: str, name: str, data: bytes) -> str:
    """Put one file of a sweep, in place of an earlier one; its address."""
    scratch = store.scratch() / f"sweep-{secrets.token_hex(8)}"
    scratch.write_bytes(data)
    try:
        key = sweep_key(sweep_id, name)
        store.put_file(key, scratch)
        return store.uri(key)
    finally:
        scratch.unlink(missing_ok=True)
