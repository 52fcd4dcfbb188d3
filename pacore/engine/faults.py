"""Classifies the errors of servers, in this one place: by status, then by typed error body. Pure.

400 413 422           a code, type or parameter of the context window   context_overflow
400 413 422           the wording of servers that have no such code     context_overflow
408 409 425 429 5xx   a fault of the server, not of the request         engine_error, transient
anything else         the request will fail whenever it is sent         rejected

An error in the body of a 200 has the status that its code names.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pacore.core.engine import EngineFault, Refusal

OVERFLOW_STATUSES = frozenset({400, 413, 422})

CONTEXT_CODES = frozenset(
    {
        "context_length_exceeded",  # OpenAI, Azure, Groq, Cerebras, OpenRouter
        "context_window_exceeded",  # LiteLLM
        "contextwindowexceedederror",
        "exceed_context_size_error",  # llama.cpp
        "model_context_window_exceeded",  # GLM
        "model_max_prompt_tokens_exceeded",  # GitHub Copilot
        "request_too_large",  # Anthropic
        "string_above_max_length",  # OpenAI, a single message
        "tokens_limit_reached",  # GitHub Models
    }
)
"""Error codes and types for a prompt that exceeds the context window, in lower case."""

CONTEXT_PARAMETERS = frozenset({"input_tokens", "input_text"})
"""vLLM names one of these as ``param`` when a prompt alone is longer than the window."""

CONTEXT_WORDING = (
    # what is too long
    r"(?<![a-z])(prompts?|inputs?|context|messages?|conversation|sequence length|token limit|"
    r"too many tokens|max_model_len|max_seq_len|max_total_tokens|session_len|n_ctx|model length|"
    r"输入|上下文|提示词)(?![a-z])",
    # that it is
    r"exceed|too (long|large|big|many)|(long|larg|great|bigg)er than|maximum|(?<![a-z])max(?![a-z_])|"
    r"limit|(?<![a-z])only|up to|at most|configured|less than|fewer than|<=|>|reduce|decrease|shorten|"
    r"overflow|range of|[超过]",
    # measured in what
    r"token|length|context|window|size|(?<![a-z])long|max_|长",
)
"""The wording of servers without an error code for it. A message must match all three patterns: what
is too long, that it is too long, and the unit."""

NO_OVERFLOW = (
    r"rate limit|tokens per (minute|day)|\btpm\b|quota|per (minute|day|hour)",
    r"^\W*(max_tokens|max_completion_tokens|max_new_tokens)\b[^.]{0,40}\b(too large|at most|at least)",
)
"""Other messages about tokens and limits: rate limits, and limits of the generated tokens."""

NO_SUBJECT = r"input (validation error|should be)"
"""The beginning of validators' messages about any field."""

QUOTA_CODES = frozenset({"insufficient_quota"})
"""Codes of a 429 that is permanent: OpenAI's for an account without credit."""

TRANSIENT_CLIENT_ERRORS = frozenset({408, 409, 425, 429})

PERMANENT_SERVER_ERRORS = frozenset({501, 505})

PERMANENT_WORDING = re.compile(r"UnsupportedParams|does not support parameters")
"""LiteLLM's message, with status 500, for a field that a provider does not accept."""

MAX_DETAIL_CHARACTERS = 300

MAX_READ_CHARACTERS = 8192

SECRET_CHARACTERS = 16
"""Shortest key that is masked in generated text: one such as ``EMPTY`` is no secret, and a model may
generate that word."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")

_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT")

_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Origin:
    """The endpoint of a response, and its key; makes one-line details that name the endpoint."""

    endpoint: str
    secret: str | None = None

    def detail(self, what: str, message: str = "") -> str:
        """``<endpoint>: <what>: <message>``; the server's message is cleaned and truncated."""
        cleaned = self.cleaned(message)
        return f"{self.endpoint}: {what}: {cleaned}" if cleaned else f"{self.endpoint}: {what}"

    def cleaned(self, message: str) -> str:
        """A server's text for one line: no escapes, no key, at most 300 characters."""
        visible = _visible(self._masked(message)[:MAX_READ_CHARACTERS])
        # Again, because removing escapes may have joined the parts of a key.
        return self._masked(visible)[:MAX_DETAIL_CHARACTERS]

    def redacted(self, text: str) -> str:
        """A server's text as it is stored: complete, encodable as UTF-8, without the key.

        A server that logs its requests, or a proxy in debug mode, may return the key.
        """
        whole = whole_text(text)
        if self.secret is None or len(self.secret) < SECRET_CHARACTERS:
            return whole
        return self._masked(whole)

    def label(self, text: str) -> str:
        """A name from a server, as it is stored: one line of at most 300 characters."""
        visible = _visible(self.redacted(text[:MAX_READ_CHARACTERS]))
        return self.redacted(visible)[:MAX_DETAIL_CHARACTERS]

    def _masked(self, text: str) -> str:
        if self.secret is None:
            return text
        return text.replace(self.secret, "***").replace(_percent_encoded(self.secret), "***")


def _percent_encoded(secret: str) -> str:
    """The key as it is encoded in a URL; keys are ASCII."""
    return "".join(c if c.isalnum() or c in "-._~" else f"%{ord(c):02X}" for c in secret)


def _visible(text: str) -> str:
    """``text`` in one line, without terminal escapes and invisible characters."""
    kept = (
        character if unicodedata.category(character) not in _INVISIBLE else " "
        for character in _ESCAPES.sub("", whole_text(text))
    )
    return " ".join("".join(kept).split())


_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def whole_text(text: str) -> str:
    """``text`` with every lone surrogate replaced, so that it can be encoded as UTF-8.

    JSON may contain half of a surrogate pair where a server cut a text between two tokens.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def read_json(body: bytes) -> Any:
    """Decode a body. Raises ValueError for a body that is not JSON or is nested too deeply."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


@dataclass(frozen=True, slots=True)
class ServerError:
    """The content of an error body. ``codes`` are its code and type where they are texts.

    ``status`` is the HTTP status that a code means, as a number or in words; None without one.
    """

    message: str
    codes: frozenset[str] = frozenset()
    parameter: str | None = None
    status: int | None = None


def read_error(body: bytes) -> ServerError:
    """Read an error body in any of the layouts servers use; a body that is no JSON is the message.

    OpenAI, vLLM and llama.cpp have an object under ``error``, SGLang has its fields at the top
    level, vLLM's authentication has a text under ``error``, and FastAPI has ``detail``.
    """
    try:
        found = read_json(body)
    except ValueError:
        return ServerError(body[:MAX_READ_CHARACTERS].decode("utf-8", "replace"))
    return _error_of(found)


def error_in(found: Any) -> ServerError | None:
    """The error in the body of a 200, in place of a completion or beside part of one; else None."""
    if not isinstance(found, dict):
        return None
    if found.get("error") or found.get("object") == "error" or found.get("type") == "error":
        return _error_of(found)
    if found.get("choices") or not any(found.get(name) for name in _CODES):
        return None
    error = _error_of(found)
    return error if error.status is not None and error.message else None


_CODES = ("code", "type", "status", "error_type", "status_code")

_MESSAGES = ("message", "msg", "detail", "error_message")


def _error_of(found: Any) -> ServerError:
    """An error whose fields are at the top level or below ``error``; its codes may be at both."""
    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, str):
        return ServerError(found)
    if not isinstance(found, dict):
        return ServerError("")
    inner = found.get("error") or found.get("errors")
    if isinstance(inner, list) and inner:
        inner = inner[0]
    if isinstance(inner, str):
        inner = {"message": inner}
    fields = {**found, "message": None, **inner} if isinstance(inner, dict) else found
    message = next((fields[name] for name in _MESSAGES if fields.get(name)), "")
    if not isinstance(message, str):
        message = json.dumps(message)
    values = [fields.get(name) for name in _CODES]
    parameter = fields.get("param")
    return ServerError(
        message,
        frozenset(value for value in values if isinstance(value, str)),
        parameter if isinstance(parameter, str) else None,
        next(filter(None, map(_status, values)), None),
    )


_STATUS_WORDS = (
    (401, "unauthenticated unauthorized authentication apikey"),
    (403, "permission forbidden denied"),
    (404, "notfound"),
    (429, "ratelimit ratelimited toomanyrequests throttl exhausted quota"),
    (400, "invalid badrequest validation unsupported malformed failedprecondition"),
    (503, "overloaded unavailable"),
    (500, "internal servererror apierror"),
)
"""Parts of error codes and types, and the status they mean; the first part found decides."""


def _status(code: Any) -> int | None:
    if isinstance(code, str) and not code.isdecimal():
        word = re.sub(r"[^a-z]", "", code.casefold())
        return next(
            (status for status, parts in _STATUS_WORDS if any(p in word for p in parts.split())),
            None,
        )
    if isinstance(code, bool) or not isinstance(code, int | str) or len(str(code)) != 3:
        return None
    return int(code) if 400 <= int(code) <= 599 else None


def is_context_overflow(status: int, error: ServerError) -> bool:
    """Whether the prompt, alone or with the requested tokens, did not fit the window."""
    if status not in OVERFLOW_STATUSES:
        return False
    if {code.casefold() for code in error.codes} & CONTEXT_CODES:
        return True
    if error.parameter in CONTEXT_PARAMETERS:
        return True
    message = re.sub(NO_SUBJECT, "", error.message[:MAX_READ_CHARACTERS].casefold())
    if any(re.search(pattern, message) for pattern in NO_OVERFLOW):
        return False
    return all(re.search(pattern, message) for pattern in CONTEXT_WORDING)


def fault_of_status(
    origin: Origin, status: int, error: ServerError, wait_seconds: float | None = None
) -> EngineFault:
    """The fault of an error; ``wait_seconds`` is the time that ``Retry-After`` named."""
    detail = origin.detail(str(status), error.message)
    transient = status in TRANSIENT_CLIENT_ERRORS or (
        status >= 500 and status not in PERMANENT_SERVER_ERRORS
    )
    if status >= 500 and PERMANENT_WORDING.search(error.message):
        transient = False
    if not transient or error.codes & QUOTA_CODES:
        message = origin.redacted(error.message[:MAX_READ_CHARACTERS])
        refusal = Refusal(origin.endpoint, status, message, error.codes, error.parameter)
        return EngineFault("rejected", detail, transient=False, refusal=refusal)
    return EngineFault("engine_error", detail, transient=True, retry_after_seconds=wait_seconds)


def retry_after_seconds(header: str | None, date: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` header names, as their number or as a date; None without a header or
    for an invalid one.

    A date is of the server's clock, and so counts from ``date``, the response's own; from ``now`` where
    it has none.
    """
    if header is None:
        return None
    text = header.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    if (until := _http_date(text)) is None:
        return None
    return max(0.0, (until - (_http_date(date or "") or now)).total_seconds())


def _http_date(text: str) -> datetime | None:
    if not _HTTP_DATE.fullmatch(text.strip()):
        return None
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
