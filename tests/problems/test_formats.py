"""Rows out of bytes: CSV records, items of JSON arrays, and rows too long to hold."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.errors import BadInput
from pacore.problems.files import read_problem_set
from pacore.problems.formats.csv import csv_rows
from pacore.problems.formats.rows import (
    MAX_LINE_BYTES,
    DecodedRow,
    RowFault,
    Rows,
    json_rows,
    jsonl_rows,
)
from pacore.problems.issues import BadProblems
from tests.fixtures.nested_values import nested

MEBIBYTE = 1024 * 1024


def write(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def faults(url: str) -> list[str]:
    """The issues of a file without its name: ``line: field: what``."""
    with pytest.raises(BadProblems) as caught:
        read_problem_set(url)
    return [str(issue).removeprefix(f"{url}:") for issue in caught.value.issues]


def test_bad_items_of_an_array_are_reported_by_their_number(tmp_path: Path) -> None:
    data = b'[{"problem": "x"},\n{"problem": "caf\x81"}, 7, {"problem": "\\ud800"}, {"a": NaN}]'
    found = faults(write(tmp_path, "set.json", data))
    assert found[:3] == [
        "2: is not UTF-8; save it as UTF-8 (iconv -f ENCODING -t UTF-8)",
        "3: is a number, not an object with fields",
        "4: problem: has a lone surrogate, which is not text",
    ]
    assert [issue.partition(":")[0] for issue in found[3:]] == ["5"]


@pytest.mark.parametrize(
    ("data", "issue"),
    [
        (b'[{"problem": "x"}, {"problem": }]', "2: invalid JSON: Expecting value at character 13"),
        (b'[{"problem": "x"} {"problem": "y"}]', "1: invalid JSON: ',' or ']' must follow an item"),
        (b'[{"problem": "x"}', "1: invalid JSON: ',' or ']' must follow an item"),
        (b'[{"problem": "x"},]', "2: invalid JSON: Expecting value at character 1"),
        (b'[{"problem": "x"}] 5', "2: invalid JSON: text after the array"),
        (b"[", "1: invalid JSON: Expecting value at character 1"),
        (b"[" * 100_000, "1: invalid JSON: nested too deeply"),
    ],
)
def test_an_array_that_is_not_json_is_reported_where_it_breaks(
    tmp_path: Path, data: bytes, issue: str
) -> None:
    assert faults(write(tmp_path, "set.json", data)) == [issue]


def test_a_csv_row_is_named_by_the_line_it_begins_at(tmp_path: Path) -> None:
    data = (
        b"id,problem,answer,note\r\n"
        b'a,"two\r\nlines ""quoted""",2,\r\n'
        b"\r\n"
        b"b,,2,\r\n"
        b'c,"caf\x81",2,\r\n'
        b"d,x,2\r\n"
        b'e,"x"y,2,\r\n'
        b'f,x,2,"a\x00"\r\n'
        b'g,"never closed,2,\r\n'
        b"h,x,2,\r\n"
    )
    found = faults(write(tmp_path, "set.csv", data))
    assert [issue.split(":")[0] for issue in found] == ["5", "6", "7", "8", "10"]
    assert found[0].startswith("5: problem|question|prompt|messages|conversation: missing")
    assert found[1] == "6: problem: is not UTF-8; save it as UTF-8 (iconv -f ENCODING -t UTF-8)"
    assert found[2] == "7: has 3 cells where the header has 4"
    assert found[3].startswith("8: invalid CSV: ")
    assert found[4] == "10: invalid CSV: unexpected end of data"


def test_csv_cells_keep_their_text_and_empty_ones_are_absent(tmp_path: Path) -> None:
    long = "long, " * 50_000
    data = f'id,problem,answer,level\n1,"{long}",,\n2,"a\r\nb", 7,\n'.encode()
    first, second = read_problem_set(write(tmp_path, "set.csv", data))
    assert (first.statement, first.gold, first.metadata) == (long, None, {})
    assert (second.statement, second.gold) == ("a\r\nb", " 7")


@pytest.mark.parametrize(
    ("header", "what"),
    [
        (b"id,messages", "column 'messages': CSV cannot hold turns; use JSONL or Parquet"),
        (
            b"a,b",
            "no row has a field that pacore knows for a problem; the first row has the fields a, b; "
            "map them with --fields problem=NAME,answer=NAME",
        ),
        (b"problem,answer,answer", "column 'answer' occurs twice in the header"),
        (
            b"problem,caf\x81",
            "the header is not UTF-8; save it as UTF-8 (iconv -f ENCODING -t UTF-8)",
        ),
        (b'problem,"answer"x', "the header: invalid CSV: ',' expected after '\"'"),
    ],
)
def test_a_csv_header_that_cannot_be_used_is_refused(
    tmp_path: Path, header: bytes, what: str
) -> None:
    url = write(tmp_path, "set.csv", header + b"\nx,y\n")
    with pytest.raises(BadInput) as caught:
        read_problem_set(url)
    assert str(caught.value) == f"{url}: {what}"


def write_long(path: Path, before: bytes, after: bytes) -> str:
    with path.open("wb") as file:
        file.write(before)
        for _ in range(100):
            file.write(b"x" * MEBIBYTE)
        file.write(after)
    return str(path)


class LargeRowsOf(Protocol):
    def __call__(self, file: BinaryIO, max_bytes: int) -> Rows: ...


@pytest.mark.parametrize(
    ("rows_of", "before", "after", "expected"),
    [
        (
            jsonl_rows,
            b'{"id": "a"}\n{"id": "b", "problem": "',
            b'"}\n{"id": "c"}\n',
            [
                DecodedRow(1, {"id": "a"}),
                RowFault(2, "line is longer than 16 MiB"),
                DecodedRow(3, {"id": "c"}),
            ],
        ),
        (
            csv_rows,
            b"id,problem\na,x\nb,",
            b"\nc,\n",
            [
                DecodedRow(2, {"id": "a", "problem": "x"}),
                RowFault(3, "line is longer than 16 MiB"),
                DecodedRow(4, {"id": "c"}),
            ],
        ),
        (
            json_rows,
            b'[{"id": "a"}, {"id": "b", "problem": "',
            b'"}, {"id": "c"}]',
            [
                DecodedRow(1, {"id": "a"}),
                RowFault(2, "item is longer than 16 MiB, or invalid JSON"),
            ],
        ),
    ],
    ids=["jsonl", "csv", "json"],
)
def test_a_row_beyond_the_limit_is_reported_without_being_held(
    tmp_path: Path,
    rows_of: LargeRowsOf,
    before: bytes,
    after: bytes,
    expected: list[DecodedRow | RowFault],
) -> None:
    path = write_long(tmp_path / "set", before, after)
    tracemalloc.start()
    try:
        with open(path, "rb") as file:
            found = list(rows_of(file, max_bytes=16 * MEBIBYTE))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    cut = [
        row._replace(what=row.what.split(":")[0]) if isinstance(row, RowFault) else row
        for row in found
    ]
    assert cut == expected
    assert peak_bytes < 64 * MEBIBYTE


def test_a_line_just_short_of_the_limit_is_read() -> None:
    frame = len('{"problem": ""}')
    row = f'{{"problem": "{"x" * (MEBIBYTE - frame)}"}}'.encode()
    for rows_of, data in ((jsonl_rows, row + b"\n"), (json_rows, b"[" + row + b"]")):
        (found,) = rows_of(io.BytesIO(data), max_bytes=MEBIBYTE)
        assert isinstance(found, DecodedRow) and len(found.value["problem"]) == MEBIBYTE - frame
    (fault,) = jsonl_rows(io.BytesIO(row + b" "), max_bytes=MEBIBYTE)
    assert fault == RowFault(1, "line is longer than 1 MiB")


@pytest.mark.parametrize("name", ["set.jsonl", "set.json"])
def test_a_row_may_be_as_long_as_the_tests_of_a_program_are(tmp_path: Path, name: str) -> None:
    row = {"problem": "x", "note": "y" * (20 * MEBIBYTE)}
    data = json.dumps([row] if name.endswith("json") else row).encode()
    assert len(data) < MAX_LINE_BYTES
    (problem,) = read_problem_set(write(tmp_path, name, data))
    assert len(str(problem.metadata["note"])) == 20 * MEBIBYTE


ROW = json.dumps({"problem": "What is 1 + 1? " + "y" * 5000})


@pytest.mark.parametrize(
    ("rows_of", "data"),
    [
        (jsonl_rows, f"{ROW}\n" * 4000),
        (json_rows, f"[{','.join([ROW] * 4000)}]"),
        (csv_rows, "problem,answer\n" + f'"{"y" * 5000}",2\n' * 4000),
    ],
    ids=["jsonl", "json", "csv"],
)
def test_a_long_file_of_short_rows_is_streamed(
    rows_of: Callable[[BinaryIO], Rows], data: str
) -> None:
    file = io.BytesIO(data.encode())
    tracemalloc.start()
    try:
        count = sum(isinstance(row, DecodedRow) for row in rows_of(file))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 4000
    assert file.tell() > 16 * MEBIBYTE
    assert peak_bytes < MEBIBYTE


json_values = nested(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


class Trickle(io.BytesIO):
    """A file that gives a byte at a time, whatever is asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1 if size else size)


@settings(deadline=None)
@given(st.lists(json_values, max_size=5), st.integers(0, 4).map(lambda count: " \n" * count))
def test_an_array_and_lines_decode_to_the_same_values_however_they_arrive(
    values: list[Any], space: str
) -> None:
    texts = [json.dumps(value) for value in values]
    array = f"{space}[{space}{f'{space},{space}'.join(texts)}{space}]{space}".encode()
    lines = "\n".join(texts).encode()
    expected = [DecodedRow(number, value) for number, value in enumerate(values, 1)]
    for file_of in (io.BytesIO, Trickle):
        assert list(json_rows(file_of(array))) == expected
        assert list(jsonl_rows(file_of(lines))) == expected


@pytest.mark.parametrize("number", ["0.0", "-1", "1e+5", "1.5E-07", "12", "null", "-0.25"])
def test_a_number_cut_on_the_way_is_still_one_number(number: str) -> None:
    rows = list(json_rows(Trickle(f"[{number},{number}]".encode())))
    assert rows == [DecodedRow(1, json.loads(number)), DecodedRow(2, json.loads(number))]


def test_characters_and_records_may_be_cut_anywhere_on_the_way() -> None:
    array = '[{"problem": "六 · 七 = 四十二"}]'.encode()
    table = 'problem,answer\r\n"六\r\n· 七",42\r\n'.encode()
    assert list(json_rows(Trickle(array))) == [DecodedRow(1, {"problem": "六 · 七 = 四十二"})]
    assert list(csv_rows(Trickle(table))) == [
        DecodedRow(2, {"problem": "六\r\n· 七", "answer": "42"})
    ]
