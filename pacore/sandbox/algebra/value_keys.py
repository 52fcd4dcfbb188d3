"""Keys for values: equal texts for expressions with the same value, by which votes are counted.

A key is a function of the value alone, so equality of keys is an equivalence relation. The key of a
fraction is the fraction, of another constant its first `KEY_DIGITS` digits, of an expression with
symbols its values at sample points. So constants that differ only in later digits have the same key,
though the grader distinguishes them.
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
from pacore.core.grading.rules import form_key, fraction_key
from pacore.sandbox.algebra import enclosure
from pacore.sandbox.algebra.algebra import (
    ENCLOSING_BITS,
    EXACT_BITS,
    EXACT_TERMS,
    SAMPLE_POINTS,
    sample_points,
)
from pacore.sandbox.algebra.enclosure import Assignment, Box, Indeterminate
from pacore.sandbox.algebra.polynomials import Unproven
from pacore.sandbox.algebra.proof import Proof, reduction

KEY_POINTS = 4

KEY_DIGITS = 50

GUESSED_DENOMINATOR = 10_000

GUESSED_BITS = 60

_DRAWS = Draws("key")


def value_key(answer: str) -> str | None:
    r"""The key of an answer's value, equal for all its notations; None where none is found.

    ``\sqrt{12}`` and ``2\sqrt{3}`` have equal keys, ``1, 2`` and ``2, 1``, ``x+1`` and ``1+x``.
    """
    return form_key(read_form(answer), expression_key)


def expression_key(node: Node) -> str | None:
    """The key of an expression's value; None where none is found."""
    if sign := infinity_sign(node):
        return "∞" if sign > 0 else "-∞"
    try:
        key = _expanded_key(node)
        if key is not None:
            return key
        names = free_symbols(node)
        return _function_key(node, names) if names else _constant_key(node)
    except ArithmeticError:
        return None


def _expanded_key(node: Node) -> str | None:
    """The key of a fraction, or of an expression whose expansion is one; else None."""
    value = exact_value(node, EXACT_BITS, EXACT_TERMS)
    if value is not None:
        return fraction_key(value)
    new = reduction()
    try:
        terms = new.expansion.of(new.reduce(node))
    except Unproven:
        return None
    is_constant = terms is not None and set(terms) <= {()}
    return fraction_key(terms.get((), Fraction(0))) if is_constant and terms is not None else None


def _function_key(node: Node, names: set[str]) -> str | None:
    """The keys of its values at sample points on both sides of zero.

    In an expression without an imaginary unit a value that is not real counts as ``unreal``.
    """
    is_complex = "i" in constants(node)
    found = []
    for point in list(sample_points(names, _DRAWS, []))[:: SAMPLE_POINTS // KEY_POINTS]:
        key = _constant_key(_substitute(node, point))
        if key is not None:
            found.append("unreal" if key.endswith("i") and not is_complex else key)
    is_known = any(key != "unreal" for key in found)
    return f"{','.join(sorted(names))}≈{';'.join(found)}" if is_known else None


def _substitute(node: Node, point: Assignment) -> Node:
    if node.kind == "symbol" and str(node.value) in point:
        return whole(point[str(node.value)])
    return node._replace(args=tuple(_substitute(part, point) for part in node.args))


def _constant_key(node: Node) -> str | None:
    """A complex fraction where the constant is proven to equal one, else its first digits."""
    value = exact_value(node, EXACT_BITS, EXACT_TERMS)
    if value is not None:
        return fraction_key(value)
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
            return _complex_key(*map(fraction_key, guess))
        is_guessed = True
        if real is not None and imaginary is not None:
            return _complex_key(real, imaginary)
    return None


def _complex_key(real: str, imaginary: str) -> str:
    return real if imaginary == "0" else f"{real}+{imaginary}i"


def _guess(box: Box) -> tuple[Fraction, Fraction] | None:
    """Fractions with small denominators within a box; None without any."""
    real, imaginary = (
        part.limit_denominator(GUESSED_DENOMINATOR) for part in enclosure.middle(box, GUESSED_BITS)
    )
    guess = enclosure.of_fraction(real) + enclosure.of_fraction(imaginary) * enclosure.IMAGINARY
    return None if box.is_disjoint_from(guess) else (real, imaginary)


def _is_proven(node: Node, guess: tuple[Fraction, Fraction]) -> bool:
    real, imaginary = map(whole, guess)
    difference = add(node, negate(add(real, multiply(imaginary, IMAGINARY))))
    try:
        return Proof(_DRAWS, [{}]).is_zero(difference)
    except Unproven:
        return False


def _digits(interval: Any) -> str | None:
    """The first `KEY_DIGITS` digits of all numbers in an interval; None where they differ."""
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
