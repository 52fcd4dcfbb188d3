"""Splits tokens at separators outside of brackets, and removes brackets and words around an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pacore.core.grading.notation.tokens import Token
from pacore.core.grading.notation.vocabulary import ANNOUNCING

Tokens = Sequence[Token]

_ENDINGS = (".", ",", ";", "\\\\")


def depths(found: Tokens) -> list[int]:
    """The number of open brackets and braces before each token, whether or not they match."""
    depth = 0
    counted = []
    for token in found:
        if token.kind == "close" or token.text == "\\end":
            depth = max(depth - 1, 0)
        counted.append(depth)
        if token.kind == "open" or token.text == "\\begin":
            depth += 1
    return counted


def split_top(found: Tokens, is_separator: Callable[[Token], bool]) -> list[Tokens]:
    """Split at separators outside all brackets and braces."""
    parts: list[Tokens] = []
    start = 0
    for place, (token, depth) in enumerate(zip(found, depths(found), strict=True)):
        if depth == 0 and is_separator(token):
            parts.append(found[start:place])
            start = place + 1
    return [*parts, found[start:]]


def closes_last(found: Tokens) -> bool:
    """Whether the first token is a bracket that the last token closes."""
    counted = depths(found)
    return found[-1].kind == "close" and counted[-1] == 0 and 0 not in counted[1:-1]


def trimmed(found: Tokens) -> Tokens:
    """Tokens without braces around all of them, a final period, and words that announce an answer."""
    while True:
        before = len(found)
        if found and found[-1].text in _ENDINGS and found[-2:-1] != found[-1:]:
            found = found[:-1]
        while len(found) > 1 and found[0].text == "{" and closes_last(found):
            found = found[1:-1]
        found = _unannounced(found)
        if len(found) == before:
            return found


def _unannounced(found: Tokens) -> Tokens:
    start = 0
    while start < len(found) and _announces(found, start):
        start += 1
    if 0 < start < len(found) - 2 and found[start].text == "of":
        start += 1
    # Words that are all there is are the answer.
    return found[start:] if start < len(found) else found


def _announces(found: Tokens, place: int) -> bool:
    token = found[place]
    if token.kind == "word":
        word = token.text.lower()
        return word in ANNOUNCING or (word == "to" and found[:place][-1:] == _EQUAL)
    if token.text in ("=", "\\therefore"):
        return True
    return place > 0 and token.text in (":", ",")


_EQUAL = [Token("word", "equal")]


def without_double_brackets(found: Tokens) -> Tokens:
    """Tokens without redundant round brackets: ``((1, 2))`` as ``(1, 2)``."""
    while len(found) > 4 and found[0].text == found[1].text == "(":
        if not (closes_last(found) and closes_last(found[1:-1])):
            break
        found = found[1:-1]
    return found


def with_round_brackets(found: Tokens) -> Tokens:
    r"""Tokens with ``]0, 1[`` replaced by ``(0, 1)``."""
    ends = (found[0].text, found[-1].text) if len(found) > 3 else ("", "")
    if ends not in (("]", "["), ("]", "]"), ("[", "[")):
        return found
    opening = Token("open", "(") if ends[0] == "]" else found[0]
    closing = Token("close", ")") if ends[1] == "[" else found[-1]
    turned = [opening, *found[1:-1], closing]
    return turned if closes_last(turned) else found
