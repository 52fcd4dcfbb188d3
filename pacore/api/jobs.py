"""What is made of a file: nights of jobs, training sets, and tests of code problems."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from pacore.api.progress import run_flow, run_shown, tell, waiting
from pacore.api.report import Report
from pacore.core.config.nightly import NightlyConfig
from pacore.core.config.training import TrainingConfig
from pacore.errors import Interrupted
from pacore.evaluation.nightly.expectation import checked_lines
from pacore.evaluation.nightly.jobs import dated_jobs
from pacore.report.ledgers.nightly import NightReport
from pacore.report.ledgers.training import (
    TrainingReport,
    tests_sheet,
    training_records,
    training_report,
    training_sheet,
    trainings_sheet,
)
from pacore.report.rendering.output import written_whole
from pacore.store.backends.opening import open_store
from pacore.store.training import read_all_training, read_training
from pacore.training.generated_tests import TESTS, GeneratedTests, generated_tests


def night(config: NightlyConfig) -> NightReport:
    """Run the jobs of a night, and compare each with its baseline; add the decisions to the ledger.

    What is wrong with any of the jobs is said first, and what they are expected to take of the budget that
    they share, in a line each. Raises BadInput for a date that is to
    come, and Interrupted where it was cancelled: the same call on the same day goes on. A job that is a
    NO-GO, incomplete or failed raises nothing; see `NightReport.code`.
    """
    jobs = dated_jobs(config, datetime.now(UTC))
    with waiting("checking the jobs of the night"):
        found = checked_lines(config, jobs)
    for line in found:
        tell(line)
    from flows.nightly import nightly as flow
    from tasks.opened import CHECKED, SAYING, SHOWING, given

    with (
        given(CHECKED, found),
        given(SAYING, tell),
        given(SHOWING, run_shown),
    ):
        try:
            state = run_flow(flow, config, "the night")
        except NightReport as report:
            return report
    if state.name == "Cancelled":
        raise Interrupted("the night was interrupted; the same command goes on")
    found = state.result(raise_on_failure=False)
    assert isinstance(found, NightReport)
    return found


def make_training(config: TrainingConfig) -> Report[TrainingReport]:
    """Make a training set, or go on with it, and say what it came to.

    Raises what a run or an evaluation ended with, and Interrupted where it was cancelled: the same call
    goes on.
    """
    from flows.training_data import training_data as flow
    from tasks.opened import SHOWING, given

    with given(SHOWING, run_shown):
        state = run_flow(flow, config, f"training set {config.name}")
    if state.name == "Cancelled":
        raise Interrupted("the training set was interrupted; the same command goes on")
    found = state.result(raise_on_failure=False)
    assert isinstance(found, TrainingReport)
    return _as_report(found)


def show_training(store: str, name: str) -> Report[TrainingReport]:
    """What a training set came to so far. Raises Refused where there is none of the name."""
    opened = open_store(store)
    return _as_report(training_report(opened, read_training(opened, name)))


def list_trainings(store: str) -> Report[list[TrainingReport]]:
    """All training sets of a store, by name."""
    opened = open_store(store)
    found = [training_report(opened, record) for record in read_all_training(opened)]
    return Report(found, [trainings_sheet(found)], records=list(map(training_records, found)))


def make_tests(problems: str, file: str, *, tests: int = TESTS) -> Report[list[GeneratedTests]]:
    """Make tests for the code problems of some files, and write those with tests to a new problem set.

    Raises BadInput for a file or a row that is wrong, Refused where ``file`` is there already, NoSandbox
    where programs cannot be confined.
    """
    found = []
    with (
        written_whole(file, is_replaced=False) as place,
        open(place, "w", encoding="utf-8") as opened,
    ):
        for one in generated_tests(problems, tests):
            if one.row is not None:
                opened.write(json.dumps(one.row, ensure_ascii=False) + "\n")
            # Its tests may be megabytes.
            found.append(replace(one, row=None))
    return Report(found, [tests_sheet(found)])


def _as_report(found: TrainingReport) -> Report[TrainingReport]:
    return Report(found, [training_sheet(found)], records=training_records(found))
