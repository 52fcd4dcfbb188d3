"""Repairing: what is lost of a run is derived again, exactly, and what cannot be is named."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from pacore.errors import Refused, StoreError
from pacore.evaluation.judging import begin_judging, finish_judging
from pacore.repair.broken import Outcome
from pacore.repair.repair import repair
from pacore.runs.retry import begin_retry
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import committed_units, current_files, current_units, read_commit
from pacore.store.gradings import Grading
from pacore.store.layout import (
    Unit,
    commit_key,
    journal_key,
    run_key,
    snapshot_key,
    snapshots_prefix,
)
from pacore.store.run import is_closed, open_run
from pacore.store.schema import TABLES
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore, pacore_command
from tests.fixtures.audited import FAULTY, RUN, copy_of, errors, finish
from tests.fixtures.corruption import edit_json, flip, repack, rows_of, standing_rows
from tests.fixtures.graded import grade_rows, verdict_rows
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.regraded import grade
from tests.fixtures.stores import fresh_url
from tests.warehouse.test_nulls import old_file

pytestmark = pytest.mark.slow

KEPT = ("data", "commits", "snapshots", "runs", "problems", "journal")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with faults, replicates, three rounds, two shards, retries, and two gradings."""
    folder = tmp_path_factory.mktemp("night")
    problems = write_problems(folder / "problems.jsonl", 6)
    config = scripted_config(
        folder / "store", problems, model=FAULTY, widths=(4, 2), replicates=2, shard_size=3,
        run_id=RUN, attempts=4,
    )  # fmt: skip
    store = finish(config)
    begin_retry(store, open_run(store, RUN), "finish_reason = 'length'", 60)
    finish(config)
    grade(config.store, RUN, "text")
    grade(config.store, RUN, "auto")
    assert any(unit.revision for unit in committed_units(store, RUN))
    assert errors(store) == []
    return folder / "store"


@pytest.fixture
def store(night: Path, tmp_path: Path) -> Backend:
    return copy_of(night, tmp_path / "store")


def content(store: Backend) -> dict[str, bytes]:
    return {key: store.get(key) for prefix in KEPT for key in store.list(prefix)}


def files(store: Backend, table: str = "") -> list[str]:
    """Keys of the data files that the run's tables consist of, or of one table."""
    found = current_files(store, RUN)
    return [key for name, keys in found.items() if table in ("", name) for key in keys]


def repaired(store: Backend, run_id: str = RUN) -> list[Outcome]:
    return list(repair(store, run_id))


def remove(store: Backend, key: str) -> None:
    store.delete(key)


def truncate(store: Backend, key: str) -> None:
    store.put(key, store.get(key)[:100])


def overwrite(store: Backend, key: str) -> None:
    store.put(key, b"not Parquet at all")


def turn_a_bit(store: Backend, key: str) -> None:
    flip(store, key, 200)


DAMAGES: tuple[Callable[[Backend, str], None], ...] = (remove, truncate, overwrite, turn_a_bit)


def test_a_whole_run_is_left_alone(store: Backend) -> None:
    before = content(store)
    assert repaired(store) == []
    assert content(store) == before


def test_a_single_file_is_made_again_byte_for_byte(store: Backend) -> None:
    before = content(store)
    for number, key in enumerate(files(store)[::6]):
        DAMAGES[number % len(DAMAGES)](store, key)
        (outcome,) = repaired(store)
        assert outcome.key == key and outcome.is_repaired
        assert outcome.what.endswith(": made again, byte for byte")
    assert content(store) == before


@pytest.mark.parametrize("table", [*sorted(set(TABLES) - {"problems", "stops"}), ""])
def test_all_files_of_a_table_and_of_all_tables_are_made_again(store: Backend, table: str) -> None:
    before = content(store)
    lost = files(store, table)
    assert lost
    for key in lost:
        remove(store, key)
    outcomes = repaired(store)
    assert sorted(outcome.key for outcome in outcomes) == sorted(lost)
    assert all(outcome.is_repaired for outcome in outcomes)
    assert content(store) == before
    assert errors(store) == []


def test_what_stands_no_more_needs_no_repair(store: Backend) -> None:
    standing = set(files(store))
    units = [
        unit
        for unit in committed_units(store, RUN)
        if read_commit(store, unit).path not in standing and unit.table != "trajectory_texts"
    ]
    assert units
    remove(store, read_commit(store, units[0]).path)
    assert repaired(store) == []
    assert errors(store) == []


def written_otherwise(store: Backend, table: str) -> list[Unit]:
    """Have a table's files be of an earlier version of pacore; their units."""
    units = current_units(store, RUN, table)
    for unit in units:
        schema = TABLES[table]
        rows = rows_of(store, unit)
        scratch = store.scratch() / "otherwise.parquet"
        old_file(
            scratch, schema, [tuple(row[name] for name in schema.schema.names) for row in rows]
        )
        repack(store, unit, scratch.read_bytes(), len(rows))
        scratch.unlink()
    return units


@pytest.mark.parametrize("table", ["trajectories", "trajectory_texts", "messages", "verdicts"])
def test_files_of_an_earlier_version_are_repaired_beside_their_commits(
    store: Backend, table: str
) -> None:
    rows = standing_rows(store, RUN)
    units = written_otherwise(store, table)
    assert errors(store) == []
    before = {commit_key(unit): store.get(commit_key(unit)) for unit in units}
    for key in files(store, table):
        remove(store, key)
    assert errors(store)
    outcomes = repaired(store)
    assert [outcome.what for outcome in outcomes] == [
        "is missing: made again by this version, as a repair of it"
    ] * len(units)
    assert {key: store.get(key) for key in before} == before
    assert {unit.repair for unit in committed_units(store, RUN) if unit.table == table} >= {1}
    assert errors(store) == []
    assert standing_rows(store, RUN) == rows
    assert repaired(store) == []
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())
    # Its own repairs come out byte for byte, under the names they have.
    lost = files(store, table)
    assert all("repair1-" in key for key in lost)
    for key in lost:
        overwrite(store, key)
    assert {outcome.what.partition(": made")[2] for outcome in repaired(store)} == {
        " again, byte for byte"
    }
    assert errors(store) == []


def test_a_repaired_run_is_graded_exported_and_retried_like_any(
    store: Backend, tmp_path: Path, night: Path
) -> None:
    from pacore.exchange.export_folder import export_run
    from pacore.exchange.imports import import_export

    for table in ("trajectories", "messages"):
        written_otherwise(store, table)
        for key in files(store, table):
            remove(store, key)
    repaired(store)
    grade(store.url, RUN, "numeric:rel=0.01")
    exported, elsewhere = open_store(str(tmp_path / "out")), open_store(str(tmp_path / "elsewhere"))
    export_run(store, RUN, exported)
    import_export(exported, elsewhere)
    assert errors(elsewhere) == [] and repaired(elsewhere) == []
    assert begin_retry(store, open_run(store, RUN), "finish_reason = 'stop' AND slot = 0", 50)
    config = scripted_config(
        Path(store.url), night.parent / "problems.jsonl", model=FAULTY, widths=(4, 2), replicates=2,
        shard_size=3, run_id=RUN, attempts=4,
    )  # fmt: skip
    finish(config)
    assert errors(store) == []


def commits(store: Backend) -> list[str]:
    units = current_units(store, RUN)
    return [commit_key(unit) for unit in units]


def test_commits_that_are_missing_or_unreadable_are_made_again(store: Backend) -> None:
    rows = standing_rows(store, RUN)
    keys = commits(store)
    for number, key in enumerate(keys):
        store.put(key, b"{") if number % 2 else store.delete(key)
    outcomes = repaired(store)
    assert sorted(outcome.key for outcome in outcomes) == sorted(keys)
    assert all(outcome.is_repaired for outcome in outcomes)
    assert errors(store) == []
    assert standing_rows(store, RUN) == rows
    assert repaired(store) == []


def test_snapshots_that_follow_from_others_are_made_again(store: Backend) -> None:
    before = content(store)
    keys = list(store.list(snapshots_prefix(RUN)))
    assert len(keys) >= 3
    # The first were written while the run was in progress, and nothing says what they listed.
    for key in keys[-3:-1]:
        for lose in (store.delete, lambda key: store.put(key, b"[]")):
            lose(key)
            (outcome,) = repaired(store)
            assert outcome == Outcome(key, outcome.what, is_repaired=True)
            assert content(store) == before


def test_the_last_snapshot_is_written_anew(store: Backend) -> None:
    last = list(store.list(snapshots_prefix(RUN)))[-1]
    before = store.get(last)
    store.put(last, b"{")
    with pytest.raises(StoreError, match="cannot be used: is not JSON"), Warehouse(store, [RUN]):
        pass
    assert [outcome.is_repaired for outcome in repaired(store)] == [True]
    assert store.get(last) == before
    store.delete(last)
    repaired(store)
    assert store.get(last) == before


def test_a_snapshot_that_nothing_tells_of_is_named_and_read_by_nobody(store: Backend) -> None:
    key = snapshot_key(RUN, 0)
    store.delete(key)
    (outcome,) = repaired(store)
    assert outcome.key == key
    if not outcome.is_repaired:
        assert "nothing says which files it listed" in outcome.what
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())


def test_the_end_of_a_run_is_recorded_again(store: Backend) -> None:
    ends = [key for key in store.list(f"runs/{RUN}") if "/final" in key]
    store.delete(ends[-1])
    assert not is_closed(store, RUN)
    repaired(store)
    assert is_closed(store, RUN) and errors(store) == []


def test_the_problem_set_is_frozen_again_from_its_file(store: Backend) -> None:
    key = open_run(store, RUN).problem_set
    before = store.get(key)
    for damage in DAMAGES[:3]:
        damage(store, key)
        (outcome,) = repaired(store)
        assert outcome.key == key and outcome.is_repaired and "made again from " in outcome.what
        assert store.get(key) == before


def test_a_problem_set_whose_file_has_changed_cannot_be_made_again(
    store: Backend, tmp_path: Path
) -> None:
    run = open_run(store, RUN)
    other = write_problems(tmp_path / "other.jsonl", 5)
    remove(store, run.problem_set)
    for place, words in (
        (other, "holds other problems now"),
        (tmp_path / "gone.jsonl", "no such file"),
    ):

        def move(record: Any, to: str = str(place)) -> None:
            record["config"].update(problems=to)

        edit_json(store, run_key(RUN), move)
        (outcome,) = repaired(store)
        assert not outcome.is_repaired and words in outcome.what


def test_without_its_record_a_run_is_refused_with_what_helps(store: Backend) -> None:
    store.delete(run_key(RUN))
    with pytest.raises(
        Refused, match=r"runs/night/run\.json: is missing.*the command that started it"
    ):
        repaired(store)
    with pytest.raises(Refused, match="no run 'nobody' in "):
        repaired(store, "nobody")


def test_what_the_journal_has_lost_is_counted_and_all_else_is_made_again(store: Backend) -> None:
    lost = [
        read_commit(store, unit)
        for unit in current_units(store, RUN)
        if unit.table == "trajectories" and unit.shard == "s00000"
    ]
    for row in islice(rows_of(store, lost[1].unit), 3):
        store.delete(journal_key(row["trajectory_id"]))
    keys = files(store)
    for key in keys:
        remove(store, key)
    outcomes = {outcome.key: outcome for outcome in repaired(store)}
    assert sorted(outcomes) == sorted(keys)
    failed = [key for key, outcome in outcomes.items() if not outcome.is_repaired]
    assert lost[1].path in failed
    assert "of its trajectories are not in the journal" in outcomes[lost[1].path].what
    # The other shard does not depend on it.
    assert all("/s00000" in key for key in failed)
    assert [outcome.key for outcome in repaired(store)] == failed


def test_a_run_that_goes_on_is_repaired_as_far_as_it_is(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    config = scripted_config(
        tmp_path / "store", problems, widths=(3,), shard_size=2, run_id=RUN, model="scripted?fault=0.5",
        attempts=2,
    )  # fmt: skip
    run_stages(config)
    store = open_store(config.store)
    before = content(store)
    assert not is_closed(store, RUN)
    for key in files(store):
        remove(store, key)
    assert all(outcome.is_repaired for outcome in repaired(store))
    assert content(store) == before
    finish(config)
    assert errors(store) == []


def test_a_repair_that_was_stopped_goes_on(store: Backend) -> None:
    before = content(store)
    keys = files(store)
    for key in keys:
        remove(store, key)
    done = 0
    while outcomes := list(islice(repair(store, RUN), 7)):
        done += len(outcomes)
    assert done == len(keys)
    assert content(store) == before


def test_a_repair_that_is_killed_at_any_moment_can_be_started_again(store: Backend) -> None:
    before = content(store)
    for key in files(store):
        remove(store, key)
    chosen = random.Random(5)
    command = pacore_command(["repair", RUN, "--store", store.url])
    for _ in range(8):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(chosen.randint(1, 6)):
                process.stdout.readline()
            time.sleep(chosen.random() / 10)
            process.send_signal(signal.SIGKILL)
    repaired(store)
    assert {key: value for key, value in content(store).items() if key in before} == before
    assert errors(store) == [] and repaired(store) == []


@pytest.mark.parametrize("kind", ["memory", pytest.param("s3", marks=pytest.mark.slow)])
def test_objects_are_repaired_as_files_are(
    night: Path, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    local = copy_of(night, tmp_path / "local")
    units = written_otherwise(local, "messages")
    store = open_store(fresh_url(request, kind, tmp_path))
    for key, value in content(local).items():
        store.put(key, value)
    store.put("_store.json", local.get("_store.json"))
    lost = [
        key for table in ("trajectories", "messages", "verdicts") for key in files(store, table)
    ]
    for key in lost:
        remove(store, key)
    store.put(commit_key(units[-1]), b"{")
    with pytest.raises(StoreError, match="pacore repair night"), Warehouse(store, [RUN]):
        pass
    outcomes = repaired(store)
    assert all(outcome.is_repaired for outcome in outcomes)
    assert len(outcomes) == len(lost)
    assert errors(store) == [] and repaired(store) == []
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())


def test_a_judges_verdicts_come_from_its_votes(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", 4)
    config = scripted_config(tmp_path / "store", problems, widths=(3,), run_id=RUN, shard_size=2)
    run_stages(config)
    store = open_store(config.store)
    judging = begin_judging(store, open_run(store, RUN), "judge:k=2,n=3", "gold", {})
    run_stages(judging.config)
    finish_judging(store, judging)
    before = content(store)
    for key in files(store, "verdicts"):
        remove(store, key)
    assert all(outcome.is_repaired for outcome in repaired(store))
    assert content(store) == before
    for key in store.list(f"runs/{judging.config.run_id}"):
        store.delete(key)
    for key in files(store, "verdicts"):
        if ".grun" not in key:
            remove(store, key)
    assert {outcome.what.partition("again: ")[2] for outcome in repaired(store)} == {
        "the run with the votes of judge:k=2,n=3 is not in this store"
    }


def test_verdicts_of_another_version_are_named_and_not_made_up(store: Backend) -> None:
    earlier = Grading("auto", "math 0")
    standing = {unit: rows_of(store, unit) for unit in current_units(store, RUN)}
    grade_rows(store, RUN, verdict_rows(standing, earlier), earlier)
    for key in files(store, "verdicts"):
        remove(store, key)
    outcomes = repaired(store)
    failed = [outcome for outcome in outcomes if not outcome.is_repaired]
    assert len(failed) == sum(earlier.grading_id in outcome.key for outcome in outcomes) > 0
    assert all("it was graded by version math 0, and this is " in one.what for one in failed)


def test_the_command_says_what_it_did(store: Backend, pacore: Pacore, command: Pacore) -> None:
    at = ["--store", store.url]
    assert command("repair", RUN, *at).stdout == f"run {RUN}: nothing is missing or damaged\n"
    key = files(store, "messages")[0]
    remove(store, key)
    words = f"table messages: {key}: is missing"
    asked = command("query", *at, "--format", "csv", "SELECT count(*) FROM messages")
    assert (asked.returncode, asked.stdout) == (0, "count_star()\n0\n")
    assert (
        asked.stderr
        == f"pacore: left out: run {RUN}, {words}; pacore repair {RUN} makes again what it can\n"
    )
    for ended in (command("show", RUN, "sum-0001", *at), pacore("flips", RUN, *at)):
        assert ended.returncode == 1 and words in ended.stderr
        assert ended.stderr.endswith(f"; pacore repair {RUN} makes again what it can\n")
    ended = pacore("repair", RUN, *at)
    assert ended.returncode == 0
    assert ended.stdout == (
        f"{key}: is missing: made again, byte for byte\n"
        f"run {RUN}: 1 made again; pacore audit {RUN} checks all of it\n"
    )
    assert command("audit", RUN, *at).returncode == 0
