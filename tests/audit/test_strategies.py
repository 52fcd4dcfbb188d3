"""The audit of every strategy: nothing where all is sound, and each thing that was altered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pacore.core.identity import digest
from pacore.store.backends.protocol import Backend
from pacore.store.commits import read_commit
from pacore.store.layout import run_key
from tests.fixtures.altered_rows import (
    edit_message,
    lose_message,
    lose_row,
    place,
    reorder_messages,
    set_column,
    swap_slots,
)
from tests.fixtures.audited import RUN, audited, copy_of, errors, finish
from tests.fixtures.corruption import Row, edit_json, rewrite, rows_of, unit_of
from tests.fixtures.pipeline import scripted_config, write_problems
from tests.fixtures.strategies import STRATEGIES

MODEL = "scripted?words=4&empty=0.1&fault=0.1"
"""Closes its thinking within every bound, so that sets come to their ends."""


def night(folder: Path, strategy: str) -> Path:
    """A run with faults and a refill, in two shards, started until it was closed."""
    config = scripted_config(
        folder / "store", write_problems(folder / "problems.jsonl", 3), model=MODEL, widths=(4, 3),
        run_id=RUN, shard_size=2, attempts=9, min_messages=(3, 2), on_shortfall="refill",
        **STRATEGIES[strategy],
    )  # fmt: skip
    finish(config)
    return folder / "store"


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: night(tmp_path_factory.mktemp("night"), name) for name in STRATEGIES}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_finished_run_of_any_strategy_is_sound(
    nights: dict[str, Path], tmp_path: Path, strategy: str
) -> None:
    store = copy_of(nights[strategy], tmp_path / "store")
    found = [finding for finding in audited(store) if "same text" not in finding.what]
    assert [str(finding) for finding in found] == []


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


def change_the_plan(**fields: Any) -> Callable[..., Seeded]:
    """With the digest beside it: only the prompts of the second round can tell."""

    def seed(store: Backend) -> Seeded:
        def edit(record: Any) -> None:
            record["identity"]["plan"].update(fields)
            record["identity_digest"] = digest(record["identity"])

        edit_json(store, run_key(RUN), edit)
        unit = unit_of(store, RUN, "trajectories", 2)
        row = rows_of(store, unit)[0]
        return read_commit(store, unit).path, f"trajectories round 2 {place(row)} slot"

    return seed


def another_compactor(rows: list[Row]) -> str:
    rows[0]["compactor"] = "conclusion/1"
    return f"{place(rows[0])} position {rows[0]['position']}"


def shift(row: Row) -> list[int]:
    return [position % 3 + 1 for position in row["prompt_positions"]]


SUMMARIES, SUBSETS, WORKSPACE, ANSWERS = (
    "summaries", "subsets", "a workspace of summaries", "answers alone",
)  # fmt: skip


CORRUPTIONS: dict[str, tuple[str, Callable[[Backend], Seeded]]] = {
    "what a summary was made of": (SUMMARIES, change("messages", 1, edit_message)),
    "the order of what was condensed": (SUMMARIES, change("messages", 1, reorder_messages)),
    "a summary": (SUMMARIES, change("messages", 2, edit_message)),
    "a summary is lost": (SUMMARIES, change("messages", 2, lose_message)),
    "what made a summary": (SUMMARIES, change("messages", 2, another_compactor)),
    "a condensing trajectory is lost": (SUMMARIES, change("trajectories", 2, lose_row)),
    "two condensing trajectories changed slots": (
        SUMMARIES,
        change("trajectories", 2, swap_slots),
    ),
    "the bound of a summary": (
        SUMMARIES,
        change("trajectories", 2, set_column("max_tokens", lambda _: None)),
    ),
    "a bound where there is none": (
        SUMMARIES,
        change("trajectories", 3, set_column("max_tokens", lambda _: 16)),
    ),
    "the draw of a summary": (
        SUMMARIES,
        change("trajectories", 2, set_column("draw", lambda row: row["draw"] + 1)),
    ),
    "how long a summary may be": (SUMMARIES, change_the_plan(summary_tokens=17)),
    "what a subset saw": (
        SUBSETS,
        change("trajectories", 2, set_column("prompt_positions", shift)),
    ),
    "that a subset saw all": (
        SUBSETS,
        change("trajectories", 2, set_column("prompt_positions", lambda _: None)),
    ),
    "two subsets changed slots": (SUBSETS, change("trajectories", 2, swap_slots)),
    "the size of subsets": (SUBSETS, change_the_plan(subset=1)),
    "a workspace": (WORKSPACE, change("messages", 3, edit_message)),
    "what a workspace was distilled from": (WORKSPACE, change("messages", 2, edit_message)),
    "the distilling trajectory is lost": (WORKSPACE, change("trajectories", 3, lose_row)),
    "an answer alone": (
        ANSWERS,
        change(
            "messages",
            1,
            lambda rows: (
                rows[0].update(text="\\boxed{0}", characters=9)
                or f"{place(rows[0])} position {rows[0]['position']}"
            ),
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "seed"), CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_whatever_is_altered_is_named_with_its_file_and_row(
    nights: dict[str, Path], tmp_path: Path, strategy: str, seed: Callable[[Backend], Seeded]
) -> None:
    store = copy_of(nights[strategy], tmp_path / "store")
    file, row = seed(store)
    found = errors(store)
    naming = [f for f in found if f.where.file == file and f.where.row.startswith(row)]
    assert naming, "\n".join([f"nothing names {file}: {row}", *map(str, found)])
