"""Figures: the frontier of accuracy against cost, curves over k, values with their intervals, rounds of a
run, and counts.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from pacore.errors import BadInput
from pacore.evaluation.strategies.frontier import Point, frontier

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Figure  # noqa: PLC0414 - so that others import it from here

    from pacore.evaluation.statistics.bootstrap import Estimate

WIDTH_INCHES, HEIGHT_INCHES, DOTS_AN_INCH = 8.0, 5.0, 144


NEAR = 0.04
"""Share of the picture within which two names would be written over each other."""


ACCURACY = "accuracy, % (bars: range for new problems of this kind, 95 %)"
"""The label of an axis with such bars."""

Form = Literal["svg", "png", "pdf"]

FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value in [0, 1] under a name, with its 95 % interval where that is known."""

    name: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Values in [0, 1] at whole numbers, each with its 95 % interval where that is known."""

    name: str
    at: Sequence[int]
    values: Sequence[Estimate]


@dataclass(frozen=True, slots=True)
class Dots:
    """A panel of values in [0, 1] with their intervals, one for each round; None for one that has none."""

    label: str
    values: Sequence[Interval | None]


@dataclass(frozen=True, slots=True)
class Stacks:
    """A panel of bars, one for each round, of parts one upon the other: the values of each by its name."""

    label: str
    parts: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Bar:
    """A count under a name; what it counts is ``better``, ``worse`` or neither."""

    name: str
    count: int
    kind: Literal["better", "worse", "other"] = "other"


def image(figure: Figure, form: str = "svg") -> bytes:
    """A figure as ``svg``, ``png`` or ``pdf``: equal figures give equal bytes."""
    from matplotlib import rc_context

    target = io.BytesIO()
    if form == "png":
        figure.savefig(target, format="png", dpi=DOTS_AN_INCH, metadata={"Software": None})
        return target.getvalue()
    nameless: dict[str, str | None] = {"Creator": None}
    nameless |= {"Date": None} if form == "svg" else {"CreationDate": None, "Producer": None}
    # Names of what an SVG refers to within itself are drawn by chance unless they are salted.
    with rc_context({"svg.hashsalt": "pacore"}):
        figure.savefig(target, format=form, metadata=nameless)
    return target.getvalue()


def form_of_image(file: str) -> str:
    """The form that a file's ending stands for. Raises BadInput for any other."""
    ending = file.rpartition(".")[2].lower()
    if ending not in FORMS:
        raise BadInput(
            f"--figure {file}: ends in none of {', '.join(f'.{form}' for form in FORMS)}"
        )
    return ending


def _figure(title: str) -> tuple[Figure, Axes]:
    """An empty figure with its only axes. matplotlib takes a second to import, which commands that draw
    nothing need not wait for.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(visible=True, color="0.92")
    axes.set_axisbelow(True)
    # Dollars in a name would begin mathematics.
    axes.set_title(title, parse_math=False)
    return figure, axes


STACK_COLOURS = ("tab:blue", "tab:orange", "0.75", "tab:red")
"""Of the parts of a bar, in their order."""


def rounds_figure(names: Sequence[str], panels: Sequence[Dots | Stacks], title: str) -> Figure:
    """Panels one below the other over the rounds of a run, which have these names."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    figure = Figure(figsize=(WIDTH_INCHES, 3.2 * len(panels)), layout="constrained")
    figure.suptitle(title, parse_math=False)
    for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
        axes.grid(visible=True, axis="y", color="0.92")
        axes.set_axisbelow(True)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_xticks(range(len(names)), names, parse_math=False)
        axes.set_ylabel(panel.label)
        if isinstance(panel, Dots):
            _dots(axes, panel)
        else:
            _stacks(axes, panel)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tokens(value)))
    return figure


def _dots(axes: Axes, panel: Dots) -> None:
    axes.set_ylim(-5, 105)
    for place, row in enumerate(panel.values):
        if row is None:
            continue
        value = 100 * row.value
        if row.low is not None and row.high is not None:
            bars = _reach(value, row.low, row.high)
            axes.errorbar(place, value, yerr=bars, color="0.6", capsize=3, linewidth=1, zorder=2)
        axes.plot(place, value, "o", markersize=7, color="tab:blue", zorder=3)
        axes.annotate(
            f"{value:.1f} %",
            (place, value),
            xytext=(8, -3),
            textcoords="offset points",
            fontsize=9,
        )


def _stacks(axes: Axes, panel: Stacks) -> None:
    shown = {name: values for name, values in panel.parts.items() if any(values)}
    colours = dict(zip(panel.parts, STACK_COLOURS, strict=False))
    below = [0.0] * max(map(len, panel.parts.values()), default=0)
    for name, values in shown.items():
        places = range(len(values))
        axes.bar(places, values, 0.5, bottom=below, label=name, color=colours[name])
        below = [low + value for low, value in zip(below, values, strict=True)]
    axes.set_ylim(0, 1.12 * max(below, default=0.0) or 1.0)
    if shown:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


BAR_COLOURS = {"better": "tab:green", "worse": "tab:red", "other": "0.6"}


def bar_figure(rows: Sequence[Bar], title: str, label: str) -> Figure:
    """Counts as bars, one below the other in the order given, each with its number."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(title)
    colours = [BAR_COLOURS[row.kind] for row in rows]
    bars = axes.barh(range(len(rows)), [row.count for row in rows], 0.6, color=colours)
    axes.bar_label(bars, [f"{row.count:,}" for row in rows], padding=4)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, max([1.1 * row.count for row in rows], default=0) or 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(label)
    return figure


def interval_figure(rows: Sequence[Interval], title: str, label: str) -> Figure:
    """Values one below the other in the order given, each with its interval, in per cent."""
    figure, axes = _figure(title)
    for place, row in enumerate(rows):
        value = 100 * row.value
        if row.low is not None and row.high is not None:
            bars = _reach(value, row.low, row.high)
            axes.errorbar(value, place, xerr=bars, color="0.6", capsize=3, linewidth=1, zorder=2)
        axes.plot(value, place, "o", markersize=7, color="tab:blue", zorder=3)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(label)
    return figure


def curve_figure(curves: Sequence[Curve], title: str, labels: tuple[str, str]) -> Figure:
    """Curves over whole numbers, each with the band of its intervals, in per cent; ``labels`` are those of
    both axes.
    """
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure, axes = _figure(title)
    for curve in curves:
        values = [100 * one.value for one in curve.values]
        (line,) = axes.plot(curve.at, values, "o-", markersize=5, label=curve.name)
        known = [
            (at, 100 * one.low, 100 * one.high)
            for at, one in zip(curve.at, curve.values, strict=True)
            if one.low is not None and one.high is not None
        ]
        if known:
            at, low, high = zip(*known, strict=True)
            axes.fill_between(at, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    if curves:
        axes.legend(frameon=False)
    return figure


def frontier_figure(points: Sequence[Point], title: str) -> Figure:
    """Accuracy against cost, a point for each arm, and a line through those that no other dominates."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, axes = _figure(title)
    best = frontier(points)
    if best:
        axes.step(
            [point.tokens or 0.0 for point in best],
            [100 * (point.accuracy or 0.0) for point in best],
            where="post",
            color="0.6",
            linewidth=1.5,
            zorder=1,
        )
    names = {point.name for point in best}
    for point in points:
        if point.is_known:
            _place(axes, point, point.name in names)
    for group in together(points):
        _name(axes, group)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tokens(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.15, y=0.12)
    axes.set_xlabel("tokens generated for one answer, all rounds (effective TTC)")
    has_bars = any(point.low is not None for point in points)
    axes.set_ylabel(ACCURACY if has_bars else "accuracy, %")
    return figure


def _reach(value: float, low: float, high: float) -> list[list[float]]:
    """How far an interval in [0, 1] reaches below and above a value in per cent, as matplotlib takes it."""
    return [[max(value - 100 * low, 0.0)], [max(100 * high - value, 0.0)]]


def _place(axes: Axes, point: Point, is_best: bool) -> None:
    """One point with its interval and its name."""
    x, y = point.tokens or 0.0, 100 * (point.accuracy or 0.0)
    if point.low is not None and point.high is not None:
        bars = _reach(y, point.low, point.high)
        axes.errorbar(x, y, yerr=bars, color="0.75", capsize=3, linewidth=1, zorder=2)
    filled = "tab:blue" if is_best else "white"
    axes.plot(x, y, "o", markersize=7, markerfacecolor=filled, color="tab:blue", zorder=3)


def _name(axes: Axes, group: Sequence[Point]) -> None:
    """The names of points that are close to each other, next to the first of them."""
    first = group[0]
    axes.annotate(
        ", ".join(point.name for point in group),
        (first.tokens or 0.0, 100 * (first.accuracy or 0.0)),
        xytext=(6, 6),
        textcoords="offset points",
        fontsize=9,
        parse_math=False,
    )


def together(points: Sequence[Point]) -> list[list[Point]]:
    """The points by where they lie: those a name's height from the first of a group belong to it."""
    known = [point for point in points if point.is_known]
    across = _spread([math.log(point.tokens or 1.0) for point in known])
    heights = [value for p in known for value in (p.accuracy, p.low, p.high) if value is not None]
    upwards = _spread(heights)
    groups: list[list[Point]] = []
    for point in sorted(known, key=lambda p: (p.tokens or 0.0, p.name)):
        for group in groups:
            aside = math.log((point.tokens or 1.0) / (group[0].tokens or 1.0)) / across
            above = abs((point.accuracy or 0.0) - (group[0].accuracy or 0.0)) / upwards
            if max(aside, above) < NEAR:
                group.append(point)
                break
        else:
            groups.append([point])
    return groups


def _spread(values: Sequence[float]) -> float:
    return max(max(values, default=0.0) - min(values, default=0.0), 1e-9)


def _tokens(value: float) -> str:
    """``1500`` as 1.5k, ``2000000`` as 2M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
