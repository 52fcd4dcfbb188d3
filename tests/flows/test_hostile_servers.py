"""Servers that say of themselves and of their texts what they like: counts, names, shapes, sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pacore.report.problem import problem_of_run, problem_sheet
from pacore.report.query import query_output
from pacore.report.rendering.terminal import to_text
from pacore.report.run import result_sheet, run_results
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse
from tests.fixtures.faulty_server import Connection, Received, answers, completion
from tests.fixtures.hostile import UNANSWERABLE, config_for, hostile_server, problem_lines, says
from tests.fixtures.pipeline import run_stages, table
from tests.fixtures.served import served

MEGABYTE = 2**20


@pytest.mark.parametrize("tokens", [10**30, 2**31, -1, 0, 1.5, "7", True, None, [7], {"n": 7}])
def test_a_count_of_tokens_that_is_none_is_unknown_and_stops_nothing(
    tmp_path: Path, tokens: Any
) -> None:
    async def chat(received: Received, connection: Connection) -> None:
        body = completion("\\boxed{5}")
        body["usage"] = {"prompt_tokens": tokens, "completion_tokens": tokens}
        await answers(body)(received, connection)

    (tmp_path / "problems.jsonl").write_text(problem_lines({"any": "any"}))
    with served(hostile_server(chat)) as server:
        run_stages(config_for(tmp_path, server.endpoint, widths=()))
    columns = ("completion_tokens", "prompt_tokens", "usage_source", "finish_reason")
    rows = table(str(tmp_path / "store"), "hostile", "trajectories", columns)
    assert rows == [(1, None, None, "unknown", "stop")]


def test_a_servers_names_for_things_are_short_lines(tmp_path: Path) -> None:
    async def chat(received: Received, connection: Connection) -> None:
        name = "\x1b[2J<b>" + "n" * MEGABYTE
        body = completion("\\boxed{5}") | {"model": name, "system_fingerprint": name}
        await answers(body)(received, connection)

    (tmp_path / "problems.jsonl").write_text(problem_lines({"any": "any"}))
    with served(hostile_server(chat)) as server:
        run_stages(config_for(tmp_path, server.endpoint, widths=()))
    columns = ("served_model", "fingerprint")
    ((_, model, fingerprint),) = table(str(tmp_path / "store"), "hostile", "trajectories", columns)
    assert model == fingerprint
    assert model.startswith("<b>nnn")
    assert len(model) == 300


@pytest.mark.parametrize("name", UNANSWERABLE)
def test_a_body_that_is_no_completion_is_a_tombstone_however_deep(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "problems.jsonl").write_text(problem_lines({"any": "any"}))
    with served(hostile_server(answers(UNANSWERABLE[name]))) as server:
        run_stages(config_for(tmp_path, server.endpoint, widths=()))
    columns = ("finish_reason", "error")
    ((_, finish_reason, error),) = table(
        str(tmp_path / "store"), "hostile", "trajectories", columns
    )
    assert finish_reason == "engine_error"
    assert "200 " in error
    assert len(error) < 500


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["A" * 50 * MEGABYTE, "\\boxed{" + "7" * 50 * MEGABYTE + "}"], ids=["letters", "digits"]
)
def test_fifty_megabytes_of_one_character_are_a_long_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "problems.jsonl").write_text(problem_lines({"any": "any"}))
    with served(hostile_server(says({"any": text}))) as server:
        run_stages(config_for(tmp_path, server.endpoint, widths=(1,), timeout_seconds=120.0))
        asked = server.received("/v1/chat/completions")
        assert len(asked[-1].body) > 50 * MEGABYTE
    store = open_store(str(tmp_path / "store"))
    with Warehouse(store, ["hostile"]) as warehouse:
        lengths = warehouse.query("SELECT length(content) FROM trajectory_texts").rows
        assert list(lengths) == [(len(text),), (len(text),)]
        assert len(to_text(problem_sheet(problem_of_run(warehouse, "hostile", "any")))) < 20_000
        assert len(to_text(result_sheet(run_results(warehouse, "hostile")))) < 3_000
        shown = "".join(query_output(warehouse.query("SELECT * FROM trajectory_texts"), "table"))
    assert len(shown) < 20_000
