"""Programs of the scripted engine: problems that ask for one of integers, in words that it understands.

    Write a program that reads integers from standard input and prints their sum.
    Write a function `spread(numbers)` that returns the range of a list of integers.

What is asked for is one of `QUANTITIES`. A right program computes it; a wrong one another of them, which
may well pass some tests. A synthesis gives the program that most of its references have.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

QUANTITIES = {
    "sum": "sum(numbers)",
    "product": "math.prod(numbers)",
    "maximum": "max(numbers)",
    "minimum": "min(numbers)",
    "range": "max(numbers) - min(numbers)",
    "number": "len(numbers)",
    "first": "numbers[0]",
    "last": "numbers[-1]",
    "median": "sorted(numbers)[len(numbers) // 2]",
    "largest gap": "max((abs(a - b) for a, b in zip(numbers, numbers[1:])), default=0)",
    "number of even ones": "sum(number % 2 == 0 for number in numbers)",
    "number of different ones": "len(set(numbers))",
}
"""What can be asked of some integers, by the words for it, as Python."""

_ASKED = re.compile(
    r"\b(?:prints|returns) (?:the|their) "
    rf"(?P<what>{'|'.join(sorted(QUANTITIES, key=len, reverse=True))})\b"
)

_FUNCTION = re.compile(r"\bfunction `(?P<name>[a-z_]\w*)\(numbers\)`")

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def asked_quantity(statement: str) -> str | None:
    """What a statement asks a program for; None where it asks for no program that is understood."""
    found = _ASKED.search(statement)
    return None if found is None else found["what"]


def program_for(statement: str, quantity: str) -> str:
    """A program that computes a quantity in the form that a statement asks for."""
    named = _FUNCTION.search(statement)
    computed = QUANTITIES[quantity]
    if named is not None:
        return f"import math\n\ndef {named['name']}(numbers):\n    return {computed}\n"
    read = "numbers = [int(word) for word in open(0).read().split()]"
    return f"import math\n\n{read}\nprint({computed})\n"


def program_reply(program: str) -> str:
    """The conclusion that presents a program."""
    return f"The program:\n\n```python\n{program}```"


def scripted_program(
    statement: str, references: str, right: float, own: bool, draws: tuple[float, int]
) -> str | None:
    """The program in reply to a statement; None where it asks for none that is understood.

    It is the one that most of ``references`` have, unless ``own`` or where they have none. One of its own
    is right with probability ``right``; ``draws`` are a uniform number in [0, 1) and an integer.
    """
    asked = asked_quantity(statement)
    if asked is None:
        return None
    given: Sequence[str] = _BLOCK.findall(references)
    if given and not own:
        votes = Counter(given)
        most = max(votes.values())
        return min(program for program in votes if votes[program] == most)
    chance, number = draws
    others = [name for name in QUANTITIES if name != asked]
    return program_for(statement, asked if chance < right else others[number % len(others)])
