r"""Computer algebra: whether two expressions have the same value, and a name for the value of one.

math-verify reads LaTeX. What it read is compared by value and not by its `verify`, which rounds, takes
the last side of an equation for all of it, and simplifies for seconds what differs in the first digit:
constants to 30 digits, expressions with symbols at points where two that agree are the same (Schwartz
1980, Zippel 1979). Runs only where it can be killed: reading ``10^{10^{10}}`` may already take for ever.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from math_verify import parse
from sympy import Expr, Float, Rational, Symbol

from pacore.errors import PacoreError
from pacore.grading import number
from pacore.grading.comparing import Same
from pacore.grading.forms import Form, read_form
from pacore.grading.mathematics import BASE, EXACT, FUNCTIONS, is_for_algebra
from pacore.grading.notation import clean, key, split_unit, split_units

DIGITS = 30
AGREED_DIGITS = 20
POINTS = 3
KEY_DIGITS = 12


class UnreadableGold(PacoreError):
    """A gold answer that is no mathematics to the reader; no answer can be held against it."""


class SymbolicAlgebra:
    """Decides everything: what `EXACT` leaves open, by value."""

    def same_expression(self, gold: str, answer: str) -> Same:
        """Raises UnreadableGold."""
        exact = EXACT.same_expression(gold, answer)
        if exact is not None:
            return exact
        one, other = _without_units(gold.strip(), answer.strip())
        first, second = _read(one), _read(other)
        if first is None:
            raise UnreadableGold(one)
        if second is None:
            return False
        return _same(first, second) or _is_rounding(one, second) or _is_rounding(other, first)

    def same_equation(self, gold: tuple[str, str], answer: tuple[str, str]) -> Same:
        """Whether the differences of their sides are the same up to a factor that is no variable."""
        exact = EXACT.same_equation(gold, answer)
        if exact is not None:
            return exact
        if not all(map(is_for_algebra, (*gold, *answer))):
            return False
        sides = [_read(side) for side in (*gold, *answer)]
        if sides[0] is None or sides[1] is None:
            raise UnreadableGold(" = ".join(gold))
        if sides[2] is None or sides[3] is None:
            return False
        first, second = sides[0] - sides[1], sides[2] - sides[3]
        if not first.free_symbols or _names(first) != _names(second):
            return False
        values = list(zip(_values(first), _values(second), strict=True))
        known = [(a, b) for a, b in values if a is not None and b is not None]
        if len(known) < 2 or not all(abs(a) > 0 < abs(b) for a, b in known):
            return False
        (a, b), *others = known
        return all(_near(a * d, b * c) for c, d in others)


def _without_units(gold: str, answer: str) -> tuple[str, str]:
    """Both without their units; but degrees beside a multiple of pi are an angle in radians."""
    first, second = split_units(gold, answer)
    if (first.unit == "degree" and "\\pi" in answer) or (
        second.unit == "degree" and "\\pi" in gold
    ):
        return gold, answer
    return first.body, second.body


_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s?\^\s?\{?\s?\\circ\s?\}?")
_PRODUCT = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{2,3}(?![A-Za-z])")


_NAME = re.compile(r"(\\[A-Za-z]+)|([A-Za-z])(?:_\s?(\w|\{[^{}]*\}))?")


def _keep_case(found: re.Match[str]) -> str:
    """A symbol as the reader keeps it apart from that of the other case: it reads all in lower case."""
    command, letter, index = found[1], found[2], found[3] or ""
    if command or not any(character.isupper() for character in letter + index):
        return found[0]
    inner = re.sub("[A-Z]", lambda upper: f"zq{upper[0].lower()}", index.strip("{}"))
    return f"{letter.lower()}_{{{'zq' if letter.isupper() else ''}{inner}}}"


def _read(text: str) -> Any:
    """The expression a text writes; None where it is none."""
    text = _DEGREES.sub(r"(\\frac{\1 \\pi}{180})", text)
    text = _PRODUCT.sub(lambda f: f[0] if f[0].lower() in FUNCTIONS else " ".join(f[0]), text)
    text = _NAME.sub(_keep_case, text)
    found = parse(f"\\boxed{{{text}}}", parsing_timeout=None)
    read = next((reading for reading in found if not isinstance(reading, str)), None)
    return read if isinstance(read, Expr) else None


def _names(expression: Any) -> list[str]:
    return sorted(symbol.name for symbol in expression.free_symbols)


def _same(first: Any, second: Any) -> bool:
    if first == second:
        return True
    if isinstance(first, Rational) and isinstance(second, Rational):
        return False
    pairs = list(zip(_values(first), _values(second), strict=False))
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return bool(known) and all(_near(a, b) for a, b in known)


def _is_rounding(written: str, expression: Any) -> bool:
    decimal = number.rational(written)
    if decimal is None or decimal.percent or expression.free_symbols:
        return False
    (value,) = _values(expression)
    if value is None or not value.is_real:
        return False
    exact = Rational(value)
    return number.rounds_to(Fraction(int(exact.p), int(exact.q)), decimal)


def _values(expression: Any) -> list[Any]:
    """The value of a constant, or those at the points of its symbols; None where there is none."""
    if not expression.free_symbols:
        return [_value(expression, {})]
    return [_value(expression, point) for point in _points(expression.free_symbols)]


def _points(symbols: Any) -> Iterator[dict[Symbol, Any]]:
    """Where expressions are compared: each symbol's coordinates follow from its name alone."""
    for which in range(POINTS):
        yield {symbol: _coordinate(symbol.name, which) for symbol in symbols}


def _coordinate(name: str, which: int) -> Any:
    """Between 0.5 and 1.5, then between 2 and 3, then below -0.5: no root of anything anybody writes."""
    drawn = int.from_bytes(hashlib.sha256(f"{which} {name}".encode()).digest()[:4], "big")
    share = Rational(drawn % 1_000_003, 1_000_003)
    return (Rational(1, 2) + share, 2 + share, -Rational(1, 2) - share)[which]


def _value(expression: Any, point: Mapping[Symbol, Any]) -> Any:
    found = expression.evalf(DIGITS, subs=dict(point)) if point else expression.evalf(DIGITS)
    real, imaginary = found.as_real_imag()
    if not all(isinstance(part, Float | Rational) and part.is_finite for part in (real, imaginary)):
        return None
    return found


def _near(one: Any, other: Any) -> bool:
    size = max(abs(one), abs(other))
    return size == 0 or bool(abs(one - other) <= size * Rational(1, 10**AGREED_DIGITS))


def value_key(answer: str) -> str | None:
    r"""A name for what an answer is, the same for every way to write it; None where there is none.

    ``\sqrt{12}`` and ``2\sqrt{3}`` have one, ``1, 2`` and ``2, 1``, ``x+1`` and ``1+x``. It keeps what
    only a gold answer can decide: units, percent signs, and ``x =``.
    """
    return _form_key(read_form(clean(answer)))


def _form_key(form: Form) -> str | None:
    if form.kind == "one":
        return _expression_key(form.text)
    if form.kind == "equation":
        side = _expression_key(form.sides[1])
        return None if side is None else f"{key(form.sides[0])}={side}"
    if form.kind in ("matrix", "ratio"):
        return None
    parts = [_form_key(part) for part in form.parts]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if form.kind == "list":
        return f"{{{', '.join(sorted(known))}}}"
    return f"{form.symbol} {form.ends[0]}{', '.join(known)}{form.ends[1]}".strip()


def _expression_key(text: str) -> str | None:
    if "\\infty" in text:
        return key(text).removeprefix("+")
    body, unit = split_unit(text)
    plain = number.rational(body)
    if plain is not None:
        named = f"{plain.value}%" if plain.percent else str(plain.value)
    elif BASE.search(text) or not is_for_algebra(text) or (read := _read(body)) is None:
        return None
    elif read.is_rational and isinstance(read := read.doit(), Rational):
        named = str(read)
    else:
        values = [_named(value) for value in _values(read) if value is not None]
        if not values:
            return None
        named = f"{','.join(_names(read))}≈{';'.join(values)}"
    return f"{named} {unit}" if unit else named


def _named(value: Any) -> str:
    """A value to so many digits that two ways to come by it end in the same ones."""
    real, imaginary = (Float(part, DIGITS) for part in value.as_real_imag())
    size = max(abs(real), abs(imaginary))
    parts = [
        "0" if abs(part) < size * Rational(1, 10**AGREED_DIGITS) else str(Float(part, KEY_DIGITS))
        for part in (real, imaginary)
    ]
    return parts[0] if parts[1] == "0" else f"{parts[0]}+{parts[1]}i"
