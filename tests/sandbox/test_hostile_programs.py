"""Hostile programs are contained, all of them, and the next program is graded as ever."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from pacore.core.grading.programs.results import CaseOutcome
from pacore.core.grading.programs.tests import (
    CodeTests,
    StatedLimits,
    assertion_tests,
    check_tests,
    function_tests,
    stdin_tests,
)
from pacore.sandbox.programs import run_tests
from pacore.sandbox.runner import SANDBOXES, Limits
from pacore.text import visible
from tests.fixtures.hostile_programs import FUNCTIONS, HARMLESS, OUTCOMES, SCRIPTS, SECRET
from tests.fixtures.processes import descendants, left_after

INNOCENT = "one, other = map(int, input().split())\nprint(one + other)"


INNOCENT_TESTS = stdin_tests([("1 2\n", "3\n"), ("40 2\n", "42\n")])


HOST = b"pacore.sandbox.inside.host"

LIMITED: StatedLimits = {"time_limit_seconds": 0.5, "memory_limit_bytes": 128 * 2**20}


def hosts() -> set[int]:
    """Process ids of everything in and around any sandbox of this machine."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if HOST in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def mounts() -> str:
    return Path("/proc/self/mounts").read_text()


def files() -> list[str]:
    """Files that the programs of the suite try to make, wherever they could."""
    folders = ("/", "/tmp", "/dev", "/dev/shm", "/run", "/usr", "/usr/lib", "/var/tmp", ".")
    return [
        path
        for folder in folders
        for name in ("mark", "shadow", "link", "0")
        if os.path.lexists(path := os.path.join(folder, name))
    ]


@contextmanager
def leaving_nothing_behind() -> Iterator[None]:
    """No process, mount, file or open descriptor remains, and an innocent program passes: in the
    sandbox of the hostile one, where that is still usable.
    """
    before = hosts(), mounts(), len(os.listdir("/proc/self/fd"))
    with SANDBOXES:
        yield
        report = run_tests(INNOCENT, INNOCENT_TESTS)
    assert [one.outcome for one in report.outcomes] == ["passed", "passed"]
    assert not left_after(hosts() - before[0], 60.0)
    assert (mounts(), len(os.listdir("/proc/self/fd"))) == before[1:]
    assert not files()


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    with leaving_nothing_behind():
        yield


class Listeners(NamedTuple):
    """Sockets of this machine: a port, and two names without files."""

    server: socket.socket
    named: socket.socket
    datagrams: socket.socket

    def place(self, program: str) -> str:
        """The program, with where the listeners are."""
        name = self.named.getsockname().decode().removeprefix("\0")
        port = str(self.server.getsockname()[1])
        return program.replace("PORT", port).replace("ABSTRACT", name)


@contextmanager
def listening(name: str) -> Iterator[Listeners]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):
        named.bind(f"\0{name}")
        named.listen()
        datagrams.bind(f"\0{name}-datagram")
        yield Listeners(server, named, datagrams)


@pytest.fixture(scope="module")
def listeners() -> Iterator[Listeners]:
    """Nobody has spoken to them in the end."""
    with listening(f"pacore-tests-{os.getpid()}") as found:
        yield found
        for one in (found.server, found.named):
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.accept()
        with pytest.raises(BlockingIOError):
            found.datagrams.recv(1, socket.MSG_DONTWAIT)


def outcome_of(program: str, tests: CodeTests) -> CaseOutcome:
    (outcome,) = run_tests(program, tests).outcomes
    return outcome


KINDS: dict[str, CodeTests] = {
    "by its result": function_tests("solve", [([17], SECRET)], **LIMITED),
    "by assertions": assertion_tests(
        [
            f"assert solve(17) == {SECRET!r}",
            f"assert solve(17) in [{SECRET!r}]",
            f"assert not {SECRET!r} != solve(17)",
        ],
        **LIMITED,
    ),
    "by a check": check_tests(
        "solve", f"def check(candidate):\n    assert [candidate(17)] == [{SECRET!r}]", **LIMITED
    ),
}

IDLE_SCRIPTS = ("sleep", "stopping itself", "an end that does not end")

IDLE_FUNCTION = "no result, ever"

Idle = Mapping[tuple[str, str], Sequence[CaseOutcome]]


def outcomes_of_script(program: str) -> Sequence[CaseOutcome]:
    start = time.monotonic()
    report = run_tests(program, stdin_tests([("", "ESCAPED\n")], **LIMITED))
    assert time.monotonic() - start < 300.0
    return report.outcomes


def outcomes_of_function(case: str, kind: str) -> Sequence[CaseOutcome]:
    return run_tests(FUNCTIONS[case], KINDS[kind], Limits(timeouts=1)).outcomes


@pytest.fixture(scope="module")
def of_the_idle() -> Idle:
    """The outcomes of programs that use no CPU, by case and kind of test.

    Such programs end only after some time without CPU, and so are run side by side.
    """
    together = len(IDLE_SCRIPTS) + len(KINDS)
    with leaving_nothing_behind(), ThreadPoolExecutor(together) as threads:
        found = {
            (case, ""): threads.submit(outcomes_of_script, SCRIPTS[case]) for case in IDLE_SCRIPTS
        }
        for kind in KINDS:
            one = threads.submit(outcomes_of_function, IDLE_FUNCTION, kind)
            found[IDLE_FUNCTION, kind] = one
        return {named: future.result() for named, future in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("case", SCRIPTS)
def test_a_hostile_program_gets_nothing_and_does_not_pass(
    case: str, listeners: Listeners, of_the_idle: Idle
) -> None:
    if case in IDLE_SCRIPTS:
        (outcome,) = of_the_idle[case, ""]
    else:
        (outcome,) = outcomes_of_script(listeners.place(SCRIPTS[case]))
    assert outcome.outcome in OUTCOMES.get(case, {"wrong_output"})
    assert outcome.points == 0.0
    assert "found 'ESCAPED" not in outcome.excerpt
    assert visible(outcome.excerpt) == outcome.excerpt and "\n" not in outcome.excerpt


@pytest.mark.parametrize("case", HARMLESS)
def test_without_a_sandbox_a_hostile_program_gets_what_it_tries_to(
    case: str, tmp_path: Path
) -> None:
    """The suite can fail: what is tried is possible on this machine."""
    with listening(f"pacore-tests-{os.getpid()}-open") as listeners:
        said = subprocess.run(
            [sys.executable, "-I", "-c", listeners.place(SCRIPTS[case])],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
    assert "ESCAPED" in said.stdout, said


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", FUNCTIONS)
def test_a_hostile_function_does_not_pass(case: str, kind: str, of_the_idle: Idle) -> None:
    is_idle = case == IDLE_FUNCTION
    outcomes = of_the_idle[case, kind] if is_idle else outcomes_of_function(case, kind)
    assert outcomes[0].outcome not in ("passed", "not_run")
    assert not is_idle or outcomes[0].outcome == "timeout"
    for one in outcomes:
        assert one.outcome != "passed" and one.points == 0.0
        assert kind != "by its result" or SECRET not in one.excerpt.rpartition("found")[2]


TO_THE_HOST = """
import os, signal
for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP,
               signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1, signal.SIGXCPU):
    for process in (os.getppid(), 1):
        os.kill(process, number)
try:
    os.kill(-1, signal.SIGKILL)
except ProcessLookupError:
    pass
"""


def test_signals_to_its_host_change_nothing() -> None:
    report = run_tests(TO_THE_HOST + INNOCENT, INNOCENT_TESTS)
    assert [one.outcome for one in report.outcomes] == ["passed", "passed"]


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), 9)", "os._exit(3)", "print(3, flush=True); 1 / 0"]
)
def test_a_right_output_before_a_bad_end_does_not_pass(end: str) -> None:
    program = f"import os\nprint(3, flush=True)\n{end}"
    assert outcome_of(program, stdin_tests([("", "3\n")])).outcome == "runtime_error"


def test_what_a_program_kept_in_one_test_is_gone_in_the_next() -> None:
    program = """
import builtins, sys
seen = getattr(builtins, "seen", [])
seen.append(input())
builtins.seen = sys.modules["seen"] = seen
print(len(seen))
"""
    report = run_tests(program, stdin_tests([("a\n", "1\n"), ("b\n", "1\n")]))
    assert report.passed == 2


CALLER = """
import signal, sys
from pacore.core.grading.programs.tests import stdin_tests
from pacore.sandbox.programs import grade_programs
from pacore.core.grading.programs.tests import as_gold
print("ready", flush=True)
gold = as_gold(stdin_tests([("", "")], time_limit_seconds=1000.0))
grade_programs([(gold, "while True: pass"), (gold, "import time; time.sleep(1000)")])
"""


@pytest.mark.slow
def test_no_sandbox_outlives_a_killed_caller() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CALLER],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 300
        while len(running := hosts() & descendants(caller.pid)) < 6:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        caller.send_signal(signal.SIGKILL)
    assert not left_after(running, 10.0)
