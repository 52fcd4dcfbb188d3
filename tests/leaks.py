"""Looks for texts where they must not be: files as they lie and as they read, processes, outputs."""

from __future__ import annotations

import base64
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import pyarrow.parquet as pq
import zstandard


def spellings(secret: str) -> list[bytes]:
    """A secret as it is, and as headers, URLs and JSON may carry it."""
    plain = secret.encode()
    escaped = "".join(f"\\u{ord(character):04x}" for character in secret)
    return [
        plain,
        quote(secret, safe="").encode(),
        base64.b64encode(plain).rstrip(b"="),
        plain.hex().encode(),
        escaped.encode(),
    ]


def contents(path: Path) -> Iterator[bytes]:
    """A file's bytes, and what they say once unpacked."""
    data = path.read_bytes()
    yield data
    if path.suffix == ".zst":
        # One that does not unpack was broken on purpose.
        with suppress(zstandard.ZstdError):
            yield zstandard.ZstdDecompressor().decompress(data, max_output_size=1 << 30)
    if path.suffix == ".parquet":
        yield repr(pq.read_table(path).to_pylist()).encode("utf-8", "backslashreplace")
        yield repr(pq.read_metadata(path).metadata).encode()
    if data[:2] == b"\x1f\x8b":
        yield zlib.decompress(data, 47)


def files_with(folders: Sequence[Path], needles: Sequence[bytes]) -> list[Path]:
    """Files below the folders, in whatever they are packed, that hold one of the needles."""
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and any(needle in content for content in contents(path) for needle in needles)
    ]


def read_if_there(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


@dataclass
class ProcessWatch:
    """Reads arguments and environments of all processes again and again while it is entered.

    ``exposed`` are command lines that hold a needle; ``entrusted`` those of processes whose
    arguments hold a marker and whose environment holds a needle; ``met`` counts markers seen.
    """

    needles: Sequence[bytes]
    markers: Sequence[bytes]
    exposed: set[bytes] = field(default_factory=set)
    entrusted: set[bytes] = field(default_factory=set)
    met: set[bytes] = field(default_factory=set)

    def __enter__(self) -> ProcessWatch:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            for folder in Path("/proc").iterdir():
                if folder.name.isdigit():
                    self._look(folder)
            time.sleep(0.05)

    def _look(self, process: Path) -> None:
        command = read_if_there(process / "cmdline")
        if any(needle in command for needle in self.needles):
            self.exposed.add(command)
        for marker in self.markers:
            if marker in command:
                self.met.add(marker)
                environment = read_if_there(process / "environ")
                if any(needle in environment for needle in self.needles):
                    self.entrusted.add(command)
