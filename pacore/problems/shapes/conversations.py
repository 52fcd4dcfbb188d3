"""Conversations with or without a gold answer: PaCoRe-Train, verl, slime, MultiChallenge, ShareGPT."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pacore.problems.parts import Field, ProblemParts
from pacore.problems.program_tests import decoded_tests
from pacore.problems.shapes.plain import GOLD_FIELDS, has_statement, other_parts, plain_parts
from pacore.problems.shapes.shape import (
    RowFields,
    Shape,
    first_given,
    list_at,
    named,
    text_at,
    texts,
    without,
)
from pacore.problems.turns import NoteIssue, is_from_assistant

TRAIN_FIELDS = ("conversation", "responses")

CRITERION = "{question}\nThe response passes if the answer to this question is {answer}."


def _is_train(row: RowFields) -> bool:
    return all(isinstance(row.get(name), list) for name in TRAIN_FIELDS)


def _train_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    """The parts without ``responses``, which are trajectories (see `pacore import`).

    Where ``ground_truth`` has the tests of a program, the grader is ``code``.
    """
    parts = plain_parts(without(row, ("responses",)), note)
    if parts.gold is None or parts.grader is not None or decoded_tests(parts.gold.value) is None:
        return parts
    return replace(parts, grader=Field("grader", "code"))


def _is_multichallenge(row: RowFields) -> bool:
    return row.get("CONVERSATION") is not None and texts(row, "TARGET_QUESTION")


def _multichallenge_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    """The gold answer is the question for the judge about the response, and the answer that passes."""
    turns = row["CONVERSATION"]
    if isinstance(turns, str):
        turns = _decoded("CONVERSATION", turns, note)
    passes = row.get("PASS_CRITERIA") or "YES"
    gold = CRITERION.format(question=text_at(row, "TARGET_QUESTION").strip(), answer=passes)
    used = ("CONVERSATION", "TARGET_QUESTION", "PASS_CRITERIA")
    problem_id, metadata = named(row, ("QUESTION_ID",), used)
    return ProblemParts(
        statement=None if turns is None else Field("CONVERSATION", turns),
        gold=Field("TARGET_QUESTION", gold),
        grader=Field("grader", "judge"),
        problem_id=problem_id,
        metadata=metadata,
    )


def _decoded(name: str, text: str, note: NoteIssue) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        note(name, "is text that is not JSON; must be a list of turns")
        return None


def _is_sharegpt(row: RowFields) -> bool:
    turns = row.get("conversations")
    return isinstance(turns, list) and not has_statement(row)


def _sharegpt_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    """The problem ends with the last user turn; the turns after it are metadata, as ``reply``."""
    del note
    turns = list_at(row, "conversations")
    kept = len(turns)
    while kept > 1 and is_from_assistant(turns[kept - 1]):
        kept -= 1
    others = other_parts(row)
    reply = {"reply": turns[kept:]} if kept < len(turns) else {}
    metadata = {**without(others.metadata, ("conversations",)), **reply}
    return replace(others, statement=Field("conversations", turns[:kept]), metadata=metadata)


def _is_verl(row: RowFields) -> bool:
    has_gold = _verl_gold(row) is not None and first_given(row, GOLD_FIELDS) is None
    return has_gold and has_statement(row)


def _verl_gold(row: RowFields) -> Field | None:
    """The field ``reward_model.ground_truth``, the gold answer of verl and compatible trainers."""
    scored = row.get("reward_model")
    gold = scored.get("ground_truth") if isinstance(scored, Mapping) else None
    return None if gold is None else Field("reward_model.ground_truth", gold)


def _verl_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    """``extra_info.index`` counts within one source, so it is no id; for tests the grader is ``code``."""
    parts = plain_parts(row, note)
    gold = _verl_gold(row)
    if gold is not None and isinstance(gold.value, str):
        gold = Field(gold.name, _single(gold.value))
    if gold is not None and parts.grader is None and decoded_tests(gold.value) is not None:
        parts = replace(parts, grader=Field("grader", "code"))
    return replace(parts, gold=gold)


def _single(text: str) -> str:
    """The item of a JSON list of one text (``["36"]``, as in Skywork-OR1); else the text."""
    if not text.startswith('["') or not text.endswith('"]'):
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found[0] if len(found) == 1 and isinstance(found[0], str) else text


def _is_labelled(row: RowFields) -> bool:
    """Whether a row is ``{prompt, label}`` as in slime and OpenRLHF, not TRL's label of a completion."""
    label = row.get("label")
    is_gold = isinstance(label, str | int | float) and not isinstance(label, bool)
    others = first_given(row, (*GOLD_FIELDS, "completion", "response"))
    return row.get("prompt") is not None and is_gold and others is None


def _labelled_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    parts = plain_parts(row, note)
    metadata = without(parts.metadata, ("label",))
    grader = parts.grader
    if grader is None and decoded_tests(row["label"]) is not None:
        grader = Field("grader", "code")
    return replace(parts, gold=Field("label", row["label"]), grader=grader, metadata=metadata)


PACORE_TRAIN = Shape("PaCoRe-Train", _is_train, _train_parts)

MULTICHALLENGE = Shape("MultiChallenge", _is_multichallenge, _multichallenge_parts)

VERL = Shape("verl", _is_verl, _verl_parts)

LABELLED = Shape("prompt and label", _is_labelled, _labelled_parts)

SHAREGPT = Shape("ShareGPT", _is_sharegpt, _sharegpt_parts)
