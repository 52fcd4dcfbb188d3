"""Logs of owned servers: one each, a bounded number, and the line that tells why one failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pacore.engine.vllm.server import KEPT_LOGS, REASON_CHARACTERS, new_log, reason


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_every_server_has_a_log_of_its_own(tmp_path: Path) -> None:
    logs = [new_log(tmp_path / "vllm") for _ in range(3)]
    assert len(set(logs)) == 3
    assert all(log.exists() and log.stat().st_size == 0 for log in logs)


def test_the_oldest_logs_of_owners_that_are_gone_make_room(tmp_path: Path) -> None:
    gone = dead_pid()
    old = [tmp_path / f"vllm-202601{day:02d}T000000Z-{gone}.log" for day in range(1, 16)]
    living = tmp_path / f"vllm-20250101T000000Z-{os.getppid()}.log"
    other = tmp_path / "vllm.log"
    for path in (*old, living, other):
        path.write_text("said")
    new = new_log(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([*old[-(KEPT_LOGS - 1) :], living, other, new])


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("", "its log is empty"),
        ("starting\n\nKilled\n", "Killed"),
        (
            "ValueError: max_model_len is greater\nINFO: bye\n",
            "ValueError: max_model_len is greater",
        ),
        (
            "(pid=1) torch.OutOfMemoryError: no room\nRuntimeError: failed. See root cause above.\n",
            "OutOfMemoryError: no room",
        ),
        (
            "api_server.py: error: unrecognized arguments: --x\n",
            "error: unrecognized arguments: --x",
        ),
        (
            "(pid=1) WARNING 11-24 05:03:37 [utils.py:255] limits may lead to OSError: too many\nserving\n",
            "serving",
        ),
        ("RuntimeError: " + "x" * 5000, "RuntimeError: " + "x" * (REASON_CHARACTERS - 14)),
    ],
)
def test_the_last_telling_line_is_the_reason(tmp_path: Path, log: str, said: str) -> None:
    path = tmp_path / "log"
    path.write_text(log)
    assert reason(path) == said


def test_a_long_log_is_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("ValueError: an old one\n" + "noise\n" * 200_000 + "OSError: the last\n")
    assert reason(path) == "OSError: the last"
