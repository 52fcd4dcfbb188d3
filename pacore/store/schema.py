"""The tables of a store: what each row is made of, and how the files are laid out.

A column is declared once: its name, its kind, whether it may be null, and the attribute of the row's
noun that it holds. The Arrow schema, the rows that are written, and the columns that an audit reads
follow from that. ``run_id`` and ``round`` are partition columns: they are in a file's path, not in its
rows. A schema's version is in the path too; within a version columns are only ever added, nullable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

import pyarrow as pa

from pacore.core.answer import Answer
from pacore.core.grading.verdict import GradedTrajectory
from pacore.core.identity import canonical_json
from pacore.core.message import Message
from pacore.core.problem import Problem, Turn
from pacore.core.trajectory import Trajectory
from pacore.store.layout import SCHEMA_VERSION

SCHEMA_REVISION = 6
"""Counted on when columns are added within a version; a run begun at an earlier one may lack them."""

TEXT_GROUP_ROWS = 96

METADATA_GROUP_ROWS = 122_880

Row = tuple[Any, ...]
"""The values of a row in the order of its table's columns."""

Noun = TypeVar("Noun")


class _Kind(NamedTuple):
    """What a column's values are, in Arrow and in Python."""

    arrow: pa.DataType
    python: type


LABEL = _Kind(pa.dictionary(pa.int32(), pa.string()), str)
"""A text that many rows have in common."""

STRING = _Kind(pa.string(), str)
LARGE_STRING = _Kind(pa.large_string(), str)
INT16 = _Kind(pa.int16(), int)
INT32 = _Kind(pa.int32(), int)
INT64 = _Kind(pa.int64(), int)
DOUBLE = _Kind(pa.float64(), float)
BOOL = _Kind(pa.bool_(), bool)
TIME = _Kind(pa.timestamp("us", "UTC"), datetime)
INT32_LIST = _Kind(pa.list_(pa.int32()), tuple)
STRING_LIST = _Kind(pa.list_(pa.string()), tuple)


class Column(NamedTuple):
    """A column of a table; ``source`` is the path of the attribute it holds, such as ``place.slot``."""

    name: str
    kind: _Kind
    source: str
    is_nullable: bool


def required(name: str, kind: _Kind, source: str = "") -> Column:
    """A column without nulls; ``source`` is its name unless it is given."""
    return Column(name, kind, source or name, is_nullable=False)


def optional(name: str, kind: _Kind, source: str = "") -> Column:
    """A column that may be null; ``source`` is its name unless it is given."""
    return Column(name, kind, source or name, is_nullable=True)


@dataclass(frozen=True)
class TableSchema(Generic[Noun]):
    """A table's name, the noun that each row is of, its columns, and how its files are laid out.

    ``text`` columns get neither statistics nor dictionary, and their bytes count towards a row group.
    """

    name: str
    noun: type[Noun]
    columns: tuple[Column, ...]
    text: tuple[str, ...] = ()
    bloom: tuple[str, ...] = ()
    group_rows: int = METADATA_GROUP_ROWS

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the table's files."""
        fields = [
            pa.field(column.name, column.kind.arrow, nullable=column.is_nullable)
            for column in self.columns
        ]
        return pa.schema(fields, metadata={"pacore.schema_version": str(SCHEMA_VERSION)})

    @cached_property
    def row(self) -> Callable[[Noun], Row]:
        """What makes the row of a noun: one call in C, since a run has millions of rows."""
        return attrgetter(*(column.source for column in self.columns))


@dataclass(frozen=True, slots=True)
class StoredProblem:
    """A problem and the name of its set: one row of the table ``problems``."""

    problem_set: str
    problem: Problem

    @property
    def turns(self) -> str:
        return canonical_json([turn.as_json() for turn in self.problem.turns]).decode()

    @property
    def metadata(self) -> str | None:
        metadata = dict(self.problem.metadata)
        return canonical_json(metadata).decode() if metadata else None


def problem_of(
    problem_id: str, turns: str, gold: str | None, grader: str | None, metadata: str | None
) -> Problem:
    """The problem that a row of the table ``problems`` was made of, from the row's columns."""
    said = tuple(Turn(turn["role"], turn["content"]) for turn in json.loads(turns))
    return Problem(problem_id, said, gold, grader, json.loads(metadata) if metadata else {})


PROBLEMS = TableSchema(
    "problems",
    StoredProblem,
    (
        required("problem_set", LABEL),
        required("problem_id", STRING, "problem.problem_id"),
        required("content_digest", STRING, "problem.content_digest"),
        required("turns", LARGE_STRING),
        required("statement", LARGE_STRING, "problem.statement"),
        optional("gold", STRING, "problem.gold"),
        optional("grader", LABEL, "problem.grader"),
        optional("metadata", STRING),
        optional("position", INT64, "problem.position"),
    ),
    text=("turns", "statement", "gold"),
    group_rows=1024,
)

TRAJECTORIES = TableSchema(
    "trajectories",
    Trajectory,
    (
        required("problem_id", LABEL, "place.problem_id"),
        required("replicate", INT32, "place.replicate"),
        required("slot", INT32, "place.slot"),
        required("draw", INT32, "place.draw"),
        required("attempt", INT16),
        required("trajectory_id", STRING),
        required("seed", INT64),
        required("prompt_digest", LABEL),
        required("finish_reason", LABEL, "generation.finish_reason"),
        required("conclusion_status", LABEL, "thought.status"),
        optional("conclusion", LARGE_STRING, "thought.conclusion"),
        optional("prompt_tokens", INT32, "generation.prompt_tokens"),
        optional("completion_tokens", INT32, "generation.completion_tokens"),
        required("usage_source", LABEL, "generation.usage_source"),
        required("wasted_tokens", INT64, "generation.wasted_tokens"),
        required("tries", INT32, "generation.tries"),
        optional("thinking_closed", BOOL, "thought.thinking_closed"),
        required("reasoning_characters", INT64, "thought.reasoning_characters"),
        required("content_characters", INT64, "generation.content_characters"),
        optional("error", STRING, "generation.error"),
        required("reused", BOOL),
        required("text_run_id", LABEL),
        required("engine", LABEL, "generation.engine"),
        optional("engine_version", LABEL, "generation.engine_version"),
        optional("served_model", LABEL, "generation.served_model"),
        optional("fingerprint", LABEL, "generation.fingerprint"),
        required("latency_seconds", DOUBLE, "generation.latency_seconds"),
        required("generated_at", TIME),
        optional("prompt_messages", INT32),
        optional("max_tokens", INT32),
        optional("retry_of", STRING),
        optional("cached_prompt_tokens", INT32, "generation.cached_prompt_tokens"),
        optional("prompt_positions", INT32_LIST),
        optional("finish_said", LABEL, "generation.finish_said"),
        optional("unread", LARGE_STRING, "generation.unread"),
        optional("wire", LABEL, "generation.wire"),
    ),
    text=("conclusion", "unread"),
    bloom=("trajectory_id",),
)

TRAJECTORY_TEXTS = TableSchema(
    "trajectory_texts",
    Trajectory,
    (
        required("problem_id", LABEL, "place.problem_id"),
        required("replicate", INT32, "place.replicate"),
        required("slot", INT32, "place.slot"),
        required("trajectory_id", STRING),
        optional("reasoning", LARGE_STRING, "thought.reasoning"),
        optional("content", LARGE_STRING, "generation.content"),
    ),
    text=("reasoning", "content"),
    bloom=("trajectory_id",),
    group_rows=TEXT_GROUP_ROWS,
)

MESSAGES = TableSchema(
    "messages",
    Message,
    (
        required("problem_id", LABEL),
        required("replicate", INT32),
        required("position", INT32),
        required("trajectory_id", STRING),
        required("text", LARGE_STRING),
        required("characters", INT64),
        required("compactor", LABEL),
    ),
    text=("text",),
)

ANSWERS = TableSchema(
    "answers",
    Answer,
    (
        required("problem_id", LABEL),
        required("replicate", INT32),
        optional("answer", STRING),
        optional("method", LABEL),
        optional("trajectory_id", STRING),
        optional("finish_reason", LABEL),
        required("status", LABEL),
        optional("reason", STRING),
        optional("failed_round", INT32),
    ),
)

VERDICTS = TableSchema(
    "verdicts",
    GradedTrajectory,
    (
        required("problem_id", LABEL),
        required("replicate", INT32),
        required("slot", INT32),
        optional("trajectory_id", STRING),
        required("grading", LABEL),
        required("grader", LABEL),
        required("grader_version", LABEL),
        required("verdict", LABEL, "verdict.verdict"),
        optional("score", DOUBLE, "verdict.score"),
        optional("answer", LARGE_STRING),
        optional("method", LABEL),
        optional("answer_key", LARGE_STRING),
        optional("detail", STRING, "verdict.detail"),
        optional("gold_answer", STRING),
    ),
    text=("answer", "answer_key"),
)

TABLES: dict[str, TableSchema[Any]] = {
    table.name: table
    for table in (PROBLEMS, TRAJECTORIES, TRAJECTORY_TEXTS, MESSAGES, ANSWERS, VERDICTS)
}

FORMER_TABLES = ("scores",)
"""Tables that earlier versions wrote. Their files stay where they are, and nothing reads their rows."""
