"""The result of a query as table, CSV and JSON: readable, exact, streamed."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.errors import BadInput
from pacore.report.query import query_output
from pacore.text import CONTROLS
from pacore.warehouse.views import QueryResult, Warehouse
from tests.fixtures.golden_files import golden
from tests.fixtures.small_store import small_store

WIDTH = 100


STEERING = re.compile(f"(?!\n)[{CONTROLS}]")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with Warehouse(small_store(tmp_path_factory.mktemp("output") / "store")) as opened:
        yield opened


def output(warehouse: Warehouse, text: str, form: str, width: int = WIDTH) -> str:
    return "".join(query_output(warehouse.query(text), form, width))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "grid.txt",
            "SELECT problem_id, conclusion, completion_tokens FROM trajectories ORDER BY ALL",
        ),
        ("records.txt", "FROM mart_failures ORDER BY ALL LIMIT 3"),
        ("turned.txt", "FROM mart_rounds ORDER BY round"),
        (
            "folded.txt",
            "SELECT problem_id, reason, repeat('no fault of mine, ', 12) AS said, 7 AS n"
            " FROM answers WHERE reason IS NOT NULL ORDER BY problem_id",
        ),
        ("nothing.txt", "SELECT run_id, score FROM scores WHERE score > 1"),
        ("plan.txt", "EXPLAIN SELECT 1"),
        ("results.csv", "SELECT problem_id, answer, reason FROM answers ORDER BY problem_id"),
        ("results.json", "SELECT problem_id, answer, reason FROM answers ORDER BY problem_id"),
    ],
)
def test_a_query_reads_as_it_should(warehouse: Warehouse, name: str, text: str) -> None:
    form = {"txt": "table"}.get(name.rpartition(".")[2], name.rpartition(".")[2])
    found = output(warehouse, text, form)
    assert found == golden(f"report/{name}", found)


def test_json_is_exact_and_knows_no_nan(warehouse: Warehouse) -> None:
    text = """
        SELECT
            123456789012345678901234567890::HUGEINT AS huge, 1.10::DECIMAL(30, 2) AS exact,
            'nan'::DOUBLE AS nan, '-inf'::DOUBLE AS infinite, [1.5, NULL, 'nan'::DOUBLE] AS many,
            {'a': DATE '2026-01-02'} AS one, MAP {1: 'x'} AS named, true AS yes, NULL AS nothing,
            TIMESTAMP '2026-01-02 03:04:05.5' AS moment,
            TIMESTAMPTZ '2026-01-02 03:04:05Z' AS zoned,
            'ab'::BLOB AS bytes, 'a"b' AS "odd ""name"
    """
    (row,) = json.loads(output(warehouse, text, "json"), parse_float=Decimal)
    assert row == {
        "huge": 123456789012345678901234567890, "exact": Decimal("1.10"),
        "nan": None, "infinite": None, "many": [Decimal("1.5"), None, None],
        "one": {"a": "2026-01-02"}, "named": {"1": "x"}, "yes": True, "nothing": None,
        "moment": "2026-01-02T03:04:05.500000", "zoned": "2026-01-02T03:04:05+00:00",
        "bytes": "6162", 'odd "name': 'a"b',
    }  # fmt: skip
    assert json.loads(output(warehouse, "SELECT 1 WHERE false", "json")) == []


def test_csv_follows_rfc_4180_with_the_line_ends_of_text(warehouse: Warehouse) -> None:
    text = (
        """SELECT 'a,b' AS "x,y", 'say "no"' AS b, e'two\\r\\nlines' AS c, NULL AS d, 1.50 AS e"""
    )
    assert output(warehouse, text, "csv") == (
        '"x,y",b,c,d,e\n"a,b","say ""no""","two\r\nlines",,1.50\n'
    )


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=4))
def test_any_text_comes_back_out_of_csv_and_json(texts: list[str]) -> None:
    def written(form: str) -> str:
        return "".join(query_output(QueryResult(("a", "b"), iter((t, 1) for t in texts)), form))

    for form, separator in (("csv", ","), ("tsv", "\t")):
        file = io.StringIO(written(form), newline="")
        assert [row["a"] for row in csv.DictReader(file, delimiter=separator)] == texts
    assert [row["a"] for row in json.loads(written("json"))] == texts
    lines = written("jsonl").split("\n")
    assert [json.loads(line)["a"] for line in lines[:-1]] == texts and lines[-1] == ""
    assert STEERING.search(written("json") + written("jsonl")) is None


def test_csv_and_json_are_streamed_and_a_table_is_cut_aloud(warehouse: Warehouse) -> None:
    endless = "SELECT i FROM range(1_000_000_000_000) AS t (i)"
    for form in ("csv", "json", "jsonl"):
        pieces = query_output(warehouse.query(endless), form)
        assert len([next(pieces) for _ in range(50)]) == 50
    shown = output(warehouse, "SELECT i FROM range(2500) AS t (i)", "table")
    assert shown.splitlines()[-1] == "(the first 1,000 rows of 2,500; csv and json have all)"
    assert len(shown.splitlines()) == 1003


def test_another_format_is_bad_input(warehouse: Warehouse) -> None:
    result: Any = warehouse.query("SELECT 1")
    with pytest.raises(BadInput, match="'yaml' is none of table, csv, tsv, spreadsheet, json"):
        query_output(result, "yaml")
