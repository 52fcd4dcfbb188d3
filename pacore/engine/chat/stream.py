"""Assembles the events of a streamed response into the body of the unstreamed one. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pacore.core.engine import Stream
from pacore.engine.chat.choice import in_snake_case
from pacore.engine.faults import read_json

FINISH_FIELDS = (
    "finish_reason",
    "stop_reason",
    "done_reason",
    "completion_reason",
    "native_finish_reason",
)
"""Fields with the reason why a response ended; the first one with a value is used."""

_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")

_LINES = re.compile(r"\r\n|\n|\r")

_DONE = "[DONE]"


def is_stream(content_type: str | None, body: bytes) -> bool:
    """Whether a body is a stream of events, requested or not."""
    kind = (content_type or "").partition(";")[0].strip().casefold()
    return kind == "text/event-stream" or (
        kind != "application/json" and body[:64].lstrip().startswith(_STARTS)
    )


_COUNTED = re.compile(rb'"completion_tokens" *: *(\d+)')

_LONGEST_COUNT_BYTES = 64
"""Of the end of what came before: a count may be cut in two."""


@dataclass(slots=True)
class StreamCount:
    """Counts the tokens of a streamed response while it comes: by the server's own counts where it sends
    them all through the stream, else by the events, each of which has mostly one token.
    """

    stream: Stream
    _end: bytes = b""

    def see(self, part: bytes) -> None:
        """Take a part of the response's body."""
        seen = self._end + part
        self._end = seen[-_LONGEST_COUNT_BYTES:]
        if counts := _COUNTED.findall(seen):
            self.stream.tokens = max(int(counts[-1]), self.stream.tokens)
            self.stream.source = "server"
        elif self.stream.source != "server":
            self.stream.tokens += part.count(b"data:")
            self.stream.source = "stream"


@dataclass(slots=True)
class AssembledStream:
    """The body assembled from the events of a stream.

    ``is_complete``: the stream had its end mark, or a reason why the response ended. Without
    either it broke off, however much text it had.
    """

    is_complete: bool = False
    body: dict[str, object] = field(default_factory=dict)
    _choice: dict[str, object] = field(default_factory=dict)
    _pieces: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, event: Any) -> None:
        if not isinstance(event, dict):
            return
        for name, value in event.items():
            if name != "choices" and value is not None:
                self.body[name] = value
        choices = event.get("choices", event.get("candidates"))
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                self._add_choice(choice)
        if choices is None and event.get("delta"):
            self._add_bare(event["delta"], str(event.get("type") or ""))

    def _add_bare(self, delta: Any, kind: str) -> None:
        """Add a delta outside of a choice, as in Anthropic's and OpenAI's newer interface."""
        if isinstance(delta, str):
            self._pieces.setdefault("content", []).append({"type": kind, "text": delta})
        elif isinstance(delta, dict):
            self._record_end(delta)
            if "type" in delta:
                self._pieces.setdefault("content", []).append(delta)

    def _record_end(self, choice: Mapping[str, object]) -> None:
        for name, value in in_snake_case(choice).items():
            if name in FINISH_FIELDS and value not in (None, "", "null"):
                self._choice[name] = value
                self.is_complete = True

    def _add_choice(self, choice: Mapping[str, object]) -> None:
        delta = next((choice[name] for name in ("delta", "message") if choice.get(name)), None)
        bare = delta or choice.get("text") or choice.get("content")
        pieces = delta if isinstance(delta, dict) else {"content": bare}
        for name, value in pieces.items():
            if value is not None:
                self._pieces.setdefault(name, []).append(value)
        self._record_end(choice)

    def end(self) -> AssembledStream:
        """Join the pieces of each field, texts to one text, lists to one list; returns itself."""
        if self._pieces or self._choice:
            message = {name: _joined(pieces) for name, pieces in self._pieces.items()}
            self.body["choices"] = [{**self._choice, "message": message}]
        return self


def _joined(pieces: list[Any]) -> Any:
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    flat: list[Any] = []
    for piece in pieces:
        flat += piece if isinstance(piece, list) else [piece]
    return flat


def assemble(body: bytes) -> AssembledStream:
    """Assemble the events of a body, up to the first one that is not JSON."""
    assembled = AssembledStream()
    for data in _events(body.decode("utf-8", "replace")):
        if data.strip() == _DONE:
            assembled.is_complete = True
            break
        try:
            assembled.add(read_json(data.encode()))
        except ValueError:
            break
    return assembled.end()


def _events(text: str) -> Iterator[str]:
    """The data of each event. A line that is JSON by itself is an event even where no blank line
    follows it.
    """
    pending: list[str] = []
    for line in _LINES.split(text):
        if line.startswith("data:"):
            pending.append(line.removeprefix("data:").removeprefix(" "))
            if len(pending) == 1 and _is_complete(pending[0]):
                yield pending.pop()
        elif not line and pending:
            yield "\n".join(pending)
            pending = []
    if pending:
        yield "\n".join(pending)


def _is_complete(data: str) -> bool:
    if data.strip() == _DONE:
        return True
    if not data.rstrip().endswith("}"):
        return False
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
