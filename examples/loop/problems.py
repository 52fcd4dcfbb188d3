"""The problems of the loop: sums whose question has a check that no majority of messages can use.

``What is 123 + 456? The first digit is 5.`` The messages err in the first digit half of the time, all of
them with the same wrong digit, so that their majority is weak. Who reads the question knows better.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

MODEL = "scripted?words=0&lure=0.5&digit_error=0.25"
"""The model of the pools: of 24 replies to a problem about 7 are right."""

TRAINING, HELD_OUT = 2000, 400


def sums(problems: int, skipped: int = 0) -> Iterator[dict[str, str]]:
    """Different sums of three digits each, the same for the same number."""
    seen: set[tuple[int, int]] = set()
    number = 0
    while len(seen) < skipped + problems:
        draw = random.Random(f"sum {number}")
        number += 1
        left, right = draw.randint(100, 499), draw.randint(100, 499)
        if (left, right) in seen:
            continue
        seen.add((left, right))
        if len(seen) > skipped:
            gold = str(left + right)
            yield {
                "id": f"{left}-plus-{right}",
                "problem": f"What is {left} + {right}? The first digit is {gold[0]}.",
                "answer": gold,
            }


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a problem set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
