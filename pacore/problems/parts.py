"""Rows of a problem set: each becomes a problem, or everything that is wrong with it.

A row is first taken apart into `Parts`, by one of the shapes in `pacore.problems.shapes` or by a
person's own mapping; what the parts come to is checked here, whoever took it apart.
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
from pacore.problems.turns import Note, kind_of, read_turns, shown, usable_text
from pacore.problems.values import is_nan, plain, storable, text_of, unwrapped


class Field(NamedTuple):
    """What a file calls something, and what it holds there."""

    name: str
    value: Any


@dataclass(frozen=True)
class Parts:
    """A row taken apart, nothing of it checked yet.

    ``statement`` holds text or a list of turns; None where whoever took the row apart has noted
    why there is none. Any other part that is None was not given.
    """

    statement: Field | None
    gold: Field | None = None
    grader: Field | None = None
    problem_id: Field | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def problem_of_parts(parts: Parts, issues: Issues) -> Problem | None:
    """The problem a row states; None where something is wrong with it, which is noted.

    A row without an id gets one from its content (``p-`` and 12 hex characters), so that order
    and file name never matter. Fields that hold null are no metadata; whatever else the others hold
    is stored as plain JSON and stops nothing, but for an image that the problem shows.
    """
    note = issues.note
    name = None if parts.problem_id is None else _name(*parts.problem_id, note)
    turns = () if parts.statement is None else _turns(*parts.statement, note)
    grader = None if parts.grader is None else read_grader(parts.grader.value, note)
    read_gold = code_gold if grader == "code" else _gold
    gold = None if parts.gold is None else read_gold(*parts.gold, note)
    if picture := shown_picture(turns, parts.metadata):
        what = "is an image; pacore sends text only, and without it this is another problem"
        note(picture, what)
    if issues.found:
        return None
    metadata = _metadata(parts, name)
    if name is None:
        return Problem(
            content_id(content_digest(turns, gold, grader)), turns, gold, grader, metadata
        )
    return Problem(problem_id_of(name), turns, gold, grader, metadata)


def content_id(digest: str) -> str:
    """The id of a problem that was given none, from its content's digest."""
    return f"p-{digest[:12]}"


def _name(name: str, value: Any, note: Note) -> str | None:
    """What the file calls the problem; None where it does not say, as in a data frame's NaN."""
    if is_nan(value):
        return None
    text = text_of(value)
    if text is None:
        note(name, f"is {kind_of(value)}; must be text or a number")
    elif not text.strip():
        note(name, "is empty")
    return text


def _metadata(parts: Parts, name: str | None) -> dict[str, JsonValue]:
    """The row's other fields, and the name of a problem whose id cannot be that name."""
    metadata = {
        storable(str(field_name)): plain(value)
        for field_name, value in parts.metadata.items()
        if value is not None
    }
    if name is not None and parts.problem_id is not None and problem_id_of(name) != name:
        metadata.setdefault(storable(parts.problem_id.name), storable(name))
    return metadata


def _turns(name: str, value: Any, note: Note) -> tuple[Turn, ...]:
    if isinstance(value, list):
        return read_turns(name, value, note)
    if isinstance(value, str | bytes):
        text = usable_text(name, text_of(value) or value, note)
        return () if text is None else (Turn("user", text),)
    note(name, f"is {kind_of(value)}; must be text or a list of turns")
    return ()


def _gold(name: str, value: Any, note: Note) -> str | None:
    """The gold answer as text; a mapping's ``answer`` counts, and what follows ``####`` (GSM8K)."""
    value = unwrapped(value)
    if isinstance(value, Mapping):
        name, value = f"{name}.answer", unwrapped(value.get("answer"))
    text = text_of(value)
    if text is None:
        said = shown(value) if isinstance(value, float) else kind_of(value)
        note(name, f"is {said}; must be text or a number, or an object with 'answer'")
        return None
    text = usable_text(name, text, note)
    if text is None:
        return None
    marked = marked_gold(text)
    gold = text if marked is None else marked
    if is_empty_mark(gold):
        note(name, f"{shown(text[-40:])} marks where an answer goes and has none")
        return None
    return gold


def read_grader(value: Any, note: Note) -> str | None:
    """The grader's spec a row or a person names; None and noted for one that nobody knows."""
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
