"""Which field of a problem set is which part of a problem, as a person says it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from pacore.core.config.form import title_of
from pacore.core.grading.spec import canonical_spec
from pacore.core.problem import text_fault
from pacore.errors import BadInput
from pacore.text import did_you_mean

PARTS = ("problem", "answer", "id", "grader", "options", "without")


MAY_BE_NONE = ("answer", "id", "grader")


NEED_PROBLEM = ("answer", "options")

_SEPARATOR = re.compile(rf",\s*(?=(?:{'|'.join(PARTS)})=)")

_OTHER_PART = re.compile(r",\s*(\w+)=")
"""What looks like another part inside a path, which may be a part that is mistyped."""

FieldMapping = Mapping[str, str]


def parse_mapping(text: str) -> dict[str, str]:
    """A mapping as it is typed. Raises ValueError in a line."""
    found: dict[str, str] = {}
    for piece in _SEPARATOR.split(text.strip()):
        name, equals, path = piece.partition("=")
        if not equals or name.strip() not in PARTS:
            known = ", ".join(f"{part}=…" for part in PARTS)
            near = did_you_mean(name.strip(), PARTS) if equals else ""
            raise ValueError(f"{piece!r}{near} is none of {known}")
        if name.strip() in found:
            raise ValueError(f"{name.strip()} is given twice")
        for other in _OTHER_PART.findall(path):
            if near := did_you_mean(other, PARTS):
                raise ValueError(f"{other!r}{near} is no part; parts are {', '.join(PARTS)}")
        found[name.strip()] = path.strip()
    return found


def check_mapping(mapping: FieldMapping) -> None:
    """Raises ValueError with one line for a mapping that cannot be right."""
    for name, path in mapping.items():
        if name not in PARTS:
            what = f"{name!r}{did_you_mean(name, PARTS)} is no part of a problem"
            raise ValueError(f"{what}; parts are {', '.join(PARTS)}")
        if not path and name not in MAY_BE_NONE:
            raise ValueError(f"{name}: names no field")
        if fault := text_fault(path, line_breaks=False):
            raise ValueError(f"{name}: {fault}")
    for name in NEED_PROBLEM:
        if name in mapping and "problem" not in mapping:
            raise ValueError(f"{name}: say which field is the problem, too")
    if mapping.get("grader"):
        try:
            canonical_spec(mapping["grader"])
        except BadInput as fault:
            raise ValueError(f"grader: {fault}") from None


def typed_mapping(value: Any) -> Any:
    """A mapping as it is typed, in a line or as an object; anything else as it is. Raises ValueError."""
    if isinstance(value, str):
        return parse_mapping(value)
    if isinstance(value, dict):
        return {name: typed_path(path) for name, path in value.items()}
    return value


def typed_path(path: Any) -> Any:
    """A path of a mapping as it is typed: nothing is empty, several columns are joined by commas."""
    if isinstance(path, list) and all(isinstance(name, str) for name in path):
        return ",".join(path)
    return "" if path is None else path


MAPPING_FORM: dict[str, JsonValue] = {
    "description": "Which field of the problem set is what, where pacore does not recognise it.",
    "additionalProperties": False,
    "default": None,
    "properties": {
        name: {"type": "string", "title": title_of(name), "position": position, "description": said}
        for position, (name, said) in enumerate(
            {
                "problem": "Field with the problem.",
                "answer": "Field with the answer; a dot leads inside: solution.final.",
                "id": "Field with the problem's name.",
                "grader": "Grader of all problems, such as math.",
                "options": "Field with the options of a choice.",
                "without": "Columns to leave out, with commas between them.",
            }.items()
        )
    },
}
"""A mapping of fields as a text for each part."""
