"""Prefect artifacts: a run's progress while it goes on, and its results as a table."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from pacore.report.sweep import SweepOutcome
from pacore.report.terminal import share
from pacore.runs.dispatch.progress import Progress
from pacore.text import as_markdown
from tasks.settings import RECORD_FAULTS


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


def results_artifact(run_id: str, rows: Sequence[Mapping[str, Any]], summary: str) -> None:
    """The run's answers and scores as a table in the Prefect UI."""
    create_table_artifact(
        key=_key("results", run_id),
        table=[{name: _cell(value) for name, value in row.items()} for row in rows],
        description=summary,
    )


def verdicts_artifact(run_id: str, rounds: Sequence[Mapping[str, Any]], summary: str) -> None:
    """How many verdicts of each kind there are on a run's trajectories, as a table by round."""
    rows = [dict(row) for row in rounds]
    create_table_artifact(key=_key("verdicts", run_id), table=rows, description=summary)


def report_artifact(run_id: str, report: str, gradings: Sequence[Mapping[str, Any]]) -> None:
    """The report of a run as it stands in a terminal, and its accuracy by each grading."""
    names = ("grading", "grader", "grader_version")
    rows = [
        f"| {' | '.join(as_markdown(row[name]) for name in names)} | {share(row['score'])} | "
        f"{row['scored']} of {row['planned']} | {'yes' if row['stands'] else ''} |"
        for row in gradings
    ]
    head = [
        "| grading | grader | version | accuracy | scored | current |",
        "|---|---|---|---|---|---|",
    ]
    # Longer than any fence in the text, so that nothing in it ends the block.
    fence = "`" * (3 + max(map(len, re.findall("`+", report)), default=0))
    markdown = "\n".join([fence, report, fence, "", *head, *rows])
    create_markdown_artifact(key=_key("evaluation", run_id), markdown=markdown)


def sweep_artifact(outcome: SweepOutcome) -> None:
    """The arms of a sweep as a table in the Prefect UI, and where its picture is."""
    found = outcome.result
    create_table_artifact(
        key=_key("sweep", found.sweep_id),
        table=[
            {name: _cell(value) for name, value in asdict(row).items() if name != "arm"}
            for row in found.rows
        ],
        description=(
            f"sweep {as_markdown(found.sweep_id)}: {found.new_tokens:,} tokens generated, "
            f"{found.alone_tokens:,} had each arm been made alone; {as_markdown(outcome.files[0])}"
        ),
    )


def _cell(value: Any) -> Any:
    """A cell of an artifact's table; the UI renders texts as Markdown, and these come from models."""
    return as_markdown(value) if isinstance(value, str) else value
