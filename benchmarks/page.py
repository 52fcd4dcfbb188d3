"""One page of all measured figures, with tables and plots: a single HTML file without any other.

    python -m benchmarks.page --results build/bench/results --output build/bench/index.html

Of each thing that was measured the page has its last measurement.
"""

from __future__ import annotations

import argparse
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from benchmarks.plots import PART, plots_of
from benchmarks.results import Result, add_option, newest

ABOUT = {
    "makespan": "A simulated vLLM server that batches as a real one does; all clients request the same"
    " trajectories. The bound is what no client can be faster than.",
    "throughput": "A server that answers at once: what a request costs, and how many a second, as more are"
    " in flight.",
    "overhead": "The scripted engine: what everything around a generation costs.",
    "store": "Bytes in and out of a store, commits, and what a run that is finished or interrupted"
    " costs to take up again.",
    "orchestration": "What a task costs in Prefect, beside the same stages without it.",
    "sql": "CPU of each mart, check and report query; a scan reads every column of every trajectory.",
    "real engine": "vLLM itself on this machine, and pacore in front of it.",
}

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 1100px;
  padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; width: 100%; }
th, td { text-align: left; padding: .2rem .7rem .2rem 0; vertical-align: top; }
thead th { border-bottom: 1px solid #888; font-weight: 600; }
tr.first td { border-top: 1px solid #ddd; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
table.parts { width: auto; }
img { max-width: 100%; display: block; margin: .5rem 0; }
.note { color: #666; }
"""

COLUMNS = (
    ("workload", ""), ("subject", ""), ("metric", ""), ("median", "number"), ("range", "number"),
    ("unit", ""), ("ratio", "number"), ("runs", "number"), ("load", "number"),
)  # fmt: skip


def page(results: Sequence[Result]) -> str:
    """The whole document."""
    body = "".join(
        _section(benchmark, list(found))
        for benchmark, found in groupby(results, key=lambda one: one.benchmark)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>pacore, measured</title>'
        f"<style>{STYLE}</style></head><body><h1>pacore, measured</h1>{_head()}{body}</body></html>\n"
    )


def _head() -> str:
    return (
        '<p class="note">Values are medians over the runs. A ratio is of values of the same run, and its'
        " median; the range beside it is of all runs. Load: averages over a minute, from before the"
        " benchmark began and after it; the second includes the benchmark's own. On a machine that others"
        " use ratios are reliable and seconds are not.</p>"
    )


def _section(benchmark: str, results: list[Result]) -> str:
    images = "".join(
        f'<img alt="{escape(name)}" src="data:image/svg+xml;base64,{b64encode(drawn).decode()}">'
        for name, drawn in plots_of(benchmark, results)
    )
    about = escape(ABOUT.get(benchmark, ""))
    tables = _table(results) + _parts(results)
    return f"<h2>{escape(benchmark)}</h2><p>{about}</p>{_machine(results)}{images}{tables}"


def _machine(results: Iterable[Result]) -> str:
    """What it was measured on; figures of one page may be of several versions."""
    said = {
        f"{one.measured_at:%Y-%m-%d}, {one.cores} cores, Python {one.python}, pacore {one.pacore}"
        f" ({(one.git_revision or 'no revision')[:9]}{', changed' if one.git_dirty else ''})"
        for one in results
    }
    return f'<p class="note">{"<br>".join(map(escape, sorted(said)))}</p>'


def _table(results: Iterable[Result]) -> str:
    """A row for each value; its ratios, where it has several, one below the other."""
    rows: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    for one in results:
        if not one.subject.startswith(PART):
            rows[one.workload, one.subject, one.metric].append(one)
    heads = "".join(f'<th class="{kind}">{name}</th>' for name, kind in COLUMNS)
    lines, before, named = [], "", ""
    for (workload, subject, metric), found in sorted(
        rows.items(), key=lambda row: _place(row[0], rows)
    ):
        last = max(found, key=lambda one: one.measured_at)
        cells = (
            workload if workload != before else "",
            subject if (workload, subject) != (before, named) else "", metric, shown(last.median),
            _range(last.minimum, last.maximum) if last.runs > 1 else "", last.unit,
            "\n".join(_ratio(one) for one in found if one.ratio is not None), str(last.runs),
            f"{last.load_before:.1f}, {last.load_after:.1f}",
        )  # fmt: skip
        drawn = "".join(
            f'<td class="{kind}">{escape(cell).replace(chr(10), "<br>")}</td>'
            for cell, (_, kind) in zip(cells, COLUMNS, strict=True)
        )
        lines.append(f'<tr class="{"first" if workload != before else ""}">{drawn}</tr>')
        before, named = workload, subject
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _parts(results: Iterable[Result]) -> str:
    """What parts of pacore take, a row a part and a column a workload."""
    found = {(one.subject, one.workload): one for one in results if one.subject.startswith(PART)}
    if not found:
        return ""
    unit = f"{next(iter(found.values())).metric}, {next(iter(found.values())).unit}"
    workloads = list(dict.fromkeys(workload for _, workload in found))
    heads = "".join(f'<th class="number">{escape(workload)}</th>' for workload in workloads)
    lines = []
    for part in dict.fromkeys(subject for subject, _ in found):
        values = [found.get((part, workload)) for workload in workloads]
        cells = "".join(
            f'<td class="number">{"" if one is None else shown(one.median)}</td>' for one in values
        )
        lines.append(f"<tr><td>{escape(part.removeprefix(PART))}</td>{cells}</tr>")
    head = f"<thead><tr><th>{escape(unit)}</th>{heads}</tr></thead>"
    return f"<table class='parts'>{head}<tbody>{''.join(lines)}</tbody></table>"


def _place(key: tuple[str, str, str], rows: Iterable[tuple[str, str, str]]) -> tuple[int, int]:
    """Workloads in the order in which they were measured, and their rows so, too."""
    order = list(rows)
    workloads = list(dict.fromkeys(workload for workload, _, _ in order))
    return workloads.index(key[0]), order.index(key)


def _ratio(one: Result) -> str:
    assert one.ratio is not None
    spread = ""
    if one.runs > 1:
        spread = f" ({_range(one.ratio_minimum or 0, one.ratio_maximum or 0)})"
    return f"{shown(one.ratio)}{spread} \u00d7 {one.ratio_to}"


def _range(low: float, high: float) -> str:
    return f"{shown(low)} \u2013 {shown(high)}"


def shown(value: float) -> str:
    """A number with three digits that count, and thousands apart."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/bench/index.html"))
    add_option(parser)
    given = parser.parse_args()
    results = newest(given.results)
    if not results:
        raise SystemExit(f"{given.results}: has no figures; make bench measures them")
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(page(results))
    print(given.output)


if __name__ == "__main__":
    main()
