"""What OpenAI-compatible servers say of themselves: models, versions, token counts. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Request
from pacore.engine.faults import Origin, read_error, read_json
from pacore.errors import EngineUnavailable

NO_SUCH_ROUTE = frozenset({404, 405, 501})

MOST_TOKENS = 2**31 - 1
"""A count beyond this is no count, and no column of a table could hold it."""


class Response(NamedTuple):
    """One response as it came: ``retry_after`` and ``content_type`` are headers, unread.

    ``location`` is where a redirect leads, as a whole URL without parameters.
    """

    status: int
    body: bytes
    retry_after: str | None = None
    content_type: str | None = None
    location: str | None = None

    @property
    def json_object(self) -> dict[str, Any]:
        """The body of a 200 that should be a JSON object; empty if it is not."""
        try:
            found = read_json(self.body) if self.status == 200 else None
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def positive(value: Any) -> int | None:
    """``value`` if it is a count of tokens; a server that counted nothing says 0 or -1."""
    return value if type(value) is int and 0 < value <= MOST_TOKENS else None


def label(origin: Origin, value: Any) -> str | None:
    """A server's name for something: a short line, None where it gives none."""
    return origin.label(value) if isinstance(value, str) else None


class ModelCard(NamedTuple):
    """What a list of models says of one: its context window, and what its name stands for."""

    window_tokens: int | None
    root: str | None


class Models(NamedTuple):
    """A server's list of models by name, and the card of the one that was looked for.

    ``card`` is None where the server has no list, or lists it by a pattern such as ``openai/*``.
    """

    served: Mapping[str, ModelCard]
    card: ModelCard | None = None


def read_models(origin: Origin, response: Response, model: str) -> Models:
    """Read a list of models that has ``model``, by its name or a pattern; empty without a list.

    Raises `pacore.errors.EngineUnavailable`.
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
    """Every model of a list, in its order; None for what is no list of models.

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
    """Whether an entry of a list means a model: by its name, with a prefix or tag that servers take
    for granted, or by a pattern, as LiteLLM lists the models of a provider.
    """
    if "*" in name:
        return re.fullmatch(".*".join(map(re.escape, name.split("*"))), model) is not None
    return name in (model, f"models/{model}", f"{model}:latest")


def not_served(origin: Origin, model: str, names: Iterable[str]) -> str:
    """That a model is not served, which are, and those whose names are like it."""
    served = sorted(names)
    near = difflib.get_close_matches(model, served, n=3, cutoff=0.6)
    near += [name for name in served if model in name.split("/") and name not in near][:3]
    shown = origin.cleaned(" or ".join(f"--model {name}" for name in near))
    listed = origin.cleaned(", ".join(served)) or "nothing"
    hint = f" (did you mean {shown}?)" if near else ""
    return f"endpoint {origin.endpoint} does not serve model {model!r}{hint}; it serves: {listed}"


def refused_key(origin: Origin, status: int) -> str:
    """That a key is wanted or wrong, and where it is taken from."""
    which = "; none was sent" if origin.secret is None else ""
    return (
        f"{origin.endpoint}: the endpoint refuses the key ({status}){which}; the key is read from "
        "OPENAI_API_KEY, or from the variable that --api-key-env names"
    )


def redirected(origin: Origin, response: Response) -> str:
    """Where a redirect leads, and that pacore does not go there with a key in hand."""
    place = origin.cleaned(response.location or "")
    base = re.sub(r"/(models|chat/completions)/*$", "", place)
    return (
        f"{origin.endpoint}: {response.status}: redirects to {place}, which is not followed, since the "
        f"key is for {origin.endpoint} alone; if it is the right place, say --endpoint {base}"
    )


def read_version(origin: Origin, response: Response) -> str | None:
    """The server's own word for its version, as vLLM gives it."""
    return label(origin, response.json_object.get("version")) or None


def read_count(response: Response) -> int | None:
    """The tokens a tokenizer route counted."""
    return positive(response.json_object.get("count"))


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


def sampling_payload(request: Request) -> Mapping[str, Any]:
    """The request as an OpenAI-compatible chat completion body: one builder for all rounds.

    Fields that the recipe leaves to the server are not in it.
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
