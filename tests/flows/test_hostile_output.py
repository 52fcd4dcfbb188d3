"""What models say is data: hostile texts through whole runs, and everything that is made of them."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.infer import infer
from pacore.audit.lineage import explain
from pacore.core.prompt import SYNTHESIS
from pacore.core.trajectory import Generation, normalise
from pacore.engine.faults import whole_text
from pacore.report.audit import explanation_json, explanation_text
from pacore.report.problem import problem_of_run, problem_sheet
from pacore.report.query import query_output
from pacore.report.rendering.terminal import to_text
from pacore.report.run import failures_sheet, next_commands, result_sheet, run_results
from pacore.report.status import status_sheet
from pacore.store.backends.opening import open_store
from pacore.text import CONTROLS, as_markdown, visible
from pacore.warehouse.views import Warehouse
from tests.conftest import ROOT, Pacore, pacore_command
from tests.fixtures.hostile import (
    FAKE_REFERENCES,
    HOSTILE,
    MARK,
    WIDTH,
    config_for,
    hostile_server,
    problem_lines,
    says,
)
from tests.fixtures.pipeline import run_stages, table
from tests.fixtures.served import served

STEERING = re.compile(f"(?![\n])[{CONTROLS}]")


IDS = {case: f"the {case} one" for case in HOSTILE}

HOSTILE_IDS = {
    "jinja": "{{ 7*7 }}{% raw %}",
    "shell": f"$(touch {MARK})`touch {MARK}`;&|",
    "sql": f"'; COPY (SELECT 1) TO '{MARK}'; --",
    "html": "<img src=x onerror=alert(1)>",
    "markdown": "![x](javascript:alert(1))",
    "formula": "=1+1",
    "rich": "[bold red]x[link=y]",
    "bidi": "gnp\u202eexe",
    "path": "~root $HOME %2e%2e%2f",
    "formats": "{0.__class__} %s",
}


@dataclass(frozen=True)
class Done:
    """A finished run over hostile texts; ``said`` is what the server sent, as it can be kept."""

    folder: Path
    store: str
    said: dict[str, str]
    prompts: list[str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "problems.jsonl").write_text(problem_lines(IDS))
    with served(hostile_server(says(HOSTILE))) as server:
        run_stages(config_for(folder, server.endpoint))
        asked = [request.json for request in server.received("/v1/chat/completions")]
    prompts = [body["messages"][-1]["content"] for body in asked]
    said = {IDS[case]: whole_text(text) for case, text in HOSTILE.items()}
    return Done(folder, str(folder / "store"), said, prompts)


@contextmanager
def warehouse_of(done: Done) -> Iterator[Warehouse]:
    with Warehouse(open_store(done.store), ["hostile"]) as warehouse:
        yield warehouse


@pytest.mark.slow
def test_every_text_is_stored_as_it_was_sent(done: Done) -> None:
    rows = table(done.store, "hostile", "trajectory_texts", ("problem_id", "content"))
    assert {row[1] for row in rows} == set(done.said)
    assert [row for row in rows if row[2] != done.said[row[1]]] == []


def test_nothing_in_a_text_made_a_file(done: Done) -> None:
    for place in (ROOT, Path.cwd(), Path.home(), Path("/tmp"), done.folder):
        assert not (place / MARK).exists()
    assert not list(done.folder.rglob(f"*{MARK}*"))


def test_no_name_in_the_store_comes_from_a_text_or_an_id(done: Done) -> None:
    names = {path.name for path in (done.folder / "store").rglob("*")}
    assert names
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9._=@-]+", name)] == []
    assert not {name for name in names if "passwd" in name or "one" in name.split("-")}


def test_a_fake_reference_in_a_message_makes_no_reference(done: Done) -> None:
    problem_id = IDS["references"]
    columns = ("problem_id", "position", "trajectory_id", "text")
    rows = table(done.store, "hostile", "messages", columns)
    messages = [row for row in rows if row[1] == problem_id]
    assert [(row[0], row[2]) for row in messages] == [(1, 1), (1, 2), (2, 1)]
    assert {row[4] for row in messages} == {FAKE_REFERENCES}
    assert len({row[3] for row in messages}) == 3


def test_a_message_goes_into_the_next_prompt_as_it_is_and_nowhere_else(done: Done) -> None:
    prompts = set(done.prompts)
    for case, problem_id in IDS.items():
        conclusion = normalise(Generation("stop", done.said[problem_id], "hmm")).conclusion
        if conclusion is None:
            continue
        statement = f"case:{case}: how much is it?"
        assert statement in prompts
        assert SYNTHESIS.render(statement, [conclusion] * WIDTH) in prompts
    assert len(prompts) <= 2 * len(IDS)


@pytest.mark.slow
def test_every_problem_of_a_run_ends_with_an_answer_row_and_no_invariant_is_broken(
    done: Done,
) -> None:
    rows = table(done.store, "hostile", "answers", ("problem_id", "status"))
    assert sorted(row[1] for row in rows) == sorted(IDS.values())
    with warehouse_of(done) as warehouse:
        assert not any(warehouse.run_checks().values())


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
def test_a_problem_is_shown_without_anything_that_steers_a_terminal(done: Done, case: str) -> None:
    with warehouse_of(done) as warehouse:
        shown = to_text(problem_sheet(problem_of_run(warehouse, "hostile", IDS[case])))
    explained = explanation_text(explain(open_store(done.store), "hostile", IDS[case]))
    parsed = explanation_json(explain(open_store(done.store), "hostile", IDS[case]))
    assert "case:" in shown
    assert len(shown) < 20_000
    for text in (shown, explained, parsed):
        assert STEERING.search(text) is None
    assert json.loads(parsed)["problem_id"] == IDS[case]


@pytest.mark.slow
def test_no_report_has_anything_that_steers_a_terminal(done: Done) -> None:
    store = open_store(done.store)
    with warehouse_of(done) as warehouse:
        parts = [
            to_text(result_sheet(run_results(warehouse, "hostile"))),
            to_text(failures_sheet(run_results(warehouse, "hostile"))),
            next_commands(run_results(warehouse, "hostile"), done.store),
            to_text(status_sheet(store)),
        ]
    assert all(parts)
    assert STEERING.search("".join(parts)) is None


def queried(done: Done, form: str) -> str:
    sql = "SELECT problem_id, content FROM trajectory_texts WHERE round = 1 ORDER BY ALL"
    with warehouse_of(done) as warehouse:
        return "".join(query_output(warehouse.query(sql), form))


def test_a_query_as_json_is_the_data_and_nothing_that_steers(done: Done) -> None:
    text = queried(done, "json")
    assert STEERING.search(text) is None
    assert {row["problem_id"]: row["content"] for row in json.loads(text)} == done.said


def test_a_query_as_csv_is_the_data(done: Done) -> None:
    csv.field_size_limit(1 << 30)
    rows = list(csv.reader(io.StringIO(queried(done, "csv"), newline="")))
    assert rows[0] == ["problem_id", "content"]
    assert dict(rows[1:]) == done.said


def test_a_query_for_a_spreadsheet_has_no_formula(done: Done) -> None:
    csv.field_size_limit(1 << 30)
    rows = list(csv.reader(io.StringIO(queried(done, "spreadsheet"), newline="")))[1:]
    cells = dict(rows)
    for problem_id, text in done.said.items():
        cell = cells[problem_id]
        assert cell in (text, f"'{text}")
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert cells[IDS["formula"]].startswith("'=HYPERLINK")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+x", "'+x"), ("-x+1", "'-x+1"),
        (" =1", "' =1"), ("\t=1", "'\t=1"), ("\uff1d1", "'\uff1d1"), ("-3", "-3"),
        ("+2.5", "+2.5"), ("a=1", "a=1"), ("", ""),
    ],
)  # fmt: skip
def test_only_text_that_begins_like_a_formula_gets_an_apostrophe(
    done: Done, text: str, cell: str
) -> None:
    with warehouse_of(done) as warehouse:
        literal = text.replace("'", "''")
        made = warehouse.query(f"SELECT '{literal}' AS x, -3 AS number")
        (_, row) = csv.reader(io.StringIO("".join(query_output(made, "spreadsheet"))))
    assert row == [cell, "-3"]


def test_a_query_as_a_table_has_nothing_that_steers(done: Done) -> None:
    assert STEERING.search(queried(done, "table")) is None


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "spreadsheet", "json", "table"])
def test_on_a_terminal_no_format_lets_a_text_steer_it(done: Done, form: str) -> None:
    sql = "SELECT problem_id, content FROM trajectory_texts WHERE length(content) < 2000"
    line = pacore_command(["query", "--store", done.store, "--format", form, sql])
    shown = on_a_terminal(line)
    # Bold and dim are the table's own.
    assert STEERING.search(re.sub(r"\x1b\[[012]?m|\r+\n", "\n", shown)) is None
    assert MARK in shown


def on_a_terminal(line: list[str]) -> str:
    """What a command writes to a terminal that is its standard output."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(line, stdout=terminal, cwd=ROOT, env={**os.environ, "TERM": "xterm"}):
        os.close(terminal)
        written = bytearray()
        while chunk := _read(controller):
            written += chunk
    os.close(controller)
    return written.decode()


def _read(controller: int) -> bytes:
    try:
        return os.read(controller, 65536)
    except OSError:  # the terminal's other end is closed
        return b""


@pytest.mark.slow
def test_an_audit_finds_nothing_wrong_with_hostile_texts(done: Done, command: Pacore) -> None:
    found = command("audit", "--store", done.store, "hostile")
    assert found.returncode == 0, found.stdout
    assert STEERING.search(found.stdout + found.stderr) is None


@pytest.mark.slow
def test_hostile_problem_ids_are_data_to_flow_artifacts_and_command_line(
    tmp_path: Path, prefect_api: str, command: Pacore
) -> None:
    (tmp_path / "problems.jsonl").write_text(problem_lines(HOSTILE_IDS))
    answering = {case: f"\\boxed{{{problem_id}}}" for case, problem_id in HOSTILE_IDS.items()}
    chat = says(answering | {"path": "I do not know.\n\n***"})
    with (
        served(hostile_server(chat)) as server,
        temporary_settings({PREFECT_API_URL: prefect_api}),
    ):
        state = infer(config_for(tmp_path, server.endpoint), return_state=True)
    assert state.name in ("Completed", "CompletedWithFailures")
    assert STEERING.search(state.message or "") is None
    rows = artifact_rows(prefect_api, "results-hostile")
    assert {row["problem"] for row in rows} == {as_markdown(one) for one in HOSTILE_IDS.values()}
    for row in rows:
        for cell in (row["problem"], row["answer"]):
            assert TAGS.findall(MARKDOWN.render(cell)) == ["<p>", "</p>"], cell
    for problem_id in HOSTILE_IDS.values():
        shown = command("show", "--store", str(tmp_path / "store"), "hostile", problem_id)
        assert shown.returncode == 0, shown.stderr
        assert STEERING.search(shown.stdout) is None
        assert visible(problem_id) in shown.stdout
    assert not list(tmp_path.rglob(f"*{MARK}*"))
    assert not (ROOT / MARK).exists()


def artifact_rows(api: str, key: str) -> list[dict[str, Any]]:
    body = json.dumps({"artifacts": {"key": {"any_": [key]}}}).encode()
    asked = urllib.request.Request(
        f"{api}/artifacts/filter", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as response:
        (artifact,) = json.load(response)
    rows: list[dict[str, Any]] = json.loads(artifact["data"])
    return rows


MARKDOWN = MarkdownIt("gfm-like", {"html": True, "linkify": False})


TAGS = re.compile(r"</?[a-z][^>]*>")


@given(st.text() | st.text("\\`*_{}[]<>()#+-.!|~&:/@=1w \n\t$^\"'", max_size=30))
def test_any_text_reads_in_markdown_as_itself(text: str) -> None:
    expected = visible(text).strip()
    html = MARKDOWN.render(as_markdown(text)).strip()
    found = unescape(html.removeprefix("<p>").removesuffix("</p>"))
    assert " ".join(found.split()) == " ".join(expected.split())
