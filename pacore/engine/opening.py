"""Which engine a configuration means, and what that makes of its recipe."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydantic import JsonValue

from pacore.core.config.run import RunConfig
from pacore.core.config.vllm_options import CONTENT
from pacore.core.engine import Engine
from pacore.core.recipe import Recipe
from pacore.engine.checkpoint import (
    checkpoint_folder,
    checkpoint_revision,
    content_digest,
    served_name,
)
from pacore.engine.http import HttpEngine
from pacore.engine.scripted import ScriptedEngine
from pacore.engine.transport import Trust
from pacore.engine.vllm.engine import VllmEngine
from pacore.engine.vllm.server import Launch
from pacore.home import state_path

WORDS = frozenset(("", "auto", "vllm"))
"""Values that are never meant as the folder that may happen to have that name."""


def resolve_recipe(config: RunConfig) -> Recipe:
    """The recipe as it counts for identity: a local checkpoint stands under its folder's name and
    its content's digest, and so do files that options name, so that no machine's path takes part.

    Raises BadInput for a path without a checkpoint, for a script that cannot be read, and for what
    else no engine can be made of: whoever begins something resolves its recipe before anything is
    written.
    """
    recipe = config.recipe
    open_engine(config, state_path())
    if config.engine != "vllm":
        return recipe
    known = state_path() / "checkpoints"
    options = {
        name: _content_of(value, known) if name in CONTENT else value
        for name, value in recipe.engine_options.items()
    }
    recipe = replace(recipe, engine_options=options)
    folder = checkpoint_folder(config.model)
    if folder is None:
        return recipe
    revision = recipe.revision or checkpoint_revision(folder, known)
    return replace(recipe, model=served_name(config.model), revision=revision)


def _content_of(value: JsonValue, known: Path) -> JsonValue:
    """An option's value with every path in it, ``name=path`` included, replaced by a digest."""
    if isinstance(value, dict):
        return {name: _content_of(inner, known) for name, inner in value.items()}
    if isinstance(value, list):
        return [_content_of(inner, known) for inner in value]
    if not isinstance(value, str):
        return value
    before, is_named, path = value.rpartition("=")
    try:
        if path in WORDS or not Path(path).exists():
            return value
    except (OSError, ValueError):
        # No path can be so long or have such characters: a chat template may be given as its text.
        return value
    return f"{before}{is_named}sha256:{content_digest(Path(path), known)}"


def open_engine(
    config: RunConfig,
    log_folder: Path,
    say: Callable[[str], None] = lambda _: None,
    wait_for: Callable[[str | None], None] = lambda _: None,
) -> Engine:
    """An engine for a configuration; nothing is started or sent before it is asked to.

    ``say`` hears lines for the person who waits for it, ``wait_for`` what that is, and None once it
    has come. Raises BadInput for what no engine can be made of.
    """
    if config.engine == "scripted":
        return ScriptedEngine(config.model, slots=config.concurrency)
    if config.engine == "vllm":
        return VllmEngine(
            Launch(config.model, config.vllm_options, config.revision, log_folder / "vllm"),
            concurrency=config.concurrency,
            timeout_seconds=config.timeout_seconds,
            connect_timeout_seconds=config.connect_timeout_seconds,
            say=say,
            wait_for=wait_for,
        )
    if not config.tls_verify:
        say("warning: the certificates of endpoints are not checked; anybody may answer for them")
    return HttpEngine(
        config.endpoints,
        config.model,
        api_key=os.environ.get(config.api_key_env),
        concurrency=config.concurrency,
        timeout_seconds=config.timeout_seconds,
        connect_timeout_seconds=config.connect_timeout_seconds,
        trust=Trust(config.tls_ca_file, config.tls_verify),
    )
