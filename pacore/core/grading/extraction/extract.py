"""Extracts the answer that a conclusion finally states.

The text is untrusted: every scan takes linear time, and reads no more than the last `TAIL_CHARACTERS` of
a conclusion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Literal, NamedTuple

from pacore.core.grading.extraction.beside import is_heading, marked_outcomes
from pacore.core.grading.extraction.boxes import (
    Boxes,
    ChoiceReader,
    Tagged,
    choice_letter,
    find_boxes,
    is_blank,
    tagged,
)
from pacore.core.grading.extraction.clauses import (
    DENIED,
    HEDGED_NEXT,
    LIMITED_NEXT,
    NEGATORS,
    NO_STATEMENT,
    NOUNS,
    QUESTION,
    SEVERAL_ANSWERS,
    UNSURE,
    WITHDRAWN,
    Doubt,
    Stated,
    StatementOutcome,
    Unstated,
    single_value,
)
from pacore.core.grading.extraction.closings import closing
from pacore.core.grading.extraction.marks import marked
from pacore.core.grading.extraction.patterns import Words, any_of, words_of
from pacore.core.grading.extraction.phrases import closing_phrase, last_phrase, phrase_of
from pacore.core.grading.extraction.quotations import is_example
from pacore.core.grading.extraction.sentences import (
    SENTENCE_CHARACTERS,
    Sentence,
    prepared,
    sentences,
)
from pacore.core.grading.extraction.values import FoundValue, MathReader, ValueReader
from pacore.core.grading.programs.program import Wanted, extract_program
from pacore.core.grading.spec import parse_spec

ExtractionMethod = Literal[
    "boxed",
    "tagged",
    "stated",
    "concluded",
    "final_line",
    "first_line",
    "program",
    "conclusion",
    "choice",
]
"""How an answer was found. ``choice`` occurs in earlier tables only.

- ``boxed``: in the last box, `find_boxes`; ``tagged``: between tags, after ``####`` or in JSON
- ``stated``: in a sentence that names the answer; ``concluded``: in the closing sentence
- ``final_line``, ``first_line``: alone on its line
- ``program``: `extract_program`; ``conclusion``: the whole text, for a judge's opinion
"""

EXTRACTION_VERSION = "2"
"""Incremented with every change that may extract another answer."""

TAIL_CHARACTERS = 1_000_000
"""Characters of a conclusion's end that are searched for boxes."""

WORDS_A_TAG = 3
"""Most words between tags that count as an answer without a value."""

NEXT_PROBLEMS = 8
"""Number of headings of another problem that are checked."""

END_CHARACTERS = 2_000
"""Characters of a conclusion's end that are read first."""

STATEMENT_CHARACTERS = 50_000
"""Characters of a conclusion's end that are searched for statements outside of boxes."""

OPEN_BOX = "box left open"

EMPTY_BOX = "box is empty"

NO_PROGRAM = "no program"


class Extracted(NamedTuple):
    """An answer as the model wrote it (for a choice the upper-case letter), and how it was found."""

    text: str
    method: ExtractionMethod


class NoAnswer(NamedTuple):
    """The reason why no answer was extracted, in a few words for the user."""

    reason: str


def extract(
    conclusion: str, spec: str, wanted: Wanted | None = None, *, is_cut: bool = False
) -> Extracted | None:
    """Find the answer in a conclusion for the grader of ``spec``; None where there is none.

    `find_answer` gives the reason.
    """
    found = find_answer(conclusion, spec, wanted, is_cut=is_cut)
    return found if isinstance(found, Extracted) else None


def find_answer(
    conclusion: str, spec: str, wanted: Wanted | None = None, *, is_cut: bool = False
) -> Extracted | NoAnswer:
    r"""Find the answer in a conclusion for the grader of ``spec``, or the reason why there is none.

    Raises BadInput for an invalid spec only. ``wanted`` is what the tests of a program run; ``is_cut``:
    the conclusion was truncated at its token limit.

    - A box (`find_boxes`), a tag (``<answer>``, ``####``, JSON) and a sentence that names the answer
      state it; the last of them decides, and a sentence does not overrule a box in it.
    - Without any of them the closing sentence decides, where it concludes with one value.
    - Where a box after all of these is unclosed, the text was truncated within its answer: no answer.
    - ``choice``: the same for an option's letter. A box without a letter is the answer only if no
      letter is stated elsewhere.
    - ``code``: the program that `extract_program` finds, regardless of boxes.
    """
    grader = parse_spec(spec).name
    if grader == "code":
        program = extract_program(conclusion, wanted, is_cut=is_cut)
        return NoAnswer(NO_PROGRAM) if program is None else Extracted(program, "program")
    tail = conclusion[-TAIL_CHARACTERS:]
    if grader == "choice":
        return _choice_of(tail)
    reader = MathReader() if grader in ("math", "numeric") else None
    return _answer_of(_read(tail, reader), reader)


_WRAPPED = re.compile(
    r"\\(?:text\w{0,6}|math[a-z]{2}|mbox|boxed|fbox)\s*\{|(?<!\\)\}|\$|\\[()\[\]]"
)


class _Read(NamedTuple):
    """The part of a text that is searched for statements, its offset, and the boxes."""

    window: str
    offset: int
    boxes: Boxes


def _read(tail: str, reader: ValueReader | None, reads_before_box: bool = False) -> _Read:
    """A text from the line of its last box on, without other problems after its answer.

    The text before the last box is included where there is no box, or with ``reads_before_box``.
    """
    is_choice = isinstance(reader, ChoiceReader)
    plain = _WRAPPED.sub(lambda found: " " * len(found[0]), tail) if is_choice else tail
    begin = max(0, len(tail) - STATEMENT_CHARACTERS)
    end = _own_end(tail, plain, begin, reader)
    boxes = find_boxes(tail[:end])
    if boxes.last is not None and not reads_before_box:
        begin = max(begin, plain.rfind("\n", 0, boxes.start) + 1)
    return _Read(plain[begin:end], begin, boxes)


def _own_end(tail: str, plain: str, begin: int, reader: ValueReader | None) -> int:
    """The offset at which another problem begins after the answer; the text's end if none does."""
    for heading in islice(_NEXT_PROBLEM.finditer(plain, begin), NEXT_PROBLEMS):
        before = plain[begin : heading.start()]
        if find_boxes(tail[: heading.start()]).last is not None or _last_tagged(before, reader):
            return heading.start()
        if isinstance(_last_marked(sentences(prepared(before)), reader), Stated):
            return heading.start()
    return len(tail)


def _choice_of(tail: str) -> Extracted | NoAnswer:
    reader = ChoiceReader()
    read = _read(tail, reader)
    held = read.boxes.last
    letter = None if held is None else choice_letter(held) or _sentence_in(held, reader)
    if held is not None and letter is None:
        read = _read(tail, reader, reads_before_box=True)
    found = _answer_of(read._replace(boxes=read.boxes._replace(last=letter)), reader)
    if isinstance(found, NoAnswer) and held is not None and letter is None:
        return Extracted(held, "boxed")
    return found


def _sentence_in(held: str, reader: ValueReader | None) -> str | None:
    r"""The value that a box states in a sentence: ``\boxed{\text{The answer is 7}}``."""
    if reader is None or len(held) > SENTENCE_CHARACTERS or not NOUNS.search(held):
        return None
    found = _last_marked(sentences(prepared(_WRAPPED.sub(" ", held))), reader)
    return found.text if isinstance(found, Stated) else None


def _answer_of(read: _Read, reader: ValueReader | None) -> Extracted | NoAnswer:
    boxes = read.boxes
    found, marked_last = _marked_in(read, reader)
    candidates = list(_candidates(read, marked_last, reader))
    if boxes.open_at is not None:
        after = [one for one in candidates if one[0] > boxes.open_at]
        candidates = after or [one for one in candidates if one[1][-1] == "boxed"]
    if candidates:
        return max(candidates, key=lambda one: one[0])[1]
    if boxes.open_at is not None:
        return NoAnswer(OPEN_BOX)
    last = closing_phrase(found) if reader is None else closing(found, reader)
    if isinstance(last, Stated):
        return Extracted(last.text, last.method)
    if isinstance(marked_last, Unstated):
        return NoAnswer(marked_last.reason)
    return NoAnswer(EMPTY_BOX if boxes.is_empty and last.reason == NO_STATEMENT else last.reason)


def _marked_in(
    read: _Read, reader: ValueReader | None
) -> tuple[list[Sentence], StatementOutcome | None]:
    """The sentences of a text, and the outcome of the last one that names the answer.

    The end is read first, since most texts state their answer there.
    """
    begin = read.window.rfind("\n", 0, max(0, len(read.window) - END_CHARACTERS)) + 1
    if begin and not _REFERENCE.search(read.window):
        outcome = _last_marked(_sentences_from(read.window, begin), reader)
        if isinstance(outcome, Stated):
            return [], outcome
    found = own_sentences(_sentences_from(read.window, 0))
    return found, _last_marked(found, reader)


def _sentences_from(window: str, begin: int) -> list[Sentence]:
    found = sentences(prepared(window[begin:]))
    return [replace(one, start=begin + one.start) for one in found] if begin else found


def _candidates(
    read: _Read, marked_last: StatementOutcome | None, reader: ValueReader | None
) -> Iterator[tuple[int, Extracted | NoAnswer]]:
    """The statements of an answer, with their offsets."""
    boxes = read.boxes
    if boxes.last is not None:
        held = _sentence_in(boxes.last, reader) or boxes.last
        relabelled = _relabelled(read, reader)
        boxed = Extracted(held, "boxed") if relabelled is None else relabelled
        yield boxes.start, NoAnswer(SEVERAL_ANSWERS) if boxes.offers_several else boxed
    for outcome in (marked_last, _last_tagged(read.window, reader)):
        if isinstance(outcome, Stated):
            yield read.offset + outcome.start, Extracted(outcome.text, outcome.method)
        elif isinstance(outcome, Unstated) and outcome.reason in (SEVERAL_ANSWERS, WITHDRAWN):
            yield read.offset + outcome.start, NoAnswer(outcome.reason)


def _relabelled(read: _Read, reader: ValueReader | None) -> Extracted | None:
    r"""The final answer in the line after the last box: ``\boxed{2}, final answer: 3``; else None."""
    if reader is None or read.boxes.end <= read.offset:
        return None
    start = read.boxes.end - read.offset
    rest = read.window[start : start + SENTENCE_CHARACTERS].partition("\n")[0]
    label = _LABEL.match(rest)
    if label is None:
        return None
    outcome = marked(Sentence(rest[label.start("label") :], 0, 0), reader)
    return Extracted(outcome.text, "stated") if isinstance(outcome, Stated) else None


_LABEL = re.compile(r"[^.!?]{0,80}?(?P<label>\bfinal answer\s*(?:is\b|:))", re.IGNORECASE)


def _last_marked(found: Sequence[Sentence], reader: ValueReader | None) -> StatementOutcome | None:
    """The answer of the last sentence that states one, or the reason why the last one about it does not."""
    if reader is None:
        return last_phrase(found)
    failed: Unstated | None = None
    denied = set()
    for outcome in marked_outcomes(found, reader):
        if isinstance(outcome, Stated):
            withdrawn = outcome.text in denied
            return Unstated(WITHDRAWN, outcome.start) if withdrawn else outcome
        if outcome.reason in (SEVERAL_ANSWERS, WITHDRAWN):
            return outcome
        denied.add(outcome.value)
        failed = failed or outcome
    return failed


def _last_tagged(window: str, reader: ValueReader | None) -> StatementOutcome | None:
    """The answer in the last tag; consecutive tags with different answers offer several."""
    last: Stated | None = None
    end = 0
    for tag in reversed(tagged(window)):
        line = window[window.rfind("\n", 0, tag.start) + 1 : tag.start]
        held = None if is_example(line[-SENTENCE_CHARACTERS:]) else _held(tag, reader)
        if held is None:
            continue
        if isinstance(held, Doubt):
            return last or Unstated(held.reason, tag.start)
        if last is None:
            last, end = Stated(held, "tagged", tag.start), tag.start
        elif window[tag.end : end].strip(_SEPARATORS) or held == last.text:
            return last
        else:
            return Unstated(SEVERAL_ANSWERS, last.start)
    return last


def _held(tag: Tagged, reader: ValueReader | None) -> str | Doubt | None:
    """The answer in a tag: a box, a sentence, a value, or its text."""
    if is_blank(tag.text):
        return None
    is_choice = isinstance(reader, ChoiceReader)
    if (boxed := find_boxes(tag.text).last) is not None:
        return choice_letter(boxed) if is_choice else boxed
    if is_choice and (letter := choice_letter(tag.text)):
        return letter
    found = sentences(prepared(tag.text))
    stated = _last_marked(found, reader)
    if isinstance(stated, Stated) or not found:
        return stated.text if isinstance(stated, Stated) else None
    if reader is None:
        return phrase_of(found[-1].text) or None
    if stated is not None:
        return None
    value = single_value(found[-1].text, reader, found[-1].bold)
    if isinstance(value, FoundValue):
        return _qualified(found[-1].text, value) or value.text
    is_short = not is_choice and len(tag.text.split()) <= WORDS_A_TAG
    return tag.text if value is None and is_short else value


_DENYING_SIGN = re.compile(r"[¬≠!]\s*$")

_DENIED_AFTER = Words(rf"\s*(?:{any_of(words_of('links'))}\s*)?{any_of(words_of('negators'))}")


def _qualified(text: str, value: FoundValue) -> Doubt | None:
    """Why a tag with a value states no answer: words beside it deny it, doubt it, or make it a bound."""
    before, after = text[: value.start], text[value.end :]
    if NEGATORS.search(before) or _DENYING_SIGN.search(before) or _DENIED_AFTER.match(after):
        return Doubt(DENIED, value.text)
    is_limited = HEDGED_NEXT.search(before) or LIMITED_NEXT.search(before)
    return Doubt(UNSURE) if is_limited or QUESTION.match(after) else None


_NEXT_PROBLEM = re.compile(
    r"(?<=\n)[ \t#*_]{0,8}(?:Q|Question|Problem|Human|User|Exercise|Instruction|Example|问题|题目)"
    r"\s*\d{0,3}\s*[:.]",
    re.IGNORECASE,
)

_SEPARATORS = " \t\n{}[],;"

_REFERENCE = re.compile(r"^[ \t#*_]{0,8}(?:Reference|Response|参考)\s*\d+\W*$", re.I | re.M)

_OWN_VOICE = re.compile(
    r"\W*(?:in conclusion|based on|after (?:analy|review|compar|consider|check|examin)|overall|considering"
    r"|conclusion)",
    re.IGNORECASE,
)


def own_sentences(found: list[Sentence]) -> list[Sentence]:
    """The sentences of a text without copied references below headings such as ``Reference 1``.

    A copy ends at another kind of heading, or at a sentence that evaluates the references.
    """
    own: list[Sentence] = []
    is_copied = False
    for index, sentence in enumerate(found):
        if index and _REFERENCE.match(sentence.text):
            is_copied = True
        elif sentence.is_heading or (sentence.bold and is_heading(sentence)):
            is_copied = False
        else:
            is_copied = is_copied and not _OWN_VOICE.match(sentence.text)
        if not is_copied:
            own.append(sentence)
    return own
