"""Reads the turns of a conversation: roles under several names, contents in several parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from pacore.core.problem import OBSERVATIONS, ROLES, Role, Turn, text_fault

NoteIssue = Callable[[str, str], None]
"""Notes an issue: called with a field's name in the file, and the issue."""

SPEAKERS: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
    "environment": "tool",
}
"""Roles by their names in files, in lower case."""

CALLS = ("tool_calls", "function_call")

TEXT_PARTS = ("text", "input_text", "output_text")

MAX_SHOWN = 60


def read_turns(name: str, values: list[Any], note: NoteIssue) -> tuple[Turn, ...]:
    """The turns of a list of ``{role, content}`` or ``{from, value}``; issues are noted.

    A content may be a list of text parts, which are joined by line breaks as vLLM joins them. The
    last turn is from the user or a tool.
    """
    turns = []
    for index, value in enumerate(values):
        place = f"{name}[{index}]"
        if not isinstance(value, Mapping):
            note(place, f"is {kind_of(value)}; a turn is an object with role and content")
            continue
        role_name, role = _role(value)
        if role is None:
            known = ", ".join(ROLES if role_name == "role" else SPEAKERS)
            what = f"unknown role {short_repr(value.get(role_name))}; one of {known}"
            note(f"{place}.{role_name}", what)
            continue
        is_last = index == len(values) - 1
        if is_last and role not in OBSERVATIONS:
            note(f"{place}.{role_name}", f"the last turn is from {role}; it must be user or tool")
        content_name = "content" if role_name == "role" else "value"
        if value.get(content_name) is None and any(value.get(name) for name in CALLS):
            note(place, "has tool calls and no text; pacore sends text only")
            continue
        content = _content(f"{place}.{content_name}", value.get(content_name), note, is_last)
        if content is not None:
            turns.append(Turn(role, content))
    if not values:
        note(name, "is empty")
    return tuple(turns)


def _role(value: Mapping[str, object]) -> tuple[str, Role | None]:
    """The name of a turn's role field, and the role; None for an unknown one."""
    name = "from" if "role" not in value and "from" in value else "role"
    role = value.get(name)
    return name, SPEAKERS.get(role.strip().lower()) if isinstance(role, str) else None


def is_from_assistant(turn: Any) -> bool:
    """Whether a value is a turn of the assistant."""
    return isinstance(turn, Mapping) and _role(turn)[1] == "assistant"


def _content(place: str, value: Any, note: NoteIssue, is_last: bool) -> str | None:
    if isinstance(value, list):
        value = _joined_parts(place, value, note)
        if value is None:
            return None
    return usable_text(place, value, note, empty_allowed=not is_last)


def _joined_parts(place: str, parts: list[Any], note: NoteIssue) -> str | None:
    """The text of content parts; None, with a note, where one is no text."""
    texts = []
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, Mapping) else None
        text = part.get("text") if kind in TEXT_PARTS and isinstance(part, Mapping) else part
        if isinstance(text, str):
            texts.append(text)
        elif kind is None or kind in TEXT_PARTS:
            note(f"{place}[{index}]", f"is {kind_of(text)}; a part is text or an object with text")
        else:
            note(f"{place}[{index}]", f"is of type {short_repr(kind)}; pacore sends text only")
    return "\n".join(texts) if len(texts) == len(parts) else None


def usable_text(
    name: str, value: Any, note: NoteIssue, *, empty_allowed: bool = False
) -> str | None:
    """``value`` if it is usable text; otherwise None, with a note."""
    if not isinstance(value, str):
        note(name, f"is {kind_of(value)}; must be text")
    elif fault := text_fault(value):
        note(name, fault)
    elif not empty_allowed and not value.strip():
        note(name, "is empty")
    else:
        return value
    return None


def kind_of(value: Any) -> str:
    """The kind of a decoded value, for messages: ``an object``, ``text``, ``a number``."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


_KINDS: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    Decimal: "a number",
    bytes: "bytes that are no text",
}


def short_repr(value: Any) -> str:
    """A value in one line for messages: escaped, and truncated to `MAX_SHOWN` characters."""
    text = ascii(value) if isinstance(value, str | int | float) else kind_of(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
