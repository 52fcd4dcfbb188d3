"""Grades answers: by rules where these decide, else in processes that can be killed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version

from pacore.core.grading.rules import RULES_VERSION, grade_fast, plain_key, short
from pacore.core.grading.spec import parse_spec
from pacore.core.grading.verdict import Verdict
from pacore.sandbox.mathematics import SHARED_GRADER
from pacore.sandbox.programs import code_grader_version, grade_programs


@cache
def grader_version(spec: str) -> str:
    """Version of all code that can change a verdict: ``4`` or ``4+mpmath-1.3.0+sympy-1.14.0``."""
    name = parse_spec(spec).name
    if name == "code":
        return code_grader_version()
    if name != "math":
        return RULES_VERSION
    return "+".join([RULES_VERSION, *(f"{name}-{version(name)}" for name in ("mpmath", "sympy"))])


def grade_answers(
    items: Sequence[tuple[str, str, str | None]], timeout_seconds: float
) -> list[Verdict]:
    """Grade (spec, gold, answer) items; the verdicts are in the order of the items.

    Exact rules are applied first; equal items are graded once; all threads share one process for
    computer algebra; programs run in sandboxes (`pacore.sandbox`). ``timeout_seconds`` bounds the
    grading of one answer. Raises PacoreError when the grader process cannot be started or programs
    cannot be confined, and BadInput for the spec of a judge, which is a model.
    """
    verdicts: dict[tuple[str, str, str | None], Verdict] = {}
    undecided: dict[tuple[str, str, str | None], tuple[str, str]] = {}
    programs = [item for item in dict.fromkeys(items) if parse_spec(item[0]).name == "code"]
    graded = grade_programs([(gold, answer) for _, gold, answer in programs], timeout_seconds)
    verdicts.update(zip(programs, graded, strict=True))
    for item in dict.fromkeys(items):
        if item in verdicts:
            continue
        _, gold, answer = item
        verdict = grade_fast(*item)
        if verdict is not None:
            verdicts[item] = verdict
        elif answer is not None:
            undecided[item] = (gold, answer)
    decided = SHARED_GRADER.grade_many(list(undecided.values()), timeout_seconds)
    verdicts.update(zip(undecided, decided, strict=True))
    return [verdicts[item] for item in items]


def answer_keys(items: Sequence[tuple[str, str]], timeout_seconds: float) -> list[str]:
    """Keys of (spec, answer) items, in order: equivalent answers have equal keys.

    Where an answer to ``math`` is no plain number, computer algebra computes the key of its value;
    where it cannot within ``timeout_seconds``, the key is the answer's text.
    """
    keys: dict[tuple[str, str], str] = {}
    incomplete: dict[tuple[str, str], str] = {}
    for item in dict.fromkeys(items):
        keys[item], is_complete = plain_key(parse_spec(item[0]), item[1])
        if not is_complete:
            incomplete[item] = item[1]
    found = SHARED_GRADER.key_many(list(incomplete.values()), timeout_seconds)
    keys |= {
        item: short(key) for item, key in zip(incomplete, found, strict=True) if key is not None
    }
    return [keys[item] for item in items]
