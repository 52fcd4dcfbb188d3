"""What an answer other than 200 means, decided once: by status, then typed error body. Pure.

400 413 422           a code, type or parameter of the context window   context_overflow
400 413               the wording of servers that have no such code     context_overflow
408 409 425 429 5xx   the server is in trouble, the request is not      engine_error, transient
anything else         this request will never do                        rejected
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pacore.engine.protocol import EngineFault

CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
"""Error codes and types that mean the context window: OpenAI's and llama.cpp's."""

CONTEXT_PARAMETERS = frozenset({"input_tokens", "input_text"})
"""vLLM names one of these as ``param`` when a prompt alone is longer than the window."""

CONTEXT_WORDING = (
    "maximum context length",  # vLLM, SGLang, OpenAI
    "max_model_len",  # vLLM, when max_tokens alone is more than the window
    "longer than the model's context length",  # SGLang
    "exceeds the maximum allowed length",  # SGLang, from its scheduler
)

QUOTA_CODES = frozenset({"insufficient_quota"})
"""A 429 that waiting does not cure: OpenAI's account without credit."""

PASSING_CLIENT_ERRORS = frozenset({408, 409, 425, 429})
LASTING_SERVER_ERRORS = frozenset({501, 505})

MAX_DETAIL_CHARACTERS = 300
LOOKED_AT_CHARACTERS = 8192

SECRET_CHARACTERS = 16
"""A key as short as ``EMPTY`` keeps nothing secret, and a model may well say it."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT")
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who answered, for the one-line details of faults: never without the endpoint."""

    endpoint: str
    secret: str | None = None

    def detail(self, what: str, message: str = "") -> str:
        """``<endpoint>: <what>: <message>``; the message is a server's and gets cut and cleaned."""
        cleaned = self.cleaned(message)
        return f"{self.endpoint}: {what}: {cleaned}" if cleaned else f"{self.endpoint}: {what}"

    def cleaned(self, message: str) -> str:
        """A server's text as part of a line: no escapes, no key, at most 300 characters."""
        visible = _visible(self._masked(message)[:LOOKED_AT_CHARACTERS])
        # Again, because taking escapes out may have put a key together.
        return self._masked(visible)[:MAX_DETAIL_CHARACTERS]

    def redacted(self, text: str) -> str:
        """A server's text as it is kept: whole, in characters that can be encoded, without the key.

        A server that logs its requests, or a proxy in debug mode, may hand the key back.
        """
        whole = whole_text(text)
        if self.secret is None or len(self.secret) < SECRET_CHARACTERS:
            return whole
        return self._masked(whole)

    def label(self, text: str) -> str:
        """A server's name for something, as it is kept: one line of at most 300 characters."""
        visible = _visible(self.redacted(text[:LOOKED_AT_CHARACTERS]))
        return self.redacted(visible)[:MAX_DETAIL_CHARACTERS]

    def _masked(self, text: str) -> str:
        if self.secret is None:
            return text
        return text.replace(self.secret, "***").replace(_percent_encoded(self.secret), "***")


def _percent_encoded(secret: str) -> str:
    """The key as it stands in an echoed URL; keys are ASCII."""
    return "".join(c if c.isalnum() or c in "-._~" else f"%{ord(c):02X}" for c in secret)


def _visible(text: str) -> str:
    """One line of ``text`` without terminal escapes and characters that cannot be seen."""
    kept = (
        character if unicodedata.category(character) not in _UNSEEN else " "
        for character in _ESCAPES.sub("", whole_text(text))
    )
    return " ".join("".join(kept).split())


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def whole_text(text: str) -> str:
    """``text`` with every lone surrogate replaced, so that it can be encoded as UTF-8.

    JSON may carry half of a surrogate pair where a server cut a text between two tokens.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def read_json(body: bytes) -> Any:
    """Decode a body. Raises ValueError for everything that is not JSON, however deep."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


@dataclass(frozen=True, slots=True)
class ServerError:
    """What an error body says: ``codes`` holds its code and type where they are words."""

    message: str
    codes: frozenset[str] = frozenset()
    parameter: str | None = None


def read_error(body: bytes) -> ServerError:
    """Read an error body in any of the shapes servers use; text that is no JSON is the message.

    OpenAI, vLLM and llama.cpp nest an object under ``error``, SGLang puts its fields at the top,
    vLLM's authentication makes ``error`` a text, and FastAPI says ``detail``.
    """
    try:
        found = read_json(body)
    except ValueError:
        return ServerError(body[:LOOKED_AT_CHARACTERS].decode("utf-8", "replace"))
    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, dict):
        found = found.get("error") or found
    if not isinstance(found, dict):
        return ServerError(found if isinstance(found, str) else "")
    message = next((found[name] for name in ("message", "detail") if found.get(name)), "")
    if not isinstance(message, str):
        message = json.dumps(message)
    codes = frozenset(
        value for name in ("code", "type") if isinstance(value := found.get(name), str)
    )
    parameter = found.get("param")
    return ServerError(message, codes, parameter if isinstance(parameter, str) else None)


def is_context_overflow(status: int, error: ServerError) -> bool:
    """Whether the prompt, alone or with the tokens asked for, did not fit the window."""
    if status not in (400, 413, 422):
        return False
    if error.codes & CONTEXT_CODES or error.parameter in CONTEXT_PARAMETERS:
        return True
    return status != 422 and any(wording in error.message for wording in CONTEXT_WORDING)


def fault_of_status(
    origin: Origin, status: int, error: ServerError, wait_seconds: float | None = None
) -> EngineFault:
    """The fault of an answer other than 200; ``wait_seconds`` is what ``Retry-After`` named."""
    detail = origin.detail(str(status), error.message)
    passing = status in PASSING_CLIENT_ERRORS or (
        status >= 500 and status not in LASTING_SERVER_ERRORS
    )
    if not passing or error.codes & QUOTA_CODES:
        return EngineFault("rejected", detail, transient=False)
    return EngineFault("engine_error", detail, transient=True, retry_after_seconds=wait_seconds)


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """Seconds from ``now`` that a ``Retry-After`` header names, in either of its two forms."""
    if header is None:
        return None
    text = header.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    if not _HTTP_DATE.fullmatch(text):
        return None
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except ValueError:
        return None
