"""Reads sentences that name the answer.

The noun is before the value (``the answer is 7``) or after it (``7 is the correct answer``), or the
sentence calls a value right (``B is correct``), or corrects a value. A value that is denied, hedged,
attributed to somebody else, an example of a format, or one of several alternatives is not stated.
"""

from __future__ import annotations

# ruff: noqa: RUF001 - characters of other scripts are what this file is about
import re
from collections.abc import Iterator
from itertools import islice

from pacore.core.grading.extraction.boxes import ChoiceReader
from pacore.core.grading.extraction.clauses import (
    DENIED,
    DERIVED,
    LIMITED_NEXT,
    NEGATORS,
    NOT_BEFORE,
    NOUNS,
    QUESTION,
    SEVERAL_ANSWERS,
    UNSURE,
    Doubt,
    Stated,
    StatementOutcome,
    Unstated,
    single_value,
    unlisted,
    with_list,
)
from pacore.core.grading.extraction.numerals import in_words
from pacore.core.grading.extraction.patterns import (
    CLOSE,
    MARK,
    LanguagePatterns,
    WordList,
    Words,
    any_of,
    grammar,
    has_letter_spaces,
    languages_of,
    words_of,
)
from pacore.core.grading.extraction.quotations import (
    ADOPTED,
    ATTRIBUTED,
    CHECKING,
    HYPOTHETICAL,
    NUMBERED,
    OTHERS,
    QUOTED,
    QUOTING,
    SUPERSEDED,
    clause_after,
    is_committed,
    is_limited,
    is_spoken_of,
    is_supposed,
)
from pacore.core.grading.extraction.sentences import Sentence
from pacore.core.grading.extraction.values import FoundValue, MathReader, ValueReader

ZONE_CHARACTERS = 200
"""Most characters between a noun and its value."""

PLACES_A_SENTENCE = 24
"""Number of nouns of a sentence that are read."""

VALUES_AFTER_A_NOUN = 8

_HEDGE_CHARACTERS = 30

Span = tuple[int, int]

_NOT_STATING = HYPOTHETICAL, SUPERSEDED, CHECKING

_CHAIN = Words(
    r"[^;]{0,80}?(?:\bwhich (?:equals|is equal to|is|gives|rounds(?: up| down)? to|simplifies to"
    r"|reduces to|can be"
    r" (?:simplified|written|rounded|reduced) (?:to|as))|=)\s*"
)

_CONTRAST = Words(
    r"[\s,;.–—]*(?:(?:but|rather|instead|sondern|sino|mais|mas|bensì|ma|а|але|而是|lecz|utan|maar)\b[\s,]*"
    r"(?:(?:rather|instead|sim|it is|it['’]s|es|esto|c'est)\s+)?|it is\s+|it['’]s\s+)"
)

_GIVING = Words(
    r"\b(?:get|gets|got|obtain\w*|giv(?:e|es|ing)|gave|yield\w*|find|found|arriv(?:e|es|ed) at"
    r"|leav(?:es|ing)|have|with)(?: us)?\W*$"
)

_FOUND = Words(
    r"\b(?:i|we)(?:['’]ve)?\s(?:(?:then|finally|thus|therefore)\s)?"
    r"(?:get|got|obtain(?:ed)?|find|found|reach(?:ed)?|arrived? at|have)\s(?:\w+\s){0,2}$"
)

_OF = Words(rf"\s+of{MARK}*")

_AS = Words(r"(?:\s*[^\W\d_]{1,20}){0,3}?\W*\bas\W+")

_UNDECIDED = Words(
    r"(?:\b(?:cannot|not|unable to)|n['’]t) (?:tell|decide|say|know)\b[^.]{0,40}\b(?:which|whether)\b"
)

_PART = Words(r"\b(?:part|subpart|question|item)\s?\(?(?P<name>[a-z]|\d{1,2}|[ivx]{1,4})\b")

_DASH = re.compile(r"\s[-–—−]\s(?=[\d$])")

_CLAUSE = re.compile(r"\W*that\b|\s*[\"“«]")

_OPTIONS = WordList(words_of("options"))

_OWN = Words(r"\b(?:my|our|final|selected|chosen)\s(?:final\s)?$")

_RIGHTS = WordList(words_of("right"))

_IS_RIGHT = Words(
    rf"(?:\s*[^\W\d_]{{1,20}}){{0,2}}?[\s,)\]\"'”’{CLOSE}]*(?:{any_of(words_of('links'))})?"
    rf"(?:{MARK}|{any_of(words_of('fillers'))})*"
)

_CHOOSING = Words(
    any_of(words_of("choices"))
    + rf"(?:{MARK}|{any_of(words_of('options') + words_of('fillers') + words_of('answers'))})*$"
)

_NOT_CHOOSING = Words(
    rf"{any_of(words_of('negators'))}\s*(?:[^\W\d_]{{1,12}}\s+|[\u3040-\u9fff]{{1,4}}?)?"
    + _CHOOSING.expression
)
"""Ends before an option that is not chosen: ``no elijo``, ``不能选``."""

_SO = Words(rf"(?:{MARK}|{any_of(words_of('conclusions', 'en'))})*")

_IT_IS = Words(r"\W*\bit is\W*")

_CORRECTED_HERE = Words(rf"[\s,;.!–—…-]+{any_of(words_of('corrections'))}[\s,:;–—-]+")


def marked(sentence: Sentence, reader: ValueReader) -> StatementOutcome | None:
    """The outcome of a sentence that names the answer; None for one that names none."""
    text = sentence.text
    if QUESTION.search(text) or any(one.search(text) for one in _NOT_STATING):
        return None
    if _UNDECIDED.search(text):
        return Unstated(UNSURE, sentence.start)
    if len({part["name"].lower() for part in _PART.finditer(text)}) > 1:
        return Unstated(SEVERAL_ANSWERS, sentence.start)
    doubt: Doubt | None = None
    for name, noun in _named(text, reader):
        for read in (_after, _before):
            found = read(text, noun, grammar(name), reader)
            if isinstance(found, FoundValue):
                return Stated(found.text, "stated", sentence.start)
            doubt = doubt or found
    found = _called_right(text, reader)
    if isinstance(found, FoundValue):
        return Stated(found.text, "stated", sentence.start)
    doubt = doubt or found
    return None if doubt is None else Unstated(doubt.reason, sentence.start, doubt.value)


def _named(text: str, reader: ValueReader) -> Iterator[tuple[str, Span]]:
    """The languages and positions of nouns for the answer; the last position first."""
    found = [("answers", noun) for noun in NOUNS.finditer(text)]
    if isinstance(reader, ChoiceReader):
        for noun in _OPTIONS.finditer(text):
            around = text[max(0, noun.start() - 25) : noun.end() + 25]
            if _RIGHTS.search(around) or _OWN.search(text[: noun.start()]):
                found.append(("options", noun))
    found.sort(key=lambda place: -place[1].start())
    for field, noun in found[:PLACES_A_SENTENCE]:
        for name in languages_of(field, noun[0].lower()):
            yield name, noun.span()


def _after(
    text: str, noun: Span, language: LanguagePatterns, reader: ValueReader
) -> FoundValue | Doubt | None:
    """The value in NOUN LINK VALUE, with any words without a value between noun and link."""
    if is_spoken_of(text, noun):
        return None
    before = text[: noun[0]]
    found = _doubted(before, language) or _linked(text, noun, language, reader)
    is_doubted = isinstance(found, FoundValue) and not is_committed(before, language)
    return Doubt(UNSURE) if is_doubted else found


def _doubted(before: str, language: LanguagePatterns) -> Doubt | None:
    """Whether the words before a noun deny or suppose the statement about it."""
    if NOT_BEFORE.search(before):
        return Doubt(DENIED)
    return Doubt(UNSURE) if is_supposed(before, language) else None


def _linked(
    text: str, noun: Span, language: LanguagePatterns, reader: ValueReader
) -> FoundValue | Doubt | None:
    dash = _DASH.match(text, noun[1])
    if dash and (after_dash := reader.at(text, dash.end())):
        return _undenied(text, after_dash, language, reader)
    for value in islice(reader.values(text, noun[1]), VALUES_AFTER_A_NOUN):
        zone = text[noun[1] : value.start]
        if len(zone) > ZONE_CHARACTERS:
            return None
        if language.denied.search(zone):
            return _instead(text, value, language, reader)
        if any(one.search(zone) for one in (language.hedge, language.bound, LIMITED_NEXT)):
            return Doubt(UNSURE)
        is_next = _is_next(text[: noun[0]], zone, language)
        if not is_next and not language.link.search(zone):
            continue
        if language.negator.search(zone):
            return _instead(text, value, language, reader)
        if QUOTED.search(zone) and not ADOPTED.search(text):
            return None
        if not language.link.search(zone) and language.negator.search(
            clause_after(text, value.end)
        ):
            return Doubt(DENIED, value.text)
        return _undenied(text, value, language, reader)
    return _in_clause(text, noun, language, reader)


def _instead(
    text: str, denied: FoundValue, language: LanguagePatterns, reader: ValueReader
) -> FoundValue | Doubt:
    """The value that a sentence states in place of a denied one: ``is not 7 but 8``."""
    contrast = _CONTRAST.match(text, denied.end)
    other = None if contrast is None else reader.at(text, contrast.end())
    return Doubt(DENIED, denied.text) if other is None else _undenied(text, other, language, reader)


def _is_next(before: str, zone: str, language: LanguagePatterns) -> bool:
    """Whether a value follows a noun directly, with only ``zone`` between: ``I got the answer 54``."""
    is_found = _FOUND.search(before) is not None
    if is_found and _OF.fullmatch(zone):
        return True
    return language.gap.fullmatch(zone) is not None and (is_found or _opens(before, language))


def _opens(before: str, language: LanguagePatterns) -> bool:
    """Whether the noun begins its clause, or its language has no copula before the value."""
    clause = re.split(r"[,:;，、]", before)[-1]
    return language.has_final_verb or language.gap.fullmatch(clause) is not None


def _undenied(
    text: str, value: FoundValue, language: LanguagePatterns, reader: ValueReader
) -> FoundValue | Doubt:
    """A value with the list it begins; a Doubt where the following words deny it or offer another."""
    while (chain := _CHAIN.match(text[value.end :])) and not language.alternative.match(
        text, value.end
    ):
        other = reader.at(text, value.end + chain.end())
        if other is None:
            break
        value = other
    if (other := _corrected_here(text, value, reader)) is not None:
        value = other
    rest = text[value.end :]
    if language.denial.match(rest):
        return Doubt(DENIED, value.text)
    if language.has_final_verb and language.hedge.search(clause_after(rest, 0)):
        return Doubt(UNSURE)
    if isinstance(reader, MathReader) and language.bounded.match(rest):
        return Doubt(UNSURE)
    if _is_hedged_by_another(text, value, language, reader):
        return Doubt(SEVERAL_ANSWERS)
    return with_list(text, value, reader, language.alternative)


def _corrected_here(text: str, value: FoundValue, reader: ValueReader) -> FoundValue | None:
    """The value that corrects another in the same sentence: ``is 7, no, 8``."""
    cue = _CORRECTED_HERE.match(text, value.end)
    return None if cue is None else reader.at(text, cue.end())


def _is_hedged_by_another(
    text: str, value: FoundValue, language: LanguagePatterns, reader: ValueReader
) -> bool:
    """Whether another value is offered as possible right after a value: ``7, maybe 8``."""
    hedge = language.hedge.search(text[value.end : value.end + _HEDGE_CHARACTERS])
    if hedge is None:
        return False
    other = reader.at(text, value.end + hedge.end())
    return other is not None and other.text != value.text


def _in_clause(
    text: str, noun: Span, language: LanguagePatterns, reader: ValueReader
) -> FoundValue | Doubt | None:
    """The value in NOUN LINK CLAUSE: ``Answer: she has 3 + 4 = 7 apples``; also one in words."""
    lead = language.lead.match(text, noun[1])
    if lead is None:
        return None
    clause = text[lead.end() :]
    if language.negator.match(clause.lstrip()):
        return None
    if isinstance(reader, MathReader) and (worded := in_words(clause)) is not None:
        return FoundValue(worded, lead.end(), len(text))
    found = single_value(clause, reader)
    if not isinstance(found, FoundValue):
        return found
    is_sentence = lead[0].rstrip().endswith((":", "=")) or _CLAUSE.match(clause)
    is_result = found.is_computed or DERIVED.search(text[: lead.end() + found.start])
    if not is_sentence and not is_result:
        return None
    return found._replace(start=lead.end() + found.start, end=lead.end() + found.end)


def _before(
    text: str, noun: Span, language: LanguagePatterns, reader: ValueReader
) -> FoundValue | Doubt | None:
    """The value in VALUE LINK NOUN: ``7 + 5 = 12 is the correct answer``."""
    value = _last_before(text, noun[0], reader)
    if value is None or QUOTING.search(text[: value.start]):
        return None
    zone = text[value.end : noun[0]]
    is_near = len(zone) < ZONE_CHARACTERS // 5
    is_denied = language.negator.search(zone) or language.denial.match(text[noun[1] :])
    if is_near and (is_denied or NOT_BEFORE.search(text[: value.start])):
        return Doubt(DENIED, value.text)
    if is_near and (language.hedge.search(zone) or is_supposed(text[: value.start], language)):
        return Doubt(UNSURE)
    is_taken = _GIVING.search(text[: value.start]) and not ATTRIBUTED.search(text)
    if is_taken and (taken := _AS.match(zone)) and language.gap.fullmatch(zone[taken.end() :]):
        return unlisted(text, value, reader)
    is_between = language.gap.fullmatch(zone) and language.link.search(text[: value.start])
    if is_between or language.before.fullmatch(zone):
        return unlisted(text, value, reader)
    return None


def _last_before(text: str, end: int, reader: ValueReader) -> FoundValue | None:
    last = None
    for value in reader.values(text):
        if value.end > end:
            break
        last = value
    return last


def _called_right(text: str, reader: ValueReader) -> FoundValue | Doubt | None:
    """The value in VALUE LINK RIGHT: ``(C) is right``; for letters also VERB VALUE: ``we choose (C)``."""
    doubt: Doubt | None = None
    for right in _RIGHTS.finditer(text):
        value = _last_before(text, right.start(), reader)
        if value is None or QUOTING.search(text[: value.start]):
            continue
        zone = text[value.end : right.start()]
        if _IS_RIGHT.fullmatch(zone) and _is_predicate(right[0], zone):
            is_denied = (
                is_limited(text, right)
                or NEGATORS.search(text[value.end : right.end()])
                or NOT_BEFORE.search(text[: value.start])
                or _is_denied_after(text, right)
            )
            if not is_denied:
                return unlisted(text, value, reader)
            doubt = doubt or Doubt(DENIED, value.text)
    chosen = _chosen(text, reader) if isinstance(reader, ChoiceReader) else None
    is_denied = doubt is not None and isinstance(chosen, FoundValue) and chosen.text == doubt.value
    return doubt if is_denied else chosen or doubt


def _is_denied_after(text: str, right: re.Match[str]) -> bool:
    """Whether the words after "right" deny it; in languages with a final verb anywhere in the clause."""
    rest, clause = text[right.end() :], clause_after(text, right.end())
    return any(
        language.denial.match(rest) or (language.has_final_verb and language.negator.search(clause))
        for language in map(grammar, languages_of("right", right[0].lower()))
    )


def _is_predicate(right: str, zone: str) -> bool:
    """Whether "right" is a predicate of the value before it, with a copula where its language has one."""
    return not has_letter_spaces(right) or any(
        grammar(name).has_final_verb or grammar(name).copula.search(zone)
        for name in languages_of("right", right.lower())
    )


def _chosen(text: str, reader: ValueReader) -> FoundValue | Doubt | None:
    for value in reader.values(text):
        before = text[: value.start]
        if _SO.fullmatch(before) and _IT_IS.fullmatch(text, value.end):
            return value
        if not _CHOOSING.search(before) or NUMBERED.search(before) or OTHERS.search(before):
            continue
        if NOT_BEFORE.search(before) or _NOT_CHOOSING.search(before):
            return Doubt(DENIED, value.text)
        return with_list(text, value, reader)
    return None
