"""Rows with pacore's own field names: ``{id?, problem, answer?, grader?, …}`` and their synonyms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pacore.problems.parts import Field, Parts
from pacore.problems.shapes.shape import RowFields, Shape, first_given, without
from pacore.problems.turns import NoteIssue, is_from_assistant, kind_of
from pacore.problems.values import sole_item

TEXT_FIELDS = ("problem", "question", "prompt")

TURNS_FIELDS = ("messages", "conversation", "prompt")

STATEMENT_FIELDS = tuple(dict.fromkeys(TEXT_FIELDS + TURNS_FIELDS))

GOLD_FIELDS = ("answer", "expected_answer", "ground_truth", "solution", "final_answer")

MISSING = "missing; one of these is needed"


def plain_parts(row: RowFields, note: NoteIssue) -> Parts:
    """The parts of a row by the names of plain rows; all other fields are metadata."""
    statement = _statement(row, note)
    others = other_parts(row)
    return Parts(
        statement,
        others.gold,
        others.grader,
        others.problem_id,
        without(others.metadata, STATEMENT_FIELDS),
    )


def other_parts(row: RowFields) -> Parts:
    """All parts but the statement, by the names of plain rows."""
    gold = _gold(row)
    used = ("id", "grader", gold.name if gold else "")
    return Parts(
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


CONVERSATION = Shape("conversation", _is_conversation, plain_parts)

PLAIN = Shape("plain", _is_anything, plain_parts)
