"""Whole runs against an endpoint that fails by seed: nothing lost, nothing twice, all in the books."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass

import pytest

from benchmarks.fault_endpoint import (
    FAULTS,
    HARMLESS,
    LASTING,
    OTHER_MODEL,
    OVERFLOWS,
    FaultEndpoint,
    FaultPlan,
    Served,
)
from benchmarks.faults import (
    Books,
    Place,
    Row,
    compare,
    spoilt_seeds,
    standing_rows,
    texts,
)
from pacore.core.trajectory import UNFINISHED
from pacore.evaluation.accuracy import Totals
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse
from tests.fixtures.fault_runs import SCRIPT, WIDTH, config_for
from tests.fixtures.pipeline import run_stages, write_problems

PROBLEMS = 80


PLANNED = PROBLEMS * (WIDTH + 1)


SILENCE_SECONDS = 300.0


LONGEST_PASS_SECONDS = 240.0

TRIED_AGAIN = frozenset(FAULTS) - LASTING - {"no such model"}


@dataclass(frozen=True)
class Pass:
    """The state after one start of a run: what stands, the books, and how many requests so far."""

    standing: dict[Place, Row]
    books: Books
    served: list[Served]
    seconds: float


@dataclass(frozen=True)
class Runs:
    """A run against an endpoint that works, and one against an endpoint that fails, to its end."""

    store: str
    clean: dict[str, tuple[str | None, str | None]]
    faulty: dict[str, tuple[str | None, str | None]]
    passes: list[Pass]

    @property
    def first(self) -> Pass:
        return self.passes[0]

    @property
    def last(self) -> Pass:
        return self.passes[-1]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("faults")
    write_problems(folder / "problems.jsonl", PROBLEMS)
    store, clean = str(folder / "store"), str(folder / "clean")
    with FaultEndpoint(SCRIPT, FaultPlan(rate=0.0)) as works:
        run_stages(config_for(folder, works.url, store=clean))
    passes: list[Pass] = []
    with FaultEndpoint(SCRIPT, FaultPlan(silence_seconds=SILENCE_SECONDS)) as fails:
        while not passes or any(is_tombstone(row) for row in passes[-1].standing.values()):
            started = time.monotonic()
            run_stages(config_for(folder, fails.url))
            seconds = time.monotonic() - started
            books = Books.of(store, "faults")
            passes.append(Pass(standing_rows(store, "faults"), books, list(fails.served), seconds))
            assert len(passes) < 5
    return Runs(store, texts(clean, "faults"), texts(store, "faults"), passes)


def is_tombstone(row: Row) -> bool:
    return row["finish_reason"] in UNFINISHED


def seeds_with(served: list[Served], fault: str) -> set[int]:
    return {entry.seed for entry in served if entry.fault == fault}


@pytest.mark.slow
def test_every_kind_of_fault_was_met(runs: Runs) -> None:
    assert {entry.fault for entry in runs.last.served} == {*FAULTS, None}


def test_every_slot_of_the_first_round_has_one_row_whatever_went_wrong(runs: Runs) -> None:
    places = {place for place in runs.first.standing if place[0] == 1}
    expected = {
        (1, f"sum-{number:04d}", 0, slot) for number in range(PROBLEMS) for slot in range(WIDTH)
    }
    assert places == expected
    assert any(is_tombstone(row) for row in runs.first.standing.values())


def test_every_planned_trajectory_ends_as_one_row(runs: Runs) -> None:
    assert len(runs.last.standing) == PLANNED
    assert not any(is_tombstone(row) for row in runs.last.standing.values())


def test_the_store_and_the_endpoint_agree_on_every_request_and_every_token(runs: Runs) -> None:
    for one in runs.passes:
        differences = compare(one.served, one.books)
        assert not differences, differences
        assert one.books.tries.total() == len(one.served)


def test_a_response_that_never_came_whole_shows_in_its_row_as_a_cost_not_known(runs: Runs) -> None:
    untold = [entry for entry in runs.last.served if entry.generated_tokens > entry.told_tokens]
    assert {entry.fault for entry in untold} >= {"half a body", "reset after", "no usage"}
    for entry in untold:
        row = runs.last.books.rows[entry.seed]
        assert row["tries"] > 1 or row["usage_source"] == "unknown"


def test_nothing_hangs_on_an_endpoint_that_is_silent(runs: Runs) -> None:
    assert seeds_with(runs.last.served, "silence")
    assert all(one.seconds < LONGEST_PASS_SECONDS < SILENCE_SECONDS for one in runs.passes)


@pytest.mark.parametrize("fault", sorted(TRIED_AGAIN))
def test_a_passing_fault_is_tried_again_until_it_passes_or_is_a_tombstone(
    runs: Runs, fault: str
) -> None:
    tries = 3
    met = seeds_with(runs.last.served, fault)
    assert met
    for seed in met:
        row = runs.last.books.rows[seed]
        if is_tombstone(row):
            assert row["tries"] == tries or row["finish_reason"] == "rejected"
            assert row["error"]
        else:
            assert 1 < row["tries"] <= tries
            assert row["finish_reason"] in ("stop", "length")


def test_the_tombstone_of_a_silent_endpoint_is_a_timeout(runs: Runs) -> None:
    last_try: dict[int, Served] = {}
    for entry in runs.last.served:
        last_try[entry.seed] = max(entry, last_try.get(entry.seed, entry), key=lambda e: e.number)
    ends = defaultdict(set)
    for seed, entry in last_try.items():
        row = runs.last.books.rows[seed]
        if is_tombstone(row):
            ends[entry.fault].add(row["finish_reason"])
    assert ends.pop("no such model") == {"rejected"}
    assert ends.pop("silence", {"timeout"}) == {"timeout"}
    assert set().union(*ends.values()) == {"engine_error"}


def test_a_model_that_is_not_there_is_not_asked_for_again(runs: Runs) -> None:
    for seed in seeds_with(runs.last.served, "no such model"):
        row = runs.last.books.rows[seed]
        assert row["finish_reason"] == "rejected"
        assert "404: The model `faulty` does not exist." in row["error"]


def test_the_tokens_of_a_response_that_was_cut_are_wasted_and_counted(runs: Runs) -> None:
    told: Counter[int] = Counter()
    for entry in runs.last.served:
        if entry.fault == "aborted":
            told[entry.seed] += entry.told_tokens
    assert told
    for seed, row in runs.last.books.rows.items():
        assert row["wasted_tokens"] == told[seed]


@pytest.mark.parametrize("fault", sorted(OVERFLOWS))
def test_an_overflow_is_one_try_and_no_tombstone_in_every_servers_words(
    runs: Runs, fault: str
) -> None:
    met = seeds_with(runs.last.served, fault)
    assert met
    for seed in met:
        row = runs.last.books.rows[seed]
        assert (row["finish_reason"], row["tries"]) == ("context_overflow", 1)
        assert "maximum context length" in row["error"]


def test_a_null_content_is_an_empty_generation_with_its_tokens(runs: Runs) -> None:
    met = seeds_with(runs.last.served, "null content")
    empty = {
        seed for seed, row in runs.last.books.rows.items() if row["conclusion_status"] == "empty"
    }
    assert met == empty
    assert all(runs.last.books.rows[seed]["completion_tokens"] for seed in met)


@pytest.mark.slow
def test_tokens_nobody_counted_are_null_and_not_nought(runs: Runs) -> None:
    met = seeds_with(runs.last.served, "no usage")
    assert met
    for seed in met:
        row = runs.last.books.rows[seed]
        assert (row["completion_tokens"], row["usage_source"]) == (None, "unknown")
    with Warehouse(open_store(runs.store), ["faults"]) as warehouse:
        (total,) = warehouse.read(Totals, run_id="faults")
    standing = [row for row in runs.last.standing.values() if row["seed"] in met]
    assert total.uncounted == len(standing)


def test_an_answer_under_another_models_name_is_kept_with_that_name(runs: Runs) -> None:
    met = seeds_with(runs.last.served, "wrong model")
    named = {
        seed for seed, row in runs.last.books.rows.items() if row["served_model"] == OTHER_MODEL
    }
    assert met == named


def test_whatever_went_wrong_on_the_way_the_texts_are_those_of_a_run_without_faults(
    runs: Runs,
) -> None:
    spoilt = spoilt_seeds(runs.last.served)
    ids = [
        row["trajectory_id"]
        for row in runs.last.standing.values()
        if row["seed"] not in spoilt and row["trajectory_id"] in runs.clean
    ]
    harmed = {
        entry.seed for entry in runs.last.served if entry.fault and entry.fault not in HARMLESS
    }
    assert any(row["seed"] in harmed - spoilt for row in runs.last.standing.values())
    assert len(ids) > 0.8 * PLANNED
    assert [runs.faulty[one] for one in ids] == [runs.clean[one] for one in ids]


def test_what_is_finished_in_one_start_is_not_asked_for_in_the_next(runs: Runs) -> None:
    done = {
        row["seed"]
        for row in runs.first.standing.values()
        if row["finish_reason"] in ("stop", "length")
    }
    later = runs.last.served[len(runs.first.served) :]
    assert later
    assert not done & {entry.seed for entry in later}


@pytest.mark.slow
def test_a_finished_run_breaks_no_invariant(runs: Runs) -> None:
    with Warehouse(open_store(runs.store), ["faults"]) as warehouse:
        broken = {name: rows for name, rows in warehouse.run_checks().items() if rows}
    assert not broken
