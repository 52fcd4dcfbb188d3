"""Prefect artifacts: a run's progress while it goes on, its results as tables, its report as Markdown."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from pacore.report.rendering.markup import to_markdown
from pacore.report.rendering.sheet import Sheet
from pacore.report.run import ResultRow
from pacore.runs.dispatch.progress import Progress
from pacore.text import as_markdown
from tasks.settings import RECORD_FAULTS

if TYPE_CHECKING:  # a sweep draws and tests, and no other flow waits for what that needs
    from pacore.evaluation.sweep import SweepRow
    from pacore.report.evaluation import GradedRound
    from pacore.report.sweep import SweepOutcome


def _key(kind: str, run_id: str) -> str:
    """An artifact key: lower-case letters, digits and dashes are all it may hold."""
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', run_id.lower()).strip('-')}"


class ProgressArtifact:
    """The progress bar of a run in the Prefect UI; its notices go to the flow run's log.

    A server that does not take an update is a warning in that log: no run fails for what is said
    about it.
    """

    def __init__(self, run_id: str, progress: Progress) -> None:
        self._progress = progress
        self._logged = 0
        self._is_refused = False
        created = create_progress_artifact(
            progress=0.0, key=_key("progress", run_id), description=progress.line()
        )
        assert isinstance(created, UUID)
        self._artifact_id = created

    def update(self) -> None:
        for notice in self._progress.notices[self._logged :]:
            is_warning = notice.startswith("warning:")
            get_run_logger().log(logging.WARNING if is_warning else logging.INFO, "%s", notice)
            self._logged += 1
        done = 100.0 * self._progress.settled / max(self._progress.planned, 1)
        try:
            update_progress_artifact(
                self._artifact_id, progress=min(done, 100.0), description=self._progress.line()
            )
        except RECORD_FAULTS as fault:
            if not self._is_refused:
                get_run_logger().warning("Prefect's progress bar stays as it is: %s", fault)
            self._is_refused = True


def results_artifact(run_id: str, results: Sequence[ResultRow], summary: str) -> None:
    """The run's answers and scores as a table in the Prefect UI."""
    create_table_artifact(
        key=_key("results", run_id), table=list(map(_row, results)), description=summary
    )


def verdicts_artifact(run_id: str, rounds: Sequence[GradedRound], summary: str) -> None:
    """How many verdicts of each kind there are on a run's trajectories, as a table by round."""
    create_table_artifact(
        key=_key("verdicts", run_id), table=list(map(_row, rounds)), description=summary
    )


def report_artifact(run_id: str, report: Sheet) -> None:
    """The report of a run as Markdown."""
    create_markdown_artifact(key=_key("evaluation", run_id), markdown=to_markdown(report))


def sweep_artifact(outcome: SweepOutcome) -> None:
    """The arms of a sweep as a table in the Prefect UI, and where its picture is."""
    found = outcome.result
    rows = [_row(arm) for arm in found.arms]
    for row in rows:
        del row["arm"]
    create_table_artifact(
        key=_key("sweep", found.sweep),
        table=rows,
        description=(
            f"sweep {as_markdown(found.sweep)}: {found.new_tokens:,} tokens generated, "
            f"{found.alone_tokens:,} had each arm been made alone; {as_markdown(outcome.files[0])}"
        ),
    )


def _row(record: ResultRow | GradedRound | SweepRow) -> dict[str, object]:
    """A row of an artifact's table; the UI renders texts as Markdown, and these come from models."""
    return {
        name: as_markdown(value) if isinstance(value, str) else value
        for name, value in asdict(record).items()
    }
