"""Falsified decisions of rules that stop early, seeded in a real finished run: the audit names each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pacore.audit.finding import Finding
from pacore.core.config.run import RunConfig
from pacore.store.backends.protocol import Backend
from pacore.store.layout import commit_key, set_stop_key
from tests.fixtures.audited import RUN, copy_of, errors
from tests.fixtures.corruption import Row, edit_json, rewrite, rows_of, unit_of
from tests.fixtures.pipeline import finish, scripted_config, write_problems

WIDTH = 16


def config_of(folder: Path, **fields: Any) -> RunConfig:
    """With trajectories that were aborted, and others that were never begun."""
    problems = write_problems(folder / "problems.jsonl", 4)
    given = {"widths": (WIDTH,), "stopping": "votes:0.9,batch:8", "run_id": RUN, "shard_size": 4}
    model = "scripted?words=300&latency_ms=80"
    return scripted_config(folder / "store", problems, **{"model": model, **given, **fields})


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stopped")
    finish(config_of(folder))
    return folder / "store"


@pytest.fixture
def store(stopped: Path, tmp_path: Path) -> Backend:
    """The finished run, in a copy to be falsified."""
    return copy_of(stopped, tmp_path / "store")


def about(rows: list[Row]) -> Row:
    """A decision with something aborted and something that was not begun, if there is one."""
    return max(rows, key=lambda row: (sum(row["aborted_tokens"]), row["not_begun"]))


def contested(rows: list[Row]) -> Row:
    """A decision before which several answers were given."""
    return max(rows, key=lambda row: (row["is_stopped"], len(set(row["answer_keys"]))))


Pick = Callable[[list[Row]], Row]


def stop(alter: Callable[[Row], None], pick: Pick = about) -> Callable[[Backend], None]:
    """Falsify one row of ``stops``."""

    def seed(store: Backend) -> None:
        rewrite(store, unit_of(store, RUN, "stops", 1), lambda rows: alter(pick(rows)))

    return seed


def both(alter: Callable[[Row], None], pick: Pick = about) -> Callable[[Backend], None]:
    """Falsify a row of ``stops`` and the record of the decision alike."""

    def seed(store: Backend) -> None:
        row = pick(rows_of(store, unit_of(store, RUN, "stops", 1)))
        count = len(row["trajectory_ids"])
        alter(row)
        stop(alter, pick)(store)
        key = set_stop_key(RUN, 1, row["problem_id"], row["replicate"])

        def change(record: Any) -> None:
            names = ("rule", "begun", "is_stopped", "reason", "probability")
            record.update({name: row[name] for name in names if name in record})
            seen = record["arrivals"]
            by_id = {one["trajectory_id"]: one for one in seen}
            record["arrivals"] = [by_id[one] for one in row["trajectory_ids"] if one in by_id]
            for one, vote in zip(record["arrivals"], row["answer_keys"], strict=False):
                one["key"] = vote
            assert len(record["arrivals"]) <= count

        edit_json(store, key, change)

    return seed


def trajectory(pick: Callable[[Row], bool], **changed: Any) -> Callable[[Backend], None]:
    """Falsify the row of a trajectory of round 1."""

    def seed(store: Backend) -> None:
        def alter(rows: list[Row]) -> None:
            next(row for row in rows if pick(row)).update(changed)

        rewrite(store, unit_of(store, RUN, "trajectories", 1), alter)

    return seed


def record(alter: Callable[[Any], None]) -> Callable[[Backend], None]:
    """Falsify the record of a decision."""

    def seed(store: Backend) -> None:
        row = about(rows_of(store, unit_of(store, RUN, "stops", 1)))
        edit_json(store, set_stop_key(RUN, 1, row["problem_id"], row["replicate"]), alter)

    return seed


def lose_record(store: Backend) -> None:
    row = about(rows_of(store, unit_of(store, RUN, "stops", 1)))
    key = set_stop_key(RUN, 1, row["problem_id"], row["replicate"])
    Path(store.uri(key)).unlink()


def lose_commit(store: Backend) -> None:
    Path(store.uri(commit_key(unit_of(store, RUN, "stops", 1)))).unlink()


def drop_last(row: Row) -> None:
    """The decision one arrival earlier than it was taken."""
    row["trajectory_ids"] = row["trajectory_ids"][:-1]
    row["answer_keys"] = row["answer_keys"][:-1]


def swap_votes(row: Row) -> None:
    """Every vote for the leading answer given to another one."""
    first = max(set(row["answer_keys"]), key=row["answer_keys"].count)
    row["answer_keys"] = ["elsewhere" if one == first else one for one in row["answer_keys"]]


def lead_first(row: Row) -> None:
    """The votes of the leading answer first, so that less would have been enough."""
    first = max(set(row["answer_keys"]), key=row["answer_keys"].count)
    pairs = zip(row["trajectory_ids"], row["answer_keys"], strict=True)
    ordered = sorted(pairs, key=lambda pair: pair[1] != first)
    row["trajectory_ids"] = [one for one, _ in ordered]
    row["answer_keys"] = [vote for _, vote in ordered]


def update(**changed: Any) -> Callable[[Row], None]:
    return lambda row: row.update(changed)


def is_aborted(row: Row) -> bool:
    return bool(row["finish_reason"] == "aborted")


def is_sent_and_aborted(row: Row) -> bool:
    return is_aborted(row) and row["tries"] > 0


FALSIFIED: dict[str, Callable[[Backend], None]] = {
    "the last arrival is left out": both(drop_last),
    "votes are moved to another answer": both(swap_votes),
    "arrivals in an order in which fewer would do": both(lead_first, contested),
    "an arrival that is of no trajectory": stop(
        lambda row: row.update(trajectory_ids=["f" * 32, *row["trajectory_ids"][1:]])
    ),
    "an arrival twice": stop(
        lambda row: row.update(
            trajectory_ids=[row["trajectory_ids"][0], *row["trajectory_ids"][:-1]]
        )
    ),
    "an aborted one as an arrival": stop(
        lambda row: row.update(
            trajectory_ids=[*row["trajectory_ids"][:-1], (row["aborted"] or ["e" * 32])[0]]
        )
    ),
    "a vote less than there are arrivals": stop(
        lambda row: row.update(answer_keys=row["answer_keys"][:-1])
    ),
    "another probability": both(update(probability=0.987)),
    "another reason": both(update(reason="arrivals")),
    "not stopped at all": both(update(is_stopped=False, reason=None)),
    "another rule": both(update(rule="votes:0.6,batch:8")),
    "another width": stop(update(width=WIDTH + 1)),
    "more begun": both(lambda row: row.update(begun=row["begun"] % WIDTH + 1)),
    "more messages": stop(lambda row: row.update(messages=row["messages"] + 1)),
    "fewer tokens seen": stop(lambda row: row.update(seen_tokens=row["seen_tokens"] - 1)),
    "an aborted one left out": stop(
        lambda row: row.update(aborted=row["aborted"][1:], aborted_tokens=row["aborted_tokens"][1:])
    ),
    "cheaper aborted ones": stop(
        lambda row: row.update(aborted_tokens=[0 for _ in row["aborted_tokens"]])
    ),
    "more that were not begun": stop(lambda row: row.update(not_begun=row["not_begun"] + 1)),
    "at another time": stop(
        lambda row: row.update(decided_at=row["decided_at"] + timedelta(seconds=1))
    ),
    "a trajectory that was aborted and is said to have failed": trajectory(
        is_aborted, finish_reason="timeout"
    ),
    "a trajectory that arrived and is said to be aborted": trajectory(
        lambda row: row["finish_reason"] == "stop", finish_reason="aborted"
    ),
    "an aborted trajectory at a lower cost": trajectory(
        lambda row: is_sent_and_aborted(row) and row["completion_tokens"] > 0, completion_tokens=0
    ),
    "an aborted trajectory that was never sent": trajectory(is_sent_and_aborted, tries=0),
    "no record": lose_record,
    "a record of another set": record(lambda made: made.update(problem_id="elsewhere")),
    "a record of another decision": record(lambda made: made.update(begun=made["begun"] - 1)),
    "a record that is none": record(lambda made: made.pop("arrivals")),
    "no commit": lose_commit,
}


def test_the_run_as_it_is_has_nothing_wrong_and_all_kinds_of_slots(store: Backend) -> None:
    assert errors(store) == []
    rows = rows_of(store, unit_of(store, RUN, "stops", 1))
    assert any(row["aborted"] for row in rows) and any(row["not_begun"] for row in rows)
    assert any(sum(row["aborted_tokens"]) for row in rows)


@pytest.fixture(scope="module")
def agreed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which some sets have fewer slots and some have ended, as messages agree."""
    folder = tmp_path_factory.mktemp("agreed")
    rule = "fewest:2,depth:0.8"
    finish(config_of(folder, stopping=rule, widths=(6, 6), model="scripted?words=40", replicates=3))
    return folder / "store"


def is_ended(row: Row) -> bool:
    return row["ends_with"] is not None


OF_AGREEMENT: dict[str, tuple[int, Callable[[Row], bool], Callable[[Row], None]]] = {
    "an end that was none": (1, is_ended, update(ends_with=None)),
    "the end with another of the same answer": (
        1,
        is_ended,
        lambda row: row.update(
            ends_with=max(
                one
                for one, key in zip(row["trajectory_ids"], row["answer_keys"], strict=True)
                if key == max(row["answer_keys"], key=row["answer_keys"].count)
                and one != row["ends_with"]
            )
        ),
    ),
    "an end where messages differ": (
        1,
        lambda row: not is_ended(row),
        lambda row: row.update(ends_with=row["trajectory_ids"][0]),
    ),
    "messages that agree more": (
        2,
        lambda row: len(set(row["message_keys"])) > 1,
        lambda row: row.update(message_keys=[row["message_keys"][0]] * len(row["message_keys"])),
    ),
    "a message less": (
        2,
        lambda row: len(row["message_keys"]) > 2,
        lambda row: row.update(message_keys=row["message_keys"][1:]),
    ),
    "more slots than the agreement gives": (
        2,
        lambda row: row["begun"] < row["width"],
        lambda row: row.update(begun=row["width"]),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("is_recorded", [False, True], ids=["in its row", "in its record too"])
@pytest.mark.parametrize("name", OF_AGREEMENT)
def test_a_falsified_agreement_is_found(
    agreed: Path, tmp_path: Path, name: str, is_recorded: bool
) -> None:
    round_, picks, alter = OF_AGREEMENT[name]
    store = copy_of(agreed, tmp_path / "store")
    assert errors(store) == []
    unit = unit_of(store, RUN, "stops", round_)
    row = next(row for row in rows_of(store, unit) if picks(row))
    place = row["problem_id"], row["replicate"]

    def change(rows: list[Row]) -> None:
        alter(next(one for one in rows if (one["problem_id"], one["replicate"]) == place))

    rewrite(store, unit, change)
    if is_recorded:
        alter(row)
        names = ("ends_with", "message_keys", "begun")
        changed = {name: row[name] for name in names}
        key = set_stop_key(RUN, round_, *place)
        edit_json(store, key, lambda made: made.update(changed))
    assert any("stops" in str(one) for one in errors(store))


@pytest.mark.parametrize("name", FALSIFIED)
def test_a_falsified_decision_is_found(store: Backend, name: str) -> None:
    FALSIFIED[name](store)
    found: list[Finding] = errors(store)
    assert found, "nothing was found"
    said = "\n".join(map(str, found))
    assert "stops" in said


@pytest.mark.slow
def test_in_a_run_without_a_rule_nothing_may_be_aborted(tmp_path: Path) -> None:
    config = config_of(tmp_path, stopping=None, widths=(3,), model="scripted?words=9")
    finish(config)
    store = copy_of(tmp_path / "store", tmp_path / "copy")
    trajectory(lambda row: row["finish_reason"] == "stop", finish_reason="aborted")(store)
    said = "\n".join(map(str, errors(store)))
    assert "the plan has no rule that stops this round early" in said
