"""Rows with a statement and a short answer: pacore's own field names, and published sets of mathematics.

Plain rows are ``{id?, problem, answer?, grader?, …}`` and their synonyms. GSM8K, MATH and MATH-500,
NeMo-Skills and contest sets are sent unchanged, and but for their ids converted like plain rows, so
that the same statement is the same problem in all of these files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pacore.core.grading.extraction.boxes import find_boxes
from pacore.problems.golds import marked_gold
from pacore.problems.parts import Field, ProblemParts
from pacore.problems.shapes.shape import (
    RowFields,
    Shape,
    first_given,
    named,
    text_at,
    texts,
    without,
)
from pacore.problems.shapes.words import GOLD_WORDS, ID_WORDS, STATEMENT_WORDS, by_words
from pacore.problems.turns import NoteIssue, is_from_assistant, kind_of
from pacore.problems.values import sole_item

TEXT_FIELDS = ("problem", "question", "prompt")

TURNS_FIELDS = ("messages", "conversation", "prompt")

STATEMENT_FIELDS = tuple(dict.fromkeys(TEXT_FIELDS + TURNS_FIELDS))

GOLD_FIELDS = ("answer", "expected_answer", "ground_truth", "solution", "final_answer")

_TOPICS = ("subject", "type", "level")

_CONTEST_FIELDS = ("problem_idx", "problem_type", "competition")

MISSING = "missing; one of these is needed"


def plain_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    """The parts of a row by the names of plain rows; all other fields are metadata."""
    statement = _statement(row, note)
    others = other_parts(row)
    return ProblemParts(
        statement,
        others.gold,
        others.grader,
        others.problem_id,
        without(others.metadata, STATEMENT_FIELDS),
    )


def other_parts(row: RowFields) -> ProblemParts:
    """All parts but the statement, by the names of plain rows."""
    gold = _gold(row)
    used = ("id", "grader", gold.name if gold else "")
    return ProblemParts(
        statement=None,
        gold=gold,
        grader=first_given(row, ("grader",)),
        problem_id=first_given(row, ("id",)),
        metadata=without(row, used) if gold else without(row, used[:2]),
    )


def _gold(row: RowFields) -> Field | None:
    """The first field with a gold answer; ``final_answer`` precedes a ``solution`` that is a list."""
    gold = first_given(row, GOLD_FIELDS)
    if gold is not None and gold.name == "solution" and isinstance(gold.value, list):
        return first_given(row, ("final_answer", "solution"))
    return gold


def has_statement(row: RowFields) -> bool:
    """Whether a row has a field for the statement of a plain row."""
    return first_given(row, STATEMENT_FIELDS) is not None


def _statement(row: RowFields, note: NoteIssue) -> Field | None:
    """The field that states the problem; several with the same statement count as one."""
    given = [name for name in STATEMENT_FIELDS if row.get(name) is not None]
    usable = [
        Field(name, _read(name, row[name])) for name in given if _is_statement(name, row[name])
    ]
    if len(usable) > 1:
        usable = [field for field in usable if not _is_answered(field.value)] or usable
    if len({_statement_key(field.value) for field in usable}) == 1:
        return usable[0]
    if len(usable) > 1:
        names = " and ".join(field.name for field in usable)
        note(names, "only one of them is allowed; --fields without=NAME leaves one out")
    elif not given:
        note("|".join(STATEMENT_FIELDS), MISSING)
    elif len(given) > 1:
        note(" and ".join(given), "none of them is text or a list of turns")
    else:
        name = given[0]
        forms = {"text": name in TEXT_FIELDS, "a list of turns": name in TURNS_FIELDS}
        allowed = " or ".join(form for form, is_allowed in forms.items() if is_allowed)
        note(name, f"is {kind_of(row[name])}; must be {allowed}")
    return None


def _is_statement(name: str, value: Any) -> bool:
    """Whether a value has the type of a statement under this name: text, or a list of turns."""
    is_text = name in TEXT_FIELDS and isinstance(single(value), str | bytes)
    return is_text or (name in TURNS_FIELDS and isinstance(value, list))


def _read(name: str, value: Any) -> Any:
    return single(value) if name in TEXT_FIELDS else value


def single(value: Any) -> Any:
    """The text in a list of one text; any other value unchanged, also a list of one turn."""
    found = sole_item(value)
    return found if isinstance(found, str | bytes) else value


def _is_answered(value: Any) -> bool:
    """Whether the last turn is the assistant's, as in files for fine-tuning."""
    return isinstance(value, list) and bool(value) and is_from_assistant(value[-1])


def _statement_key(value: Any) -> str:
    """A text that is equal for equal statements; a text equals one user turn with it."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        turn = value[0]
        if turn.get("role", turn.get("from")) in ("user", "human"):
            value = turn.get("content", turn.get("value"))
    return repr(value.strip() if isinstance(value, str) else value)


def _is_conversation(row: RowFields) -> bool:
    return any(isinstance(row.get(name), list) for name in TURNS_FIELDS)


def _is_anything(row: RowFields) -> bool:
    del row
    return True


def _is_gsm8k(row: RowFields) -> bool:
    return texts(row, "question", "answer") and marked_gold(text_at(row, "answer")) is not None


def _is_math(row: RowFields) -> bool:
    """``{problem, solution, subject|type|level, …}``, with a box in the solution or an answer."""
    if not texts(row, "problem", "solution") or first_given(row, _TOPICS) is None:
        return False
    return row.get("answer") is not None or find_boxes(text_at(row, "solution")).last is not None


def _math_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    """The gold answer is ``answer``, else the solution; ``unique_id`` gives a readable id."""
    parts = plain_parts(row, note)
    if parts.problem_id is None and texts(row, "unique_id"):
        problem_id, _ = named(row, ("unique_id",), ())
        parts = replace(parts, problem_id=problem_id)
    return parts


def _is_nemo(row: RowFields) -> bool:
    return texts(row, "problem") and row.get("expected_answer") is not None


def _is_contest(row: RowFields) -> bool:
    """As in MathArena's AIME, HMMT and other sets, where ``problem_idx`` counts within one contest."""
    given = first_given(row, GOLD_FIELDS) is not None
    return texts(row, "problem") and given and first_given(row, _CONTEST_FIELDS) is not None


def _is_titled(row: RowFields) -> bool:
    """A statement and an answer under synonyms of the names of plain rows, in any case.

    ``{ID, Year, Problem, Answer}``, ``{Problem ID, Problem, Short Answer, …}`` (IMO-AnswerBench),
    ``{input, label}`` (OpenRLHF), ``{text, label}`` (slime), ``{input, target}`` (BIG-Bench). Not
    rows with instructions, as in Alpaca, where the input alone is no problem.
    """
    if has_statement(row) or by_words(row, ("instruction", "instructions")):
        return False
    statement = first_given(row, by_words(row, STATEMENT_WORDS))
    return statement is not None and first_given(row, by_words(row, GOLD_WORDS)) is not None


def _titled_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    del note
    statement, gold, found = (
        first_given(row, by_words(row, words)) for words in (STATEMENT_WORDS, GOLD_WORDS, ID_WORDS)
    )
    used = [field.name for field in (statement, gold) if field is not None]
    problem_id, metadata = named(row, (found.name,) if found else (), used)
    return ProblemParts(statement, gold, problem_id=problem_id, metadata=metadata)


GSM8K = Shape("GSM8K", _is_gsm8k, plain_parts)

MATH = Shape("MATH", _is_math, _math_parts)

NEMO_SKILLS = Shape("NeMo-Skills", _is_nemo, plain_parts)

CONTEST = Shape("contest", _is_contest, plain_parts)

TITLED = Shape("titled columns", _is_titled, _titled_parts)

CONVERSATION = Shape("conversation", _is_conversation, plain_parts)

PLAIN = Shape("plain", _is_anything, plain_parts)
