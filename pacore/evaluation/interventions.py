"""Interventions: the message set of a round changed on purpose, to see what the round makes of it.

    same                 as it was: the control
    wrong=k/n            n messages, k of them wrong, from all replicates of the problem
    duplicate=m          every message m times
    shuffle              another order
    drop=k               k messages fewer
    only-wrong, only-right
    first=wrong, first=right    such a message moved to the first place

What is drawn follows from the edit and the messages themselves, so that the same edit of the same set
is the same prompt.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pacore.core.identity import digest
from pacore.errors import BadInput
from pacore.evaluation.statistics.paired import Paired
from pacore.store.run import Run

CONTROL = "same"


KNOWN = "same, wrong=k/n, duplicate=m, shuffle, drop=k, only-wrong, only-right, first=wrong, first=right"

_EDIT = re.compile(
    r"same|shuffle|only-(?:wrong|right)|first=(?:wrong|right)"
    r"|wrong=(?P<wrong>0|[1-9]\d?)/(?P<of>[1-9]\d?)|(?:duplicate|drop)=(?P<count>[1-9]\d?)"
)


@dataclass(frozen=True, slots=True)
class JudgedMessage:
    """A message with its trajectory's id and whether it is right; None where nobody could tell."""

    trajectory_id: str
    text: str
    is_right: bool | None


Messages = Sequence[JudgedMessage]


def parse_edit(text: str) -> str:
    """The one spelling of an edit. Raises BadInput naming it, in one line."""
    spelled = "duplicate=2" if text == "duplicate" else text
    found = _EDIT.fullmatch(spelled)
    if found is None:
        raise BadInput(f"--edit {text!r}: is none of {KNOWN}")
    if found["wrong"] and int(found["wrong"]) > int(found["of"]):
        raise BadInput(f"--edit {text!r}: more messages are to be wrong than there are")
    return spelled


def edited(edit: str, own: Messages, every: Messages) -> list[JudgedMessage] | None:
    """The messages of a set after an edit; None where it cannot be had of them.

    ``own`` is the set in its order, ``every`` what all replicates of the problem handed on.
    """
    name, _, value = edit.partition("=")
    drawn = random.Random(digest([edit, [message.trajectory_id for message in own]]))
    found = _EDITS[name](value, own, every, drawn)
    return found or None


Edit = Callable[[str, Messages, Messages, random.Random], list[JudgedMessage]]


def _same(_: str, own: Messages, __: Messages, ___: random.Random) -> list[JudgedMessage]:
    return list(own)


def _shuffle(_: str, own: Messages, __: Messages, drawn: random.Random) -> list[JudgedMessage]:
    """Another order than it was; of one message there is none."""
    if len({message.text for message in own}) < 2:
        return []
    found = list(own)
    while [one.text for one in found] == [one.text for one in own]:
        drawn.shuffle(found)
    return found


def _duplicate(value: str, own: Messages, __: Messages, ___: random.Random) -> list[JudgedMessage]:
    return [message for message in own for _ in range(int(value))]


def _drop(value: str, own: Messages, __: Messages, drawn: random.Random) -> list[JudgedMessage]:
    if len(own) <= int(value):
        return []
    kept = sorted(drawn.sample(range(len(own)), len(own) - int(value)))
    return [own[place] for place in kept]


def _only(value: str, own: Messages) -> list[JudgedMessage]:
    return [message for message in own if message.is_right is (value == "right")]


def _first(value: str, own: Messages, __: Messages, ___: random.Random) -> list[JudgedMessage]:
    for place, message in enumerate(own):
        if message.is_right is (value == "right"):
            return [message, *own[:place], *own[place + 1 :]]
    return []


def _wrong(value: str, _: Messages, every: Messages, drawn: random.Random) -> list[JudgedMessage]:
    wrong, count = (int(part) for part in value.split("/"))
    known = {message.trajectory_id: message for message in every}
    by_id = [known[name] for name in sorted(known)]
    sides = {
        right: [message for message in by_id if message.is_right is right]
        for right in (False, True)
    }
    if len(sides[False]) < wrong or len(sides[True]) < count - wrong:
        return []
    found = drawn.sample(sides[False], wrong) + drawn.sample(sides[True], count - wrong)
    drawn.shuffle(found)
    return found


_EDITS: dict[str, Edit] = {
    "same": _same,
    "shuffle": _shuffle,
    "duplicate": _duplicate,
    "drop": _drop,
    "only-wrong": lambda _, own, __, ___: _only("wrong", own),
    "only-right": lambda _, own, __, ___: _only("right", own),
    "first": _first,
    "wrong": _wrong,
}


class Place(NamedTuple):
    """Which round of which run, by which grader its messages were judged, and what tells samplings
    of it apart.
    """

    run: Run
    round: int
    grader: str
    batch: str


class Found(NamedTuple):
    """One edit: what it came to, and beside the control on the sets that both have.

    Of ``against`` the first is the control. It is None for the control itself, and where every set that
    both have is as it was.
    """

    edit: str
    run_id: str
    episodes: int
    skipped: int
    accuracy: float | None
    against: Paired | None


class Asked(NamedTuple):
    """Which round of which run, what is done to its messages, and how that is sampled: ``samples``
    trajectories of each set, some fields of the run changed.
    """

    run_id: str
    round: int
    edits: Sequence[str]
    samples: int
    changes: Mapping[str, Any]
