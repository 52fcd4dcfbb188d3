"""The keeper: a command lives no longer than its owner, whatever happens to either."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pacore.engine.vllm import keeper
from tests.fixtures.processes import descendants, left_after, living

pytestmark = pytest.mark.slow

ENOUGH_SECONDS = 60.0
"""For an end on a machine that is busy."""

KEEPER = [sys.executable, "-I", keeper.__file__]

SERVER = """
import signal, subprocess, sys, time
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "engine" not in sys.argv:
    subprocess.Popen([sys.executable, "-c", sys.argv[1], *sys.argv[1:], "engine"])
else:
    print("up", flush=True)
time.sleep(600)
"""
"""Like a server of models: a process with another below it that does the work."""

OWNER = """
import os, subprocess, sys, time
command, forks = sys.argv[2:], sys.argv[1] == "forks"
output, pipe = os.pipe()
if not forks or os.fork():
    kept = subprocess.Popen(command, stdin=output)
time.sleep(600)
"""
"""Keeps a server; with ``forks``, after a fork that holds the pipe as well."""


def server(*manners: str) -> list[str]:
    return [*KEEPER, "--", sys.executable, "-c", SERVER, SERVER, *manners]


@contextmanager
def started(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    """A process that runs the server, and the processes below it; all are ended at the end."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    below: set[int] = set()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        below = descendants(process.pid)
        yield process, below
    finally:
        for pid in living({process.pid, *below}):
            os.kill(pid, signal.SIGKILL)
        with process:
            pass


def test_the_server_and_what_it_started_end_when_the_owner_closes_the_pipe() -> None:
    with started(server()) as (kept, below):
        assert len(below) == 2
        assert kept.stdin is not None
        kept.stdin.close()
        assert kept.wait(timeout=ENOUGH_SECONDS) == 0
        assert not left_after(below, ENOUGH_SECONDS)


def test_they_end_when_the_owner_is_killed() -> None:
    with started([sys.executable, "-c", OWNER, "alone", *server()]) as (owner, below):
        assert len(below) == 3
        owner.kill()
        assert not left_after(below, ENOUGH_SECONDS)


def test_they_end_when_the_owner_is_killed_while_another_process_holds_the_pipe() -> None:
    with started([sys.executable, "-c", OWNER, "forks", *server()]) as (owner, below):
        assert len(below) == 4
        (kept,) = (pid for pid in below if len(descendants(pid)) == 2)
        ours = {kept, *descendants(kept)}
        owner.kill()
        assert not left_after(ours, ENOUGH_SECONDS)
        assert living(below) == below - ours


def test_a_server_deaf_to_the_polite_signal_is_killed() -> None:
    with started(server("deaf")) as (kept, below):
        assert kept.stdin is not None
        kept.stdin.close()
        assert left_after(below, 1) == below
        assert not left_after(below, keeper.TERMINATION_GRACE_SECONDS + ENOUGH_SECONDS)


def test_they_end_when_the_keeper_is_told_to_end() -> None:
    with started(server()) as (kept, below):
        kept.terminate()
        assert kept.wait(timeout=ENOUGH_SECONDS) == 128 + signal.SIGTERM
        assert not left_after(below, ENOUGH_SECONDS)


def test_what_a_server_leaves_behind_ends_with_it() -> None:
    with started(server()) as (kept, below):
        children = {pid for pid in below if descendants(pid)}
        assert len(children) == 1
        os.kill(children.pop(), signal.SIGKILL)
        assert kept.wait(timeout=ENOUGH_SECONDS) == 128 + signal.SIGKILL
        assert not left_after(below, ENOUGH_SECONDS)


def test_the_keeper_ends_as_its_command_does() -> None:
    command = [*KEEPER, "--", sys.executable, "-c", "import sys; sys.exit(7)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as kept:
        assert kept.wait(timeout=ENOUGH_SECONDS) == 7


def test_a_keeper_without_a_command_says_so() -> None:
    done = subprocess.run([*KEEPER, "--"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "keeper: no command\n")
