"""Function problems made as HumanEval's are, and completions as models write them: right and not.

HumanEval itself is data of other people's; what costs time in it is here: a prompt with imports, a
signature and a docstring, a ``check`` with some eight assertions, and completions of which most are
right, some wrong, some raise, and some never end. Everything follows from a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

Kind = Literal["right", "wrong", "raises", "no Python", "hangs"]

FAULTS: tuple[Kind, ...] = ("wrong", "raises", "no Python")

PROBLEMS = 164
COMPLETIONS = 10
ASSERTIONS = 7


class Family(NamedTuple):
    """Problems that differ in a number K; ``wrong`` is a piece of the body and what makes it wrong."""

    signature: str
    about: str
    body: str
    wrong: tuple[str, str]
    arguments: Callable[[random.Random], tuple[Any, ...]]


class Completion(NamedTuple):
    """One program and what it is: what follows ``prompt`` and is tested by ``check``."""

    entry_point: str
    prompt: str
    check: str
    text: str
    kind: Kind

    @property
    def whole(self) -> str:
        """What HumanEval's own runner executes."""
        return f"{self.prompt}{self.text}\n{self.check}\ncheck({self.entry_point})"


def _numbers(choose: random.Random) -> tuple[list[int]]:
    return ([choose.randint(-50, 50) for _ in range(choose.randint(3, 12))],)


def _number(choose: random.Random) -> tuple[int]:
    return (choose.randint(3, 300),)


def _text(choose: random.Random) -> tuple[str]:
    return ("".join(choose.choice("abcdeABC (){}12") for _ in range(choose.randint(4, 20))),)


def _words(choose: random.Random) -> tuple[list[str]]:
    return ([_text(choose)[0] for _ in range(choose.randint(2, 6))],)


FAMILIES = (
    Family("numbers: List[int]) -> List[int]", "Return the numbers that K divides, in order.",
           "    return [one for one in numbers if one % K == 0]", ("== 0", "== 1"), _numbers),
    Family("numbers: List[int]) -> int", "Return the largest sum of K numbers in a row, 0 if too few.",
           "    best = None\n    for start in range(len(numbers) - K + 1):\n"
           "        total = sum(numbers[start:start + K])\n"
           "        if best is None or total > best:\n            best = total\n"
           "    return 0 if best is None else best", ("total > best", "total < best"), _numbers),
    Family("number: int) -> List[int]", "Return the digits of a number in base K, largest first.",
           "    digits = []\n    base = K + 1\n    while number:\n        digits.append(number % base)\n"
           "        number //= base\n    return digits[::-1]", ("[::-1]", "[:]"), _number),
    Family("number: int) -> bool", "Say whether a number plus K is prime.",
           "    number += K\n    if number < 2:\n        return False\n"
           "    for one in range(2, int(math.sqrt(number)) + 1):\n        if number % one == 0:\n"
           "            return False\n    return True", ("number % one == 0", "number % 2 == 0"), _number),
    Family("text: str) -> str", "Turn every letter of a text K letters further, and keep the rest.",
           "    found = []\n    for one in text:\n        if one.isalpha():\n"
           "            first = ord('a') if one.islower() else ord('A')\n"
           "            one = chr((ord(one) - first + K) % 26 + first)\n        found.append(one)\n"
           "    return ''.join(found)", ("isalpha", "islower"), _text),
    Family("text: str) -> Dict[str, int]", "Count the letters of a text that stand in it K times or more.",
           "    counts = Counter(one for one in text if one.isalpha())\n"
           "    return {one: count for one, count in counts.items() if count >= K % 3 + 1}",
           (">=", ">"), _text),
    Family("words: List[str]) -> List[str]", "Sort words by length and alphabet; drop those below K.",
           "    kept = [word for word in words if len(word) >= K]\n"
           "    return sorted(kept, key=lambda word: (len(word), word))",
           ("(len(word), word)", "word"), _words),
    Family("text: str) -> int", "Return how deep brackets nest, times K.",
           "    depth = deepest = 0\n    for one in text:\n        if one in '({':\n"
           "            depth += 1\n"
           "            deepest = max(deepest, depth)\n        elif one in ')}':\n            depth -= 1\n"
           "    return deepest * K", ("max(deepest, depth)", "depth"), _text),
    Family("number: int) -> List[int]", "Return a row whose next is the last two plus K.",
           "    row = [0, 1]\n    while len(row) < number % 40 + 2:\n"
           "        row.append(row[-1] + row[-2] + K)\n    return row",
           ("row[-1] +", "row[-1] -"), _number),
    Family("numbers: List[int]) -> Tuple[int, int]", "Return sum and product modulo K + 7.",
           "    total, product = 0, 1\n    for one in numbers:\n        total += one\n"
           "        product *= one\n"
           "    return total % (K + 7), product % (K + 7)", ("product *= one", "product += one"), _numbers),
    Family("numbers: List[int]) -> Optional[int]", "Return the K-th smallest number, if any.",
           "    ordered = sorted(set(numbers))\n    return ordered[K - 1] if len(ordered) >= K else None",
           ("sorted(set(numbers))", "sorted(numbers)[::-1]"), _numbers),
    Family("number: int) -> str", "Write a number in English steps of K, as in 1-4-7.",
           "    steps = []\n    one = 1\n    while one <= number:\n        steps.append(str(one))\n"
           "        one += K\n    return '-'.join(steps)", ("<=", "<"), _number),
)  # fmt: skip

IMPORTS = (
    "import math\nfrom collections import Counter\nfrom typing import Dict, List, Optional, Tuple\n"
)


def completions(hanging: float, seed: int = 0) -> Iterator[Completion]:
    """`PROBLEMS` times `COMPLETIONS` programs, of which a part ``hanging`` never ends."""
    choose = random.Random(seed)
    places = range(PROBLEMS * COMPLETIONS)
    hang = set(choose.sample(places, round(hanging * len(places))))
    for problem in range(PROBLEMS):
        family, k = FAMILIES[problem % len(FAMILIES)], problem // len(FAMILIES) + 1
        name = f"problem_{problem}"
        prompt, check, body = _problem(family, name, k, choose)
        for number in range(COMPLETIONS):
            kind: Kind = "right"
            if problem * COMPLETIONS + number in hang:
                kind = "hangs"
            elif number >= COMPLETIONS // 2:
                kind = choose.choices(FAULTS, [6, 3, 1])[0]
            yield Completion(name, prompt, check, _completed(family, body, kind, number), kind)


def _problem(family: Family, name: str, k: int, choose: random.Random) -> tuple[str, str, str]:
    """Prompt, check and right body of a problem."""
    body = family.body.replace("K", str(k))
    head = f"def {name}({family.signature}:\n"
    names: dict[str, Any] = {}
    exec(f"{IMPORTS}\n{head}{body}\n", names)
    cases = [family.arguments(choose) for _ in range(ASSERTIONS)]
    asserted = [
        f"    assert candidate({', '.join(map(repr, case))}) == {names[name](*case)!r}"
        for case in cases
    ]
    check = "\n".join(["def check(candidate):", "    assert True, 'It begins.'", *asserted])
    shown = f"    >>> {name}({', '.join(map(repr, cases[0]))})\n    {names[name](*cases[0])!r}\n"
    about = family.about.replace("K", str(k))
    return f'{IMPORTS}\n\n{head}    """{about}\n{shown}    """\n', check, body


def _completed(family: Family, body: str, kind: Kind, number: int) -> str:
    marked = f"    # way {number}\n{body}"
    if kind == "right":
        return marked
    if kind == "raises":
        return f"    # way {number}\n    missing = {{}}\n    return missing[{number}]"
    if kind == "no Python":
        return f"    # way {number}\n    for one in :\n{body}"
    if kind == "hangs":
        return f"    # way {number}\n    while True:\n        pass\n{body}"
    return marked.replace(*family.wrong)
