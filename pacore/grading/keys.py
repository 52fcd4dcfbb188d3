"""Answer keys: equal text for answers that are the same, which is what votes are counted by.

Equality of keys is an equivalence, which a grader's verdict is not: it lets 10% stand for 10 and for
0.1. So a key keeps what only a gold answer can decide: units, percent signs and "x =".
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from pacore.answer import choice_letter
from pacore.grader import GraderSpec
from pacore.grading import number
from pacore.grading.exact import Undefined, exact_value
from pacore.grading.forms import Form, read_form
from pacore.grading.mathematics import MAX_CHARACTERS, infinity_sign
from pacore.grading.nodes import Node, whole
from pacore.grading.notation import words
from pacore.grading.units import Unit
from pacore.identity import sha256_hex

KEY_CHARACTERS = 200
"""A longer key is replaced by its digest."""
WRITTEN_BITS = 3_000
"""A number of more bits is named by the digest of its hexadecimal digits."""

Name = Callable[[Node], str | None]
"""Names the value of an expression, equal where it is the same; None where it has no name."""


class PlainKey(NamedTuple):
    """The key of an answer by rules; ``is_all``: whether computer algebra has no more to say of it."""

    text: str
    is_all: bool = True


def plain_key(spec: GraderSpec, answer: str) -> PlainKey:
    """The key of an answer as far as rules go, without computer algebra.

    A choice's is its letter, a text's its `words`, a program's its digest, a number's the reduced
    fraction. Mathematics that is no plain number is left to computer algebra.
    """
    if spec.name == "code":
        return PlainKey(f"sha256:{sha256_hex(answer.rstrip().encode('utf-8', 'surrogatepass'))}")
    text, is_all = _key(spec, answer)
    return PlainKey(short(text), is_all)


def _key(spec: GraderSpec, answer: str) -> PlainKey:
    if spec.name == "choice" and (letter := choice_letter(answer)):
        return PlainKey(letter)
    if spec.name not in ("math", "numeric"):
        return PlainKey(words(answer, "case" in spec.options))
    if len(answer) > MAX_CHARACTERS:
        return PlainKey(number.integer_digits(answer.strip()) or answer.strip())
    form = read_form(answer)
    named = form_key(form, exact_name)
    if named is not None:
        return PlainKey(named)
    return PlainKey(form.text, spec.name != "math" or form.kind in ("text", "time", "based"))


def exact_name(node: Node) -> str | None:
    """The name of a value that is a fraction, small enough to be written out, or infinite."""
    if sign := infinity_sign(node):
        return "∞" if sign > 0 else "-∞"
    try:
        value = exact_value(node)
    except Undefined:
        return None
    return None if value is None else fraction_name(value)


def fraction_name(value: Fraction) -> str:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) <= WRITTEN_BITS:
        return str(value)
    return f"sha256:{sha256_hex(f'{value.numerator:x}/{value.denominator:x}'.encode())}"


def form_key(form: Form, name: Name) -> str | None:
    r"""A name for what an answer is, the same for every way to write it; None where there is none.

    ``\sqrt{12}`` and ``2\sqrt{3}`` have one, ``1, 2`` and ``2, 1``, ``x+1`` and ``1+x``. It keeps what
    only a gold answer can decide: units, percent signs, and ``x =``.
    """
    if form.kind == "text" or form.why:
        return f"text {form.text}"
    if form.kind == "value":
        return _value_key(form, name)
    if form.kind in ("time", "based") and form.node is not None:
        return f"{form.kind} {exact_name(form.node)} {form.symbol}".rstrip()
    if form.kind in ("ratio", "relation"):
        return None
    parts = [form_key(part, name) for part in form.parts]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if form.kind == "equation":
        return "=".join([form.symbol, *known[1:]] if form.symbol else known)
    if form.kind == "list":
        return f"{{{', '.join(sorted(known))}}}"
    return f"{form.kind} {form.symbol} {form.ends[:1]}{', '.join(known)}{form.ends[1:]}"


def _value_key(form: Form, name: Name) -> str | None:
    if form.node is None:
        return None
    unit = form.unit or Unit(())
    node = form.node if unit.scale == 1 else Node("multiply", (form.node, whole(unit.scale)))
    named = name(node)
    return f"{named} {unit.name}".rstrip() if named is not None else None


def short(text: str) -> str:
    """A key, or the digest of one that is longer than `KEY_CHARACTERS`."""
    return (
        text
        if len(text) <= KEY_CHARACTERS
        else f"sha256:{sha256_hex(text.encode('utf-8', 'surrogatepass'))}"
    )
