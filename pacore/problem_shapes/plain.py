"""Rows that use pacore's own words: ``{id?, problem, answer?, grader?, …}`` and their synonyms."""

from __future__ import annotations

from typing import Any

from pacore.problem_rows import Field, Parts
from pacore.problem_shapes.shape import Row, Shape, first_given, without
from pacore.problem_turns import Note, kind_of

TEXT_FIELDS = ("problem", "question", "prompt")
TURNS_FIELDS = ("messages", "conversation", "prompt")
STATEMENT_FIELDS = tuple(dict.fromkeys(TEXT_FIELDS + TURNS_FIELDS))
GOLD_FIELDS = ("answer", "expected_answer", "ground_truth", "solution")
MISSING = "missing; one of these is needed"


def plain_parts(row: Row, note: Note) -> Parts:
    """A row by the names of plain rows. Fields of no other use are metadata."""
    statement = _statement(row, note)
    others = other_parts(row)
    return Parts(
        statement,
        others.gold,
        others.grader,
        others.problem_id,
        without(others.metadata, STATEMENT_FIELDS),
    )


def other_parts(row: Row) -> Parts:
    """All parts but the statement, by the names of plain rows."""
    gold = first_given(row, GOLD_FIELDS)
    used = ("id", "grader", gold.name if gold else "")
    return Parts(
        statement=None,
        gold=gold,
        grader=first_given(row, ("grader",)),
        problem_id=first_given(row, ("id",)),
        metadata=without(row, used) if gold else without(row, used[:2]),
    )


def has_statement(row: Row) -> bool:
    """Whether a row states a problem in the words of plain rows."""
    return first_given(row, STATEMENT_FIELDS) is not None


def _statement(row: Row, note: Note) -> Field | None:
    given = [name for name in STATEMENT_FIELDS if row.get(name) is not None]
    if len(given) != 1:
        if given:
            note(" and ".join(given), "give one of them, not several")
        else:
            note("|".join(STATEMENT_FIELDS), MISSING)
        return None
    name = given[0]
    value: Any = row[name]
    if isinstance(value, str) and name in TEXT_FIELDS:
        return Field(name, value)
    if isinstance(value, list) and name in TURNS_FIELDS:
        return Field(name, value)
    forms = {"text": name in TEXT_FIELDS, "a list of turns": name in TURNS_FIELDS}
    allowed = " or ".join(form for form, is_allowed in forms.items() if is_allowed)
    note(name, f"is {kind_of(value)}; must be {allowed}")
    return None


def _is_conversation(row: Row) -> bool:
    return any(isinstance(row.get(name), list) for name in TURNS_FIELDS)


def _is_anything(row: Row) -> bool:
    del row
    return True


CONVERSATION = Shape("conversation", _is_conversation, plain_parts)
PLAIN = Shape("plain", _is_anything, plain_parts)
