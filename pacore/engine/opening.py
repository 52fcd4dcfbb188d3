"""Opens the engine that a configuration names, and resolves the configuration's recipe."""

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
from pacore.engine.capacity import FIRST_REQUESTS
from pacore.engine.checkpoint import (
    checkpoint_folder,
    checkpoint_revision,
    path_digest,
    served_name,
)
from pacore.engine.scripted import ScriptedEngine
from pacore.home import state_path

WORDS = frozenset(("", "auto", "vllm"))
"""Values that are never read as a path, even where a folder of that name exists."""


def resolve_recipe(config: RunConfig) -> Recipe:
    """The recipe from which ids are computed.

    A local checkpoint is replaced by its folder's name and the digest of its content, and a file
    that an option names by its digest, so that ids do not depend on paths. Call this before
    anything is written.

    Raises BadInput for a path without a checkpoint, for an invalid scripted model, and for any
    other configuration from which no engine can be opened.
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
        # Too long for a path, or with characters no path has: a chat template given as text.
        return value
    return f"{before}{is_named}sha256:{path_digest(Path(path), known)}"


def open_engine(
    config: RunConfig,
    log_folder: Path,
    say: Callable[[str], None] = lambda _: None,
    wait_for: Callable[[str | None], None] = lambda _: None,
) -> Engine:
    """An engine for a configuration; it starts and sends nothing before its first method call.

    ``say`` is called with each line to show to the user. ``wait_for`` is called with a description
    of what the engine waits for, and with None when the wait is over. Raises BadInput for a
    configuration from which no engine can be opened.
    """
    if config.engine == "scripted":
        return ScriptedEngine(config.model, slots=min(config.concurrency, FIRST_REQUESTS))
    # What speaks HTTP is loaded for engines that do.
    if config.engine == "vllm":
        from pacore.engine.vllm.engine import VllmEngine
        from pacore.engine.vllm.server import Launch

        return VllmEngine(
            Launch(config.model, config.vllm_options, config.revision, log_folder / "vllm"),
            concurrency=config.concurrency,
            timeout_seconds=config.timeout_seconds,
            connect_timeout_seconds=config.connect_timeout_seconds,
            say=say,
            wait_for=wait_for,
        )
    from pacore.engine.http import HttpEngine
    from pacore.engine.transport import Trust

    if not config.tls_verify:
        say(
            "warning: the certificates of endpoints are not verified; any host can impersonate them"
        )
    return HttpEngine(
        config.endpoints,
        config.model,
        api_key=os.environ.get(config.api_key_env),
        concurrency=config.concurrency,
        timeout_seconds=config.timeout_seconds,
        connect_timeout_seconds=config.connect_timeout_seconds,
        trust=Trust(config.tls_ca_file, config.tls_verify),
    )
