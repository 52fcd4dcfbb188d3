"""Rows of a problem set: each becomes a problem, or everything that is wrong with it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from pacore.errors import BadInput
from pacore.grader import canonical_spec
from pacore.identity import canonical_json
from pacore.problem import (
    OBSERVATIONS,
    ROLES,
    Problem,
    RowIssue,
    Turn,
    content_digest,
    text_fault,
)

TEXT_FIELDS = ("problem", "question", "prompt")
TURNS_FIELDS = ("messages", "conversation", "prompt")
STATEMENT_FIELDS = tuple(dict.fromkeys(TEXT_FIELDS + TURNS_FIELDS))
GOLD_FIELDS = ("answer", "expected_answer", "ground_truth", "solution")

MAX_ID_CHARACTERS = 256
MAX_METADATA_LEVELS = 32

GSM8K_GOLD = re.compile(r"\n#### *(?P<gold>[^\n]+)\s*\Z")
JSON_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

Note = Callable[[str, str], None]


def read_row(row: Any, file: str, line: int) -> Problem | list[RowIssue]:
    """Turn one decoded row into a problem, or say everything that is wrong with it.

    A row without an id gets one from its content (``p-`` and 12 hex characters), so that order
    and file name never matter. Fields of no other use are the problem's metadata.
    """
    if not isinstance(row, Mapping):
        return [RowIssue(file, line, "", f"is {kind_of(row)}, not an object with fields")]
    issues: list[RowIssue] = []

    def note(field: str, what: str) -> None:
        issues.append(RowIssue(file, line, field, what))

    gold_field = next((name for name in GOLD_FIELDS if row.get(name) is not None), None)
    problem_id = _problem_id(row.get("id"), note)
    turns = _turns(row, note)
    gold = None if gold_field is None else _gold(gold_field, row[gold_field], note)
    grader = _grader(row.get("grader"), note)
    used = ("id", "grader", *STATEMENT_FIELDS, gold_field)
    metadata = {
        str(name): value for name, value in row.items() if name not in used and value is not None
    }
    _check_metadata(metadata, note)
    if issues:
        return issues
    if problem_id is None:
        problem_id = content_id(content_digest(turns, gold, grader))
    return Problem(problem_id, turns, gold, grader, metadata)


def content_id(digest: str) -> str:
    """The id of a problem that was given none, from its content's digest."""
    return f"p-{digest[:12]}"


def kind_of(value: Any) -> str:
    """What a decoded value is, in the words of a file's author."""
    words = {str: "text", bool: "true or false", int: "a number", float: "a number"}
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "null" if value is None else words.get(type(value), type(value).__name__)


def _problem_id(value: Any, note: Note) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        note("id", f"is {kind_of(value)}; must be text or a whole number")
        return None
    text = str(value)
    if not text.strip():
        note("id", "is empty")
    elif len(text) > MAX_ID_CHARACTERS:
        note("id", f"is {len(text)} characters long; at most {MAX_ID_CHARACTERS}")
    elif fault := text_fault(text, line_breaks=False):
        note("id", fault)
    elif "/" in text or "\\" in text or ".." in text:
        note("id", f"{text!r} has '/', '\\' or '..'")
    return text


def _turns(row: Mapping[str, Any], note: Note) -> tuple[Turn, ...]:
    given = [name for name in STATEMENT_FIELDS if row.get(name) is not None]
    if len(given) != 1:
        if given:
            note(" and ".join(given), "give one of them, not several")
        else:
            note("|".join(STATEMENT_FIELDS), "missing; one of these is needed")
        return ()
    name = given[0]
    value = row[name]
    if isinstance(value, str) and name in TEXT_FIELDS:
        text = _text(name, value, note)
        return () if text is None else (Turn("user", text),)
    if isinstance(value, list) and name in TURNS_FIELDS:
        return _conversation(name, value, note)
    forms = {"text": name in TEXT_FIELDS, "a list of turns": name in TURNS_FIELDS}
    allowed = " or ".join(form for form, is_allowed in forms.items() if is_allowed)
    note(name, f"is {kind_of(value)}; must be {allowed}")
    return ()


def _conversation(name: str, values: list[Any], note: Note) -> tuple[Turn, ...]:
    turns = []
    for index, value in enumerate(values):
        place = f"{name}[{index}]"
        if not isinstance(value, Mapping):
            note(place, f"is {kind_of(value)}; a turn is an object with role and content")
            continue
        role = value.get("role")
        if role not in ROLES:
            note(f"{place}.role", f"unknown role {_shown(role)}; one of {', '.join(ROLES)}")
            continue
        is_last = index == len(values) - 1
        if is_last and role not in OBSERVATIONS:
            note(f"{place}.role", f"the last turn is from {role}; it must be user or tool")
        content = _text(f"{place}.content", value.get("content"), note, empty_allowed=not is_last)
        if content is not None:
            turns.append(Turn(role, content))
    if not values:
        note(name, "is empty")
    return tuple(turns)


def _text(name: str, value: Any, note: Note, *, empty_allowed: bool = False) -> str | None:
    """``value`` if it is usable text; otherwise None, and what is wrong with it is noted."""
    if not isinstance(value, str):
        note(name, f"is {kind_of(value)}; must be text")
    elif fault := text_fault(value):
        note(name, fault)
    elif not empty_allowed and not value.strip():
        note(name, "is empty")
    else:
        return value
    return None


def _gold(name: str, value: Any, note: Note) -> str | None:
    """The gold answer as text; a mapping's ``answer`` counts, and what follows ``####`` (GSM8K)."""
    if isinstance(value, Mapping):
        name, value = f"{name}.answer", value.get("answer")
    if isinstance(value, float) and math.isfinite(value):
        # A column of whole numbers with gaps comes out of most tools as floats.
        value = int(value) if value.is_integer() and abs(value) < 2**53 else value
    elif isinstance(value, bool | float) or not isinstance(value, str | int):
        shown = _shown(value) if isinstance(value, float) else kind_of(value)
        note(name, f"is {shown}; must be text or a number, or an object with 'answer'")
        return None
    text = _text(name, str(value), note)
    if text is None:
        return None
    found = GSM8K_GOLD.search(text)
    return found["gold"].strip() if found else text


def _grader(value: Any, note: Note) -> str | None:
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


def _check_metadata(metadata: Mapping[str, Any], note: Note) -> None:
    for name, value in metadata.items():
        shown = name if name.isprintable() and 0 < len(name) <= 60 else _shown(name)
        if _is_deeper(value, MAX_METADATA_LEVELS):
            note(shown, f"is nested more than {MAX_METADATA_LEVELS} levels deep")
            continue
        try:
            encoded = canonical_json([name, value])
        except UnicodeEncodeError:
            note(shown, "has a lone surrogate, which is not text")
        except (TypeError, ValueError) as fault:
            note(shown, f"is not plain JSON: {fault}")
        else:
            if JSON_NUL.search(encoded):
                note(shown, "has a NUL byte")


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects nest more than ``levels`` deep; bounded however deep they are."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        return False
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in value)


def _shown(value: Any) -> str:
    """A value as it may stand in a one-line message: escaped and short."""
    text = ascii(value) if isinstance(value, str | int | float) else kind_of(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
