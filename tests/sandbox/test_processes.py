"""The processes that grade: what limits them, what ends them, and what their death costs."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pacore.core.grading.verdict import CORRECT, WRONG, Verdict
from pacore.errors import PacoreError
from pacore.processes import Child
from pacore.sandbox.mathematics import DIED_TWICE, MATH_WORKERS, WORKER_MEMORY_BYTES, MathGrader

pytestmark = pytest.mark.slow

HARD = r"\int_0^\infty e^{-x^2}\sin(x^3)\ln(x)\,dx"


ENDLESS = 10**15
"""So many calls may a grading make here; what computer algebra then works on for minutes is `HARD`."""


def parents() -> dict[int, int]:
    """Parent of every live process on the machine; the dead that nobody waited for do not count."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] not in "ZX":
            found[int(folder.name)] = int(fields[1])
    return found


def descendants(ancestor: int) -> set[int]:
    family = {ancestor}
    tree = parents()
    while grown := {child for child, parent in tree.items() if parent in family} - family:
        family |= grown
    return family - {ancestor}


ENOUGH_SECONDS = 300.0
"""For what comes at once on a machine that does nothing else."""


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def cpu_ticks(process_id: int) -> int:
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[11]) + int(fields[12])


def workers(grader_process: int) -> set[int]:
    """The processes that grade, told by their memory limit."""
    limited = set()
    for process_id in descendants(grader_process):
        try:
            limits = Path(f"/proc/{process_id}/limits").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if re.search(rf"Max address space +{WORKER_MEMORY_BYTES} ", limits):
            limited.add(process_id)
    return limited


def busy(grader_process: int) -> set[int]:
    """Workers that are computing right now."""
    before = {process_id: cpu_ticks(process_id) for process_id in workers(grader_process)}
    time.sleep(0.5)
    return {process_id for process_id, ticks in before.items() if cpu_ticks(process_id) > ticks}


def test_only_the_workers_are_limited_and_only_the_grader_has_pure_numbers() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with MathGrader(most_calls=ENDLESS) as grader:
        assert grader.grade_many([("x+1", "1+x")], 10.0) == [CORRECT]
        process_id = grader.process_id
        assert process_id is not None
        assert eventually(lambda: len(workers(process_id)) == MATH_WORKERS, ENOUGH_SECONDS)
        environment = Path(f"/proc/{process_id}/environ").read_bytes().split(b"\0")
        assert b"SYMPY_GROUND_TYPES=python" in environment
        family = {process_id} | descendants(process_id)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert "SYMPY_GROUND_TYPES" not in os.environ
    assert eventually(lambda: not family & parents().keys(), ENOUGH_SECONDS)


def test_a_worker_that_dies_loses_its_answer_and_no_other() -> None:
    with MathGrader(most_calls=ENDLESS) as grader, ThreadPoolExecutor(1) as thread:
        assert grader.grade_many([("x+1", "1+x")], 10.0) == [CORRECT]
        process_id = grader.process_id
        assert process_id is not None
        grading = thread.submit(grader.grade_many, [("7", HARD), ("x+1", "1+x")], 60.0)
        assert eventually(lambda: len(workers(process_id)) == MATH_WORKERS, ENOUGH_SECONDS)
        found: set[int] = set()
        while len(found) != 1:
            found = busy(process_id)
        os.kill(found.pop(), signal.SIGKILL)
        died, after = grading.result()
        assert (died.verdict, after) == ("crash", CORRECT)
        assert str(died.detail).startswith("the grader failed: ProcessExpired")
        assert grader.process_id == process_id


def test_a_killed_grader_process_is_replaced_and_every_answer_graded() -> None:
    with MathGrader(most_calls=ENDLESS) as grader, ThreadPoolExecutor(1) as thread:
        assert grader.grade_many([("x+1", "1+x")], 10.0) == [CORRECT]
        first = grader.process_id
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: first not in parents(), ENOUGH_SECONDS)
        assert grader.grade_many([("x+1", "1+x")], 10.0) == [CORRECT]
        second = grader.process_id
        assert second is not None
        assert second != first
        pairs = [("7", HARD), ("x+1", "1+x"), ("x+1", "2+x")]
        grading = thread.submit(grader.grade_many, pairs, 5.0)
        assert eventually(lambda: bool(busy(second)), ENOUGH_SECONDS)
        os.kill(second, signal.SIGKILL)
        late = Verdict("timeout", None, "no verdict within 5 s")
        assert grading.result() == [late, CORRECT, WRONG]


def test_a_pair_on_which_the_grader_process_dies_twice_is_a_crash() -> None:
    with MathGrader(most_calls=ENDLESS) as grader, ThreadPoolExecutor(1) as thread:
        grading = thread.submit(grader.grade_many, [("7", HARD)], 60.0)
        seen: set[int] = set()
        for _ in range(2):
            assert eventually(lambda: grader.process_id not in seen | {None}, ENOUGH_SECONDS)
            process_id = grader.process_id
            assert process_id is not None
            assert eventually(lambda: len(workers(process_id)) == MATH_WORKERS, ENOUGH_SECONDS)  # noqa: B023
            assert eventually(lambda: len(busy(process_id)) == 1, ENOUGH_SECONDS)  # noqa: B023
            seen.add(process_id)
            os.kill(process_id, signal.SIGKILL)
        assert grading.result() == [DIED_TWICE]
        assert grader.grade_many([("x+1", "1+x")], 10.0) == [CORRECT]


def run_script(text: str, folder: Path) -> subprocess.Popen[str]:
    script = folder / "unguarded.py"
    script.write_text(text)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True
    )


FROM_A_THREAD = """
from concurrent.futures import ThreadPoolExecutor
from pacore.sandbox.grade import grade_answers
print("main module runs", flush=True)
with ThreadPoolExecutor(1) as thread:
    print(thread.submit(grade_answers, [("math", "x+1", "1+x")], 10.0).result()[0].score)
"""


def test_a_script_without_a_guard_may_grade_from_a_thread(tmp_path: Path) -> None:
    with run_script(FROM_A_THREAD, tmp_path) as process:
        said, _ = process.communicate(timeout=60)
    assert said == "main module runs\n1.0\n"
    assert process.returncode == 0


INTERRUPTED = f"""
import signal
HARD = {HARD!r}
from pacore.sandbox.mathematics import MathGrader
GRADER = MathGrader(most_calls={ENDLESS})
def ring(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, ring)
GRADER.grade_many([("x+1", "1+x")], 10.0)
signal.setitimer(signal.ITIMER_REAL, 0.5)
try:
    GRADER.grade_many([("7", HARD), ("x+1", "1+x")], 3.0)
except KeyboardInterrupt:
    print("interrupted")
print(*(v.score for v in GRADER.grade_many([("x+1", "2+x"), ("x+1", "1+x")], 10.0)))
"""


def test_an_interrupted_exchange_leaves_no_answers_to_the_next(tmp_path: Path) -> None:
    with run_script(INTERRUPTED, tmp_path) as process:
        said, _ = process.communicate(timeout=60)
    assert said == "interrupted\n0.0 1.0\n"


BUSY = f"""
HARD = {HARD!r}
from pacore.sandbox.mathematics import MathGrader
GRADER = MathGrader(most_calls={ENDLESS})
GRADER.grade_many([("x+1", "1+x")], 10.0)
print(GRADER.process_id, flush=True)
GRADER.grade_many([("7", HARD), ("8", HARD)] * 20, SECONDS)
"""


def busy_family(process: subprocess.Popen[str]) -> tuple[int, set[int]]:
    """The grader process of a `BUSY` script and all its family, once both workers are computing."""
    assert process.stdout is not None
    grader_process = int(process.stdout.readline())
    assert eventually(lambda: len(busy(grader_process)) == MATH_WORKERS, ENOUGH_SECONDS)
    return grader_process, {grader_process} | descendants(grader_process)


def test_nothing_outlives_a_killed_caller(tmp_path: Path) -> None:
    with run_script(BUSY.replace("SECONDS", "600"), tmp_path) as process:
        _, family = busy_family(process)
        process.kill()
    assert len(family) >= 2 + MATH_WORKERS
    assert eventually(lambda: not family & parents().keys(), ENOUGH_SECONDS)


def test_workers_end_by_themselves_when_all_that_could_end_them_is_killed(tmp_path: Path) -> None:
    with run_script(BUSY.replace("SECONDS", "3"), tmp_path) as process:
        grader_process, family = busy_family(process)
        process.kill()
        os.kill(grader_process, signal.SIGKILL)
    assert eventually(lambda: not family & parents().keys(), 300.0)


def test_a_grader_process_that_cannot_start_is_an_error_that_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    with (
        MathGrader() as grader,
        pytest.raises(PacoreError, match=r"does not start: .*\w"),
    ):
        grader.grade_many([("x+1", "1+x")], 1.0)


def test_a_child_says_last_what_went_wrong() -> None:
    child = Child("pacore.absent", "serve", [], {})
    assert child.receive() is None
    assert child.last_error_line() == "ModuleNotFoundError: No module named 'pacore.absent'"
    child.close()
    assert not child.is_alive
