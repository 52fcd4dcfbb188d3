"""The grader ``math``: exact rules where they decide, and algebra for the expressions they leave open.

`EXACT` is algebra without any: it never loads SymPy, takes microseconds, and leaves open what is no
plain number. `pacore.algebra` has the other, which runs where it can be killed.
"""

from __future__ import annotations

import re

from pacore.grading import number
from pacore.grading.comparing import Algebra, Same, same_form
from pacore.grading.forms import closes_last, read_form
from pacore.grading.notation import TEXT_COMMANDS, clean, key, nesting, split_units, words
from pacore.grading.score import CORRECT, CRASH, WRONG, Verdict

MAX_CHARACTERS = 1_000
MAX_NESTING = 20

FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "log",
        "ln",
        "exp",
        "sqrt",
        "pi",
        "max",
        "min",
        "mod",
        "gcd",
        "lcm",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "det",
        "floor",
        "ceil",
    ]
)
_WORD = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{4,}")
_CONDITION = re.compile(
    r"(?<![A-Za-z\\])(?:if|otherwise|when|where|for|unless|else|and|or)(?![A-Za-z])"
)
_TEXT = re.compile(TEXT_COMMANDS + r"\{([^{}]*)\}")
_WRAPPING = re.compile(TEXT_COMMANDS + r"(?=\{)")
_BOX = re.compile(r"\\(?:boxed|fbox)")
BASE = re.compile(r"\d\s?_")
"""Digits with a base: as text alone, for readers drop it."""
_INFINITE = re.compile(r"\\infty(?![A-Za-z])")
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
}


def grade_math(gold: str, answer: str, algebra: Algebra) -> Verdict | None:
    """Whether an answer is the gold answer as mathematics; None where ``algebra`` leaves it open.

    Integers compare as integers of any length, plain numbers exactly, plain words as text, other
    texts by their form (`pacore.grading.forms`): points and intervals in order, sets and lists of
    solutions in any, equations up to a factor. Units, percent signs and "x =" may stand on one side
    only. A decimal is no other number than the one it writes, unless it is the rounding of the
    other to six digits or more. Beyond `MAX_CHARACTERS` and `MAX_NESTING` a gold answer is a
    ``crash`` and an answer wrong.
    """
    if gold.strip() == answer.strip():
        return CORRECT
    if max(len(gold), len(answer)) > MAX_CHARACTERS:
        one, other = number.integer_digits(gold.strip()), number.integer_digits(answer.strip())
        if one is not None and one == other:
            return CORRECT
        return CRASH if len(gold) > MAX_CHARACTERS and one is None else WRONG
    one, other = _bare(clean(gold)), _bare(clean(answer))
    if key(one) == key(other):
        return CORRECT
    if _is_words(one) and _is_words(other) and not {one, other} & _NUMBER_WORDS.keys():
        return CORRECT if len(one) > 1 < len(other) and words(one) == words(other) else WRONG
    if nesting(one) > MAX_NESTING:
        return CRASH
    if nesting(other) > MAX_NESTING:
        return WRONG
    same = same_form(read_form(one), read_form(other), algebra)
    return None if same is None else CORRECT if same else WRONG


def _bare(text: str) -> str:
    """A text without brackets or text commands around all of it."""
    while True:
        if found := _WRAPPING.match(text):
            inner = text[found.end() :]
            if not closes_last(inner):
                return text
        elif text.startswith("(") and closes_last(text) and "," not in text:
            inner = text
        else:
            return text
        text = inner[1:-1].strip()


def _is_words(text: str) -> bool:
    """Whether a text is plain words: letters and spaces and nothing else, LaTeX text unwrapped."""
    return words(text).replace(" ", "").isalpha()


def is_for_algebra(text: str) -> bool:
    """Whether a cleaned expression may be read as mathematics: it says nothing in words."""
    bare = _TEXT.sub(lambda found: f" {found[1]} ", text)
    written = [word for word in _WORD.findall(bare) if word.lower() not in FUNCTIONS]
    return not (written or _CONDITION.search(bare) or _BOX.search(text))


class Exact:
    """Decides on expressions by exact rules alone."""

    def same_expression(self, gold: str, answer: str) -> Same:
        """True, False, or None for what needs algebra."""
        (one, one_unit), (other, other_unit) = split_units(gold.strip(), answer.strip())
        if one_unit and other_unit and one_unit != other_unit:
            return False
        one, other = _NUMBER_WORDS.get(words(one), one), _NUMBER_WORDS.get(words(other), other)
        if key(one) == key(other):
            return True
        if BASE.search(one) or BASE.search(other):
            return False
        integers = number.integer_digits(one), number.integer_digits(other)
        if None not in integers:
            return integers[0] == integers[1]
        first, second = number.rational(one), number.rational(other)
        if first and second:
            return True if number.equal(first, second) else _rounded(first, second)
        if _INFINITE.search(one) or _INFINITE.search(other):
            return _signed(one) == _signed(other)
        if not (is_for_algebra(one) and is_for_algebra(other)):
            return False
        return None

    def same_equation(self, gold: tuple[str, str], answer: tuple[str, str]) -> Same:
        """True where sides are the same text, in one order or the other."""
        one, other = {key(side) for side in gold}, {key(side) for side in answer}
        return True if one == other else None


def _rounded(first: number.Rational, second: number.Rational) -> bool:
    return any(number.is_rounding(a, b) for a, b in ((first, second), (second, first)))


def _signed(text: str) -> str:
    return key(text).removeprefix("+")


EXACT = Exact()
