"""Labelled data: pairs of gold answer and answer for the grader ``math``, conclusions for extraction.

A conclusion's label is the answer a person reads in it who sees the question and does not solve it:

- the shortest form as it stands, without markup; a unit only where the value needs it
- stated is what is marked (a box, "the answer is", ``####``, a tag), or what the closing statement
  concludes with; values of steps, restated data, and unfinished work are not
- a later statement replaces an earlier one; remarks, checks and courtesy after it do not
- None: denied, hedged, several without a choice, an example of a format, quoted from a reference without
  being adopted, refused, or cut before the answer
- wrong arithmetic does not matter

``conclusions.jsonl`` has 218 that SmolLM2-135M-Instruct generated under vLLM (``generated/PROBLEM/ROUND``:
GSM8K, MIT licence, and the demo's problems; round 2 is synthesis) and 139 written in 23 languages in the
manner of models (``written/LANGUAGE/HABIT``). The first hexadecimal digit of a text's SHA-256 decides its
half.
``conclusions_fresh.jsonl`` was generated and labelled after the rules were changed for the first reading of
the held-out half. ``conclusions_hostile.jsonl`` are short texts written to mislead the rules: denied,
hedged, offered as one of several, corrected, quoted, in steps; the rules were mended after each reading.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, NamedTuple

from pacore.core.grading.extraction.extract import extract
from pacore.core.grading.notation.words import words
from pacore.core.grading.rules import grade_fast
from pacore.core.identity import sha256_hex

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


Half = Literal["tuned", "held out"]


class Conclusion(NamedTuple):
    """A conclusion with the answer that it states, None where it states none."""

    source: str
    grader: str
    answer: str | None
    text: str

    @property
    def half(self) -> Half:
        return "tuned" if int(sha256_hex(self.text.encode())[0], 16) < 8 else "held out"

    def agrees(self, text: str) -> bool:
        """Whether a text is the answer of the label, whatever unit or notation it has."""
        if self.answer is None:
            return False
        if words(self.answer) == words(text):
            return True
        verdict = grade_fast(self.grader, self.answer, text)
        return verdict is not None and verdict.verdict == "correct"


def read_conclusions(name: str = "conclusions") -> list[Conclusion]:
    rows = map(json.loads, (FOLDER / f"{name}.jsonl").read_text().splitlines())
    return [Conclusion(**row) for row in rows]
