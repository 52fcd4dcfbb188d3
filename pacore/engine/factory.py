"""Which engine a configuration means, and what that makes of its recipe."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pacore.config import RunConfig
from pacore.engine.checkpoint import checkpoint_revision, served_name
from pacore.engine.http import HttpEngine
from pacore.engine.protocol import Engine
from pacore.engine.scripted import ScriptedEngine
from pacore.engine.vllm import VllmEngine
from pacore.errors import BadInput
from pacore.recipe import Recipe


def resolve_recipe(config: RunConfig) -> Recipe:
    """The recipe as it counts for identity: a local checkpoint stands under its folder's name and
    its content's digest, so that no machine's path takes part. Raises BadInput for a bad path.
    """
    recipe = config.recipe
    if config.engine != "vllm":
        return recipe
    path = Path(config.model).expanduser()
    if not path.is_dir():
        if config.model.startswith((".", "/", "~")):
            raise BadInput(f"--model {config.model}: no such folder")
        return recipe
    revision = recipe.revision or checkpoint_revision(path)
    return replace(recipe, model=served_name(config.model), revision=revision)


def open_engine(config: RunConfig, log_folder: Path) -> Engine:
    """An engine for a configuration; nothing is started or sent before it is asked to."""
    if config.engine == "scripted":
        return ScriptedEngine(config.model, slots=config.concurrency)
    if config.engine == "vllm":
        return VllmEngine(
            config.model,
            concurrency=config.concurrency,
            timeout_seconds=config.timeout_seconds,
            connect_timeout_seconds=config.connect_timeout_seconds,
            options=config.vllm_options,
            log_path=log_folder / "vllm.log",
        )
    return HttpEngine(
        config.endpoints,
        config.model,
        api_key=os.environ.get(config.api_key_env),
        concurrency=config.concurrency,
        timeout_seconds=config.timeout_seconds,
        connect_timeout_seconds=config.connect_timeout_seconds,
    )
