"""A store as one object: its runs, what became of them, and queries over their tables.

What evaluates is imported by the methods that do: statistics take as long to load as everything else here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pacore.api.report import Report
from pacore.api.results import RunReport, results_of, run_report
from pacore.errors import Refused
from pacore.report.configuration import configuration_sheet, methods
from pacore.report.query import query_sheet
from pacore.report.rendering.markup import to_html
from pacore.report.rendering.terminal import to_text
from pacore.store.backends.opening import check_folder
from pacore.store.backends.opening import open_store as open_backend
from pacore.store.backends.protocol import Backend
from pacore.store.run import Run, list_runs, open_run
from pacore.warehouse.prices import read_prices
from pacore.warehouse.views import QueryResult, Warehouse

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from pacore.evaluation.comparison import Comparison
    from pacore.evaluation.measures import Measures
    from pacore.evaluation.mechanism import Mechanism
    from pacore.report.problem import ProblemOfRun


def open_store(url: str = "./store") -> Store:
    """The store in a folder or at any fsspec URL. Raises BadInput for a folder that is not there."""
    check_folder(url)
    return Store(url, open_backend(url))


@dataclass(frozen=True, slots=True, repr=False)
class QueryTable:
    """What a query gave, in memory: an Arrow table and what other libraries make of it."""

    arrow: pa.Table

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.arrow.column_names)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The rows as tuples of Python values, in the order of the columns."""
        columns = [column.to_pylist() for column in self.arrow.columns]
        return list(zip(*columns, strict=True))

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    def to_arrow(self) -> pa.Table:
        """A ``pyarrow.Table`` with the types that DuckDB gives."""
        return self.arrow

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame``. Raises Refused where pandas is not installed."""
        _need("pandas")
        return self.arrow.to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """A ``polars.DataFrame``. Raises Refused where Polars is not installed."""
        _need("polars")
        import polars

        found = polars.from_arrow(self.arrow)
        assert isinstance(found, polars.DataFrame)
        return found

    def __repr__(self) -> str:
        return str(self)

    def _shown(self) -> QueryResult:
        return QueryResult(self.columns, iter(self.rows))

    def __str__(self) -> str:
        return to_text(query_sheet(self._shown()))

    def _repr_html_(self) -> str:
        return to_html(query_sheet(self._shown()))


def _need(package: str) -> None:
    if find_spec(package) is None:
        raise Refused(f"{package} is not installed; pip install {package}, or take to_arrow()")


@dataclass(frozen=True, slots=True)
class Store:
    """A store at an address. What it gives is as of the call: nothing is kept open."""

    url: str
    backend: Backend = field(repr=False)

    @property
    def runs(self) -> list[str]:
        """Ids of all runs, sorted."""
        return list_runs(self.backend)

    def run(self, run_id: str) -> Run:
        """The record of a run: identity, plan, settings. Raises Refused where there is none."""
        return open_run(self.backend, run_id)

    def status(self, runs: Sequence[str] | None = None) -> Report[Sequence[str]]:
        """How far runs are: all of them, or those named. ``data`` are their ids."""
        from pacore.report.status import status_sheet

        named = self.runs if runs is None else list(runs)
        return Report(named, [status_sheet(self.backend, named)])

    def results(self, run_id: str) -> RunReport:
        """Problems of a run with answers and scores, and its totals. Raises Refused for an unknown run."""
        return run_report(self.url, results_of(self.url, run_id))

    def configuration(self, run_id: str) -> Report[Mapping[str, Any]]:
        """The settings a run was started with, and its command line. Raises Refused for an unknown run."""
        run = open_run(self.backend, run_id)
        return Report(run.config, [configuration_sheet(self.backend, run_id, self.url)])

    def methods(self, run_id: str) -> str:
        """A paragraph for a paper with the exact settings of a run. Raises Refused for an unknown run."""
        return methods(self.backend, run_id)

    def problem(
        self,
        run_id: str,
        problem_id: str,
        *,
        is_whole: bool = False,
        replicate: int | None = None,
    ) -> Report[ProblemOfRun]:
        """The rounds, messages and answer of one problem; ``is_whole`` shows conclusions in full.

        Of a run with several replicates it has a line for each, or the rounds of the 0-based ``replicate``.
        Raises Refused for an unknown run, BadInput for an unknown problem or replicate.
        """
        # It reads problem sets too, in every form that they may have.
        from pacore.report.problem import problem_of_run, problem_sheet

        open_run(self.backend, run_id)
        with Warehouse(self.backend, [run_id]) as warehouse:
            found = problem_of_run(
                warehouse, run_id, problem_id, is_whole=is_whole, replicate=replicate
            )
        return Report(found, [problem_sheet(found, is_whole=is_whole)])

    def query(
        self, sql: str, runs: Sequence[str] | None = None, prices: str | None = None
    ) -> QueryTable:
        """What SQL over the tables and marts gives; it may only read. ``runs`` limits it to some runs.

        ``prices`` is a price table that money is counted by. Raises Refused for a statement that does not
        only read and for an unknown run, BadInput for SQL that does not work.
        """
        from pacore.store.parquet import table_of

        rows = read_prices(prices) if prices else ()
        with Warehouse(self.backend, runs, rows) as warehouse:
            found = warehouse.columns(sql)
            return QueryTable(table_of(found.schema, found.batches))

    def evaluate(
        self, runs: str | Sequence[str], **settings: Any
    ) -> Report[Mapping[str, Measures]]:
        """See `pacore.evaluate`."""
        from pacore.api.evaluation import evaluate

        return evaluate(runs, store=self.url, **settings)

    def compare(self, run_a: str, run_b: str, **settings: Any) -> Report[Comparison]:
        """See `pacore.compare`."""
        from pacore.api.evaluation import compare

        return compare(run_a, run_b, store=self.url, **settings)

    def mechanism(self, runs: str | Sequence[str]) -> Report[Sequence[Mechanism]]:
        """See `pacore.mechanism`."""
        from pacore.api.evaluation import mechanism

        return mechanism(runs, store=self.url)

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()
