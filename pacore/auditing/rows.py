"""Reading for an audit: the rows of committed files, sorted, place by place, never all at once."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from pacore.errors import StoreError
from pacore.warehouse.files import file_rows

Row = Mapping[str, Any]
Place = tuple[str, int]
"""Problem id and replicate."""

_PLACE: dict[str, type] = {"problem_id": str, "replicate": int}
_SLOT: dict[str, type] = {**_PLACE, "slot": int, "trajectory_id": str}
NEEDED: dict[str, dict[str, type]] = {
    "trajectories": {
        **_SLOT,
        "draw": int,
        "attempt": int,
        "seed": int,
        "prompt_digest": str,
        "finish_reason": str,
        "conclusion_status": str,
        "content_characters": int,
        "reused": bool,
        "text_run_id": str,
    },
    "trajectory_texts": _SLOT,
    "messages": {
        **_PLACE,
        "position": int,
        "trajectory_id": str,
        "text": str,
        "characters": int,
        "compactor": str,
    },
    "answers": {**_PLACE, "status": str},
    "scores": {**_PLACE, "grader": str, "grader_version": str, "verdict": str, "gold": str},
    "verdicts": {
        **_SLOT,
        "grading": str,
        "grader": str,
        "grader_version": str,
        "verdict": str,
    },
}
"""Columns without which a row of a table says nothing, and what their values are."""


class Unreadable(StoreError):
    """A file of the store that cannot be read as what it is; ``key`` names it."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


def table_rows(table: str, path: str, key: str, problem_id: str | None = None) -> Iterator[Row]:
    """The rows of one committed file by place, each with the ``file`` it stands in.

    ``path`` is a local copy of the file ``key``. Texts come as digests. ``problem_id`` keeps to
    one problem. Raises Unreadable.
    """
    needed = NEEDED[table]
    for row in _read(table, key, path=path, problem_id=problem_id):
        for column, kind in needed.items():
            if not isinstance(row.get(column), kind):
                raise Unreadable(key, f"a row has {row.get(column)!r} for its {column}")
        yield {**row, "file": key}


def row_count(path: str, key: str) -> int:
    """How many rows a file has. Raises Unreadable."""
    (counted,) = _read("rows", key, path=path)
    found: int = counted["rows"]
    return found


def problem_rows(path: str, key: str) -> Iterator[Row]:
    """The rows of a frozen problem set, in the file's order. Raises Unreadable."""
    return _read("problems", key, path=path)


def _read(name: str, key: str, **parameters: Any) -> Iterator[Row]:
    try:
        yield from file_rows(name, **parameters)
    except StoreError as fault:
        raise Unreadable(key, f"cannot be read: {fault}") from fault


def aligned(
    streams: Iterable[tuple[str, Iterable[Row]]],
) -> Iterator[tuple[Place, Mapping[str, list[Row]]]]:
    """Rows of several sorted streams that belong to one problem and replicate, by stream's name.

    Streams of one name are put together. One place is in memory at a time.
    """

    def named(name: str, rows: Iterable[Row]) -> Iterator[tuple[Place, str, Row]]:
        for row in rows:
            yield (row["problem_id"], row["replicate"]), name, row

    merged = heapq.merge(*(named(*stream) for stream in streams), key=lambda item: item[0])
    for place, members in groupby(merged, key=lambda item: item[0]):
        found: dict[str, list[Row]] = {}
        for _, name, row in members:
            found.setdefault(name, []).append(row)
        yield place, found
