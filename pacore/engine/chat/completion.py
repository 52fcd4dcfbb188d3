"""What the answer to a request for a chat completion is worth: a generation, or a fault. Pure.

Text that came is kept, whatever its server says of its end: it was paid for. An answer without text
is an empty generation where the server says that the model ended it, is tried again where it says
nothing, and is a lasting fault with its JSON where it says something that nobody can read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pacore.core.engine import EngineFault, Refusal
from pacore.core.trajectory import FinishReason, Generation
from pacore.engine.chat.choice import (
    CONTENT_FIELDS,
    Said,
    in_snake_case,
    is_nothing,
    read_choice,
    shape_of,
    unread_json,
)
from pacore.engine.chat.finish import MISSING, Finish, finish_reason, read_finish
from pacore.engine.chat.responses import Response, label, positive, redirected
from pacore.engine.chat.stream import FINISH_FIELDS, fold, is_stream
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
"""Where other interfaces than OpenAI's keep what a choice holds: in lists, in objects, at the top."""

MAX_WRAPS = 3

_CUT = ServerError("the stream was cut")


def read_generation(
    origin: Origin, response: Response, now: datetime, max_tokens: int | None = None
) -> Generation:
    """Classify the answer to a request that asked for at most ``max_tokens``. Raises EngineFault."""
    if response.status == 200:
        return read_completion(origin, response, max_tokens)
    if response.location is not None:
        refusal = Refusal(origin.endpoint, response.status, response.location)
        raise EngineFault(
            "rejected", redirected(origin, response), transient=False, refusal=refusal
        )
    wait_seconds = retry_after_seconds(response.retry_after, now)
    return _of_error(origin, response.status, read_error(response.body), wait_seconds)


def read_completion(
    origin: Origin, response: Response, max_tokens: int | None = None
) -> Generation:
    """Read the body of a 200 as a generation: its first choice, as the server said it.

    Raises EngineFault where there is none, where the server gave it up or withheld it whole, and
    where it cannot be read.
    """
    found, error = _decoded(origin, response)
    choice = _choice(found)
    said = read_choice(choice)
    finish = _finish(choice, found)
    error = error or error_in(found) or error_in(choice)
    if said.has_text and finish.is_plain:
        # What some gateways call an error beside it says that there is none.
        error = None
    if error is not None and not said.has_text:
        if error.status is not None:
            return _of_error(origin, error.status, error)
        raise _cut(origin, "200 without choices", error.message)
    if is_nothing(choice):
        raise _without_choice(origin, found, choice)
    if error is not None:
        finish = Finish("given_up", error.message)
    made = _generation(origin, found, said, finish)
    if error is not None:
        raise _given_up(origin, made, finish, error)
    if said.has_text:
        return _with_text(origin, made, said, finish, max_tokens)
    return _without_text(origin, made, choice, said, finish)


def _of_error(
    origin: Origin, status: int, error: ServerError, wait_seconds: float | None = None
) -> Generation:
    if is_context_overflow(status, error):
        return Generation("context_overflow", error=origin.detail(str(status), error.message))
    raise fault_of_status(origin, status, error, wait_seconds)


def _decoded(origin: Origin, response: Response) -> tuple[Any, ServerError | None]:
    """A body, and what is wrong with it as a whole. Raises EngineFault for what is no JSON."""
    if is_stream(response.content_type, response.body):
        folded = fold(response.body)
        return folded.body, None if folded.is_whole else _CUT
    try:
        found = read_json(response.body)
    except ValueError as wrong:
        raise _cut(origin, "200 with a body that is not JSON", str(wrong)) from None
    return (found[0] if isinstance(found, list) and found else found), None


def _choice(found: Any, wraps: int = 0) -> Any:
    """The first choice of a body, or the body where it holds what a choice does; None without."""
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


def _ends(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in in_snake_case(found).items() if name in FINISH_FIELDS}


def _without_choice(origin: Origin, found: Any, choice: Any) -> EngineFault:
    """Nothing to read: tried again, unless the body has no place for choices and counts tokens.

    Such a body may say all there is in a way that nobody knows, and would be paid for again.
    """
    tokens = _counts(found).get("completion_tokens") or 0
    what = "200 without choices" if choice is None else "200 with a choice that has no message"
    is_unknown = isinstance(found, dict) and "choices" not in found and bool(found)
    shape = shape_of(found) if is_unknown else ""
    fault = _cut(origin, what, shape, tokens)
    if is_unknown:
        fault.partial = Generation("stop", unread=_raw(origin, found))
        fault.transient = not tokens
    return fault


def _finish(choice: Any, found: Any) -> Finish:
    """The first word about the end that says something; else what stands in its place."""
    places = [in_snake_case(place) for place in (choice, found) if isinstance(place, dict)]
    values = [place[name] for place in places for name in FINISH_FIELDS if name in place]
    said = [finish for value in values if (finish := read_finish(value)).is_told]
    return next(iter(said), read_finish(values[0]) if values else MISSING)


def _counts(found: Any) -> Mapping[str, Any]:
    """Token counts of a body, whichever of two ways it names them."""
    usage = found.get("usage") if isinstance(found, dict) else None
    usage = in_snake_case(usage) if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return {
        "prompt_tokens": positive(usage.get("prompt_tokens", usage.get("input_tokens"))),
        "completion_tokens": positive(usage.get("completion_tokens", usage.get("output_tokens"))),
        "cached_prompt_tokens": 0 if cached == 0 else positive(cached),
    }


def _generation(origin: Origin, found: Any, said: Said, finish: Finish) -> Generation:
    """What a body says, its end still open."""
    counts = _counts(found)
    unread = unread_json([*said.other, *said.unknown])
    return Generation(
        "stop",
        content=None if said.content is None else origin.redacted(said.content),
        reasoning=None if said.reasoning is None else origin.redacted(said.reasoning),
        usage_source="unknown" if counts["completion_tokens"] is None else "server",
        served_model=label(origin, found.get("model")),
        fingerprint=label(origin, found.get("system_fingerprint")),
        finish_said=None if finish.is_plain else origin.label(finish.said),
        unread=None if unread is None else origin.redacted(unread),
        **counts,
    )


def _with_text(
    origin: Origin, made: Generation, said: Said, finish: Finish, max_tokens: int | None
) -> Generation:
    tokens = made.completion_tokens
    is_at_limit = tokens is not None and max_tokens is not None and tokens >= max_tokens
    reason = finish_reason(finish, is_at_limit=is_at_limit, is_open=said.is_open)
    if reason == "engine_error":
        raise _given_up(origin, made, finish)
    return replace(made, finish_reason=reason)


def _without_text(
    origin: Origin, made: Generation, choice: Any, said: Said, finish: Finish
) -> Generation:
    if said.unknown:
        detail = origin.detail("200 with a choice that cannot be read", shape_of(choice))
        raise _lasting("engine_error", detail, replace(made, unread=_raw(origin, choice)))
    if finish.end == "given_up":
        raise _given_up(origin, made, finish)
    is_untold = finish.end == "unknown" and not said.other
    if finish.end == "withheld" or (is_untold and finish.is_word):
        detail = origin.detail("200 and the response was withheld", f"finish_reason {finish.said}")
        raise _lasting("rejected", detail, made)
    if is_untold:
        raise _given_up(origin, made, finish)
    return replace(made, finish_reason="length" if finish.end in ("limit", "stopped") else "stop")


def _raw(origin: Origin, choice: Any) -> str | None:
    raw = unread_json([choice])
    return None if raw is None else origin.redacted(raw)


def _lasting(reason: FinishReason, detail: str, made: Generation) -> EngineFault:
    wasted_tokens = made.completion_tokens or 0
    return EngineFault(reason, detail, transient=False, wasted_tokens=wasted_tokens, partial=made)


def _given_up(
    origin: Origin, made: Generation, finish: Finish, error: ServerError | None = None
) -> EngineFault:
    """The fault of a response that broke off; the status that its error names says if it passes."""
    said = f"finish_reason {finish.said}" if error is None else error.message
    fault = _cut(origin, "200 and the response was cut", said, made.completion_tokens or 0)
    fault.partial = made
    if error is not None and error.status is not None:
        fault.transient = fault_of_status(origin, error.status, error).transient
    return fault


def _cut(origin: Origin, what: str, message: str = "", wasted_tokens: int = 0) -> EngineFault:
    detail = origin.detail(what, message)
    return EngineFault("engine_error", detail, transient=True, wasted_tokens=wasted_tokens)
