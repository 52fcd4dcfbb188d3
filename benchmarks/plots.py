"""Plots of the page of figures: parts of the time, curves over what is in flight, and ratios."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.figure import Figure

from benchmarks.results import Result
from pacore.report.rendering.plots import image

WIDTH_INCHES = 9.0

PART = "part: "

MOST_RATIOS = 40

AXES = {"throughput": "requests in flight", "overhead": "trajectories"}
"""What the workloads of a benchmark differ in."""


def _at(one: Result) -> int:
    """The number that a workload begins with."""
    return int(one.workload.split()[0].replace(",", ""))


def plots_of(benchmark: str, results: Sequence[Result]) -> Iterator[tuple[str, bytes]]:
    """The plots of one benchmark, each with what it shows, as SVG."""
    axis = AXES.get(benchmark, "")
    compared = [one for one in results if axis and not one.subject.startswith(PART)]
    for metric in sorted({one.metric for one in compared} - {"command to exit"}):
        found = [one for one in compared if one.metric == metric]
        if len({_at(one) for one in found}) > 1:
            yield metric, image(_curves(metric, found, axis))
    parts = [one for one in results if one.subject.startswith(PART)]
    if parts:
        yield "parts", image(_stacks(parts))
    ratios = [one for one in results if one.ratio is not None]
    if ratios and not axis:
        yield f"ratios of {benchmark}", image(_ratios(ratios))


def _axes(height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(visible=True, color="0.92")
    axes.set_axisbelow(True)
    return figure, axes


def _curves(metric: str, results: Sequence[Result], axis: str) -> Figure:
    """A metric of each subject over the number that its workloads begin with."""
    figure, axes = _axes(3.6)
    subjects: dict[str, dict[int, Result]] = defaultdict(dict)
    for one in results:
        subjects[one.subject][_at(one)] = one
    for subject, found in subjects.items():
        at = sorted(found)
        medians = [found[number].median for number in at]
        below = [found[number].median - found[number].minimum for number in at]
        above = [found[number].maximum - found[number].median for number in at]
        axes.errorbar(at, medians, (below, above), marker="o", capsize=3, label=subject)
    axes.set_xscale("log", base=2)
    at = sorted({_at(one) for one in results})
    axes.set_yscale("log")
    axes.set_xticks(at, [f"{number:,}" for number in at])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    low, high = axes.get_ylim()
    axes.set_yticks([tick for tick in _TICKS if low <= tick <= high])
    axes.set_xlabel(axis)
    axes.set_ylabel(f"{metric}, {results[0].unit}")
    axes.legend(loc="best")
    return figure


_TICKS = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)]


def _stacks(results: Sequence[Result]) -> Figure:
    """Bars of workloads, of parts one beside the other."""
    workloads = list(dict.fromkeys(one.workload for one in results))
    sums: dict[str, float] = defaultdict(float)
    values: dict[tuple[str, str], float] = {}
    for one in results:
        part = one.subject.removeprefix(PART)
        values[one.workload, part] = one.median
        sums[part] += one.median
    figure, axes = _axes(1.6 + 0.45 * len(workloads))
    left = [0.0] * len(workloads)
    colours = colormaps["tab20"].colors  # type: ignore[attr-defined]
    # By name, so that a part has one colour in all plots.
    numbers = {part: number for number, part in enumerate(sorted(sums))}
    for part in sorted(sums, key=lambda name: -sums[name]):
        widths = [values.get((workload, part), 0.0) for workload in workloads]
        axes.barh(
            workloads, widths, left=left, height=0.65, color=colours[numbers[part] % 20], label=part
        )
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel(f"{results[0].metric}, {results[0].unit}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize="small")
    return figure


def _ratios(results: Sequence[Result]) -> Figure:
    """A point for each ratio with the range of its runs; the largest where there are very many."""
    chosen = sorted(results, key=lambda one: one.ratio or 0.0)[-MOST_RATIOS:]
    chosen = [one for one in results if one in chosen]
    names = [_name(one, results) for one in chosen]
    figure, axes = _axes(1.0 + 0.24 * len(chosen))
    for place, one in enumerate(chosen):
        assert one.ratio is not None and one.ratio_minimum is not None
        assert one.ratio_maximum is not None
        axes.plot([one.ratio_minimum, one.ratio_maximum], [place, place], color="0.6", zorder=1)
        axes.plot(one.ratio, place, "o", color="tab:blue", markersize=5)
    axes.axvline(1.0, color="0.3", linewidth=1)
    axes.set_yticks(range(len(chosen)), names, fontsize="small", parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("ratio")
    return figure


def _name(one: Result, results: Sequence[Result]) -> str:
    """What distinguishes a ratio from the others of its plot."""
    parts = [one.workload] if len({other.workload for other in results}) > 1 else []
    parts += [one.subject]
    parts += [one.metric] if len({other.metric for other in results}) > 1 else []
    return f"{', '.join(parts)} / {one.ratio_to}"
