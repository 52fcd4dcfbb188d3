"""Synthetic arithmetic, as in the paper (appendix C): exact integers, in varied wording.

A and B are uniform in [10^(least - 1), 10^most), for the paper [10^11, 10^13); they are added, subtracted,
multiplied, or A is raised to B modulo a prime. The i-th problem follows from the settings and i alone, so a
source of more problems begins with those of a source of fewer. Pure.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

from pacore.core.config.training import ArithmeticSource, Operation
from pacore.core.identity import digest
from pacore.core.problem import Problem, Turn
from pacore.errors import BadInput
from pacore.training.sources.problem import SourceProblem

FAMILY = "arithmetic/1"
"""Counts on with every change of the problems that follow from a seed."""

LICENCE = "CC0-1.0"
"""Of generated problems: nobody wrote them."""

MOST_REPEATS = 2000
"""Draws in a row that give nothing new, after which there is taken to be nothing more."""

GRADER = "math"
"""Compares integers exactly, however long they are."""


class Sum(NamedTuple):
    """An operation with its operands."""

    operation: Operation
    a: int
    b: int
    modulus: int

    @property
    def value(self) -> int:
        return _VALUES[self.operation](self)

    @property
    def key(self) -> str:
        """Equal for the same question: sums and products do not depend on the order of operands."""
        a, b = self.a, self.b
        if self.operation in ("add", "multiply"):
            a, b = min(a, b), max(a, b)
        modulo = f" mod {self.modulus}" if self.operation == "power" else ""
        return f"{self.operation} {a} {b}{modulo}"


_VALUES: dict[Operation, Callable[[Sum], int]] = {
    "add": lambda one: one.a + one.b,
    "subtract": lambda one: one.a - one.b,
    "multiply": lambda one: one.a * one.b,
    "power": lambda one: pow(one.a, one.b, one.modulus),
}

_QUESTIONS: dict[Operation, tuple[str, ...]] = {
    "add": (
        "What is {a} + {b}?",
        "Compute {a} + {b}.",
        "Find the sum {a} plus {b}.",
        "Calculate the exact value of {a} + {b}.",
        "Evaluate $ {a} + {b} $.",
    ),
    "subtract": (
        "What is {a} - {b}?",
        "Compute {a} - {b}.",
        "Find the difference {a} minus {b}.",
        "Calculate the exact value of {a} - {b}.",
        "Evaluate $ {a} - {b} $.",
    ),
    "multiply": (
        "What is {a} * {b}?",
        "Compute {a} times {b}.",
        "Find the product {a} \\times {b}.",
        "Calculate the exact value of {a} * {b}.",
        "Evaluate $ {a} \\cdot {b} $.",
    ),
    "power": (
        "What is the remainder when {a}^{b} is divided by {p}?",
        "Compute {a}^{b} modulo {p}.",
        "Find the integer r with 0 <= r < {p} and {a}^{b} = r (mod {p}).",
        "Calculate the residue of {a} to the power {b} modulo the prime {p}.",
        "Evaluate $ {a}^{{{b}}} \\bmod {p} $.",
    ),
}

_REQUESTS = (
    "",
    " Give the exact integer.",
    " Put the final answer in \\boxed{}.",
    "\n\nState the result as an integer in \\boxed{}.",
)


def problems_of_arithmetic(source: ArithmeticSource) -> Iterator[SourceProblem]:
    """The problems of a source, all different. Raises BadInput where there are not so many."""
    seen: set[str] = set()
    repeats = 0
    for number in count():
        drawn = random.Random(digest([FAMILY, _settings(source), number]))
        one = _drawn(source, drawn)
        name = digest(one.key)[:16]
        repeats = repeats + 1 if name in seen else 0
        if repeats > MOST_REPEATS:
            raise BadInput(
                f"source {source.name}: count {source.count:,} are not to be had; there are about "
                f"{len(seen):,} different problems of these digits and operations"
            )
        if repeats:
            continue
        seen.add(name)
        yield _candidate(one, drawn)
        if len(seen) == source.count:
            return


def _settings(source: ArithmeticSource) -> list[object]:
    """All that a problem follows from; how many there are is none of it."""
    return [source.seed, list(source.digits), sorted(source.operations), source.modulus]


def _drawn(source: ArithmeticSource, drawn: random.Random) -> Sum:
    least, most = 10 ** (source.digits[0] - 1), 10 ** source.digits[1]
    operation = drawn.choice(sorted(source.operations))
    return Sum(
        operation, drawn.randrange(least, most), drawn.randrange(least, most), source.modulus
    )


def _candidate(one: Sum, drawn: random.Random) -> SourceProblem:
    question = drawn.choice(_QUESTIONS[one.operation]).format(a=one.a, b=one.b, p=one.modulus)
    text = question + drawn.choice(_REQUESTS)
    # Operands as text: JSON's numbers are exact only up to 2^53.
    metadata = {"operation": one.operation, "a": str(one.a), "b": str(one.b)}
    if one.operation == "power":
        metadata["modulus"] = str(one.modulus)
    name = f"{one.operation}-{digest(one.key)[:16]}"
    problem = Problem(name, (Turn("user", text),), str(one.value), GRADER, metadata)
    return SourceProblem(problem, f"arithmetic {one.key}")
