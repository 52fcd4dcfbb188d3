"""Extracts answers that are phrases, for the graders that compare texts."""

from __future__ import annotations

# ruff: noqa: RUF001 - characters of other scripts are what this file is about
import re
from collections.abc import Sequence

from pacore.core.grading.extraction.beside import is_heading
from pacore.core.grading.extraction.clauses import (
    DENIED,
    NO_STATEMENT,
    NOUNS,
    QUESTION,
    UNSURE,
    Stated,
    StatementOutcome,
    Unstated,
)
from pacore.core.grading.extraction.closings import COURTESY, REMARKS, has_line
from pacore.core.grading.extraction.patterns import (
    CLOSE,
    MARK,
    OPEN,
    LanguagePatterns,
    Words,
    any_of,
    grammar,
    languages_of,
    words_of,
)
from pacore.core.grading.extraction.quotations import HYPOTHETICAL, is_spoken_of, is_supposed
from pacore.core.grading.extraction.sentences import Sentence

PHRASE_CHARACTERS = 300
"""Longest phrase that counts as an answer."""

WORDS_A_LINE = 12
"""Most words of a final line that counts as an answer."""

_EXPLAINED = Words(
    r",?\s+(?:because|since|as it|which|weil|denn|porque|parce que|perché)\b|\s[–—(]|;\s|,\s(?:not|as)\b"
)

_CONCLUSIVELY = Words(
    rf".*{any_of(words_of('links'))}\s+(?:therefore|thus|hence|then|so|consequently|donc|also|daher"
    rf"|somit|dunque|quindi"
    r"|portanto|logo)\s+"
)

_POLITE_END = re.compile(r"(?:です|である|だ|입니다|이다|है|হয়|است)\W*$")

_ADVERBS = Words(rf"(?:{MARK}|{any_of(words_of('conclusions'))}|clearly|simply|now|just|also)*")

_QUOTES = "\"“”'‘’«»「」`* "


def last_phrase(found: Sequence[Sentence]) -> StatementOutcome | None:
    """The phrase in the last sentence that names the answer."""
    for index in range(len(found) - 1, -1, -1):
        if (outcome := _marked(found[index])) is not None:
            return outcome
        is_named = is_heading(found[index]) and index + 1 < len(found)
        if is_named and (phrase := phrase_of(found[index + 1].text)):
            return Stated(phrase, "stated", found[index].start)
    return None


def closing_phrase(found: Sequence[Sentence]) -> StatementOutcome:
    """The last line, where it is short and names, asks and offers nothing."""
    for index in range(len(found) - 1, max(-1, len(found) - 2 - REMARKS), -1):
        text = found[index].text
        if COURTESY.search(text) and (len(found) > 1 or QUESTION.search(text)):
            continue
        is_short = len(text.split()) <= WORDS_A_LINE and has_line(found, index)
        if not is_short or NOUNS.search(text) or QUESTION.search(text) or COURTESY.search(text):
            break
        concluding = _CONCLUSIVELY.match(text)
        if phrase := phrase_of(text[concluding.end() :] if concluding else text):
            return Stated(phrase, "concluded" if concluding else "final_line", found[index].start)
    return Unstated(NO_STATEMENT, 0)


def phrase_of(text: str) -> str:
    """A phrase without its explanation, markup, quotation marks and final period.

    Empty if it is too long, or an empty box.
    """
    explained = _EXPLAINED.search(text)
    text = text[: explained.start()] if explained else text
    text = _POLITE_END.sub("", text.replace(OPEN, "").replace(CLOSE, ""))
    text = text.strip(_QUOTES).rstrip(".。!； ").strip(_QUOTES)
    return text if text.strip("{} ") and len(text) <= PHRASE_CHARACTERS else ""


def _marked(sentence: Sentence) -> StatementOutcome | None:
    text = sentence.text
    if QUESTION.search(text) or HYPOTHETICAL.search(text):
        return None
    for noun in NOUNS.finditer(text):
        for language in map(grammar, languages_of("answers", noun[0].lower())):
            if is_spoken_of(text, noun.span()):
                continue
            if is_supposed(text[: noun.start()], language):
                return Unstated(UNSURE, sentence.start)
            lead = language.first_link.match(text, noun.end())
            if lead is None:
                continue
            phrase = phrase_of(text[_link_end(text, noun.end(), language) or lead.end() :])
            if language.negator.search(lead[0]) or language.negator.match(phrase):
                return Unstated(DENIED, sentence.start)
            if language.hedge.search(lead[0]) or language.hedge.match(phrase):
                return Unstated(UNSURE, sentence.start)
            if phrase:
                return Stated(phrase, "stated", sentence.start)
    return None


def _link_end(text: str, start: int, language: LanguagePatterns) -> int | None:
    """The end of the link after a noun, with its adverbs; an article belongs to the phrase."""
    lead = language.lead.match(text, start)
    if lead is None:
        return None
    adverbs = _ADVERBS.match(text, lead.end())
    return adverbs.end() if adverbs else lead.end()
