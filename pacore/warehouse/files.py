"""Queries over one local file each: rows that the stages and the audit read of committed files."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from pacore.core.answer import Answer
from pacore.core.grading.verdict import VerdictName
from pacore.core.message import CompactionInput
from pacore.core.trajectory import ConclusionStatus, FinishReason
from pacore.warehouse.connection import Connection, as_store_error, connect, rows_of
from pacore.warehouse.relations import sql

_Record = TypeVar("_Record")


@cache
def _rounds_connection(process: int) -> Connection:
    """One database for the round queries of a process; a forked child must not use its parent's."""
    spill = os.path.join(tempfile.gettempdir(), f"pacore-rounds-{process}")
    return connect(spill, threads=2)


# A connection that is open when the interpreter ends makes DuckDB print what it leaks.
atexit.register(_rounds_connection.cache_clear)


def file_records(
    name: str,
    of: Callable[..., _Record],
    columns: Sequence[str] | None = None,
    **parameters: Any,
) -> Iterator[_Record]:
    """What ``of`` makes of each row of ``sql/<name>.sql``, fetched as they are read; from any thread.

    It is given the values of ``columns`` in that order, None for one that a file lacks; without
    ``columns`` all of them by name.
    """
    with _rounds_connection(os.getpid()).cursor() as cursor, as_store_error():
        cursor.execute(sql(name), parameters)
        found = cursor.columns()
        if columns is None:
            for row in rows_of(cursor):
                yield of(**dict(zip(found, row, strict=True)))
        else:
            picked = itemgetter(*(found.index(one) if one in found else -1 for one in columns))
            for row in rows_of(cursor):
                yield of(*picked((*row, None)))


def candidates(path: str) -> Iterator[CandidateRow]:
    """The current attempt at every slot of a trajectories file, by problem id, replicate and slot."""
    return file_records("runs/candidates", CandidateRow, path=path)


def message_sets(path: str) -> Iterator[tuple[tuple[str, int], list[str], list[str]]]:
    """Each message set of a messages file: (problem id, replicate), texts and ids by position."""
    rows = file_records("runs/message_sets", SetMessageRow, path=path)
    for place, group in groupby(rows, key=lambda row: (row.problem_id, row.replicate)):
        messages = list(group)
        texts = [message.text for message in messages]
        yield place, texts, [message.trajectory_id for message in messages]


def agreed_sets(path: str) -> Iterator[tuple[tuple[str, int], str]]:
    """Of a stops file each set on which no round follows: (problem id, replicate), and the trajectory whose
    message has the answer.
    """
    for row in file_records("runs/agreed", AgreedRow, path=path):
        yield (row.problem_id, row.replicate), row.ends_with


def answers_of(path: str) -> Iterator[Answer]:
    """The rows of an answers file, by problem id and replicate."""
    return file_records("runs/answers", Answer, path=path)


def conclusions(path: str) -> Iterator[ConclusionRow]:
    """The conclusion of every current trajectory of a trajectories file that was finished.

    By problem id, replicate and slot.
    """
    return file_records("runs/conclusions", ConclusionRow, path=path)


def verdicts_in(path: str) -> Iterator[VerdictRow]:
    """Every different verdict on an answer in a file of ``verdicts``.

    What broke off said nothing of an answer and is not among them.
    """
    return file_records("runs/verdicts", VerdictRow, path=path)


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


class SetMessageRow(NamedTuple):
    """One message of a message set."""

    problem_id: str
    replicate: int
    text: str
    trajectory_id: str


class AgreedRow(NamedTuple):
    """A set whose messages agree."""

    problem_id: str
    replicate: int
    ends_with: str


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
