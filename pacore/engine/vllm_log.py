"""Logs of owned vLLM servers: a file for each, the last few kept, and what one says of a failure."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from pacore.home import usable

KEPT_LOGS = 10
"""Logs of earlier servers that stay; those of servers whose owner lives stay besides."""

READ_BACK_BYTES = 512 * 1024
REASON_CHARACTERS = 400
_ERROR = re.compile(r"\b(?:\w*(?:Error|Exception|Exit): |error: |Value error, )\S.*")
_WARNING = re.compile(r"\bWARNING \d\d-\d\d ")
_POINTS_ELSEWHERE = re.compile(r"See root cause above|validation errors? for")
_LOG = re.compile(r"vllm-\d{8}T\d{6}Z-(?P<owner>\d+)(?:-\d+)?\.log")


def new_log(folder: Path) -> Path:
    """An empty log for a server that this process is about to start; removes the oldest ones.

    Raises `pacore.errors.HomeUnusable` where the folder cannot be written.
    """
    with usable(folder):
        return _new_log(folder)


def _new_log(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    ended = [path for path in sorted(folder.iterdir()) if _has_ended(path)]
    for path in ended[: max(0, len(ended) - KEPT_LOGS + 1)]:
        path.unlink(missing_ok=True)
    stem = f"vllm-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    for number in count():
        path = folder / (f"{stem}-{number}.log" if number else f"{stem}.log")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise AssertionError("count ends")


def _has_ended(path: Path) -> bool:
    """Whether a file is the log of a server whose owner is gone."""
    found = _LOG.fullmatch(path.name)
    if found is None:
        return False
    try:
        os.kill(int(found["owner"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def reason(log: Path) -> str:
    """Why a server ended: the last error in its log that does not point to another, in one line."""
    with log.open("rb") as opened:
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - READ_BACK_BYTES))
        lines = opened.read().decode("utf-8", "replace").splitlines()
    # A warning may speak of errors that could come; it is not why a server that was killed ended.
    telling = [line for line in lines if line.strip() and not _WARNING.search(line)]
    errors = [found[0] for line in telling if (found := _ERROR.search(line))]
    roots = [error for error in errors if not _POINTS_ELSEWHERE.search(error)]
    said = roots or errors or telling or ["it said nothing"]
    return said[-1].strip()[:REASON_CHARACTERS]
