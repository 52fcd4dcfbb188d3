"""Chooses the grader: one for all problems, or for each problem by its gold answer."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pacore.core.grading.extraction.boxes import find_boxes
from pacore.core.grading.mathematics.form import Form
from pacore.core.grading.mathematics.forms import read_form
from pacore.core.grading.mathematics.grader import MAX_CHARACTERS
from pacore.core.grading.mathematics.nodes import free_symbols
from pacore.core.grading.notation.tokens import FUNCTIONS
from pacore.core.grading.notation.words import unwrapped
from pacore.core.grading.spec import canonical_spec, parse_spec
from pacore.core.problem import Problem

AUTO = "auto"
"""For each problem the grader of `choose_grader`, but never a judge, which has to be named."""


def canonical_grader(grader: str) -> str:
    """``auto``, or the canonical spec. Raises BadInput for any other text."""
    return AUTO if grader == AUTO else canonical_spec(grader)


def is_by_rules(grader: str) -> bool:
    """Whether verdicts are functions of answer and gold answer: for any grader but a judge."""
    return grader == AUTO or parse_spec(grader).name != "judge"


def judged_by(grader: str, against: str, problem: Problem) -> tuple[str, str | None] | None:
    """The spec and the gold answer by which a problem's answers are graded; None where they are not.

    Against ``gold`` a problem needs a gold answer, and under ``auto`` a grader other than a judge.
    Against an ``opinion`` it needs no gold answer.
    """
    if grader == AUTO:
        return run_grading(problem)
    gold = gold_answer(problem)
    return None if gold is None and against == "gold" else (grader, gold)


def stated_version(grader: str, versions: Mapping[str, str]) -> str:
    """The text in which a grading records the versions of its graders.

    ``4+mpmath-1.3.0`` for one grader; ``choice 4, math 4+mpmath-1.3.0`` for ``auto``.
    """
    if grader == AUTO:
        return ", ".join(f"{spec} {version}" for spec, version in sorted(versions.items()))
    (version,) = versions.values()
    return version


def states_version(stated: str, grader: str, decided: tuple[str, str]) -> bool:
    """Whether ``stated``, a text of `stated_version` for ``grader``, has this spec and version."""
    spec, version = decided
    return f"{spec} {version}" in stated.split(", ") if grader == AUTO else version == stated


_LONGEST_ABBREVIATION = 2

_CHOICE_GOLD = re.compile(r"\(?[A-J]\)?")

_MATH_MARK = re.compile(r"[\\^=_+*<>√π∞≤≥±∪∩×÷°²³½¼¾]")  # noqa: RUF001

_WORD = re.compile(r"(?<![A-Za-z\d])[A-Za-z]{2,}")


def gold_answer(problem: Problem) -> str | None:
    r"""The gold answer: the last box of a solution with a box, else the whole text."""
    if problem.gold is None or problem.grader == "code":
        return problem.gold
    return find_boxes(problem.gold).last or problem.gold.strip()


def run_grading(problem: Problem) -> tuple[str, str] | None:
    """The spec and the gold answer by which a run's last stage grades a problem's answers.

    None without a gold answer, and where the grader is a judge: a judge is a model, and grades later.
    """
    gold, spec = gold_answer(problem), choose_grader(problem)
    return None if gold is None or parse_spec(spec).name == "judge" else (spec, gold)


def choose_grader(problem: Problem) -> str:
    """The spec that a problem names, or the one for its gold answer; ``text`` without either.

    For one letter A to J that is ``choice``; for numbers, LaTeX and formulas ``math``; for words
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
