"""Labelled pairs of gold answer and answer: what the grader ``math`` is held against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from pacore.answer import extract

FOLDER = Path(__file__).parent


class Pair(NamedTuple):
    """``answer`` is what a box holds, or None where its text has no answer; ``same`` the right verdict.

    ``why`` says what is tricky about it.
    """

    grader: str
    gold: str
    answer: str | None
    same: bool
    why: str

    @property
    def item(self) -> tuple[str, str, str | None]:
        return self.grader, self.gold, self.answer

    @property
    def is_hostile(self) -> bool:
        return self.why.startswith("hostile")


def read_pairs(name: str) -> list[Pair]:
    """``math_pairs`` were there while the rules were made, ``math_pairs_held_out`` were not looked at."""
    rows = map(json.loads, (FOLDER / f"{name}.jsonl").read_text().splitlines())
    return [_pair(**row) for row in rows]


def _pair(
    gold: str,
    same: bool,
    why: str,
    answer: str | None = None,
    conclusion: str | None = None,
    grader: str = "math",
) -> Pair:
    if conclusion is not None:
        found = extract(conclusion, grader)
        answer = found.text if found else None
    return Pair(grader, gold, answer, same, why)
