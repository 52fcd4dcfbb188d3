"""Records: every kind has the bytes it always had, and a fault in one is told by its file and field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pacore.core.quorum import ChosenSlot
from pacore.engine.watch import EngineRecord, FirstFacts
from pacore.errors import StoreError
from pacore.exchange.export_folder import ExportedFile, Manifest
from pacore.store.backends.capability import StoreRecord
from pacore.store.backends.local import LocalBackend
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Commit, Snapshot, TableFile, publish
from pacore.store.gradings import (
    Grading,
    GradingEnd,
    GradingStart,
    begin_grading,
    finish_grading,
    read_gradings,
)
from pacore.store.layout import Unit, commit_key, engine_key, grading_key, retry_key
from pacore.store.lease import LeaseRecord
from pacore.store.records import BadRecord, LaterRecord, decode, encode, find, put_new
from pacore.store.retries import RetryRecord, add_retry, read_retries
from pacore.store.run import ImportedText, ImportedTexts, Run, RunEnd
from tests.conftest import ROOT

GOLDEN = ROOT / "tests" / "golden" / "schema1" / "store"

GOLDEN_KINDS: dict[str, type] = {
    "commits/**/*.json": Commit,
    "snapshots/**/*.json": Snapshot,
    "runs/*/run.json": Run,
    "runs/*/final.json": RunEnd,
}

NOW = datetime(2026, 11, 24, 3, 0, 20, 64325, tzinfo=UTC)

TIME = b'"2026-11-24T03:00:20.064325+00:00"'

FILE = TableFile("data/a", "5a", 7, 2)

JSON_FILE = b'{"bytes":7,"path":"data/a","rows":2,"sha256":"5a"}'

WRITTEN: dict[str, tuple[object, bytes]] = {
    "what a store can do": (
        StoreRecord(NOW, put_if_absent=True),
        b'{"created_at":' + TIME + b',"put_if_absent":true,"v":1}',
    ),
    "a commit": (
        Commit(
            "commit", "night", "answers", 2, "s00000", 0, 1, "b7", NOW, (FILE,), ("commits/x",),
            {"answered": 2}, {"process": 3},
        ),
        b'{"attempt_id":"b7","committed_at":' + TIME + b',"counts":{"answered":2},"files":['
        + JSON_FILE + b'],"inputs":["commits/x"],"kind":"commit","producer":{"process":3},'
        b'"revision":0,"round":2,"run_id":"night","schema_version":1,"shard":"s00000",'
        b'"table":"answers","v":1}',
    ),
    "a commit of repaired verdicts": (
        Commit(
            "commit", "night", "verdicts", 2, "s00000", 1, 1, "b7", NOW, (FILE,), (), {}, {}, "1e", 3
        ),
        b'{"attempt_id":"b7","committed_at":' + TIME + b',"counts":{},"files":[' + JSON_FILE
        + b'],"grading":"1e","inputs":[],"kind":"commit","repair":3,"revision":1,"round":2,'
        b'"run_id":"night","schema_version":1,"shard":"s00000","table":"verdicts","v":1}',
    ),
    "a snapshot": (
        Snapshot("night", 0, None, {"answers": (FILE,)}),
        b'{"parent_sha256":null,"run_id":"night","sequence":0,"tables":{"answers":[' + JSON_FILE
        + b']},"v":1}',
    ),
    "a run": (
        Run("night", "2026-11-24", {"plan": {}}, "3c", "problems/p", 3, 2, {"git": None}, 4, {"k": 1}),
        b'{"config":{"k":1},"created_at":"2026-11-24","identity":{"plan":{}},"identity_digest":"3c",'
        b'"problem_set":"problems/p","problems":3,"producer":{"git":null},"run_id":"night",'
        b'"schema_revision":4,"shard_size":2,"v":1}',
    ),
    "the end of a run": (
        RunEnd("night", NOW, {"failed": 0}, None),
        b'{"counts":{"failed":0},"finished_at":' + TIME + b',"run_id":"night","snapshot":null,"v":1}',
    ),
    "texts of other runs": (
        ImportedTexts("night", (ImportedText("data/a", "5a", 7, "day", None),)),
        b'{"files":[{"bytes":7,"path":"data/a","run_id":"day","run_sha256":null,"sha256":"5a"}],'
        b'"run_id":"night","v":1}',
    ),
    "the start of a grading": (
        GradingStart("night", 1, NOW, "judge", "judge 1", "gold", {"n": 4}),
        b'{"against":"gold","created_at":' + TIME + b',"details":{"n":4},"grader":"judge",'
        b'"grader_version":"judge 1","run_id":"night","sequence":1,"v":1}',
    ),
    "the end of a grading": (
        GradingEnd("night", 1, NOW, {"correct": 2}),
        b'{"counts":{"correct":2},"finished_at":' + TIME + b',"run_id":"night","sequence":1,"v":1}',
    ),
    "what an engine is": (
        EngineRecord(NOW, {"version": "1", "window_tokens": 9, "model_root": None}),
        b'{"facts":{"model_root":null,"version":"1","window_tokens":9},"seen_at":' + TIME
        + b',"v":1}',
    ),
    "an export": (
        Manifest("export", "night", True, (ExportedFile("runs/night/run.json", "5a", 7),)),
        b'{"files":[{"bytes":7,"key":"runs/night/run.json","sha256":"5a"}],"is_closed":true,'
        b'"kind":"export","run_id":"night","v":1}',
    ),
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Backend:
    return LocalBackend(tmp_path / "store")


@pytest.mark.parametrize("name", WRITTEN)
def test_each_kind_of_record_has_its_bytes_and_is_read_from_them(name: str) -> None:
    record, data = WRITTEN[name]
    assert encode(record) == data
    assert decode(data, "some/key", type(record)) == record


def test_a_lease_has_no_format_version() -> None:
    record = LeaseRecord("b7", "here", 3, NOW, NOW)
    data = (
        b'{"expires_at":' + TIME + b',"holder":"b7","host":"here","process":3,"renewed_at":'
        + TIME + b"}"
    )  # fmt: skip
    assert encode(record, is_versioned=False) == data
    assert decode(data, "leases/a", LeaseRecord, is_versioned=False) == record


@pytest.mark.parametrize("pattern", GOLDEN_KINDS)
def test_the_records_of_the_golden_store_are_written_again_byte_for_byte(pattern: str) -> None:
    paths = sorted(GOLDEN.glob(pattern))
    assert paths
    for path in paths:
        data = path.read_bytes()
        assert encode(decode(data, str(path), GOLDEN_KINDS[pattern])) == data


def test_a_retry_names_its_slots_by_field(store: Backend) -> None:
    chosen = (ChosenSlot(1, "sum-1", 0, 2, "5a"),)
    add_retry(store, "night", RetryRecord(0, "round = 1", None, chosen, (4,)))
    data = store.get(retry_key("night", 0))
    assert data.startswith(b'{"created_at":"2')
    assert data.endswith(
        b'"max_tokens":null,"run_id":"night","sequence":0,"shards":[4],"slots":[{"problem_id":"sum-1",'
        b'"replicate":0,"round":1,"slot":2,"trajectory_id":"5a"}],"v":1,"where":"round = 1"}'
    )
    (read,) = read_retries(store, "night")
    assert read.chosen == chosen


@dataclass(frozen=True)
class Counted:
    """A record of this test."""

    name: str
    counts: dict[str, int]
    note: str = ""


FAULTS: dict[str, tuple[bytes, str]] = {
    "is cut short": (b'{"v":1,"name":"a', "is not JSON: EOF"),
    "is no object": (b"[1]", "cannot be used: must be an object"),
    "has no version": (b'{"name":"a","counts":{}}', "v: is needed"),
    "has a version below 1": (b'{"v":0,"name":"a","counts":{}}', "v: must be at least 1"),
    "lacks a field": (b'{"v":1,"name":"a"}', "counts: is needed"),
    "has a text for a number": (
        b'{"v":1,"name":"a","counts":{"right":"1"}}',
        "counts.right: must be a whole number",
    ),
    "has a number for a text": (
        b'{"v":1,"name":5,"counts":{}}',
        "name: must be text",
    ),
    "is not UTF-8": (b'{"v":1,"name":"\xff","counts":{}}', "cannot be used: "),
    "is nested without end": (b'{"v":1,"name":' + b"[" * 100_000, "cannot be used: "),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_record_that_cannot_be_used_is_told_in_a_line_by_its_key_and_field(
    store: Backend, name: str
) -> None:
    data, why = FAULTS[name]
    store.put("runs/a.json", data)
    with pytest.raises(BadRecord) as told:
        find(store, "runs/a.json", Counted)
    assert isinstance(told.value, StoreError)
    assert str(told.value) == f"runs/a.json: {told.value.why}"
    assert why in told.value.why and "\n" not in told.value.why


def test_an_unknown_field_is_ignored_and_a_later_version_is_not(store: Backend) -> None:
    store.put("a", b'{"v":1,"name":"a","counts":{"right":1},"added":true}')
    assert find(store, "a", Counted) == Counted("a", {"right": 1})
    store.put("a", b'{"v":2,"name":7}')
    with pytest.raises(LaterRecord, match="a: is of format 2; this pacore knows formats up to 1"):
        find(store, "a", Counted)


def test_a_record_that_is_not_there_is_none_and_the_first_one_stays(store: Backend) -> None:
    assert find(store, "a", Counted) is None
    assert put_new(store, "a", Counted("first", {}))
    assert not put_new(store, "a", Counted("second", {}))
    assert find(store, "a", Counted) == Counted("first", {})


def _a_commit(store: Backend) -> str:
    unit = Unit("night", "answers", 1, "s00000")
    publish(store, unit, [])
    return commit_key(unit)


def _a_grading(store: Backend) -> str:
    record = begin_grading(store, "night", Grading("math", "math 1"))
    finish_grading(store, "night", record, {"correct": 1})
    assert read_gradings(store, "night")[0].finished_at is not None
    return grading_key("night", 1)


def _an_engine(store: Backend) -> str:
    FirstFacts(store, "night").record({"version": "1"})
    return engine_key("night")


@pytest.mark.parametrize(
    ("write", "kind", "field"),
    [
        (_a_commit, Commit, "committed_at"),
        (_a_grading, GradingStart, "created_at"),
        (_an_engine, EngineRecord, "seen_at"),
    ],
)
def test_what_is_written_now_is_in_utc_with_its_offset(
    store: Backend, write: Callable[[Backend], str], kind: type[Any], field: str
) -> None:
    key = write(store)
    written = getattr(decode(store.get(key), key, kind), field)
    assert written.utcoffset().total_seconds() == 0
    assert f'"{field}":"{written.isoformat()}"'.encode() in store.get(key)
