"""The tables as Parquet: one explicit Arrow schema each, and a writer that rejects what is not it.

``run_id`` and ``round`` are partition columns: they stand in a file's path, not in its rows. A
schema's version stands in the path too; within a version columns are only ever added, nullable.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pacore.answer import Answer
from pacore.errors import BadInput
from pacore.grading.score import Score
from pacore.identity import canonical_json
from pacore.message import Message
from pacore.problem import Problem, Turn
from pacore.trajectory import Trajectory

SCHEMA_VERSION = 1
TEXT_GROUP_ROWS = 96
METADATA_GROUP_ROWS = 122_880
GROUP_BYTES = 32 * 1024 * 1024
BLOOM_VALUES = 4096
"""Distinct ids a row group's bloom filter is sized for: 5 kB; the default of a million is 1 MB."""

_LABEL = pa.dictionary(pa.int32(), pa.string())
Row = tuple[Any, ...]


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
    text=("turns", "statement"),
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
    ),
    text=("conclusion",),
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
    ),
)

TABLES: dict[str, TableSchema] = {
    table.name: table
    for table in (PROBLEMS, TRAJECTORIES, TRAJECTORY_TEXTS, MESSAGES, ANSWERS, SCORES, RUNS)
}


def problem_row(problem: Problem, problem_set: str) -> Row:
    turns = canonical_json([turn.as_json() for turn in problem.turns]).decode()
    metadata = canonical_json(dict(problem.metadata)).decode() if problem.metadata else None
    return (
        problem_set,
        problem.problem_id,
        problem.content_digest,
        turns,
        problem.statement,
        problem.gold,
        problem.grader,
        metadata,
    )


def problem_of(row: Mapping[str, Any]) -> Problem:
    turns = tuple(Turn(turn["role"], turn["content"]) for turn in json.loads(row["turns"]))
    metadata = json.loads(row["metadata"]) if row["metadata"] else {}
    return Problem(row["problem_id"], turns, row["gold"], row["grader"], metadata)


def trajectory_row(trajectory: Trajectory) -> Row:
    place, made, thought = trajectory.place, trajectory.generation, trajectory.thought
    return (
        place.problem_id,
        place.replicate,
        place.slot,
        place.draw,
        trajectory.attempt,
        trajectory.trajectory_id,
        trajectory.seed,
        trajectory.prompt_digest,
        made.finish_reason,
        thought.status,
        thought.conclusion,
        made.prompt_tokens,
        made.completion_tokens,
        made.usage_source,
        made.wasted_tokens,
        made.tries,
        thought.thinking_closed,
        len(thought.reasoning or ""),
        trajectory.content_characters,
        made.error,
        trajectory.reused,
        trajectory.text_run_id,
        made.engine,
        made.engine_version,
        made.served_model,
        made.fingerprint,
        made.latency_seconds,
        trajectory.generated_at,
    )


def text_row(trajectory: Trajectory) -> Row:
    place = trajectory.place
    return (
        place.problem_id,
        place.replicate,
        place.slot,
        trajectory.trajectory_id,
        trajectory.thought.reasoning,
        trajectory.generation.content,
    )


def message_row(message: Message) -> Row:
    return (
        message.problem_id,
        message.replicate,
        message.position,
        message.trajectory_id,
        message.text,
        len(message.text),
        message.compactor,
    )


def answer_row(answer: Answer) -> Row:
    return (
        answer.problem_id,
        answer.replicate,
        answer.answer,
        answer.method,
        answer.trajectory_id,
        answer.finish_reason,
        answer.status,
        answer.reason,
        answer.failed_round,
    )


def score_row(score: Score) -> Row:
    return (
        score.problem_id,
        score.replicate,
        score.trajectory_id,
        score.grader,
        score.grader_version,
        score.status,
        score.score,
        score.gold,
        score.answer,
    )


ROW_OF: dict[str, Callable[[Any], Row]] = {
    "trajectories": trajectory_row,
    "trajectory_texts": text_row,
    "messages": message_row,
    "answers": answer_row,
    "scores": score_row,
}


class TableWriter:
    """Writes rows of one table to a local Parquet file, a bounded row group at a time.

    Rows are tuples in the schema's order. A row that does not fit the schema raises
    ``pyarrow.ArrowInvalid`` or ``pyarrow.ArrowTypeError``; nothing is inferred. The file is
    complete only once the writer is closed without an error.
    """

    def __init__(self, path: Path, table: TableSchema) -> None:
        self.table = table
        self.rows = 0
        self._waiting: list[Row] = []
        self._waiting_bytes = 0
        self._text_columns = [table.schema.get_field_index(name) for name in table.text]
        labels = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
        plain = [name for name in table.schema.names if name not in table.text]
        self._writer = pq.ParquetWriter(
            path,
            table.schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=labels,
            write_statistics=plain,
            write_batch_size=16 if table.group_rows == TEXT_GROUP_ROWS else 1024,
            bloom_filter_options={name: {"ndv": BLOOM_VALUES} for name in table.bloom} or None,
        )

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        self.close()

    def finish(self) -> None:
        """Write what waits and the footer; after this the file is whole."""
        self._flush()
        self._writer.close()

    def close(self) -> None:
        """Let go of the file, whole or not."""
        self._writer.close()

    def add(self, row: Row) -> None:
        if len(row) != len(self.table.schema):
            raise pa.ArrowInvalid(f"{self.table.name}: {len(row)} values for its columns")
        self._waiting.append(row)
        self._waiting_bytes += sum(len(row[index] or "") for index in self._text_columns)
        self.rows += 1
        if len(self._waiting) >= self.table.group_rows or self._waiting_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._writer.write_table(to_arrow(self.table, self._waiting))
        self._waiting = []
        self._waiting_bytes = 0


def to_arrow(table: TableSchema, rows: Sequence[Row]) -> pa.Table:
    """Rows as an Arrow table of exactly the schema, nulls refused where it has none."""
    columns = zip(*rows, strict=True) if rows else ([] for _ in table.schema)
    arrays = []
    for field, values in zip(table.schema, columns, strict=True):
        array = pa.array(values, type=field.type)
        if array.null_count and not field.nullable:
            raise pa.ArrowInvalid(f"{table.name}.{field.name}: a null where none may be")
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=table.schema)


def read_rows(
    path: str, columns: Sequence[str], start: int = 0, stop: int | None = None
) -> Iterator[dict[str, Any]]:
    """Rows ``start`` to ``stop`` of one local Parquet file, only the row groups that hold them."""
    with pq.ParquetFile(path) as file:
        position = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            first, last = max(start - position, 0), rows
            if stop is not None:
                last = min(stop - position, rows)
            if first < last:
                table = file.read_row_group(group, columns=list(columns))
                yield from table.slice(first, last - first).to_pylist()
            position += rows


def iter_parquet_rows(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """Every row of somebody's Parquet file as a dict, a small batch in memory at a time.

    Raises BadInput when the bytes are not Parquet.
    """
    try:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=256):
                yield from batch.to_pylist()
    except pa.ArrowInvalid as fault:
        raise BadInput(f"is not a Parquet file: {str(fault).splitlines()[0]}") from fault


def write_rows(path: Path, table: TableSchema, rows: Iterable[Row]) -> int:
    """Write a whole file; returns the number of rows."""
    with TableWriter(path, table) as writer:
        for row in rows:
            writer.add(row)
    return writer.rows
