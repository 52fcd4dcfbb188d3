"""Files as people have them: read where it is certain what they are, named in a line where not."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.cli.main import main
from pacore.core.problem import set_digest
from pacore.errors import BadInput
from pacore.problems.files import read_problem_set
from pacore.problems.survey import survey_problems

ROWS: list[dict[str, Any]] = [
    {"id": "a", "problem": "What is 1 + 1?", "answer": "2"},
    {"id": "b", "problem": "Wie groß ist 2 · 3?", "answer": "6"},
    {"id": "c", "problem": "Halve 5.\nBe “brief”.", "answer": "2.5"},
]


LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


RAW_LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


ARRAY = json.dumps(ROWS)


PRETTY = json.dumps(ROWS, indent=2)


PRETTY_ROWS = "\n".join(json.dumps(row, indent=2) for row in ROWS)


COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


BY_INDEX = {name: {str(n): one for n, one in enumerate(cells)} for name, cells in COLUMNS.items()}


BY_ID = {row["id"]: {"problem": row["problem"], "answer": row["answer"]} for row in ROWS}


SERVED = [{"row_idx": n, "row": row, "truncated_cells": []} for n, row in enumerate(ROWS)]


def table(separator: str = ",", end: str = "\n") -> str:
    """The rows as a table; the cell of two lines is quoted."""
    cells = [list(ROWS[0]), *([f'"{cell}"' for cell in row.values()] for row in ROWS)]
    return "".join(separator.join(row) + end for row in cells)


def parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def zipped(**files: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return file.getvalue()


def tarred(text: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("a.jsonl")
        member.size = len(text.encode())
        archive.addfile(member, io.BytesIO(text.encode()))
    return file.getvalue()


def write(folder: Path, name: str, data: str | bytes) -> str:
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(folder / name)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstandard.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


EXCEL = "is an Excel workbook; export the sheet as CSV (UTF-8)"


PAGE = "is a web page (HTML) saved in place of the file; "


POINTER = "is a Git LFS pointer, not the file of 12,345 bytes itself; `git lfs pull`"


SPREAD = "is JSON spread over several lines, not one object per line; `jq -c .`"


OTHERS = {"cp1251": "Сколько будет", "shift-jis": "いくつ", "gbk": "多少", "euc-kr": "얼마입니까"}


def each(endings: str) -> list[str]:
    return endings.split()


READ: list[tuple[str, str | bytes]] = [
    # JSON, whatever its file is called.
    ("lines.json", LINES),
    ("lines.ndjson", LINES),
    ("lines.txt", LINES),
    ("lines.data", LINES),
    ("lines", LINES),
    ("lines.csv", LINES),
    ("array.jsonl", ARRAY),
    ("array.csv", ARRAY),
    ("array", ARRAY),
    ("pretty.json", PRETTY),
    ("pretty.jsonl", PRETTY),
    ("windows.json", PRETTY.replace("\n", "\r\n")),
    ("windows.jsonl", LINES.replace("\n", "\r\n")),
    ("mac.jsonl", LINES.replace("\n", "\r")),
    ("blank lines.jsonl", "\n\n" + LINES.replace("\n", "\n \n")),
    # One object that holds the rows.
    *(
        (f"{name}.json", json.dumps({"version": 1, name: ROWS}))
        for name in each("data rows examples problems anything")
    ),
    ("pretty data.json", json.dumps({"version": 1, "data": ROWS}, indent=1)),
    ("pretty data.jsonl", json.dumps({"data": ROWS}, indent=1)),
    ("split.json", json.dumps({"train": [], "test": ROWS})),
    (
        "server.json",
        json.dumps({"features": [{"name": "id"}], "rows": SERVED, "num_rows_total": 3}),
    ),
    ("server.jsonl", "".join(json.dumps(row) + "\n" for row in SERVED)),
    ("server array.json", json.dumps(SERVED)),
    ("columns.json", json.dumps(COLUMNS)),
    ("columns pretty.json", json.dumps(COLUMNS, indent=1)),
    ("frame columns.json", json.dumps(BY_INDEX)),
    (
        "frame split.json",
        json.dumps(
            {
                "columns": list(ROWS[0]),
                "index": [0, 1, 2],
                "data": [list(row.values()) for row in ROWS],
            }
        ),
    ),
    ("frame index.json", json.dumps({str(n): row for n, row in enumerate(ROWS)})),
    ("frame table.json", json.dumps({"schema": {"fields": [{"name": "id"}]}, "data": ROWS})),
    ("by id.json", json.dumps(BY_ID)),
    # Encodings.
    *(
        (f"{encoding}.jsonl", RAW_LINES.encode(encoding))
        for encoding in (
            "utf-8-sig",
            "utf-16",
            "utf-16-le",
            "utf-16-be",
            "utf-32",
            "utf-32-le",
            "cp1252",
        )
    ),
    *(
        (f"{encoding}.json", json.dumps(ROWS, ensure_ascii=False).encode(encoding))
        for encoding in ("utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252")
    ),
    *(
        (f"{encoding}.csv", table().encode(encoding))
        for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32-be", "cp1252")
    ),
    ("joined.jsonl", "".join("\ufeff" + line for line in RAW_LINES.splitlines(keepends=True))),
    # Tables.
    ("comma.csv", table()),
    ("windows.csv", table(end="\r\n")),
    ("semicolon.csv", table(";", "\r\n")),
    ("tab.csv", table("\t")),
    ("tab.tsv", table("\t")),
    ("comma.tsv", table()),
    ("sep after mark.csv", "\ufeffsep=;\r\n" + table(";", "\r\n")),
    ("tab.txt", table("\t")),
    ("tab.tab", table("\t")),
    ("pipe.csv", table("|")),
    ("sep.csv", "sep=;\r\n" + table(";")),
    ("sep quoted.csv", '"sep=|"\n' + table("|")),
    ("sep comma.csv", "sep=,\n" + table()),
    ("excel.csv", table("\t", "\r\n").encode("utf-16")),
    ("german excel.csv", table(";", "\r\n").encode("cp1252")),
    ("named as lines.jsonl", table()),
    ("empty rows.csv", "\n,,\n" + table().replace('\n"', '\n,,\n \n"') + ",,\n,,\n"),
    (
        "empty columns.csv",
        "".join(f"{line},,\n" for line in table().replace("5.\n", "5.\\n").splitlines()).replace(
            "\\n", "\n"
        ),
    ),
    ("spaced.csv", table(", ")),
    # Compressed.
    *((f"lines.jsonl.{end}", pack(LINES.encode())) for end, pack in PACKERS.items()),
    *((f"packed {end}.jsonl", pack(LINES.encode())) for end, pack in PACKERS.items()),
    *((f"tab.tsv.{end}", pack(table("\t").encode())) for end, pack in PACKERS.items()),
    ("table.csv.zst", zstandard.compress(table(";").encode())),
    ("array.json.bz2", bz2.compress(ARRAY.encode())),
    (
        "two frames.jsonl.gz",
        gzip.compress(LINES.encode()[:50]) + gzip.compress(LINES.encode()[50:]),
    ),
    (
        "two frames.jsonl.zst",
        zstandard.compress(LINES.encode()[:50]) + zstandard.compress(LINES.encode()[50:]),
    ),
    ("twice.jsonl.gz.gz", gzip.compress(gzip.compress(LINES.encode()))),
    ("not packed.jsonl.gz", LINES),
    ("utf-16.csv.gz", gzip.compress(table().encode("utf-16"))),
    ("set.parquet", parquet(ROWS)),
    ("set.parquet.gz", gzip.compress(parquet(ROWS))),
    ("parquet.jsonl", parquet(ROWS)),
    ("parquet", parquet(ROWS)),
]


@pytest.mark.parametrize(("name", "data"), READ)
def test_the_rows_are_the_same_in_whatever_layout(
    tmp_path: Path, name: str, data: str | bytes
) -> None:
    found = read_problem_set(write(tmp_path, name, data))
    expected = read_problem_set(write(tmp_path, "expected.jsonl", LINES))
    assert [(one.problem_id, one.gold) for one in found] == [("a", "2"), ("b", "6"), ("c", "2.5")]
    texts = [one.statement.replace("\r\n", "\n") for one in found]
    assert texts == [one.statement for one in expected]


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


NO_ROWS = "no problems: the file has no rows"


OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100)


CUT = "cannot be read: Compressed file ended before the end-of-stream marker was reached"


ICONV = "save it as UTF-8 (iconv -f ENCODING -t UTF-8)"

REFUSED: list[tuple[str, str | bytes, str]] = [
    ("pretty.jsonl", PRETTY_ROWS, SPREAD),
    ("pretty.json", PRETTY_ROWS, SPREAD),
    ("pretty row.json", json.dumps(ROWS[0], indent=1), SPREAD),
    (
        "commas.jsonl",
        LINES.replace("}\n", "},\n"),
        "has commas between its objects and no brackets",
    ),
    ("one line.jsonl", LINES.replace("\n", ""), SPREAD),
    (
        "python.jsonl",
        "".join(f"{row!r}\n" for row in ROWS * 20),
        ":1: invalid JSON: Expecting property name",
    ),
    ("prose.jsonl", "What is 1 + 1?\n" * 50, ":1: invalid JSON: Expecting value at character 1"),
    (
        "prose.txt",
        "What is 1 + 1?\nWhat is 2 + 2?\n",
        "unknown kind of file; supported are .jsonl, ",
    ),
    (
        "yaml.json",
        "- problem: x\n",
        "is neither a JSON array of objects nor one object per line",
    ),
    ("comment.json", "// rows\n" + ARRAY, "is neither a JSON array of objects"),
    ("null.json", "null", "is neither a JSON array of objects"),
    ("cut.json", ARRAY[:-20], ":3: invalid JSON: Unterminated string"),
    ("cut pretty.json", PRETTY[:-20], ":3: invalid JSON: Unterminated string"),
    ("cut data.json", json.dumps({"data": ROWS})[:-9], ":1: invalid JSON: "),
    ("cut pretty data.json", json.dumps({"data": ROWS}, indent=1)[:-9], ":16: invalid JSON: "),
    (
        "two lists.json",
        json.dumps({"train": ROWS, "test": ROWS}),
        "has rows under several names (train, test); ",
    ),
    (
        "cut off.json",
        json.dumps({"rows": [{**SERVED[0], "truncated_cells": ["problem"]}]}),
        ":1: the server that sent it has truncated 'problem'",
    ),
    ("error.json", '{"error": "gated"}', "no row has a field that pacore knows for a problem; "),
    ("languages.json", '{"problem": {"en": "What?", "de": "Was?"}}', ":1: problem: is an object; "),
    (
        "uneven.json",
        '{"question": ["a", "b"], "answer": ["1"]}',
        ":1: question: is a list; must be text",
    ),
    (
        "lists.json",
        '[["question", "answer"], ["x", "1"]]',
        ":1: is a list, not an object with fields (and 1 more: 2)",
    ),
    ("texts.json", '["What?", "Who?"]', ":1: is text, not an object with fields (and 1 more: 2)"),
    *(
        (name, "", NO_ROWS)
        for name in ("empty.jsonl", "empty.json", "empty.csv", "empty.tsv", "empty")
    ),
    ("empty.parquet", "", "is empty"),
    ("brackets.json", "[]", NO_ROWS),
    # Encodings that could be several.
    *(
        (
            f"{encoding}.jsonl",
            json.dumps({"problem": text}, ensure_ascii=False).encode(encoding),
            f":1: is not UTF-8 at byte 14; {ICONV}",
        )
        for encoding, text in OTHERS.items()
    ),
    (
        "mac.csv",
        "problem,answer\ncafé?,2\n".encode("mac-roman"),
        f":2: problem: is not UTF-8; {ICONV}",
    ),
    (
        "both.jsonl",
        '{"problem": "café"}\n'.encode("cp1252") + '{"problem": "naïve"}\n'.encode(),
        ":1: is not UTF-8, and line 2 is",
    ),
    ("utf-16.jsonl", b"\xff\xfe{\x00\x00\xd8", "is not UTF-16, although its first bytes are"),
    # Tables that could be several.
    (
        "no header.csv",
        "What is 1 + 1?,2\nWhat is 2 + 2?,4\n",
        "no row has a field that pacore knows",
    ),
    (
        "ragged.csv",
        "problem,answer\nWhat, then?,2\nWho, me?,3\n",
        ":2: has 3 cells where the header has 2 (and 1 more: 3)",
    ),
    ("short.csv", "problem;answer\nx,1\n", ":2: has 1 cells where the header has 2"),
    (
        "turns.csv",
        'messages,answer\n"[{}]",2\n',
        "column 'messages': CSV cannot hold turns; use JSONL or Parquet",
    ),
    ("twice.csv", "problem,answer,answer\nx,1,2\n", "column 'answer' occurs twice in the header"),
    ("unclosed.csv", 'problem,answer\n"never,2\n', ":2: invalid CSV: unexpected end of data"),
    # What is no file of rows.
    *((name, LFS, POINTER) for name in each("lfs.jsonl lfs.json lfs.csv lfs.parquet lfs")),
    ("annex.jsonl", "/annex/objects/MD5E-s1--x\n", "is a git-annex pointer, not the file itself"),
    *(
        (name, "\n<!DOCTYPE html>\n<html><head>", PAGE)
        for name in each("a.jsonl a.json a.csv a.parquet a")
    ),
    ("page.txt", "<html>", PAGE),
    ("denied.csv", '<?xml version="1.0"?><Error/>', "is XML, perhaps a server's error"),
    ("book.xlsx", zipped(**{"[Content_Types].xml": "", "xl/workbook.xml": ""}), EXCEL),
    ("book.csv", zipped(**{"xl/workbook.xml": ""}), EXCEL),
    ("book.xls", OLD_EXCEL, EXCEL),
    (
        "book.ods",
        zipped(mimetype="", **{"content.xml": ""}),
        "is an OpenDocument sheet; export the sheet",
    ),
    (
        "set.zip",
        zipped(**{"a.jsonl": LINES}),
        "is a zip archive of a.jsonl; name a file in it as zip://NAME::ARCHIVE",
    ),
    ("cut.zip", zipped(**{"a.jsonl": LINES})[:40], "is a zip archive that is cut short"),
    ("set.tar.gz", tarred(LINES), "is a tar archive; unpack it first"),
    ("set.pdf", b"%PDF-1.7", "is a PDF document"),
    ("set.pkl", b"\x80\x04\x95", "is a pickle, which is never read; "),
    ("set.arrow", b"ARROW1\0\0", "is an Arrow file; write it as Parquet"),
    ("set.npy", b"\x93NUMPY\x01", "is a NumPy array; write it as Parquet"),
    ("set.db", b"SQLite format 3\0", "is an SQLite database; export its table as CSV"),
    ("set.bin", bytes(range(8)) * 9, "unknown kind of file; supported are .jsonl, "),
    # Cut short.
    ("cut.parquet", parquet(ROWS)[:-30], "is a Parquet file that is cut short: its end is missing"),
    ("no beginning.parquet", b"x" * 99, "is not a Parquet file: "),
    ("cut.jsonl.gz", gzip.compress(LINES.encode())[:-10], CUT),
    ("cut.jsonl.bz2", bz2.compress(LINES.encode())[:-10], CUT),
    ("cut.jsonl.xz", lzma.compress(LINES.encode())[:-10], CUT),
    (
        "cut.jsonl.zst",
        zstandard.compress(LINES.encode())[:-10],
        "cannot be read: the compressed file is cut short",
    ),
]


@pytest.mark.parametrize(("name", "data", "what"), REFUSED)
def test_a_file_that_is_none_is_refused_in_one_line(
    tmp_path: Path, name: str, data: str | bytes, what: str
) -> None:
    url = write(tmp_path, name, data)
    with pytest.raises(BadInput) as caught:
        read_problem_set(url)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 400
    assert said.removeprefix(url).removeprefix(": ").startswith(what), said


def test_there_are_at_least_a_hundred_and_fifty_files() -> None:
    assert len(READ) + len(REFUSED) >= 150


@pytest.mark.slow
def test_a_compressed_file_that_is_cut_anywhere_never_passes_for_a_shorter_one(
    tmp_path: Path,
) -> None:
    rows = [{"problem": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(3000)]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    for end, pack in PACKERS.items():
        data = pack(text)
        assert len(read_problem_set(write(tmp_path, f"whole.jsonl.{end}", data))) == len(rows)
        for share in (0.1, 0.5, 0.9, 0.999):
            url = write(tmp_path, f"cut.jsonl.{end}", data[: int(share * len(data))])
            with pytest.raises(BadInput, match="cannot be read: "):
                read_problem_set(url)


def test_a_file_read_as_windows_1252_is_named(tmp_path: Path) -> None:
    url = write(tmp_path, "set.csv", table(";").encode("cp1252"))
    assert survey_problems(url).cautions == [
        f"is not UTF-8, and is read as Windows-1252 (cp1252): 1 ({url})"
    ]
    assert survey_problems(write(tmp_path, "utf.csv", table(";"))).cautions == []


def test_cells_keep_what_they_say(tmp_path: Path) -> None:
    text = (
        'id;problem;answer\n9007199254740993;"He said ""hi; you"".";0.50\n1e5;x;3,5\n1;=1+1; y \n'
    )
    found = {one.problem_id: one for one in read_problem_set(write(tmp_path, "set.csv", text))}
    assert found["9007199254740993"].statement == 'He said "hi; you".'
    assert [found[name].gold for name in ("9007199254740993", "1e5", "1")] == ["0.50", "3,5", " y "]
    assert found["1"].statement == "=1+1"


def test_a_column_of_turns_beside_a_statement_in_words_is_metadata(tmp_path: Path) -> None:
    text = 'problem,messages,answer\nWhat?,"[{""role"": ""user""}]",2\n'
    (found,) = read_problem_set(write(tmp_path, "set.csv", text))
    assert (found.statement, found.gold) == ("What?", "2")


def test_whole_numbers_of_any_length_are_exact(tmp_path: Path) -> None:
    longest = "9" * 5000
    text = (
        f'{{"id": 1, "problem": "x", "answer": {longest}}}\n{{"problem": "y", "answer": {2**64}}}\n'
    )
    for name in ("set.jsonl", "set.json"):
        data = text if name == "set.jsonl" else f"[{text.replace('}', '},', 1)}]"
        golds = {one.statement: one.gold for one in read_problem_set(write(tmp_path, name, data))}
        assert golds == {"x": longest, "y": "18446744073709551616"}


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*LINES.splitlines(), "{", "}", "[", "nonsense", ""]), max_size=6),
    st.sampled_from(["set.jsonl", "set.json", "set.csv", "set.txt", "set"]),
)
def test_any_lines_are_read_or_refused_in_a_screen(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], name: str
) -> None:
    url = write(tmp_path_factory.mktemp("lines"), name, "\n".join(lines))
    try:
        assert set_digest(read_problem_set(url))
    except BadInput as fault:
        assert str(fault).startswith(url) and str(fault).count("\n") < 13


def test_thousands_of_bad_rows_are_one_screen_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults: list[Any] = [
        {"problem": ""},
        7,
        {"problem": "x", "answer": []},
        {"x": 1},
        "{",
        {"id": []},
    ]
    bad = [fault for fault in faults for _ in range(2000)]
    text = "".join((one if one == "{" else json.dumps(one)) + "\n" for one in bad)
    url = write(tmp_path, "set.jsonl", LINES + text)
    given_ = ["--problems", url, "--engine", "scripted", "--store", str(tmp_path / "s")]
    for command in (["problems", url], ["run", *given_], ["plan", *given_]):
        assert main(command) == 2
        shown = capsys.readouterr()
        assert shown.out == "" and shown.err.count("\n") <= 8
        assert f"{url}:4: problem: is empty (and 1,999 more: 5, 6, 7, 8, 9, …)" in shown.err
    assert not (tmp_path / "s").exists()
