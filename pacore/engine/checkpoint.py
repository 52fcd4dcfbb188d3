"""Local checkpoints: their folder, served name, weight type and content digest."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pacore.core.identity import canonical_json, sha256_hex
from pacore.errors import BadInput
from pacore.store.backends.local import near_places

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
"""Files of a checkpoint that servers read: configuration, weights, tokenizer, chat template, code."""

SETTLED_NS = 2_000_000_000
"""Age from which a file's times identify its state: file systems record times as coarsely as in steps
of two seconds, so that two changes within that time may have equal times."""


def checkpoint_folder(model: str) -> Path | None:
    """The folder that ``model`` names, absolute; None for a name on the model hub.

    Raises `pacore.errors.BadInput` for a path without a checkpoint.
    """
    path = Path(os.path.abspath(Path(model).expanduser()))
    if not path.is_dir():
        if model.startswith((".", "/", "~")):
            raise BadInput(f"model: {model}: no such folder{near_places(model)}")
        return None
    if not (path / "config.json").is_file():
        raise BadInput(f"model: {model} is no checkpoint: it has no config.json")
    return path


def served_name(model: str) -> str:
    """The name under which a model is served and recorded: of a folder, its last component."""
    folder = checkpoint_folder(model)
    return model if folder is None else folder.name


def checkpoint_dtype(path: Path) -> str | None:
    """The ``dtype`` in a checkpoint's ``config.json``, such as ``bfloat16``; None without one."""
    try:
        config = json.loads((path / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict):
        return None
    dtype = config.get("dtype", config.get("torch_dtype"))
    return dtype if isinstance(dtype, str) else None


def checkpoint_revision(path: Path, known: Path | None = None) -> str:
    """The digest (64 hex characters) of all files of a checkpoint that servers read.

    It does not depend on the folder's path. Reads every byte, about a second per GB, unless the
    folder ``known`` has the digest of these files in this state; see `_Listing`.
    Raises `pacore.errors.BadInput` for a folder without a checkpoint.
    """
    if not (path / "config.json").is_file():
        raise BadInput(f"model: {path} is no checkpoint: it has no config.json")
    return path_digest(path, known)


def path_digest(path: Path, known: Path | None = None) -> str:
    """The digest (64 hex characters) of a file's bytes, or of the names and bytes of those files of
    a folder that servers read; ``known`` as in `checkpoint_revision`.
    """
    if path.is_file():
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    now_ns = time.time_ns()
    listing = _Listing.of(path)
    path_hex = sha256_hex(os.fsencode(path.absolute()))
    cache = None if known is None else known / f"{path_hex[:32]}.json"
    if cache is not None and (found := listing.digest_in(cache)) is not None:
        return found
    whole = hashlib.sha256()
    for name, size_bytes, *_ in listing.files:
        whole.update(f"{name}\0{size_bytes}\0".encode())
        with (path / name).open("rb") as opened:
            whole.update(hashlib.file_digest(opened, "sha256").digest())
    if cache is not None and listing.is_settled(now_ns) and _Listing.of(path) == listing:
        listing.write(cache, whole.hexdigest())
    return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class _Listing:
    """The files of a folder that servers read, sorted: name, size, mtime, ctime and inode of each.

    A digest is cached together with its listing and is valid only for an equal one. The listing has
    the change time because a copy may preserve its source's modification time.
    """

    files: tuple[tuple[str, int, int, int, int], ...]

    @staticmethod
    def of(path: Path) -> _Listing:
        found = []
        for file in path.rglob("*"):
            name = file.relative_to(path).as_posix()
            is_hidden = any(part.startswith(".") for part in name.split("/"))
            if file.suffix in SUFFIXES and not is_hidden and file.is_file():
                seen = file.stat()
                times_ns = (seen.st_mtime_ns, seen.st_ctime_ns)
                found.append((name, seen.st_size, *times_ns, seen.st_ino))
        return _Listing(tuple(sorted(found)))

    def is_settled(self, now_ns: int) -> bool:
        """Whether no file changed within `SETTLED_NS`: a further change could leave equal times."""
        return all(max(mtime, ctime) < now_ns - SETTLED_NS for _, _, mtime, ctime, _ in self.files)

    def digest_in(self, cache: Path) -> str | None:
        """The digest that the cache file has for this listing; None without one."""
        try:
            record = json.loads(cache.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(record, dict) or record.get("files") != [list(f) for f in self.files]:
            return None
        digest = record.get("digest")
        return digest if isinstance(digest, str) and len(digest) == 64 else None

    def write(self, cache: Path, digest: str) -> None:
        """Write a digest to the cache file. If that fails it is computed again next time."""
        temporary = cache.with_suffix(f".{secrets.token_hex(8)}")
        with suppress(OSError):
            cache.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(canonical_json({"digest": digest, "files": self.files}))
            temporary.replace(cache)
