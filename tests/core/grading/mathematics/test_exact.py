"""Exact values: every operation on fractions, within bounds of size, and nothing that is no fraction."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.mathematics.exact import (
    QUICK_BITS,
    QUICK_TERMS,
    Undefined,
    exact_value,
    integer_root,
)
from pacore.core.grading.mathematics.nodes import Node, add, divide, multiply, negate, whole
from pacore.core.grading.notation.expression import read_expression
from pacore.core.grading.notation.tokens import tokens


def value(text: str, most_bits: int = QUICK_BITS, most_terms: int = QUICK_TERMS) -> Fraction | None:
    return exact_value(read_expression(tokens(text)), most_bits, most_terms)


VALUES = [
    ("7", 7),
    ("-7", -7),
    ("1+2", 3),
    ("1-2", -1),
    (r"2 \cdot 3", 6),
    ("2(3+4)", 14),
    ("7/2", Fraction(7, 2)),
    (r"\frac{1}{3}+\frac{1}{6}", Fraction(1, 2)),
    ("2^{10}", 1024),
    ("2^{-2}", Fraction(1, 4)),
    ("(-1)^{3}", -1),
    ("(-2)^{2}", 4),
    ("-2^{2}", -4),
    ("0^{5}", 0),
    (r"4^{1/2}", 2),
    (r"8^{2/3}", 4),
    (r"8^{-1/3}", Fraction(1, 2)),
    (r"\sqrt{9}", 3),
    (r"\sqrt{\frac{4}{9}}", Fraction(2, 3)),
    (r"\sqrt[3]{-8}", -2),
    (r"\sqrt[3]{27}", 3),
    (r"\sqrt{0}", 0),
    ("5!", 120),
    ("0!", 1),
    (r"\binom{5}{2}", 10),
    (r"\binom{5}{0}", 1),
    (r"\binom{2}{5}", 0),
    (r"17 \bmod 5", 2),
    (r"(-1) \bmod 5", 4),
    (r"-1 \bmod 5", -1),
    ("|-3|", 3),
    (r"\lfloor 2.7 \rfloor", 2),
    (r"\lfloor -2.7 \rfloor", -3),
    (r"\lceil 2.1 \rceil", 3),
    (r"\lceil -2.1 \rceil", -2),
    (r"\max(1, 5, 3)", 5),
    (r"\min(1, 5, 3)", 1),
    (r"\gcd(12, 18)", 6),
    (r"\sum_{k=1}^{10} k", 55),
    (r"\sum_{k=1}^{3} k^2", 14),
    (r"\prod_{k=1}^{5} k", 120),
    (r"\sum_{k=5}^{4} k", 0),
    (r"\prod_{k=5}^{4} k", 1),
    (r"\sum_{i=1}^{3} \sum_{j=1}^{i} j", 10),
    ("1^{10^{100}}", 1),
    ("(-1)^{10^{100}+1}", -1),
    ("0.125", Fraction(1, 8)),
]


@pytest.mark.parametrize(("text", "expected"), VALUES)
def test_an_expression_of_fractions_has_its_exact_value(
    text: str, expected: int | Fraction
) -> None:
    assert value(text) == expected


NO_FRACTIONS = [
    "x",
    r"\pi",
    "e",
    "i",
    r"\sqrt{2}",
    r"\sqrt{-4}",
    r"2^{1/2}",
    "(-8)^{1/3}",
    r"\sin(1)",
    r"(1/2)!",
    "(-1)!",
    r"\binom{1/2}{1}",
    r"\binom{-1}{1}",
    r"\gcd(1/2, 3)",
    r"\sum_{k=1}^{n} k",
    r"\sum_{k=1}^{1/2} k",
    r"\sum_{k=1}^{3} x",
    "x - x",
    r"0 \cdot x",
    r"\log 8",
    r"\infty",
]


@pytest.mark.parametrize("text", NO_FRACTIONS)
def test_what_is_no_fraction_has_no_exact_value(text: str) -> None:
    assert value(text) is None


@pytest.mark.parametrize(
    "text", ["1/0", r"\frac{1}{2-2}", "0^{0}", "0^{-1}", r"5 \bmod 0", r"\sum_{k=0}^{2} 1/k"]
)
def test_what_has_no_value_is_undefined(text: str) -> None:
    with pytest.raises(Undefined):
        value(text)


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("2^{99}", 100),
        ("2^{-99}", 100),
        ("20!", 62),
        (r"2^{60} \cdot 2^{39}", 100),
        (r"\prod_{k=1}^{20} k", 62),
    ],
)
def test_a_value_has_at_most_so_many_bits_above_and_below(text: str, bits: int) -> None:
    """One bit fewer, and there is none; powers are given up before they are computed."""
    assert value(text, most_bits=2 * bits) is not None
    assert value(text, most_bits=bits - 1) is None


@pytest.mark.parametrize(
    "text", ["9^{9^{9}}", "(10^{9})!", r"\binom{10^{9}}{5 \cdot 10^{8}}", r"\sum_{k=1}^{10^{12}} k"]
)
def test_what_is_too_large_is_given_up_before_it_is_computed(text: str) -> None:
    assert value(text) is None


def test_terms_of_nested_sums_are_counted_together() -> None:
    nested = r"\sum_{i=1}^{5} \sum_{j=1}^{5} 1"
    assert value(nested, most_terms=30) == 25
    assert value(nested, most_terms=29) is None


def test_symbols_have_the_values_of_a_point_but_an_index_has_its_own() -> None:
    node = read_expression(tokens(r"x + \sum_{x=1}^{3} x"))
    assert exact_value(node, point={"x": Fraction(1, 2)}) == Fraction(13, 2)
    assert exact_value(node, point={"y": Fraction(1, 2)}) is None


leaves = st.fractions(-9, 9, max_denominator=9).map(lambda fraction: (whole(fraction), fraction))
Pair = tuple[Node, Fraction | None]


def combined(parts: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """Pairs of an expression and its value by Python's own arithmetic; None: divided by zero."""

    def both(kind: str, one: Pair, other: Pair) -> Pair:
        (a, x), (b, y) = one, other
        nodes = {"add": add(a, b), "multiply": Node("multiply", (a, b)), "divide": divide(a, b)}
        node = nodes.get(kind, negate(a))
        if x is None or (kind != "negate" and y is None):
            return node, None
        if kind == "negate":
            return node, -x
        assert y is not None
        if kind == "divide":
            return node, x / y if y else None
        return node, x + y if kind == "add" else x * y

    kinds = st.sampled_from(["add", "multiply", "divide", "negate"])
    return st.builds(both, kinds, parts, parts)


@given(st.recursive(leaves, combined, max_leaves=12))
def test_any_tree_of_the_four_operations_has_the_value_of_python_s_fractions(pair: Pair) -> None:
    node, expected = pair
    if expected is None:
        with pytest.raises(Undefined):
            exact_value(node)
    else:
        assert exact_value(node) == expected


@given(st.integers(0, 10**40), st.integers(2, 9))
def test_the_root_of_a_power_is_its_base_and_its_neighbours_have_none(
    base: int, degree: int
) -> None:
    assert integer_root(base**degree, degree) == base
    if base > 1:
        assert integer_root(base**degree + 1, degree) is None
        assert integer_root(base**degree - 1, degree) is None


@given(st.integers(0, 10**6), st.integers(2, 30))
def test_a_number_has_an_integer_root_exactly_where_one_of_the_integers_is_it(
    number: int, degree: int
) -> None:
    near = round(number ** (1 / degree))
    found = [root for root in (near - 1, near, near + 1) if root >= 0 and root**degree == number]
    assert integer_root(number, degree) == (found[0] if found else None)


@given(st.integers(0, 60), st.integers(0, 60))
def test_binomials_and_factorials_are_those_of_python(of: int, choose: int) -> None:
    assert exact_value(Node("binomial", (whole(of), whole(choose)))) == math.comb(of, choose)
    assert exact_value(Node("factorial", (whole(of),))) == math.factorial(of)


@given(st.fractions(-50, 50, max_denominator=20))
def test_floor_and_ceiling_enclose_a_value(of: Fraction) -> None:
    floor, ceiling = (exact_value(Node(kind, (whole(of),))) for kind in ("floor", "ceiling"))
    assert floor is not None and ceiling is not None
    assert floor <= of <= ceiling and ceiling - floor == (of.denominator != 1)


@given(st.lists(st.fractions(-9, 9, max_denominator=9), min_size=1, max_size=6), st.randoms())
def test_the_order_of_terms_and_factors_changes_no_value(
    values: list[Fraction], order: object
) -> None:
    shuffled = list(values)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    for join in (add, multiply):
        assert exact_value(join(*map(whole, values))) == exact_value(join(*map(whole, shuffled)))
