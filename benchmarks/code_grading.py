"""What grading programs costs: beside bare processes of the same programs, and by its parts.

    python -m benchmarks.code_grading --runs 3 --hanging 0.035
    python -m benchmarks.code_grading --costs --programs 1000 --hostile 0.01

The first grades 1,640 completions made as HumanEval's are (`benchmarks.completions`), and runs
each as ``python -c`` as well, as many at once and with the same seconds of CPU. Both take turns in
one run; printed are seconds, their ratio, and whether the verdicts agree. The second prints
milliseconds a program and a test, and what became of a mixture of right, wrong and hostile programs.
Seconds are this machine's; the ratios are what carries over.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.completions import Completion, completions
from pacore.core.grading.programs.tests import (
    CodeTests,
    as_gold,
    assertion_tests,
    check_tests,
    function_tests,
    stdin_tests,
)
from pacore.sandbox.bubblewrap import ENVIRONMENT, find_interpreter
from pacore.sandbox.programs import PROGRAM_WORKERS, code_grader_version, grade_programs, run_tests
from pacore.sandbox.runner import SANDBOXES
from tests.fixtures.hostile_programs import FUNCTIONS, SCRIPTS
from tests.fixtures.processes import descendants

TIMES = 30
SECONDS = 3.0
"""Of CPU, for each completion: what HumanEval's own runner allows."""

SCRIPT = "one, other = map(int, input().split())\nprint(one + other)"
FUNCTION = "def add(one, other):\n    return one + other"
PAIRS = [(number, number * 7 % 13) for number in range(100)]


def bare(source: str, given: str = "", seconds: float = SECONDS) -> bool:
    """Run a program in a Python without a sandbox; whether it ends well."""
    with subprocess.Popen(
        [find_interpreter().path, "-S", "-s", "-c", source],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        text=True,
    ) as process:
        most = int(seconds)
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (most, most))
        process.communicate(given)
    return process.returncode == 0


def all_bare(programs: Sequence[Completion]) -> list[bool]:
    with ThreadPoolExecutor(PROGRAM_WORKERS) as threads:
        return list(threads.map(lambda one: bare(one.whole), programs))


def all_graded(programs: Sequence[Completion]) -> list[bool]:
    golds: dict[str, str] = {}
    for one in programs:
        if one.entry_point not in golds:
            tests = check_tests(
                one.entry_point, one.check, prelude=one.prompt, time_limit_seconds=SECONDS
            )
            golds[one.entry_point] = as_gold(tests)
    verdicts = grade_programs([(golds[one.entry_point], one.text) for one in programs])
    return [verdict.score == 1.0 for verdict in verdicts]


def cpu_seconds() -> float:
    """Of this process, and of all its children, ended or not, and theirs."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = sum(one.ru_utime + one.ru_stime for one in used)
    for process in descendants(os.getpid()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def beside_bare(programs: Sequence[Completion], runs: int) -> None:
    """Both ways in turns, and the median of what they took."""
    taken: dict[str, list[tuple[float, float]]] = {"bare": [], "graded": []}
    found: dict[str, list[bool]] = {}
    for _ in range(runs):
        for name, way in (("bare", all_bare), ("graded", all_graded)):
            # Sandboxes are kept until their seconds of CPU have been read.
            with SANDBOXES:
                start, used = time.perf_counter(), cpu_seconds()
                found[name] = way(programs)
                taken[name].append((time.perf_counter() - start, cpu_seconds() - used))
    kinds = Counter(one.kind for one in programs)
    print(f"{len(programs)} programs: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()))
    for name, pairs in taken.items():
        listed = " ".join(f"{clock:.1f}" for clock, _ in pairs)
        clock, used = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"  {name:<7} {clock:>7.1f} s by the clock, {used:>7.1f} s of CPU   ({listed})")
    clock, used = (
        statistics.median(mine / theirs for mine, theirs in zip(*columns, strict=True))
        for columns in zip(
            *(zip(*taken[name], strict=True) for name in ("graded", "bare")), strict=True
        )
    )
    agreeing = sum(map(bool.__eq__, found["bare"], found["graded"]))
    print(
        f"  graded / bare {clock:.2f} by the clock, {used:.2f} of CPU; {agreeing} verdicts agree\n"
    )


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


def costs() -> None:
    unconfined = milliseconds(lambda: bare(SCRIPT, "1 2\n"))
    print(f"one program, one test      ms   times a bare Python ({unconfined:.1f} ms)")
    with SANDBOXES:
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
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--hanging", type=float, default=0.035, metavar="PART")
    parser.add_argument("--costs", action="store_true")
    parser.add_argument("--programs", type=int, default=1000, metavar="N")
    parser.add_argument("--hostile", type=float, default=0.01, metavar="PART")
    options = parser.parse_args()
    print(f"grader {code_grader_version()}\n")
    if options.costs:
        costs()
        thousand(options.programs, options.hostile)
        return
    programs = list(completions(options.hanging))
    beside_bare([one for one in programs if one.kind != "hangs"], options.runs)
    beside_bare(programs, options.runs)


if __name__ == "__main__":
    main()
