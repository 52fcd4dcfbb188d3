"""Converts rows of a problem set: each to a problem, or to all its issues.

A row is first converted to `ProblemParts`, by one of the shapes in `pacore.problems.shapes` or by the
user's mapping; the parts are checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import JsonValue

from pacore.core.grading.spec import canonical_spec
from pacore.core.problem import Problem, Turn, content_digest, problem_id_of
from pacore.errors import BadInput
from pacore.problems.golds import is_empty_mark, marked_gold
from pacore.problems.images import shown_picture
from pacore.problems.issues import Issues
from pacore.problems.program_tests import code_gold
from pacore.problems.turns import NoteIssue, kind_of, read_turns, short_repr, usable_text
from pacore.problems.values import is_nan, plain, sole_item, storable, text_of

IMAGE = "is an image; pacore sends text only, and without it this is another problem"
"""What is wrong with a field that holds an image of the problem."""


class Field(NamedTuple):
    """A field of a row: its name in the file, and its value."""

    name: str
    value: Any


@dataclass(frozen=True)
class ProblemParts:
    """The parts of a row, unchecked.

    ``statement`` is text or a list of turns; None where a note says why there is none. Any other
    part is None where the row does not have it.
    """

    statement: Field | None
    gold: Field | None = None
    grader: Field | None = None
    problem_id: Field | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


def problem_of_parts(parts: ProblemParts, issues: Issues) -> Problem | None:
    """The problem of a row; None for a row with issues, which are noted.

    A row without an id gets one from its content (``p-`` and 12 hex characters), so that ids do not
    depend on order and file name. The other fields are metadata, stored as plain JSON of any kind,
    except those that are null; an image that belongs to the problem is an issue.
    """
    note = issues.note
    name = None if parts.problem_id is None else _name(*parts.problem_id, note)
    turns = () if parts.statement is None else _turns(*parts.statement, note)
    grader = None if parts.grader is None else read_grader(parts.grader.value, note)
    read_gold = code_gold if grader == "code" else _gold
    gold = None if parts.gold is None else read_gold(*parts.gold, note)
    if picture := shown_picture(turns, parts.metadata):
        note(picture, IMAGE)
    if issues.found:
        return None
    metadata = _metadata(parts, name)
    if name is None:
        return Problem(
            content_id(content_digest(turns, gold, grader)), turns, gold, grader, metadata
        )
    return Problem(problem_id_of(name), turns, gold, grader, metadata)


def content_id(digest: str) -> str:
    """The id of a problem without an id of its own, from its content's digest."""
    return f"p-{digest[:12]}"


def _name(name: str, value: Any, note: NoteIssue) -> str | None:
    """The problem's id in the file; None where it is missing, such as a data frame's NaN."""
    if is_nan(value):
        return None
    text = text_of(value)
    if text is None:
        note(name, f"is {kind_of(value)}; must be text or a number")
    elif not text.strip():
        note(name, "is empty")
    return text


def _metadata(parts: ProblemParts, name: str | None) -> dict[str, JsonValue]:
    """The row's other fields, and the problem's id in the file where it is not valid as an id."""
    metadata = {
        storable(str(field_name)): plain(value)
        for field_name, value in parts.metadata.items()
        if value is not None
    }
    if name is not None and parts.problem_id is not None and problem_id_of(name) != name:
        metadata.setdefault(storable(parts.problem_id.name), storable(name))
    return metadata


def _turns(name: str, value: Any, note: NoteIssue) -> tuple[Turn, ...]:
    if isinstance(value, list):
        return read_turns(name, value, note)
    if isinstance(value, str | bytes):
        text = usable_text(name, text_of(value) or value, note)
        return () if text is None else (Turn("user", text),)
    note(name, f"is {kind_of(value)}; must be text or a list of turns")
    return ()


def _gold(name: str, value: Any, note: NoteIssue) -> str | None:
    """The gold answer as text: of an object its ``answer``, of GSM8K's text the part after ``####``."""
    value = sole_item(value)
    if isinstance(value, Mapping):
        name, value = f"{name}.answer", sole_item(value.get("answer"))
    text = text_of(value)
    if text is None:
        what = short_repr(value) if isinstance(value, float) else kind_of(value)
        note(name, f"is {what}; must be text or a number, or an object with 'answer'")
        return None
    text = usable_text(name, text, note)
    if text is None:
        return None
    marked = marked_gold(text)
    gold = text if marked is None else marked
    if is_empty_mark(gold):
        note(name, f"{short_repr(text[-40:])} is a mark for an answer without an answer")
        return None
    return gold


def read_grader(value: Any, note: NoteIssue) -> str | None:
    """The canonical spec of a grader; None, with a note, for an unknown one."""
    if value is None:
        return None
    if not isinstance(value, str):
        note("grader", f"is {kind_of(value)}; must be text such as math or numeric:rel=1e-4")
        return None
    try:
        return canonical_spec(value)
    except BadInput as fault:
        note("grader", str(fault))
        return None
