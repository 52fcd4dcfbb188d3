"""What a run came to, as a report: apart from what makes runs, for which nobody waits who only looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacore.api.report import Report
from pacore.report.rendering.sheet import Sheet
from pacore.report.run import RunResults, failures_sheet, result_sheet, run_figure, run_results
from pacore.runs.dispatch.progress import Progress
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import ReportWarehouse

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure


class RunReport(Report[RunResults]):
    """What a run came to: its problems with their answers and scores, and its totals."""

    @property
    def run_id(self) -> str:
        return self.data.run.run_id

    @property
    def failed(self) -> list[str]:
        """The problems that failed in some replicate, sorted by id."""
        return self.data.failed


def results_of(store_url: str, run_id: str) -> RunResults:
    """What a run came to, from its tables. Raises Refused for an unknown run."""
    with ReportWarehouse(open_store(store_url), [run_id]) as warehouse:
        return run_results(warehouse, run_id)


def run_report(store_url: str, found: RunResults, progress: Progress | None = None) -> RunReport:
    """Results as a report; ``progress`` adds time and speed of the process that made them. Its figure is
    drawn from the tables as they are by then.
    """

    def drawn() -> Figure:
        with ReportWarehouse(open_store(store_url), [found.run.run_id]) as warehouse:
            return run_figure(warehouse, found.run.run_id)

    sheets: list[Sheet] = [result_sheet(found, progress)]
    if found.failed:
        sheets.append(failures_sheet(found))
    return RunReport(found, sheets, drawn)
