"""Values of any type: ids, answers and statements get the right text, and the rest stops nothing."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.identity import canonical_json, sha256_hex
from pacore.core.problem import Problem, set_digest
from pacore.problems.files import read_problem_set
from pacore.problems.issues import BadProblems
from pacore.problems.shapes.recognise import read_row
from pacore.problems.values import is_picture, plain, text_of
from tests.problems.test_parts import JSON_VALUES

PNG = b"\x89PNG\r\n\x1a\n0000"


NANOSECONDS = 1_700_000_000_123_456_789


def described(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": sha256_hex(data)}


COLUMNS: dict[str, tuple[Any, Any]] = {
    "half float": (pa.array([0.1, None], pa.float16()), [0.1, None]),
    "float": (pa.array([0.1, 12.0], pa.float32()), [0.1, 12.0]),
    "double": (pa.array([float("nan"), float("inf")]), ["NaN", "Infinity"]),
    "decimal": (pa.array([Decimal("0.50"), Decimal("12.00")]), ["0.50", "12.00"]),
    "decimal32": (pa.array([Decimal("1.20"), None], pa.decimal32(5, 2)), ["1.20", None]),
    "decimal256": (pa.array([Decimal("1" * 50), Decimal("-2")]), ["1" * 50, "-2"]),
    "nanoseconds": (
        pa.array([NANOSECONDS, None], pa.timestamp("ns")),
        ["2023-11-14T22:13:20.123456789", None],
    ),
    "time zone": (
        pa.array([0, None], pa.timestamp("ms", tz="Europe/Berlin")),
        ["1970-01-01T01:00:00+01:00", None],
    ),
    "unknown time zone": (
        pa.array([0, None], pa.timestamp("ms", tz="Mars/Phobos")),
        ["1970-01-01T00:00:00.000", None],
    ),
    "year 29349": (pa.array([10**7, 1], pa.date32()), ["29349-01-26", "1970-01-02"]),
    "duration": (pa.array([90_500, None], pa.duration("ms")), ["PT90.5S", None]),
    "duration of nanoseconds": (pa.array([1, 2], pa.duration("ns")), ["1 ns", "2 ns"]),
    "time": (pa.array([1, 2], pa.time32("s")), ["00:00:01", "00:00:02"]),
    "time of nanoseconds": (
        pa.array([1, None], pa.time64("ns")),
        ["00:00:00.000000001", None],
    ),
    "bytes of text": (pa.array([b"abc", b"\xc3\xa9"], pa.binary()), ["abc", "é"]),
    "bytes": (
        pa.array([b"\xff\x00", None], pa.large_binary()),
        [described(b"\xff\x00"), None],
    ),
    "bytes of one size": (pa.array([b"abcd", b"efgh"], pa.binary(4)), ["abcd", "efgh"]),
    "list": (pa.array([[1, 2], []], pa.list_(pa.int64())), [[1, 2], []]),
    "list of floats": (pa.array([[0.1], None], pa.list_(pa.float32())), [[0.1], None]),
    "list view": (pa.array([[0.1], [2.5]], pa.list_view(pa.float32())), [[0.1], [2.5]]),
    "list of one size": (pa.array([[0.1, 2], None], pa.list_(pa.float32(), 2)), [[0.1, 2.0], None]),
    "struct": (
        pa.array([{"at": NANOSECONDS}, None], pa.struct([("at", pa.timestamp("ns"))])),
        [{"at": "2023-11-14T22:13:20.123456789"}, None],
    ),
    "list of structs": (
        pa.array([[{"at": 0.1}], []], pa.list_(pa.struct([("at", pa.float32())]))),
        [[{"at": 0.1}], []],
    ),
    "map": (
        pa.array([[("a", 1), ("b", 2)], None], pa.map_(pa.string(), pa.int64())),
        [{"a": 1, "b": 2}, None],
    ),
    "map with a key twice": (
        pa.array([[(1, "x"), (1, "y")], []], pa.map_(pa.int64(), pa.string())),
        [[[1, "x"], [1, "y"]], {}],
    ),
    "dictionary": (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
    "uuid": (
        pa.array([uuid.UUID(int=5).bytes, None], pa.uuid()),
        ["00000000-0000-0000-0000-000000000005", None],
    ),
    "null": (pa.nulls(2), [None, None]),
    "large text": (pa.array(["x", "y"], pa.large_string()), ["x", "y"]),
    "text view": (pa.array(["x", "y"], pa.string_view()), ["x", "y"]),
    "json": (pa.array(['{"a":1}', "{}"], pa.json_()), ['{"a":1}', "{}"]),
    "bool8": (
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8())),
        [True, False],
    ),
    "tensor": (
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.float32(), (2,)),
            pa.array([[0.1, 2], [3, 4]], pa.list_(pa.float32(), 2)),
        ),
        [[0.1, 2.0], [3.0, 4.0]],
    ),
    "unsigned": (pa.array([2**64 - 1, 0], pa.uint64()), [2**64 - 1, 0]),
    "audio": (
        pa.array([{"bytes": b"RIFF\xff\xff\xff\xffWAVE", "path": "x.wav"}, None]),
        [{"bytes": described(b"RIFF\xff\xff\xff\xffWAVE"), "path": "x.wav"}, None],
    ),
}
"""Columns of every type that Parquet has, and what becomes of their two values."""


def parquet(path: Path, **columns: Any) -> str:
    number = min(map(len, columns.values()))
    statements = ["What is 1 + 1?", "What is 2 + 1?"][:number]
    given = {name: column[:number] for name, column in columns.items()}
    pq.write_table(pa.table({"problem": statements, **given}), path)
    return str(path)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_that_nobody_uses_becomes_metadata(tmp_path: Path, name: str) -> None:
    array, expected = COLUMNS[name]
    url = parquet(tmp_path / "set.parquet", answer=["2", "3"], column=array)
    found = sorted(read_problem_set(url), key=lambda problem: problem.statement)
    bare = parquet(tmp_path / "bare.parquet", answer=["2", "3"])
    assert set_digest(found) == set_digest(read_problem_set(bare))
    kept = [problem.metadata.get("column") for problem in found]
    assert kept == expected
    assert all(canonical_json(dict(problem.metadata)) for problem in found)


TEXTS: list[tuple[Any, list[str | None]]] = [
    (pa.array([0.1, 12.0], pa.float32()), ["0.1", "12"]),
    (pa.array([0.1, 3.0], pa.float16()), ["0.1", "3"]),
    (pa.array([0.5, 12.0]), ["0.5", "12"]),
    (pa.array([1e20, -0.0]), ["1e+20", "0"]),
    (pa.array([Decimal("0.50"), Decimal("12.00")]), ["0.50", "12.00"]),
    (pa.array([Decimal("1" * 50), Decimal("100")]), ["1" * 50, "100"]),
    (pa.array([2**53 + 1, 2**63 - 1]), ["9007199254740993", "9223372036854775807"]),
    (pa.array([2**64 - 1, 7], pa.uint64()), ["18446744073709551615", "7"]),
    (pa.array([True, False]), ["True", "False"]),
    (pa.array([["x"], ["y"]]), ["x", "y"]),
    (pa.array([[12.0], [0.5]]), ["12", "0.5"]),
    (pa.array([[["x"]], [["y"]]]), ["x", "y"]),
    (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
    (pa.array([7, 8]).dictionary_encode(), ["7", "8"]),
    (pa.array(["x", "y"], pa.large_string()), ["x", "y"]),
    (pa.array(["x", "y"], pa.string_view()), ["x", "y"]),
    (pa.array([b"x", b"\xc3\xa9"], pa.binary()), ["x", "é"]),
    (
        pa.array([uuid.UUID(int=5).bytes, uuid.UUID(int=6).bytes], pa.uuid()),
        ["00000000-0000-0000-0000-000000000005", "00000000-0000-0000-0000-000000000006"],
    ),
    (pa.array([0, 1], pa.date32()), ["1970-01-01", "1970-01-02"]),
    (pa.array([NANOSECONDS], pa.timestamp("ns")), ["2023-11-14T22:13:20.123456789"]),
    (pa.nulls(2), [None, None]),
]  # fmt: skip


@pytest.mark.parametrize(("array", "expected"), TEXTS)
def test_ids_and_gold_answers_of_any_type_have_the_text_a_person_would_write(
    tmp_path: Path, array: Any, expected: list[str | None]
) -> None:
    golds = read_problem_set(parquet(tmp_path / "golds.parquet", answer=array))
    golds.sort(key=lambda problem: problem.statement)
    assert [problem.gold for problem in golds] == expected
    ids = read_problem_set(parquet(tmp_path / "ids.parquet", id=array, answer=["2", "3"]))
    if expected[0] is not None:
        assert sorted(problem.problem_id for problem in ids) == sorted(map(str, expected))
    else:
        assert all(problem.problem_id.startswith("p-") for problem in ids)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (12, "12"),
        (12.0, "12"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (float(2**53), "9007199254740992.0"),
        (True, "True"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (["x"], "x"),
        ([[["x"]]], "x"),
        (b"x", "x"),
        (b"\xff", None),
        (b"a\x00", None),
        (float("nan"), None),
        (float("-inf"), None),
        (Decimal("NaN"), None),
        ([], None),
        (["x", "y"], None),
        ({"a": 1}, None),
        (None, None),
    ],
)
def test_the_text_of_a_value(value: Any, text: str | None) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize("missing", [float("nan"), None, Decimal("NaN"), [float("nan")]])
def test_a_row_whose_id_is_missing_has_one_of_its_content(missing: Any) -> None:
    found = read_row({"id": missing, "problem": "x"}, "f", 1)
    assert isinstance(found, Problem) and found.problem_id.startswith("p-")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        ("a\x00b\ud800", "a\ufffdb\ufffd"),
        ({"\ud800": ["\x00"]}, {"\ufffd": ["\ufffd"]}),
        (datetime(2031, 1, 2, 3, 4), "2031-01-02T03:04:00"),
        (date(2031, 1, 2), "2031-01-02"),
        (time(3, 4), "03:04:00"),
        (timedelta(days=1, milliseconds=5), "PT86400.005S"),
        (Decimal("Infinity"), "Infinity"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        ((1, 2), [1, 2]),
        (2**70, 2**70),
        (complex(1, 2), "(1+2j)"),
    ],
)
def test_what_json_has_not_is_kept_as_what_it_has(value: Any, kept: Any) -> None:
    assert plain(value) == kept


@settings(deadline=None)
@given(JSON_VALUES)
def test_any_json_value_is_kept_as_it_is_or_made_storable(value: Any) -> None:
    kept = plain(value)
    assert canonical_json(kept)
    try:
        is_storable = "\\u0000" not in canonical_json(value).decode()
    except (ValueError, UnicodeEncodeError):
        is_storable = False
    if is_storable:
        assert kept == value


# Images.


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        (PNG, True),
        (b"\xff\xd8\xff\xe0", True),
        (b"GIF89a", True),
        (b"RIFF\x00\x00\x00\x00WEBP", True),
        (b"<svg xmlns='x'>", True),
        ({"bytes": PNG, "path": "x.png"}, True),
        ([{"bytes": PNG}], True),
        ("data:image/png;base64,AAAA", True),
        ("iVBORw0KGgoAAAANSUhEUg", True),
        ("/9j/4AAQSkZJRg", True),
        (b"RIFF\x00\x00\x00\x00WAVE", False),
        (b"\x00\x01\x02", False),
        (b"", False),
        ({"bytes": None, "path": "x.png"}, False),
        ("x.png", False),
        ("/9j/", False),
        (7, False),
    ],
)
def test_an_image_is_known_by_its_first_bytes(value: Any, is_one: bool) -> None:
    assert is_picture(value) is is_one


@pytest.mark.parametrize("field", ["image", "images", "image_2", "decoded_image", "Figure", "img"])
def test_an_image_in_a_field_of_the_problem_s_images_is_refused(field: str) -> None:
    found = read_row({"problem": "What is shown?", field: PNG, "answer": "2"}, "f", 1)
    assert not isinstance(found, Problem)
    assert [str(issue) for issue in found] == [
        f"f:1: {field}: is an image; pacore sends text only, and without it this is another problem"
    ]


@pytest.mark.parametrize("field", ["thumbnail", "rationale_image", "logo", "audio", "blob"])
def test_an_image_that_the_problem_does_not_show_stops_nothing(field: str) -> None:
    found = read_row({"problem": "What is 1 + 1?", field: PNG, "answer": "2"}, "f", 1)
    assert isinstance(found, Problem) and "sha256" in str(found.metadata[field])


@pytest.mark.parametrize("mark", ["<image>", "<image 1>", "![](x.png)", "\\includegraphics{x}"])
def test_an_image_of_any_field_is_refused_where_the_text_has_a_place_for_it(mark: str) -> None:
    found = read_row({"problem": f"What is it? {mark}", "blob": PNG}, "f", 1)
    assert not isinstance(found, Problem)
    assert isinstance(read_row({"problem": f"What? {mark}", "blob": b"\x00"}, "f", 1), Problem)


# Round trips: the same rows in every format are the same problems.

WORDS = st.text("abc 7·é,;\"'\n", min_size=1, max_size=12).filter(str.strip)


NAMES = st.text("ab/.1 ", min_size=1, max_size=6).filter(str.strip)


GOLDS: dict[str, st.SearchStrategy[Any]] = {
    "text": WORDS,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "decimal": st.decimals(-1000, 1000, places=2, allow_nan=False),
}


@st.composite
def sets_of_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows with ids, statements and gold answers of one type, as a column has them."""
    golds = GOLDS[draw(st.sampled_from(sorted(GOLDS)))]
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    return [{"id": name, "problem": draw(WORDS), "answer": draw(golds)} for name in names]


def as_jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, default=str) + "\n" for row in rows).encode()


def as_json(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"data": rows}, default=str, indent=1).encode()


def as_columns(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({name: [row[name] for row in rows] for name in rows[0]}, default=str).encode()


def as_csv(rows: list[dict[str, Any]], separator: str = ",", encoding: str = "utf-8") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


FORMATS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "lines.jsonl": as_jsonl,
    "held.json": as_json,
    "columns.json": as_columns,
    "comma.csv": as_csv,
    "semicolon.csv": lambda rows: as_csv(rows, ";"),
    "excel.csv": lambda rows: as_csv(rows, "\t", "utf-16"),
    "set.parquet": as_parquet,
}


@settings(deadline=None, max_examples=60)
@given(sets_of_rows())
def test_the_same_rows_are_the_same_problem_set_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    found = {}
    for name, encode in FORMATS.items():
        (folder / name).write_bytes(encode(rows))
        try:
            problems = read_problem_set(str(folder / name))
        except BadProblems as fault:
            # Rows are told by line or by number, and faults else by the same words.
            found[name] = str([(one.field, one.what.split(" (")[0]) for one in fault.issues])
        else:
            found[name] = f"{[one.problem_id for one in problems]} {set_digest(problems)}"
    assert len(set(found.values())) == 1, found
