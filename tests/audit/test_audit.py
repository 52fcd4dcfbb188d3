"""The audit on sound runs of every policy, on runs still going, and on files that are no files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pacore.audit.audit import Audit
from pacore.errors import Refused
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import committed_units, read_commit
from pacore.store.layout import commit_key
from pacore.store.run import is_closed
from tests.fixtures.audited import FAULTY, RUN, audited, copy_of, errors, finish, finished_night
from tests.fixtures.corruption import standing_rows
from tests.fixtures.pipeline import (
    Killed,
    killed_after,
    run_stages,
    scripted_config,
    write_problems,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_night(tmp_path_factory.mktemp("night"))


@pytest.fixture
def store(night: Path, tmp_path: Path) -> Backend:
    """The finished run, in a copy to be damaged."""
    return copy_of(night, tmp_path / "store")


Policies = dict[str, Any]


SOUND: dict[str, Policies] = {
    "one round": {"widths": ()},
    "two later rounds": {"widths": (8, 3)},
    "replicates from a pool": {"widths": (4,), "replicates": 3, "pool": 6},
    "verbatim messages": {"widths": (3, 2), "compaction": "verbatim"},
    "the reference code's order": {"widths": (5, 2), "message_order": "reference"},
    "the reference code's messages": {"widths": (5, 2), "compaction": "reference"},
    "a quorum that may fall short": {"widths": (3,), "min_messages": 3},
    "refills": {"widths": (4,), "min_messages": 4, "on_shortfall": "refill"},
    "tails of what was cut": {"widths": (4, 2), "truncated": "tail", "tail_tokens": 5},
    "fewer messages than there are": {
        "widths": (6,), "overflow": "fewer_messages", "max_tokens": 30, "model": f"{FAULTY}&window=110",
    },
    "no temperature": {"widths": (3,), "temperature": 0.0},
    "a system prompt": {"widths": (3,), "system": "Be brief."},
}  # fmt: skip


@pytest.mark.parametrize("policies", SOUND.values(), ids=SOUND.keys())
def test_nothing_is_wrong_with_a_sound_run_of_any_policy(
    tmp_path: Path, policies: Policies
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 5)
    given = {"model": FAULTY, "shard_size": 2, "attempts": 2, "run_id": RUN, **policies}
    store = finish(scripted_config(tmp_path / "store", problems, **given))
    assert [str(finding) for finding in audited(store)] == []


def test_nothing_is_wrong_after_several_starts_and_everything_was_looked_at(store: Backend) -> None:
    audit = Audit(store, RUN)
    assert [str(finding) for finding in audit.findings()] == []
    rows = standing_rows(store, RUN)
    assert audit.tally.trajectories == len(rows["trajectories"])
    assert audit.tally.messages == len(rows["messages"])
    assert audit.tally.answers == audit.tally.verdicts == 6 * 2
    assert audit.tally.files == audit.tally.commits
    assert any(row["attempt"] for row in rows["trajectories"]), "some slot had several attempts"


def test_nothing_is_wrong_with_a_run_that_reuses_anothers_trajectories(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    given: Policies = {"model": FAULTY, "attempts": 4, "shard_size": 2}
    finish(scripted_config(tmp_path / "store", problems, widths=(4,), run_id="first", **given))
    store = finish(
        scripted_config(tmp_path / "store", problems, widths=(7, 2), run_id="second", **given)
    )
    assert any(row["reused"] for row in standing_rows(store, "second")["trajectories"])
    assert [str(finding) for finding in audited(store, "second")] == []


def test_a_run_that_is_still_going_is_held_against_what_it_has(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    for stages in range(1, 12, 2):
        folder = tmp_path / f"stopped-{stages}"
        config = scripted_config(folder, problems, widths=(3,), shard_size=2, run_id=RUN)
        with pytest.raises(Killed):
            run_stages(config, killed_after(stages + 1))
        assert [str(finding) for finding in audited(open_store(config.store))] == []


def test_an_unknown_run_is_refused_with_those_there_are(store: Backend) -> None:
    with pytest.raises(Refused, match=f"no run 'day' in .*{RUN}"):
        Audit(store, "day")


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a byte flipped": lambda data: data[:-9] + bytes([data[-9] ^ 4]) + data[-8:],
    "cut in half": lambda data: data[: len(data) // 2],
    "emptied": lambda _: b"",
    "a list": lambda _: b"[3]",
    "another record": lambda _: b'{"tables": [], "files": [3], "identity": {}, "counts": 1}',
}


def one_of_each_kind(store: Backend) -> Iterator[str]:
    """A key of everything a store keeps for a run; of commits and data one for each table."""
    for prefix in ("journal", "problems", "runs", "snapshots"):
        seen: set[str] = set()
        for key in store.list(prefix):
            kind = key.rpartition("/")[2] if prefix == "runs" else prefix
            if kind not in seen:
                yield key
            seen.add(kind)
    for unit in sorted(committed_units(store, RUN)):
        if unit.round == 2:
            yield commit_key(unit)
            yield read_commit(store, unit).path


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_no_damage_to_any_file_breaks_an_audit_off_and_nearly_all_is_found(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    store = finish(scripted_config(tmp_path / "store", problems, widths=(2,), run_id=RUN))
    keys = list(one_of_each_kind(store))
    assert len(keys) > 12
    for key in keys:
        whole = store.get(key)
        store.put(key, damage(whole))
        found = errors(store)
        # Who committed something and when, or asked for a run how, follows from nothing.
        is_free = key.startswith(("commits/", "runs/")) and len(damage(whole)) == len(whole)
        assert found or is_free, f"{key} goes unseen"
        store.put(key, whole)
    assert errors(store) == []


def test_samples_that_say_the_same_are_suspected_and_no_error(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    config = scripted_config(
        tmp_path / "store", problems, model="scripted?words=0", widths=(9,), run_id=RUN
    )
    found = audited(finish(config))
    assert {finding.severity for finding in found} == {"warning"}
    assert all("hold the same text" in finding.what for finding in found)
    assert found[0].where.row.startswith("trajectories round 1 sum-0000 replicate 0 slot ")


def test_a_shard_that_is_being_tried_again_is_held_against_its_own_revision(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    config = scripted_config(
        tmp_path / "store", problems, model="scripted?fault=0.3", widths=(3,), shard_size=3,
        run_id=RUN, attempts=9,
    )  # fmt: skip
    run_stages(config)
    store = open_store(config.store)
    assert not is_closed(store, RUN)
    with pytest.raises(Killed):
        run_stages(config, killed_after(3))
    (told,) = audited(store)
    assert told.severity == "warning"
    assert told.what == "were not checked: shards are being tried again: s00000"
    finish(config)
    assert audited(store) == []
