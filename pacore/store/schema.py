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
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from pacore.core.answer import Answer
from pacore.core.grading.verdict import GradedTrajectory
from pacore.core.identity import canonical_json
from pacore.core.message import Message
from pacore.core.policies.stops import SetStop
from pacore.core.problem import Problem, Turn
from pacore.core.trajectory import Trajectory
from pacore.store.layout import SCHEMA_VERSION

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_REVISION = 6
"""Counted on when columns are added within a version; a run begun at an earlier one may lack them."""

TEXT_GROUP_ROWS = 96

METADATA_GROUP_ROWS = 122_880

Row = tuple[Any, ...]
"""The values of a row in the order of its table's columns."""

Noun = TypeVar("Noun")


class _Kind(NamedTuple):
    """What a column's values are, in SQL, in Python and in Arrow.

    ``arrow`` is given the module ``pyarrow``, which takes a sixth of a second to load with NumPy and which
    commands that only read, through DuckDB, do not need.
    """

    sql: str
    python: type
    arrow: Callable[[Any], pa.DataType]


LABEL = _Kind("VARCHAR", str, lambda pa: pa.dictionary(pa.int32(), pa.string()))
"""A text that many rows have in common."""

STRING = _Kind("VARCHAR", str, lambda pa: pa.string())
LARGE_STRING = _Kind("VARCHAR", str, lambda pa: pa.large_string())
INT16 = _Kind("SMALLINT", int, lambda pa: pa.int16())
INT32 = _Kind("INTEGER", int, lambda pa: pa.int32())
INT64 = _Kind("BIGINT", int, lambda pa: pa.int64())
DOUBLE = _Kind("DOUBLE", float, lambda pa: pa.float64())
BOOL = _Kind("BOOLEAN", bool, lambda pa: pa.bool_())
TIME = _Kind("TIMESTAMP WITH TIME ZONE", datetime, lambda pa: pa.timestamp("us", "UTC"))


def list_of(kind: _Kind, python: type = list) -> _Kind:
    """Lists of values of a kind."""
    return _Kind(f"{kind.sql}[]", python, lambda pa: pa.list_(kind.arrow(pa)))


INT32_LIST = list_of(INT32, tuple)
INT64_LIST = list_of(INT64, tuple)
STRING_LIST = list_of(STRING, tuple)


def struct_of(**kinds: _Kind) -> _Kind:
    """Objects with the named fields."""
    fields = ", ".join(f'"{name}" {kind.sql}' for name, kind in kinds.items())
    return _Kind(
        f"STRUCT({fields})",
        dict,
        lambda pa: pa.struct([(name, kind.arrow(pa)) for name, kind in kinds.items()]),
    )


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
        import pyarrow as pa

        fields = [
            pa.field(column.name, column.kind.arrow(pa), nullable=column.is_nullable)
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


@dataclass(frozen=True, slots=True)
class NightScore:
    """What a night came to on one problem: one row of a file of the ledger of nights.

    ``arm`` names a strategy; it is empty where a job has none. ``accuracy`` is the mean score, in [0, 1];
    ``answered`` the share of answers that the model gave, None where an arm has no answers of its own.
    ``content_digest`` is of question and gold answer, ``graders`` are the versions that decided.
    """

    arm: str
    problem_id: str
    content_digest: str
    accuracy: float
    answered: float | None
    graders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainingDecision:
    """What a stage of a training set decided on one problem: one row of a file of its decisions.

    ``stage`` is ``filters``, ``validity``, ``stage1`` or ``stage2``. ``reason`` says in a word why the
    problem was not kept, None where it was; ``detail`` what else there is to say, such as the problem that
    it repeats. Of ``drawn`` trajectories ``observed`` have a score and ``right`` are right; ``rate`` is
    their share in [0, 1] with its interval ``low`` to ``high``. ``kind`` names the bounds of the rate, and
    ``straddles`` says whether one of them is within the interval; ``policy`` decides then. ``turning`` is
    the chance that another pool of as many trajectories would have decided otherwise. All but ``kind`` are
    None of ``filters``, and that is where no problem can be read.
    """

    training: str
    stage: str
    source: str
    problem_id: str
    is_kept: bool
    reason: str | None = None
    detail: str | None = None
    kind: str | None = None
    right: int | None = None
    observed: int | None = None
    drawn: int | None = None
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    straddles: bool | None = None
    policy: str | None = None
    turning: float | None = None


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

STOPS = TableSchema(
    "stops",
    SetStop,
    (
        required("problem_id", LABEL),
        required("replicate", INT32),
        required("rule", LABEL),
        required("width", INT32),
        required("begun", INT32),
        required("is_stopped", BOOL),
        optional("reason", LABEL),
        optional("probability", DOUBLE),
        required("trajectory_ids", STRING_LIST),
        required("answer_keys", STRING_LIST),
        required("messages", INT32),
        required("seen_tokens", INT64),
        required("aborted", STRING_LIST),
        required("aborted_tokens", INT64_LIST),
        required("not_begun", INT32),
        required("message_keys", STRING_LIST),
        optional("ends_with", STRING),
        required("decided_at", TIME, "decided_time"),
    ),
)
"""Of rounds under a rule that stops early alone: how it decided each message set."""

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

NIGHT_SCORES = TableSchema(
    "night_scores",
    NightScore,
    (
        required("arm", LABEL),
        required("problem_id", STRING),
        required("content_digest", STRING),
        required("accuracy", DOUBLE),
        optional("answered", DOUBLE),
        required("graders", STRING_LIST),
    ),
)
"""Of no run: what the gate needs of a night, so that it can be decided on when the night's run is gone."""

TRAINING_DECISIONS = TableSchema(
    "training_decisions",
    TrainingDecision,
    (
        required("training", LABEL),
        required("stage", LABEL),
        required("source", LABEL),
        required("problem_id", STRING),
        required("is_kept", BOOL),
        optional("reason", LABEL),
        optional("detail", STRING),
        optional("kind", LABEL),
        optional("right", INT32),
        optional("observed", INT32),
        optional("drawn", INT32),
        optional("rate", DOUBLE),
        optional("low", DOUBLE),
        optional("high", DOUBLE),
        optional("straddles", BOOL),
        optional("policy", LABEL),
        optional("turning", DOUBLE),
    ),
)
"""Of no run: why each problem is in a training set, or is not."""

TABLES: dict[str, TableSchema[Any]] = {
    table.name: table
    for table in (PROBLEMS, TRAJECTORIES, TRAJECTORY_TEXTS, MESSAGES, STOPS, ANSWERS, VERDICTS)
}

FORMER_TABLES = ("scores",)
"""Tables that earlier versions wrote. Their files stay where they are, and nothing reads their rows."""
