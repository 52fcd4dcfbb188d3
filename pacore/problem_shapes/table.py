"""Every shape, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pacore.problem_shapes.choices import CHOICE, GPQA
from pacore.problem_shapes.code_sets import HUMANEVAL, LIVECODEBENCH, MBPP
from pacore.problem_shapes.conversations import (
    LABELLED,
    MULTICHALLENGE,
    PACORE_TRAIN,
    SHAREGPT,
    VERL,
)
from pacore.problem_shapes.math_sets import CONTEST, GSM8K, MATH, NEMO_SKILLS, TITLED
from pacore.problem_shapes.plain import CONVERSATION, PLAIN
from pacore.problem_shapes.shape import Shape

SHAPES: tuple[Shape, ...] = (
    # Those with fields that nobody else has.
    HUMANEVAL,
    MBPP,
    LIVECODEBENCH,
    PACORE_TRAIN,
    VERL,
    MULTICHALLENGE,
    GPQA,
    # A question with options is more than a question.
    CHOICE,
    GSM8K,
    MATH,
    NEMO_SKILLS,
    CONTEST,
    LABELLED,
    # Those for rows without a statement in the words of plain rows.
    TITLED,
    SHAREGPT,
    CONVERSATION,
    PLAIN,
)


def recognised(row: Mapping[str, Any]) -> Shape:
    """The shape of a row: the first that knows it."""
    return next((shape for shape in SHAPES if shape.recognises(row)), PLAIN)
