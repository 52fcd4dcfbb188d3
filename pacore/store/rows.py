"""A row of each table as a record, as it is read from a committed file: the columns of
`pacore.store.schema` as attributes, and the file's key.

What a column may hold is declared in the schema, and a test compares both. A record is as its file has
it: whether its values are what they should be is for its reader to check, and a column that the file
lacks is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from pacore.core.problem import Problem
from pacore.core.trajectory import ConclusionStatus, FinishReason
from pacore.store.schema import (
    ANSWERS,
    MESSAGES,
    STOPS,
    TRAJECTORIES,
    TRAJECTORY_TEXTS,
    VERDICTS,
    TableSchema,
    problem_of,
)

Place = tuple[str, int]
"""Problem id and replicate."""


@dataclass(frozen=True, slots=True)
class AtPlace:
    """What belongs to one problem and replicate."""

    problem_id: str
    replicate: int

    @property
    def place(self) -> Place:
        return self.problem_id, self.replicate


@dataclass(frozen=True, slots=True)
class StoredRow(AtPlace):
    """A row of a committed file; ``file`` is the file's key, ``table`` what the file is of."""

    table: ClassVar[TableSchema[Any]]
    file: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class StoredTrajectory(StoredRow):
    """A row of ``trajectories``: one attempt at a slot. ``generated_at`` is UTC without a time zone."""

    table = TRAJECTORIES

    slot: int
    draw: int
    attempt: int
    trajectory_id: str
    seed: int
    prompt_digest: str
    finish_reason: FinishReason
    conclusion_status: ConclusionStatus
    conclusion: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    usage_source: str
    wasted_tokens: int
    tries: int
    thinking_closed: bool | None
    reasoning_characters: int
    content_characters: int
    error: str | None
    reused: bool
    text_run_id: str
    engine: str
    engine_version: str | None
    served_model: str | None
    fingerprint: str | None
    latency_seconds: float
    generated_at: datetime
    prompt_messages: int | None
    max_tokens: int | None
    retry_of: str | None
    cached_prompt_tokens: int | None
    prompt_positions: list[int] | None
    finish_said: str | None
    unread: str | None
    wire: str | None


@dataclass(frozen=True, slots=True)
class StoredText(StoredRow):
    """A row of ``trajectory_texts``, with digests in place of the texts."""

    table = TRAJECTORY_TEXTS

    slot: int
    trajectory_id: str
    reasoning_sha256: str | None
    content_sha256: str | None


@dataclass(frozen=True, slots=True)
class StoredMessage(StoredRow):
    """A row of ``messages``."""

    table = MESSAGES

    position: int
    trajectory_id: str
    text: str
    characters: int
    compactor: str


@dataclass(frozen=True, slots=True)
class StoredStop(StoredRow):
    """A row of ``stops``. ``decided_at`` is UTC without a time zone."""

    table = STOPS

    rule: str
    width: int
    begun: int
    is_stopped: bool
    reason: str | None
    probability: float | None
    trajectory_ids: list[str]
    answer_keys: list[str | None]
    messages: int
    seen_tokens: int
    aborted: list[str]
    aborted_tokens: list[int]
    not_begun: int
    message_keys: list[str | None]
    ends_with: str | None
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class StoredAnswer(StoredRow):
    """A row of ``answers``."""

    table = ANSWERS

    answer: str | None
    method: str | None
    trajectory_id: str | None
    finish_reason: str | None
    status: str
    reason: str | None
    failed_round: int | None


@dataclass(frozen=True, slots=True)
class StoredVerdict(StoredRow):
    """A row of ``verdicts``."""

    table = VERDICTS

    slot: int
    trajectory_id: str | None
    grading: str
    grader: str
    grader_version: str
    verdict: str
    score: float | None
    answer: str | None
    method: str | None
    answer_key: str | None
    detail: str | None
    gold_answer: str | None


@dataclass(frozen=True, slots=True)
class FrozenProblem:
    """A row of a frozen problem set, ``number`` in the file's order, from 0. Nothing of it is checked."""

    number: int
    problem_set: str
    problem_id: str
    content_digest: str
    turns: str
    statement: str
    gold: str | None
    grader: str | None
    metadata: str | None
    position: int | None = None

    @property
    def problem(self) -> Problem:
        """Raises what `pacore.store.schema.problem_of` raises for a row that is none."""
        return problem_of(self.problem_id, self.turns, self.gold, self.grader, self.metadata)


Stored = TypeVar("Stored", bound=StoredRow)
