"""Nights: the jobs of a configuration, run and decided on through Prefect."""

from __future__ import annotations

from pacore.api.progress import run_flow
from pacore.core.config.nightly import NightlyConfig
from pacore.errors import Interrupted
from pacore.report.nightly import NightReport


def night(config: NightlyConfig) -> NightReport:
    """Run the jobs of a night, and compare each with its baseline; add the decisions to the ledger.

    Raises Interrupted where it was cancelled: the same call on the same day goes on. A job that is a NO-GO,
    incomplete or failed raises nothing; see `NightReport.code`.
    """
    from flows.nightly import nightly as flow

    try:
        state = run_flow(flow, config, "the night")
    except NightReport as report:
        return report
    if state.name == "Cancelled":
        raise Interrupted("the night was interrupted; the same command goes on")
    found = state.result(raise_on_failure=False)
    assert isinstance(found, NightReport)
    return found
