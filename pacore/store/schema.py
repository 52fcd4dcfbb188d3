"""The tables' schemas: explicit Arrow columns each, and how their files are laid out.

``run_id`` and ``round`` are partition columns: they are in a file's path, not in its rows. A schema's
version is in the path too; within a version columns are only ever added, nullable.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 1

SCHEMA_REVISION = 4
"""Counted on when columns are added within a version; a run begun at an earlier one may lack them."""

TEXT_GROUP_ROWS = 96

METADATA_GROUP_ROWS = 122_880

_LABEL = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class TableSchema:
    """A table's name, its Arrow schema, and how its files are laid out.

    ``text`` columns get neither statistics nor dictionary; ``sizes`` are the columns whose bytes
    count towards a row group.
    """

    name: str
    schema: pa.Schema
    text: tuple[str, ...] = ()
    bloom: tuple[str, ...] = ()
    group_rows: int = METADATA_GROUP_ROWS


def _schema(**columns: pa.DataType) -> pa.Schema:
    """A schema in the order given; a leading underscore of a name marks a column without nulls."""
    fields = [
        pa.field(name.removeprefix("_"), kind, nullable=not name.startswith("_"))
        for name, kind in columns.items()
    ]
    return pa.schema(fields, metadata={"pacore.schema_version": str(SCHEMA_VERSION)})


PROBLEMS = TableSchema(
    "problems",
    _schema(
        _problem_set=_LABEL,
        _problem_id=pa.string(),
        _content_digest=pa.string(),
        _turns=pa.large_string(),
        _statement=pa.large_string(),
        gold=pa.string(),
        grader=_LABEL,
        metadata=pa.string(),
    ),
    text=("turns", "statement", "gold"),
    group_rows=1024,
)

TRAJECTORIES = TableSchema(
    "trajectories",
    _schema(
        _problem_id=_LABEL,
        _replicate=pa.int32(),
        _slot=pa.int32(),
        _draw=pa.int32(),
        _attempt=pa.int16(),
        _trajectory_id=pa.string(),
        _seed=pa.int64(),
        _prompt_digest=_LABEL,
        _finish_reason=_LABEL,
        _conclusion_status=_LABEL,
        conclusion=pa.large_string(),
        prompt_tokens=pa.int32(),
        completion_tokens=pa.int32(),
        _usage_source=_LABEL,
        _wasted_tokens=pa.int64(),
        _tries=pa.int32(),
        thinking_closed=pa.bool_(),
        _reasoning_characters=pa.int64(),
        _content_characters=pa.int64(),
        error=pa.string(),
        _reused=pa.bool_(),
        _text_run_id=_LABEL,
        _engine=_LABEL,
        engine_version=_LABEL,
        served_model=_LABEL,
        fingerprint=_LABEL,
        _latency_seconds=pa.float64(),
        _generated_at=pa.timestamp("us", "UTC"),
        prompt_messages=pa.int32(),
        max_tokens=pa.int32(),
        retry_of=pa.string(),
        cached_prompt_tokens=pa.int32(),
        prompt_positions=pa.list_(pa.int32()),
        finish_said=_LABEL,
        unread=pa.large_string(),
        wire=_LABEL,
    ),
    text=("conclusion", "unread"),
    bloom=("trajectory_id",),
)

TRAJECTORY_TEXTS = TableSchema(
    "trajectory_texts",
    _schema(
        _problem_id=_LABEL,
        _replicate=pa.int32(),
        _slot=pa.int32(),
        _trajectory_id=pa.string(),
        reasoning=pa.large_string(),
        content=pa.large_string(),
    ),
    text=("reasoning", "content"),
    bloom=("trajectory_id",),
    group_rows=TEXT_GROUP_ROWS,
)

MESSAGES = TableSchema(
    "messages",
    _schema(
        _problem_id=_LABEL,
        _replicate=pa.int32(),
        _position=pa.int32(),
        _trajectory_id=pa.string(),
        _text=pa.large_string(),
        _characters=pa.int64(),
        _compactor=_LABEL,
    ),
    text=("text",),
)

ANSWERS = TableSchema(
    "answers",
    _schema(
        _problem_id=_LABEL,
        _replicate=pa.int32(),
        answer=pa.string(),
        method=_LABEL,
        trajectory_id=pa.string(),
        finish_reason=_LABEL,
        _status=_LABEL,
        reason=pa.string(),
        failed_round=pa.int32(),
    ),
)

SCORES = TableSchema(
    "scores",
    _schema(
        _problem_id=_LABEL,
        _replicate=pa.int32(),
        trajectory_id=pa.string(),
        _grader=_LABEL,
        _grader_version=_LABEL,
        _status=_LABEL,
        score=pa.float64(),
        _gold=pa.string(),
        answer=pa.string(),
    ),
)

VERDICTS = TableSchema(
    "verdicts",
    _schema(
        _problem_id=_LABEL,
        _replicate=pa.int32(),
        _slot=pa.int32(),
        _trajectory_id=pa.string(),
        _grading=_LABEL,
        _grader=_LABEL,
        _grader_version=_LABEL,
        _verdict=_LABEL,
        score=pa.float64(),
        answer=pa.large_string(),
        method=_LABEL,
        answer_key=pa.large_string(),
        detail=pa.string(),
    ),
    text=("answer", "answer_key"),
)

RUNS = TableSchema(
    "runs",
    _schema(
        _run_id=pa.string(),
        _status=pa.string(),
        _created_at=pa.timestamp("us", "UTC"),
        finished_at=pa.timestamp("us", "UTC"),
        _identity_digest=pa.string(),
        _problem_set=pa.string(),
        _problems=pa.int64(),
        _model=pa.string(),
        revision=pa.string(),
        _widths=pa.list_(pa.int32()),
        _replicates=pa.int32(),
        _rounds=pa.int32(),
        _recipe=pa.string(),
        _plan=pa.string(),
        _producer=pa.string(),
        needed_messages=pa.list_(pa.int32()),
        on_shortfall=pa.string(),
        truncated=pa.string(),
        pool=pa.int32(),
        compaction=pa.string(),
        steps=pa.list_(pa.string()),
        bound_tokens=pa.list_(pa.int32()),
    ),
)

PRICES = TableSchema(
    "prices",
    _schema(
        _model=pa.string(),
        _currency=pa.string(),
        _prompt_per_million=pa.float64(),
        _cached_prompt_per_million=pa.float64(),
        _completion_per_million=pa.float64(),
    ),
)

GRADINGS = TableSchema(
    "gradings",
    _schema(
        _run_id=pa.string(),
        _grading=pa.string(),
        _sequence=pa.int32(),
        _grader=pa.string(),
        _grader_version=pa.string(),
        _against=pa.string(),
        _created_at=pa.timestamp("us", "UTC"),
        finished_at=pa.timestamp("us", "UTC"),
        _stands=pa.bool_(),
    ),
)

TABLES: dict[str, TableSchema] = {
    table.name: table
    for table in (
        PROBLEMS,
        TRAJECTORIES,
        TRAJECTORY_TEXTS,
        MESSAGES,
        ANSWERS,
        SCORES,
        VERDICTS,
        RUNS,
        GRADINGS,
        PRICES,
    )
}
