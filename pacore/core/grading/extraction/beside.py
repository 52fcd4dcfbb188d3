"""Reads statements of two sentences: a heading, ``This is the answer.``, a correction, a list.

The sentences of a text are read from the last to the first, each by itself and then with an adjacent one.
"""

from __future__ import annotations

# ruff: noqa: RUF001 - characters of other scripts are what this file is about
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from pacore.core.grading.extraction.clauses import (
    NOUNS,
    QUESTION,
    SEVERAL_ANSWERS,
    WITHDRAWN,
    WORK_AHEAD,
    Doubt,
    Stated,
    StatementOutcome,
    Unstated,
    single_value,
)
from pacore.core.grading.extraction.marks import marked
from pacore.core.grading.extraction.patterns import MARK, Words, any_of, words_of
from pacore.core.grading.extraction.sentences import Sentence
from pacore.core.grading.extraction.values import FoundValue, ValueReader

_HEADING = Words(
    rf"(?:{MARK}|#|{any_of(words_of('fillers') + words_of('links') + words_of('conclusions'))})*"
)

_POINTING_BACK = Words(
    r"^\W*(?:(?:and|so|thus|therefore),? )?(?:this|that|which|it|das|dies|c'est|ceci|esto|esta|este"
    r"|isso|essa|questo"
    r"|questa|это)\b|^\W*(?:这|這)"
)

_NOT_ENGLISH = Words(any_of(words_of("negators", "en")))

_CORRECTION = Words(
    rf"\W*(?:(?:no|oh|but|well|hmm)\W+)?{any_of(words_of('corrections'))}\s*[,:;.!–—-]"
)

_CORRECTED = Words(
    rf"(?:{MARK}|{any_of([*words_of('corrections'), *words_of('links'), *words_of('fillers', 'en')])}"
    r"|no|not|rather|['’]s\b)*|[^\d]{0,80}?:\W*"
)

_RETRACTED = Words(
    r"^\W*(?:wait|no|hmm|actually|sorry|oops)?\W*(?:but )?(?:that|this|it|the (?:above"
    r"|previous)(?: answer)?)"
    r"(?:(?:'s|’s| is| was| seems| looks)\s+(?:not (?:right|correct)|wrong|incorrect"
    r"|a mistake"
    r"|an error)|\s(?:cannot|can['’]t) be (?:right|correct|true)\b)"
    r"|^\W*(?:however|but),? (?:this|that|it) is not (?:the|what|our)\b"
    r"|^\W*(?:scratch|ignore|forget|disregard) (?:that|this|the above)\b"
    r"|^\W*(?:wait|oops|sorry)\W+i (?:made|have made) (?:a mistake|an error)"
)


def marked_outcomes(found: Sequence[Sentence], reader: ValueReader) -> Iterator[StatementOutcome]:
    """The outcomes of sentences that name, correct or withdraw the answer; the last first."""
    for index in range(len(found) - 1, -1, -1):
        outcome = marked(found[index], reader)
        if outcome is not None and index and differ_in_numbers(found[index - 1], found[index]):
            outcome = Unstated(SEVERAL_ANSWERS, found[index].start)
        outcome = outcome or _beside(found, index, reader)
        if outcome is not None:
            yield outcome


def is_heading(sentence: Sentence) -> bool:
    """Whether a sentence is only a noun for the answer, which follows it."""
    noun = NOUNS.search(sentence.text)
    if noun is None or "{" in sentence.text:
        # A blank box after the noun is a placeholder for the answer.
        return False
    around = sentence.text[: noun.start()], sentence.text[noun.end() :]
    return all(_HEADING.fullmatch(part) for part in around)


def _beside(found: Sequence[Sentence], index: int, reader: ValueReader) -> StatementOutcome | None:
    """The outcome of a sentence with an adjacent one: a heading, ``This is the answer.``, a correction."""
    sentence = found[index]
    is_named = NOUNS.search(sentence.text) is not None
    if is_named and is_heading(sentence) and index + 1 < len(found):
        following = found[index + 1]
        value = single_value(following.text, reader, following.bold)
        is_asked = QUESTION.search(following.text) is not None
        return _stated(value, sentence) if not is_asked else None
    if is_named and index and _points_back(sentence):
        before = found[index - 1]
        value = single_value(before.text, reader, before.bold)
        is_ahead = WORK_AHEAD.search(before.text) is not None
        is_result = isinstance(value, FoundValue) and (value.is_computed or not is_ahead)
        return _stated(value, sentence) if is_result else None
    if _RETRACTED.search(sentence.text):
        return _corrected(sentence, reader) or Unstated(WITHDRAWN, sentence.start)
    return _corrected(sentence, reader)


def _stated(value: FoundValue | Doubt | None, sentence: Sentence) -> Stated | None:
    return Stated(value.text, "stated", sentence.start) if isinstance(value, FoundValue) else None


def _points_back(sentence: Sentence) -> bool:
    """Whether a sentence refers to the one before it as the answer: ``This is the final answer.``"""
    text = sentence.text
    is_short = len(text) < 80 and NOUNS.search(text) is not None
    return is_short and bool(_POINTING_BACK.search(text)) and not _NOT_ENGLISH.search(text)


def _corrected(sentence: Sentence, reader: ValueReader) -> Stated | None:
    """The answer in a correction of an earlier one: ``Wait, no: 12``; else None."""
    text = sentence.text
    cue = _CORRECTION.match(text)
    if cue is None or QUESTION.search(text):
        return None
    values = list(islice(reader.values(text, cue.end()), 2))
    if len(values) != 1 or not _CORRECTED.fullmatch(text[cue.end() : values[0].start]):
        return None
    return Stated(values[0].text, "stated", sentence.start)


_NUMBER_OR_LETTER = re.compile(r"\d+|\b[A-J]\b")


def differ_in_numbers(one: Sentence, two: Sentence) -> bool:
    """Whether two sentences differ only in numbers or letters, as in a list of answers."""
    first, second = (re.sub(r"^\d{1,3}[.)]\s", "", sentence.text) for sentence in (one, two))
    return first != second and _NUMBER_OR_LETTER.sub("0", first) == _NUMBER_OR_LETTER.sub(
        "0", second
    )
