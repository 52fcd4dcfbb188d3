"""Prefect artifacts: a run's progress while it goes on, its results as tables, its report as Markdown."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactUpdate

from pacore.report.rendering.markup import to_markdown
from pacore.report.rendering.sheet import Passage, Sheet
from pacore.report.run import ResultRow, RunResults, next_commands, result_sheet
from pacore.report.status import progress_sheet, rounds_table
from pacore.runs.dispatch.progress import Pace, Progress
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
    """The progress of a run in the Prefect UI: a bar, and where trajectories are sampled a page with each
    round and the problems in work. Its notices go to the flow run's log.

    The page is updated less often the longer the run takes, and less often still while nothing changes.
    A server that does not take an update is a warning in that log: no run fails for what is said
    about it.
    """

    def __init__(self, run_id: str, progress: Progress) -> None:
        self._progress = progress
        self._logged = 0
        self._is_refused = False
        self._pace = Pace(progress.clock())
        self._bar = _made(
            create_progress_artifact(
                progress=0.0, key=_key("progress", run_id), description=progress.line()
            )
        )
        self._page: UUID | None = None
        if progress.rounds:
            created = create_markdown_artifact(key=_key("rounds", run_id), markdown=self._shown())
            self._page = _made(created)

    def update(self, client: SyncPrefectClient, *, is_last: bool = False) -> None:
        """Show how far the run is now; the last update shows the page too, whenever it was shown before."""
        for notice in self._progress.notices[self._logged :]:
            is_warning = notice.startswith("warning:")
            get_run_logger().log(logging.WARNING if is_warning else logging.INFO, "%s", notice)
            self._logged += 1
        done = 100.0 * self._progress.settled / max(self._progress.planned, 1)
        try:
            update_progress_artifact(
                self._bar, progress=min(done, 100.0), description=self._progress.line()
            )
            is_due = self._pace.is_due(self._progress.stage, self._progress.clock())
            if self._page is not None and (is_due or is_last):
                client.update_artifact(self._page, ArtifactUpdate(data=self._shown()))
        except RECORD_FAULTS as fault:
            if not self._is_refused:
                get_run_logger().warning("Prefect's progress stays as it is: %s", fault)
            self._is_refused = True

    def _shown(self) -> str:
        return to_markdown(progress_sheet(self._progress))


def _made(artifact_id: object) -> UUID:
    """The id of an artifact that was created, which Prefect's annotation says may be awaited."""
    assert isinstance(artifact_id, UUID)
    return artifact_id


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


def summary_artifact(found: RunResults, progress: Progress, store_url: str) -> None:
    """What a run came to as Markdown: its results, its rounds, and the commands that show more of it."""
    page = result_sheet(found, progress)
    commands = next_commands(found, store_url)
    sections = [*page.sections, [rounds_table(progress)], [Passage(commands)]]
    markdown = to_markdown(replace(page, sections=sections))
    create_markdown_artifact(key=_key("summary", found.run.run_id), markdown=markdown)


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
