"""A local checkpoint: what it is called, and what it is."""

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

SETTLED_NS = 2_000_000_000
"""Age of the youngest change from which on times tell one state of a file from the next: file
systems keep times as coarse as two seconds."""


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


def checkpoint_dtype(path: Path) -> str | None:
    """The type a checkpoint's weights are meant to be computed in, as its ``config.json`` has it; None
    where that does not say.
    """
    try:
        config = json.loads((path / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict):
        return None
    said = config.get("dtype", config.get("torch_dtype"))
    return said if isinstance(said, str) else None


def checkpoint_revision(path: Path, known: Path | None = None) -> str:
    """64 hex characters that change with any byte a server reads of a checkpoint, and only then.

    Neither the folder's place nor its name takes part. Reads every byte, about a second per GB,
    unless the folder ``known`` has the digest of these very files; see `_Listing`.
    Raises `pacore.errors.BadInput` for a folder that holds no checkpoint.
    """
    if not (path / "config.json").is_file():
        raise BadInput(f"model: {path} is no checkpoint: it holds no config.json")
    return content_digest(path, known)


def content_digest(path: Path, known: Path | None = None) -> str:
    """64 hex characters of a file's bytes, or of the names and bytes of what a folder holds that
    servers read; ``known`` as in `checkpoint_revision`.
    """
    if path.is_file():
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    now_ns = time.time_ns()
    listing = _Listing.of(path)
    place = sha256_hex(os.fsencode(path.absolute()))
    kept = None if known is None else known / f"{place[:32]}.json"
    if kept is not None and (found := listing.digest_in(kept)) is not None:
        return found
    whole = hashlib.sha256()
    for name, size_bytes, *_ in listing.files:
        whole.update(f"{name}\0{size_bytes}\0".encode())
        with (path / name).open("rb") as opened:
            whole.update(hashlib.file_digest(opened, "sha256").digest())
    if kept is not None and listing.is_settled(now_ns) and _Listing.of(path) == listing:
        listing.keep(kept, whole.hexdigest())
    return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class _Listing:
    """What a folder holds that servers read, sorted: name, size, mtime, ctime and inode of each.

    A digest is kept with the listing it belongs to and stands only for an equal one. The change
    time is there because a copy may bring its source's modification time along.
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
        """Whether no file changed lately: another change at once could leave the same times."""
        return all(max(mtime, ctime) < now_ns - SETTLED_NS for _, _, mtime, ctime, _ in self.files)

    def digest_in(self, kept: Path) -> str | None:
        """The digest that was kept for this listing; None for another, and where there is none."""
        try:
            record = json.loads(kept.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(record, dict) or record.get("files") != [list(f) for f in self.files]:
            return None
        digest = record.get("digest")
        return digest if isinstance(digest, str) and len(digest) == 64 else None

    def keep(self, kept: Path, digest: str) -> None:
        """Keep a digest for the next time. Where nothing can be kept it is computed again then."""
        temporary = kept.with_suffix(f".{secrets.token_hex(8)}")
        with suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(canonical_json({"digest": digest, "files": self.files}))
            temporary.replace(kept)
