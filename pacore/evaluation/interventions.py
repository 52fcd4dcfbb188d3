"""Interventions: the message set of a round is edited, to measure how the round depends on it.

    same                 as it was: the control
    wrong=k/n            n messages, k of them wrong, from all replicates of the problem
    duplicate=m          every message m times
    shuffle              another order
    drop=k               k messages fewer
    only-wrong, only-right
    first=wrong, first=right    such a message moved to the first place

Random choices follow from the edit and the messages themselves, so that the same edit of the same set
is the same prompt.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, NamedTuple

from pydantic import JsonValue

from pacore.core.grading.choose import AUTO, is_by_rules
from pacore.core.identity import digest
from pacore.core.problem import Problem
from pacore.core.prompt import template_of, turns_for
from pacore.core.recipe import Recipe
from pacore.errors import BadInput, Refused
from pacore.evaluation.accuracy import GradingAccuracy, current_accuracy
from pacore.evaluation.statistics.paired import Paired, paired
from pacore.store.backends.protocol import Backend
from pacore.store.layout import OWN
from pacore.store.run import Run, problems_of
from pacore.text import did_you_mean
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

CONTROL = "same"


KNOWN = "same, wrong=k/n, duplicate=m, shuffle, drop=k, only-wrong, only-right, first=wrong, first=right"

_EDIT = re.compile(
    r"same|shuffle|only-(?:wrong|right)|first=(?:wrong|right)"
    r"|wrong=(?P<wrong>0|[1-9]\d?)/(?P<of>[1-9]\d?)|(?:duplicate|drop)=(?P<count>[1-9]\d?)"
)


@dataclass(frozen=True, slots=True)
class JudgedMessage:
    """A message with its trajectory's id and whether it is right; None where that is not known."""

    trajectory_id: str
    text: str
    is_right: bool | None


@dataclass(frozen=True, slots=True)
class MessageOfSet(ReportRow):
    """A message of one replicate's message set; ``is_right`` is None without a verdict that says so."""

    QUERY: ClassVar[str] = "interventions/messages"

    problem_id: str
    replicate: int
    trajectory_id: str
    text: str
    is_right: bool | None

    @property
    def judged(self) -> JudgedMessage:
        return JudgedMessage(self.trajectory_id, self.text, self.is_right)


@dataclass(frozen=True, slots=True)
class IntervenedProblem(ReportRow):
    """The result of an edit on one problem; see `sql/views/intervened.sql`."""

    QUERY: ClassVar[str] = "interventions/problems"

    run_id: str
    source_run_id: str
    round: int
    edit: str
    batch: str
    problem_id: str
    episodes: int
    accuracy: float | None
    paired: float | None
    control: float | None
    is_same: bool


Messages = Sequence[JudgedMessage]


def parse_edit(text: str) -> str:
    """The one spelling of an edit. Raises BadInput naming it, in one line."""
    spelled = "duplicate=2" if text == "duplicate" else text
    found = _EDIT.fullmatch(spelled)
    if found is None:
        near = did_you_mean(text.partition("=")[0], _EDITS)
        raise BadInput(f"--edit {text!r}{near}: is none of {KNOWN}")
    if found["wrong"] and int(found["wrong"]) > int(found["of"]):
        raise BadInput(f"--edit {text!r}: more messages are to be wrong than there are")
    return spelled


def edited(edit: str, own: Messages, every: Messages) -> list[JudgedMessage] | None:
    """The messages of a set after an edit; None where the edit is not possible.

    ``own`` is the set in its order, ``every`` the messages of all replicates of the problem.
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


class EditedRound(NamedTuple):
    """The round of a run whose messages are edited, the grader that judged them, and ``batch``, which
    distinguishes samplings of it.
    """

    run: Run
    round: int
    grader: str
    batch: str


def refuse_no_synthesis(run: Run, round_: int) -> None:
    """Raise Refused where a round of a run does not attempt the problem with messages before it."""
    if not 2 <= round_ <= run.plan.rounds or run.plan.step(round_).kind != "sample":
        raise Refused(f"run {run.run_id}: round {round_} is none that synthesises messages")


def grader_of(warehouse: Warehouse, run_id: str) -> str:
    """The grader of what is derived from a run. Raises Refused for a run that is not graded."""
    current = current_accuracy(warehouse.read(GradingAccuracy, run_id=run_id))
    if current.grading == OWN:
        raise Refused(
            f"run {run_id}: its messages have no verdicts yet; pacore grade {run_id} first"
        )
    # A judge would have to vote on each new answer; rules grade it at once.
    return current.grader if is_by_rules(current.grader) else AUTO


def edited_round(
    warehouse: Warehouse, run: Run, round_: int, samples: int, recipe: Recipe
) -> EditedRound:
    """The round of a graded run, to be sampled ``samples`` times by a recipe. Raises Refused for a run that
    is not graded.
    """
    batch = digest([recipe.as_json(), samples, run.run_id, round_])[:8]
    return EditedRound(run, round_, grader_of(warehouse, run.run_id), batch)


def edited_problem(
    place: EditedRound,
    problem: Problem,
    by: tuple[str, str | None],
    name: str,
    messages: Messages,
    metadata: Mapping[str, JsonValue],
) -> Problem:
    """P(x, M) of a round over other messages as a problem of a derived run; ``by`` is the spec that grades
    it, with the gold answer.
    """
    plan = place.run.plan
    turns = turns_for(
        problem.turns,
        [message.text for message in messages],
        template_of(plan.step(place.round)),
        plan.observation(problem.turns),
    )
    return Problem(f"{problem.problem_id}~{name}", turns, by[1], by[0], metadata)


def judged_message_sets(
    store: Backend, warehouse: Warehouse, run: Run, round_: int
) -> Iterator[tuple[Problem, dict[int, list[JudgedMessage]]]]:
    """Each problem with the message sets that a round of a run sees, by replicate. By shard."""
    for shard in run.shards:
        problems = {problem.problem_id: problem for problem in problems_of(store, run, shard)}
        rows = warehouse.read(
            MessageOfSet, run_id=run.run_id, round=round_ - 1, problem_ids=list(problems)
        )
        for problem_id, group in groupby(rows, key=lambda row: row.problem_id):
            sets: dict[int, list[JudgedMessage]] = {}
            for row in group:
                sets.setdefault(row.replicate, []).append(row.judged)
            yield problems[problem_id], dict(sorted(sets.items()))


@dataclass(frozen=True, slots=True)
class EditResult:
    """The result of an edit, and its comparison with the control on the sets that both have.

    Of ``against`` the first is the control. It is None for the control itself, and where every set that
    both have is as it was.
    """

    edit: str
    run_id: str
    episodes: int
    skipped: int
    accuracy: float | None
    against: Paired | None


def edit_result(
    edit: str, skipped: int, run_id: str, rows: Sequence[IntervenedProblem]
) -> EditResult:
    """The result of an edit, from the problems of its run; ``skipped`` sets could not be edited so."""
    scores = [row.accuracy for row in rows if row.accuracy is not None]
    both = [
        (row.control, row.paired, row.is_same)
        for row in rows
        if row.control is not None and row.paired is not None and edit != CONTROL
    ]
    against = None
    if not all(is_same for _, _, is_same in both):
        against = paired(*zip(*both, strict=True))
    return EditResult(
        edit,
        run_id,
        sum(row.episodes for row in rows if row.accuracy is not None),
        skipped,
        sum(scores) / len(scores) if scores else None,
        against,
    )


class Intervention(NamedTuple):
    """The round of a run, the edits of its messages, and how they are sampled: ``samples``
    trajectories of each set, with ``changes`` to fields of the run.
    """

    run_id: str
    round: int
    edits: Sequence[str]
    samples: int
    changes: Mapping[str, object]
