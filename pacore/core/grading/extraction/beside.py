"""What a sentence says by the one beside it: a heading, ``This is the answer.``, a correction, a list.

The sentences of a text are read from the last to the first, each by itself and then with its neighbour.
"""

from __future__ import annotations

# ruff: noqa: RUF001 - characters of other scripts are what this file is about
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from pacore.core.grading.extraction.clauses import SEVERAL, WITHDRAWN, Doubt, single_value
from pacore.core.grading.extraction.marks import (
    NOUNS,
    QUESTION,
    WORK_AHEAD,
    Outcome,
    Stated,
    Unstated,
    marked,
)
from pacore.core.grading.extraction.patterns import MARK, Words, any_of, words_of
from pacore.core.grading.extraction.sentences import Sentence
from pacore.core.grading.extraction.values import Reader, Value

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


def marked_outcomes(found: Sequence[Sentence], reader: Reader) -> Iterator[Outcome]:
    """What the sentences say that name the answer, correct it or take it back; the last first."""
    for index in range(len(found) - 1, -1, -1):
        outcome = marked(found[index], reader)
        if outcome is not None and index and differ_in_numbers(found[index - 1], found[index]):
            outcome = Unstated(SEVERAL, found[index].start)
        outcome = outcome or _beside(found, index, reader)
        if outcome is not None:
            yield outcome


def is_heading(sentence: Sentence) -> bool:
    """Whether a sentence is nothing but the name of the answer that follows it."""
    noun = NOUNS.search(sentence.text)
    if noun is None or "{" in sentence.text:
        # Behind the name of the answer a blank box holds its place.
        return False
    around = sentence.text[: noun.start()], sentence.text[noun.end() :]
    return all(_HEADING.fullmatch(part) for part in around)


def _beside(found: Sequence[Sentence], index: int, reader: Reader) -> Outcome | None:
    """What a sentence says by the one beside it: a heading, ``This is the answer.``, a correction."""
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
        is_result = isinstance(value, Value) and (value.is_computed or not is_ahead)
        return _stated(value, sentence) if is_result else None
    if _RETRACTED.search(sentence.text):
        return _corrected(sentence, reader) or Unstated(WITHDRAWN, sentence.start)
    return _corrected(sentence, reader)


def _stated(value: Value | Doubt | None, sentence: Sentence) -> Stated | None:
    return Stated(value.text, "stated", sentence.start) if isinstance(value, Value) else None


def _points_back(sentence: Sentence) -> bool:
    """Whether a sentence calls the one before it the answer: ``This is the final answer.``"""
    text = sentence.text
    is_short = len(text) < 80 and NOUNS.search(text) is not None
    return is_short and bool(_POINTING_BACK.search(text)) and not _NOT_ENGLISH.search(text)


def _corrected(sentence: Sentence, reader: Reader) -> Stated | None:
    """What a correction puts in the place of an earlier answer: ``Wait, no: 12``."""
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
    """Whether two statements are the same sentence with other numbers or letters: a list of answers."""
    first, second = (re.sub(r"^\d{1,3}[.)]\s", "", sentence.text) for sentence in (one, two))
    return first != second and _NUMBER_OR_LETTER.sub("0", first) == _NUMBER_OR_LETTER.sub(
        "0", second
    )
