"""What can be said of an expression without evaluating it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pacore.core.grading.mathematics.nodes import (
    ONE,
    PI,
    Node,
    add,
    constants,
    free_symbols,
    has_sign,
    multiply,
    power,
    raised,
    root,
    whole,
    with_sign,
    written_decimal,
)
from pacore.core.grading.notation.expression import read_expression
from pacore.core.grading.notation.tokens import tokens


def read(text: str) -> Node:
    return read_expression(tokens(text))


SYMBOLS = [
    ("7", ""),
    ("x", "x"),
    ("x+y", "xy"),
    ("2x^2 + x", "x"),
    (r"\sum_{k=1}^{n} k", "n"),
    (r"\sum_{k=1}^{n} kx", "nx"),
    (r"k + \sum_{k=1}^{3} k", "k"),
    (r"\int_0^1 x^2 dx", ""),
    (r"\int_0^a x^2 dx", "a"),
    (r"\pi e i", ""),
    (r"\frac{a}{b} + \sqrt{c}", "abc"),
    (r"\lim_{x \to 0} xy", "y"),
]


@pytest.mark.parametrize(("text", "symbols"), SYMBOLS)
def test_free_symbols_are_those_that_no_sum_or_integral_binds(text: str, symbols: str) -> None:
    assert free_symbols(read(text)) == set(symbols)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("7x", set[str]()),
        (r"2\pi", {"pi"}),
        (r"e^{i\pi}", {"e", "i", "pi"}),
        (r"\frac{1}{\infty}", {"infinity"}),
    ],
)
def test_the_constants_of_an_expression_are_found_at_any_depth(text: str, found: set[str]) -> None:
    assert constants(read(text)) == found


X = Node("symbol", (), "x")


def test_sums_products_and_powers_of_one_part_are_that_part() -> None:
    assert add(X) == multiply(X) == multiply(ONE, X, ONE) == power(X, 1) == root(X, 1) == X
    assert multiply() == multiply(ONE, ONE) == power(X, 0) == ONE
    assert raised(X, Fraction(2, 3)) == power(root(X, 3), 2)
    assert raised(X, Fraction(1)) == X and raised(X, Fraction(-1)) == power(X, -1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5", Fraction(1, 2)),
        ("-0.5", Fraction(-1, 2)),
        ("-(-0.5)", Fraction(1, 2)),
        ("5", None),
        ("1/2", None),
        ("0.5x", None),
    ],
)
def test_a_written_decimal_has_digits_after_its_point(text: str, value: Fraction | None) -> None:
    found = written_decimal(read(text))
    assert (found and found.value) == value


def test_a_plus_minus_sign_is_replaced_at_any_depth_and_minus_plus_is_its_opposite() -> None:
    both = read(r"1 \pm \sqrt{2 \mp x}")
    assert has_sign(both)
    assert with_sign(both, 1) == read(r"1 + \sqrt{2 - x}")
    assert with_sign(both, -1) == read(r"1 - \sqrt{2 + x}")
    for plain in (PI, X, whole(3), read("1 - x")):
        assert not has_sign(plain) and with_sign(plain, 1) == with_sign(plain, -1) == plain
