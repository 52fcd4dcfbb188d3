r"""The form of an answer: points, sets, intervals, equations, ratios, and the values in them.

A text is taken apart at its top until its parts are values, each an expression with its unit; a
part that is not understood whole is of form ``text`` and equal to nothing but the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pacore.core.grading.mathematics import number
from pacore.core.grading.mathematics.exact import Undefined, exact_value
from pacore.core.grading.mathematics.inequalities import Range, ordered_terms, ranges
from pacore.core.grading.mathematics.nodes import IMAGINARY, E, Node, whole
from pacore.core.grading.mathematics.units import Unit
from pacore.core.grading.mathematics.values import read_compound, read_value, read_with_letter
from pacore.core.grading.notation.expression import read_expression
from pacore.core.grading.notation.grammar import Unread
from pacore.core.grading.notation.splitting import Tokens, closes_last, depths, split_top, trimmed
from pacore.core.grading.notation.tokens import Token, is_word, plain_text, tokens
from pacore.core.grading.notation.vocabulary import (
    ANNOUNCING,
    COPULAS,
    FUNCTIONS_BY_NAME,
    NOTHING,
    QUANTITIES,
    REALS,
    names,
    noun,
)

Kind = Literal[
    "value", "list", "ordered", "matrix", "ratio", "time", "equation", "relation", "based",
    "approximation", "text",
]  # fmt: skip

MAX_PARTS = 64
"""Longer lists are compared as text alone."""


MAX_NESTING = 40


class Form(NamedTuple):
    """One answer taken apart. ``text`` is all of it as tokens say it, and is equal for equal texts.

    A ``value`` has a ``node`` and a ``unit``, and ``letter`` where its last symbol could be a unit.
    A list or an ordered one has ``parts``, and ``ends``, its brackets, or ``{}`` of a set;
    ``symbol`` is what an inequality was about. Of an ``equation`` the parts are its sides and
    ``symbol`` names the left one where that is a name; of a ``relation`` they go from the least on,
    and ``ends`` are its signs. The parts of a ``matrix`` are its rows. A ``time``
    counts minutes in its ``node``; a ``based`` number has its base as ``symbol``; of an
    ``approximation`` the parts are a value and a decimal for it. ``why`` says what
    was not understood of a ``text``, and of a value that its letters may be a word.
    """

    kind: Kind
    text: str
    node: Node | None = None
    unit: Unit | None = None
    letter: Form | None = None
    parts: tuple[Form, ...] = ()
    ends: str = ""
    symbol: str = ""
    why: str = ""


_MATRICES = names("pmatrix bmatrix Bmatrix matrix array smallmatrix")


_OPENING, _CLOSING = ("(", "[", "\\{"), (")", "]", "\\}")


def read_form(text: str) -> Form:
    """Take a text apart. Never fails: what is not understood is a form of its own."""
    found = _without_double_brackets(tokens(text))
    if max(depths(found), default=0) > MAX_NESTING:
        return _text(found, f"more than {MAX_NESTING} brackets within each other")
    try:
        return _read(found)
    except RecursionError:
        return _text(found, "too many parts within each other")


def _without_double_brackets(found: Tokens) -> Tokens:
    while len(found) > 4 and found[0].text == found[1].text == "(":
        if not (closes_last(found) and closes_last(found[1:-1])):
            break
        found = found[1:-1]
    return found


def _text(found: Tokens, why: object) -> Form:
    return Form("text", plain_text(found), why=str(why))


def _read(found: Tokens) -> Form:
    found = _with_round_brackets(trimmed(found))
    if not found:
        return Form("text", "", why="nothing")
    readers = (
        _nothing, _member, _matrix, _compound, _several, _relation, _bracketed, _time, _ratio, _equation,
        _based, _approximation,
    )  # fmt: skip
    form = next((form for reader in readers if (form := reader(found)) is not None), None)
    return form or _value(found)


def _with_round_brackets(found: Tokens) -> Tokens:
    r"""``]0, 1[`` as ``(0, 1)``."""
    ends = (found[0].text, found[-1].text) if len(found) > 3 else ("", "")
    if ends not in (("]", "["), ("]", "]"), ("[", "[")):
        return found
    opening = Token("open", "(") if ends[0] == "]" else found[0]
    closing = Token("close", ")") if ends[1] == "[" else found[-1]
    turned = [opening, *found[1:-1], closing]
    return turned if closes_last(turned) else found


def _nothing(found: Tokens) -> Form | None:
    said = plain_text(found)
    if said in NOTHING:
        return Form("list", said, ends="{}")
    if said in REALS:
        return _interval(said, Range(""))
    return None


def _member(found: Tokens) -> Form | None:
    r"""``x \in A``, and ``\{x : …\}``, as what is said of the symbol."""
    if len(found) > 2 and found[0].kind == "sym" and found[1].text == "\\in":
        form = _read(found[2:])
        is_set = form.kind == "ordered" or (
            form.kind == "list" and (form.ends or len(form.parts) > 1)
        )
        return form._replace(text=plain_text(found)) if is_set else None
    if found[0].text != "\\{" or not closes_last(found):
        return None
    inner = found[1:-1]
    parts = split_top(inner, lambda token: token.text in (":", "|"))
    if len(parts) != 2 or not parts[0] or parts[0][0].kind != "sym":
        return None
    name = parts[0]
    if len(name) > 1 and plain_text(name[1:]) != "\\in \\mathbb R":
        return None
    form = _read(parts[1])
    is_of_it = form.kind in ("list", "ordered") and all(
        part.symbol == name[0].text for part in (form.parts if form.kind == "list" else [form])
    )
    return form if is_of_it else None


def _matrix(found: Tokens) -> Form | None:
    """A matrix, in brackets of its own or not, or a number times one."""
    if found[0].text in ("(", "[") and closes_last(found):
        return _matrix(found[1:-1]) if found[1].text == "\\begin" else None
    start = next((p for p, token in enumerate(found) if token.text == "\\begin"), None)
    if start is None or len(found) < start + 8 or found[-4].text != "\\end":
        return None
    body = found[start + 4 : -4]
    if found[start + 2].text not in _MATRICES:
        return None
    if found[start + 2].text == "array" and body and body[0].text == "{":
        body = body[next(p for p, token in enumerate(body) if token.text == "}") + 1 :]
    rows = tuple(map(_row, filter(None, split_top(body, lambda token: token.text == "\\\\"))))
    if start:
        try:
            factor = read_expression(found[: start - (found[start - 1].text == "*")])
        except Unread as unread:
            return _text(found, unread)
        rows = tuple(_times(row, factor) for row in rows)
    return Form("matrix", plain_text(found), parts=rows)


def _row(line: Tokens) -> Form:
    cells = split_top(line, lambda token: token.text == "&")
    return Form("ordered", plain_text(line), parts=tuple(map(_read, cells)))


def _times(row: Form, factor: Node) -> Form:
    """A row of a matrix times a number; its texts are no other row's."""
    cells = (
        cell if cell.node is None else cell._replace(node=Node("multiply", (factor, cell.node)))
        for cell in row.parts
    )
    return row._replace(
        text=f"{factor} {row.text}",
        parts=tuple(cell._replace(text=f"{factor} {cell.text}") for cell in cells),
    )


def _compound(found: Tokens) -> Form | None:
    """``1 hour 30 minutes`` and ``5 feet and 3 inches`` as one value."""
    if sum(token.kind == "num" for token in found) < 2:
        return None
    value = read_compound(found)
    return None if value is None else Form("value", plain_text(found), value.node, value.unit)


def _several(found: Tokens) -> Form | None:
    parts = split_top(found, lambda token: token.kind == "join")
    is_union = any(token.text == "cup" for token in found)
    if len(parts) == 1:
        parts = split_top(found, lambda token: token.text in (",", ";", "\\quad"))
    if len(parts) == 1:
        return None
    if not all(parts):
        return _text(found, "a list with nothing in one of its places")
    forms: list[Form] = []
    for part in parts:
        form = _read(part)
        forms += form.parts if form.kind == "list" and not form.ends else [form]
    if is_union and not all(form.kind == "ordered" or form.ends for form in forms):
        return _text(found, "a union of what is no set")
    if any(token.text == "and" for token in found) and any(
        form.symbol and form.ends for form in forms
    ):
        return _both(found, forms)
    return Form("list", plain_text(found), parts=tuple(forms))


def _both(found: Tokens, forms: Sequence[Form]) -> Form:
    """``x > 1 and x < 5`` as the interval between."""
    halves = {(form.symbol, plain_text([*_INFINITY]) == form.parts[1].text): form
              for form in forms if form.kind == "ordered"}  # fmt: skip
    symbol = forms[0].symbol
    above, below = halves.get((symbol, True)), halves.get((symbol, False))
    if len(forms) == 2 and above is not None and below is not None and _is_half(above, below):
        ends = above.ends[0] + below.ends[1]
        parts = (above.parts[0], below.parts[1])
        return Form("ordered", plain_text(found), parts=parts, ends=ends, symbol=symbol)
    return _text(found, "inequalities that are all to hold")


def _is_half(above: Form, below: Form) -> bool:
    """Whether one is of all numbers above a bound, the other of all below a greater one."""
    low, high = above.parts[0].node, below.parts[1].node
    if below.parts[0].text != plain_text(_MINUS_INFINITY) or low is None or high is None:
        return False
    try:
        least, greatest = exact_value(low), exact_value(high)
    except Undefined:
        return False
    return least is not None and greatest is not None and least < greatest


def _relation(found: Tokens) -> Form | None:
    """An inequality as the intervals it leaves."""
    try:
        left = ranges(found)
    except Unread as unread:
        return _inequality(found) or _text(found, unread)
    if left is None:
        return None
    parts = tuple(_interval(f"{plain_text(found)} {place}", one) for place, one in enumerate(left))
    return parts[0] if len(parts) == 1 else Form("list", plain_text(found), parts=parts)


def _inequality(found: Tokens) -> Form | None:
    """Values of which each is less than the next, or two that differ; None of anything else."""
    ordered = ordered_terms(found)
    if ordered is None:
        return None
    terms, signs = ordered
    parts = tuple(map(_read, terms))
    if not all(part.kind == "value" and part.unit is None for part in parts):
        return None
    return Form("relation", plain_text(found), parts=parts, ends=" ".join(signs))


_MINUS_INFINITY = (Token("op", "-"), Token("sym", "\\infty"))


_INFINITY = (Token("sym", "\\infty"),)


def _interval(said: str, of: Range) -> Form:
    ends = "(["[of.has_low] + ")]"[of.has_high]
    parts = (_read(of.low or _MINUS_INFINITY), _read(of.high or _INFINITY))
    return Form("ordered", said, parts=parts, ends=ends, symbol=of.symbol)


def _bracketed(found: Tokens) -> Form | None:
    first, last = found[0].text, found[-1].text
    if first == "<" and last == ">" and found[0].kind == "open":
        first, last = "(", ")"
    if not (first in _OPENING and last in _CLOSING and closes_last(found)):
        return None
    inner = found[1:-1]
    pieces = split_top(inner, lambda token: token.text in (",", ";"))
    if first == "\\{" and last == "\\}":
        return _set(found, inner)
    if len(pieces) > 1 and all(pieces):
        parts = tuple(_read(piece) for piece in pieces)
        return Form("ordered", plain_text(found), parts=parts, ends=first + last)
    if first == "(" and last == ")" and len(pieces) == 1:
        return _read(inner)
    return _text(found, f"brackets {first} {last} around one value")


def _set(found: Tokens, inner: Tokens) -> Form:
    form = _several(inner) or _read(inner)
    if form.kind == "text":
        return _text(found, form.why)
    parts = form.parts if form.kind == "list" and not form.ends else (form,)
    once = {part.text: part for part in parts}
    return Form("list", plain_text(found), parts=tuple(once.values()), ends="{}")


def _time(found: Tokens) -> Form | None:
    """``4:30 p.m.`` and ``4 pm`` as minutes of the day."""
    half = found[-1].text.lower()
    if half not in ("am", "pm") or found[-1].kind != "word":
        return None
    clock = [token.text for token in found[:-1]]
    is_clock = (
        all(t.isdigit() for t in clock[::2]) and set(clock[1::2]) <= {":"} and len(clock) in (1, 3)
    )
    hours, minutes = (
        (int(clock[0]), int(clock[2]) if len(clock) == 3 else 0) if is_clock else (0, 0)
    )
    if not (1 <= hours <= 12 and minutes < 60):
        return None
    return Form("time", plain_text(found), whole((hours % 12 + 12 * (half == "pm")) * 60 + minutes))


def _ratio(found: Tokens) -> Form | None:
    parts = split_top(found, lambda token: token.text == ":")
    if len(parts) == 1:
        return None
    if not all(parts):
        return _text(found, "a colon with nothing on one of its sides")
    return Form("ratio", plain_text(found), parts=tuple(_read(part) for part in parts))


def clock_minutes(form: Form) -> int | None:
    """The minutes of the day that ``16:30`` could mean; None of what could be none."""
    texts = form.text.split(" ")
    if form.kind != "ratio" or len(texts) != 3 or not (texts[0].isdigit() and texts[2].isdigit()):
        return None
    hours, minutes = int(texts[0]), int(texts[2])
    return hours * 60 + minutes if len(texts[2]) == 2 and minutes < 60 and hours < 24 else None


def _equation(found: Tokens) -> Form | None:
    """Sides that are said to be equal; a name before an interval, a set or a point names it."""
    sides = [trimmed(side) for side in split_top(found, _equates)]
    if len(sides) == 1:
        return None
    if not all(sides):
        return _text(found, "an equals sign with nothing on one of its sides")
    if len(sides) == 2 and _only_announces(sides[1]):
        return _read(sides[0])
    if lone_name(sides[-1]) and not lone_name(sides[0]):
        sides = [sides[-1], *sides[:-1]]
    name = lone_name(sides[0])
    parts = tuple(_read(side) for side in (sides[1:] if name else sides))
    if name and len(parts) == 1 and parts[0].kind == "list":
        return parts[0]
    if len(parts) == 1 and parts[0].kind not in ("value", "text", "equation"):
        return parts[0]
    if len(parts) == 2 and _names_coordinates(parts[0]) and parts[1].kind == "ordered":
        return parts[1]
    if any(part.kind not in ("value", "based") for part in parts):
        why = next((part.why for part in parts if part.kind == "text"), "an equation of no values")
        return _text(found, why)
    left = [_read(sides[0])] if name else []
    return Form("equation", plain_text(found), parts=(*left, *parts), symbol=name or "")


def _equates(token: Token) -> bool:
    return token.text == "=" or (token.kind == "word" and token.text in COPULAS)


def _only_announces(found: Tokens) -> bool:
    """Whether words are those before an answer, as in "70 is the answer"."""
    return all(token.kind == "word" and token.text.lower() in ANNOUNCING for token in found)


def _names_coordinates(form: Form) -> bool:
    """Whether a form is a point of symbols in the order of their names, as ``(x, y)``."""
    nodes = [part.node for part in form.parts]
    names = [str(node.value) for node in nodes if node is not None and node.kind == "symbol"]
    return form.ends == "()" and len(names) == len(nodes) and names == sorted(names)


def lone_name(found: Tokens) -> str | None:
    r"""The name that tokens are, as of an unknown: ``x``, ``f(2)``, ``\angle ABC``, ``AB``, ``Area``."""
    said = plain_text(found)
    if all(token.kind == "word" for token in found) and not found[0].text.isupper():
        is_name = all(t.text.lower() in QUANTITIES or noun(t.text.lower()) for t in found)
        return said if is_name else None
    if (found[0].text, found[-1].text) in (("[", "]"), ("|", "|")) and len(found) == 3:
        return said if found[1].kind == "word" and found[1].text.isupper() else None
    core = [
        token
        for token in found
        if token.text not in ("\\angle", "\\triangle", "{", "}", "\\overline")
    ]
    if core and core[0].text == "m" and len(core) == 2 and len(found) == 3:
        core = core[1:]
    if len(core) == 1 and core[0].kind == "word":
        return said if core[0].text.isupper() and len(core[0].text) <= 4 else None
    if core and core[-1].text == ")":
        start = next((place for place, token in enumerate(core) if token.text == "("), 0)
        is_function = core[0].text in FUNCTIONS_BY_NAME or len(core) - start == 3
        if start and is_function and core[0].text not in "xyz" and closes_last(core[start:]):
            core = core[:start]
    try:
        node = read_expression(core)
    except Unread:
        return None
    return said if node.kind == "symbol" or node in (E, IMAGINARY) else None


def _based(found: Tokens) -> Form | None:
    """``1203_4``, ``(1203)_{4}`` and ``2F_{16}``: a number that says its base."""
    is_mark = [(t.text == "_" and t.kind == "op") or t.text == "base" for t in found]
    place = is_mark.index(True) if True in is_mark else None
    if place is None:
        return None
    digits = "".join(t.text for t in found[:place] if t.text not in ("(", ")", "{", "}", "\\text"))
    base = [t for t in found[place + 1 :] if t.text not in ("{", "}", "(", ")", "base")]
    if (
        len(base) != 1
        or base[0].kind != "num"
        or not base[0].text.isdigit()
        or not digits[:1].isalnum()
    ):
        return None
    if not any(character.isdigit() for character in digits) and int(base[0].text) <= 10:
        return None
    value = number.in_base(digits, int(base[0].text))
    return (
        None
        if value is None
        else Form("based", plain_text(found), whole(value), symbol=base[0].text)
    )


def _approximation(found: Tokens) -> Form | None:
    r"""``\frac{1}{3} \approx 0.333``: a value, and a decimal of a few digits for it."""
    sides = split_top(found, lambda token: token.text == "\\approx")
    if len(sides) != 2 or not all(sides):
        return None
    parts = tuple(map(_read, sides))
    exact, near = parts
    is_read = exact.kind == near.kind == "value" and near.node is not None
    if not is_read or (near.unit and exact.unit and near.unit != exact.unit):
        return None
    return Form("approximation", plain_text(found), parts=parts)


def _value(found: Tokens) -> Form:
    """An expression with its unit; with a plus or minus in it two, and where it is not read a text."""
    said = plain_text(found)
    if len(found) == 1 and found[0].kind == "word" and not is_word(found[0]):
        return Form("value", said, read_expression(found), why="letters in a row")
    try:
        node, unit = read_value(found)
    except Unread as unread:
        return Form("text", said, why=str(unread))
    if _has_sign(node):
        both = tuple(
            Form("value", f"{said} {sign}", _with_sign(node, sign), unit) for sign in (1, -1)
        )
        return Form("list", said, parts=both)
    other = read_with_letter(found) if unit is None else None
    letter = None if other is None else Form("value", said, other.node, other.unit)
    return Form("value", said, node, unit, letter)


def _has_sign(node: Node) -> bool:
    return node.kind == "sign" or any(map(_has_sign, node.args))


def _with_sign(node: Node, sign: int) -> Node:
    """An expression with plus, or minus, for each plus or minus in it."""
    if node.kind == "sign":
        inner = _with_sign(node.args[0], sign)
        return inner if node.value == sign else Node("negate", (inner,))
    return node._replace(args=tuple(_with_sign(part, sign) for part in node.args))
