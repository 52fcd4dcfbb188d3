"""The frontier: accuracy against what it costs, which arms nothing beats, and its picture."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pacore.evaluation.sweep import Point, frontier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES, HEIGHT_INCHES, DOTS_AN_INCH = 8.0, 5.0, 144


NEAR = 0.04
"""Share of the picture within which two names would be written over each other."""


def draw(points: Sequence[Point], title: str, form: str = "svg") -> bytes:
    """The picture of a frontier as ``svg`` or ``png``: equal points give equal bytes."""
    # matplotlib takes a second to import, which commands that draw nothing need not wait for.
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
    axes = figure.add_subplot()
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
    axes.grid(visible=True, color="0.92")
    axes.set_axisbelow(True)
    axes.set_xlabel("effective TTC, tokens an answer")
    axes.set_ylabel("accuracy, % (95 % interval over problems)")
    # Dollars in a name would begin mathematics.
    axes.set_title(title, parse_math=False)
    target = io.BytesIO()
    if form == "png":
        FigureCanvasAgg(figure)
        figure.savefig(target, format="png", dpi=DOTS_AN_INCH, metadata={"Software": None})
    else:
        FigureCanvasSVG(figure)
        # Names of what an SVG refers to within itself are drawn by chance unless they are salted.
        with rc_context({"svg.hashsalt": "pacore"}):
            figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()


def _place(axes: Axes, point: Point, is_best: bool) -> None:
    """One point with its interval and its name."""
    x, y = point.tokens or 0.0, 100 * (point.accuracy or 0.0)
    if point.low is not None and point.high is not None:
        below, above = y - 100 * point.low, 100 * point.high - y
        bars = [[max(below, 0.0)], [max(above, 0.0)]]
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
