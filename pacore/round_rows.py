"""Rows the stages read back from a shard's committed files."""

from __future__ import annotations

from typing import NamedTuple

from pacore.core.grading.verdict import VerdictName
from pacore.core.message import Said
from pacore.core.trajectory import ConclusionStatus, FinishReason


class CandidateRow(NamedTuple):
    """What stands in one slot.

    Since the slot was last retried, ``tombstones`` counts the attempts this run itself saw fail in
    the engine, ``refills`` those the model finished after the first.
    """

    problem_id: str
    replicate: int
    slot: int
    trajectory_id: str
    attempt: int
    conclusion: str | None
    content_characters: int
    finish_reason: FinishReason
    conclusion_status: ConclusionStatus
    error: str | None
    tombstones: int
    refills: int

    @property
    def said(self) -> Said:
        return Said(
            self.trajectory_id,
            self.conclusion,
            self.conclusion_status,
            self.content_characters,
            self.finish_reason == "length",
        )


class AnswerRow(NamedTuple):
    """One row of the table ``answers``."""

    problem_id: str
    replicate: int
    answer: str | None
    method: str | None
    trajectory_id: str | None
    finish_reason: FinishReason | None
    status: str
    reason: str | None
    failed_round: int | None


class ConclusionRow(NamedTuple):
    """What the model concluded in one slot, None where it came to nothing."""

    problem_id: str
    replicate: int
    slot: int
    trajectory_id: str
    conclusion: str | None
    finish_reason: FinishReason


class VerdictRow(NamedTuple):
    """What one version of a grader said of an answer to a problem."""

    problem_id: str
    grader: str
    grader_version: str
    answer: str
    verdict: VerdictName
    score: float
    answer_key: str | None
    detail: str | None
