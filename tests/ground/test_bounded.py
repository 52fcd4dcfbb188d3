"""Processes within bounds: whatever a query does ends in time, in its memory, and in one line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pacore.bounded import Bounds, run_bounded
from pacore.errors import BadInput, LimitReached, PacoreError, Refused
from pacore.processes import command
from pacore.store.backends.protocol import Backend
from tests.conftest import Pacore, pacore_command
from tests.fixtures.hostile_queries import HOSTILE
from tests.fixtures.small_store import small_store

MEMORY_BYTES = 512 * 1024 * 1024


AMPLE = Bounds(120.0, MEMORY_BYTES)


STUCK = HOSTILE["levenshtein"]


PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return small_store(tmp_path_factory.mktemp("bounded") / "store")


def run(function: str, *arguments: str, bounds: Bounds = AMPLE) -> str:
    return run_bounded(
        f"tests.fixtures.bounded_functions:{function}", arguments, bounds, is_captured=True
    )


def exhaust(store: Backend, query: str, bounds: Bounds = AMPLE) -> str:
    place = "tests.fixtures.bounded_queries:exhaust"
    return run_bounded(place, [store.url, query], bounds, is_captured=True)


@pytest.mark.parametrize(
    ("timeout", "memory", "expected"),
    [
        ("90", "4GB", Bounds(90.0, 4_000_000_000)),
        ("0.5", "512MiB", Bounds(0.5, 512 * 2**20)),
        ("1e3", "1.5 gib", Bounds(1000.0, 3 * 2**29)),
        ("300", "1TB", Bounds(300.0, 10**12)),
        ("2", "900000kB", Bounds(2.0, 900_000_000)),
    ],
)
def test_bounds_are_seconds_and_a_size_with_its_unit(
    timeout: str, memory: str, expected: Bounds
) -> None:
    assert Bounds.of(timeout, memory) == expected


def test_bounds_that_are_not_given_are_minutes_and_part_of_the_machine() -> None:
    bounds = Bounds.of(None, None)
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert bounds.seconds == 300 and 256 * 2**20 <= bounds.memory_bytes <= machine


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "1e99", "5m", "", "ten"])
def test_a_time_that_is_none_is_refused(timeout: str) -> None:
    with pytest.raises(BadInput, match=f"--timeout {timeout}: is no number of seconds above 0"):
        Bounds.of(timeout, None)


@pytest.mark.parametrize("memory", ["4", "GB", "-1GB", "4 elephants", "", "4G", "1e9MB", "nanGB"])
def test_a_size_that_is_none_is_refused(memory: str) -> None:
    with pytest.raises(BadInput, match=f"--memory {memory}: is no size such as 4GB or 512MB"):
        Bounds.of(None, memory)


@pytest.mark.parametrize("memory", ["0GB", "1MB", "255MiB", "99999999TB"])
def test_a_size_in_which_nothing_can_run_is_refused(memory: str) -> None:
    with pytest.raises(BadInput, match="--memory"):
        Bounds.of(None, memory)


@pytest.mark.slow
def test_what_a_function_prints_and_raises_is_handed_on(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("echo", "größer\n☃") == f"größer\n☃ {MEMORY_BYTES}\n"
    with pytest.raises(Refused, match="no: a reason\nin two lines"):
        run("refuse")
    with pytest.raises(PacoreError, match="something the message explains"):
        run("fail")
    assert run("notice") == ""
    assert capfd.readouterr().err == "a notice\n"


def test_no_query_spends_its_time_and_memory_on_libraries_of_data_frames() -> None:
    assert run("frames") == ""


def test_a_bug_shows_where_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PacoreError, match="exit code 1"):
        run("bug")
    assert "ValueError: a bug" in capfd.readouterr().err


def test_a_crash_is_one_line_that_names_the_signal(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LimitReached, match="the SQL was ended by SIGABRT"):
        run("crash")
    assert capfd.readouterr().err == ""


def test_time_is_bounded() -> None:
    with pytest.raises(LimitReached, match=r"ended after 0\.5 seconds \(--timeout\)"):
        run("sleep", bounds=Bounds(0.5, MEMORY_BYTES))


@pytest.mark.slow
def test_memory_is_bounded_whoever_takes_it(store: Backend) -> None:
    assert run("take", str(MEMORY_BYTES // 4)) == f"{MEMORY_BYTES // 4}\n"
    with pytest.raises(LimitReached, match=r"more than 0\.5 GB of memory \(--memory\)"):
        run("take", str(2 * MEMORY_BYTES))
    for query in ("a text of 2 GB", "string_split", "JSON big"):
        with pytest.raises(LimitReached, match=r"more than 0\.5 GB of memory \(--memory\)"):
            exhaust(store, HOSTILE[query])


@pytest.mark.slow
def test_a_sort_larger_than_its_memory_is_spilled_and_done(store: Backend) -> None:
    text = "SELECT hash(i) FROM range(30000000) t(i) ORDER BY 1 LIMIT 1 OFFSET 29999999"
    bounds = Bounds(600.0, 450 * 1024 * 1024)
    assert exhaust(store, text, bounds) == "(18446743317446569868,)\n"


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_process_ends_with_the_one_that_started_it_and_leaves_no_file(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    program = (
        "from pacore.bounded import Bounds, run_bounded;"
        f"run_bounded('tests.fixtures.bounded_functions:pid_then_sleep', [{str(place)!r}],"
        "Bounds(600, 2**30))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    starter = subprocess.Popen([sys.executable, "-c", program], env=environment)
    until(
        lambda: place.exists() and place.read_text() != "" and any(tmp_path.glob("*/left-behind"))
    )
    pid = int(place.read_text())
    starter.kill()
    starter.wait()
    until(lambda: not is_there(pid))
    assert not list(tmp_path.glob("*/left-behind"))


@contextlib.contextmanager
def begun(store: Backend, text: str) -> Iterator[subprocess.Popen[str]]:
    """A process with a query on its way in another."""
    line = command("tests.fixtures.bounded_functions", "interrupted", [store.url, text])
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.parametrize("query", ["cross join", "endless recursion", "levenshtein", "sleep_ms"])
def test_a_ctrl_c_ends_a_query_whatever_it_is_at(store: Backend, query: str) -> None:
    with begun(store, HOSTILE[query]) as process:
        (child,) = children(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
        assert process.stderr is not None and process.stderr.read() == "interrupted\n"
        until(lambda: not is_there(child))


@pytest.mark.slow
def test_a_second_ctrl_c_kills_what_the_first_could_not_end(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    program = (
        "from pacore.bounded import Bounds, run_bounded;"
        f"run_bounded('tests.fixtures.bounded_functions:deaf', [{str(place)!r}], Bounds(600, 2**30))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as process:
        until(lambda: place.exists() and place.read_text() != "")
        process.send_signal(signal.SIGINT)
        time.sleep(1.0)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 1
        assert process.stderr is not None and b"Interrupted" in process.stderr.read()
        until(lambda: not is_there(int(place.read_text())))


@pytest.mark.slow
def test_the_reader_of_a_pipe_may_leave(store: Backend) -> None:
    text = "SELECT i FROM range(1000000000000) t(i)"
    line = pacore_command(["query", "--store", store.url, "--format", "csv", text])
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert [process.stdout.readline() for _ in range(3)] == ["i\n", "0\n", "1\n"]
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.slow
def test_every_outcome_of_a_query_is_one_line_and_a_true_exit_code(
    store: Backend, pacore: Pacore
) -> None:
    for query, code, line in (
        ("SELECT 1 AS a", 0, ""),
        ("SELECT nowhere FROM runs", 2, "pacore: there is no column "),
        ("COPY runs TO 'x'", 2, "pacore: a query only reads; COPY is not run here"),
        (
            HOSTILE["a text of 2 GB"],
            1,
            "pacore: the SQL needs more than 0.5 GB of memory (--memory)",
        ),
    ):
        ended = pacore(
            "query", "--store", store.url, "--memory", "512MiB", "--format", "csv", query
        )
        assert ended.returncode == code
        assert ended.stderr.startswith(line) and ended.stderr.count("\n") == bool(line)
    assert pacore("query", "--store", store.url, "--timeout", "x", "SELECT 1").returncode == 2


@pytest.mark.slow
def test_a_condition_of_retry_is_bounded_too(store: Backend, pacore: Pacore) -> None:
    where = f"({STUCK}) > 0"
    line = ["retry", "demo", "--store", store.url, "--timeout", "3", "--where", where]
    ended = pacore(*line)
    assert ended.returncode == 1
    assert ended.stderr == "pacore: the SQL was ended after 3 seconds (--timeout)\n"


MEASURED = """
import contextlib, resource, sys
from pacore.bounded import Bounds, run_bounded
from pacore.errors import BadInput, LimitReached
url, query, memory_bytes = sys.argv[1:]
with contextlib.suppress(LimitReached, BadInput):
    bounds = Bounds(6.0, int(memory_bytes))
    run_bounded("tests.fixtures.bounded_queries:exhaust", [url, query], bounds, is_captured=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""
"""Runs one query and prints the peak memory of its process in bytes.

A process of its own, because the kernel keeps one peak for all children a process ever had.
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", list(HOSTILE)[::4])
def test_a_hostile_query_ends_in_its_time_and_memory(store: Backend, name: str) -> None:
    line = [sys.executable, "-c", MEASURED, store.url, HOSTILE[name], str(MEMORY_BYTES)]
    ended = subprocess.run(
        line, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS
    )
    assert int(ended.stdout.splitlines()[-1]) < 2 * MEMORY_BYTES
