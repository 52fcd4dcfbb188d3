"""Queries over one local file each: rows that the stages and the audit read of committed files."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

from pacore.core.grading.verdict import VerdictName
from pacore.core.message import CompactionInput
from pacore.core.trajectory import ConclusionStatus, FinishReason
from pacore.warehouse.connection import Connection, as_store_error, connect, rows_of, sql


@cache
def _rounds_connection(process: int) -> Connection:
    """One database for the round queries of a process; a forked child must not use its parent's."""
    spill = os.path.join(tempfile.gettempdir(), f"pacore-rounds-{process}")
    return connect(spill, threads=2)


# A connection that is open when the interpreter ends makes DuckDB print what it leaks.
atexit.register(_rounds_connection.cache_clear)


def _stream(name: str, **parameters: Any) -> Iterator[tuple[Any, ...]]:
    """Rows of ``sql/runs/<name>.sql``, fetched as they are read; safe from any thread."""
    with _rounds_connection(os.getpid()).cursor() as cursor, as_store_error():
        cursor.execute(sql(f"runs/{name}"), parameters)
        yield from rows_of(cursor)


def candidates(path: str) -> Iterator[CandidateRow]:
    """The current attempt at every slot of a trajectories file, by problem id, replicate and slot."""
    return (CandidateRow._make(row) for row in _stream("candidates", path=path))


def message_sets(path: str) -> Iterator[tuple[tuple[str, int], list[str], list[str]]]:
    """Each message set of a messages file: (problem id, replicate), texts and ids by position."""
    rows = _stream("message_sets", path=path)
    for (problem_id, replicate), group in groupby(rows, key=lambda row: (row[0], row[1])):
        messages = list(group)
        yield (problem_id, replicate), [row[2] for row in messages], [row[3] for row in messages]


def answers_of(path: str) -> Iterator[AnswerRow]:
    """The rows of an answers file, by problem id and replicate."""
    return (AnswerRow._make(row) for row in _stream("answers", path=path))


def conclusions(path: str) -> Iterator[ConclusionRow]:
    """The conclusion of every current trajectory of a trajectories file that was finished.

    By problem id, replicate and slot.
    """
    return (ConclusionRow._make(row) for row in _stream("conclusions", path=path))


def verdicts_in(table: str, path: str) -> Iterator[VerdictRow]:
    """Every different verdict on an answer in a file of ``verdicts`` or ``scores``.

    What broke off said nothing of an answer and is not among them.
    """
    return (VerdictRow._make(row) for row in _stream(table, path=path))


def file_rows(name: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    """Rows of ``sql/audit/<name>.sql`` over one local file as dicts, fetched as they are read."""
    with _rounds_connection(os.getpid()).cursor() as cursor, as_store_error():
        cursor.execute(sql(f"audit/{name}"), parameters)
        columns = cursor.columns()
        for row in rows_of(cursor):
            yield dict(zip(columns, row, strict=True))


class CandidateRow(NamedTuple):
    """The current attempt at one slot.

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
    def compaction_input(self) -> CompactionInput:
        return CompactionInput(
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
