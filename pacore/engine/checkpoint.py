"""A local checkpoint: what it is called, and what it is."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pacore.errors import BadInput

SUFFIXES = frozenset(
    (
        ".json",
        ".jinja",
        ".safetensors",
        ".bin",
        ".pt",
        ".gguf",
        ".model",
        ".tiktoken",
        ".txt",
        ".py",
    )
)
"""What servers read of a checkpoint: configuration, weights, tokenizer, chat template, code."""


def checkpoint_folder(model: str) -> Path | None:
    """The folder that ``model`` names, absolute; None for a name on the model hub.

    Raises `pacore.errors.BadInput` for a path without a checkpoint.
    """
    path = Path(os.path.abspath(Path(model).expanduser()))
    if not path.is_dir():
        if model.startswith((".", "/", "~")):
            raise BadInput(f"model: {model}: no such folder")
        return None
    if not (path / "config.json").is_file():
        raise BadInput(f"model: {model} is no checkpoint: it holds no config.json")
    return path


def served_name(model: str) -> str:
    """The name that a model is served and recorded under: a folder's own, without the way to it."""
    folder = checkpoint_folder(model)
    return model if folder is None else folder.name


def checkpoint_revision(path: Path) -> str:
    """64 hex characters that change with any byte a server reads of a checkpoint, and only then.

    Neither the folder's place nor its name takes part. Reads every byte, about a second per GB.
    Raises `pacore.errors.BadInput` for a folder that holds no checkpoint.
    """
    whole = hashlib.sha256()
    names = []
    for file in path.rglob("*"):
        name = file.relative_to(path).as_posix()
        is_hidden = any(part.startswith(".") for part in name.split("/"))
        if file.suffix in SUFFIXES and not is_hidden and file.is_file():
            names.append(name)
    if "config.json" not in names:
        raise BadInput(f"model: {path} is no checkpoint: it holds no config.json")
    for name in sorted(names):
        with (path / name).open("rb") as opened:
            size_bytes = os.fstat(opened.fileno()).st_size
            whole.update(f"{name}\0{size_bytes}\0".encode())
            whole.update(hashlib.file_digest(opened, "sha256").digest())
    return whole.hexdigest()
