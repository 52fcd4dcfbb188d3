r"""The form of an answer: points, sets, intervals, matrices, equations, and the expressions in them.

Computer algebra reads ``(1, 2)`` as a point or an interval and ``[0, 1)`` and ``(0, 1)`` as it likes, and
takes the last side of an equation for all of it. So an answer is taken apart here, and only its
expressions are left to be compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from pacore.grading.notation import TEXT_COMMANDS, key, words

Kind = Literal["one", "list", "ordered", "matrix", "ratio", "equation"]

MAX_PARTS = 64
"""Longer lists are compared as text alone."""

INDEX = r"'{0,3}(?:_\s?(?:\w|\{[^{}]*\}))?"
LONE_SYMBOL = re.compile(
    rf"(?:[A-Za-z]|\\[A-Za-z]+|{TEXT_COMMANDS}\{{[^{{}}]*\}}){INDEX}(?:\s?\([^()]*\))?"
    r"|(?:\\(?:angle|overline|triangle)\s?)?\{?[A-Z]{2,3}\}?"
)

_SYMBOL = re.compile(rf"(?:[A-Za-z]|\\(?!infty|pi)[a-z]+){INDEX}")
_BRACKETS = (("\\langle", "("), ("\\rangle", ")"), ("\\lbrace", "\\{"), ("\\rbrace", "\\}"))
_SYMBOLS = re.compile(rf"\(\s?{_SYMBOL.pattern}(?:,\s?{_SYMBOL.pattern})+\s?\)")
_BARS = re.compile(r"(?:\||\\vert\s?|\\lvert\s?)\s?(?P<inner>[^|\\]+?)\s?(?:\||\\vert|\\rvert)")
_NOTHING = frozenset(
    ("no solution", "no solutions", "empty set", "\\emptyset", "\\varnothing", "\\{\\}")
)
_TEXT_JOIN = re.compile(TEXT_COMMANDS + r"\{\s*(or|and)\s*\}")
_JOIN = re.compile(r"\\cup(?![A-Za-z])|\\lor(?![A-Za-z])|(?<![A-Za-z\\])(?:or|and)(?![A-Za-z])")
_MEMBER = re.compile(rf"{_SYMBOL.pattern}\s?\\in(?![A-Za-z])\s?(?P<rest>.+)")
_MATRIX = re.compile(
    r"\\begin\s?\{(?P<name>[pbB]?matrix|array)\}(?:\{[lcr|]*\})?(?P<body>.*)\\end\s?\{(?P=name)\}"
)
_RELATION = re.compile(r"\\(?:le|ge)(?:q|qslant|slant)?(?![A-Za-z])|[<>]=?")
_GROUPED = re.compile(r"(?<!\d)\d{1,3}(?:,\d{3})+(?!\d)")
_TIME = re.compile(r"\d{1,2}:\d{2}")
_PLUS_MINUS = re.compile(r"\\pm(?![A-Za-z])")


class Form(NamedTuple):
    """One answer taken apart. ``ends`` are the brackets of an ordered one, or ``{}`` of a set;
    ``symbol`` is what an inequality was about.

    Of kind ``one`` and ``equation`` the parts are texts, of a ``matrix`` rows of texts, else forms.
    """

    kind: Kind
    text: str
    parts: tuple[Form, ...] = ()
    sides: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    ends: str = ""
    symbol: str = ""


def read_form(cleaned: str) -> Form:
    """Take a cleaned text apart. What is of no other form is one expression."""
    text = _TEXT_JOIN.sub(r" \1 ", cleaned)
    for spelled, bracket in _BRACKETS:
        text = text.replace(spelled, bracket)
    return _read(text.strip())


def _read(text: str) -> Form:
    readers: tuple[Callable[[str], Form | None], ...] = (
        _nothing, _member, _matrix, _several, _inequality, _bracketed, _ratio, _plus_minus, _equation
    )  # fmt: skip
    return next((form for reader in readers if (form := reader(text))), Form("one", text))


def _nothing(text: str) -> Form | None:
    return Form("list", text, ends="{}") if words(text) in _NOTHING else None


def _member(text: str) -> Form | None:
    found = _MEMBER.fullmatch(text)
    return _read(found["rest"]) if found else None


def _matrix(text: str) -> Form | None:
    found = _MATRIX.fullmatch(text)
    if found is None:
        return None
    lines = [line for line in re.split(r"\\\\(?:\[[^\]]*\])?", found["body"]) if line.strip()]
    return Form(
        "matrix", text, rows=tuple(tuple(c.strip() for c in line.split("&")) for line in lines)
    )


def _several(text: str) -> Form | None:
    parts = split_top(text, _JOIN)
    if len(parts) == 1:
        parts = _at_commas(text)
    if len(parts) == 1 or not all(parts):
        return None
    forms: list[Form] = []
    for part in parts:
        form = _read(part)
        forms += form.parts if form.kind == "list" else [form]
    return Form("list", text, tuple(forms))


def _at_commas(text: str) -> list[str]:
    """The parts of a list; of ``1,234, 5,678`` they are two."""
    if _GROUPED.fullmatch(text.lstrip("+-")):
        return [text]
    spaced = split_top(text, re.compile(",(?= )"))
    if len(spaced) > 1 and _GROUPED.search(text):
        return spaced
    return split_top(text, re.compile(","))


def split_top(text: str, separator: re.Pattern[str]) -> list[str]:
    """Split where a separator stands outside all brackets and braces."""
    parts, start = [], 0
    depths = list(_depths(text))
    for found in separator.finditer(text):
        if depths[found.start()] == 0:
            parts.append(text[start : found.start()].strip())
            start = found.end()
    return [*parts, text[start:].strip()]


def _depths(text: str) -> Iterator[int]:
    """How many brackets are open before each character."""
    depth = 0
    for character in text:
        if character in ")]}":
            depth = max(depth - 1, 0)
        yield depth
        if character in "([{":
            depth += 1


def _inequality(text: str) -> Form | None:
    """``a < x \\le b``, ``x > a`` and ``|x| < a`` as the intervals they are."""
    relations = [found[0] for found in _RELATION.finditer(text)]
    terms = split_top(text, _RELATION)
    if len(terms) != len(relations) + 1 or len(terms) not in (2, 3):
        return None
    if any("=" in term for term in terms):
        return None
    is_up = ["<" in relation or relation.startswith("\\le") for relation in relations]
    is_closed = [relation[-1:] == "=" or relation[0] == "\\" for relation in relations]
    if len(set(is_up)) > 1:
        return None
    if not is_up[0]:
        terms.reverse()
        is_closed.reverse()
    if len(terms) == 3:
        return _interval(text, terms[1], (terms[0], terms[2]), (is_closed[0], is_closed[1]))
    low, high = terms
    if _variable(high):
        return _interval(text, high, (low, None), (is_closed[0], False))
    return _interval(text, low, (None, high), (False, is_closed[0]))


def _variable(term: str) -> str | None:
    bars = _BARS.fullmatch(term)
    inner = bars["inner"] if bars else term
    return inner if _SYMBOL.fullmatch(inner) else None


def _interval(
    text: str, about: str, bounds: tuple[str | None, str | None], closed: tuple[bool, bool]
) -> Form | None:
    symbol = _variable(about)
    low, high = bounds
    if symbol is None:
        return None
    if _BARS.fullmatch(about):
        if low is not None and high is not None:
            return None
        if low is not None:
            outside = (
                _ordered(text, "-\\infty", _minus(low), "(", "])"[not closed[0]], symbol),
                _ordered(text, low, "\\infty", "[("[not closed[0]], ")", symbol),
            )
            return Form("list", text, outside)
        assert high is not None
        return _ordered(text, _minus(high), high, "[("[not closed[1]], "])"[not closed[1]], symbol)
    return _ordered(
        text,
        "-\\infty" if low is None else low,
        "\\infty" if high is None else high,
        "[" if closed[0] else "(",
        "]" if closed[1] else ")",
        symbol,
    )


def _ordered(text: str, low: str, high: str, left: str, right: str, symbol: str) -> Form:
    return Form("ordered", text, (_read(low), _read(high)), ends=left + right, symbol=symbol)


def _minus(text: str) -> str:
    return f"-{text}" if re.fullmatch(r"[\w.]+|\\frac\{\w+\}\{\w+\}", text) else f"-({text})"


def _bracketed(text: str) -> Form | None:
    if text.startswith("\\{") and text.endswith("\\}") and closes_last(text[1:-2] + "}"):
        inner = _several(text[2:-2].strip()) or _read(text[2:-2].strip())
        if re.search(r"\\mid|\||:", text):
            return None
        parts = inner.parts if inner.kind == "list" else (inner,)
        once = {key(part.text): part for part in parts}
        return Form("list", text, tuple(once.values()), ends="{}")
    if text[:1] not in ("(", "[") or text[-1:] not in (")", "]") or not closes_last(text):
        return None
    parts = tuple(_read(part) for part in _at_commas(text[1:-1].strip()))
    if len(parts) > 1:
        return Form("ordered", text, parts, ends=text[0] + text[-1])
    return parts[0] if text[0] + text[-1] == "()" else None


def closes_last(text: str) -> bool:
    """Whether the bracket a text begins with is closed by its last character."""
    depths = list(_depths(text))
    return min(depths[1:], default=0) >= 0 and 0 not in depths[1:-1] and depths[-1] == 0


def _ratio(text: str) -> Form | None:
    parts = split_top(text, re.compile(":"))
    if len(parts) == 1 or not all(parts):
        return None
    return Form("ratio", text, tuple(_read(part) for part in parts))


def is_time(form: Form) -> bool:
    """Whether a ratio could be a time of day, which is the same as no other."""
    return form.kind == "ratio" and _TIME.fullmatch(form.text) is not None


def _plus_minus(text: str) -> Form | None:
    if len(_PLUS_MINUS.findall(text)) != 1:
        return None
    plus = _read(_PLUS_MINUS.sub("+", text))
    minus = _read(_PLUS_MINUS.sub("-", text))
    return Form("list", text, (plus, minus))


def _equation(text: str) -> Form | None:
    r"""Two sides; where the left is a lone symbol and the right no expression, the right alone."""
    sides = split_top(text, re.compile(r"(?<![<>!:])="))
    if len(sides) != 2 or not all(sides):
        return None
    if LONE_SYMBOL.fullmatch(sides[0]):
        value = _read(sides[1])
        if value.kind not in ("one", "equation"):
            return value
    if _SYMBOLS.fullmatch(sides[0]) and (point := _read(sides[1])).kind == "ordered":
        return point
    return Form("equation", text, sides=(sides[0], sides[1]))
