"""Every query of ``sql/reports`` has one record, whose fields are its columns, of their types."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from pacore.errors import StoreError
from pacore.warehouse.relations import SQL_FOLDER, sql
from pacore.warehouse.report_rows import ReportRow, check_columns, records
from pacore.warehouse.views import Warehouse
from tests.conftest import ROOT
from tests.fixtures.graded import MATH, graded_store
from tests.fixtures.report_parameters import named_in, report_parameters

REPORTS = SQL_FOLDER / "reports"


QUERIES = sorted(
    path.relative_to(REPORTS).with_suffix("").as_posix() for path in REPORTS.rglob("*.sql")
)


PARAMETERS = report_parameters("demo", MATH.grading_id, ["sum-1", "sum-2"])


def every_record() -> Iterator[type[ReportRow]]:
    """The classes of all modules that name a query."""
    for path in sorted((ROOT / "pacore").rglob("*.py")):
        if "ReportRow" in path.read_text():
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for _, kind in inspect.getmembers(importlib.import_module(name), inspect.isclass):
                is_own = kind.__module__ == name and "QUERY" in vars(kind)
                if is_own and issubclass(kind, ReportRow):
                    yield kind


RECORDS = {kind.QUERY: kind for kind in every_record()}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with Warehouse(graded_store(tmp_path_factory.mktemp("records") / "store")) as opened:
        yield opened


def test_every_query_of_a_report_has_one_record() -> None:
    assert sorted(Counter(kind.QUERY for kind in every_record()).elements()) == QUERIES


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES)
def test_the_columns_of_a_query_are_the_fields_of_its_record(
    warehouse: Warehouse, query: str
) -> None:
    rows = warehouse.read(RECORDS[query], **named_in(sql(f"reports/{query}"), PARAMETERS))
    assert all(type(row) is RECORDS[query] for row in rows)


@pytest.mark.parametrize("query", QUERIES)
def test_a_report_is_in_a_folder_of_its_own(query: str) -> None:
    assert len(Path(query).parts) == 2


@dataclass(frozen=True, slots=True)
class Pair(ReportRow):
    """A record of nothing that is stored."""

    QUERY: ClassVar[str] = "none/pair"

    name: str
    count: int | None


@pytest.mark.parametrize(
    ("columns", "types", "says"),
    [
        (("name",), ("VARCHAR",), "has columns"),
        (("count", "name"), ("BIGINT", "VARCHAR"), "has columns"),
        (("name", "count", "more"), ("VARCHAR", "BIGINT", "BIGINT"), "has columns"),
        (("name", "count"), ("VARCHAR", "DOUBLE"), "count is DOUBLE"),
        (("name", "count"), ("BLOB", "BIGINT"), "name is BLOB"),
    ],
)
def test_other_columns_than_the_fields_are_refused(
    columns: tuple[str, ...], types: tuple[str, ...], says: str
) -> None:
    with pytest.raises(TypeError, match=f"^none/pair.*{says}"):
        check_columns(Pair, columns, types)


def test_a_null_is_refused_where_a_field_cannot_be_none() -> None:
    check_columns(Pair, ("name", "count"), ("VARCHAR", "INTEGER"))
    assert list(records(Pair, [("a", None), ("b", 2)])) == [Pair("a", None), Pair("b", 2)]
    with pytest.raises(StoreError, match="reports/none/pair: name is null"):
        list(records(Pair, [(None, 1)]))


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Pair("a", 1).name = "b"  # type: ignore[misc]  # what is tested
