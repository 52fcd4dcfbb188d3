"""What OpenAI-compatible servers say: completions, models, versions, token counts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pacore.engine.classify import (
    Origin,
    fault_of_status,
    is_context_overflow,
    read_error,
    read_json,
    retry_after_seconds,
)
from pacore.engine.protocol import EngineFault
from pacore.errors import EngineUnavailable
from pacore.problem import Turn
from pacore.recipe import Recipe
from pacore.trajectory import FinishReason, Generation

FINISHED: dict[str, FinishReason] = {
    "stop": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
    "length": "length",
}
CUT = frozenset({"abort", "error"})
"""What vLLM and SGLang say of a request their engine gave up, as at a shutdown."""

NO_SUCH_ROUTE = frozenset({404, 405, 501})

MOST_TOKENS = 2**31 - 1
"""A count beyond this is no count, and no column of a table could hold it."""


class Answer(NamedTuple):
    """One response as it came: ``retry_after`` is the header, unread."""

    status: int
    body: bytes
    retry_after: str | None = None

    @property
    def json_object(self) -> dict[str, Any]:
        """The body of a 200 that should be a JSON object; empty if it is not."""
        try:
            found = read_json(self.body) if self.status == 200 else None
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def read_generation(origin: Origin, answer: Answer, now: datetime) -> Generation:
    """Classify the answer to a request for a chat completion. Raises EngineFault."""
    if answer.status == 200:
        return read_completion(origin, answer.body)
    error = read_error(answer.body)
    if is_context_overflow(answer.status, error):
        detail = origin.detail(str(answer.status), error.message)
        return Generation("context_overflow", error=detail)
    wait_seconds = retry_after_seconds(answer.retry_after, now)
    raise fault_of_status(origin, answer.status, error, wait_seconds)


def read_completion(origin: Origin, body: bytes) -> Generation:
    """Read the body of a 200 as a generation: its first choice, as the server said it.

    Raises EngineFault where there is no choice, where it was cut, and where the server withheld it.
    """
    try:
        found = read_json(body)
    except ValueError as wrong:
        raise _cut(origin, "200 with a body that is not JSON", str(wrong)) from None
    choices = found.get("choices") if isinstance(found, dict) else None
    if not isinstance(choices, list) or not choices:
        raise _cut(origin, "200 without choices", read_error(body).message)
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise _cut(origin, "200 with a choice that has no message")
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        raise _cut(origin, "200 with content that is not text")
    usage = found.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    completion_tokens = positive(counts.get("completion_tokens"))
    details = counts.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Generation(
        finish_reason=_finish_reason(origin, choice.get("finish_reason"), completion_tokens or 0),
        content=None if content is None else origin.redacted(content),
        reasoning=_reasoning(origin, message),
        prompt_tokens=positive(counts.get("prompt_tokens")),
        completion_tokens=completion_tokens,
        usage_source="unknown" if completion_tokens is None else "server",
        served_model=_label(origin, found.get("model")),
        fingerprint=_label(origin, found.get("system_fingerprint")),
        cached_prompt_tokens=0 if cached == 0 else positive(cached),
    )


def positive(value: Any) -> int | None:
    """``value`` if it is a count of tokens; a server that counted nothing says 0 or -1."""
    return value if type(value) is int and 0 < value <= MOST_TOKENS else None


def _finish_reason(origin: Origin, said: Any, wasted_tokens: int) -> FinishReason:
    if isinstance(said, str) and said in FINISHED:
        return FINISHED[said]
    if not isinstance(said, str) or not said or said in CUT:
        raise _cut(origin, "200 and the response was cut", f"finish_reason {said}", wasted_tokens)
    detail = origin.detail("200 and the response was withheld", f"finish_reason {said}")
    raise EngineFault("rejected", detail, transient=False, wasted_tokens=wasted_tokens)


def _reasoning(origin: Origin, message: dict[str, Any]) -> str | None:
    """``reasoning`` (current vLLM) or ``reasoning_content`` (older), whichever says something."""
    found = [message.get(name) for name in ("reasoning", "reasoning_content")]
    said = [origin.redacted(text) if isinstance(text, str) else None for text in found]
    return said[0] or said[1] or (said[0] if said[0] is not None else said[1])


def _label(origin: Origin, value: Any) -> str | None:
    """A server's name for something: a short line, None where it gives none."""
    return origin.label(value) if isinstance(value, str) else None


def _cut(origin: Origin, what: str, message: str = "", wasted_tokens: int = 0) -> EngineFault:
    detail = origin.detail(what, message)
    return EngineFault("engine_error", detail, transient=True, wasted_tokens=wasted_tokens)


class ModelCard(NamedTuple):
    """What a list of models says of one: its context window, and what its name stands for."""

    window_tokens: int | None
    root: str | None


def read_models(origin: Origin, answer: Answer, model: str) -> dict[str, ModelCard]:
    """Served models by name, from a list of models that has ``model``.

    Empty where the server has no such list. Raises `pacore.errors.EngineUnavailable`.
    """
    if answer.status in NO_SUCH_ROUTE:
        return {}
    if answer.status in (401, 403):
        raise EngineUnavailable(
            f"{origin.endpoint}: the endpoint refuses the key ({answer.status})"
            + ("; none was sent" if origin.secret is None else "")
        )
    cards = answer.json_object.get("data")
    if not isinstance(cards, list):
        what = f"{answer.status} and no list of models"
        raise EngineUnavailable(origin.detail(what, read_error(answer.body).message))
    served = {
        origin.redacted(card["id"]): ModelCard(
            positive(card.get("max_model_len")), _label(origin, card.get("root")) or None
        )
        for card in cards
        if isinstance(card, dict) and isinstance(card.get("id"), str)
    }
    if model not in served:
        names = origin.cleaned(", ".join(sorted(served))) or "nothing"
        raise EngineUnavailable(
            f"endpoint {origin.endpoint} does not serve model {model!r}; it serves: {names}"
        )
    return served


def read_version(origin: Origin, answer: Answer) -> str | None:
    """The server's own word for its version, as vLLM gives it."""
    return _label(origin, answer.json_object.get("version")) or None


def read_count(answer: Answer) -> int | None:
    """The tokens a tokenizer route counted."""
    return positive(answer.json_object.get("count"))


def tokenize_text(recipe: Recipe, text: str) -> dict[str, Any]:
    """vLLM's tokenize request for a text that a model wrote: no tokens of a template around it."""
    return {"model": recipe.model, "prompt": text, "add_special_tokens": False}


def tokenize_turns(recipe: Recipe, turns: Sequence[Turn]) -> dict[str, Any]:
    """vLLM's tokenize request for a prompt, with all that the chat template makes of it."""
    options = dict(recipe.chat_template_options)
    return {
        "model": recipe.model,
        "messages": [turn.as_json() for turn in turns],
        **({"chat_template_kwargs": options} if options else {}),
    }
