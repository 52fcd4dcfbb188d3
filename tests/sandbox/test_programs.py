"""Programs against their tests: every kind of test, every outcome, and where no sandbox can be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pacore.core.grading.programs.results import ProgramReport
from pacore.core.grading.programs.tests import (
    CustomChecker,
    as_gold,
    assertion_tests,
    check_tests,
    function_tests,
    stdin_tests,
)
from pacore.core.grading.verdict import CORRECT, NO_ANSWER, Verdict
from pacore.sandbox.programs import code_grader_version, grade_programs, run_tests
from pacore.sandbox.runner import SANDBOXES, GraderFault, Limits
from tests.conftest import ROOT

ADD = "print(sum(map(int, input().split())))"


ADDITIONS = stdin_tests([("1 2\n", "3\n"), ("5 6", "11"), ("-1 1", "0")])


@pytest.fixture(scope="module", autouse=True)
def sandboxes() -> Iterator[None]:
    """Kept, so that a program costs no sandbox of its own."""
    with SANDBOXES:
        yield


def outcomes(report: ProgramReport) -> list[str]:
    return [one.outcome for one in report.outcomes]


READERS = {
    "lines": ADD,
    "everything": "import sys\nprint(sum(map(int, sys.stdin.read().split())))",
    "bytes": "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))",
    "by descriptor": "import os\nprint(sum(map(int, os.read(0, 100).split())))",
    "by opening it": "print(sum(map(int, open(0).read().split())))",
    "iteration": "import sys\nfor line in sys.stdin: print(sum(map(int, line.split())))",
    "a main function": "def main():\n    " + ADD + "\nif __name__ == '__main__':\n    main()",
    "a thread with a large stack": (
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 27)\n"
        f"thread = threading.Thread(target=lambda: {ADD})\nthread.start()"
    ),
    "a larger stack": (
        "import resource, sys\nsys.setrecursionlimit(10**6)\n"
        "hard = resource.getrlimit(resource.RLIMIT_STACK)[1]\n"
        f"resource.setrlimit(resource.RLIMIT_STACK, (hard, hard))\n{ADD}"
    ),
    "recursion": (
        "import sys\nsys.setrecursionlimit(10**6)\n"
        "def down(n): return 0 if n == 0 else 1 + down(n - 1)\n"
        f"assert down(50000) == 50000\n{ADD}"
    ),
    "output at exit": (
        "import atexit, io, sys\nout = io.StringIO()\n"
        "atexit.register(lambda: sys.__stdout__.write(out.getvalue()))\nsys.stdout = out\n" + ADD
    ),
    "a good exit": ADD + "\nraise SystemExit",
    "classes that look for their module": (
        "import dataclasses, typing\n@dataclasses.dataclass\nclass Pair:\n    one: 'int'\n    other: int\n"
        f"assert typing.get_type_hints(Pair)['one'] is int\n{ADD}"
    ),
    "common modules": (
        "import asyncio, bisect, collections, functools, heapq, itertools, math, random, re, string\n"
        f"async def main(): {ADD}\nasyncio.run(main())"
    ),
}


@pytest.mark.parametrize("way", READERS)
def test_a_program_may_read_and_print_as_programs_do(way: str) -> None:
    report = run_tests(READERS[way], ADDITIONS)
    assert outcomes(report) == ["passed"] * 3, report
    assert report.verdict() == CORRECT


def test_outputs_are_compared_test_by_test() -> None:
    report = run_tests("print(3)", ADDITIONS)
    assert outcomes(report) == ["passed", "wrong_output", "wrong_output"]
    assert report.verdict() == Verdict(
        "wrong", 1 / 3, "1 of 3 tests; test 2: wrong output: line 1: expected '11', found '3'"
    )


ENDS = {
    "raise ValueError('no\\nidea')": ("runtime_error", "idea"),
    "import sys\nsys.exit(2)": ("runtime_error", "exit code 2"),
    "import sys\nsys.exit('no')": ("runtime_error", "no"),
    "import os\nos.abort()": ("runtime_error", "killed by SIGABRT"),
    "import os\nos.kill(os.getpid(), 40)": ("runtime_error", "killed by signal 40"),
    "x = [0] * 10**9": ("memory", ""),
    "while True: pass": ("timeout", ""),
    "while True: print('3' * 1000)": ("output_limit", ""),
    "def": ("runtime_error", "SyntaxError: invalid syntax"),
    "": ("wrong_output", "line 1: expected '3', found nothing"),
    "print(input() + input())": ("runtime_error", "EOFError: EOF when reading a line"),
}


@pytest.mark.parametrize("program", ENDS)
def test_every_end_has_its_outcome(program: str) -> None:
    tests = stdin_tests([("1 2\n", "3\n")], time_limit_seconds=0.5, memory_limit_bytes=2**26)
    (found,) = run_tests(program, tests).outcomes
    assert (found.outcome, found.excerpt) == ENDS[program]


def test_a_program_that_is_stopped_in_one_test_goes_on_with_the_next() -> None:
    program = (
        "n = int(input())\nif n == 1:\n    while True: pass\nprint('x' * 10**8 if n == 2 else n)"
    )
    tests = stdin_tests([("0", "0"), ("1", "1"), ("2", "2"), ("3", "3")], time_limit_seconds=0.5)
    report = run_tests(program, tests)
    assert outcomes(report) == ["passed", "timeout", "output_limit", "passed"]
    assert report.score == 0.5


@pytest.mark.slow
def test_after_some_tests_without_time_the_others_are_not_run() -> None:
    tests = stdin_tests([("1 2", "3")] * 5, time_limit_seconds=0.5)
    report = run_tests("while True: pass", tests, Limits(timeouts=2))
    assert outcomes(report) == ["timeout", "timeout", "not_run", "not_run", "not_run"]
    assert report.verdict() == Verdict("wrong", 0.0, "0 of 5 tests; test 1: timeout")


def test_time_is_cpu_time_of_the_program() -> None:
    program = "import time\ntime.sleep(0.7)\n" + ADD
    (found,) = run_tests(program, stdin_tests([("1 2", "3")], time_limit_seconds=0.5)).outcomes
    assert found.outcome == "passed" and 0.0 < found.seconds < 0.5


@pytest.mark.slow
def test_large_inputs_and_outputs_pass_through() -> None:
    text = "\n".join(map(str, range(1_000_000)))
    tests = stdin_tests([(text, text), (text[:-1], text)], "exact")
    assert outcomes(run_tests("import sys\nprint(sys.stdin.read())", tests)) == [
        "passed",
        "wrong_output",
    ]


def test_text_of_every_script_passes_through() -> None:
    text = "Grüße, Žluťoučký, 数学, 🙂\u2028\x85"
    assert run_tests("print(input())", stdin_tests([(text, text)])).passed == 1


def test_the_same_program_says_the_same_every_time() -> None:
    program = "print(*{'a', 'b', 'c', 'd', 'e', 'f'}, *map(hash, ('x', b'y')))"
    tests = stdin_tests([("", "")])
    found = {run_tests(program, tests).outcomes[0].excerpt for _ in range(3)}
    assert len(found) == 1


CHECK = "def check(given, output, expected):\n    return "


@pytest.mark.parametrize(
    ("source", "points", "outcome"),
    [
        (CHECK + "sorted(output.split()) == sorted(expected.split())", 1.0, "passed"),
        (CHECK + "output == given", 0.0, "wrong_output"),
        (CHECK + "0.25", 0.25, "wrong_output"),
        (CHECK + "1", 1.0, "passed"),
        ("import sys\ndef check(*texts): sys.exit(0)", 1.0, "passed"),
        ("import sys\ndef check(*texts): sys.exit(1)", 0.0, "wrong_output"),
        ("import sys\ndef check(*texts): sys.exit(2)", 0.0, "wrong_output"),
    ],
)
def test_a_checker_of_the_problem_decides(source: str, points: float, outcome: str) -> None:
    tests = stdin_tests([("3 1 2", "1 2 3")], CustomChecker(source=source))
    (found,) = run_tests("print(2, 3, 1)", tests).outcomes
    assert (found.points, found.outcome) == (points, outcome)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (CHECK + "1 / 0", "ZeroDivisionError: division by zero"),
        (CHECK + "2", "exit code 0"),
        (CHECK + "'yes'", "exit code 0"),
        (CHECK + "float('nan')", "exit code 0"),
        ("import sys\ndef check(*texts): sys.exit(3)", "exit code 3"),
        ("def judge(*texts): return True", "NameError: name 'check' is not defined"),
        ("import os\ndef check(*texts): os.kill(os.getpid(), 9)", "exit code 0"),
        ("import os\ndef check(*texts): os.write(3, b'[')", "exit code 0"),
        ("def", "SyntaxError: invalid syntax"),
    ],
)
def test_a_checker_that_fails_says_nothing_of_the_program(source: str, why: str) -> None:
    tests = stdin_tests([("1", "1"), ("2", "2")], CustomChecker(source=source))
    with pytest.raises(GraderFault, match=f"^test 1: the checker failed: {re.escape(why)}$"):
        run_tests("print(input())", tests)


def test_an_expected_output_that_is_none_says_nothing_of_the_program() -> None:
    (verdict,) = grade_programs([(as_gold(stdin_tests([("", "many")], "integers")), "print(1)")])
    assert verdict == Verdict(
        "crash", None, "test 1: expected output, token 1: 'many' is no integer"
    )


PAIRS = function_tests("pair", [([1, 2], [1, 2]), ([[], {"a": 1}], [[], {"a": 1}])])


@pytest.mark.parametrize(
    "program",
    [
        "def pair(a, b): return [a, b]",
        "def pair(a, b): return (a, b)",
        "class Solution:\n    def pair(self, a, b): return [a, b]",
        "from __future__ import annotations\npair = lambda a, b: (a, b)",
        "def pair(a, b):\n    print('some words')\n    return [a, b]",
        "def pair(a, b): return [a, b]\nif __name__ == '__main__':\n    print(pair(input()))",
    ],
)
def test_a_function_is_right_if_it_returns_the_result(program: str) -> None:
    assert run_tests(program, PAIRS).verdict() == CORRECT


def test_keys_and_numbers_compare_as_json_and_python_have_them() -> None:
    tests = function_tests("f", [([], {"1": True, "2": 1.0})])
    assert run_tests("def f(): return {1: 1, 2: 1}", tests).passed == 1
    assert run_tests("def f(): return {'1': 1}", tests).passed == 0


def test_a_tolerance_is_for_numbers_within_results() -> None:
    tests = function_tests("f", [([], {"a": [1.0, "x", 10**400]})], tolerance=1e-6)
    assert run_tests("def f(): return {'a': [1.0000005, 'x', 10**400]}", tests).passed == 1
    assert run_tests("def f(): return {'a': [1.00001, 'x', 10**400]}", tests).passed == 0
    assert run_tests("def f(): return {'a': [1.0, 'x', 10.0]}", tests).passed == 0
    assert run_tests("def f(): return {'a': [1.0, 'y', 10**400]}", tests).passed == 0


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("{1, 2}", "Object of type set is not JSON serializable"),
        ("object()", "Object of type object is not JSON serializable"),
        ("10 ** 5000", "expected '7', found '1000"),
        ("float('nan')", "expected '7', found 'NaN'"),
        ("None", "expected '7', found 'null'"),
    ],
)
def test_what_json_cannot_say_is_no_result(result: str, said: str) -> None:
    (found,) = run_tests(f"def f(): return {result}", function_tests("f", [([], 7)])).outcomes
    assert found.outcome == "wrong_output" and said in found.excerpt


PROMPT = '''from typing import List


def double(value: int) -> int:
    return 2 * value


def largest_double(values: List[int]) -> int:
    """Return the largest of the doubles of values.
    >>> largest_double([1, 2])
    4
    """
'''
"""A prompt as HumanEval has them: an import, a helper, and a signature with its documentation."""

CONTINUATIONS = {
    "the whole": PROMPT + "    return max(double(value) for value in values)\n",
    "the function": "def largest_double(values):\n    return max(map(double, values))",
    "the body": "    return max(map(double, values))",
    "the body without its indentation": "best = max(values)\n    return double(best)",
    "one line": "return max(map(double, values))",
    "another import": "from __future__ import annotations\nimport math\n"
    "def largest_double(values: List[int]): return max(map(double, values))",
}


@pytest.mark.parametrize("way", CONTINUATIONS)
def test_a_prompt_may_be_answered_with_a_function_or_its_body(way: str) -> None:
    check = """
METADATA = {"author": "nobody"}


def check(candidate):
    assert True, "Begin."
    values = [3, 1, 2]
    assert candidate(values) == double(3), "a helper of the prompt"
    for value in range(3):
        assert candidate([value]) == 2 * value
    assert abs(candidate([5]) - 10.0) < 1e-6
"""
    tests = check_tests("largest_double", check, prelude=PROMPT)
    assert len(tests.tests) == 3
    assert run_tests(CONTINUATIONS[way], tests).verdict() == CORRECT


def test_every_assertion_of_a_check_is_a_test() -> None:
    check = "def check(f):\n    assert f(1) == 1\n    assert f(2) == 4\n    assert f(3) == 9\n"
    verdict = run_tests("def f(x): return x", check_tests("f", check)).verdict()
    assert verdict == Verdict(
        "wrong", 1 / 3, "1 of 3 tests; test 2: wrong output: assert f(2) == 4"
    )


def test_helpers_of_the_prompt_are_the_prompts_not_the_programs() -> None:
    check = "def check(candidate):\n    assert candidate([1]) == double(1)\n"
    cheat = "def double(value): return 0\ndef largest_double(values): return 0"
    assert run_tests(cheat, check_tests("largest_double", check, prelude=PROMPT)).passed == 0


ASSERTED = {
    "plain values": (
        "def f(*values, **named): return values + tuple(named.items())",
        "assert f(1, 2.5, 'x', None, True, b'y', z=[{1: (2,)}, {3}, frozenset()]) == "
        "(1, 2.5, 'x', None, True, b'y', ('z', [{1: (2,)}, {3}, frozenset()]))",
    ),
    "types are kept": ("f = lambda x: x", "assert type(f((1,))) is tuple and type(f({1})) is set"),
    "large and odd numbers": (
        "f = lambda x: x",
        "import math\nassert f(10**5000) == 10**5000 and math.isnan(f(math.nan)) and f(1j) == 1j",
    ),
    "values of the library": (
        "f = lambda x: x",
        "from fractions import Fraction\nfrom decimal import Decimal\nimport collections, datetime\n"
        "for x in (Fraction(1, 3), Decimal('0.10'), collections.deque([1], 3), range(3),\n"
        "          datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3), datetime.timedelta(1)):\n"
        "    assert f(x) == x and type(f(x)) is type(x)",
    ),
    "values derived from plain ones": (
        "import collections\nP = collections.namedtuple('P', 'x')\n"
        "f = lambda x: [collections.Counter(x), collections.defaultdict(int, a=1), P(1)]",
        "assert f('aab') == [{'a': 2, 'b': 1}, {'a': 1}, (1,)]",
    ),
    "generators": (
        "def f(n):\n    yield from range(n)",
        "assert list(f(3)) == [0, 1, 2] and sum(f(4)) == 6",
    ),
    "views and iterators": (
        "f = lambda d: (d.keys(), map(str, d), d.items())",
        "keys, texts, items = f({1: 2})\n"
        "assert list(keys) == [1] and next(texts) == '1' and set(items) == {(1, 2)} and len(items) == 1",
    ),
    "objects": (
        "class P:\n    def __init__(self, x): self.x = x\n    def __eq__(self, o): return self.x == o.x\n"
        "    def __hash__(self): return 1\n    def __str__(self): return f'P{self.x}'\n"
        "    def moved(self, by=1): return P(self.x + by)\n    def __getitem__(self, i): return self.x + i",
        "p = P(1)\np.x = 2\nassert p.moved(by=3) == P(5) and p != P(3) and str(p) == 'P2' and p[4] == 6\n"
        "assert p and len({p, P(2)}) == 1 and p != 2 and not p == 2",
    ),
    "functions of the program as arguments": (
        "double = lambda x: 2 * x\napply = lambda f, x: f(x)",
        "assert apply(double, 4) == 8 and list(map(double, [1, 2])) == [2, 4] and "
        "sorted([3, 1], key=double) == [1, 3]",
    ),
    "exceptions": (
        "class Odd(ValueError): pass\ndef f(x):\n    if x % 2: raise Odd('odd')\n    return {}[x]",
        "try:\n    f(1)\n    assert False\nexcept ValueError as fault:\n    assert str(fault) == 'odd'\n"
        "try:\n    f(2)\n    assert False\nexcept KeyError:\n    pass",
    ),
    "constants": ("LIMIT = [1, 2]", "assert LIMIT == [1, 2]"),
    "arguments are copies": (
        "def f(x):\n    x.clear()\n    return 0",
        "x = [1]\nassert f(x) == 0 and x == [1]",
    ),
    "annotations and classes in tests": (
        "f = lambda x: x",
        "y: int = f(1)\nclass T:\n    z = f(2)\ndef g():\n    return f(3) + len([1])\n"
        "assert (y, T.z, g()) == (1, 2, 4)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ASSERTED)
def test_an_assertion_may_do_with_a_program_what_python_does(case: str) -> None:
    program, test = ASSERTED[case]
    report = run_tests(program, assertion_tests([test]))
    assert outcomes(report) == ["passed"], report


def test_tests_may_build_what_they_need_from_the_programs_classes() -> None:
    program = """
class Node:
    def __init__(self, value):
        self.value, self.left, self.right = value, None, None

def height(node):
    return 0 if node is None else 1 + max(height(node.left), height(node.right))
"""
    setup = "root = Node(1)\nroot.left = Node(2)\nroot.left.right = Node(3)"
    tests = assertion_tests(
        ["assert height(root) == 3", "assert height(root.left) == 2"], setup=setup
    )
    assert run_tests(program, tests).passed == 2
    assert run_tests("def height(node): return 3", tests).passed == 0


def test_a_program_that_fails_on_one_assertion_goes_on_with_the_next() -> None:
    program = """
import os
def f(x):
    if x == 1: os._exit(0)
    if x == 2: raise KeyError(x)
    while x == 3: pass
    if x == 4: return [0] * 10**9
    if x == 5: os.kill(os.getpid(), 9)
    if x == 6: return 'x' * (5 << 20)
    if x == 7: raise SystemExit(0)
    return x
"""
    tests = assertion_tests(
        [f"assert f({x}) == {x}" for x in range(9)],
        time_limit_seconds=0.5,
        memory_limit_bytes=2**26,
    )
    assert [(one.outcome, one.excerpt) for one in run_tests(program, tests).outcomes] == [
        ("passed", ""),
        ("runtime_error", "the program ended during a call"),
        ("runtime_error", "KeyError: '2'"),
        ("timeout", ""),
        ("memory", ""),
        ("runtime_error", "killed by SIGKILL"),
        ("output_limit", ""),
        ("runtime_error", "RuntimeError: SystemExit: 0"),
        ("passed", ""),
    ]


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        (assertion_tests(["assert f(1) =="]), "the tests are not Python: invalid syntax"),
        (
            assertion_tests(["assert f(1)"], setup="import nothing_such"),
            "ModuleNotFoundError: No module",
        ),
        (assertion_tests(["assert f(lambda: 1)"]), "a function cannot be passed to a program"),
        (assertion_tests(["x = 1 / 0\nassert f(x)"]), "ZeroDivisionError: division by zero"),
    ],
)
def test_tests_that_fail_by_themselves_say_nothing_of_the_program(tests: object, why: str) -> None:
    with pytest.raises(GraderFault, match=f"^test 1 is faulty: {re.escape(why)}") as found:
        run_tests("def f(x): return x", tests)  # type: ignore[arg-type]
    assert found.value.verdict.verdict == "crash"


def test_a_name_the_program_lacks_is_the_programs_fault() -> None:
    (found,) = run_tests("def g(x): return x", assertion_tests(["assert f(1) == 1"])).outcomes
    assert (found.outcome, found.excerpt) == ("runtime_error", "NameError: name 'f' is not defined")


GOLD = as_gold(ADDITIONS)


def test_verdicts_come_in_the_order_of_the_items() -> None:
    items = [
        (GOLD, ADD),
        (GOLD, "print(3)"),
        (GOLD, None),
        (GOLD, " \n"),
        ("{}", ADD),
        (as_gold(PAIRS), "def pair(a, b): return [a, b]"),
        (GOLD, ADD),
    ]
    first, second, third, fourth, fifth, sixth, seventh = grade_programs(items, 10.0)
    assert first == sixth == seventh == CORRECT
    assert second[:2] == ("wrong", 1 / 3)
    assert third == fourth == NO_ANSWER
    assert fifth[:2] == ("crash", None) and str(fifth.detail).startswith("gold answer: ")
    assert grade_programs([], 10.0) == []


@pytest.mark.slow
def test_equal_items_are_graded_once() -> None:
    gold = as_gold(stdin_tests([("", "1")], time_limit_seconds=0.5))
    start = time.monotonic()
    verdicts = grade_programs([(gold, "import time\ntime.sleep(100)")] * 50)
    assert {verdict.detail for verdict in verdicts} == {"0 of 1 tests; test 1: timeout"}
    assert time.monotonic() - start < 120.0


def test_any_thread_may_grade() -> None:
    def grade(number: int) -> Verdict:
        return grade_programs([(GOLD, f"{ADD}  # {number}")])[0]

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(grade, range(8))) == {CORRECT}


def test_the_version_names_the_rules_and_the_interpreter() -> None:
    assert re.fullmatch(r"\d+\+python-3\.\d+\.\d+", code_grader_version())


INTERRUPTED = """
import signal
from pacore.core.grading.programs.tests import as_gold, stdin_tests
from pacore.sandbox.programs import grade_programs
def ring(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, ring)
gold = as_gold(stdin_tests([("", "")] * 120))
signal.setitimer(signal.ITIMER_REAL, 3.0)
try:
    grade_programs([(gold, f"import time; time.sleep({n} + 1)") for n in (0, 0.1, 0.2)])
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
def test_an_interrupted_grading_ends_after_the_tests_that_run() -> None:
    start = time.monotonic()
    said = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert said.stdout == "interrupted\n"
    assert time.monotonic() - start < 60.0


WITHOUT = """
from pacore.errors import PacoreError
from pacore.core.grading.programs.tests import as_gold, stdin_tests
from pacore.sandbox.programs import grade_programs
marker = {marker!r}
program = f"open({{marker!r}}, 'w')"
try:
    grade_programs([(as_gold(stdin_tests([("", "")])), program)])
except PacoreError as refusal:
    print(type(refusal).__name__, refusal, sep=": ")
"""


def refusal_with(path: Path, marker: Path) -> str:
    """What grading says where only the programs in ``path`` can be found."""
    environment = {"PATH": str(path), "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(marker=str(marker))],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert not marker.exists()
    return said.stdout


def test_the_script_that_installs_bubblewrap_finds_it() -> None:
    script = [str(ROOT / "infra/bubblewrap.sh"), "--find"]
    said = subprocess.run(script, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == shutil.which("bwrap")


def test_without_bubblewrap_nothing_runs(tmp_path: Path) -> None:
    assert refusal_with(tmp_path, tmp_path / "marker") == (
        "NoSandbox: programs cannot be graded here: bubblewrap (bwrap) is not installed; "
        "on Debian or Ubuntu: apt-get install bubblewrap util-linux python3\n"
    )


def test_where_user_name_spaces_are_refused_nothing_runs(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("setpriv", "sh"):
        (folder / name).symlink_to(str(shutil.which(name)))
    refusing = folder / "bwrap"
    refusing.write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n"
    )
    refusing.chmod(0o755)
    for part in (refusing, folder, *list(folder.parents)[:-2]):
        part.chmod(part.stat().st_mode | 0o055)
    assert refusal_with(folder, tmp_path / "marker") == (
        "NoSandbox: programs cannot be graded here: bubblewrap does not start: "
        "bwrap: No permissions to create a new namespace; allow users to create user namespaces\n"
    )


def test_where_root_cannot_be_given_up_nothing_runs(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has root to give up")
    (tmp_path / "bwrap").symlink_to(str(shutil.which("bwrap")))
    assert "setpriv, which drops root privileges, is not installed" in refusal_with(
        tmp_path, tmp_path / "x"
    )
