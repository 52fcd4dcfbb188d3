"""Prefect artifacts: a run's progress while it goes on, its results as tables, its report as Markdown."""

from __future__ import annotations

import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
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
from pacore.runs.dispatch.progress import WARNING, Pace, Progress
from pacore.text import as_markdown
from tasks.settings import RECORD_FAULTS

if TYPE_CHECKING:  # a sweep draws and tests, and no other flow waits for what that needs
    from pacore.evaluation.nightly.progress import NightProgress
    from pacore.evaluation.sweep import SweepRow
    from pacore.report.evaluation import GradedRound
    from pacore.report.sweep import SweepOutcome
    from tasks.dead import Change


def _key(kind: str, run_id: str) -> str:
    """An artifact key: lower-case letters, digits and dashes are all it may hold."""
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', run_id.lower()).strip('-')}"


class UpdatedArtifact(ABC):
    """What the Prefect UI shows of work that goes on. A server that does not take an update is a warning in
    the flow run's log, once: no run fails for what is said about it.
    """

    _is_refused = False

    def update(self, client: SyncPrefectClient, *, is_last: bool = False) -> None:
        """Show how far the work is now, as far as that is due or is the last that is shown of it."""
        try:
            self._update(client, is_last)
        except RECORD_FAULTS as fault:
            if not self._is_refused:
                get_run_logger().warning("Prefect's progress stays as it is: %s", fault)
            self._is_refused = True

    @abstractmethod
    def _update(self, client: SyncPrefectClient, is_last: bool) -> None:
        """As `update`; raises what a server does that does not take it."""


class ProgressArtifact(UpdatedArtifact):
    """The progress of a run in the Prefect UI: a bar, and where trajectories are sampled a page with each
    round and the problems in work. Its notices go to the flow run's log.

    The page is updated less often the longer the run takes, and less often still while nothing changes.
    """

    def __init__(self, run_id: str, progress: Progress) -> None:
        self._progress = progress
        self._logged = 0
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

    def _update(self, client: SyncPrefectClient, is_last: bool) -> None:
        """The last update shows the page too, whenever it was shown before."""
        for notice in self._progress.notices[self._logged :]:
            is_warning = notice.startswith(WARNING)
            get_run_logger().log(logging.WARNING if is_warning else logging.INFO, "%s", notice)
            self._logged += 1
        done = 100.0 * self._progress.settled / max(self._progress.planned, 1)
        update_progress_artifact(
            self._bar, progress=min(done, 100.0), description=self._progress.line()
        )
        is_due = self._pace.is_due(self._progress.stage, self._progress.clock())
        if self._page is not None and (is_due or is_last):
            client.update_artifact(self._page, ArtifactUpdate(data=self._shown()))

    def _shown(self) -> str:
        return to_markdown(progress_sheet(self._progress))


class NightArtifact(UpdatedArtifact):
    """The progress of a night in the Prefect UI: a bar, and below it a table of its jobs with what is spent
    of the budget that they share.

    It is updated when a job's state changes, and otherwise less often the longer the night takes.
    ``sheet_of`` makes the table.
    """

    def __init__(self, progress: NightProgress, sheet_of: Callable[[NightProgress], Sheet]) -> None:
        self._progress, self._sheet_of = progress, sheet_of
        self._states = progress.states
        self._pace = Pace(time.monotonic())
        self._artifact = _made(
            create_progress_artifact(
                progress=0.0, key="progress-night", description=self._description()
            )
        )

    def _update(self, client: SyncPrefectClient, is_last: bool) -> None:
        del client  # Prefect's function for it takes none, and has one of its own.
        shown, states = self._description(), self._progress.states
        is_due = self._pace.is_due(shown, time.monotonic())
        if not (is_due or is_last or states != self._states):
            return
        self._states = states
        update_progress_artifact(
            self._artifact, progress=100.0 * self._progress.done, description=shown
        )

    def _description(self) -> str:
        return to_markdown(self._sheet_of(self._progress))


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


def nights_artifact(report: Sheet) -> None:
    """What each job of a night came to, as Markdown."""
    create_markdown_artifact(key="nightly", markdown=to_markdown(report))


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


def tidy_artifact(changes: Sequence[Change], summary: str) -> None:
    """What was put right in Prefect's records, as a table."""
    create_table_artifact(key="tidy", table=list(map(_row, changes)), description=summary)


def _row(record: ResultRow | GradedRound | SweepRow | Change) -> dict[str, object]:
    """A row of an artifact's table; the UI renders texts as Markdown, and these come from models."""
    return {
        name: as_markdown(value) if isinstance(value, str) else value
        for name, value in asdict(record).items()
    }
