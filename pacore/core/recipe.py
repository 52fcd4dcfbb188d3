"""The recipe: everything that shapes a generation but the prompt (model and sampling)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from pydantic import JsonValue

from pacore.core.identity import digest

DEFAULT_SEED_ROOT = "pacore"


@dataclass(frozen=True)
class Recipe:
    """Model and sampling of every trajectory of a run (paper, section 3: temperature = top_p = 1).

    ``max_tokens`` None leaves the limit to what the context window holds. ``revision`` names the
    weights where they are known; behind an endpoint only the user knows them. ``engine_options``
    are those of an owned server that shape what it generates. ``omit`` are sampling fields that are
    not sent, as some servers refuse them: the values the server uses in their place are not known, so
    trajectories without them are others than those with them. Two recipes with equal ``digest``
    sample from the same distribution, as far as pacore knows.
    """

    model: str
    revision: str | None = None
    tokenizer: str | None = None
    chat_template_options: Mapping[str, JsonValue] = field(default_factory=dict)
    system: str | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed_root: str = DEFAULT_SEED_ROOT
    engine_options: Mapping[str, JsonValue] = field(default_factory=dict)
    omit: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """64 hex characters."""
        return digest(self.as_json())

    def as_json(self) -> dict[str, Any]:
        values = asdict(self)
        values["stop"] = list(self.stop)
        values["chat_template_options"] = dict(self.chat_template_options)
        # Added after the first stores: left out where there are none, so that ids made before stay
        # the same.
        values["engine_options"] = dict(self.engine_options)
        if not self.engine_options:
            del values["engine_options"]
        values["omit"] = list(self.omit)
        if not self.omit:
            del values["omit"]
        return values


@dataclass(frozen=True)
class ImportedRecipe(Recipe):
    """The recipe of trajectories made elsewhere: how they were sampled is not known.

    ``imported`` is what they came from (format, reader, sha256 of the files) and takes the place of
    the sampling fields, whose values here mean nothing. A `Recipe` never has that field in its
    JSON, so no digest and no trajectory id of a run that generates can equal an imported one.
    """

    imported: Mapping[str, JsonValue] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"model": self.model, "system": self.system, "imported": dict(self.imported)}


def recipe_of(values: Mapping[str, Any]) -> Recipe:
    """The recipe a run's record has as JSON. Raises KeyError or TypeError for anything else."""
    if "imported" in values:
        return ImportedRecipe(**values)
    lists = {name: tuple(values.get(name, ())) for name in ("stop", "omit")}
    return Recipe(**{**values, **lists})
