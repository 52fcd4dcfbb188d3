"""Draw the figures that the paper reports on HMMT 2025: PaCoRe-8B and majority votes, by their cost.

python -m benchmarks.paper_curve docs/paper-hmmt25.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

from pacore.evaluation.strategies.frontier import Point
from pacore.report.rendering.plots import form_of_image, frontier_figure, image

FIGURES = [
    Point("one trajectory", 48_000, 0.754),
    Point("low [4]", 243_000, 0.881),
    Point("medium [16]", 869_000, 0.929),
    Point("high [32, 4]", 1_796_000, 0.945),
    Point("majority of 4", 193_000, 0.823),
    Point("majority of 16", 773_000, 0.859),
    Point("majority of 64", 3_094_000, 0.851),
    Point("majority of 256", 12_376_000, 0.847),
]
"""Accuracy and effective TTC of an answer on HMMT 2025: PaCoRe-8B by preset, and self-consistency and one
trajectory of RLVR-8B (arXiv 2601.05593, main results table and the comparison with self-consistency).
"""

TITLE = "HMMT 2025, as reported in arXiv 2601.05593: PaCoRe-8B, and majority votes of RLVR-8B"


def main(file: str) -> None:
    Path(file).write_bytes(image(frontier_figure(FIGURES, TITLE), form_of_image(file)))


if __name__ == "__main__":
    main(sys.argv[1])
