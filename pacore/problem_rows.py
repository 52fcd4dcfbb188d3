"""Rows of a problem set: each becomes a problem, or everything that is wrong with it.

A row is first taken apart into `Parts`, by one of the shapes in `pacore.problem_shapes` or by a
person's own mapping; what the parts come to is checked here, whoever took it apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from pacore.errors import BadInput
from pacore.grader import canonical_spec
from pacore.identity import canonical_json
from pacore.problem import (
    Issues,
    Problem,
    Turn,
    content_digest,
    text_fault,
)
from pacore.problem_tests import code_gold
from pacore.problem_turns import MAX_SHOWN, Note, kind_of, read_turns, shown, usable_text

MAX_ID_CHARACTERS = 256
MAX_METADATA_LEVELS = 32
DATA_URL = "data:image/"

GSM8K_GOLD = re.compile(r"\n#### *(?P<gold>[^\n]+)\s*\Z")
JSON_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


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
    and file name never matter. Fields that hold null are no metadata.
    """
    note = issues.note
    problem_id = None if parts.problem_id is None else _problem_id(*parts.problem_id, note)
    turns = () if parts.statement is None else _turns(*parts.statement, note)
    grader = None if parts.grader is None else read_grader(parts.grader.value, note)
    read_gold = code_gold if grader == "code" else _gold
    gold = None if parts.gold is None else read_gold(*parts.gold, note)
    metadata = {
        str(name): _plain(value) for name, value in parts.metadata.items() if value is not None
    }
    _check_metadata(metadata, note)
    if issues.found:
        return None
    if problem_id is None:
        problem_id = content_id(content_digest(turns, gold, grader))
    return Problem(problem_id, turns, gold, grader, metadata)


def content_id(digest: str) -> str:
    """The id of a problem that was given none, from its content's digest."""
    return f"p-{digest[:12]}"


def _problem_id(name: str, value: Any, note: Note) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        note(name, f"is {kind_of(value)}; must be text or a whole number")
        return None
    text = str(value)
    if not text.strip():
        note(name, "is empty")
    elif len(text) > MAX_ID_CHARACTERS:
        note(name, f"is {len(text)} characters long; at most {MAX_ID_CHARACTERS}")
    elif fault := text_fault(text, line_breaks=False):
        note(name, fault)
    elif "/" in text or "\\" in text or ".." in text:
        note(name, f"{text!r} has '/', '\\' or '..'")
    return text


def _turns(name: str, value: Any, note: Note) -> tuple[Turn, ...]:
    if isinstance(value, list):
        return read_turns(name, value, note)
    if isinstance(value, str):
        text = usable_text(name, value, note)
        return () if text is None else (Turn("user", text),)
    note(name, f"is {kind_of(value)}; must be text or a list of turns")
    return ()


def _gold(name: str, value: Any, note: Note) -> str | None:
    """The gold answer as text; a mapping's ``answer`` counts, and what follows ``####`` (GSM8K)."""
    if isinstance(value, Mapping):
        name, value = f"{name}.answer", value.get("answer")
    if isinstance(value, float) and math.isfinite(value):
        # A column of whole numbers with gaps comes out of most tools as floats.
        value = int(value) if value.is_integer() and abs(value) < 2**53 else value
    elif isinstance(value, bool | float) or not isinstance(value, str | int):
        said = shown(value) if isinstance(value, float) else kind_of(value)
        note(name, f"is {said}; must be text or a number, or an object with 'answer'")
        return None
    text = usable_text(name, str(value), note)
    if text is None:
        return None
    found = GSM8K_GOLD.search(text)
    return found["gold"].strip() if found else text


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


def _plain(value: Any) -> Any:
    """A value as JSON has it: dates, which Parquet knows and JSON does not, become ISO 8601 text."""
    return value.isoformat() if isinstance(value, date) else value


def _check_metadata(metadata: Mapping[str, Any], note: Note) -> None:
    for name, value in metadata.items():
        place = name if name.isprintable() and 0 < len(name) <= MAX_SHOWN else shown(name)
        if is_picture(value):
            note(
                place, "is an image; pacore sends text only, and without it this is another problem"
            )
            continue
        if _is_deeper(value, MAX_METADATA_LEVELS):
            note(place, f"is nested more than {MAX_METADATA_LEVELS} levels deep")
            continue
        try:
            encoded = canonical_json([name, value])
        except UnicodeEncodeError:
            note(place, "has a lone surrogate, which is not text")
        except (TypeError, ValueError) as fault:
            note(place, f"is not plain JSON: {fault}")
        else:
            if JSON_NUL.search(encoded):
                note(place, "has a NUL byte")


def is_picture(value: Any) -> bool:
    """Whether a field holds an image: bytes, bytes with a path as data sets have it, or a data URL."""
    if isinstance(value, Mapping):
        value = value.get("bytes")
    if isinstance(value, str):
        return value[: len(DATA_URL)].lower() == DATA_URL
    return isinstance(value, bytes)


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects nest more than ``levels`` deep; bounded however deep they are."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        return False
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in value)
