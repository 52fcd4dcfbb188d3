"""Regular expressions made of the words of `pacore.core.grading.extraction.words`, compiled on first use.

All tables and expressions here are about single sentences of bounded length
(`pacore.core.grading.extraction.sentences`).
"""

from __future__ import annotations

# ruff: noqa: RUF001 - characters of other scripts are what this file is about
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from typing import NamedTuple

from pacore.core.grading.extraction.words import LANGUAGES

OPEN, CLOSE = "\ue000", "\ue001"
"""Enclose mathematics in a prepared sentence, in place of dollars and LaTeX delimiters."""


def has_letter_spaces(text: str) -> bool:
    """Whether words in this script are separated by spaces, unlike in Chinese, Japanese and Thai."""
    name = unicodedata.name(text[0], "")
    return not name.startswith(("CJK", "HIRAGANA", "KATAKANA", "THAI", "HANGUL"))


def any_of(words: Iterable[str]) -> str:
    """A regular expression for any of these entries, the longest first.

    Entries in scripts with spaces match whole words only.
    """
    bounded: list[str] = []
    inside: list[str] = []
    for word in sorted({word for word in words if word}, key=lambda word: (-len(word), word)):
        body = word.replace(" ", r"\s+")
        if not has_letter_spaces(word) or word.startswith(("n't", "n’t")):
            inside.append(body)
        elif word.startswith(("'", "’")):
            inside.append(rf"{body}(?![^\W\d_])")
        elif word.endswith(("'", "’")):
            inside.append(rf"(?<![^\W\d_]){body}")
        else:
            bounded.append(body.replace("*", r"\w{0,12}"))
    parts = [rf"(?<![^\W\d_])(?:{'|'.join(bounded)})(?![^\W\d_])"] if bounded else []
    return "(?:" + "|".join([*parts, *inside]) + ")" if parts or inside else "(?!)"


def words_of(field: str, *names: str) -> list[str]:
    """The entries of one field, of the named languages or of all."""
    rows = [LANGUAGES[name] for name in names] if names else list(LANGUAGES.values())
    return [word for row in rows for word in getattr(row, field).split("|") if word]


class Words:
    """A case-insensitive regular expression that is compiled on first use.

    Hundreds of words take long to compile, and most texts are in one language.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self.expression, re.IGNORECASE)

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        return self.pattern.search(text, start)

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        return self.pattern.match(text, start)

    def fullmatch(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        return self.pattern.fullmatch(text, start, end)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        return self.pattern.finditer(text)


class WordList:
    """Matches any of some entries; in ASCII texts, which most are, only the ASCII ones."""

    def __init__(self, entries: Iterable[str]) -> None:
        listed = list(entries)
        self._all = Words(any_of(listed))
        self._ascii = Words(any_of(entry for entry in listed if entry.isascii()))

    def _of(self, text: str) -> Words:
        return self._ascii if text.isascii() else self._all

    def search(self, text: str) -> re.Match[str] | None:
        return self._of(text).search(text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        return self._of(text).finditer(text)


MARK = r"[\s:=\-–—−→⇒>*_\"'“”‘’«»「」『』.,…~{}|()\[\]\\!" + OPEN + "]"

COLON = r"(?:[:=→⇒]|[–—-]\s|\s->)"


class LanguagePatterns(NamedTuple):
    """The patterns of one language, for the words between a noun for *answer* and a value."""

    gap: Words
    copula: Words
    link: Words
    lead: Words
    first_link: Words
    denied: Words
    negator: Words
    hedge: Words
    bound: Words
    bounded: Words
    supposed: Words
    before: Words
    denial: Words
    alternative: Words
    has_final_verb: bool


@cache
def grammar(name: str) -> LanguagePatterns:
    """The patterns of the language ``name`` of `LANGUAGES`."""

    def words(*names: str) -> str:
        return any_of(word for field in names for word in words_of(field, name))

    links, joined = words("links"), words("links", "fillers", "conclusions", "answers")
    gap = rf"(?:{MARK}|{joined})*"
    is_final = LANGUAGES[name].has_final_verb
    counted = r"(?:\s*[^\W\d_]{1,20}){0,3}?"
    relative = r"(?:which|that|this|qui|que|che|что|welches|was)?"
    denial = (
        rf"\W*(?:[^\W\d_]+\s+){{0,2}}?{links}\W*(?:{words('fillers')}\W*){{0,3}}{words('negators')}"
    )
    if is_final:
        denial += rf"|\W*[^\W\d_]{{0,4}}\s*['’]?\s*{words('negators')}"
    return LanguagePatterns(
        gap=Words(gap),
        copula=Words(links),
        link=Words(rf"(?:{links}|{COLON}){gap}$"),
        lead=Words(rf"(?:{MARK}|{words('fillers')})*?(?:{links}|{COLON})"),
        first_link=Words(rf".{{0,120}}?(?:{links}|{COLON}){gap}"),
        denied=Words(rf"{words('negators')}{gap}$"),
        negator=Words(words("negators")),
        hedge=Words(words("hedges")),
        bound=Words(words("bounds")),
        bounded=Words(
            rf"[\s)\]\"'’”*{CLOSE}]*(?:[^\W\d_]{{0,6}}\s*['’]?[^\W\d_]{{0,6}}\s+)?{words('bounds')}"
        ),
        supposed=Words(words("suppositions") + r"(?:[^\W\d_]{0,6}|(?:\W*+[^\W\d_]++){0,3})\W*$"),
        before=Words(rf"{counted}[\s,)\]\"'“”’*{CLOSE}]*{relative}(?:\s*{links}|['’]s){gap}"),
        denial=Words(rf"{denial}|\W*{words('negators')}(?:\W*$|\s*{words('right')})"),
        alternative=Words(rf"[\s,;，、（(]*{words('alternatives')}\s*"),
        has_final_verb=is_final,
    )


@cache
def languages_of(field: str, word: str) -> tuple[str, ...]:
    """The languages with a word in a field."""
    return tuple(name for name in LANGUAGES if _field(field, name).fullmatch(word))


@cache
def _field(field: str, name: str) -> Words:
    return Words(any_of(words_of(field, name)))
