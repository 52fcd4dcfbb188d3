"""Cleaning after nights: what rules keep, what goes, and that no decision depends on it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.config.nightly import NightlyJob
from pacore.core.trajectory import Slot, Trajectory
from pacore.errors import Refused
from pacore.evaluation.night import accept_runs, decided
from pacore.evaluation.nightly.cleaning import (
    COMPARED,
    Removal,
    clean,
    kept_by_rules,
    plan_cleaning,
    remove,
)
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import publish, write_snapshot
from pacore.store.layout import Unit, derived_key, journal_key, removal_prefix, run_key
from pacore.store.nights import Acceptance, Night, accept, add_night, keep_scores, read_nights
from pacore.store.parquet import read_rows
from pacore.store.records import put_next
from pacore.store.run import close_run, list_runs
from pacore.store.schema import TRAJECTORIES, NightScore
from tests.conftest import Pacore
from tests.fixtures.small_store import begin_run, generation, problem, trajectory

PROBLEMS = [problem(number) for number in range(1, 5)]

NOW = datetime.now(UTC)

DAY = timedelta(days=1)


def job_of(**fields: object) -> NightlyJob:
    run = {"problems": "p.jsonl", "engine": "scripted"}
    return NightlyJob.model_validate({"name": "sums", "run": run, **fields})


def name_of(day: int) -> str:
    return f"sums-202611{day:02}"


def nights_of(decisions: str) -> list[Night]:
    """Nights that ended a day apart, the last now; ``n`` is a NO-GO, any other a GO."""
    count = len(decisions)
    return [
        Night("sums", name_of(day), NOW - (count - day) * DAY, "NO-GO" if word == "n" else "GO")
        for day, word in enumerate(decisions, 1)
    ]


def kept(decisions: str, accepted: tuple[int, ...] = (), **rules: object) -> list[int]:
    found = kept_by_rules(nights_of(decisions), job_of(**rules), set(map(name_of, accepted)), NOW)
    return [int(name[-2:]) for name in found]


def test_without_rules_every_night_is_kept() -> None:
    assert kept("g" * 9) == list(range(1, 10))


def test_the_last_nights_are_kept_by_their_number_their_age_and_for_the_gate() -> None:
    assert kept("g" * 9, keep_nights=1) == [5, 6, 7, 8, 9]
    assert kept("g" * 9, keep_nights=7) == [3, 4, 5, 6, 7, 8, 9]
    assert kept("g" * 9, keep_days=6.5) == [3, 4, 5, 6, 7, 8, 9]
    assert COMPARED == 5


def test_accepted_nights_are_always_kept_and_no_gos_for_longer_where_a_rule_says_so() -> None:
    assert kept("gngngggggg", accepted=(1,), keep_nights=1) == [1, 6, 7, 8, 9, 10]
    assert kept("gngngggggg", keep_nights=1, keep_no_go_nights=8) == [4, 6, 7, 8, 9, 10]


def files_of(nights: Nights) -> set[str]:
    """The keys of all files of a store."""
    found = (path.relative_to(nights.folder) for path in nights.folder.rglob("*") if path.is_file())
    return {str(path) for path in found if not str(path).startswith(".tmp")}


class Nights:
    """A store of nights without engines: small runs with scores, texts and generations."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Backend = open_store(str(folder))

    def run(
        self, run_id: str, draws: dict[int, str], *, is_complete: bool = True, **fields: object
    ) -> None:
        """A run whose round 1 has some draws, each with the run that has generated it and shows it."""
        run = begin_run(self.store, PROBLEMS, run_id, seed_root=run_id, **fields)
        made = list(self._made(run_id, draws))
        publish(self.store, Unit(run_id, "trajectories", 1, "s00000"), map(TRAJECTORIES.row, made))
        for one in made:
            self.store.put_new(journal_key(one.trajectory_id), one.text_run_id.encode())
        if is_complete:
            write_snapshot(self.store, run_id)
            close_run(self.store, run, {})

    def _made(self, run_id: str, draws: dict[int, str]) -> Iterator[Trajectory]:
        for slot, (draw, owner) in enumerate(sorted(draws.items())):
            one = trajectory((f"of {draw}", 1, slot, 0), generation("stop", "2", 9), owner)
            yield replace(one, reused=owner != run_id, place=Slot(1, "sum-1", 0, slot, slot))

    def night(
        self, day: int, accuracies: list[float], draws: dict[int, str] | None = None
    ) -> Night:
        name = name_of(day)
        self.run(name, draws or {day: name})
        return self.decide(day, accuracies)

    def decide(self, day: int, accuracies: list[float]) -> Night:
        name = name_of(day)
        scores = [
            NightScore("", one.problem_id, one.content_digest, value, 1.0, ("math 1",))
            for one, value in zip(PROBLEMS, accuracies, strict=True)
        ]
        keep_scores(self.store, "sums", name, scores)
        night = replace(decided(self.store, job_of(), name, scores), accuracy=0.5)
        night = replace(night, ended_at=NOW - (30 - day) * DAY)
        add_night(self.store, night)
        return night

    def accept(self, day: int) -> None:
        accept(self.store, Acceptance("sums", (name_of(day),), NOW - (30 - day) * DAY, "ada"))

    def age(self, days: float = 3.0) -> None:
        then = time.time() - days * 86_400
        for path in self.folder.rglob("*"):
            if path.is_file():
                os.utime(path, (then, then))

    def going(self, **rules: object) -> dict[int, str | None]:
        """Why each night is kept, by its day; None of one that goes."""
        found = plan_cleaning(self.store, job_of(**rules), NOW)
        return {int(one.night.run_id[-2:]): one.why for one in found}


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    """Eight nights, of which the first was accepted; all written three days ago."""
    nights = Nights(tmp_path / "store")
    for day in range(1, 9):
        nights.night(day, [1.0, 0.0, 1.0, 0.5])
        if day == 1:
            nights.accept(1)
    nights.age()
    return nights


def test_the_run_of_a_night_goes_with_its_files_and_generations_and_its_row_stays(
    nights: Nights,
) -> None:
    before = files_of(nights)
    (gone, other) = clean(nights.store, job_of(keep_nights=1), NOW)
    assert [one.night.run_id for one in (gone, other)] == [name_of(2), name_of(3)]
    left = files_of(nights)
    lost = before - left
    assert lost
    assert not [
        key for key in left if f"run_id={name_of(2)}/" in key or f"runs/{name_of(2)}/" in key
    ]
    assert sum(key.startswith("journal/") for key in lost) == 2
    assert not [key for key in lost if key.startswith(("nightly/", "problems/"))]
    assert [one.run_id for one in read_nights(nights.store, "sums")] == [
        name_of(day) for day in range(1, 9)
    ]
    assert clean(nights.store, job_of(keep_nights=1), NOW) == []


def test_what_something_refers_to_is_kept_and_the_listing_says_by_what(nights: Nights) -> None:
    nights.run("reader", {2: name_of(2), 77: "reader"})
    nights.age()
    assert nights.going(keep_nights=1)[2] == "run reader shows texts of it"
    nights.store.put(
        derived_key("judge"), b'{"id": "q", "judged": {"run_id": "%s"}}\n' % name_of(3).encode()
    )
    assert nights.going(keep_nights=1)[3] == "run judge was made from its rows"
    assert clean(nights.store, job_of(keep_nights=1), NOW) == []


def test_generations_that_another_run_has_in_its_tables_stay_in_the_journal(nights: Nights) -> None:
    nights.run("copy", {2: "copy"})
    nights.age()
    clean(nights.store, job_of(keep_nights=1), NOW)
    (shared,) = (one for one in nights._made("copy", {2: "copy"}))
    assert nights.store.exists(journal_key(shared.trajectory_id))
    assert name_of(2) not in list_runs(nights.store)


def test_a_run_that_goes_on_with_the_same_recipe_keeps_a_night(nights: Nights) -> None:
    run = begin_run(nights.store, PROBLEMS, "goes-on", seed_root=name_of(2))
    assert run.run_id == "goes-on"
    nights.age()
    assert (
        nights.going(keep_nights=1)[2] == "run goes-on, which is not complete, has the same recipe"
    )
    assert nights.going(keep_nights=1)[3] is None


def test_what_was_written_within_a_day_is_kept(nights: Nights) -> None:
    nights.age(0.5)
    assert set(nights.going(keep_nights=1).values()) == {
        "accepted", "written within a day", "of the last 5, for the gate",
    }  # fmt: skip


@pytest.mark.parametrize("files", [0, 1, 3, 6])
def test_a_removal_that_was_interrupted_is_finished_by_the_next(nights: Nights, files: int) -> None:
    whole = Nights(nights.folder.parent / "whole")
    shutil.copytree(nights.folder, whole.folder, dirs_exist_ok=True)
    clean(whole.store, job_of(keep_nights=1), NOW)
    put_next(
        nights.store,
        removal_prefix("sums", name_of(2)),
        Removal("sums", name_of(2), (name_of(2),), datetime.now(UTC)),
    )
    going = remove(nights.store, [name_of(2)])
    for _ in range(files):
        next(going)
    clean(nights.store, job_of(keep_nights=1), NOW)
    assert files_of(nights) == files_of(whole)


def test_a_run_of_that_name_that_was_begun_since_is_left_alone(nights: Nights) -> None:
    put_next(
        nights.store,
        removal_prefix("sums", name_of(2)),
        Removal("sums", name_of(2), (name_of(2),), NOW - DAY),
    )
    clean(nights.store, job_of(keep_nights=30), NOW)
    assert nights.store.exists(run_key(name_of(2)))


def test_the_command_lists_what_would_go_and_then_removes_it(
    nights: Nights, tmp_path: Path, command: Pacore
) -> None:
    file = tmp_path / "nights.yaml"
    file.write_text(
        "jobs:\n  - name: sums\n    keep_nights: 6\n    run: {problems: p.jsonl, engine: scripted, "
        f"store: {nights.folder}}}\n"
    )
    listed = command("nightly", "clean", str(file), "--dry-run")
    assert listed.returncode == 0, listed.stderr
    assert f"{name_of(2)}  GO" in listed.stdout
    assert "goes" in listed.stdout
    assert "kept: accepted" in listed.stdout
    assert max(map(len, listed.stdout.splitlines())) <= 100
    assert name_of(2) in list_runs(nights.store)
    done = command("nightly", "clean", str(file))
    assert name_of(2) in done.stdout
    assert name_of(2) not in list_runs(nights.store)
    assert command("nightly", "clean", str(file)).stdout == "nothing was to be removed\n"


RULES = st.fixed_dictionaries(
    {"keep_nights": st.integers(1, 9)},
    optional={"keep_days": st.floats(0.5, 30), "keep_no_go_nights": st.integers(1, 12)},
)

ACCURACIES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=4, max_size=4)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(data=st.data(), rules=RULES, nights=st.lists(ACCURACIES, min_size=7, max_size=11))
def test_whatever_is_cleaned_decisions_are_the_same_and_nothing_that_is_referred_to_goes(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    rules: dict[str, object],
    nights: list[list[float]],
) -> None:
    place = Nights(tmp_path_factory.mktemp("store"))
    owners: dict[int, str] = {}
    for day, accuracies in enumerate(nights, 1):
        taken = data.draw(st.sets(st.sampled_from(sorted(owners)), max_size=1)) if owners else set()
        draws = {draw: owners[draw] for draw in taken} | {day: name_of(day)}
        owners[day] = name_of(day)
        place.night(day, accuracies, draws)
        if day == 1 or data.draw(st.integers(0, 9)) == 0:
            place.accept(day)
    last = len(nights)
    place.age()

    def again() -> Night:
        night = decided(place.store, job_of(), name_of(last), _scores(nights[-1]))
        return replace(night, ended_at=NOW)

    before, ledger = again(), read_nights(place.store, "sums")
    clean(place.store, job_of(**rules), NOW)
    assert again() == before
    assert read_nights(place.store, "sums") == ledger
    _refers_to_what_is_there(place.store)


def _scores(accuracies: list[float]) -> list[NightScore]:
    return [
        NightScore("", one.problem_id, one.content_digest, value, 1.0, ("math 1",))
        for one, value in zip(PROBLEMS, accuracies, strict=True)
    ]


def _refers_to_what_is_there(store: Backend) -> None:
    there = set(list_runs(store))
    for key in store.list("data/trajectories"):
        with store.open(key) as file:
            for row in read_rows(file, ["trajectory_id", "text_run_id"]):
                assert row["text_run_id"] in there
                assert store.exists(journal_key(row["trajectory_id"]))


def test_a_night_whose_run_was_removed_is_no_baseline(nights: Nights) -> None:
    clean(nights.store, job_of(keep_nights=1), NOW)
    with pytest.raises(Refused, match=f"no run '{name_of(2)}'"):
        accept_runs(nights.store, "sums", [name_of(2)], "ada", "")
