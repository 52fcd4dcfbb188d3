"""Corruptions seeded in a real finished run: the audit names each with its file and row."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pacore.core.identity import digest
from pacore.core.problem import Problem
from pacore.store.backends.protocol import Backend
from pacore.store.commits import read_commit
from pacore.store.layout import commit_key, final_key, journal_key, run_key, snapshot_key
from pacore.store.run import freeze_problems, open_run, problems_of
from tests.fixtures.altered_rows import (
    another_problem,
    change_answer,
    change_score,
    double_row,
    edit_message,
    edit_text,
    finished,
    lose_message,
    lose_row,
    lose_set,
    lose_verdict,
    place,
    reorder_messages,
    set_column,
    set_verdict,
    swap_slots,
)
from tests.fixtures.audited import RUN, copy_of, errors, finished_night
from tests.fixtures.corruption import (
    Row,
    edit_entry,
    edit_json,
    flip,
    repack,
    rewrite,
    rows_of,
    unit_of,
)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_night(tmp_path_factory.mktemp("night"))


@pytest.fixture
def store(night: Path, tmp_path: Path) -> Backend:
    """The finished run, in a copy to be damaged."""
    return copy_of(night, tmp_path / "store")


Seeded = tuple[str, str]
"""The file and the row an audit has to name."""


def change(table: str, round_: int, alter: Callable[[list[Row]], str]) -> Callable[..., Seeded]:
    """Alter a unit's rows, files and commits staying consistent; ``alter`` says which row."""

    def seed(store: Backend) -> Seeded:
        named: list[str] = []
        unit = unit_of(store, RUN, table, round_)
        file = rewrite(store, unit, lambda rows: named.append(alter(rows)))
        return file, f"{table} round {round_} {named[0]}"

    return seed


def flip_a_byte(store: Backend) -> Seeded:
    key = read_commit(store, unit_of(store, RUN, "messages", 1)).path
    flip(store, key, 200)
    return key, "messages round 1"


def drop_a_data_file(store: Backend) -> Seeded:
    key = read_commit(store, unit_of(store, RUN, "trajectories", 2)).path
    Path(store.uri(key)).unlink()
    return key, "trajectories round 2"


def bytes_that_are_no_table(store: Backend) -> Seeded:
    unit = unit_of(store, RUN, "answers", 3)
    return repack(store, unit, b"PAR1 but nothing after it PAR1"), "answers round 3"


def drop_a_column(table: str, round_: int, column: str) -> Callable[[Backend], Seeded]:
    """A file without one of the columns that may be null, as before that was added to the table."""

    def seed(store: Backend) -> Seeded:
        unit = unit_of(store, RUN, table, round_)
        with store.open(read_commit(store, unit).path) as file:
            rest = pq.read_table(file).drop_columns([column])
        written = BytesIO()
        pq.write_table(rest, written)
        return repack(store, unit, written.getvalue(), rest.num_rows), f"{table} round {round_}"

    return seed


def retype_a_column(table: str, round_: int, column: str) -> Callable[[Backend], Seeded]:
    """A file in which one of the columns that may be null has lists, as no table has there."""

    def seed(store: Backend) -> Seeded:
        unit = unit_of(store, RUN, table, round_)
        with store.open(read_commit(store, unit).path) as file:
            found = pq.read_table(file)
        lists = pa.array([[1, 2]] * found.num_rows, pa.list_(pa.int64()))
        place = found.column_names.index(column)
        written = BytesIO()
        pq.write_table(found.set_column(place, column, lists), written)
        return repack(store, unit, written.getvalue(), found.num_rows), ""

    return seed


def drop_a_commit(store: Backend) -> Seeded:
    unit = unit_of(store, RUN, "messages", 1)
    Path(store.uri(commit_key(unit))).unlink()
    return commit_key(unit), "messages round 1"


def garble_a_commit(store: Backend) -> Seeded:
    unit = unit_of(store, RUN, "verdicts", 3)
    store.put(commit_key(unit), store.get(commit_key(unit))[:-20])
    return commit_key(unit), "verdicts round 3"


def miscount_in_a_commit(store: Backend) -> Seeded:
    unit = unit_of(store, RUN, "trajectories", 1)
    edit_json(store, commit_key(unit), lambda record: record["counts"].update(reused=77))
    return commit_key(unit), "trajectories round 1"


def edit_a_journal_entry(store: Backend) -> Seeded:
    unit = unit_of(store, RUN, "trajectories", 1)
    row = finished(rows_of(store, unit))
    edit_entry(store, row["trajectory_id"], lambda made: made.update(content="\\boxed{0}"))
    named = f"trajectories round 1 {place(row)} slot {row['slot']}"
    return read_commit(store, unit).path, named


def drop_a_journal_entry(store: Backend) -> Seeded:
    unit = unit_of(store, RUN, "trajectories", 3)
    row = finished(rows_of(store, unit))
    Path(store.uri(journal_key(row["trajectory_id"]))).unlink()
    return read_commit(store, unit).path, f"trajectories round 3 {place(row)} slot {row['slot']}"


def exchange_journal_entries(store: Backend) -> Seeded:
    unit = unit_of(store, RUN, "trajectories", 1)
    one, two = [r for r in rows_of(store, unit) if r["conclusion_status"] == "present"][:2]
    keys = [journal_key(row["trajectory_id"]) for row in (one, two)]
    first, second = (store.get(key) for key in keys)
    store.put(keys[0], second)
    store.put(keys[1], first)
    named = f"trajectories round 1 {place(one)} slot {one['slot']}"
    return read_commit(store, unit).path, named


def break_the_chain(store: Backend) -> Seeded:
    key = snapshot_key(RUN, 0)
    store.put(key, store.get(key) + b"\n")
    return snapshot_key(RUN, 1), ""


def drop_a_snapshot(store: Backend) -> Seeded:
    Path(store.uri(snapshot_key(RUN, 0))).unlink()
    return snapshot_key(RUN, 0), ""


def unlist_a_file(store: Backend) -> Seeded:
    last = sorted(store.list(f"snapshots/run_id={RUN}"))[-1]
    edit_json(store, last, lambda record: record["tables"]["answers"].pop())
    return last, ""


def change_the_recipe(store: Backend) -> Seeded:
    """With the digest beside it: only the trajectories' own ids can tell."""

    def hotter(record: Any) -> None:
        record["identity"]["recipe"]["temperature"] = 0.5
        record["identity_digest"] = digest(record["identity"])

    edit_json(store, run_key(RUN), hotter)
    unit = unit_of(store, RUN, "trajectories", 1)
    row = rows_of(store, unit)[0]
    return read_commit(store, unit).path, f"trajectories round 1 {place(row)} slot {row['slot']}"


def change_the_plan(store: Backend) -> Seeded:
    edit_json(store, run_key(RUN), lambda record: record["identity"]["plan"].update(replicates=1))
    return run_key(RUN), ""


def change_a_gold_answer(store: Backend) -> Seeded:
    run = open_run(store, RUN)
    problems = [problem for shard in run.shards for problem in problems_of(store, run, shard)]
    changed = [Problem(p.problem_id, p.turns, "41", p.grader, p.metadata) for p in problems]
    other = freeze_problems(store, "problems", changed)
    store.put(run.problem_set, store.get(other))
    return run.problem_set, ""


def change_the_final_counts(store: Backend) -> Seeded:
    edit_json(store, final_key(RUN), lambda record: record["counts"].update(failed=99))
    return final_key(RUN), ""


CORRUPTIONS: dict[str, Callable[[Backend], Seeded]] = {
    "a byte of a data file is flipped": flip_a_byte,
    "a data file is gone": drop_a_data_file,
    "a row stands twice": change("trajectories", 1, double_row),
    "a message's text is edited": change("messages", 1, edit_message),
    "a message set is reordered": change("messages", 1, reorder_messages),
    "a commit is gone": drop_a_commit,
    "a seed is changed": change("trajectories", 2, set_column("seed", lambda row: row["seed"] + 1)),
    "an answer is changed": change("answers", 3, change_answer),
    "a journal entry's text is edited": edit_a_journal_entry,
    "the snapshot chain is broken": break_the_chain,
    "the recipe of a run is changed": change_the_recipe,
    "two trajectories changed slots": change("trajectories", 1, swap_slots),
    "a token count is changed": change(
        "trajectories", 1, set_column("completion_tokens", lambda row: row["completion_tokens"] + 1)
    ),
    "a trajectory is lost": change("trajectories", 1, lose_row),
    "a draw is changed": change("trajectories", 1, set_column("draw", lambda row: row["draw"] + 8)),
    "a trajectory has another's id": change(
        "trajectories", 1, set_column("trajectory_id", lambda row: row["trajectory_id"][::-1])
    ),
    "a prompt digest is changed": change(
        "trajectories", 3, set_column("prompt_digest", lambda row: row["prompt_digest"][::-1])
    ),
    "a finish reason is changed": change(
        "trajectories", 1, set_column("finish_reason", lambda _: "length")
    ),
    "a conclusion is changed": change(
        "trajectories", 2, set_column("conclusion", lambda _: "The answer is \\boxed{4}.")
    ),
    "rows belong to no problem": change("trajectories", 1, another_problem),
    "a message is lost": change("messages", 1, lose_message),
    "a message set is lost": change("messages", 2, lose_set),
    "a score is changed": change("verdicts", 3, change_score),
    "a verdict of the run is lost": change("verdicts", 3, lose_verdict),
    "a verdict of the run is on another answer": change("verdicts", 3, set_verdict("answer", "-1")),
    "a verdict of the run names another gold answer": change(
        "verdicts", 3, set_verdict("gold_answer", "-1")
    ),
    "a verdict of the run is on no trajectory": change(
        "verdicts", 3, set_verdict("trajectory_id", None)
    ),
    "a stored text is edited": change("trajectory_texts", 1, edit_text),
    "trajectories have no conclusions": drop_a_column("trajectories", 2, "conclusion"),
    "verdicts name no trajectories": drop_a_column("verdicts", 3, "trajectory_id"),
    "conclusions are lists": retype_a_column("trajectories", 2, "conclusion"),
    "token counts are lists": retype_a_column("trajectories", 1, "completion_tokens"),
    "numbers of messages are lists": retype_a_column("trajectories", 2, "prompt_messages"),
    "answers of verdicts are lists": retype_a_column("verdicts", 3, "answer"),
    "a file is no table at all": bytes_that_are_no_table,
    "a commit is garbled": garble_a_commit,
    "a commit counts something else": miscount_in_a_commit,
    "a journal entry is gone": drop_a_journal_entry,
    "two journal entries changed places": exchange_journal_entries,
    "a snapshot is gone": drop_a_snapshot,
    "a snapshot leaves out a file": unlist_a_file,
    "the plan of a run is changed": change_the_plan,
    "a gold answer is changed": change_a_gold_answer,
    "the end of a run is miscounted": change_the_final_counts,
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_every_seeded_corruption_is_named_with_its_file_and_row(
    store: Backend, seed: Callable[[Backend], Seeded]
) -> None:
    file, row = seed(store)
    found = errors(store)
    naming = [f for f in found if f.where.file == file and f.where.row.startswith(row)]
    assert naming, "\n".join([f"nothing names {file}: {row}", *map(str, found)])
    assert all("\n" not in str(finding) for finding in found)
