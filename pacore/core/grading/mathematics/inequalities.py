r"""Converts inequalities (``a < x \le b``, ``|x| > a``, ``x \ne a``) to ranges of numbers."""

from __future__ import annotations

from typing import NamedTuple

from pacore.core.grading.notation.expression import read_expression
from pacore.core.grading.notation.grammar import Unread
from pacore.core.grading.notation.splitting import Tokens, depths, split_top, trimmed
from pacore.core.grading.notation.tokens import Token


class Range(NamedTuple):
    """The values of a symbol between two bounds; None is an infinite bound."""

    symbol: str
    low: Tokens | None = None
    high: Tokens | None = None
    has_low: bool = False
    has_high: bool = False


def ordered_terms(found: Tokens) -> tuple[list[Tokens], list[str]] | None:
    """The terms of a chain in ascending order, and its signs; for ``!=`` in their own order.

    None where the signs have different directions.
    """
    signs = [token.text for token in _signs(found)]
    terms = split_top(found, lambda token: token.kind == "rel")
    if not signs or not all(terms):
        return None
    if signs == ["!="] or set(signs) <= {"<", "<="}:
        return terms, signs
    if not set(signs) <= {">", ">="}:
        return None
    return terms[::-1], [sign.replace(">", "<") for sign in reversed(signs)]


def _signs(found: Tokens) -> list[Token]:
    pairs = zip(found, depths(found), strict=True)
    return [token for token, depth in pairs if depth == 0 and token.kind == "rel"]


def ranges(found: Tokens) -> tuple[Range, ...] | None:
    """The ranges of a relation's symbol; None for an equation. Raises Unread."""
    signs = [token.text for token in _signs(found)]
    if not signs or set(signs) == {"="}:
        return None
    terms = split_top(found, lambda token: token.kind == "rel")
    if not all(terms):
        raise Unread("a relation with an empty side")
    if signs == ["!="]:
        return _all_but(terms[0], terms[1])
    are_alike = set(signs) <= {"<", "<="} or set(signs) <= {">", ">="}
    if len(terms) > 3 or not are_alike:
        raise Unread(f"the relation {' '.join(signs)!r}")
    if signs[0][0] == ">":
        terms.reverse()
        signs.reverse()
    closed = [sign.endswith("=") for sign in signs]
    if len(terms) == 3:
        return _about(terms[1], Range("", terms[0], terms[2], closed[0], closed[1]))
    if _variable(terms[1]) is not None:
        return _about(terms[1], Range("", low=terms[0], has_low=closed[0]))
    return _about(terms[0], Range("", high=terms[1], has_high=closed[0]))


def _all_but(about: Tokens, value: Tokens) -> tuple[Range, ...]:
    symbol = _variable(about)
    if symbol is None or _is_bars(about):
        raise Unread("the relation '!='")
    return Range(symbol, high=value), Range(symbol, low=value)


def _about(about: Tokens, of: Range) -> tuple[Range, ...]:
    symbol = _variable(about)
    if symbol is None or (_is_bars(about) and of.low is not None and of.high is not None):
        raise Unread("an inequality without a single symbol")
    if not _is_bars(about):
        return (of._replace(symbol=symbol),)
    if of.high is not None:
        return (Range(symbol, _minus(of.high), of.high, of.has_high, of.has_high),)
    assert of.low is not None
    outside = Range(symbol, high=_minus(of.low), has_high=of.has_low)
    return outside, of._replace(symbol=symbol)


def _is_bars(term: Tokens) -> bool:
    return len(term) > 2 and term[0].text == term[-1].text == "|"


def _variable(term: Tokens) -> str | None:
    """The symbol of a term that is a symbol or its absolute value; else None."""
    try:
        node = read_expression(trimmed(term[1:-1] if _is_bars(term) else term))
    except Unread:
        return None
    return str(node.value) if node.kind == "symbol" else None


def _minus(term: Tokens) -> Tokens:
    return [Token("op", "-"), Token("open", "("), *term, Token("close", ")")]
