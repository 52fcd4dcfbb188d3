"""A night of jobs, as the command line and a notebook run it."""

from __future__ import annotations

from datetime import UTC, datetime

from pacore.api.progress import run_flow, run_shown, tell, waiting
from pacore.core.config.nightly import NightlyConfig
from pacore.errors import Interrupted
from pacore.evaluation.nightly.expectation import checked_lines
from pacore.evaluation.nightly.jobs import dated_jobs
from pacore.report.ledgers.nightly import NightReport


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
