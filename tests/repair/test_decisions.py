"""Repairing decisions of rules that stop early: each is kept as a record and as a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacore.repair.repair import repair
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_files
from tests.audit.test_stops import config_of
from tests.fixtures.audited import RUN, copy_of, errors
from tests.fixtures.pipeline import finish

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two shards of two sets each, with slots that were aborted and slots that nothing was sent
    for.
    """
    folder = tmp_path_factory.mktemp("stopped")
    finish(config_of(folder, shard_size=2))
    return folder / "store"


@pytest.fixture(scope="module")
def agreed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose rounds were narrowed and ended by agreement."""
    folder = tmp_path_factory.mktemp("agreed")
    finish(
        config_of(
            folder, shard_size=2, replicates=2, widths=(6, 6), stopping="fewest:2,depth:0.8",
            model="scripted?words=40",
        )
    )  # fmt: skip
    return folder / "store"


@pytest.fixture
def store(stopped: Path, tmp_path: Path) -> Backend:
    return copy_of(stopped, tmp_path / "store")


def content(store: Backend) -> dict[str, bytes]:
    return {
        key: store.get(key) for prefix in ("data", "commits", "runs") for key in store.list(prefix)
    }


def tables(store: Backend, name: str) -> list[str]:
    """The files of a table, by shard."""
    return sorted(current_files(store, RUN)[name])


def records(store: Backend) -> list[str]:
    return sorted(store.list(f"runs/{RUN}/stops"))


def damage(store: Backend, keys: list[str]) -> None:
    """Lose some files, and damage each second of them."""
    for number, key in enumerate(keys):
        if number % 2:
            store.put(key, store.get(key)[:20])
        else:
            store.delete(key)


@pytest.mark.parametrize("kind", ["stopped", "agreed"])
@pytest.mark.parametrize("lost", ["its table", "its records", "all its tables"])
def test_decisions_that_are_lost_or_damaged_are_made_again_byte_for_byte(
    tmp_path: Path, stopped: Path, agreed: Path, lost: str, kind: str
) -> None:
    store = copy_of({"stopped": stopped, "agreed": agreed}[kind], tmp_path / "store")
    before = content(store)
    every = [key for files in current_files(store, RUN).values() for key in sorted(files)]
    kinds = {"its table": tables(store, "stops"), "its records": records(store)}
    keys = kinds.get(lost, every)
    damage(store, keys)
    assert errors(store)
    outcomes = list(repair(store, RUN))
    assert sorted(outcome.key for outcome in outcomes) == sorted(keys)
    assert all(outcome.is_repaired for outcome in outcomes)
    assert content(store) == before
    assert errors(store) == []
    assert list(repair(store, RUN)) == []


def test_a_decision_of_which_record_and_row_are_lost_is_named_and_not_made_up(
    store: Backend,
) -> None:
    first, second = tables(store, "stops")
    damage(store, [first, second, records(store)[0]])
    outcomes = {outcome.key: outcome for outcome in repair(store, RUN)}
    assert outcomes.keys() == {first, second}
    (whole,) = [one for one in outcomes.values() if one.is_repaired]
    (lost,) = [one for one in outcomes.values() if not one.is_repaired]
    assert whole.what.endswith("made again, byte for byte")
    assert "1 of its 2 decisions have no record" in lost.what
    assert not store.exists(lost.key) or len(store.get(lost.key)) == 20


def test_a_record_is_not_made_of_a_set_whose_trajectories_are_lost(store: Backend) -> None:
    before = content(store)
    lost = [key for key in tables(store, "trajectories") if "round=1" in key]
    damage(store, [*lost, *records(store)])
    outcomes = {outcome.key: outcome for outcome in repair(store, RUN)}
    assert not any(outcomes[key].is_repaired for key in [*lost, *records(store)])
    assert all(
        "the trajectories of its set are lost, too" in outcomes[key].what for key in records(store)
    )
    untouched = content(store).keys() & before.keys() - {*lost, *records(store)}
    assert {key: store.get(key) for key in untouched} == {key: before[key] for key in untouched}
