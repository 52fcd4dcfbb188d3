"""Keys by which votes are counted: one for all notations of a value, and different ones for others."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.sandbox.algebra.value_keys import value_key

CLASSES = [
    [
        "1/2",
        "0.5",
        r"\frac{1}{2}",
        r"\frac{2}{4}",
        "2^{-1}",
        r"\frac{\pi}{2\pi}",
        r"\sin 30^\circ",
    ],
    ["12", "12.0", "1.2 x 10^1", "twelve", r"\sqrt{144}", "4!/2", "|{-12}|"],
    [r"\sqrt{12}", r"2\sqrt{3}", r"\frac{6}{\sqrt{3}}"],
    [r"\pi", r"\frac{2\pi}{2}"],
    ["x+1", "1+x", r"\frac{x^2-1}{x-1}"],
    ["y+1", "1+y"],
    ["x^2", r"x \cdot x", "|x|^2"],
    ["|x|", r"\sqrt{x^2}"],
    ["i", r"\sqrt{-1}", r"e^{i\pi/2}"],
    ["3+4i", "4i+3", "(2+i)^2"],
    ["1, 2", "2, 1", "1 or 2", r"\{2, 1\}"],
    ["(1, 2)", "(2/2, 2)"],
    ["(2, 1)"],
    ["x = 5", "5 = x"],
    ["5", "10/2"],
    ["50%"],
    [r"180^\circ", "180 degrees"],
    ["no solution", r"\emptyset"],
    [r"\infty", "infinity"],
    [r"-\infty"],
    [r"\frac{22}{7}"],
    ["x > 3", "3 < x"],
    [r"x \ge 3"],
    ["0", "0.0", "-0", r"\pi - \pi", r"\sqrt{2} - \sqrt{2}"],
]


@pytest.mark.parametrize("notations", CLASSES, ids=lambda notations: str(notations[0]))
def test_all_notations_of_a_value_have_one_key(notations: list[str]) -> None:
    keys = {value_key(text) for text in notations}
    assert len(keys) == 1 and None not in keys, {text: value_key(text) for text in notations}


def test_different_values_have_different_keys() -> None:
    keys = [(notations[0], value_key(notations[0])) for notations in CLASSES]
    same = [(one, other) for (one, a), (other, b) in combinations(keys, 2) if a == b]
    assert same == []


@given(st.fractions(-1000, 1000, max_denominator=500))
def test_a_fraction_has_the_key_of_its_value(value: Fraction) -> None:
    over, under = value.numerator, value.denominator
    key = value_key(f"{over}/{under}")
    assert key is not None
    assert value_key(rf"\frac{{{3 * over}}}{{{3 * under}}}") == key
    assert value_key(f"{over}/{under} + 1") == value_key(f"{over + under}/{under}") != key


@pytest.mark.parametrize("text", [r"\frac{1}{0}", r"0^{0}"])
def test_what_has_no_value_has_no_key_of_a_number(text: str) -> None:
    assert value_key(text) is None
