"""Reads one choice of a response: content, reasoning, the rest, and why it ended. Pure.

Servers send text as text, as a list of parts, or as nested objects, under a dozen names. So a choice
is searched for text: text whose name or type contains ``think``, ``thought`` or ``reason`` is
reasoning, other text is content, and parts without text are kept as JSON.

For an end they use dozens of reasons, made of few parts: ``MAX_TOKENS``, ``model_length`` and
``max_output_tokens`` all name a limit. So a reason is split into parts, which decide its meaning.
Where no part does, the response itself decides, and the reason is recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from pacore.core.trajectory import CLOSE, OPEN, FinishReason

UNREAD_CHARACTERS = 16 * 1024
"""Most characters that are stored of JSON from which no text could be read."""

MAX_DEPTH = 16

CONTENT_FIELDS = (
    "content", "text", "output_text", "output", "response", "generated_text", "generation", "result",
    "completion", "parts", "messages", "data", "reply",
)  # fmt: skip

_REASONING_FIELDS = (
    "reasoning", "reasoning_content", "reasoning_text", "thinking", "thinking_content", "thought",
    "thoughts", "reasoning_details",
)  # fmt: skip

_TOOL_FIELDS = ("tool_calls", "function_call")

_PART_FIELDS = (
    "text", "content", "parts", "thinking", "reasoning", "reasoning_text", "reasoning_content",
    "summary", "output_text", "refusal", "transcript", "value",
)  # fmt: skip
"""The fields of a part that may have its text; the first with text is used, since others repeat it."""

_FIELDS = frozenset((*CONTENT_FIELDS, *_REASONING_FIELDS, *_TOOL_FIELDS, "refusal", "audio"))

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
        for name in _PART_FIELDS:
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
    for name in _REASONING_FIELDS:
        if message.get(name) is not None:
            thought = _Texts().search(message[name], thinks=True)
            reasonings += ["".join(thought.reasoning)] if thought.is_text else []
            found.other += thought.other + thought.unknown
    found.other += [{name: message[name]} for name in _TOOL_FIELDS if message.get(name)]
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


End = Literal["ended", "limit", "stopped", "withheld", "aborted", "unknown"]
"""The meaning of a finish reason: the model ended; a limit cut the response; the server stopped it
because of its text, or withheld the rest; the server aborted the request; or an unknown reason."""


def _parts(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WITHHELD = _parts(
    """
    blocked blocklist block censored copyright filter filtered flagged guardrail guardrails
    intervened language moderation policy prohibited recitation safety sensitive spii toxic unsafe
    violation withheld
    """
)

_STOPPED = _parts("repetition repetitive repeat repeated repeating loop looping degenerate")

_LIMIT = _parts(
    """
    budget cache capped context cut cutoff deadline exceeded exhausted incomplete length len limit
    limited limits max maximum out overflow overlong partial time timeout truncate truncated
    truncation window
    """
)

_ABORTED = _parts(
    """
    abort aborted busy cancel canceled cancelled cancellation crash disconnect disconnected error
    errors evicted exception fail failed failure insufficient internal interrupt interrupted killed
    load lost network oom overloaded preempt preempted preemption rejected resource resources
    shutdown terminated unavailable unload unloaded
    """
)

_ENDED = _parts(
    """
    call calls complete completed completion done end ended endoftext eod eog eom eos eot final finish
    finished function natural normal ok pause refusal stop stopped success successful tool tools turn
    """
)

_IN_ORDER: tuple[tuple[End, frozenset[str]], ...] = (
    ("withheld", _WITHHELD),
    ("stopped", _STOPPED),
    ("limit", _LIMIT),
    ("aborted", _ABORTED),
    ("ended", _ENDED),
)
"""In order of precedence: ``ERROR_LIMIT`` and ``stop_limit`` name a limit, ``ERROR_TOXIC`` a filter."""

_MEANINGLESS = _parts("not no none null nil unspecified unknown other undefined")

_ABSENT = _parts("missing null none nil undefined {} []") | {'""', ""}

_PREFIXES = re.compile(r"^(?:(?:finish|stop|done|end)_?reason_?|reason_)(?=.)")

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_RUN_TOGETHER = {
    "endturn": "end", "eostoken": "eos", "maxtokens": "max", "maxlength": "max",
    "stopsequence": "stop", "stoptoken": "stop", "toolcalls": "tool", "tooluse": "tool",
    "contentfilter": "filter", "eof": "end",
}  # fmt: skip
"""Reasons without a separator between their parts."""


@dataclass(frozen=True, slots=True)
class Finish:
    """A server's finish reason: its meaning, and the reason as the server sent it.

    ``reason`` is JSON where the server sent no text, and ``missing`` where it sent no such field.
    """

    end: End
    reason: str

    @property
    def is_known(self) -> bool:
        return self.end != "unknown"

    @property
    def is_plain(self) -> bool:
        """Whether the reason is that the model ended the response, or a limit cut it."""
        return self.end in ("ended", "limit")

    @property
    def is_present(self) -> bool:
        """Whether the server sent a reason, known or unknown, and no null or empty value."""
        return self.is_known or self.reason.casefold() not in _ABSENT


NO_FINISH = Finish("unknown", "missing")


def read_finish(value: Any) -> Finish:
    """Read a finish reason: a text, or an object with a text under ``type``, ``reason`` or ``name``."""
    if isinstance(value, dict):
        inner = next((value[name] for name in ("type", "reason", "name") if value.get(name)), None)
        return Finish(meaning(inner) if isinstance(inner, str) else "unknown", _as_json(value))
    if not isinstance(value, str) or not value.strip():
        return Finish("unknown", '""' if isinstance(value, str) else _as_json(value))
    return Finish(meaning(value), value.strip())


@lru_cache(maxsize=1024)
def meaning(reason: str) -> End:
    """The meaning of a finish reason, regardless of case and of the separator of its parts."""
    snake = re.sub(r"[^0-9a-z]+", "_", _CAMEL.sub("_", reason).casefold()).strip("_")
    parts = {_RUN_TOGETHER.get(part, part) for part in _PREFIXES.sub("", snake).split("_")}
    if parts & _MEANINGLESS:
        return "unknown"
    return next((end for end, known in _IN_ORDER if parts & known), "unknown")


def finish_reason(finish: Finish, *, is_at_limit: bool, is_open: bool) -> FinishReason:
    """pacore's finish reason of a response that has text.

    The text is kept whatever the server's reason is: it was paid for. ``length`` is text that was
    cut, by a limit or by the server. Where the reason is unknown, the text was cut if it has the
    maximum length (``is_at_limit``) or ends within its reasoning (``is_open``), and otherwise the
    model ended it.
    """
    if finish.end == "aborted":
        return "engine_error"
    if finish.end == "ended":
        return "stop"
    if finish.end == "unknown" and not (is_at_limit or is_open):
        return "stop"
    return "length"


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
