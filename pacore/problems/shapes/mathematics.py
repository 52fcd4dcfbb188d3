"""Mathematics with a short answer: GSM8K, MATH and MATH-500, NeMo-Skills, and contest sets.

Statements are sent unchanged. Except for its id, such a row is converted like a plain row, so that
the same statement is the same problem in all of these files.
"""

from __future__ import annotations

from dataclasses import replace

from pacore.core.grading.extraction.boxes import find_boxes
from pacore.problems.golds import marked_gold
from pacore.problems.parts import Parts
from pacore.problems.shapes.plain import GOLD_FIELDS, has_statement, plain_parts
from pacore.problems.shapes.shape import RowFields, Shape, first_given, named, text_at, texts
from pacore.problems.shapes.words import GOLD_WORDS, ID_WORDS, STATEMENT_WORDS, by_words
from pacore.problems.turns import NoteIssue

TOPICS = ("subject", "type", "level")

CONTEST_FIELDS = ("problem_idx", "problem_type", "competition")


def _is_gsm8k(row: RowFields) -> bool:
    return texts(row, "question", "answer") and marked_gold(text_at(row, "answer")) is not None


def _is_math(row: RowFields) -> bool:
    """``{problem, solution, subject|type|level, …}``, with a box in the solution or an answer."""
    if not texts(row, "problem", "solution") or first_given(row, TOPICS) is None:
        return False
    return row.get("answer") is not None or find_boxes(text_at(row, "solution")).last is not None


def _math_parts(row: RowFields, note: NoteIssue) -> Parts:
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
    return texts(row, "problem") and given and first_given(row, CONTEST_FIELDS) is not None


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


def _titled_parts(row: RowFields, note: NoteIssue) -> Parts:
    del note
    statement, gold, found = (
        first_given(row, by_words(row, words)) for words in (STATEMENT_WORDS, GOLD_WORDS, ID_WORDS)
    )
    used = [field.name for field in (statement, gold) if field is not None]
    problem_id, metadata = named(row, (found.name,) if found else (), used)
    return Parts(statement, gold, problem_id=problem_id, metadata=metadata)


GSM8K = Shape("GSM8K", _is_gsm8k, plain_parts)

MATH = Shape("MATH", _is_math, _math_parts)

NEMO_SKILLS = Shape("NeMo-Skills", _is_nemo, plain_parts)

CONTEST = Shape("contest", _is_contest, plain_parts)

TITLED = Shape("titled columns", _is_titled, _titled_parts)
