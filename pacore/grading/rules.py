"""Grading that needs no computer algebra, and what must never be handed to it."""

from __future__ import annotations

import re

from pacore.answer import choice_letter, find_boxes
from pacore.errors import BadInput
from pacore.grader import parse_spec
from pacore.grading import number
from pacore.grading.notation import (
    TEXT_COMMANDS,
    clean,
    key,
    nesting,
    split_unit,
    split_units,
    words,
)
from pacore.grading.numeric import grade_numeric
from pacore.grading.score import CORRECT, CRASH, NO_ANSWER, WRONG, Verdict
from pacore.problem import Problem

RULES_VERSION = "2"
"""Counts on when a change here, in `notation`, `number` or `pacore.answer` can change a verdict."""

MAX_CHARACTERS = 1_000
MAX_NESTING = 20
_LONGEST_ABBREVIATION = 2

_CHOICE_GOLD = re.compile(r"\(?[A-J]\)?")
_MATH_MARK = re.compile(r"[\\^=_+*<>√π∞≤≥±∪∩×÷°²³½¼¾]")  # noqa: RUF001
_FUNCTIONS = frozenset(("sin", "cos", "tan", "log", "ln", "exp", "sqrt", "pi", "max", "min", "mod"))
_WORD = re.compile(r"(?<![A-Za-z\d])[A-Za-z]{2,}")
_TEXT_ONLY = re.compile(TEXT_COMMANDS + r"\{([^{}]*)\}")


def gold_answer(problem: Problem) -> str | None:
    r"""The gold answer itself: the last box of a worked solution with one, else the whole text."""
    if problem.gold is None or problem.grader == "code":
        return problem.gold
    return find_boxes(problem.gold).last or problem.gold.strip()


def run_grading(problem: Problem) -> tuple[str, str] | None:
    """The spec and the gold answer by which a run grades a problem's answers while it is made.

    None without a gold answer, and where a judge is called for: a judge is a model, and asked later.
    """
    gold, spec = gold_answer(problem), choose_grader(problem)
    return None if gold is None or parse_spec(spec).name == "judge" else (spec, gold)


def choose_grader(problem: Problem) -> str:
    """The spec a problem names, or the one its gold answer calls for; ``text`` without either.

    One letter A to J calls for ``choice``; numbers, LaTeX and formulas for ``math``; words for
    ``text``.
    """
    if problem.grader is not None:
        return problem.grader
    gold = gold_answer(problem)
    if gold is None:
        return "text"
    if _CHOICE_GOLD.fullmatch(_TEXT_ONLY.sub(r"\1", gold).strip("$ ")):
        return "choice"
    return "math" if _looks_mathematical(gold) else "text"


def _looks_mathematical(gold: str) -> bool:
    bare = _TEXT_ONLY.sub(r"\1", gold)
    if _MATH_MARK.search(bare):
        return True
    body = bare
    if len(gold) <= MAX_CHARACTERS:
        body = split_unit(clean(gold)).body
        if number.rational(body):
            return True
    long_words = [word for word in _WORD.findall(body) if word.lower() not in _FUNCTIONS]
    if any(character.isdigit() for character in body):
        return not any(len(word) > _LONGEST_ABBREVIATION for word in long_words)
    return not long_words and any(character.isalnum() for character in body)


def grade_fast(spec: str, gold: str, answer: str | None) -> Verdict | None:
    """Decide what exact rules can decide; None means that ``math`` needs computer algebra.

    Integers compare as integers of any length, other plain numbers exactly, plain words as text.
    A choice gold that is no letter compares as text, and where that fails is a ``crash``. Raises
    BadInput for what needs more than rules: a program or a judge.
    """
    if answer is None or not answer.strip():
        return NO_ANSWER
    grader = parse_spec(spec)
    if grader.name == "math":
        return _grade_math(gold, answer)
    if grader.name == "numeric":
        return grade_numeric(grader, gold, answer)
    if grader.name == "choice":
        if letter := choice_letter(gold):
            return CORRECT if choice_letter(answer) == letter else WRONG
        return CORRECT if words(gold) == words(answer) else CRASH
    if grader.name == "text":
        is_case_kept = "case" in grader.options
        return CORRECT if words(gold, is_case_kept) == words(answer, is_case_kept) else WRONG
    raise BadInput(_NOT_BY_RULES[grader.name])


_NOT_BY_RULES = {
    "judge": "a judge needs a model: pacore grade RUN --grader judge, with its endpoint",
    "code": "programs are graded in a sandbox, not by rules",
}


def decide(spec: str, gold: str, answer: str | None) -> Verdict | None:
    """`grade_fast`, and for ``math`` what it `refuses`: None is left to computer algebra."""
    verdict = grade_fast(spec, gold, answer)
    return refuses(gold, answer) if verdict is None and answer is not None else verdict


def _grade_math(gold: str, answer: str) -> Verdict | None:
    if gold.strip() == answer.strip():
        return CORRECT
    if max(len(gold), len(answer)) > MAX_CHARACTERS:
        return _grade_integers(gold.strip(), answer.strip())
    one, other = clean(gold), clean(answer)
    if key(one) == key(other):
        return CORRECT
    if _is_words(gold) and _is_words(answer):
        return CORRECT if len(one) > 1 < len(other) and words(gold) == words(answer) else WRONG
    return _grade_quantities(*_comparable(one, other))


def _grade_quantities(one: str, other: str) -> Verdict | None:
    (one_body, one_unit), (other_body, other_unit) = split_units(one, other)
    if one_unit and other_unit and one_unit != other_unit:
        return WRONG
    if verdict := _grade_integers(one_body, other_body):
        return verdict
    if key(one_body) == key(other_body):
        return CORRECT
    first, second = number.rational(one_body), number.rational(other_body)
    return CORRECT if first and second and number.equal(first, second) else None


def _grade_integers(gold: str, answer: str) -> Verdict | None:
    one, other = number.integer_digits(gold), number.integer_digits(answer)
    if one is None or other is None:
        return None
    return CORRECT if one == other else WRONG


def _is_words(text: str) -> bool:
    """Whether a text is plain words: letters and spaces and nothing else, LaTeX text unwrapped."""
    return words(text).replace(" ", "").isalpha()


_INDEX = r"'{0,3}(?:_\s?(?:\w|\{[^{}]*\}))?"
_ARGUMENTS = r"(?:\s?\([^()]*\))?"
_LONE_SYMBOL = re.compile(
    rf"(?:[A-Za-z]|\\[A-Za-z]+|{TEXT_COMMANDS}\{{[^{{}}]*\}}){_INDEX}{_ARGUMENTS}"
    r"|(?:\\(?:angle|overline|triangle)\s?)?\{?[A-Z]{2,3}\}?"
)
_PIECEWISE = re.compile(
    r"(?<![A-Za-z\\])(?:if|otherwise|when|where|for|unless|else|and|or)(?![A-Za-z])"
)


def _equation(cleaned: str) -> tuple[str, str] | None:
    """Left side and everything right of the first "=", None where there is no equation."""
    found = re.search(r"(?<![<>!:])=", cleaned)
    if found is None:
        return None
    return cleaned[: found.start()].strip(), cleaned[found.end() :].strip()


def _comparable(one: str, other: str) -> tuple[str, str]:
    """Drop "x =" from one of two cleaned texts where the other has no equation."""
    left, right = _equation(one), _equation(other)
    if left and right is None and _LONE_SYMBOL.fullmatch(left[0]):
        return left[1], other
    if right and left is None and _LONE_SYMBOL.fullmatch(right[0]):
        return one, right[1]
    return one, other


def refuses(gold: str, answer: str) -> Verdict | None:
    """The verdict on a ``math`` pair that computer algebra must not see, None if it may.

    It would not come back from some (length, nesting), and is known to accept others wrongly:
    numbers of different size that round to the same (``10^{-7}`` and 0), and an equation in place
    of a number, of which it looks at the right side only (7 and ``x^2+1=7``). A gold answer beyond
    the caps is a ``crash``; an answer beyond them is wrong.
    """
    if len(gold) > MAX_CHARACTERS or nesting(gold) > MAX_NESTING:
        return CRASH
    if len(answer) > MAX_CHARACTERS or nesting(answer) > MAX_NESTING:
        return WRONG
    one, other = clean(gold), clean(answer)
    if _is_equation_for_number(one, other) or _is_equation_for_number(other, one):
        return WRONG
    first, second = (number.rational(body) for body in prepared(gold, answer))
    return WRONG if first and second and number.far_apart(first, second) else None


def prepared(gold: str, answer: str) -> tuple[str, str]:
    """A ``math`` pair as computer algebra should see it: one notation, no units, no lone "x ="."""
    first, second = split_units(*_comparable(clean(gold), clean(answer)))
    return first.body, second.body


def _is_equation_for_number(cleaned: str, other: str) -> bool:
    sides = _equation(cleaned)
    if sides is None or number.rational(split_unit(other).body) is None:
        return False
    return not _LONE_SYMBOL.fullmatch(sides[0]) or _PIECEWISE.search(sides[1]) is not None
