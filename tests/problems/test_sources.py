"""Where problem sets come from: folders, patterns, archives, and servers that do not give them."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pacore.cli.main import main
from pacore.errors import BadInput
from pacore.problems.files import generated_ids, read_problem_set
from pacore.problems.issues import BadProblems
from pacore.problems.survey import survey_problems
from tests.fixtures.s3_server import BUCKET, S3Server
from tests.fixtures.stores import use_server

ROWS = [{"id": name, "problem": f"What is {name}?", "answer": "1"} for name in "abc"]


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(*rows: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), file)
    return file.getvalue()


def tree(folder: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return str(folder)


def ids(url: str, limit: int | None = None) -> str:
    return "".join(problem.problem_id for problem in read_problem_set(url, limit))


def refusal(url: str) -> str:
    with pytest.raises(BadInput) as caught:
        read_problem_set(url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


A_FILE = "file of rows (JSONL, JSON, CSV, TSV or Parquet)"


HUB = {
    "README.md": b"# A data set\n",
    ".gitattributes": b"*.parquet filter=lfs\n",
    "dataset_infos.json": b"{}",
    ".cache/huggingface/old.jsonl": lines({"x": 1}),
    "_temporary/part.jsonl": lines({"x": 1}),
    "data/train-00000-of-00002.parquet": parquet(ROWS[0]),
    "data/train-00001-of-00002.parquet": parquet(ROWS[1], ROWS[2]),
}


@pytest.mark.parametrize(
    "below",
    ["", "/", "/data", "/data/*.parquet", "/data/train-*", "/**/*.parquet", "/*/*.parquet", "/da*"],
)
def test_a_folder_and_a_pattern_are_the_rows_of_their_files(tmp_path: Path, below: str) -> None:
    assert ids(tree(tmp_path / "hub", HUB) + below) == "abc"


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    url = tree(tmp_path, HUB)
    assert [ids(url, limit) for limit in (1, 2, 3)] == ["a", "ab", "abc"]
    survey = survey_problems(url)
    assert [Path(name).name for name in survey.files] == [
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
    ]
    rows = [{"problem": "x"}, {"id": "named", "problem": "y"}, {"problem": "z"}]
    url = tree(tmp_path / "own", {f"{n}.jsonl": lines(row) for n, row in enumerate(rows)})
    assert [bool(name) for name in generated_ids(url)] == [True, False, True]


def test_files_of_every_format_are_one_set_and_mixed_kinds_are_named(tmp_path: Path) -> None:
    gsm8k = {"question": "Q?", "answer": "So.\n#### 5"}
    files = {
        "a.jsonl": lines(*ROWS[:2]),
        "b.csv": b"id;problem;answer\nc;What is c?;1\n",
        "sub/deep/c.json": json.dumps([ROWS[0]]).encode(),
        "d.parquet": parquet(gsm8k),
        "notes.txt": b"question\tanswer\nx\t1\n",
        "book.xlsx": b"PK",
    }
    survey = survey_problems(tree(tmp_path, files))
    assert [one.problem_id for one in survey.problems][:3] == ["a", "b", "c"]
    assert list(survey.shapes) == ["plain", "GSM8K"] and len(survey.files) == 4
    (caution,) = survey.cautions
    assert caution.startswith("read as GSM8K, where 3 of 4 are read as plain: 1 (p-")
    assert caution.endswith(" in d.parquet:1: 5)")
    assert survey.notes == ["rows identical to another row, which count once: 1"]


def test_bad_rows_of_several_files_are_named_with_their_files(tmp_path: Path) -> None:
    empty = {"problem": ""}
    other = {**ROWS[0], "answer": "2"}
    files = {
        "a.jsonl": lines(ROWS[0], empty),
        "b.jsonl": lines(empty, other),
        "c.jsonl": lines(empty),
    }
    url = tree(tmp_path, files)
    with pytest.raises(BadProblems) as caught:
        read_problem_set(url)
    assert str(caught.value).splitlines() == [
        f"{url}/a.jsonl:2: problem: is empty (and 2 more: {url}/b.jsonl:1, {url}/c.jsonl:1)",
        f"{url}/b.jsonl:2: id: duplicate 'a': {url}/a.jsonl:1 has the same id with other content; "
        "--fields id= makes ids from the content",
    ]


@pytest.mark.parametrize(
    ("names", "caution"),
    [
        (["data/train-00000-of-00001.jsonl"], None),
        (["train.jsonl", "train-extra.jsonl"], None),
        (["data/train.jsonl", "data/test.jsonl"], "files of several splits (test, train) are one"),
        (["train/x.jsonl", "dev/x.jsonl"], "files of several splits (train, validation) are one"),
        (
            ["gsm8k_test.jsonl", "gsm8k_train.jsonl"],
            "files of several splits (test, train) are one",
        ),
        (
            ["a-00000-of-00002.jsonl"],
            "missing files of a series: 1 (a-00001-of-00002.",
        ),
        (
            ["a-00001-of-00003.jsonl"],
            "missing files of a series: 2 (a-00000-of-00003.",
        ),
    ],
)
def test_what_a_folder_may_hide_is_named(
    tmp_path: Path, names: list[str], caution: str | None
) -> None:
    files = {name: lines(row) for name, row in zip(names, ROWS, strict=False)}
    url = tree(tmp_path / "set", files)
    found = survey_problems(url).cautions
    if caution is None:
        assert found == []
    else:
        assert len(found) == 1 and found[0].startswith(caution)
    # Who names one file means one file.
    assert survey_problems(f"{url}/{names[0]}").cautions == []


def test_a_name_that_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    url = tree(tmp_path, {"set[1].jsonl": lines(*ROWS)})
    assert ids(f"{url}/set[1].jsonl") == "abc"


def test_a_folder_that_a_program_wrote_as_one_file_is_its_parts(tmp_path: Path) -> None:
    parts = {"_SUCCESS": b"", "part-00000.snappy.parquet": parquet(*ROWS), "_metadata": b"x"}
    tree(tmp_path / "set.parquet", parts)
    assert ids(str(tmp_path / "set.parquet")) == "abc"


@pytest.mark.parametrize(
    ("files", "asked", "what"),
    [
        ({}, "/nothing.jsonl", "no such file"),
        ({}, "/nothing/", "no such file"),
        ({"x/.keep": b""}, "/x", f"a folder without a {A_FILE}; there is .keep"),
        (
            {"README.md": b"", "a.xlsx": b""},
            "",
            f"a folder without a {A_FILE}; there is README.md, a.xlsx",
        ),
        ({"a.jsonl": b""}, "/b*.jsonl", f"no {A_FILE}; nothing matches"),
        ({"a.md": b""}, "/*", f"no {A_FILE}; there is a.md"),
    ],
)
def test_a_place_without_a_file_of_rows_says_what_there_is(
    tmp_path: Path, files: dict[str, bytes], asked: str, what: str
) -> None:
    url = tree(tmp_path, files) + asked
    assert refusal(url) == f"{url}: {what}"


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    assert refusal(str(tmp_path)).endswith("; it is empty")


def test_a_pointer_in_a_folder_is_named_as_one(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    url = tree(tmp_path, {"data/train-00000-of-00001.parquet": pointer})
    assert refusal(url).startswith(f"{url}/data/train-00000-of-00001.parquet: is a Git LFS pointer")


def test_a_run_takes_a_folder_and_says_its_cautions_before_anything_is_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"data/train.jsonl": lines(ROWS[0]), "data/test.jsonl": lines(ROWS[1])}
    url = tree(tmp_path / "set", files)
    line = [
        "--problems",
        f"{url}/data/*.jsonl",
        "--engine",
        "scripted",
        "--store",
        str(tmp_path / "s"),
    ]
    assert main(["plan", *line]) == 0
    assert "pacore: caution: files of several splits (test, train)" in capsys.readouterr().err


@pytest.mark.parametrize("data", [lines(*ROWS), parquet(*ROWS), gzip.compress(lines(*ROWS))])
def test_a_pipe_is_read_as_a_file_is(tmp_path: Path, data: bytes) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert ids(str(pipe)) == "abc"
    writer.join()


# Archives and other file systems.


def test_files_in_an_archive_are_read_by_name_and_by_pattern(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("data/a.jsonl", lines(ROWS[0]))
        archive.writestr("data/b.csv", "id,problem,answer\nb,What is b?,1\n")
        archive.writestr("README.md", "x")
    inside = f"::{tmp_path}/set.zip"
    assert ids(f"zip://data/a.jsonl{inside}") == "a"
    assert ids(f"zip://data/*{inside}") == "ab"
    assert ids(f"zip://data{inside}") == "ab"
    assert refusal(f"zip://data/none.jsonl{inside}").endswith(": no such file")
    assert refusal(f"zip://a.jsonl::{tmp_path}/none.zip").endswith(": no such file")
    (tmp_path / "cut.zip").write_bytes((tmp_path / "set.zip").read_bytes()[:-30])
    assert refusal(f"zip://a.jsonl::{tmp_path}/cut.zip").endswith(
        "cannot be opened: the archive is damaged or cut short"
    )


def test_folders_and_patterns_of_other_file_systems_are_listed() -> None:
    for name, row in zip(("a.jsonl", "sub/b.jsonl"), ROWS, strict=False):
        with fsspec.open(f"memory://several/{name}", "wb") as file:
            file.write(lines(row))
    assert ids("memory://several") == "ab"
    assert ids("memory://several/") == "ab"
    assert ids("memory://several/*.jsonl") == "a"
    assert ids("memory://several/**/*.jsonl") == "ab"
    assert refusal("memory://several/none.jsonl") == "memory://several/none.jsonl: no such file"


@pytest.mark.slow
def test_folders_and_patterns_of_object_storage_are_listed(
    request: pytest.FixtureRequest, s3_server: S3Server
) -> None:
    use_server(request, s3_server)
    base = f"s3://{BUCKET}/sets"
    for name, row in zip(("a.jsonl", "sub/b.jsonl", "c.parquet"), ROWS, strict=True):
        with fsspec.open(f"{base}/{name}", "wb") as file:
            file.write(parquet(row) if name.endswith("parquet") else lines(row))
    assert ids(base) == "abc"
    assert ids(f"{base}/*.jsonl") == "a"
    assert ids(f"{base}/c.parquet") == "c"
    assert refusal(f"{base}/none.jsonl") == f"{base}/none.jsonl: no such file"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("gs://bucket/set.jsonl", "gs:// needs the package gcsfs: pip install gcsfs"),
        ("gs://bucket/folder/", "gs:// needs the package gcsfs: pip install gcsfs"),
        ("az://container/set.jsonl", "az:// needs the package adlfs: pip install adlfs"),
        ("sftp://127.0.0.1/set.jsonl", "sftp:// needs the package paramiko: pip install paramiko"),
        (
            "smb://127.0.0.1/set.jsonl",
            "smb:// needs the package smbprotocol: pip install smbprotocol",
        ),
        ("nonsense://x/set.jsonl", "cannot be opened: nothing here knows nonsense://"),
        (
            "http://127.0.0.1:9/set.jsonl",
            "cannot be opened: the server cannot be reached; is this ",
        ),
        ("ftp://127.0.0.1:9/set.jsonl", "cannot be opened: the server cannot be reached; is this "),
        (
            "zip://x::http://127.0.0.1:9/a.zip",
            "cannot be opened: the server cannot be reached; is this",
        ),
    ],
)
def test_what_keeps_an_address_from_being_read_is_one_line(url: str, what: str) -> None:
    assert refusal(url).startswith(f"{url}: {what}")


@pytest.mark.parametrize(
    "url",
    [
        "hf://datasets/own/set/data/x.parquet",
        "hf://datasets/own/set",
        "hf://datasets/own/set@main/*",
    ],
)
def test_the_hub_out_of_reach_is_one_line(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert refusal(url) == (
        f"{url}: cannot be opened: the server cannot be reached; is this machine offline?"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@127.0.0.1:9/x.jsonl", "http://***@127.0.0.1:9/x.jsonl: "),
        ("http://127.0.0.1:9/x.jsonl?token=secret", "http://127.0.0.1:9/x.jsonl: "),
    ],
)
def test_secrets_of_an_address_are_never_repeated(url: str, shown: str) -> None:
    said = refusal(url)
    assert said.startswith(shown) and "secret" not in said


class Statuses(BaseHTTPRequestHandler):
    """A server that answers each file with the status in its name; any other it sends."""

    files: ClassVar[dict[str, bytes]] = {
        "login.jsonl": b"<!doctype html><title>Log in</title>",
        "set": lines(*ROWS),
        "set.parquet": parquet(*ROWS),
    }

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        status = int(name[:3]) if name[:3].isdigit() else 200
        data = self.files.get(name, b"{}")
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Statuses) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("401.jsonl", "cannot be opened: access is refused (HTTP 401)"),
        ("403.jsonl", "cannot be opened: access is refused (HTTP 403)"),
        ("404.jsonl", "no such file"),
        ("429.jsonl", "cannot be opened: the server answers HTTP 429"),
        ("500.jsonl", "cannot be opened: the server answers HTTP 500"),
        ("503.parquet", "cannot be opened: the server answers HTTP 503"),
        ("login.jsonl", "is a web page (HTML) saved in place of the file"),
    ],
)
def test_what_a_server_answers_in_place_of_a_file_is_named(
    server: str, name: str, what: str
) -> None:
    assert refusal(f"{server}/{name}").startswith(f"{server}/{name}: {what}")


def test_a_proxy_is_asked_for_other_machines_and_never_for_this_one(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server)
    assert ids("http://sets.invalid/set") == "abc"
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert ids(f"{server}/set") == "abc"


def test_an_address_without_an_ending_is_what_its_first_bytes_are(server: str) -> None:
    assert ids(f"{server}/set?download=1") == "abc"
    assert ids(f"{server}/set.parquet") == "abc"
