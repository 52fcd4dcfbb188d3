"""Reads the closing sentence of a text in which no sentence names the answer.

The last sentence other than courtesy and remarks decides. It is a value alone on its line, or it concludes
with exactly one value: with a word of conclusion (``So she has 7``), or because the text derives the value.
A value that is only mentioned is no answer.
"""

from __future__ import annotations

# ruff: noqa: RUF001 - characters of other scripts are what this file is about
import re
from collections.abc import Sequence

from pacore.core.grading.extraction.beside import differ_in_numbers
from pacore.core.grading.extraction.boxes import ChoiceReader
from pacore.core.grading.extraction.clauses import (
    DECISIVE,
    DENIED,
    DENIED_NEXT,
    DERIVED,
    HEDGED_NEXT,
    LIMITED_NEXT,
    NEGATORS,
    NO_STATEMENT,
    NOT_BEFORE,
    NOUNS,
    QUESTION,
    SEVERAL_ANSWERS,
    UNSURE,
    WORK_AHEAD,
    Doubt,
    Stated,
    StatementOutcome,
    Unstated,
    principal_values,
    single_value,
    with_list,
)
from pacore.core.grading.extraction.marks import marked
from pacore.core.grading.extraction.numerals import is_number_in_words
from pacore.core.grading.extraction.patterns import (
    CLOSE,
    WordList,
    Words,
    any_of,
    grammar,
    words_of,
)
from pacore.core.grading.extraction.quotations import (
    ATTRIBUTED,
    CITED,
    HYPOTHETICAL,
    QUOTING,
    SUPERSEDED,
    is_example,
    is_supposed,
)
from pacore.core.grading.extraction.sentences import Sentence
from pacore.core.grading.extraction.values import FoundValue, ValueReader

REMARKS = 8
"""Most remarks that may follow the closing sentence."""

SENTENCES_BEFORE = 40
"""Number of sentences before the closing one that are searched for its value."""

COURTESY = Words(
    r"\b(?:hope|let me know|feel free|help|assist|questions?|happy to|glad to|good luck|thank|clarif\w+"
    r"|explain|anything"
    r"|espero|hoffe|espère|spero|надеюсь)\b|希望|如有|谢谢"
)

_CONCLUSION = WordList(words_of("conclusions"))

_TOTALS = Words(
    r"\b(?:in total|altogether|in all|total|overall|insgesamt|au total|en total|no total|in totale"
    r"|toplam\w*|всего)\b"
    r"|一共|总共|總共|共"
)

_LEADS_ON = Words(
    r"\b(?:we|you|i|she|he|they) (?:need|have|must|should|can|could|will|now)\b"
    r"|\b(?:let's|let us|let me|we'll|i'll|next,)"
    r"|^\W*(?:\d{1,2}[.)]\s*)?(?:step|first|then|now|next|calculate|determine|find|multiply|add"
    r"|subtract|divide|to|given"
    r"|assume|suppose|if)\b"
    r"|\b(?:müssen|zunächst|nous devons|d'abord|tenemos que|necesitamos|primero|precisamos|dobbiamo"
    r"|нужно|сначала)\b"
    r"|需要|接下来|首先|まず|必要|먼저"
)

_STEP = Words(
    r"^\W*(?:\d{1,2}[.)]\s*)?(?:step|first|firstly|then|now|next|second|initially|d'abord|zuerst"
    r"|primero|сначала)\b"
)

_PERSONAL = Words(r"\b(?:i|i'm|i’m|you|your|you're)\b")

_UNDONE = re.compile(r"[\d\s.,()]*\d\s?(?:(?:[-−+*×·÷]|\\times|\\cdot)\s?\(*[\d.,]+\)*\s?)+")

_ASIDE = re.compile(r"\(.{18,}\)\W*")

_REMARKING = Words(
    r"^\W*(?:note|remark|observe|n\.b\.|p\.s\.)\b"
    r"|\b(?:check|checking|verify|verification|verified|indeed|to confirm|probe|vérification)\b"
    r"|验证|验算|検算|검산"
)

_ACTING = Words(r"\s*(?:has|have|had|will|can|could|gets|makes)\b")

_VERBS = (
    "has|have|had|makes|made|earns|earned|needs|needed|takes|took|gets|got|costs|spends|spent|pays|paid"
    "|saves"
    "|saved|leaves|left|gives|sold|sells|ate|eats|bought|buys|read|reads|uses|used|receives|received|weighs"
    "|drives|drove|runs|ran|walks|owes|scored|collected|hat|haben|kostet|tiene|gana|a|ha|tem|имеет|есть"
    "|有|剩下|需要"
)

_COMPARED = Words(
    r"\s*(?:\w+\s){0,2}?(?:earlier|later|(?:more|less|fewer|[a-z]{3,}er)\b(?:\s\w+){0,3}\s+than)\b"
)

_VERB = Words(rf"(?:{any_of(words_of('links'))}|{any_of(_VERBS.split('|'))})\W*(?:\w+\W+){{0,2}}$")

_UNBOUNDED = Words(r"\s*\+|.*\b(?:or (?:more|less|fewer|above|below)|at (?:most|least))\b")

_STIPULATED = Words(r"^\W*(?:let|suppose|assume|denote|define|set|given)\b[^,]*$")

_ABOUT_ITSELF = Words(r"^\W*(?:this|the) (?:question|problem|exercise|task|puzzle)\b")

_PARTIAL = Words(r"\b(?:so far|previous step|partial|intermediate|preliminary|tentative)\b")

_GUESS = Words(r"\b(?:first|initial|original|early) (?:guess|attempt|try|thought|idea|estimate)\b")

_ATTEMPT = Words(r"\W*(?:method|approach|way|case|attempt|reference|response|reading)\s?\d")

_USED_ON = Words(
    r".{0,60}?\bwhich (?:is|are|will be|must be|should be|can be) (?:then )?"
    r"(?:subtracted|added|multiplied|divided|used|needed)\b"
    r"|(?:\s\w+)?,?\s+(?:and\s+)?(?:then|next|step \d)\b"
)

_SAYING = Words(rf"\W*{any_of(words_of('links'))}")

_OPTION_FIRST = Words(
    rf"\W*(?:{any_of(words_of('options') + words_of('answers'))}|(?:it|that)(?:['’]s| is"
    rf"| must be| has to be)|i(?:['’]d| would) say)\W*"
)

_NOTE = r"(?:\s*[(\[][^()\[\]]{1,60}[)\]])?"

_IN_ALL = r"(?:\s+(?:in total|altogether|in all|left|remaining|(?:per|each|a|every) [a-z]+))?"

_OF_IT = rf"(?:\W*[^\W\d_]+){{0,2}}{_IN_ALL}"

_LEAD = Words(
    r"(?:A\s?:)?(?:=+>|[-–]+>|[\s=:→⇒∴*])*(?:(?:about|approximately|approx\.?|roughly|around|exactly)\s)?"
)

_ALONE = re.compile(rf"{_NOTE}{_OF_IT}{_NOTE}\W*")


def closing(found: Sequence[Sentence], reader: ValueReader) -> StatementOutcome:
    """The outcome of the last sentence, without remarks and courtesy after it."""
    reason = Unstated(NO_STATEMENT, 0)
    for index in range(len(found) - 1, max(-1, len(found) - 2 - REMARKS), -1):
        is_remark = _is_remark(found[index])
        outcome = None if is_remark else _concluded(found, index, reader)
        if isinstance(outcome, Stated):
            return outcome
        reason = outcome or reason
        if not is_remark and not _is_without_value(found[index], reader):
            break
    return _first_line(found, reader) or reason


def bare_value(text: str, reader: ValueReader) -> FoundValue | Doubt | None:
    """The value of a line that is a value, with a unit or a note, or an equation; else None."""
    value = reader.at(text, _lead_end(text))
    if isinstance(reader, ChoiceReader):
        if value is None and (option := _OPTION_FIRST.match(text)):
            value = reader.at(text, option.end())
        return value if value and _is_option_line(text, value) else None
    values = list(reader.values(text))
    if value is None and values and values[-1].is_computed:
        value = values[0] if len(values) > 1 and values[0].is_computed else values[-1]
    if value is None and is_number_in_words(text):
        return FoundValue(text.strip(" .*!"), 0, len(text))
    if value is None:
        return None
    whole = with_list(text, value, reader)
    if isinstance(whole, Doubt):
        return whole
    rest = text[whole.end :]
    is_undone = "=" in rest or _UNDONE.fullmatch(whole.text) or _UNBOUNDED.match(rest)
    return whole if _ALONE.fullmatch(rest) and not is_undone and not NEGATORS.search(rest) else None


def has_line(found: Sequence[Sentence], index: int) -> bool:
    """Whether a sentence is alone on its line."""
    line = found[index].line
    return not any(found[at].line == line for at in (index - 1, index + 1) if 0 <= at < len(found))


def _lead_end(text: str) -> int:
    lead = _LEAD.match(text)
    return lead.end() if lead else 0


def _is_option_line(text: str, value: FoundValue) -> bool:
    """Whether a line is an option: its letter, alone or with its text after a bracket or period."""
    rest = text[value.end :]
    if not rest.strip(" .*\"'”’»」"):
        return True
    is_marked = text[value.end - 1] in ").]）" or rest[:1] in ").:"
    is_about_it = _SAYING.match(rest) is not None
    return is_marked and not is_about_it and re.search(r"(?<!\w)[A-J][).]", rest) is None


def _first_line(found: Sequence[Sentence], reader: ValueReader) -> Stated | None:
    """An answer alone on the first line, before its explanation; else None."""
    if not found or not has_line(found, 0) or QUESTION.search(found[0].text):
        return None
    first = found[0].text
    value = bare_value(first, reader)
    if not isinstance(value, FoundValue) or value.start > _lead_end(first) + 2:
        return None
    if isinstance(reader, ChoiceReader) and _is_one_of_many(found, 0, value, reader):
        return None
    return Stated(value.text, "first_line", found[0].start)


def _is_remark(sentence: Sentence) -> bool:
    """Whether a sentence is a remark, whatever values it has: a check, a note, a citation."""
    text = sentence.text
    return any((_ASIDE.fullmatch(text), _REMARKING.search(text), CITED.match(text)))


def _is_without_value(sentence: Sentence, reader: ValueReader) -> bool:
    """Whether a sentence without a value may follow the closing one; not if it announces more work."""
    text = sentence.text
    if next(iter(reader.values(text)), None) is not None:
        return False
    if COURTESY.search(text):
        return True
    return not QUESTION.search(text) and not _LEADS_ON.search(text)


def _concluded(
    found: Sequence[Sentence], index: int, reader: ValueReader
) -> StatementOutcome | None:
    """The outcome of a sentence as the closing one; None where it has no value."""
    sentence = found[index]
    if QUESTION.search(sentence.text) or _STIPULATED.search(sentence.text):
        return None
    if sentence.text.count('"') % 2:
        # Part of a quotation of several sentences.
        return None
    bare = bare_value(sentence.text, reader)
    if isinstance(bare, Doubt):
        return Unstated(bare.reason, sentence.start)
    if bare is not None and has_line(found, index):
        is_copied = isinstance(reader, ChoiceReader) and _is_one_of_many(found, index, bare, reader)
        return None if is_copied else Stated(bare.text, "final_line", sentence.start)
    if NOUNS.search(sentence.text):
        # Statements of an answer were read before; this sentence only mentions one.
        spoken = marked(sentence, reader)
        if isinstance(spoken, Unstated):
            return spoken
        if any(one.search(sentence.text) for one in (HYPOTHETICAL, SUPERSEDED, QUOTING)):
            return None
    return _conclusion(found, index, reader)


def _is_one_of_many(
    found: Sequence[Sentence], index: int, bare: FoundValue, reader: ValueReader
) -> bool:
    """Whether a line is one of several options with their texts, as in a copied list."""
    if found[index].bold or not found[index].text[bare.end :].strip(" .*"):
        return False
    lines = [one.text for one in found if one.line != found[index].line]
    others = [value for line in lines if (value := bare_value(line, reader)) is not None]
    return any(isinstance(other, FoundValue) and other.text != bare.text for other in others)


def _conclusion(
    found: Sequence[Sentence], index: int, reader: ValueReader
) -> StatementOutcome | None:
    """The one value that a sentence concludes with; None where it does not."""
    sentence, text = found[index], found[index].text
    if index and _ATTEMPT.match(text) and differ_in_numbers(found[index - 1], sentence):
        return Unstated(SEVERAL_ANSWERS, sentence.start)
    conclusions = list(_CONCLUSION.finditer(text))
    begin = conclusions[-1].end() if conclusions else 0
    if next(iter(reader.values(text[begin:])), None) is None:
        begin = 0
    value = single_value(text[begin:], reader, sentence.bold)
    if not isinstance(value, FoundValue):
        return None if value is None else Unstated(value.reason, sentence.start)
    before = text[begin:][: value.start]
    is_doubted = is_supposed(text[:begin] + before, grammar("en"))
    if is_doubted or HEDGED_NEXT.search(before) or LIMITED_NEXT.search(before):
        return Unstated(UNSURE, sentence.start)
    if NOT_BEFORE.search(before) or DENIED_NEXT.search(before):
        return Unstated(DENIED, sentence.start, value.text)
    whole = value._replace(start=begin + value.start, end=begin + value.end)
    if _is_by_the_way(text, whole) or _is_step(text, whole, is_concluding=bool(conclusions)):
        return None
    if conclusions or _is_supported(found, index, value, reader):
        return Stated(value.text, "concluded", sentence.start)
    return None


def _is_by_the_way(text: str, value: FoundValue) -> bool:
    """Whether a value is attributed to somebody, partial, the subject of a verb, or used further on."""
    before, after = text[: value.start], text[value.end :]
    is_somebodys = any(one.search(text) for one in (ATTRIBUTED, _PARTIAL, _GUESS))
    return bool(is_somebodys or _ACTING.match(after) or _USED_ON.match(after)) or (
        not value.is_computed and is_example(before)
    )


def _is_step(text: str, value: FoundValue, is_concluding: bool) -> bool:
    """Whether a value belongs to an intermediate step."""
    if _UNDONE.fullmatch(value.text):
        return True
    is_ahead = WORK_AHEAD.search(text) or NOUNS.search(text)
    is_step = not is_concluding and _STEP.search(text)
    return not value.is_computed and bool(is_ahead or is_step)


def _is_supported(
    found: Sequence[Sentence], index: int, value: FoundValue, reader: ValueReader
) -> bool:
    """Whether the text derives a value that follows no word of conclusion.

    The value is in bold, the last side of an equation, at the end of the sentence, a total, the only
    value, or the value of an earlier equation or line. An option's letter has to be in bold.
    """
    sentence = found[index]
    if _ABOUT_ITSELF.match(sentence.text) and not value.is_computed:
        return False
    if sentence.bold or isinstance(reader, ChoiceReader):
        return bool(sentence.bold)
    before, after = sentence.text[: value.start], sentence.text[value.end :]
    is_last = not after.strip(f" .!{CLOSE}") and DECISIVE.search(before)
    is_derived = DERIVED.search(before) and not _COMPARED.match(after)
    if value.is_computed or is_last or is_derived:
        return True
    values = list(reader.values(sentence.text))
    if len({one.text for one in principal_values(sentence.text, values)}) > 1:
        return False
    if _TOTALS.search(sentence.text) and not NEGATORS.search(before):
        return True
    others = [one for one in found if one is not sentence]
    if all(COURTESY.search(one.text) or CITED.match(one.text) for one in others):
        is_said = _VERB.search(before) is not None and not _COMPARED.match(after)
        return is_said and not _PERSONAL.search(sentence.text)
    earlier = found[max(0, index - SENTENCES_BEFORE) : index]
    return any(_comes_to(one, value, reader) for one in earlier)


def _comes_to(sentence: Sentence, value: FoundValue, reader: ValueReader) -> bool:
    """Whether an earlier sentence has worked out this value, or is a line with nothing else."""
    is_line = isinstance(bare_value(sentence.text, reader), FoundValue)
    return any(
        (one.is_computed or is_line) and _digits(one) == _digits(value)
        for one in reader.values(sentence.text)
    )


def _digits(value: FoundValue) -> str:
    return re.sub(r"[^\d./,\\{}a-z-]", "", value.text.split(" ")[0])
