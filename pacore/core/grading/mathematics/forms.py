r"""Parses answers to forms: points, sets, intervals, equations, ratios, and the values in them.

A text is split recursively until its parts are values, each an expression with its unit; a part that
cannot be parsed completely has the form ``text``, and equals only the same text.
"""

from __future__ import annotations

from collections.abc import Sequence

from pacore.core.grading.mathematics import number
from pacore.core.grading.mathematics.exact import Undefined, exact_value
from pacore.core.grading.mathematics.form import Form
from pacore.core.grading.mathematics.nodes import IMAGINARY, E, Node, has_sign, whole, with_sign
from pacore.core.grading.mathematics.values import (
    Range,
    ordered_terms,
    ranges,
    read_compound,
    read_value,
    read_with_letter,
)
from pacore.core.grading.notation.expression import read_expression
from pacore.core.grading.notation.grammar import Unread
from pacore.core.grading.notation.splitting import (
    Tokens,
    closes_last,
    depths,
    split_top,
    trimmed,
    with_round_brackets,
    without_double_brackets,
)
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

MAX_NESTING = 40

_MATRICES = names("pmatrix bmatrix Bmatrix matrix array smallmatrix")

_OPENING, _CLOSING = ("(", "[", "\\{"), (")", "]", "\\}")


def read_form(text: str) -> Form:
    """Parse a text. Never fails: a text that cannot be parsed has the form ``text``."""
    found = without_double_brackets(tokens(text))
    if max(depths(found), default=0) > MAX_NESTING:
        return _text(found, f"more than {MAX_NESTING} brackets within each other")
    try:
        return _read(found)
    except RecursionError:
        return _text(found, "too many parts within each other")


def _text(found: Tokens, why: object) -> Form:
    return Form("text", plain_text(found), why=str(why))


def _read(found: Tokens) -> Form:
    found = with_round_brackets(trimmed(found))
    if not found:
        return Form("text", "", why="nothing")
    readers = (
        _nothing, _member, _matrix, _compound, _several, _relation, _bracketed, _time, _ratio, _equation,
        _based, _approximation,
    )  # fmt: skip
    form = next((form for reader in readers if (form := reader(found)) is not None), None)
    return form or _value(found)


def _nothing(found: Tokens) -> Form | None:
    text = plain_text(found)
    if text in NOTHING:
        return Form("list", text, ends="{}")
    if text in REALS:
        return _interval(text, Range(""))
    return None


def _member(found: Tokens) -> Form | None:
    r"""The set of ``x \in A``, or the solutions of ``\{x : …\}``."""
    if len(found) > 2 and found[0].kind == "sym" and found[1].text == "\\in":
        form = _read(found[2:])
        is_list = form.kind == "list" and (form.ends or len(form.parts) > 1)
        is_set = form.kind == "ordered" or is_list
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
    intervals = form.parts if form.kind == "list" else (form,)
    is_about_it = all(part.symbol == name[0].text for part in intervals)
    return form if is_about_it and form.kind in ("list", "ordered") else None


def _matrix(found: Tokens) -> Form | None:
    """A matrix, with or without brackets around it, or a number times a matrix."""
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
    """A row of a matrix times a number, with texts of its own."""
    cells = [cell._replace(text=f"{factor} {cell.text}") for cell in row.parts]
    parts = tuple(
        cell if cell.node is None else cell._replace(node=Node("multiply", (factor, cell.node)))
        for cell in cells
    )
    return row._replace(text=f"{factor} {row.text}", parts=parts)


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
        return _text(found, "a list with an empty item")
    forms: list[Form] = []
    for part in parts:
        form = _read(part)
        forms += form.parts if form.kind == "list" and not form.ends else [form]
    if is_union and not all(form.kind == "ordered" or form.ends for form in forms):
        return _text(found, "a union with a part that is no set")
    if any(token.text == "and" for token in found) and any(
        form.symbol and form.ends for form in forms
    ):
        return _both(found, forms)
    return Form("list", plain_text(found), parts=tuple(forms))


def _both(found: Tokens, forms: Sequence[Form]) -> Form:
    """``x > 1 and x < 5`` as an interval."""
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
    """Whether one has a lower bound, and the other a greater upper bound."""
    low, high = above.parts[0].node, below.parts[1].node
    if below.parts[0].text != plain_text(_MINUS_INFINITY) or low is None or high is None:
        return False
    try:
        least, greatest = exact_value(low), exact_value(high)
    except Undefined:
        return False
    return least is not None and greatest is not None and least < greatest


def _relation(found: Tokens) -> Form | None:
    """An inequality as its intervals."""
    try:
        left = ranges(found)
    except Unread as unread:
        return _inequality(found) or _text(found, unread)
    if left is None:
        return None
    parts = tuple(_interval(f"{plain_text(found)} {place}", one) for place, one in enumerate(left))
    return parts[0] if len(parts) == 1 else Form("list", plain_text(found), parts=parts)


def _inequality(found: Tokens) -> Form | None:
    """A chain of values in ascending order, or two different values; else None."""
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


def _interval(text: str, of: Range) -> Form:
    ends = "(["[of.has_low] + ")]"[of.has_high]
    parts = (_read(of.low or _MINUS_INFINITY), _read(of.high or _INFINITY))
    return Form("ordered", text, parts=parts, ends=ends, symbol=of.symbol)


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
    is_clock = all(t.isdigit() for t in clock[::2]) and set(clock[1::2]) <= {":"}
    if not is_clock or len(clock) not in (1, 3):
        return None
    hours, minutes = int(clock[0]), int(clock[2]) if len(clock) == 3 else 0
    if not (1 <= hours <= 12 and minutes < 60):
        return None
    return Form("time", plain_text(found), whole((hours % 12 + 12 * (half == "pm")) * 60 + minutes))


def _ratio(found: Tokens) -> Form | None:
    parts = split_top(found, lambda token: token.text == ":")
    if len(parts) == 1:
        return None
    if not all(parts):
        return _text(found, "a colon with an empty side")
    return Form("ratio", plain_text(found), parts=tuple(_read(part) for part in parts))


def _equation(found: Tokens) -> Form | None:
    """The sides of an equation; an interval, set or point without the name before it."""
    sides = [trimmed(side) for side in split_top(found, _equates)]
    if len(sides) == 1:
        return None
    if not all(sides):
        return _text(found, "an equals sign with an empty side")
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
    """Whether all words announce an answer, as in "70 is the answer"."""
    return all(token.kind == "word" and token.text.lower() in ANNOUNCING for token in found)


def _names_coordinates(form: Form) -> bool:
    """Whether a form is a point of symbols in alphabetical order, such as ``(x, y)``."""
    nodes = [part.node for part in form.parts]
    names = [str(node.value) for node in nodes if node is not None and node.kind == "symbol"]
    return form.ends == "()" and len(names) == len(nodes) and names == sorted(names)


_GEOMETRY = ("\\angle", "\\triangle", "\\overline", "{", "}")


def lone_name(found: Tokens) -> str | None:
    r"""The name that all tokens form, as of an unknown: ``x``, ``f(2)``, ``\angle ABC``; else None."""
    text = plain_text(found)
    if all(token.kind == "word" for token in found) and not found[0].text.isupper():
        is_name = all(t.text.lower() in QUANTITIES or noun(t.text.lower()) for t in found)
        return text if is_name else None
    if (found[0].text, found[-1].text) in (("[", "]"), ("|", "|")) and len(found) == 3:
        return text if found[1].kind == "word" and found[1].text.isupper() else None
    core = [token for token in found if token.text not in _GEOMETRY]
    if core and core[0].text == "m" and len(core) == 2 and len(found) == 3:
        core = core[1:]
    if len(core) == 1 and core[0].kind == "word":
        return text if core[0].text.isupper() and len(core[0].text) <= 4 else None
    if core and core[-1].text == ")":
        start = next((place for place, token in enumerate(core) if token.text == "("), 0)
        is_function = core[0].text in FUNCTIONS_BY_NAME or len(core) - start == 3
        if start and is_function and core[0].text not in "xyz" and closes_last(core[start:]):
            core = core[:start]
    try:
        node = read_expression(core)
    except Unread:
        return None
    return text if node.kind == "symbol" or node in (E, IMAGINARY) else None


def _based(found: Tokens) -> Form | None:
    """A number with its base: ``1203_4``, ``(1203)_{4}``, ``2F_{16}``."""
    is_mark = [(t.text == "_" and t.kind == "op") or t.text == "base" for t in found]
    place = is_mark.index(True) if True in is_mark else None
    if place is None:
        return None
    digits = "".join(t.text for t in found[:place] if t.text not in ("(", ")", "{", "}", "\\text"))
    base = [t for t in found[place + 1 :] if t.text not in ("{", "}", "(", ")", "base")]
    is_base = len(base) == 1 and base[0].kind == "num" and base[0].text.isdigit()
    if not is_base or not digits[:1].isalnum():
        return None
    if not any(character.isdigit() for character in digits) and int(base[0].text) <= 10:
        return None
    value = number.in_base(digits, int(base[0].text))
    text = plain_text(found)
    return None if value is None else Form("based", text, whole(value), symbol=base[0].text)


def _approximation(found: Tokens) -> Form | None:
    r"""A value with a decimal approximation: ``\frac{1}{3} \approx 0.333``."""
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
    """An expression with its unit; two for a plus-minus sign; a text where it cannot be parsed."""
    text = plain_text(found)
    if len(found) == 1 and found[0].kind == "word" and not is_word(found[0]):
        return Form("value", text, read_expression(found), why="letters in a row")
    try:
        node, unit = read_value(found)
    except Unread as unread:
        return Form("text", text, why=str(unread))
    if has_sign(node):
        signs = ((1, f"{text} 1"), (-1, f"{text} -1"))
        both = tuple(Form("value", one, with_sign(node, sign), unit) for sign, one in signs)
        return Form("list", text, parts=both)
    other = read_with_letter(found) if unit is None else None
    letter = None if other is None else Form("value", text, other.node, other.unit)
    return Form("value", text, node, unit, letter)
