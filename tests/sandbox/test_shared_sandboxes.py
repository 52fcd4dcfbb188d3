"""Programs that share a sandbox, one after another, and programs beside each other."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pacore.core.grading.programs.tests import (
    StatedLimits,
    as_gold,
    assertion_tests,
    function_tests,
    stdin_tests,
)
from pacore.core.grading.verdict import CORRECT, Verdict
from pacore.sandbox.programs import PROGRAM_WORKERS, grade_programs, run_tests
from pacore.sandbox.runner import SANDBOXES, GraderFault, Limits
from tests.fixtures.hostile_neighbours import LEAVINGS, MARK, SPY
from tests.fixtures.processes import descendants, left_after, living
from tests.sandbox.test_hostile_programs import INNOCENT, INNOCENT_TESTS, hosts

LIMITED: StatedLimits = {"time_limit_seconds": 0.5, "memory_limit_bytes": 128 * 2**20}

TALKATIVE = (
    "import sys\nfor number in range(20000):\n    print(number)\nprint(len(sys.stdin.read()))"
)


LONG_INPUT = "y" * 500_000


TALKATIVE_TESTS = stdin_tests(
    [(LONG_INPUT, "\n".join(map(str, range(20000))) + f"\n{len(LONG_INPUT)}\n")]
)


CALLED = "def double(n):\n    return n * 2"


CALLED_TESTS = assertion_tests(["assert double(2) == 4", "assert double('x' * 70000)[:2] == 'xx'"])


SPY_TESTS = stdin_tests([("", "nothing\n")])


def own_hosts() -> set[int]:
    """Process ids in and around the sandboxes of this process."""
    return hosts() & descendants(os.getpid())


@pytest.mark.slow
@pytest.mark.parametrize("case", LEAVINGS)
def test_a_program_leaves_nothing_to_the_next_in_its_sandbox(case: str) -> None:
    attack = stdin_tests([(MARK * 1000, "ESCAPED\n")], **LIMITED)
    with SANDBOXES:
        assert run_tests(INNOCENT, INNOCENT_TESTS).passed == 2
        before = own_hosts()
        assert before
        report = run_tests(LEAVINGS[case], attack)
        assert report.passed == 0
        # The very sandbox, and it is well.
        assert own_hosts() == before
        for program, tests in (
            (SPY, SPY_TESTS),
            (INNOCENT, INNOCENT_TESTS),
            (TALKATIVE, TALKATIVE_TESTS),
            (CALLED, CALLED_TESTS),
        ):
            after = run_tests(program, tests)
            assert after.passed == len(after.outcomes), after
        assert before <= own_hosts()
    assert not left_after(own_hosts(), 60.0)


def test_the_spy_finds_what_is_there() -> None:
    marked = SPY.replace('MARKED = ""', f"MARKED = {MARK!r}")
    assert run_tests(marked, stdin_tests([("", "found\n")])).passed == 1
    within = SPY.replace("found = sum", "held = ['mark-' + '7d21e0c4' * 1]\nfound = sum")
    assert run_tests(within, stdin_tests([("", "found\n")])).passed == 1


def test_what_a_function_and_its_tests_knew_is_not_left_either() -> None:
    with SANDBOXES:
        right = f"def f(x):\n    return x + {MARK!r} * 9"
        asserted = [f"assert f('{number}') == '{number}' + {MARK!r} * 9" for number in range(50)]
        assert run_tests(right, assertion_tests(asserted)).passed == 50
        returned = [([str(number)], str(number) + MARK * 9) for number in range(9)]
        assert run_tests(right, function_tests("f", returned)).passed == 9
        for _ in range(4):
            assert run_tests(SPY, SPY_TESTS).passed == 1


WAITING = "import time\ntime.sleep(0.3)\nprint(sum(range(1000000)))"

SIBLINGS = """
import os, resource, signal
while True:
    for process in range(1, 5000):
        for action in (
            lambda: os.kill(process, signal.SIGKILL),
            lambda: os.kill(-process, signal.SIGSTOP),
            lambda: resource.prlimit(process, resource.RLIMIT_CPU, (0, 0)),
            lambda: os.setpriority(os.PRIO_PROCESS, process, 19),
        ):
            try:
                if process != os.getpid():
                    action()
            except OSError:
                pass
"""


@pytest.mark.slow
def test_programs_beside_each_other_do_not_reach_each_other() -> None:
    victims = as_gold(stdin_tests([("", "499999500000\n")] * 3))
    attackers = as_gold(stdin_tests([("", "ESCAPED")], **LIMITED))
    items = [(attackers, SIBLINGS + f"# {number}") for number in range(PROGRAM_WORKERS // 2)]
    items += [(victims, WAITING + f"  # {number}") for number in range(PROGRAM_WORKERS)]
    verdicts = grade_programs([*items, *items[::-1]])
    for (gold, _), verdict in zip([*items, *items[::-1]], verdicts, strict=True):
        assert verdict.verdict == ("correct" if gold == victims else "wrong"), verdict


@pytest.mark.slow
def test_a_hanging_program_does_not_hold_up_others() -> None:
    """As many as wait in vain leave room for the rest, whose work takes no more than its time."""
    gold = as_gold(stdin_tests([("1 2\n", "3\n")], time_limit_seconds=1000.0))
    hanging = [
        (gold, f"import time\ntime.sleep(1000)  # {one}") for one in range(PROGRAM_WORKERS - 1)
    ]
    quick = [(gold, f"{INNOCENT}\n# {one}") for one in range(20)]
    ended: list[str] = []

    def grade(items: list[tuple[str, str]], name: str) -> list[Verdict]:
        verdicts = grade_programs(items)
        ended.append(name)
        return verdicts

    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(grade, hanging, "hanging")
        try:
            deadline = time.monotonic() + 300.0
            while len(own_hosts()) < len(hanging):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            done = threads.submit(grade, quick, "quick").result(timeout=300)
        finally:
            # A program whose sandbox is killed is run in a second one, and then given up.
            while not waiting.done():
                for process in own_hosts():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                time.sleep(0.05)
    assert done == [CORRECT] * len(quick)
    assert ended == ["quick", "hanging"]


def test_a_sandbox_that_is_killed_is_replaced_and_the_program_graded() -> None:
    with SANDBOXES:
        assert run_tests(INNOCENT, INNOCENT_TESTS).passed == 2
        for process in own_hosts():
            os.kill(process, signal.SIGKILL)
        assert run_tests(INNOCENT, INNOCENT_TESTS).passed == 2
        assert run_tests(CALLED, CALLED_TESTS).passed == 2


def test_a_sandbox_that_is_slow_to_start_is_a_timeout_of_the_grader() -> None:
    with pytest.raises(
        GraderFault, match="the sandbox failed twice: it was not ready after 0 s"
    ) as found:
        run_tests(INNOCENT, INNOCENT_TESTS, Limits(start_seconds=0.0))
    assert found.value.verdict[:2] == ("timeout", None)


def test_sandboxes_are_gone_when_nobody_grades() -> None:
    with SANDBOXES:
        with SANDBOXES:
            assert run_tests(CALLED, CALLED_TESTS).passed == 2
        kept = own_hosts()
        assert living(kept)
        assert run_tests(INNOCENT, INNOCENT_TESTS).passed == 2
        assert own_hosts() == kept
    assert not left_after(kept, 60.0)


FROM_A_THREAD_THAT_ENDS = """
import threading
from pacore.core.grading.programs.tests import stdin_tests
from pacore.sandbox.programs import run_tests
from pacore.sandbox.runner import SANDBOXES
passed = []
def grade():
    passed.append(run_tests("print(1)", stdin_tests([("", "1")])).passed)
with SANDBOXES:
    for _ in range(3):
        thread = threading.Thread(target=grade)
        thread.start()
        thread.join()
print(passed)
"""


def test_a_sandbox_outlives_the_thread_that_wanted_it() -> None:
    said = subprocess.run(
        [sys.executable, "-c", FROM_A_THREAD_THAT_ENDS],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert said.stdout == "[1, 1, 1]\n"
