"""Wire formats: field names and streaming of requests, selected by a server's refusals. Pure.

A wire format is operational: ``max_completion_tokens`` means the same as ``max_tokens``, and a
streamed response has the same content. It is selected after a server's first refusal, and recorded
with every trajectory. To omit a field is not a wire format: it changes the distribution that is
sampled from, and is therefore part of the recipe (``omit``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pacore.core.engine import NO_HINT, Hint, Refusal
from pacore.core.trajectory import Request
from pacore.engine.chat.responses import sampling_payload

REFUSING_STATUSES = frozenset({400, 404, 422, 500, 501})
"""LiteLLM responds with 500, and some gateways with 404, to a field that a provider refuses."""

OTHER_NAMES = {"max_tokens": "max_completion_tokens", "seed": "random_seed"}
"""Fields that have another name on some servers: those of OpenAI's newer models, of Mistral."""

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
class WireFormat:
    """The format in which a server accepts requests; the defaults are the standard format.

    ``renamed`` are the fields sent under their name in `OTHER_NAMES`. ``streams`` requests a
    streamed response, and ``requests_usage`` token counts in its stream; ``counts_usage`` all through the
    stream where a request may be aborted, which alone makes no other format, as no answer depends on it.
    ``has_priority`` sends the priority of a request, which vLLM takes as a field of its own: no answer
    depends on it, so it is no part of ``label`` either.
    """

    renamed: tuple[str, ...] = ()
    streams: bool = False
    requests_usage: bool = True
    has_priority: bool = False
    counts_usage: bool = True

    @property
    def label(self) -> str | None:
        """The differences from the standard format, as they are recorded; None without any."""
        usage = "stream" if self.requests_usage else "stream without usage"
        stream = (usage,) if self.streams else ()
        return ", ".join((*(OTHER_NAMES[name] for name in self.renamed), *stream)) or None

    def body(self, request: Request, hint: Hint = NO_HINT) -> dict[str, object]:
        """The JSON body of the request in this format."""
        body: dict[str, object] = {
            OTHER_NAMES[name] if name in self.renamed else name: value
            for name, value in sampling_payload(request).items()
        }
        if self.streams or hint.meter is not None:
            body["stream"] = True
            if self.requests_usage:
                counts = (
                    {"continuous_usage_stats": True} if hint.meter and self.counts_usage else {}
                )
                body["stream_options"] = {"include_usage": True, **counts}
        if self.has_priority and hint.level:
            body["priority"] = hint.level
        return body

    def after(self, refusal: Refusal, body: Mapping[str, object]) -> WireFormat | None:
        """The format to try next after the refusal of ``body``; None where none would help."""
        if refusal.status not in REFUSING_STATUSES:
            return None
        message = refusal.message
        if "stream_options" in body and re.search("stream_options|continuous_usage", message):
            if "continuous_usage_stats" in str(body["stream_options"]):
                return replace(self, counts_usage=False)
            return replace(self, requests_usage=False)
        if not self.streams and _WANTS_STREAM.search(message):
            return replace(self, streams=True)
        field = named_field(refusal, body)
        if field == "priority":
            return replace(self, has_priority=False)
        if field not in OTHER_NAMES or field in self.renamed or not _is_unknown(field, refusal):
            return None
        return replace(self, renamed=tuple(sorted((*self.renamed, field))))


STANDARD_FORMAT = WireFormat()


def _is_unknown(field: str, refusal: Refusal) -> bool:
    """Whether a server refuses a field's name, and may accept its other name.

    Its message has the other name, or states that this one is unknown; a message about a limit of
    the field's value does not count. Servers may ignore unknown fields, so renaming without such a
    message could change the distribution that is sampled from.
    """
    if _LIMIT.search(refusal.message):
        return False
    return OTHER_NAMES[field] in refusal.message or (
        field == "max_tokens"
        and (bool(refusal.codes & _NO_SUCH_FIELD) or _NO_FIELD.search(refusal.message) is not None)
    )


def is_about_name(refusal: Refusal) -> bool:
    """Whether a refusal is of a field as such, not of its value."""
    text = " ".join((refusal.message, *sorted(refusal.codes)))
    return _UNKNOWN_NAME.search(text.replace("_", " ")) is not None or "extra_forbidden" in text


def named_field(refusal: Refusal, body: Mapping[str, object]) -> str | None:
    """The field of a request that an error names as its parameter, else first in its message."""
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
