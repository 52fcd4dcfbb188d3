"""The gradings of a run: whose verdicts there are, in which order they were given, which stands.

A grading is what one grader said of every trajectory of a run, under one version of it. Each keeps
its verdicts: grading again adds one, and the last that came to its end stands. What a run itself
says of its answers while it is made is its first grading, called ``run``.

That a grading came to its end is recorded once; whether it is still at it follows from what is
committed. A retry replaces trajectories, and until their successors have verdicts too, a grading
goes on again and does not stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pacore.store.gradings import OWN, GradingRecord, standing
from pacore.store.rows import Row


def grading_rows(run_id: str, created_at: datetime, records: list[GradingRecord]) -> Iterator[Row]:
    """The gradings of a run as rows of the table ``gradings``, the run's own as number 0."""
    stands = standing(records)
    yield run_id, OWN, 0, "auto", "", "gold", created_at, created_at, stands is None
    for record in records:
        grading = record.grading
        yield (
            run_id,
            grading.grading_id,
            record.sequence,
            grading.grader,
            grading.grader_version,
            grading.against,
            record.created_at,
            record.finished_at,
            record is stands,
        )
