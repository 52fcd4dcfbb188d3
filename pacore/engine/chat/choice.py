"""Reads one choice of a response: content, reasoning, and the rest. Pure.

Servers send text as text, as a list of parts, or as nested objects, under a dozen names. So a choice
is searched for text: text whose name or type contains ``think``, ``thought`` or ``reason`` is
reasoning, other text is content, and parts without text are kept as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pacore.core.trajectory import CLOSE, OPEN

UNREAD_CHARACTERS = 16 * 1024
"""Most characters that are stored of JSON from which no text could be read."""

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
"""The fields of a part that may have its text; the first with text is used, since others repeat it."""

_FIELDS = frozenset((*CONTENT_FIELDS, *REASONING_FIELDS, *TOOL_FIELDS, "refusal", "audio"))

_LABELS = frozenset(("role", "name", "id", "index", "type", "object", "annotations", "signature"))

_REASONING_WORDS = ("think", "thought", "reason")

_TEXTLESS_KINDS = ("tool", "function", "image", "encrypted", "redacted")

_MESSAGE_FIELDS = ("message", "delta")

_METADATA = frozenset(("logprobs", "object", "type", "id"))

_INNER_CAPITAL = re.compile(r"(?<=[a-z])([A-Z])")


@dataclass(slots=True)
class ChoiceText:
    """The text of a choice. ``content`` and ``reasoning`` are None where the server sent none.

    ``other`` are parts of a known kind without text (tool calls, images), ``unknown`` those of an
    unknown layout.
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
        """Whether the text ends within its reasoning, as far as its tags and fields show."""
        content = (self.content or "").strip()
        if CLOSE in content:
            return False
        return content.startswith(OPEN) or (bool(self.reasoning) and not content)


@dataclass(slots=True)
class _Texts:
    """The texts found by a search, in order; ``is_text`` distinguishes an empty text from none."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    other: list[Any] = field(default_factory=list)
    unknown: list[Any] = field(default_factory=list)
    is_text: bool = False

    def search(self, value: Any, thinks: bool = False, depth: int = 0) -> _Texts:
        """Collect all text in ``value``, as reasoning if ``thinks``, else as content."""
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

    def _search_part(self, part: Mapping[str, object], thinks: bool, depth: int) -> None:
        kind = str(part.get("type") or "").casefold()
        if any(word in kind for word in _TEXTLESS_KINDS):
            self.other.append(part)
            return
        thinks = thinks or _names_reasoning(kind) or part.get("thought") is True
        fields = in_snake_case(part)
        for name in PART_FIELDS:
            if fields.get(name) is None:
                continue
            found = _Texts().search(fields[name], thinks or _names_reasoning(name), depth + 1)
            if found.is_text:
                self.content += found.content
                self.reasoning += found.reasoning
                self.other += found.other
                self.unknown += found.unknown
                self.is_text = True
                return
        self.unknown.append(part)


def in_snake_case(fields: Mapping[str, object]) -> dict[str, object]:
    """Fields by their names in snake case: ``stopReason`` is ``stop_reason``."""
    return {
        name if name.islower() else _INNER_CAPITAL.sub(r"_\1", name).lower(): value
        for name, value in fields.items()
    }


def _names_reasoning(name: str) -> bool:
    return any(word in name for word in _REASONING_WORDS)


def read_choice(choice: Any) -> ChoiceText:
    """The text of a choice: of its message, or where that has none, of the choice itself.

    Where neither has text, the tokens in its log probabilities are the text.
    """
    if not isinstance(choice, dict):
        return _read_fields({"content": choice})
    named = [choice[name] for name in _MESSAGE_FIELDS if choice.get(name) is not None]
    message = named[0] if named else choice
    found = _read_fields(message if isinstance(message, dict) else {"content": message})
    if named and not found.has_text and (own := _read_fields(choice)).has_text:
        found = own
    if not found.has_text and (tokens := _tokens(choice.get("logprobs"))):
        return ChoiceText(tokens, None, found.other, found.unknown)
    return found


def is_nothing(choice: Any) -> bool:
    """Whether a choice has neither a message nor any other text, list or object."""
    if not isinstance(choice, dict):
        return choice is None
    named = {n for n in choice if not n.lower().endswith("reason") and n not in _METADATA}
    return not any(
        choice[name] or name in _MESSAGE_FIELDS
        for name in named
        if isinstance(choice[name], str | list | dict)
    )


def _read_fields(fields: Mapping[str, object]) -> ChoiceText:
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
    if reasoning and content and _repeats(content, reasoning):
        reasoning = None
    return ChoiceText(content, reasoning, found.other, found.unknown)


def _content(message: Mapping[str, object], found: _Texts) -> str | None:
    """The content of a message, with its refusal and audio transcript; adds the rest to ``found``."""
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
    """Several texts as one, without those contained in another; None without any."""
    kept: list[str] = []
    for text in texts:
        if any(text.strip() in other for other in kept):
            continue
        kept = [*(other for other in kept if other.strip() not in text), text]
    return "\n\n".join(kept) if kept else None


def _repeats(content: str, reasoning: str) -> bool:
    """Whether the content has the same reasoning within its own tags."""
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
    """Values from which no text was read, as JSON of bounded length; None without values."""
    if not values:
        return None
    try:
        text = json.dumps(values if len(values) > 1 else values[0], ensure_ascii=False)
    except RecursionError:
        text = json.dumps("nested too deeply")
    return text[:UNREAD_CHARACTERS]


def shape_of(value: Any) -> str:
    """A short description of a value, for the message that it could not be read."""
    if isinstance(value, dict):
        names = ", ".join(sorted(value)[:8])
        return f"an object with {names}" if names else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "null" if value is None else f"a {type(value).__name__}"
