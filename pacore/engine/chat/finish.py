"""How a response ended, read from the word a server uses for it. Pure.

Servers have dozens of words, made of few parts: ``MAX_TOKENS``, ``model_length`` and
``max_output_tokens`` all name a limit. So a word is taken apart and its parts decide; what no part
decides is decided by the response itself, and the word is kept.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pacore.core.trajectory import FinishReason

End = Literal["ended", "limit", "stopped", "withheld", "given_up", "unknown"]
"""What a word says: the model ended; a limit cut it; the server stopped it for what it was writing,
or withheld the rest; the server gave the request up; or nothing that is known."""


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


GIVEN_UP = _parts(
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
    ("given_up", GIVEN_UP),
    ("ended", ENDED),
)
"""``ERROR_LIMIT`` is a limit and ``ERROR_TOXIC`` a filter; ``stop_limit`` did not end by itself."""

_SAYS_NOTHING = _parts("not no none null nil unspecified unknown other undefined")


_NO_WORDS = _parts("missing null none nil undefined {} []") | {'""', ""}


_PREFIXES = re.compile(r"^(?:(?:finish|stop|done|end)_?reason_?|reason_)(?=.)")


_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


_RUN_TOGETHER = {
    "endturn": "end", "eostoken": "eos", "maxtokens": "max", "maxlength": "max",
    "stopsequence": "stop", "stoptoken": "stop", "toolcalls": "tool", "tooluse": "tool",
    "contentfilter": "filter", "eof": "end",
}  # fmt: skip
"""Words without a mark between their parts."""


@dataclass(frozen=True, slots=True)
class Finish:
    """What a server says of how a response ended: the meaning, and its word for it.

    ``said`` is JSON where the server sent no text, and ``missing`` where it sent no such field.
    """

    end: End
    said: str

    @property
    def is_told(self) -> bool:
        return self.end != "unknown"

    @property
    def is_plain(self) -> bool:
        """Whether the model ended it, or a limit cut it, as the server says."""
        return self.end in ("ended", "limit")

    @property
    def is_word(self) -> bool:
        """Whether the server said something, known or not, and not just nothing in some form."""
        return self.is_told or self.said.casefold() not in _NO_WORDS


MISSING = Finish("unknown", "missing")


def read_finish(value: Any) -> Finish:
    """The meaning of a finish reason as it came; an object is read by the text that names it."""
    if isinstance(value, dict):
        inner = next((value[name] for name in ("type", "reason", "name") if value.get(name)), None)
        return Finish(meaning(inner) if isinstance(inner, str) else "unknown", _as_json(value))
    if not isinstance(value, str) or not value.strip():
        return Finish("unknown", '""' if isinstance(value, str) else _as_json(value))
    return Finish(meaning(value), value.strip())


@lru_cache(maxsize=1024)
def meaning(word: str) -> End:
    """What a server's word says, whatever its case and whatever stands between its parts."""
    snake = re.sub(r"[^0-9a-z]+", "_", _CAMEL.sub("_", word).casefold()).strip("_")
    parts = {_RUN_TOGETHER.get(part, part) for part in _PREFIXES.sub("", snake).split("_")}
    if parts & _SAYS_NOTHING:
        return "unknown"
    return next((end for end, known in _IN_ORDER if parts & known), "unknown")


def finish_reason(finish: Finish, *, is_at_limit: bool, is_open: bool) -> FinishReason:
    """The finish reason of a response that holds text.

    Text stands whatever its server says of its end: it was paid for. ``length`` is text that was
    cut, by a limit or by the server. Where the server says nothing that is known, it was cut if it
    is as long as it was allowed to be (``is_at_limit``) or ends inside of its thinking
    (``is_open``), and else the model ended it.
    """
    if finish.end == "given_up":
        return "engine_error"
    if finish.end == "ended":
        return "stop"
    if finish.end == "unknown" and not (is_at_limit or is_open):
        return "stop"
    return "length"


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
