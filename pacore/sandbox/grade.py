"""Answers graded: by rules where they decide, in processes that can be ended where they do not."""

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
    """Version of everything that decides a verdict: ``4`` or ``4+mpmath-1.3.0+sympy-1.14.0``."""
    name = parse_spec(spec).name
    if name == "code":
        return code_grader_version()
    if name != "math":
        return RULES_VERSION
    return "+".join([RULES_VERSION, *(f"{name}-{version(name)}" for name in ("mpmath", "sympy"))])


def grade_answers(
    items: Sequence[tuple[str, str, str | None]], timeout_seconds: float
) -> list[Verdict]:
    """Grade (spec, gold, answer) items; verdicts come in the order of the items.

    Exact rules decide first; equal items are decided once; what needs computer algebra shares one
    grader process, whichever thread calls; programs run in sandboxes (`pacore.sandbox`).
    ``timeout_seconds`` bounds the grading of one answer. Raises PacoreError when the grader process
    cannot be started, or programs cannot be confined, and BadInput for a judge, who is a model and
    no part of this.
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
    asked = SHARED_GRADER.grade_many(list(undecided.values()), timeout_seconds)
    verdicts.update(zip(undecided, asked, strict=True))
    return [verdicts[item] for item in items]


def answer_keys(items: Sequence[tuple[str, str]], timeout_seconds: float) -> list[str]:
    """Keys of (spec, answer) items, in order: answers with equal keys are the same answer.

    Where rules see no plain number in an answer to ``math``, computer algebra names its value; where it
    cannot within ``timeout_seconds``, the key is the answer's text.
    """
    keys: dict[tuple[str, str], str] = {}
    open_: dict[tuple[str, str], str] = {}
    for item in dict.fromkeys(items):
        keys[item], is_all = plain_key(parse_spec(item[0]), item[1])
        if not is_all:
            open_[item] = item[1]
    named = SHARED_GRADER.name_many(list(open_.values()), timeout_seconds)
    keys |= {item: short(name) for item, name in zip(open_, named, strict=True) if name is not None}
    return [keys[item] for item in items]
