"""Files of problem sets: every format gives the same problems and names its bad rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.identity import sha256_hex
from pacore.core.problem import Problem, Turn
from pacore.errors import BadInput
from pacore.problems.files import read_problem_set
from pacore.problems.issues import BadProblems

ROWS: list[dict[str, Any]] = [
    {"id": "b", "problem": "What is 1 + 1?\nBe brief.", "answer": "2"},
    {"id": "a", "problem": "Wie viel ist 2 · 3?", "answer": "6", "source": "own"},
    {"id": "c", "problem": "Prove it."},
]


def jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_json(rows: list[Any]) -> bytes:
    return json.dumps(rows, indent=1, ensure_ascii=False).encode()


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return parquet_table(pa.table({name: [row.get(name) for row in rows] for name in names}))


def parquet_table(table: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def zipped(encode: Callable[[list[Any]], bytes]) -> Callable[[list[Any]], bytes]:
    return lambda rows: gzip.compress(encode(rows))


ENCODERS: dict[str, Callable[[list[Any]], bytes]] = {
    "set.jsonl": jsonl,
    "set.ndjson": jsonl,
    "set.json": as_json,
    "set.csv": as_csv,
    "set.parquet": parquet,
    "SET.JSONL": jsonl,
    "set.jsonl.gz": zipped(jsonl),
    "set.json.gz": zipped(as_json),
    "set.csv.gz": zipped(as_csv),
}


def write(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def faults(url: str, limit: int | None = None) -> list[str]:
    """The issues of a file without its name: ``line: field: what``."""
    with pytest.raises(BadProblems) as caught:
        read_problem_set(url, limit)
    assert all(issue.file == url for issue in caught.value.issues)
    return [str(issue).removeprefix(f"{url}:") for issue in caught.value.issues]


def refusal(url: str) -> str:
    with pytest.raises(BadInput) as caught:
        read_problem_set(url)
    assert not isinstance(caught.value, BadProblems)
    message = str(caught.value)
    assert message.startswith(f"{url}: ") and "\n" not in message
    return message.removeprefix(f"{url}: ")


@pytest.mark.parametrize("name", ENCODERS)
def test_every_format_gives_the_same_problems_sorted_by_id(tmp_path: Path, name: str) -> None:
    problems = read_problem_set(write(tmp_path, name, ENCODERS[name](ROWS)))
    assert problems == [
        Problem("a", (Turn("user", "Wie viel ist 2 · 3?"),), "6"),
        Problem("b", (Turn("user", "What is 1 + 1?\nBe brief."),), "2"),
        Problem("c", (Turn("user", "Prove it."),)),
    ]
    assert [dict(problem.metadata) for problem in problems] == [{"source": "own"}, {}, {}]


@pytest.mark.parametrize("name", ENCODERS)
def test_a_url_of_any_file_system_can_be_read(name: str) -> None:
    url = f"memory://sets/{name}"
    with fsspec.open(url, "wb") as file:
        file.write(ENCODERS[name](ROWS))
    assert [problem.problem_id for problem in read_problem_set(url)] == ["a", "b", "c"]


@pytest.mark.parametrize("name", ENCODERS)
def test_a_limit_takes_the_first_rows_of_the_file(tmp_path: Path, name: str) -> None:
    url = write(tmp_path, name, ENCODERS[name]([*ROWS, {"id": "d", "problem": ""}]))
    assert [problem.problem_id for problem in read_problem_set(url, 2)] == ["a", "b"]
    assert len(read_problem_set(url, 3)) == 3
    assert len(faults(url, 4)) == 1


@pytest.mark.parametrize("name", ["set.jsonl", "set.json", "set.csv"])
def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path, name: str) -> None:
    url = write(tmp_path, name, b"\xef\xbb\xbf" + ENCODERS[name](ROWS))
    assert len(read_problem_set(url)) == 3
    url = write(tmp_path, f"{name}.gz", gzip.compress(b"\xef\xbb\xbf" + ENCODERS[name](ROWS)))
    assert len(read_problem_set(url)) == 3


@pytest.mark.parametrize("name", ["set.jsonl", "set.json", "set.parquet"])
def test_turns_and_structured_gold_answers_are_read(tmp_path: Path, name: str) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}]
    rows = [{"id": "one", "messages": turns, "ground_truth": {"answer": "2"}}]
    (problem,) = read_problem_set(write(tmp_path, name, ENCODERS[name](rows)))
    assert problem.turns == (Turn("system", "Be brief."), Turn("user", "1 + 1?"))
    assert problem.gold == "2"


def test_identical_rows_count_once_and_rows_without_an_id_get_one(tmp_path: Path) -> None:
    row = {"question": "1 + 1?", "answer": "So 1 + 1 = 2.\n#### 2", "unique_id": "test/one.json"}
    (problem,) = read_problem_set(write(tmp_path, "set.jsonl", jsonl([row, row])))
    assert problem.problem_id.startswith("p-") and problem.gold == "2"
    assert problem.metadata == {"unique_id": "test/one.json"}


def test_blank_lines_are_no_rows_and_windows_line_ends_are_white_space(tmp_path: Path) -> None:
    data = b'\n{"id": "a", "problem": "x"}\r\n  \r\n\n{"id": "b", "problem": "y"}'
    url = write(tmp_path, "set.jsonl", data)
    assert len(read_problem_set(url, 2)) == 2
    assert faults(write(tmp_path, "bad.jsonl", data + b"\n{}"))[0].startswith("6: ")


def test_every_bad_line_is_reported_in_order_with_its_number(tmp_path: Path) -> None:
    lines = [
        b'{"id": "a", "problem": "x"}',
        b'{"id": "b", "problem": ',
        b"[1, 2]",
        b'{"id": "c", "problem": "caf\x81"}',
        b'{"id": "a", "problem": "other"}',
        b'{"problem": "\\ud800"}',
        b'{"problem": "a\\u0000"}',
        b'{"problem": "a\x00"}',
        b'{"problem": "x", "level": NaN}',
        b'{"id": "d"}',
        b"[" * 100_000,
        b'{"problem": "x", "n": ' + b"9" * 5000 + b"}",
        b'{"problem": "x"} {"problem": "y"}',
    ]
    found = faults(write(tmp_path, "set.jsonl", b"\n".join(lines)))
    assert [issue.partition(" (")[0] for issue in found[:4]] == [
        "2: invalid JSON: Expecting value at character 24",
        "3: is a list, not an object with fields",
        "4: is not UTF-8 at byte 28; save it as UTF-8",
        f"5: id: duplicate 'a': {tmp_path}/set.jsonl:1 has the same id with other content; --fields "
        "id= makes ids from the content",
    ]
    assert found[4:6] == [
        "6: problem: has a lone surrogate, which is not text",
        "7: problem: has a NUL byte",
    ]
    assert found[6] == "8: invalid JSON: Invalid control character at at character 15"
    assert found[7].startswith("10: problem|question|prompt|messages|conversation: missing")
    assert found[8] == "11: invalid JSON: nested too deeply"
    assert found[9] == "13: invalid JSON: Extra data at character 18"
    assert len(found) == 10


def test_parquet_rows_are_named_by_their_number(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"problem": "x", "level": 1.0},
        {"problem": "", "level": float("nan")},
        {"id": "c"},
    ]
    found = faults(write(tmp_path, "set.parquet", parquet(rows)))
    assert [issue.rpartition(": ")[0].split(":")[0] for issue in found] == ["2", "3"]


def test_parquet_text_that_is_not_utf8_is_a_bad_row(tmp_path: Path) -> None:
    text = pa.StringArray.from_buffers(
        1, pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer(b"caf\xe9")
    )
    url = write(tmp_path, "set.parquet", parquet_table(pa.table({"problem": text})))
    assert faults(url) == ["1: problem: is bytes that are no text; must be text"]
    rows = pa.table({"problem": ["What is 1 + 1?"], "note": text})
    (found,) = read_problem_set(write(tmp_path, "other.parquet", parquet_table(rows)))
    assert found.metadata["note"] == {"bytes": 4, "sha256": sha256_hex(b"caf\xe9")}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("set.jsonl", b""),
        ("set.jsonl", b"\n \n"),
        ("set.json", b""),
        ("set.json", b" [ ] "),
        ("set.csv", b""),
        ("set.csv", b"id,problem\n"),
        ("set.jsonl.gz", gzip.compress(b"", mtime=0)),
        ("set.parquet", parquet_table(pa.table({"problem": pa.array([], pa.string())}))),
    ],
)
def test_a_file_without_rows_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    assert refusal(write(tmp_path, name, data)) == "no problems: the file has no rows"


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("set.txt", b"x", "unknown kind of file; supported are .jsonl, .ndjson, .json, .csv, "),
        ("set.parquet.gz", b"x", "is not a Parquet file: "),
        ("set.json", b"7", "is neither a JSON array of objects "),
        ("set.parquet", b"PAR1 not really", "is a Parquet file that is cut short: "),
        ("set.jsonl.gz", gzip.compress(jsonl(ROWS), mtime=0)[:-12], "cannot be read: "),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_a_line(
    tmp_path: Path, name: str, data: bytes, what: str
) -> None:
    assert refusal(write(tmp_path, name, data)).startswith(what)


class WholeFilesOnly(BaseHTTPRequestHandler):
    """A web server that knows no ranges: it sends any file whole, from its start."""

    rows: ClassVar = [{**ROWS[0], "note": Random(0).randbytes(2**20).hex()}]

    def do_GET(self) -> None:
        data = ENCODERS[self.path.partition("?")[0].removeprefix("/")](self.rows)
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


def test_a_web_server_without_ranges_gives_every_format() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), WholeFilesOnly) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        base = f"http://127.0.0.1:{server.server_port}"
        try:
            assert len(read_problem_set(f"{base}/set.jsonl")) == 1
            assert len(read_problem_set(f"{base}/set.csv.gz?download=true")) == 1
            assert len(read_problem_set(f"{base}/set.parquet")) == 1
        finally:
            server.shutdown()
            thread.join()


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "none.jsonl")) == "no such file"
    (tmp_path / "folder.jsonl").mkdir()
    assert refusal(str(tmp_path / "folder.jsonl")).startswith("a folder without a file of rows")


@settings(deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from(["set.jsonl", "set.json", "set.csv", "set.parquet"])
)
def test_any_bytes_give_problems_or_a_refusal(data: bytes, name: str) -> None:
    url = f"memory://any/{name}"
    with fsspec.open(url, "wb") as file:
        file.write(data)
    try:
        assert read_problem_set(url)
    except BadInput as fault:
        assert str(fault).startswith(url)
