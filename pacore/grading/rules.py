"""Grading that needs no computer algebra, and what must never be handed to it."""

from __future__ import annotations

import re

from pacore.answer import choice_letter, find_boxes
from pacore.errors import BadInput
from pacore.grader import parse_spec
from pacore.grading.forms import Form, read_form
from pacore.grading.mathematics import EXACT, MAX_CHARACTERS, grade_math
from pacore.grading.nodes import free_symbols
from pacore.grading.notation import unwrapped, words
from pacore.grading.numeric import grade_numeric
from pacore.grading.score import CORRECT, NO_ANSWER, WRONG, Verdict, crash, shown
from pacore.grading.tokens import FUNCTIONS
from pacore.problem import Problem

RULES_VERSION = "4"
"""Counts on when a change in this package, `pacore.answer` or `pacore.algebra` can change a verdict."""

_LONGEST_ABBREVIATION = 2

_CHOICE_GOLD = re.compile(r"\(?[A-J]\)?")
_MATH_MARK = re.compile(r"[\\^=_+*<>√π∞≤≥±∪∩×÷°²³½¼¾]")  # noqa: RUF001
_WORD = re.compile(r"(?<![A-Za-z\d])[A-Za-z]{2,}")


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
    if _CHOICE_GOLD.fullmatch(unwrapped(gold).strip("$ ")):
        return "choice"
    return "math" if _looks_mathematical(gold) else "text"


def _looks_mathematical(gold: str) -> bool:
    bare = unwrapped(gold)
    if _MATH_MARK.search(bare):
        return True
    long_words = [word for word in _WORD.findall(bare) if word.lower() not in FUNCTIONS]
    has_digit = any(character.isdigit() for character in bare)
    has_words = any(len(word) > _LONGEST_ABBREVIATION for word in long_words)
    if len(gold) <= MAX_CHARACTERS:
        form = read_form(gold)
        # A word can be read as a product of its letters.
        if _is_read(form) and (has_digit or not has_words or not _has_symbols(form)):
            return True
    if has_digit:
        return not has_words
    return not long_words and any(character.isalnum() for character in bare)


def _has_symbols(form: Form) -> bool:
    return bool(form.node and free_symbols(form.node)) or any(map(_has_symbols, form.parts))


def _is_read(form: Form) -> bool:
    """Whether any part of a form is more than text."""
    if form.parts:
        return any(map(_is_read, form.parts))
    return form.kind not in ("text", "list") and not form.why


def grade_fast(spec: str, gold: str, answer: str | None) -> Verdict | None:
    """Decide what exact rules can decide; None means that ``math`` needs computer algebra.

    ``math`` is `grade_math` with exact rules alone.
    A choice gold that is no letter compares as text, and where that fails is a ``crash``. Raises
    BadInput for what needs more than rules: a program or a judge.
    """
    if answer is None or not answer.strip():
        return NO_ANSWER
    grader = parse_spec(spec)
    if grader.name == "math":
        return grade_math(gold, answer, EXACT)
    if grader.name == "numeric":
        return grade_numeric(grader, gold, answer)
    if grader.name == "choice":
        if letter := choice_letter(gold):
            return CORRECT if choice_letter(answer) == letter else WRONG
        if words(gold) == words(answer):
            return CORRECT
        return crash(f"the gold answer is no letter from A to J: {shown(gold)}")
    if grader.name == "text":
        is_case_kept = "case" in grader.options
        return CORRECT if words(gold, is_case_kept) == words(answer, is_case_kept) else WRONG
    raise BadInput(_NOT_BY_RULES[grader.name])


_NOT_BY_RULES = {
    "judge": "a judge needs a model: pacore grade RUN --grader judge, with its endpoint",
    "code": "programs are graded in a sandbox, not by rules",
}
