"""Records of decisions of rules that stop early, made again from the rows of the same decisions.

A decision is kept twice: as a record of the run, by which a resume goes on, and as a row of ``stops``. The
order in which trajectories arrived is in nothing else, so that what both have lost is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import cast

from pacore.audit.derive import slot_outcome
from pacore.audit.files import table_rows
from pacore.core.policies.stops import LeftSlot, SeenArrival, SetStop
from pacore.core.problem import Problem
from pacore.core.trajectory import UsageSource
from pacore.errors import StoreError
from pacore.repair.broken import Broken, Outcome
from pacore.runs.trajectories import publish_stops
from pacore.runs.work import ShardWork
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_units, read_commit
from pacore.store.journal import Journal
from pacore.store.layout import Unit, set_stop_key
from pacore.store.records import BadRecord, find, put_new
from pacore.store.rows import StoredStop, StoredTrajectory
from pacore.store.run import Run, find_set_stop, problems_of


def repair_records(store: Backend, run: Run, broken: Sequence[Broken]) -> Iterator[Outcome]:
    """Make records again whose rows of ``stops`` are in no ``broken`` file; yields each."""
    lost = {one.unit for one in broken}
    for unit in current_units(store, run.run_id, "stops"):
        if unit.first in lost:
            continue
        source = read_commit(store, unit)
        with store.local_path(source.path) as path:
            rows = list(table_rows(StoredStop, path, source.path))
        keys = [set_stop_key(run.run_id, unit.round, *row.place) for row in rows]
        faulty = [
            (row, key, what)
            for row, key in zip(rows, keys, strict=True)
            if (what := _fault(store, key)) is not None
        ]
        trajectories = unit._replace(table="trajectories")
        if trajectories.first in lost:
            for _, key, what in faulty:
                said = (
                    f"{what}, and cannot be made again: the trajectories of its set are lost, too"
                )
                yield Outcome(key, said, is_repaired=False)
            continue
        problems = _problems(store, run, unit) if faulty else {}
        for row, key, what in faulty:
            record = _record(store, run, trajectories, row, problems[row.problem_id])
            store.delete(key)
            put_new(store, key, record)
            yield Outcome(key, f"{what}: made again from {source.path}", is_repaired=True)


def _fault(store: Backend, key: str) -> str | None:
    try:
        return "is missing" if find(store, key, SetStop) is None else None
    except BadRecord as bad:
        return bad.why


def _record(store: Backend, run: Run, unit: Unit, stop: StoredStop, problem: Problem) -> SetStop:
    """The record of a decision on ``problem``, from its row and the rows of its set, which are in ``unit``.

    Raises StoreError where these do not go together.
    """
    source = read_commit(store, unit)
    with store.local_path(source.path) as path:
        rows = [
            row
            for row in table_rows(StoredTrajectory, path, source.path, stop.problem_id)
            if row.replicate == stop.replicate
        ]
    by_id = {row.trajectory_id: row for row in rows}
    if strange := [one for one in stop.trajectory_ids if one not in by_id]:
        raise StoreError(f"{source.path} has no trajectory {strange[0]}")
    current = {row.slot: row for row in rows}
    seen = []
    entries = Journal(store).find_many(stop.trajectory_ids)
    arrived = zip(stop.trajectory_ids, stop.answer_keys, entries, strict=True)
    for trajectory_id, key, entry in arrived:
        row = by_id[trajectory_id]
        outcome = slot_outcome(run, (unit.round, problem), row, entry)
        has_message = outcome.candidate.text is not None
        tokens = row.completion_tokens or 0
        seen.append(SeenArrival(row.slot, trajectory_id, key, has_message, tokens))
    left = [row for row in current.values() if row.trajectory_id not in stop.trajectory_ids]
    return SetStop(
        run_id=run.run_id,
        round=unit.round,
        problem_id=stop.problem_id,
        replicate=stop.replicate,
        rule=stop.rule,
        width=stop.width,
        begun=stop.begun,
        is_stopped=stop.is_stopped,
        reason=stop.reason,
        probability=stop.probability,
        arrivals=tuple(seen),
        left=tuple(
            LeftSlot(
                row.slot,
                row.trajectory_id,
                row.completion_tokens or 0,
                cast("UsageSource", row.usage_source),
                row.tries,
            )
            for row in left
        ),
        engine=[*left, *rows][0].engine,
        decided_at=stop.decided_at.replace(tzinfo=UTC).isoformat(),
        message_keys=tuple(stop.message_keys),
        ends_with=stop.ends_with,
    )


def _problems(store: Backend, run: Run, unit: Unit) -> dict[str, Problem]:
    """The problems of a unit's shard by their ids."""
    shard = next(one for one in run.shards if one.name == unit.shard)
    return {problem.problem_id: problem for problem in problems_of(store, run, shard)}


def derive_stops(shard: ShardWork, unit: Unit, rows: int | None) -> None:
    """Publish how a rule has decided the sets of a shard's round, by the records of its decisions.

    ``rows`` is how many the table had, None where nothing says that. Raises StoreError where
    there are not so many records.
    """
    work, stops = shard.work, []
    for problem in shard.problems():
        for replicate in range(work.run.plan.replicates):
            place = (unit.round, problem.problem_id, replicate)
            if (stop := find_set_stop(work.store, work.run.run_id, *place)) is not None:
                stops.append(stop)
    if rows is not None and len(stops) < rows:
        raise StoreError(
            f"{rows - len(stops)} of its {rows} decisions have no record: in which order trajectories "
            "arrived is in nothing else"
        )
    publish_stops(shard, unit.round, stops)
