"""What one choice of a response says: text, reasoning, and what is neither. Pure.

Servers send text as text, as a list of parts, or as objects within objects, under a dozen names. So
a choice is searched for text: what a name or a part's type calls thinking is reasoning, other text is
content, and what holds no text is kept as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pacore.core.trajectory import CLOSE, OPEN

UNREAD_CHARACTERS = 16 * 1024
"""Most characters that are kept of JSON from which no text could be read."""

MAX_DEPTH = 16

CONTENT_FIELDS = (
    "content", "text", "output_text", "output", "response", "generated_text", "generation", "result",
    "completion", "parts", "messages", "data", "reply",
)  # fmt: skip


REASONING_FIELDS = (
    "reasoning", "reasoning_content", "reasoning_text", "thinking", "thinking_content", "thought",
    "thoughts", "reasoning_details",
)  # fmt: skip


TOOL_FIELDS = ("tool_calls", "function_call")


PART_FIELDS = (
    "text", "content", "parts", "thinking", "reasoning", "reasoning_text", "reasoning_content",
    "summary", "output_text", "refusal", "transcript", "value",
)  # fmt: skip
"""Where a part keeps its text: the first that holds any, since others repeat it."""

_FIELDS = frozenset((*CONTENT_FIELDS, *REASONING_FIELDS, *TOOL_FIELDS, "refusal", "audio"))


_LABELS = frozenset(("role", "name", "id", "index", "type", "object", "annotations", "signature"))


_THINKS = ("think", "thought", "reason")


_HAS_NO_TEXT = ("tool", "function", "image", "encrypted", "redacted")


_TRIES = ("message", "delta")


_ASIDE = frozenset(("logprobs", "object", "type", "id"))


_HUMP = re.compile(r"(?<=[a-z])([A-Z])")


@dataclass(slots=True)
class Said:
    """What a choice says. ``content`` and ``reasoning`` are None where the server sent none.

    ``other`` are parts of a known kind that hold no text (tool calls, images), ``unknown`` those in
    which nobody knows what is what.
    """

    content: str | None = None
    reasoning: str | None = None
    other: list[Any] = field(default_factory=list)
    unknown: list[Any] = field(default_factory=list)

    @property
    def has_text(self) -> bool:
        return bool(self.content or self.reasoning)

    @property
    def is_open(self) -> bool:
        """Whether it ends inside of its thinking, as far as that shows."""
        content = (self.content or "").strip()
        if CLOSE in content:
            return False
        return content.startswith(OPEN) or (bool(self.reasoning) and not content)


@dataclass(slots=True)
class _Texts:
    """What a search finds, in order; ``is_text`` tells an empty text from none."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    other: list[Any] = field(default_factory=list)
    unknown: list[Any] = field(default_factory=list)
    is_text: bool = False

    def search(self, value: Any, thinks: bool = False, depth: int = 0) -> _Texts:
        """Find all text in ``value``; ``thinks`` says that it is reasoning."""
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            text = value if isinstance(value, str) else json.dumps(value)
            (self.reasoning if thinks else self.content).append(text)
            self.is_text = True
        elif isinstance(value, list) and depth < MAX_DEPTH:
            self.is_text = True
            for item in value:
                self.search(item, thinks, depth + 1)
        elif isinstance(value, dict) and depth < MAX_DEPTH:
            self._search_part(value, thinks, depth)
        elif value:
            self.unknown.append(value)
        return self

    def _search_part(self, part: Mapping[str, Any], thinks: bool, depth: int) -> None:
        kind = str(part.get("type") or "").casefold()
        if any(word in kind for word in _HAS_NO_TEXT):
            self.other.append(part)
            return
        thinks = thinks or _names_thinking(kind) or part.get("thought") is True
        fields = in_snake_case(part)
        for name in PART_FIELDS:
            if fields.get(name) is None:
                continue
            found = _Texts().search(fields[name], thinks or _names_thinking(name), depth + 1)
            if found.is_text:
                self.content += found.content
                self.reasoning += found.reasoning
                self.other += found.other
                self.unknown += found.unknown
                self.is_text = True
                return
        self.unknown.append(part)


def in_snake_case(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by their names in snake case: ``stopReason`` is ``stop_reason``."""
    return {
        name if name.islower() else _HUMP.sub(r"_\1", name).lower(): value
        for name, value in fields.items()
    }


def _names_thinking(name: str) -> bool:
    return any(word in name for word in _THINKS)


def read_choice(choice: Any) -> Said:
    """What a choice says: in its message, or where that says nothing in itself.

    Where neither holds any text, the tokens that its log probabilities name are the text.
    """
    if not isinstance(choice, dict):
        return _read_fields({"content": choice})
    named = [choice[name] for name in _TRIES if choice.get(name) is not None]
    message = named[0] if named else choice
    said = _read_fields(message if isinstance(message, dict) else {"content": message})
    if named and not said.has_text and (own := _read_fields(choice)).has_text:
        said = own
    if not said.has_text and (tokens := _tokens(choice.get("logprobs"))):
        return Said(tokens, None, said.other, said.unknown)
    return said


def is_nothing(choice: Any) -> bool:
    """Whether a choice is a place without a message, which says nothing in any shape."""
    if not isinstance(choice, dict):
        return choice is None
    named = {name for name in choice if not name.lower().endswith("reason") and name not in _ASIDE}
    return not any(
        choice[name] or name in _TRIES
        for name in named
        if isinstance(choice[name], str | list | dict)
    )


def _read_fields(fields: Mapping[str, Any]) -> Said:
    message = in_snake_case(fields)
    found = _Texts()
    content = _content(message, found)
    reasonings = ["".join(found.reasoning)] if found.reasoning else []
    for name in REASONING_FIELDS:
        if message.get(name) is not None:
            thought = _Texts().search(message[name], thinks=True)
            reasonings += ["".join(thought.reasoning)] if thought.is_text else []
            found.other += thought.other + thought.unknown
    found.other += [{name: message[name]} for name in TOOL_FIELDS if message.get(name)]
    if not _FIELDS & message.keys():
        found.unknown += [message] if any(message[key] for key in message.keys() - _LABELS) else []
    reasoning = _union(reasonings)
    if reasoning and content and _holds_thought(content, reasoning):
        reasoning = None
    return Said(content, reasoning, found.other, found.unknown)


def _content(message: Mapping[str, Any], found: _Texts) -> str | None:
    """The content of a message, refusals and spoken words among it; what else it holds is ``found``."""
    for name in CONTENT_FIELDS:
        if any(found.search(message.get(name)).content):
            break
    content = "".join(found.content) if found.is_text else None
    for name in ("refusal", "audio"):
        if message.get(name) is None:
            continue
        spoken = _Texts().search(message[name])
        found.other += spoken.other + spoken.unknown
        if any(spoken.content):
            content = "\n\n".join(text for text in (content, *spoken.content) if text)
    return content


def _union(texts: Sequence[str]) -> str | None:
    """Several accounts of the same thinking as one: what another one holds is left out."""
    kept: list[str] = []
    for text in texts:
        if any(text.strip() in other for other in kept):
            continue
        kept = [*(other for other in kept if other.strip() not in text), text]
    return "\n\n".join(kept) if kept else None


def _holds_thought(content: str, reasoning: str) -> bool:
    """Whether the content has this very reasoning inside its own tags."""
    inside, close, _ = content.strip().rpartition(CLOSE)
    if not close:
        inside = content.strip()
        if not inside.startswith(OPEN):
            return False
    return inside.removeprefix(OPEN).strip() == reasoning.strip()


def _tokens(logprobs: Any) -> str:
    found = (
        (logprobs.get("content") or logprobs.get("tokens")) if isinstance(logprobs, dict) else None
    )
    tokens = found if isinstance(found, list) else []
    named = [one.get("token") if isinstance(one, dict) else one for one in tokens]
    return "".join(token for token in named if isinstance(token, str))


def unread_json(values: Sequence[Any]) -> str | None:
    """What no text was read from, as JSON of bounded length; None where there is nothing."""
    if not values:
        return None
    try:
        text = json.dumps(values if len(values) > 1 else values[0], ensure_ascii=False)
    except RecursionError:
        text = json.dumps("nested too deeply")
    return text[:UNREAD_CHARACTERS]


def shape_of(value: Any) -> str:
    """A value's shape in a few words, for the line that says why it could not be read."""
    if isinstance(value, dict):
        names = ", ".join(sorted(value)[:8])
        return f"an object with {names}" if names else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "null" if value is None else f"a {type(value).__name__}"
