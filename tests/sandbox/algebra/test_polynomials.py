"""Expansions: equal sums and products of generators have one key, and large ones none."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.mathematics.exact import exact_value
from pacore.core.grading.mathematics.nodes import IMAGINARY, ONE, Node, add, multiply, whole
from pacore.core.grading.notation.expression import read_expression
from pacore.core.grading.notation.tokens import tokens
from pacore.sandbox.algebra.polynomials import (
    Expansion,
    factors,
    from_polynomial,
    is_real_positive,
    split_unity,
    total,
    unity,
)


def key(text: str) -> str:
    return Expansion({}).key(read_expression(tokens(text)))


SAME = [
    ("(x+1)^2", "x^2 + 2x + 1"),
    ("(x+y)(x-y)", "x^2 - y^2"),
    ("x - x", "0"),
    (r"\sqrt{12}", r"2\sqrt{3}"),
    (r"\sqrt{2}\sqrt{3}", r"\sqrt{6}"),
    (r"\sqrt{8}", r"2\sqrt{2}"),
    (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
    (r"\sqrt[3]{16}", r"2\sqrt[3]{2}"),
    ("i^2", "-1"),
    ("i^3", "-i"),
    ("(1+i)^2", "2i"),
    ("(1+i)(1-i)", "2"),
    (r"\frac{x^3}{x}", "x^2"),
    (r"\pi \cdot \pi", r"\pi^2"),
    (r"\sqrt{\pi}\sqrt{\pi}", r"\pi"),
    ("2^{1/2}", r"\sqrt{2}"),
    (r"\sqrt{\frac{3}{4}}", r"\frac{\sqrt{3}}{2}"),
    ("x(y+z)", "xz + xy"),
    ("-(x-y)", "y-x"),
    ("|x+1|", "|1+x|"),
    (r"\sqrt{x+1}", r"\sqrt{1+x}"),
    (r"\sqrt{x+1}\sqrt{x+1}", r"\sqrt{1+x}^2"),
    ("(x+1)^{40}", "(1+x)^{40}"),
    ("(x+1)^{1000}", "(1+x)^{1000}"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_expansions_have_one_key(one: str, other: str) -> None:
    assert key(one) == key(other)


DIFFERENT = [
    ("x", "y"),
    ("x", "2x"),
    ("x", "x^2"),
    (r"\sqrt{2}", r"\sqrt{3}"),
    ("i", "-i"),
    (r"\pi", "3"),
    ("|x|", "x"),
    (r"\sqrt{x^2}", "x"),
    ("(x+1)^{1000}", "(x+1)^{999}"),
    ("(x+y)^{30}(x-z)^{30}", "(x+y)^{30}(x-z)^{29}"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_expansions_have_other_keys(one: str, other: str) -> None:
    assert key(one) != key(other)


@pytest.mark.parametrize(
    "text", ["(a+b+c+d+f+g)^{12}", "(x+1)(y+1)(z+1)(a+1)(b+1)(c+1)(d+1)(f+1)(g+1)", "3^{1601}x"]
)
def test_what_has_too_many_terms_has_no_expansion(text: str) -> None:
    expansion = Expansion({})
    node = read_expression(tokens(text))
    found = expansion.of(node)
    assert found is None or len(found) <= 400
    assert expansion.key(node) == Expansion({}).key(node)


def test_an_expression_that_cannot_be_multiplied_out_becomes_a_generator_with_its_meaning() -> None:
    meanings: dict[str, Node] = {}
    node = read_expression(tokens("|x+1| + |x+1|"))
    terms = Expansion(meanings).of(node)
    ((name, meaning),) = meanings.items()
    assert terms == {((name, Fraction(1)),): Fraction(2)}
    assert meaning == read_expression(tokens("|x+1|"))


@given(st.integers(1, 10**7))
def test_factors_multiply_to_the_number_and_are_prime(number: int) -> None:
    found = factors(number)
    assert math.prod(prime**power for prime, power in found.items()) == number
    for prime in found:
        assert prime > 1 and all(prime % part for part in range(2, math.isqrt(prime) + 1))


@given(st.fractions(-3, 3, max_denominator=12), st.fractions(-3, 3, max_denominator=12))
def test_roots_of_unity_multiply_by_adding_turns(one: Fraction, other: Fraction) -> None:
    both = Expansion({}).of(multiply(unity(one), unity(other)))
    assert both == Expansion({}).of(unity(one + other))


def test_quarters_of_a_turn_are_plain_numbers() -> None:
    assert unity(Fraction(0)) == unity(Fraction(5)) == ONE
    assert unity(Fraction(1, 2)) == whole(-1)
    assert unity(Fraction(1, 4)) == unity(Fraction(-3, 4)) == IMAGINARY


@pytest.mark.parametrize(
    ("name", "is_positive"),
    [
        ("pi", True),
        ("#2", True),
        ("exp:x", True),
        ("exp:~x", False),
        ("x", False),
        ("[absolute x]", False),
        ("~", False),
    ],
)
def test_only_generators_that_are_positive_for_all_symbols_are_positive(
    name: str, is_positive: bool
) -> None:
    assert is_real_positive(name) == is_positive


def test_the_root_of_unity_of_a_monomial_is_split_off() -> None:
    quarter, half = Fraction(1, 4), Fraction(1, 2)
    assert split_unity((("x", half), ("~", quarter))) == (quarter, (("x", half),))
    assert split_unity((("x", half),)) == (Fraction(0), (("x", half),))


monomials = st.lists(
    st.tuples(st.sampled_from("xyz"), st.integers(1, 3)), max_size=3, unique_by=lambda p: p[0]
)
polynomials = st.lists(st.tuples(monomials, st.integers(-5, 5)), max_size=5)
Terms = list[tuple[list[tuple[str, int]], int]]


def node_of(terms: Terms) -> Node:
    def one(names: list[tuple[str, int]], factor: int) -> Node:
        powers = [Node("power", (Node("symbol", (), n), whole(e))) for n, e in names]
        return multiply(whole(factor), *powers)

    return add(whole(0), *(one(*term) for term in terms))


@given(polynomials, polynomials)
def test_an_expansion_has_the_value_of_its_expression_at_a_point(one: Terms, other: Terms) -> None:
    point = {"x": Fraction(2, 3), "y": Fraction(-5), "z": Fraction(7, 2)}
    product = multiply(node_of(one), node_of(other))
    terms = Expansion({}).of(product)
    assert terms is not None
    assert exact_value(from_polynomial(terms), point=point) == exact_value(product, point=point)


@given(polynomials, polynomials)
def test_sums_of_expansions_are_expansions_of_sums(one: Terms, other: Terms) -> None:
    first, second = (Expansion({}).of(node_of(terms)) for terms in (one, other))
    assert first is not None and second is not None
    assert total(first, second) == Expansion({}).of(add(node_of(one), node_of(other)))
    assert total(first, {m: -q for m, q in first.items()}) == {}
