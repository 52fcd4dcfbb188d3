"""Builds requests to OpenAI-compatible servers, and reads their models, versions and token counts.

Pure.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Request
from pacore.engine.capacity import ServerLoad
from pacore.engine.faults import Origin, read_error, read_json
from pacore.errors import EngineUnavailable

NO_SUCH_ROUTE = frozenset({404, 405, 501})

MOST_TOKENS = 2**31 - 1
"""Largest token count that is accepted: the largest value of the tables' columns."""


def _metric(*names: str) -> re.Pattern[str]:
    """The values of a metric in the Prometheus format, under any of its names and any labels."""
    either = "|".join(map(re.escape, names))
    return re.compile(rf"^(?:{either})(?:\{{[^\n]*\}})? +(\S+)", re.MULTILINE)


_GENERATED = _metric(
    "vllm:generation_tokens_total",
    "sglang:generation_tokens_total",
    "llamacpp:tokens_predicted_total",
)
_RUNNING = _metric(
    "vllm:num_requests_running", "sglang:num_running_reqs", "llamacpp:requests_processing"
)
_WAITING = _metric(
    "vllm:num_requests_waiting", "sglang:num_queue_reqs", "llamacpp:requests_deferred"
)
_PREEMPTIONS = _metric("vllm:num_preemptions_total")


class Response(NamedTuple):
    """One response: ``retry_after``, ``content_type`` and ``date`` are the values of these headers.

    ``location`` is the target of a redirect, an absolute URL without parameters.
    """

    status: int
    body: bytes
    retry_after: str | None = None
    content_type: str | None = None
    location: str | None = None
    date: str | None = None

    @property
    def json_object(self) -> dict[str, object]:
        """The body of a 200 that should be a JSON object; empty for any other."""
        try:
            found = read_json(self.body) if self.status == 200 else None
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def positive(value: Any) -> int | None:
    """``value`` if it is a valid token count, else None; servers that do not count send 0 or -1."""
    return value if type(value) is int and 0 < value <= MOST_TOKENS else None


def label(origin: Origin, value: Any) -> str | None:
    """A name from a server, as one short line; None for a value that is no text."""
    return origin.label(value) if isinstance(value, str) else None


class ModelCard(NamedTuple):
    """One entry of a list of models: its context window in tokens, and the model behind its name."""

    window_tokens: int | None
    root: str | None


class Models(NamedTuple):
    """A server's models by name, and the card of the requested one.

    ``card`` is None where the server has no list, or lists it by a pattern such as ``openai/*``.
    """

    served: Mapping[str, ModelCard]
    card: ModelCard | None = None


def read_models(origin: Origin, response: Response, model: str) -> Models:
    """Read the list of models, which has to have ``model``; empty where the route does not exist.

    Raises `pacore.errors.EngineUnavailable` for a refused key, a redirect, a body that is no list
    of models, and a list without ``model``.
    """
    if response.status in NO_SUCH_ROUTE:
        return Models({})
    if response.status in (401, 403):
        raise EngineUnavailable(refused_key(origin, response.status))
    if response.location is not None:
        raise EngineUnavailable(redirected(origin, response))
    cards = read_cards(origin, response)
    if cards is None:
        what = f"{response.status} and no list of models"
        raise EngineUnavailable(origin.detail(what, read_error(response.body).message))
    named = next((name for name in cards if _names(name, model)), None)
    if named is None:
        raise EngineUnavailable(not_served(origin, model, cards))
    return Models(cards, cards[named] if "*" not in named else None)


def read_cards(origin: Origin, response: Response) -> dict[str, ModelCard] | None:
    """The models of a list by name, in its order; None for a body that is no list of models.

    The list is the body, or its ``data`` or ``models``; an entry is a name or an object with one.
    """
    try:
        found = read_json(response.body) if response.status == 200 else None
    except ValueError:
        return None
    if isinstance(found, dict):
        found = next((found[n] for n in ("data", "models") if isinstance(found.get(n), list)), None)
    if not isinstance(found, list):
        return None
    cards: dict[str, ModelCard] = {}
    for entry in found:
        card = entry if isinstance(entry, dict) else {"id": entry}
        name = next((card[n] for n in ("id", "name", "model") if card.get(n)), None)
        if isinstance(name, str):
            window_tokens = positive(card.get("max_model_len"))
            cards[origin.redacted(name)] = ModelCard(
                window_tokens, label(origin, card.get("root")) or None
            )
    return cards


def _names(name: str, model: str) -> bool:
    """Whether an entry of a list matches a model: equals it, equals it with the prefix or tag that
    some servers add, or is a pattern that matches it, as LiteLLM lists a provider's models.
    """
    if "*" in name:
        return re.fullmatch(".*".join(map(re.escape, name.split("*"))), model) is not None
    return name in (model, f"models/{model}", f"{model}:latest")


def not_served(origin: Origin, model: str, names: Iterable[str]) -> str:
    """The error message for a model that is not served, with the served and the similar names."""
    served = sorted(names)
    near = difflib.get_close_matches(model, served, n=3, cutoff=0.6)
    near += [name for name in served if model in name.split("/") and name not in near][:3]
    shown = origin.cleaned(" or ".join(f"--model {name}" for name in near))
    listed = origin.cleaned(", ".join(served)) or "nothing"
    hint = f" (did you mean {shown}?)" if near else ""
    return f"endpoint {origin.endpoint} does not serve model {model!r}{hint}; it serves: {listed}"


def refused_key(origin: Origin, status: int) -> str:
    """The error message for a missing or wrong key, with the variable that it is read from."""
    which = "; none was sent" if origin.secret is None else ""
    return (
        f"{origin.endpoint}: the endpoint refuses the key ({status}){which}; the key is read from "
        "OPENAI_API_KEY, or from the variable that --api-key-env names"
    )


def redirected(origin: Origin, response: Response) -> str:
    """The error message for a redirect, which is not followed so that no other host gets the key."""
    target = origin.cleaned(response.location or "")
    base = re.sub(r"/(models|chat/completions)/*$", "", target)
    return (
        f"{origin.endpoint}: {response.status}: redirects to {target}, which is not followed, since the "
        f"key is sent to {origin.endpoint} only; if that URL is correct, use --endpoint {base}"
    )


def read_version(origin: Origin, response: Response) -> str | None:
    """The server's version in the response of vLLM's route ``/version``; None without one."""
    return label(origin, response.json_object.get("version")) or None


def read_count(response: Response) -> int | None:
    """The token count in the response of a tokenizer route; None without one."""
    return positive(response.json_object.get("count"))


def read_load(metrics: str) -> ServerLoad | None:
    """The load that a server reports in its metrics, the sum over all engines and models; None where it
    does not say how many requests run and wait.
    """
    running, waiting = _sum_of(_RUNNING, metrics), _sum_of(_WAITING, metrics)
    if running is None or waiting is None:
        return None
    return ServerLoad(running, waiting, _sum_of(_PREEMPTIONS, metrics) or 0)


def takes_priority(metrics: str) -> bool:
    """Whether metrics are of a server whose requests may have a priority, the smallest first: of vLLM."""
    return "vllm:" in metrics


def read_generated_tokens(metrics: str) -> int | None:
    """Tokens generated since the server started, the sum over all engines and models, read from its
    metrics in the Prometheus format; None where it has no such counter.
    """
    return _sum_of(_GENERATED, metrics)


def _sum_of(metric: re.Pattern[str], metrics: str) -> int | None:
    """The sum of a metric over its labels; None where it is not reported, or is no finite number."""
    try:
        counts = [float(found) for found in metric.findall(metrics)]
    except ValueError:
        return None
    total = sum(counts)
    return int(total) if counts and math.isfinite(total) else None


def tokenize_text(recipe: Recipe, text: str) -> dict[str, object]:
    """The body of vLLM's tokenize request for generated text, without special tokens."""
    return {"model": recipe.model, "prompt": text, "add_special_tokens": False}


def tokenize_turns(recipe: Recipe, turns: Sequence[Turn]) -> dict[str, object]:
    """The body of vLLM's tokenize request for a prompt, including the chat template's tokens."""
    options = dict(recipe.chat_template_options)
    return {
        "model": recipe.model,
        "messages": [turn.as_json() for turn in turns],
        **({"chat_template_kwargs": options} if options else {}),
    }


def sampling_payload(request: Request) -> Mapping[str, object]:
    """The body of an OpenAI-compatible chat completion request, in every round.

    It has no field that the recipe omits or leaves to the server's default.
    """
    recipe = request.recipe
    sampled = {"temperature": recipe.temperature, "top_p": recipe.top_p, "seed": request.seed}
    optional = {
        "top_k": recipe.top_k,
        "min_p": recipe.min_p,
        "max_tokens": recipe.max_tokens,
        "stop": list(recipe.stop) or None,
        "chat_template_kwargs": dict(recipe.chat_template_options) or None,
    }
    return {
        "model": recipe.model,
        "messages": [turn.as_json() for turn in request.turns],
        **{name: value for name, value in sampled.items() if name not in recipe.omit},
        **{name: value for name, value in optional.items() if value is not None},
    }
