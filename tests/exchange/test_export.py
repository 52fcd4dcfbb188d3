"""A run leaves as one folder and enters another store byte for byte, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pacore.cli.exchange import ImportOptions, export_to, import_from
from pacore.errors import BadInput, Refused, StoreError
from pacore.evaluation.gradings import ungraded
from pacore.exchange.export_folder import export_run
from pacore.exchange.imports import import_export
from pacore.store.backends.opening import open_store
from pacore.store.gradings import read_gradings
from pacore.store.integrity import uncollected
from pacore.store.layout import MANIFEST_KEY, STORE_KEY, exported_kind
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.audited import audited
from tests.fixtures.pipeline import (
    journal_size,
    run_stages,
    scripted_config,
    tables,
    write_problems,
)
from tests.fixtures.regraded import grade, grade_units, opened
from tests.fixtures.stores import fresh_url

FIELDS: dict[str, Any] = {"widths": (3,), "run_id": "base"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with run ``base`` and run ``wide``, which borrows texts of ``base``; and an export."""
    folder = tmp_path_factory.mktemp("export")
    problems = write_problems(folder / "problems.jsonl", 4)
    run_stages(scripted_config(folder / "store", problems, **FIELDS))
    run_stages(scripted_config(folder / "store", problems, widths=(5,), run_id="wide"))
    export_run(open_store(str(folder / "store")), "wide", open_store(str(folder / "wide")))
    return folder


@pytest.fixture
def export(made: Path, tmp_path: Path) -> Path:
    """A copy of the export of ``wide``, to be imported or tampered with."""
    shutil.copytree(made / "wide", tmp_path / "wide")
    return tmp_path / "wide"


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".tmp" not in path.parts and path.name != STORE_KEY
    }


def bring(export: Path, store: Path, run_id: str | None = None) -> int:
    return import_from(str(export), ImportOptions(str(store), run_id=run_id))


def manifest_of(export: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((export / MANIFEST_KEY).read_text())
    return found


@pytest.mark.slow
def test_an_export_holds_the_run_its_problems_its_journal_and_the_texts_it_borrowed(
    made: Path,
) -> None:
    manifest = manifest_of(made / "wide")
    kinds: dict[str | None, list[str]] = {}
    for file in manifest["files"]:
        kinds.setdefault(exported_kind(file["key"], "wide"), []).append(file["key"])
    assert set(kinds) == {"journal", "problems", "data", "commits", "snapshots", "runs"}
    assert len(kinds["journal"]) == 4 * (5 + 1)
    assert {"runs/wide/run.json", "runs/wide/final.json", "runs/wide/lent.json"} <= set(
        kinds["runs"]
    )
    borrowed = [key for key in kinds["data"] if "/run_id=base/" in key]
    assert borrowed
    assert all(key.startswith("data/trajectory_texts/") for key in borrowed)
    written = files_of(made / "wide")
    assert set(written) == {file["key"] for file in manifest["files"]} | {MANIFEST_KEY}


def test_everything_of_an_export_but_the_list_of_loans_is_the_stores_byte_for_byte(
    made: Path,
) -> None:
    original = files_of(made / "store")
    for key, data in files_of(made / "wide").items():
        if key not in (MANIFEST_KEY, "runs/wide/lent.json"):
            assert original[key] == data


def test_another_store_has_the_run_byte_for_byte_and_its_tables_say_the_same(
    made: Path, export: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    assert bring(export, other) == 0
    exported = files_of(export)
    del exported[MANIFEST_KEY]
    assert files_of(other) == exported
    assert tables(str(other), "wide") == tables(str(made / "store"), "wide")


@pytest.mark.slow
def test_borrowed_texts_are_there_to_be_asked_though_the_lender_is_not(
    export: Path, tmp_path: Path
) -> None:
    bring(export, tmp_path / "other")
    with Warehouse(open_store(str(tmp_path / "other"))) as warehouse:
        assert warehouse.run_checks()["texts_exist"] == []
        (row,) = warehouse.query(
            "SELECT count(*) FILTER (t.text_run_id = 'base'), count(texts.content), count(*) "
            "FROM trajectories AS t LEFT JOIN trajectory_texts AS texts "
            "ON texts.run_id = t.text_run_id AND texts.trajectory_id = t.trajectory_id"
        ).rows
        assert row == (12, 24, 24)
        assert list(warehouse.query("SELECT run_id FROM runs").rows) == [("wide",)]


def test_texts_on_loan_are_never_collected(export: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    bring(export, other)
    old = time.time() - 3 * 86_400
    for path in (other / "data").rglob("*.parquet"):
        os.utime(path, (old, old))
    assert uncollected(open_store(str(other))) == []
    (other / "runs" / "wide" / "lent.json").unlink()
    assert {
        entry.key.split("/run_id=")[1][:4] for entry in uncollected(open_store(str(other)))
    } == {"base"}


def test_an_export_is_itself_a_store_that_can_be_asked(export: Path) -> None:
    with Warehouse(open_store(str(export))) as warehouse:
        (row,) = warehouse.query("SELECT status, problems FROM runs").rows
        assert row == ("complete", 4)


def test_the_same_configuration_has_nothing_to_do_in_the_other_store(
    made: Path, export: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    bring(export, other)
    before = files_of(other)
    run_stages(scripted_config(other, made / "problems.jsonl", widths=(5,), run_id="wide"))
    assert files_of(other) == before


def test_another_run_over_there_reuses_what_came_in(
    made: Path, export: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    bring(export, other)
    before = journal_size(str(other))
    run_stages(scripted_config(other, made / "problems.jsonl", widths=(5,), run_id="again"))
    assert journal_size(str(other)) == before


def test_exporting_and_importing_again_change_nothing(
    made: Path, export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_of(export)
    assert export_to("wide", str(export), str(made / "store")) == 0
    assert "has run wide already; nothing to do" in capsys.readouterr().err
    assert files_of(export) == before
    bring(export, tmp_path / "other")
    there = files_of(tmp_path / "other")
    bring(export, tmp_path / "other")
    assert "is in" in capsys.readouterr().err
    assert files_of(tmp_path / "other") == there


def test_a_run_that_came_in_can_leave_again_as_the_very_same_export(
    export: Path, tmp_path: Path
) -> None:
    bring(export, tmp_path / "other")
    other, onward = open_store(str(tmp_path / "other")), open_store(str(tmp_path / "onward"))
    export_run(other, "wide", onward)
    assert files_of(tmp_path / "onward") == files_of(export)


def test_a_run_that_is_still_open_can_move_and_goes_on_over_there(
    made: Path, tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(made / "store", stopped)
    (stopped / "runs" / "base" / "final.json").unlink()
    for table in ("answers", "verdicts"):
        shutil.rmtree(stopped / "commits" / "run_id=base" / table)
    shutil.rmtree(stopped / "snapshots" / "run_id=base")
    export_run(open_store(str(stopped)), "base", open_store(str(tmp_path / "base")))
    bring(tmp_path / "base", tmp_path / "other")
    before = journal_size(str(tmp_path / "other"))
    run_stages(scripted_config(tmp_path / "other", made / "problems.jsonl", **FIELDS))
    assert journal_size(str(tmp_path / "other")) == before
    there = tables(str(tmp_path / "other"), "base")
    assert there == tables(str(made / "store"), "base")


# What is not as it should be is refused, and nothing is written.


def a_file(export: Path, kind: str) -> Path:
    keys = [file["key"] for file in manifest_of(export)["files"]]
    chosen: list[str] = [key for key in keys if exported_kind(key, "wide") == kind]
    return export / chosen[0]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE: dict[str, Callable[[Path], None]] = {
    "has another sha256": flip,
    "is missing": Path.unlink,
    "bytes, not": cut,
}


@pytest.mark.parametrize("kind", ["journal", "problems", "data", "commits", "snapshots", "runs"])
@pytest.mark.parametrize("what", DAMAGE)
def test_a_file_that_is_not_what_the_manifest_says_is_named_and_nothing_is_imported(
    export: Path, tmp_path: Path, kind: str, what: str
) -> None:
    path = a_file(export, kind)
    DAMAGE[what](path)
    with pytest.raises(Refused, match=what) as refused:
        bring(export, tmp_path / "other")
    assert path.relative_to(export).as_posix() in str(refused.value)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "key",
    [
        "../outside.json",
        "runs/base/run.json",
        "commits/run_id=base/answers/round=2/s00000.json",
        "snapshots/run_id=base/000000.json",
        "journal/aa/" + "b" * 32 + ".json.zst",
        "data/answers/schema=1/run_id=../round=1/x.parquet",
        "export.json",
    ],
)
def test_a_manifest_that_names_what_no_export_has_is_refused(
    export: Path, tmp_path: Path, key: str
) -> None:
    manifest = manifest_of(export)
    manifest["files"].append({"key": key, "sha256": "0" * 64, "bytes": 1})
    (export / MANIFEST_KEY).write_text(json.dumps(manifest))
    with pytest.raises(Refused, match="which no export has"):
        bring(export, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_an_existing_different_run_of_the_name_is_refused_and_left_as_it_is(
    made: Path, export: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    run_stages(scripted_config(other, made / "problems.jsonl", widths=(2,), run_id="wide"))
    before = files_of(other)
    with pytest.raises(Refused, match=r"runs/wide/run\.json: this store has another"):
        bring(export, other)
    assert files_of(other) == before


def test_another_run_of_the_lenders_name_is_refused(
    made: Path, export: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    run_stages(scripted_config(other, made / "problems.jsonl", widths=(2,), run_id="base"))
    with pytest.raises(Refused, match=r"runs/base/run\.json: this store has another run"):
        bring(export, other)


@pytest.mark.slow
def test_a_journal_entry_that_is_there_already_stays_and_it_is_said(
    made: Path, export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    config = scripted_config(other, made / "problems.jsonl", **FIELDS)
    run_stages(config.model_copy(update={"run_id": "own"}))
    before = files_of(other / "journal")
    bring(export, other)
    # Entries differ in when they were made, and in who asked for them first.
    assert "trajectories are in this store's journal with other" in capsys.readouterr().err
    assert before.items() <= files_of(other / "journal").items()
    assert tables(str(other), "wide") == tables(str(made / "store"), "wide")


def test_an_import_that_was_stopped_goes_on_and_shows_no_run_before_it_is_whole(
    export: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    bring(export, other)
    whole = files_of(other)
    (other / "runs" / "wide" / "run.json").unlink()
    for path in list((other / "commits").rglob("*.json"))[::2]:
        path.unlink()
    with Warehouse(open_store(str(other))) as warehouse:
        assert list(warehouse.query("SELECT run_id FROM runs").rows) == []
    bring(export, other)
    assert files_of(other) == whole


def test_places_that_cannot_hold_or_are_no_export_are_refused(made: Path, tmp_path: Path) -> None:
    store = open_store(str(made / "store"))
    with pytest.raises(Refused, match="is a store, or contains another run"):
        export_run(store, "wide", store)
    with pytest.raises(Refused, match="is a store, or contains another run"):
        export_run(store, "base", open_store(str(made / "wide")))
    with pytest.raises(Refused, match="no run 'none'"):
        export_run(store, "none", open_store(str(tmp_path / "none")))
    with pytest.raises(Refused, match=r"is not an export: has no export\.json"):
        import_export(open_store(str(tmp_path)), store)


def test_a_store_that_lacks_a_file_of_the_run_cannot_export_it(made: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(made / "store", broken)
    gone = next(broken.glob("data/answers/*/run_id=wide/*/*.parquet"))
    gone.unlink()
    with pytest.raises(StoreError, match=gone.name):
        export_run(open_store(str(broken)), "wide", open_store(str(tmp_path / "out")))
    assert not (tmp_path / "out" / MANIFEST_KEY).exists()


def test_an_export_keeps_its_name_and_needs_no_flags_of_a_file(
    export: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="an export keeps its run's name, which is wide"):
        bring(export, tmp_path / "other", run_id="mine")
    with pytest.raises(BadInput, match="--model: an export says that itself"):
        import_from(str(export), ImportOptions(str(tmp_path / "other"), model="m"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_a_run_leaves_to_object_storage_and_enters_a_store_on_it(
    request: pytest.FixtureRequest, made: Path, tmp_path: Path, kind: str
) -> None:
    folder, target = (fresh_url(request, kind, tmp_path) for _ in range(2))
    export_run(open_store(str(made / "store")), "wide", open_store(folder))
    first = import_export(open_store(folder), open_store(target))
    assert (first.added, first.notes) == (first.files, [])
    assert import_export(open_store(folder), open_store(target)).added == 0
    assert tables(target, "wide") == tables(str(made / "store"), "wide")
    with Warehouse(open_store(target)) as warehouse:
        assert warehouse.run_checks()["texts_exist"] == []


@pytest.mark.slow
def test_the_commands_move_a_run_that_status_show_and_query_then_know(
    made: Path, tmp_path: Path, pacore: Pacore, command: Pacore
) -> None:
    there = ["--store", str(tmp_path / "other")]
    done = pacore("export", "wide", str(tmp_path / "out"), "--store", str(made / "store"))
    assert done.returncode == 0, done.stderr
    done = pacore("import", str(tmp_path / "out"), *there)
    assert done.returncode == 0, done.stderr
    assert "imported run wide: " in done.stdout
    assert "complete" in command("status", *there).stdout
    assert "sum-0001" in command("show", "wide", "sum-0001", *there).stdout
    asked = command("query", "SELECT count(*) AS n FROM answers", "--format", "json", *there)
    assert json.loads(asked.stdout) == [{"n": 4}]
    again = command(
        "run", "--problems", str(made / "problems.jsonl"), "--engine", "scripted",
        "--widths", "5", "--run-id", "wide", *there,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stderr
    audited = command("audit", "wide", *there)
    assert audited.returncode == 0, audited.stdout + audited.stderr


@pytest.mark.slow
def test_an_export_carries_the_gradings_finished_or_not_and_what_stands(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    config = scripted_config(tmp_path / "store", problems, shard_size=2, **FIELDS)
    run_stages(config)
    store = open_store(config.store)
    grade(config.store, "base", "text")
    grade(config.store, "base")
    grade_units(opened(store, "base", "numeric"), 1)
    export_run(store, "base", open_store(str(tmp_path / "out")))
    assert bring(tmp_path / "out", tmp_path / "other") == 0
    other = open_store(str(tmp_path / "other"))
    assert read_gradings(other, "base") == read_gradings(store, "base")
    for name in ("gradings", "verdicts", "scores"):
        text = f"FROM {name} ORDER BY ALL"
        with Warehouse(store) as here, Warehouse(other) as there:
            assert list(here.query(text).rows) == list(there.query(text).rows)
    assert [str(finding) for finding in audited(other, "base")] == []
    assert ungraded(opened(other, "base", "numeric")) == ungraded(opened(store, "base", "numeric"))
    grade(str(tmp_path / "other"), "base", "numeric")
    assert [str(finding) for finding in audited(other, "base")] == []
