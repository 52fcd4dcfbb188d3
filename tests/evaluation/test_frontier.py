"""The frontier of accuracy and cost, and its picture."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.evaluation.strategies.frontier import Point, frontier
from pacore.report.rendering.plots import frontier_figure, image, together

POINTS = [
    Point("single", 180, 0.10, 0.02, 0.20),
    Point("sc-4", 720, 0.16, 0.05, 0.30),
    Point("dearer and worse", 1300, 0.12),
    Point("low", 1100, 0.20, 0.08, 0.35),
    Point("as dear as low", 1100, 0.15),
    Point("nobody knows", None, None),
]


def test_on_the_frontier_is_what_nothing_beats() -> None:
    assert [point.name for point in frontier(POINTS)] == ["single", "sc-4", "low"]


def test_of_equals_one_stands_for_all_and_nothing_known_is_no_frontier() -> None:
    assert frontier([Point("b", 10, 0.5), Point("a", 10, 0.5)]) == [Point("a", 10, 0.5)]
    assert frontier([Point("none", None, 0.5), Point("free", 0, 0.5)]) == []


known = st.builds(
    Point,
    st.text(min_size=1, max_size=3),
    st.floats(1, 1e7),
    st.floats(0, 1),
)


@given(st.lists(known, max_size=12))
def test_every_point_is_beaten_or_equalled_by_one_of_the_frontier(points: list[Point]) -> None:
    best = frontier(points)
    for one in points:
        assert any(
            (b.tokens or 0) <= (one.tokens or 0) and (b.accuracy or 0) >= (one.accuracy or 0)
            for b in best
        )
    costs = [point.tokens or 0.0 for point in best]
    assert costs == sorted(costs)
    assert len({(point.tokens, point.accuracy) for point in best}) == len(best)


def test_the_picture_names_every_arm_that_has_a_place() -> None:
    picture = image(frontier_figure(POINTS, "a title"))
    root = ElementTree.fromstring(picture)
    assert root.tag.endswith("svg")
    comments = picture.decode()
    for point in POINTS:
        assert (f"<!-- {point.name} -->" in comments) == point.is_known


@pytest.mark.parametrize("name", ["$x$ costs $5", "<script>", "a&b", "\\frac{1}{2}"])
def test_a_name_is_text_whatever_it_looks_like(name: str) -> None:
    picture = image(frontier_figure([Point(name, 10, 0.5)], name))
    ElementTree.fromstring(picture)
    assert b"<script" not in picture


@pytest.mark.slow
def test_equal_points_give_equal_bytes_and_both_forms_are_what_they_say() -> None:
    assert image(frontier_figure(POINTS, "t")) == image(frontier_figure(POINTS, "t"))
    assert image(frontier_figure(POINTS, "t"), "png").startswith(b"\x89PNG")
    assert image(frontier_figure([], "nothing")).startswith(b"<?xml")


def test_points_that_lie_together_are_named_together() -> None:
    points = [
        Point("low", 966.0, 0.0, 0.0, 0.12),
        Point("verbatim", 966.2, 0.001, 0.0, 0.12),
        Point("answers", 970.0, 0.1, 0.02, 0.2),
        Point("single", 196.0, 0.01, 0.0, 0.05),
        Point("nothing", None, None),
    ]
    groups = [[point.name for point in group] for group in together(points)]
    assert groups == [["single"], ["low", "verbatim"], ["answers"]]
    assert together([]) == []
