"""How a request is spelled for one server, and what a refusal says of that. Pure.

A spelling is operational: ``max_completion_tokens`` asks for what ``max_tokens`` asks for, and a
streamed response is the same response. It is learnt from the first refusal, and recorded with every
trajectory. Leaving a field out is no spelling: it changes what is sampled from, and so it is the
recipe's to say (``omit``), never the engine's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pacore.core.engine import Refusal
from pacore.core.trajectory import Request
from pacore.engine.chat.responses import sampling_payload

REFUSING_STATUSES = frozenset({400, 404, 422, 500, 501})
"""LiteLLM answers 500, and some gateways 404, to a field that a provider does not take."""

SPELLINGS = {"max_tokens": "max_completion_tokens", "seed": "random_seed"}
"""Fields that some servers know by another name: OpenAI's newer models, Mistral."""

_UNKNOWN_NAME = re.compile(
    r"unsupported|not support|unknown|unrecogni[sz]ed|unexpected|not permitted|not allowed|forbidden|"
    r"extra_forbidden|cannot find|no longer|deprecated|not available|not valid|is invalid for|"
    r"instead|cannot both|additional propert|does not accept|not accepted|not implemented",
    re.IGNORECASE,
)


_NO_SUCH_FIELD = frozenset({"unsupported_parameter", "unknown_parameter", "unrecognized_parameter"})


_NO_FIELD = re.compile(
    r"extra_forbidden|\b(unsupported|unknown|unrecogni[sz]ed|unexpected)\b[^.]{0,20}"
    r"\b(parameter|argument|field|name|key|property)",
    re.IGNORECASE,
)


_LIMIT = re.compile(
    r"too (large|small|big|high|low)|at most|at least|less than|greater than|range|exceed",
    re.IGNORECASE,
)


_WANTS_STREAM = re.compile(
    r"\bstream(ing)?\b[^.]{0,60}\b(true|only|require[sd]?|must|enable[d]?)\b|"
    r"\b(only|requires?|must|enable)\b[^.]{0,40}\bstream|non[- ]stream",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Wire:
    """The form in which a server takes requests; as it is made here, the usual one.

    ``renamed`` are fields under other names, ``streams`` asks for events, and ``asks_usage`` for
    token counts among them.
    """

    renamed: tuple[str, ...] = ()
    streams: bool = False
    asks_usage: bool = True

    @property
    def label(self) -> str | None:
        """What differs from the usual form, as it is recorded; None where nothing does."""
        stream = ("stream" if self.asks_usage else "stream without usage",) if self.streams else ()
        return ", ".join((*(SPELLINGS[name] for name in self.renamed), *stream)) or None

    def body(self, request: Request) -> dict[str, Any]:
        """The request as this server takes it."""
        body = {
            SPELLINGS[name] if name in self.renamed else name: value
            for name, value in sampling_payload(request).items()
        }
        if self.streams:
            body["stream"] = True
            if self.asks_usage:
                body["stream_options"] = {"include_usage": True}
        return body

    def after(self, refusal: Refusal, body: Mapping[str, Any]) -> Wire | None:
        """Another form of the same request, where the refusal of ``body`` calls for one."""
        if refusal.status not in REFUSING_STATUSES:
            return None
        message = refusal.message
        if self.streams and self.asks_usage and "stream_options" in message:
            return replace(self, asks_usage=False)
        if not self.streams and _WANTS_STREAM.search(message):
            return replace(self, streams=True)
        field = named_field(refusal, body)
        if field not in SPELLINGS or field in self.renamed or not _knows_no(field, refusal):
            return None
        return replace(self, renamed=tuple(sorted((*self.renamed, field))))


USUAL = Wire()


def _knows_no(field: str, refusal: Refusal) -> bool:
    """Whether a server does not know a field by this name, and may know it by the other.

    It says the other name, or that it does not know this one; a limit of the field's value is
    neither. What a server does not know it may ignore, so a guess could change what is sampled.
    """
    if _LIMIT.search(refusal.message):
        return False
    return SPELLINGS[field] in refusal.message or (
        field == "max_tokens"
        and (bool(refusal.codes & _NO_SUCH_FIELD) or _NO_FIELD.search(refusal.message) is not None)
    )


def is_about_name(refusal: Refusal) -> bool:
    """Whether a server refuses a field, and not the value it has."""
    said = " ".join((refusal.message, *sorted(refusal.codes)))
    return _UNKNOWN_NAME.search(said.replace("_", " ")) is not None or "extra_forbidden" in said


def named_field(refusal: Refusal, body: Mapping[str, Any]) -> str | None:
    """The field of a request that an error names; the first one in its message, if in no other way."""
    fields = [name for name in body if name not in ("model", "messages", "stream_options")]
    parameter = (refusal.parameter or "").rpartition(".")[2]
    if parameter in fields:
        return parameter
    places = [
        (found.start(), name)
        for name in fields
        if (found := re.search(rf"(?<![A-Za-z_]){re.escape(name)}(?![A-Za-z_])", refusal.message))
    ]
    return min(places)[1] if places else None
