"""A streamed response, put together again to the body it would have been unstreamed. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pacore.engine.chat.choice import in_snake_case
from pacore.engine.faults import read_json

FINISH_FIELDS = (
    "finish_reason",
    "stop_reason",
    "done_reason",
    "completion_reason",
    "native_finish_reason",
)
"""Where servers say how a response ended; the first that says something counts."""

_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")


_LINES = re.compile(r"\r\n|\n|\r")


_DONE = "[DONE]"


def is_stream(content_type: str | None, body: bytes) -> bool:
    """Whether a body is a stream of events, asked for or not."""
    kind = (content_type or "").partition(";")[0].strip().casefold()
    return kind == "text/event-stream" or (
        kind != "application/json" and body[:64].lstrip().startswith(_STARTS)
    )


@dataclass(slots=True)
class Folded:
    """What the events of a stream come to.

    ``is_whole`` says that the stream came to its end: by the mark that ends one, or by saying how
    the response ended. One that breaks off before is cut, however much text it brought.
    """

    is_whole: bool = False
    body: dict[str, Any] = field(default_factory=dict)
    _choice: dict[str, Any] = field(default_factory=dict)
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
        """A delta without a choice around it, as Anthropic's and OpenAI's newer interface send it."""
        if isinstance(delta, str):
            self._pieces.setdefault("content", []).append({"type": kind, "text": delta})
        elif isinstance(delta, dict):
            self._note_end(delta)
            if "type" in delta:
                self._pieces.setdefault("content", []).append(delta)

    def _note_end(self, choice: Mapping[str, Any]) -> None:
        for name, value in in_snake_case(choice).items():
            if name in FINISH_FIELDS and value not in (None, "", "null"):
                self._choice[name] = value
                self.is_whole = True

    def _add_choice(self, choice: Mapping[str, Any]) -> None:
        said = next((choice[name] for name in ("delta", "message") if choice.get(name)), None)
        bare = said or choice.get("text") or choice.get("content")
        pieces = said if isinstance(said, dict) else {"content": bare}
        for name, value in pieces.items():
            if value is not None:
                self._pieces.setdefault(name, []).append(value)
        self._note_end(choice)

    def end(self) -> Folded:
        """The same, its pieces joined: text to text, lists to one list."""
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


def fold(body: bytes) -> Folded:
    """Put the events of a body together, as far as they are JSON."""
    folded = Folded()
    for data in _events(body.decode("utf-8", "replace")):
        if data.strip() == _DONE:
            folded.is_whole = True
            break
        try:
            folded.add(read_json(data.encode()))
        except ValueError:
            break
    return folded.end()


def _events(text: str) -> Iterator[str]:
    """The data of each event. A line that is JSON by itself is one, blank line after it or not."""
    waiting: list[str] = []
    for line in _LINES.split(text):
        if line.startswith("data:"):
            waiting.append(line.removeprefix("data:").removeprefix(" "))
            if len(waiting) == 1 and _is_whole(waiting[0]):
                yield waiting.pop()
        elif not line and waiting:
            yield "\n".join(waiting)
            waiting = []
    if waiting:
        yield "\n".join(waiting)


def _is_whole(data: str) -> bool:
    if data.strip() == _DONE:
        return True
    if not data.rstrip().endswith("}"):
        return False
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
