"""Names for values: equal text for expressions that have the same value, as votes are counted by.

A name is a function of the value alone, so equality of names is an equivalence: of a fraction it is
the fraction, of another constant its first `KEY_DIGITS` digits, of an expression with symbols its
values at points of its own. So what differs only in later digits has one name, though a grader
tells it apart.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from pacore.core.grading.mathematics.exact import exact_value
from pacore.core.grading.mathematics.forms import read_form
from pacore.core.grading.mathematics.grader import infinity_sign
from pacore.core.grading.mathematics.nodes import (
    IMAGINARY,
    Node,
    add,
    constants,
    free_symbols,
    multiply,
    negate,
    whole,
)
from pacore.core.grading.mathematics.residues import Draws
from pacore.core.grading.rules import form_key, fraction_name
from pacore.sandbox.algebra import enclosure
from pacore.sandbox.algebra.algebra import ENCLOSING_BITS, EXACT_BITS, EXACT_TERMS, POINTS, points
from pacore.sandbox.algebra.enclosure import Box, Indeterminate
from pacore.sandbox.algebra.polynomials import Unproven
from pacore.sandbox.algebra.proof import Point, Proof, reduction

KEY_POINTS = 4


KEY_DIGITS = 50


GUESSED_DENOMINATOR = 10_000


GUESSED_BITS = 60

_DRAWS = Draws("key")


def value_key(answer: str) -> str | None:
    r"""A name for what an answer is, the same for every way to write it; None where there is none.

    ``\sqrt{12}`` and ``2\sqrt{3}`` have one, ``1, 2`` and ``2, 1``, ``x+1`` and ``1+x``.
    """
    return form_key(read_form(answer), expression_name)


def expression_name(node: Node) -> str | None:
    """A name for the value of an expression; None where nothing is known of it."""
    if sign := infinity_sign(node):
        return "∞" if sign > 0 else "-∞"
    try:
        named = _constant_of_sum(node)
        if named is not None:
            return named
        names = free_symbols(node)
        return _function_name(node, names) if names else _constant_name(node)
    except ArithmeticError:
        return None


def _constant_of_sum(node: Node) -> str | None:
    """The name of a fraction, written as one or as what multiplies out to one."""
    value = exact_value(node, EXACT_BITS, EXACT_TERMS)
    if value is not None:
        return fraction_name(value)
    terms = reduced = None
    made = reduction()
    try:
        reduced = made.reduce(node)
    except Unproven:
        return None
    terms = made.expand(reduced)
    is_constant = terms is not None and set(terms) <= {()}
    return fraction_name(terms.get((), Fraction(0))) if is_constant and terms is not None else None


def _function_name(node: Node, names: set[str]) -> str | None:
    """The names of its values at points on both sides of zero; "unreal" where only real ones count."""
    is_complex = "i" in constants(node)
    found = []
    for point in list(points(names, _DRAWS, []))[:: POINTS // KEY_POINTS]:
        named = _constant_name(_put_in(node, point))
        if named is not None:
            found.append("unreal" if named.endswith("i") and not is_complex else named)
    is_known = any(named != "unreal" for named in found)
    return f"{','.join(sorted(names))}≈{';'.join(found)}" if is_known else None


def _put_in(node: Node, point: Point) -> Node:
    if node.kind == "symbol" and str(node.value) in point:
        return whole(point[str(node.value)])
    return node._replace(args=tuple(_put_in(part, point) for part in node.args))


def _constant_name(node: Node) -> str | None:
    """A complex fraction where it is proven to be one, else its first digits."""
    value = exact_value(node, EXACT_BITS, EXACT_TERMS)
    if value is not None:
        return fraction_name(value)
    is_guessed = False
    for bits in ENCLOSING_BITS:
        with enclosure.precision(bits):
            try:
                box = enclosure.enclose(node, {}, {})
            except Indeterminate:
                continue
            guess = None if is_guessed else _guess(box)
            real, imaginary = map(_digits, box)
        if guess is not None and _is_proven(node, guess):
            return _complex_name(*map(fraction_name, guess))
        is_guessed = True
        if real is not None and imaginary is not None:
            return _complex_name(real, imaginary)
    return None


def _complex_name(real: str, imaginary: str) -> str:
    return real if imaginary == "0" else f"{real}+{imaginary}i"


def _guess(box: Box) -> tuple[Fraction, Fraction] | None:
    """Fractions of small numbers that a box holds."""
    real, imaginary = (
        part.limit_denominator(GUESSED_DENOMINATOR) for part in enclosure.middle(box, GUESSED_BITS)
    )
    held = enclosure.of_fraction(real) + enclosure.of_fraction(imaginary) * enclosure.IMAGINARY
    return None if box.is_apart_from(held) else (real, imaginary)


def _is_proven(node: Node, guess: tuple[Fraction, Fraction]) -> bool:
    real, imaginary = map(whole, guess)
    difference = add(node, negate(add(real, multiply(imaginary, IMAGINARY))))
    try:
        return Proof(_DRAWS, [{}]).is_zero(difference)
    except Unproven:
        return False


def _digits(interval: Any) -> str | None:
    """The first digits of all numbers in an interval; None where they are not the same."""
    low, high = enclosure.ends(interval)
    if low == high == 0:
        return "0"
    if low <= 0 <= high:
        return None
    size = abs(low)
    places = KEY_DIGITS - len(str(size.numerator // size.denominator))
    if size < 1:
        places += len(str(size.denominator // size.numerator))
    found = {round(end * Fraction(10) ** places) for end in (low, high)}
    return f"{found.pop()}e{-places}" if len(found) == 1 else None
