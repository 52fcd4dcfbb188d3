"""Enclosures contain the value they are of, at any precision, and refuse what has no one value."""

from __future__ import annotations

import cmath
import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pacore.core.grading.mathematics.exact import Undefined, exact_value
from pacore.core.grading.mathematics.nodes import Node, add, divide, multiply, negate, power, whole
from pacore.core.grading.notation.expression import read_expression
from pacore.core.grading.notation.tokens import tokens
from pacore.sandbox.algebra.enclosure import (
    Box,
    Indeterminate,
    Unenclosable,
    enclose,
    enclose_unity,
    ends,
    middle,
    of_fraction,
    precision,
    rounded,
)


def box_of(text: str, **point: Fraction) -> Box:
    return enclose(read_expression(tokens(text)), point, {})


def contains(box: Box, value: complex, slack: float = 1e-12) -> bool:
    """Whether a box has a number that floats cannot tell from the value, and is as narrow as they are."""
    for part, wanted in zip(box, (value.real, value.imag), strict=True):
        low, high = (float(end) for end in ends(part))
        size = slack * max(1.0, abs(wanted))
        if not (low - size <= wanted <= high + size and high - low <= size):
            return False
    return True


VALUES: list[tuple[str, complex]] = [
    ("2", 2),
    ("-7/3", -7 / 3),
    (r"\pi", math.pi),
    ("e", math.e),
    ("i", 1j),
    (r"\sqrt{2}", math.sqrt(2)),
    (r"\sqrt[3]{2}", 2 ** (1 / 3)),
    (r"\sqrt[3]{-2}", -(2 ** (1 / 3))),
    (r"\sqrt{-2}", 1j * math.sqrt(2)),
    (r"\sqrt[4]{-1}", cmath.exp(1j * math.pi / 4)),
    (r"2^{\pi}", 2**math.pi),
    ("e^{2}", math.e**2),
    (r"e^{i\pi/3}", cmath.exp(1j * math.pi / 3)),
    (r"\ln 2", math.log(2)),
    (r"\ln(-2)", cmath.log(-2)),
    (r"\ln(1+i)", cmath.log(1 + 1j)),
    (r"\log_2 10", math.log2(10)),
    (r"\log_{10} 2", math.log10(2)),
    (r"\exp(-3)", math.exp(-3)),
    (r"\sin 1", math.sin(1)),
    (r"\cos 1", math.cos(1)),
    (r"\tan 1", math.tan(1)),
    (r"\cot 1", 1 / math.tan(1)),
    (r"\sec 1", 1 / math.cos(1)),
    (r"\csc 1", 1 / math.sin(1)),
    (r"\sin(1+i)", cmath.sin(1 + 1j)),
    (r"\cos(1+i)", cmath.cos(1 + 1j)),
    (r"\tan(i)", cmath.tan(1j)),
    (r"\sinh 1", math.sinh(1)),
    (r"\cosh 1", math.cosh(1)),
    (r"\tanh 1", math.tanh(1)),
    (r"\coth 1", 1 / math.tanh(1)),
    (r"\arctan 2", math.atan(2)),
    (r"\arctan(-2)", math.atan(-2)),
    (r"\arcsin(1/2)", math.asin(0.5)),
    (r"\arccos(-1/2)", math.acos(-0.5)),
    (r"\arcsin 1", math.asin(1)),
    (r"\operatorname{arccot} 2", math.pi / 2 - math.atan(2)),
    (r"\operatorname{cis}(1)", cmath.exp(1j)),
    (r"90^\circ", math.pi / 2),
    (r"\sin 30^\circ", 0.5),
    (r"|3-5|", 2),
    ("|3+4i|", 5),
    (r"|-\pi|", math.pi),
    (r"\lfloor \pi \rfloor", 3),
    (r"\lceil -\pi \rceil", -3),
    ("(1+i)^{8}", 16),
    ("(1+i)^{-2}", -0.5j),
    (r"\frac{1+i}{1-i}", 1j),
    (r"\sum_{k=1}^{4} \sqrt{k}", sum(math.sqrt(k) for k in range(1, 5))),
    (r"\prod_{k=1}^{4} \sqrt{k}", math.sqrt(24)),
    (r"10^{50} + \pi - 10^{50}", math.pi),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_a_box_contains_the_value_of_its_expression(text: str, value: complex) -> None:
    with precision(300):
        assert contains(box_of(text), value)


@pytest.mark.parametrize("text", [text for text, _ in VALUES])
def test_more_bits_give_a_box_within_the_one_before(text: str) -> None:
    boxes = []
    for bits in (220, 400):
        with precision(bits):
            boxes.append([ends(part) for part in box_of(text)])
    for (low, high), (closer_low, closer_high) in zip(*boxes, strict=True):
        assert low <= closer_low <= closer_high <= high


WITHOUT_A_BOX = [
    (r"\frac{1}{\pi-\pi}", Indeterminate),
    (r"\ln(\pi-\pi)", Indeterminate),
    (r"\sqrt{\pi-\pi}", Indeterminate),
    (r"\arcsin(2)", Indeterminate),
    (r"\lfloor \pi - \pi \rfloor", Indeterminate),
    ("x", Unenclosable),
    (r"\infty", Unenclosable),
    (r"(-2)^{1/3}", Unenclosable),
    (r"\sqrt[1001]{2}", Unenclosable),
    (r"\sqrt[\pi]{2}", Unenclosable),
    (r"\pi^{2^{65}}", Unenclosable),
    (r"e^{2^{65}}", Unenclosable),
    (r"(\pi+i)^{2000}", Unenclosable),
    (r"\arctan(i)", Unenclosable),
    (r"\lfloor i \rfloor", Unenclosable),
    (r"\sum_{k=1}^{1001} \sqrt{k}", Unenclosable),
    (r"\sum_{k=1}^{n} \sqrt{k}", Unenclosable),
    (r"\sin(2^{2401}\pi)", Unenclosable),
    ("(1/2)!", Unenclosable),
    (r"0^{\pi}", Undefined),
]


@pytest.mark.parametrize(("text", "kind"), WITHOUT_A_BOX)
def test_what_has_no_box_is_refused(text: str, kind: type[ArithmeticError]) -> None:
    """Indeterminate where more bits may help, Unenclosable where none do."""
    with precision(100), pytest.raises(kind):
        box_of(text)


@given(st.fractions(-50, 50, max_denominator=30), st.fractions(-50, 50, max_denominator=30))
def test_boxes_of_fractions_follow_their_arithmetic(one: Fraction, other: Fraction) -> None:
    with precision(80):
        a, b = of_fraction(one), of_fraction(other)
        for box, value in ((a + b, one + other), (a - b, one - other), (a * b, one * other)):
            low, high = ends(box.re)
            assert low <= value <= high and box.is_real
        assert a.is_disjoint_from(b) == (one != other)
        assert a.may_be_zero == (one == 0)
        if other:
            low, high = ends((a * b.inverse()).re)
            assert low <= one / other <= high
        else:
            with pytest.raises(Indeterminate):
                b.inverse()


@given(st.fractions(-9, 9, max_denominator=9), st.integers(-6, 6))
def test_a_power_of_a_box_contains_the_power(base: Fraction, exponent: int) -> None:
    assume(base or exponent >= 0)
    with precision(120):
        low, high = ends(of_fraction(base).power(exponent).re)
        assert low <= base**exponent <= high


@given(st.fractions(0, 1, max_denominator=40))
def test_roots_of_unity_lie_on_the_circle_at_their_angle(turn: Fraction) -> None:
    with precision(100):
        box = enclose_unity(turn)
        assert contains(box, cmath.exp(2j * math.pi * turn))
        low, high = ends(box.absolute().re)
        assert low <= 1 <= high


@given(st.fractions(-50, 50, max_denominator=30))
def test_a_box_of_a_fraction_is_rounded_as_the_fraction_is(value: Fraction) -> None:
    with precision(100):
        if value.denominator == 1 or (value.denominator & (value.denominator - 1)) == 0:
            assert rounded("floor", of_fraction(value)) == math.floor(value)
        assert rounded("ceiling", of_fraction(value + Fraction(1, 10**6))) == math.floor(value) + 1
        assert middle(of_fraction(value), 60) == (value, Fraction(0))


leaves = st.one_of(
    st.fractions(-9, 9, max_denominator=9).map(whole),
    st.sampled_from(
        [Node("constant", (), "pi"), Node("constant", (), "e"), Node("constant", (), "i")]
    ),
)


def combined(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.one_of(
        st.builds(add, parts, parts),
        st.builds(multiply, parts, parts),
        st.builds(divide, parts, parts),
        st.builds(negate, parts),
        st.builds(power, parts, st.integers(-2, 3)),
    )


def floating(node: Node) -> complex:
    """The value by Python's complex numbers."""
    if node.kind == "constant":
        return {"pi": math.pi, "e": math.e, "i": 1j}[str(node.value)]
    value = exact_value(node)
    if value is not None:
        return complex(value)
    parts = [floating(part) for part in node.args[: 1 if node.kind == "power" else None]]
    if node.kind == "power":
        exponent = exact_value(node.args[1])
        assert exponent is not None
        return complex(parts[0] ** exponent.numerator)
    if node.kind == "divide":
        return parts[0] / parts[1]
    if node.kind == "negate":
        return -parts[0]
    return sum(parts) if node.kind == "add" else math.prod(parts)


@given(st.recursive(leaves, combined, max_leaves=8))
def test_any_tree_has_a_box_around_the_value_of_floats_or_none(node: Node) -> None:
    try:
        expected = floating(node)
        with precision(500):
            box = enclose(node, {}, {})
    except (ArithmeticError, ValueError):
        return
    assume(abs(expected) < 1e6)
    low_real, high_real = ends(box.re)
    low_imaginary, high_imaginary = ends(box.im)
    assert low_real - Fraction(1, 10**4) <= expected.real <= high_real + Fraction(1, 10**4)
    assert (
        low_imaginary - Fraction(1, 10**4) <= expected.imag <= high_imaginary + Fraction(1, 10**4)
    )


def test_symbols_have_the_values_of_a_point_and_names_their_meaning() -> None:
    node = read_expression(tokens("x^2 + y"))
    with precision(60):
        meaning = {"y": read_expression(tokens(r"\sqrt{4}"))}
        box = enclose(node, {"x": Fraction(3)}, meaning)
    assert ends(box.re) == (Fraction(11), Fraction(11))
