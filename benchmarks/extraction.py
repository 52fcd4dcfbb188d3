"""What a text states as its answer: extraction on labelled conclusions.

    python -m benchmarks.extraction [--faults]

Prints, for each half of the labelled conclusions apart, a table of what was extracted beside what each
states: for pacore's extraction, for the rule pacore had before (the last box, else the last line), and
for the last number of the text, which many harnesses take. *Recall* is the share of stated answers that
are extracted. A *false acceptance* is a text taken for an answer where another is stated, or none.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable, Sequence

from pacore.core.grading.extraction.boxes import choice_letter, find_boxes
from pacore.core.grading.extraction.extract import extract
from tests.labelled import Conclusion, read_conclusions

Extraction = Callable[[str, str], str | None]

_ANSWER_IS = re.compile(r"(?i:\banswers?[\s*]{0,4}(?:(?:is|are)\b|:))[\s*:]{0,8}")
_CHOICE_IS = re.compile(
    r"(?i:answer(?:(?:\s\w{1,20}){0,6}?\s(?:is|would be)\b)?[\s*:]{0,6})[\s*$]{0,6}"
    r"(?:\(([A-J])\)|([B-HJ])(?![\w'-])|([AI])(?=[ *$}]{0,4}(?:[.,;:!?)\n]|\Z)))"
)
_CHOICE_LINE = re.compile(r"([A-J])(?:[.):]|$)")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_MARKUP = " \t*$`"


def stated(text: str, grader: str) -> str | None:
    """pacore's extraction."""
    found = extract(text, grader)
    return found.text if found else None


def last_line(text: str, grader: str) -> str | None:
    """The rule before: the last box, else the last line after "answer is" and its last "="."""
    if r"\boxed{" in text:
        boxed = find_boxes(text).last
        return None if boxed is None else (choice_letter(boxed) if grader == "choice" else boxed)
    lines = [bare for line in text.splitlines() if (bare := line.strip(_MARKUP).rstrip(".\\"))]
    if not lines:
        return None
    if grader == "choice":
        found = list(_CHOICE_IS.finditer(text)) or list(_CHOICE_LINE.finditer(lines[-1]))[:1]
        return next((letter for letter in found[-1].groups() if letter), None) if found else None
    line = _ANSWER_IS.split(lines[-1])[-1]
    if grader == "math":
        before, sign, after = line.rpartition("=")
        line = after if sign and not before.endswith(("<", ">", "!")) else line
    return line.strip(_MARKUP).rstrip(".") or None


def last_number(text: str, grader: str) -> str | None:
    """What stands last of all numbers, or of all capital letters A to J."""
    found = re.findall(r"\b[A-J]\b", text) if grader == "choice" else _NUMBER.findall(text)
    return found[-1] if found else None


RULES: dict[str, Extraction] = {
    "pacore": stated,
    "last line": last_line,
    "last number": last_number,
}


def outcome(one: Conclusion, text: str | None) -> str:
    if text is None:
        return "none"
    return "the stated" if one.agrees(text) else "another"


def table(name: str, conclusions: Sequence[Conclusion], shows_faults: bool) -> None:
    answers = sum(one.answer is not None for one in conclusions)
    print(f"\n{name}: {len(conclusions)} conclusions, {answers} state an answer")
    print(f"  {'':12}{'should be':12}{'the stated':>12}{'another':>9}{'none':>6}")
    for rule, extraction in RULES.items():
        found = [(one, extraction(one.text, one.grader)) for one in conclusions]
        counted = Counter((one.answer is not None, outcome(one, text)) for one, text in found)
        for is_stated in (True, False):
            cells = [counted[is_stated, kind] for kind in ("the stated", "another", "none")]
            shown, label = (rule, "the stated") if is_stated else ("", "none")
            print(f"  {shown:12}{label:12}{cells[0]:>12}{cells[1]:>9}{cells[2]:>6}")
        accepted = counted[True, "another"] + counted[False, "another"]
        recall = counted[True, "the stated"] / answers
        print(f"  {'':12}recall {recall:.1%}, false acceptances {accepted}")
        if shows_faults and extraction is stated:
            faults(found)


def faults(found: Sequence[tuple[Conclusion, str | None]]) -> None:
    for one, text in found:
        if outcome(one, text) != ("none" if one.answer is None else "the stated"):
            print(f"    {one.source}: {text!a} where {one.answer!a}: …{one.text[-70:]!a}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", action="store_true", help="name each conclusion read wrongly")
    chosen = parser.parse_args()
    conclusions = read_conclusions()
    for half in ("tuned", "held out"):
        table(half, [one for one in conclusions if one.half == half], chosen.faults)
    for name in ("fresh", "hostile"):
        table(name, read_conclusions(f"conclusions_{name}"), chosen.faults)


if __name__ == "__main__":
    main()
