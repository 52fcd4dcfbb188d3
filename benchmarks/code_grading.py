"""What grading programs costs: a sandbox beside a bare Python, and a thousand programs, some hostile.

    python -m benchmarks.code_grading --programs 1000 --hostile 0.01

Prints three tables: milliseconds a program for both ways of running one, milliseconds a test once a
sandbox stands, and what became of a mixture of right, wrong and hostile programs. Seconds are this
machine's; the ratio is what carries over.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Callable

from pacore.grading.code_tests import (
    CodeTests,
    as_gold,
    assertion_tests,
    function_tests,
    stdin_tests,
)
from pacore.programs import code_grader_version, grade_programs, run_tests
from pacore.programs.bubblewrap import ENVIRONMENT, find_interpreter
from tests.hostile_programs import FUNCTIONS, SCRIPTS

TIMES = 30

SCRIPT = "one, other = map(int, input().split())\nprint(one + other)"
FUNCTION = "def add(one, other):\n    return one + other"
PAIRS = [(number, number * 7 % 13) for number in range(100)]


def kinds(count: int) -> dict[str, tuple[str, CodeTests]]:
    """A right program and ``count`` tests of each kind."""
    pairs = PAIRS[:count]
    asserted = [f"assert add({one}, {other}) == {one + other}" for one, other in pairs]
    return {
        "stdin": (SCRIPT, stdin_tests([(f"{a} {b}\n", f"{a + b}\n") for a, b in pairs])),
        "function": (FUNCTION, function_tests("add", [([a, b], a + b) for a, b in pairs])),
        "assertions": (FUNCTION, assertion_tests(asserted)),
    }


def milliseconds(action: Callable[[], object]) -> float:
    """Median by the clock."""
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[TIMES // 2] * 1000


def bare(script: str, given: str) -> None:
    """The same program in a Python without a sandbox."""
    command = [find_interpreter().path, "-S", "-s", "-c", script]
    subprocess.run(
        command, input=given, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )


def costs() -> None:
    unconfined = milliseconds(lambda: bare(SCRIPT, "1 2\n"))
    print(f"one program, one test      ms   times a bare Python ({unconfined:.1f} ms)")
    for kind, (program, tests) in kinds(1).items():
        taken = milliseconds(lambda: run_tests(program, tests))  # noqa: B023 - called at once
        print(f"  {kind:<18} {taken:>8.1f} {taken / unconfined:>7.1f}")
    print("\neach further test          ms")
    for kind, (program, tests) in kinds(51).items():
        one = kinds(1)[kind][1]
        more = milliseconds(lambda: run_tests(program, tests))  # noqa: B023 - called at once
        few = milliseconds(lambda: run_tests(program, one))  # noqa: B023 - called at once
        print(f"  {kind:<18} {(more - few) / 50:>8.1f}")


def mixture(count: int, hostile: float) -> list[tuple[str, str, str]]:
    """What is expected, the gold answer and the program, all different; hostile ones spread evenly."""
    choose = random.Random(0)
    golds = {kind: (program, as_gold(tests)) for kind, (program, tests) in kinds(5).items()}
    threats = [("stdin", text) for text in SCRIPTS.values()]
    threats += [("function", text) for text in FUNCTIONS.values()]
    choose.shuffle(threats)
    wanted = round(count * hostile)
    items: list[tuple[str, str, str]] = []
    for number in range(count):
        kind = choose.choice(list(golds))
        program, gold = golds[kind]
        marked = f"{program}\n# {number}"
        if number * wanted // count != (number + 1) * wanted // count:
            kind, program = threats[len(items) * wanted // count % len(threats)]
            items.append(("hostile", golds[kind][1], f"{program}\n# {number}"))
        elif number % 2:
            items.append(("wrong", gold, marked.replace("one + other", "one + other + (one > 2)")))
        else:
            items.append(("right", gold, marked))
    return items


def thousand(count: int, hostile: float) -> None:
    items = mixture(count, hostile)
    start = time.perf_counter()
    verdicts = grade_programs([(gold, program) for _, gold, program in items])
    taken = time.perf_counter() - start
    found = Counter(
        (expected, verdict.verdict) for (expected, *_), verdict in zip(items, verdicts, strict=True)
    )
    print(f"\n{count} programs, {hostile:.1%} of them hostile, 5 tests each")
    for (expected, verdict), times in sorted(found.items()):
        print(f"  {expected:<8} {verdict:<10} {times:>6}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"  {taken:.1f} s, {count / taken:.1f} programs/s, {peak} MiB at most in this process")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--programs", type=int, default=1000, metavar="N")
    parser.add_argument("--hostile", type=float, default=0.01, metavar="PART")
    options = parser.parse_args()
    print(f"grader {code_grader_version()}\n")
    costs()
    thousand(options.programs, options.hostile)


if __name__ == "__main__":
    main()
