"""The form of an answer: a value, or a structure of forms."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pacore.core.grading.mathematics.nodes import Node
from pacore.core.grading.mathematics.units import MeasurementUnit

FormKind = Literal[
    "value", "list", "ordered", "matrix", "ratio", "time", "equation", "relation", "based",
    "approximation", "text",
]  # fmt: skip

MAX_PARTS = 64
"""Most parts of a form; longer ones count as different unless their texts are equal."""


class Form(NamedTuple):
    """A parsed answer. ``text`` is its normalised text.

    A ``value`` has a ``node`` and a ``unit``, and ``letter``, its reading with the last symbol as a unit
    where that is possible. A ``list`` or ``ordered`` form has ``parts``, and ``ends``: its brackets, or
    ``{}`` of a set; ``symbol`` is that of an inequality. The parts of an ``equation`` are its sides, and
    ``symbol`` is the left one where that is a name; those of a ``relation`` are in ascending order, and
    ``ends`` are its signs. The parts of a ``matrix`` are its rows. The ``node`` of a ``time`` is in
    minutes; the ``symbol`` of a ``based`` number is its base; the parts of an ``approximation`` are a
    value and a decimal. ``why`` is the reason why a ``text`` was not parsed, or that the letters of a
    value may be a word.
    """

    kind: FormKind
    text: str
    node: Node | None = None
    unit: MeasurementUnit | None = None
    letter: Form | None = None
    parts: tuple[Form, ...] = ()
    ends: str = ""
    symbol: str = ""
    why: str = ""


def clock_minutes(form: Form) -> int | None:
    """The minutes since midnight of a ratio that may be a time, such as ``16:30``; else None."""
    texts = form.text.split(" ")
    if form.kind != "ratio" or len(texts) != 3 or not (texts[0].isdigit() and texts[2].isdigit()):
        return None
    hours, minutes = int(texts[0]), int(texts[2])
    return hours * 60 + minutes if len(texts[2]) == 2 and minutes < 60 and hours < 24 else None
