"""Conversations of several turns: PaCoRe-Train, MultiChallenge, ShareGPT."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pacore.problem_rows import Field, Parts
from pacore.problem_shapes.plain import has_statement, other_parts, plain_parts
from pacore.problem_shapes.shape import Row, Shape, named, texts, without
from pacore.problem_tests import decoded_tests
from pacore.problem_turns import SHAREGPT_ROLES, Note

TRAIN_FIELDS = ("conversation", "responses")
CRITERION = "{question}\nThe response passes if the answer to this question is {answer}."


def _is_train(row: Row) -> bool:
    return all(isinstance(row.get(name), list) for name in TRAIN_FIELDS)


def _train_parts(row: Row, note: Note) -> Parts:
    """``responses`` are left out: they are trajectories, which `pacore import` takes.

    ``ground_truth`` that holds the tests of a program calls for the grader ``code``.
    """
    parts = plain_parts(without(row, ("responses",)), note)
    if parts.gold is None or parts.grader is not None or decoded_tests(parts.gold.value) is None:
        return parts
    return replace(parts, grader=Field("grader", "code"))


def _is_multichallenge(row: Row) -> bool:
    return row.get("CONVERSATION") is not None and texts(row, "TARGET_QUESTION")


def _multichallenge_parts(row: Row, note: Note) -> Parts:
    """What a judge is asked of the response is the gold answer: the question, and which answer passes."""
    turns = row["CONVERSATION"]
    if isinstance(turns, str):
        turns = _decoded("CONVERSATION", turns, note)
    passes = row.get("PASS_CRITERIA") or "YES"
    gold = CRITERION.format(question=row["TARGET_QUESTION"].strip(), answer=passes)
    used = ("CONVERSATION", "TARGET_QUESTION", "PASS_CRITERIA")
    problem_id, metadata = named(row, ("QUESTION_ID",), used)
    return Parts(
        statement=None if turns is None else Field("CONVERSATION", turns),
        gold=Field("TARGET_QUESTION", gold),
        grader=Field("grader", "judge"),
        problem_id=problem_id,
        metadata=metadata,
    )


def _decoded(name: str, text: str, note: Note) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        note(name, "is text that is not JSON; must be a list of turns")
        return None


def _is_sharegpt(row: Row) -> bool:
    turns = row.get("conversations")
    return isinstance(turns, list) and not has_statement(row)


def _sharegpt_parts(row: Row, note: Note) -> Parts:
    """The model answers the last user turn: what follows it in the file is metadata, as ``reply``."""
    del note
    turns: list[Any] = row["conversations"]
    kept = len(turns)
    while kept > 1 and _is_assistant(turns[kept - 1]):
        kept -= 1
    others = other_parts(row)
    reply = {"reply": turns[kept:]} if kept < len(turns) else {}
    metadata = {**without(others.metadata, ("conversations",)), **reply}
    return replace(others, statement=Field("conversations", turns[:kept]), metadata=metadata)


def _is_assistant(turn: Any) -> bool:
    if not isinstance(turn, Mapping):
        return False
    role = turn.get("from", turn.get("role"))
    return isinstance(role, str) and SHAREGPT_ROLES.get(role.lower()) == "assistant"


PACORE_TRAIN = Shape("PaCoRe-Train", _is_train, _train_parts)
MULTICHALLENGE = Shape("MultiChallenge", _is_multichallenge, _multichallenge_parts)
SHAREGPT = Shape("ShareGPT", _is_sharegpt, _sharegpt_parts)
