"""Trajectories: what is asked of an engine, what comes back, and the row it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pacore.core.trajectory import Request


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
