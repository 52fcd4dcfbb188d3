"""Audit of answers: each is read again from the last message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pacore.audit.finding import Finding, Where, differing, quoted
from pacore.core.answer import Answer, Ended, final_answer
from pacore.core.message import Message
from pacore.core.plan import Plan
from pacore.core.problem import Problem
from pacore.store.rows import StoredAnswer, StoredMessage
from pacore.store.run import Run

ANSWER_COLUMNS = ("status", "answer", "method", "trajectory_id", "finish_reason", "failed_round")
"""All but ``reason``, which is words for a person."""

UNREAD_COLUMNS = ("trajectory_id", "finish_reason", "failed_round")
"""Columns that do not depend on how an answer is read in a message."""


@dataclass(frozen=True)
class Concluded:
    """The rows one replicate of a problem ends in, and what they follow from.

    ``final`` are the messages of the last round. ``is_read_alike``: whether the answers were read by
    this version of `pacore.core.grading.extraction.extract`.
    """

    problem: Problem
    replicate: int
    files: Mapping[str, str]
    ended: Ended | None
    final: list[StoredMessage]
    answers: list[StoredAnswer]
    is_read_alike: bool = True

    def where(self, plan: Plan, table: str) -> Where:
        problem_id = self.problem.problem_id
        return Where(self.files[table], table, plan.rounds, problem_id, self.replicate)


def check_answer(run: Run, here: Concluded) -> Iterator[Finding]:
    """Compare one answer with the message it was read from."""
    if not here.answers:
        yield Finding("answers", here.where(run.plan, "answers"), "is missing")
        return
    row = here.answers[0]
    where = Where.of(row, run.plan.rounds)
    if len(here.answers) > 1:
        yield Finding("duplicates", where, f"is here {len(here.answers)} times")
    expected = _expected(run, here)
    if expected is None:
        yield Finding("lineage", where, "no trajectory of this replicate leads to it")
        return
    columns = ANSWER_COLUMNS if here.is_read_alike else UNREAD_COLUMNS
    because = "read again from the last message it is" if here.final else "from what there is it is"
    values = {column: getattr(expected, column) for column in columns}
    yield from differing(row, values, where, "answers", because)
    if (row.reason is None) != (row.status == "answered"):
        what = f"reason is {quoted(row.reason)} where status is {row.status}"
        yield Finding("answers", where, what)


def _expected(run: Run, here: Concluded) -> Answer | None:
    """The answer the rows before it lead to; None where there are none."""
    if here.ended is None:
        return None
    ended, plan = here.ended, run.plan
    if here.final:
        row, problem_id = here.final[0], here.problem.problem_id
        message = Message(
            plan.rounds, problem_id, here.replicate, 1, row.trajectory_id, row.text, ""
        )
        ended = replace(ended, messages=[message])
    return final_answer(plan, here.problem, here.replicate, ended)
