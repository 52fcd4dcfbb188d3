"""Multiple choice (ARC, MMLU, MMLU-Pro, MedQA, GPQA): converted to one statement with letters.

The statement is the question, the options with the letters A to J, and an instruction; the gold
answer is the letter of the right option.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import zip_longest
from string import ascii_uppercase
from typing import Any, NamedTuple

from pacore.core.identity import digest
from pacore.core.problem import text_fault
from pacore.problems.parts import Field, ProblemParts
from pacore.problems.shapes.shape import RowFields, Shape, first_given, named, text_at, texts
from pacore.problems.turns import NoteIssue, kind_of, short_repr
from pacore.problems.values import is_nan, sole_item, text_of

LETTERS = ascii_uppercase[:10]

FEWEST = 2

INSTRUCTION = "Give the letter of the right option in \\boxed{}."

QUESTION_FIELDS = ("question", "problem", "prompt", "Question", "question_stem", "input", "query")

OPTION_FIELDS = ("options", "choices")

ANSWER_FIELDS = (
    "answer_index", "answer_idx", "answer_letter", "answerKey", "answer", "correct_answer",
    "correct_option",
)  # fmt: skip

PLACE_NAMES = ("index", "idx")
"""Endings of the names of fields with an option's index."""

LESS_CERTAIN_ANSWER_FIELDS = ("correct", "label", "Answer", "target")

ID_FIELDS = ("id", "question_id", "Record ID", "uuid")

LABEL_KEYS, TEXT_KEYS = ("label", "key"), ("text", "value", "content")

RIGHT = "Correct Answer"

_WRONG = re.compile(r"Incorrect Answer \d{1,2}")

_PLACE = re.compile(r"[0-9]{1,2}")

_OWN_LABEL = re.compile(r"\(?(?P<letter>[A-J])[).:]\s*(?=\S)")

_LABEL = re.compile(r"\(?(?P<label>\w{1,2})[).:]*")


class Option(NamedTuple):
    """An option: its label in the file (mostly a letter), its text, and whether the file has a number."""

    label: str
    text: str
    is_number: bool


def _is_choice(row: RowFields) -> bool:
    return _listed(row) is not None and _question(row) is not None


def _choice_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    question, listed = _question(row), _listed(row)
    assert question is not None and listed is not None
    answers = [Field(name, row[name]) for name in ANSWER_FIELDS if row.get(name) not in (None, "")]
    less_certain = first_given(row, LESS_CERTAIN_ANSWER_FIELDS)
    if not answers and less_certain is not None:
        answers = [less_certain]
    columns = LETTERS if listed.name == "A" else ()
    used = (question.name, listed.name, *columns, *(answer.name for answer in answers))
    problem_id, metadata = named(row, ID_FIELDS, used)
    parts = choice_parts(question, listed, answers, note)
    return replace(parts, problem_id=problem_id, metadata=metadata)


def _question(row: RowFields) -> Field | None:
    return next((Field(name, row[name]) for name in QUESTION_FIELDS if texts(row, name)), None)


def _listed(row: RowFields) -> Field | None:
    """The field with the options; columns A, B, … count as one field ``A``."""
    found = first_given(row, OPTION_FIELDS)
    if found is not None:
        listed = decoded_options(found.value)
        return Field(found.name, listed) if listed else None
    if "A" not in row:
        return None
    columns = [letter for letter in LETTERS if _is_given(row.get(letter))]
    if len(columns) < FEWEST or columns != list(LETTERS[: len(columns)]):
        return None
    return Field("A", {letter: row[letter] for letter in columns})


def _is_given(value: Any) -> bool:
    """Whether a column has an option; data frames have NaN for a missing one."""
    return value not in (None, "") and not is_nan(value)


def decoded_options(value: Any) -> list[Any] | Mapping[str, object] | None:
    """Options as a list or an object, decoded where they are JSON text; None for any other value."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list | Mapping) else None


def choice_parts(
    question: Field, listed: Field, answers: Sequence[Field], note: NoteIssue
) -> ProblemParts:
    """The parts of a question with options; all ``answers`` must name the same option."""
    options = _options(listed, note)
    right = _right_option(options, answers, note) if options else None
    statement = statement_of(question.value, [option.text for option in options])
    return ProblemParts(
        Field(question.name, statement),
        gold=None if right is None else Field(answers[0].name, LETTERS[right]),
        grader=Field("grader", "choice"),
    )


def statement_of(question: str, options: Sequence[str]) -> str:
    """The question, the options in order with their letters, and the instruction."""
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([question.strip(), "", *lines, "", INSTRUCTION])


def _options(listed: Field, note: NoteIssue) -> list[Option]:
    """The options in the file's order, sorted by label for an object; none, with a note, if unusable."""
    found = _labelled(listed.value)
    if not FEWEST <= len(found) <= len(LETTERS):
        note(listed.name, f"has {len(found)} options; from {FEWEST} to {len(LETTERS)}, A to J")
        return []
    options = []
    for label, value in found:
        text = str(value) if isinstance(value, int | float) else text_of(value) or ""
        text = text.strip()
        fault = text_fault(text)
        if is_nan(value) or not text or fault:
            what = fault or ("is empty" if value == "" else f"is {kind_of(value)}; must be text")
            note(f"{listed.name}.{short_repr(label)}", what)
            return []
        is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        options.append(Option(label, text, is_number))
    return _without_own_labels(options)


def _labelled(value: Any) -> list[tuple[str, Any]]:
    """Labels and values of options: of a list, of lists of labels and texts, of objects, of letters."""
    if isinstance(value, Mapping):
        labels, listed = (value.get(name) for name in ("label", "text"))
        if isinstance(labels, list) and isinstance(listed, list):
            # A text without a label is no option that an answer could name.
            pairs = zip_longest(labels, listed)
            return [(str(label), None if label is None else text) for label, text in pairs]
        return sorted((str(name), text) for name, text in value.items() if text is not None)
    found = []
    for letter, one in zip(ascii_uppercase, value, strict=False):
        label, text = None, one
        if isinstance(one, Mapping):
            label, text = first_given(one, LABEL_KEYS), first_given(one, TEXT_KEYS)
            text = None if text is None else text.value
        found.append((letter if label is None else str(label.value), text))
    return found


def _without_own_labels(options: list[Option]) -> list[Option]:
    """Options without a leading "A) ", where all of them have their letter there."""
    cut = []
    for letter, option in zip(LETTERS, options, strict=False):
        own = _OWN_LABEL.match(option.text)
        if own is None or own["letter"] != letter:
            return options
        cut.append(option._replace(text=option.text[own.end() :]))
    return cut


def _right_option(options: list[Option], answers: Sequence[Field], note: NoteIssue) -> int | None:
    """The index of the right option; None where it is not given, or, with a note, ambiguous."""
    found: dict[int, str] = {}
    for answer in answers:
        places = _places(options, answer)
        if len(places) != 1:
            named_ones = " and ".join(LETTERS[place] for place in sorted(places))
            which = f"may mean options {named_ones}" if places else "names none of the options"
            note(answer.name, f"{short_repr(answer.value)} {which}")
            return None
        found.setdefault(places.pop(), answer.name)
    if len(found) > 1:
        note(" and ".join(found.values()), "name different options")
        return None
    return next(iter(found), None)


def _places(options: list[Option], answer: Field) -> set[int]:
    """The indices of the options that an answer may mean.

    A text is a label, or else an option's text or an index. A number is an index, as in MMLU; where
    options are numbers it may also be one of them, unless its field is named as an index.
    """
    value = sole_item(answer.value)
    if isinstance(value, float | Decimal) and text_of(value) is not None and value == int(value):
        value = int(value)
    if not isinstance(value, str | int):
        return set()
    if isinstance(value, bool):
        value = str(value)
    text = str(value).strip()
    place = {int(text)} if _PLACE.fullmatch(text) and int(text) < len(options) else set()
    bare = _OWN_LABEL.sub("", text)
    same = {
        index
        for index, option in enumerate(options)
        if option.text == text or (option.text == bare and text.lstrip("(")[0] == LETTERS[index])
    }
    if isinstance(value, int):
        is_place = place and (
            answer.name.endswith(PLACE_NAMES) or not any(option.is_number for option in options)
        )
        return place if is_place else place | same
    label = _LABEL.fullmatch(text)
    labels = [option.label.casefold() for option in options]
    if label and labels.count(label["label"].casefold()) == 1:
        return {labels.index(label["label"].casefold())}
    return place | same


def _is_gpqa(row: RowFields) -> bool:
    return texts(row, "Question", RIGHT) and any(_WRONG.fullmatch(str(name)) for name in row)


def _gpqa_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    """The file has the right answer first, so the options are sorted by a digest of their texts."""
    question = text_at(row, "Question").strip()
    wrong = [str(name) for name in row if _WRONG.fullmatch(str(name)) and row[name] is not None]
    given = {name: text_at(row, name).strip() for name in (RIGHT, *wrong) if texts(row, name)}
    for name in wrong:
        if name not in given:
            note(name, f"is {kind_of(row[name])}; must be text")
        elif given[name] == given[RIGHT]:
            note(name, "is the same as the correct answer")
    options = sorted(given.values(), key=lambda option: digest([question, option]))
    if not FEWEST <= len(options) <= len(LETTERS):
        note(RIGHT, f"is one of {len(options)} options; from {FEWEST} to {len(LETTERS)}, A to J")
        options = options[: len(LETTERS)]
    problem_id, metadata = named(row, ID_FIELDS, ("Question", *given))
    right = options.index(given[RIGHT]) if given[RIGHT] in options else 0
    return ProblemParts(
        Field("Question", statement_of(question, options)),
        gold=Field(RIGHT, LETTERS[right]),
        grader=Field("grader", "choice"),
        problem_id=problem_id,
        metadata=metadata,
    )


CHOICE = Shape("multiple choice", _is_choice, _choice_parts)

GPQA = Shape("GPQA", _is_gpqa, _gpqa_parts)
