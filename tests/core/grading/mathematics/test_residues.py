"""Residues: equal expressions agree modulo every prime, different ones of any size do not."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.mathematics.exact import exact_value
from pacore.core.grading.mathematics.nodes import Node, add, divide, multiply, negate, power, whole
from pacore.core.grading.mathematics.residues import (
    ORDER,
    PRIME_BITS,
    Draws,
    NoResidue,
    PrimeField,
    is_prime,
    residue,
)
from pacore.core.grading.notation.expression import read_expression
from pacore.core.grading.notation.tokens import tokens

FIELDS = [PrimeField(Draws("two expressions"), which) for which in range(2)]


def of(text: str) -> int:
    return residue(read_expression(tokens(text)), FIELDS[0], "here", {})


EQUAL = [
    ("2^{1000000}", "4^{500000}"),
    ("(x+1)^2", "x^2 + 2x + 1"),
    ("(x+y)(x-y)", "x^2 - y^2"),
    ("x - x", "0"),
    (r"\frac{x^2-1}{x-1}", "x + 1"),
    ("10!/9!", "10"),
    ("1000!/999!", "1000"),
    ("i^2", "-1"),
    ("i^4", "1"),
    (r"\frac{1}{1+i}", r"\frac{1-i}{2}"),
    ("x^{-1}", "1/x"),
    (r"2\pi - \pi", r"\pi"),
    ("(10^{9})^{10^{9}}", "10^{9 \\cdot 10^{9}}"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_expressions_have_one_residue(one: str, other: str) -> None:
    assert of(one) == of(other)


DIFFERENT = [
    ("2^{1000000}", "2^{1000000}-1"),
    ("(x+1)^{1000}", "(x+1)^{999}"),
    ("x", "y"),
    (r"\pi", r"\frac{22}{7}"),
    ("1000!", "1000! + 1"),
    ("i", "-i"),
    ("x^2", "x"),
    ("10^{10^{10}}", "10^{10^{10}} + 1"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_expressions_have_different_residues_however_large(one: str, other: str) -> None:
    assert of(one) != of(other)


WITHOUT = [
    "1/0",
    r"\frac{1}{x-x}",
    "0^{5}",
    "x^{1/2}",
    "2^{x}",
    "e",
    r"\infty",
    "(x)!",
    "(1/2)!",
    "(-1)!",
    "(10^{9})!",
    "2^{2^{70}}",
    r"\sqrt{x}",
    "|x|",
]


@pytest.mark.parametrize("text", WITHOUT)
def test_roots_symbols_in_exponents_and_divisions_by_zero_have_no_residue(text: str) -> None:
    with pytest.raises(NoResidue):
        of(text)


def test_a_name_in_square_brackets_has_the_residue_of_what_it_means() -> None:
    inner = read_expression(tokens("x + 1"))
    named = Node("symbol", (), "[1]")
    squared = residue(power(named, 2), FIELDS[0], "here", {"[1]": inner})
    assert squared == residue(power(inner, 2), FIELDS[0], "here", {})
    with pytest.raises(NoResidue):
        residue(power(named, 2), FIELDS[0], "here", {"[1]": read_expression(tokens("x^{2^{70}}"))})


def test_roots_of_unity_multiply_to_whole_turns() -> None:
    for field in FIELDS:
        for order in (2, 3, 4, 5, 8, 24):
            turn = Node("unity", (), Fraction(1, order))
            assert residue(power(turn, order), field, "", {}) == 1
            assert all(residue(power(turn, part), field, "", {}) != 1 for part in range(1, order))
        with pytest.raises(NoResidue):
            residue(Node("unity", (), Fraction(1, 29)), field, "", {})


def test_a_field_follows_from_its_seed_and_its_place_alone() -> None:
    again = PrimeField(Draws("two expressions"), 0)
    assert (again.prime, again.root) == (FIELDS[0].prime, FIELDS[0].root)
    others = {PrimeField(Draws(seed), which).prime for seed in "ab" for which in (0, 1)}
    assert len(others | {FIELDS[0].prime, FIELDS[1].prime}) == 6
    for field in FIELDS:
        assert field.prime % ORDER == 1 and field.prime.bit_length() > PRIME_BITS
        assert is_prime(field.prime)


@given(st.text(max_size=8), st.text(max_size=8), st.integers(1, 600))
def test_a_draw_is_below_its_bits_and_depends_on_seed_and_name(
    seed: str, name: str, bits: int
) -> None:
    drawn = Draws(seed).number(name, bits)
    assert 0 <= drawn < 2**bits and drawn == Draws(seed).number(name, bits)
    assert Draws(seed).number(name + "'", 256) != Draws(seed).number(name, 256)


def test_primes_are_those_of_trial_division() -> None:
    for value in range(-3, 3000):
        divides = [part for part in range(2, int(max(value, 0) ** 0.5) + 1) if value % part == 0]
        assert is_prime(value) == (value > 1 and not divides)


@pytest.mark.parametrize(
    "composite",
    [
        561,
        41041,
        3215031751,
        3825123056546413051,
        (2**61 - 1) * (2**31 - 1),
        (2**127 - 1) ** 2,
        1373653 * 1373653,
    ],
)
def test_numbers_made_to_look_prime_are_found_out(composite: int) -> None:
    """Carmichael numbers, and strong pseudoprimes to several bases."""
    assert not is_prime(composite)


@pytest.mark.parametrize("prime", [2**31 - 1, 2**61 - 1, 2**127 - 1, 2**521 - 1])
def test_mersenne_s_primes_are_prime(prime: int) -> None:
    assert is_prime(prime)


fractions = st.fractions(-9, 9, max_denominator=9).map(whole)


def combined(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.one_of(
        st.builds(add, parts, parts),
        st.builds(multiply, parts, parts),
        st.builds(divide, parts, parts),
        st.builds(negate, parts),
        st.builds(power, parts, st.integers(-3, 3)),
    )


@given(st.recursive(fractions, combined, max_leaves=10))
def test_the_residue_of_a_fraction_is_its_numerator_by_its_denominator(node: Node) -> None:
    try:
        value = exact_value(node)
        found = residue(node, FIELDS[0], "", {})
    except ArithmeticError:
        return
    assert value is not None
    prime = FIELDS[0].prime
    assert found == value.numerator * pow(value.denominator, -1, prime) % prime
