"""Reads the response to a chat completion request as a generation, or raises its fault. Pure.

Text is kept whatever the finish reason is: it was paid for. A response without text is an empty
generation where its finish reason is that the model ended, a transient fault where it has no finish
reason, and a permanent fault, recorded with its JSON, where its layout is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypedDict

from pacore.core.engine import EngineFault, Refusal
from pacore.core.trajectory import FinishReason, Generation
from pacore.engine.chat.choice import (
    CONTENT_FIELDS,
    NO_FINISH,
    ChoiceText,
    Finish,
    finish_reason,
    in_snake_case,
    is_nothing,
    read_choice,
    read_finish,
    shape_of,
    unread_json,
)
from pacore.engine.chat.responses import Response, label, positive, redirected
from pacore.engine.chat.stream import FINISH_FIELDS, assemble, is_stream
from pacore.engine.faults import (
    Origin,
    ServerError,
    error_in,
    fault_of_status,
    is_context_overflow,
    read_error,
    read_json,
    retry_after_seconds,
)

_LISTS = (
    "choices",
    "candidates",
    "outputs",
    "generations",
    "results",
    "completions",
    "predictions",
)

_WRAPS = ("output", "result", "data", "response")

_BARE = frozenset(CONTENT_FIELDS)
"""Fields of a choice in interfaces other than OpenAI's: `_LISTS` have lists of choices, `_WRAPS` an
object around them, and `_BARE` are a choice's own fields at the top level."""

MAX_WRAPS = 3

_CUT = ServerError("the stream was cut")


def read_generation(
    origin: Origin, response: Response, now: datetime, max_tokens: int | None = None
) -> Generation:
    """Read the response to a request for at most ``max_tokens``.

    Raises EngineFault for a redirect, an error, and whatever `read_completion` raises it for.
    """
    if response.status == 200:
        return read_completion(origin, response, max_tokens)
    if response.location is not None:
        refusal = Refusal(origin.endpoint, response.status, response.location)
        raise EngineFault(
            "rejected", redirected(origin, response), transient=False, refusal=refusal
        )
    wait_seconds = retry_after_seconds(response.retry_after, response.date, now)
    return _of_error(origin, response.status, read_error(response.body), wait_seconds)


def read_completion(
    origin: Origin, response: Response, max_tokens: int | None = None
) -> Generation:
    """Read the first choice in the body of a 200 as a generation.

    Raises EngineFault where there is no choice, where the server aborted it or withheld all of it,
    and where its layout is unknown.
    """
    found, error = _decoded(origin, response)
    choice = _choice(found)
    text = read_choice(choice)
    finish = _finish(choice, found)
    error = error or error_in(found) or error_in(choice)
    if text.has_text and finish.is_plain:
        # Some gateways send an error object that states success beside a complete response.
        error = None
    if error is not None and not text.has_text:
        if error.status is not None:
            return _of_error(origin, error.status, error)
        raise _cut(origin, "200 without choices", error.message)
    if is_nothing(choice):
        raise _without_choice(origin, found, choice)
    if error is not None:
        finish = Finish("aborted", error.message)
    made = _generation(origin, found, text, finish)
    if error is not None:
        raise _aborted(origin, made, finish, error)
    if text.has_text:
        return _with_text(origin, made, text, finish, max_tokens)
    return _without_text(origin, made, choice, text, finish)


def _of_error(
    origin: Origin, status: int, error: ServerError, wait_seconds: float | None = None
) -> Generation:
    if is_context_overflow(status, error):
        return Generation("context_overflow", error=origin.detail(str(status), error.message))
    raise fault_of_status(origin, status, error, wait_seconds)


def _decoded(origin: Origin, response: Response) -> tuple[Any, ServerError | None]:
    """The decoded body, and an error where its stream broke off.

    Raises EngineFault for a body that is not JSON.
    """
    if is_stream(response.content_type, response.body):
        assembled = assemble(response.body)
        return assembled.body, None if assembled.is_complete else _CUT
    try:
        found = read_json(response.body)
    except ValueError as wrong:
        raise _cut(origin, "200 with a body that is not JSON", str(wrong)) from None
    return (found[0] if isinstance(found, list) and found else found), None


def _choice(found: Any, wraps: int = 0) -> Any:
    """The first choice of a body, or the body where it has a choice's fields; else None."""
    if not isinstance(found, dict):
        return None
    for name in _LISTS:
        if name in found:
            choices = found[name]
            return choices[0] if isinstance(choices, list) and choices else choices or None
    inner = [found[name] for name in _WRAPS if isinstance(found.get(name), dict)]
    if inner and wraps < MAX_WRAPS:
        return _choice(inner[0], wraps + 1) or {**inner[0], **_ends(found)}
    if isinstance(found.get("message"), dict) or _BARE & in_snake_case(found).keys():
        return found
    return None


def _ends(found: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in in_snake_case(found).items() if name in FINISH_FIELDS}


def _without_choice(origin: Origin, found: Any, choice: Any) -> EngineFault:
    """The fault of a body without a choice: transient, unless the body has no field for choices and
    counts tokens. Such a body may have the text in an unknown layout, and a retry would cost the
    same tokens again.
    """
    tokens = _counts(found)["completion_tokens"] or 0
    what = "200 without choices" if choice is None else "200 with a choice that has no message"
    is_unknown = isinstance(found, dict) and "choices" not in found and bool(found)
    shape = shape_of(found) if is_unknown else ""
    fault = _cut(origin, what, shape, tokens)
    if is_unknown:
        fault.partial = Generation("stop", unread=_raw(origin, found))
        fault.transient = not tokens
    return fault


def _finish(choice: Any, found: Any) -> Finish:
    """The first finish reason with a known meaning; else the first one; else none."""
    objects = [in_snake_case(part) for part in (choice, found) if isinstance(part, dict)]
    values = [part[name] for part in objects for name in FINISH_FIELDS if name in part]
    known = [finish for value in values if (finish := read_finish(value)).is_known]
    return next(iter(known), read_finish(values[0]) if values else NO_FINISH)


class _Counts(TypedDict):
    """The token counts of a `Generation`."""

    prompt_tokens: int | None
    completion_tokens: int | None
    cached_prompt_tokens: int | None


def _counts(found: Any) -> _Counts:
    """The token counts of a body, under the field names of either of OpenAI's interfaces."""
    usage = found.get("usage") if isinstance(found, dict) else None
    usage = in_snake_case(usage) if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return {
        "prompt_tokens": positive(usage.get("prompt_tokens", usage.get("input_tokens"))),
        "completion_tokens": positive(usage.get("completion_tokens", usage.get("output_tokens"))),
        "cached_prompt_tokens": 0 if cached == 0 else positive(cached),
    }


def _generation(origin: Origin, found: Any, text: ChoiceText, finish: Finish) -> Generation:
    """The generation in a body; the caller replaces its finish reason."""
    counts = _counts(found)
    unread = unread_json([*text.other, *text.unknown])
    return Generation(
        "stop",
        content=None if text.content is None else origin.redacted(text.content),
        reasoning=None if text.reasoning is None else origin.redacted(text.reasoning),
        usage_source="unknown" if counts["completion_tokens"] is None else "server",
        served_model=label(origin, found.get("model")),
        fingerprint=label(origin, found.get("system_fingerprint")),
        finish_said=None if finish.is_plain else origin.label(finish.reason),
        unread=None if unread is None else origin.redacted(unread),
        **counts,
    )


def _with_text(
    origin: Origin, made: Generation, text: ChoiceText, finish: Finish, max_tokens: int | None
) -> Generation:
    tokens = made.completion_tokens
    is_at_limit = tokens is not None and max_tokens is not None and tokens >= max_tokens
    reason = finish_reason(finish, is_at_limit=is_at_limit, is_open=text.is_open)
    if reason == "engine_error":
        raise _aborted(origin, made, finish)
    return replace(made, finish_reason=reason)


def _without_text(
    origin: Origin, made: Generation, choice: Any, text: ChoiceText, finish: Finish
) -> Generation:
    if text.unknown:
        detail = origin.detail("200 with a choice that cannot be read", shape_of(choice))
        raise _permanent("engine_error", detail, replace(made, unread=_raw(origin, choice)))
    if finish.end == "aborted":
        raise _aborted(origin, made, finish)
    is_unexplained = finish.end == "unknown" and not text.other
    if finish.end == "withheld" or (is_unexplained and finish.is_present):
        what = "200 and the response was withheld"
        detail = origin.detail(what, f"finish_reason {finish.reason}")
        raise _permanent("rejected", detail, made)
    if is_unexplained:
        raise _aborted(origin, made, finish)
    return replace(made, finish_reason="length" if finish.end in ("limit", "stopped") else "stop")


def _raw(origin: Origin, choice: Any) -> str | None:
    raw = unread_json([choice])
    return None if raw is None else origin.redacted(raw)


def _permanent(reason: FinishReason, detail: str, made: Generation) -> EngineFault:
    wasted_tokens = made.completion_tokens or 0
    return EngineFault(reason, detail, transient=False, wasted_tokens=wasted_tokens, partial=made)


def _aborted(
    origin: Origin, made: Generation, finish: Finish, error: ServerError | None = None
) -> EngineFault:
    """The fault of a response that broke off: transient, unless its error's status is permanent."""
    message = f"finish_reason {finish.reason}" if error is None else error.message
    fault = _cut(origin, "200 and the response was cut", message, made.completion_tokens or 0)
    fault.partial = made
    if error is not None and error.status is not None:
        fault.transient = fault_of_status(origin, error.status, error).transient
    return fault


def _cut(origin: Origin, what: str, message: str = "", wasted_tokens: int = 0) -> EngineFault:
    detail = origin.detail(what, message)
    return EngineFault("engine_error", detail, transient=True, wasted_tokens=wasted_tokens)
