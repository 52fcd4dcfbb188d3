"""Reads why a response ended from the finish reason of its server. Pure.

Servers use dozens of reasons, made of few parts: ``MAX_TOKENS``, ``model_length`` and
``max_output_tokens`` all name a limit. So a reason is split into parts, which decide its meaning.
Where no part does, the response itself decides, and the reason is recorded.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pacore.core.trajectory import FinishReason

End = Literal["ended", "limit", "stopped", "withheld", "aborted", "unknown"]
"""The meaning of a finish reason: the model ended; a limit cut the response; the server stopped it
because of its text, or withheld the rest; the server aborted the request; or an unknown reason."""


def _parts(text: str) -> frozenset[str]:
    return frozenset(text.split())


WITHHELD = _parts(
    """
    blocked blocklist block censored copyright filter filtered flagged guardrail guardrails
    intervened language moderation policy prohibited recitation safety sensitive spii toxic unsafe
    violation withheld
    """
)

STOPPED = _parts("repetition repetitive repeat repeated repeating loop looping degenerate")

LIMIT = _parts(
    """
    budget cache capped context cut cutoff deadline exceeded exhausted incomplete length len limit
    limited limits max maximum out overflow overlong partial time timeout truncate truncated
    truncation window
    """
)

ABORTED = _parts(
    """
    abort aborted busy cancel canceled cancelled cancellation crash disconnect disconnected error
    errors evicted exception fail failed failure insufficient internal interrupt interrupted killed
    load lost network oom overloaded preempt preempted preemption rejected resource resources
    shutdown terminated unavailable unload unloaded
    """
)

ENDED = _parts(
    """
    call calls complete completed completion done end ended endoftext eod eog eom eos eot final finish
    finished function natural normal ok pause refusal stop stopped success successful tool tools turn
    """
)

_IN_ORDER: tuple[tuple[End, frozenset[str]], ...] = (
    ("withheld", WITHHELD),
    ("stopped", STOPPED),
    ("limit", LIMIT),
    ("aborted", ABORTED),
    ("ended", ENDED),
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
