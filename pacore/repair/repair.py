"""Repairing one run, in order: its problem set, its tables, its gradings, its records."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from pacore.core.plan import Shard
from pacore.core.problem import set_digest
from pacore.errors import BadInput, PacoreError, Refused, StoreError
from pacore.problems.files import read_problem_set
from pacore.repair.broken import Broken, find_broken
from pacore.repair.derive import RepairWork
from pacore.repair.outcome import Outcome
from pacore.repair.snapshots import repair_snapshots
from pacore.repair.view import RepairView
from pacore.runs.problems import close, open_shards
from pacore.store.backends.protocol import Backend
from pacore.store.commits import write_snapshot
from pacore.store.gradings import read_gradings
from pacore.store.layout import OWN, commits_prefix, run_key
from pacore.store.run import Run, freeze_problems, is_closed, open_run, problems_of


def repair(store: Backend, run_id: str) -> Iterator[Outcome]:
    """Recompute what is missing or damaged of a run; yields each thing when that is done.

    May be stopped and started again. Raises Refused for a run of which nothing is there, or that has
    no record, which alone says what it is.
    """
    run = _open(store, run_id)
    is_whole = True
    for outcome in chain(
        _problem_set(store, run), _tables(store, run), repair_snapshots(store, run)
    ):
        is_whole = is_whole and outcome.is_repaired
        yield outcome
    if is_closed(store, run_id):
        write_snapshot(store, run_id)
    elif is_whole and not open_shards(store, run):
        # It had ended, and the record of that is lost.
        close(store, run)


def _open(store: Backend, run_id: str) -> Run:
    try:
        return open_run(store, run_id)
    except Refused:
        if not any(True for _ in store.list(commits_prefix(run_id))):
            raise
        raise Refused(
            f"{run_key(run_id)}: is missing, and nothing else says what the run is; the command that "
            "started it, with its --run-id, writes it again and keeps everything else"
        ) from None


def _problem_set(store: Backend, run: Run) -> Iterator[Outcome]:
    """The frozen problem set, from the file it was made of where that has not changed."""
    key = run.problem_set
    expected = run.identity["problem_set"]
    try:
        found = list(problems_of(store, run, Shard(0, 0, run.problems)))
        if set_digest(found) == expected:
            return
        what = "is damaged"
    except (PacoreError, OSError, ValueError, KeyError, TypeError) as fault:
        what = "is missing" if not store.exists(key) else f"is damaged: {fault}"
    config = run.config
    place = str(config.get("problems"))
    try:
        problems = read_problem_set(place, config.get("limit"), config.get("fields") or {})
    except BadInput as fault:
        yield Outcome(key, f"{what}, and cannot be made again: {fault}", is_repaired=False)
        return
    if set_digest(problems) != expected:
        yield Outcome(key, f"{what}, and {place} holds other problems now", is_repaired=False)
        return
    store.delete(key)
    freeze_problems(store, key.rpartition("/")[2].rpartition("@")[0], problems)
    yield Outcome(key, f"{what}: made again from {place}", is_repaired=True)


def _tables(store: Backend, run: Run) -> Iterator[Outcome]:
    broken = find_broken(store, run)
    if not broken:
        return
    view = RepairView(store, broken)
    gradings = {record.grading.grading_id: record for record in read_gradings(store, run.run_id)}
    with RepairWork(view, run) as work:
        for one in broken:
            try:
                view.accept(one.unit)
                if one.unit.grading in ("", OWN):
                    work.derive(one.unit)
                elif one.unit.grading in gradings:
                    work.derive_verdicts(one.unit, gradings[one.unit.grading])
                else:
                    raise StoreError(f"no record says what grading {one.unit.grading} is")
            except (StoreError, Refused, BadInput) as fault:
                what = f"{one.what}, and cannot be made again: {fault}"
                yield Outcome(one.key, what, is_repaired=False)
            else:
                yield Outcome(one.key, f"{one.what}: {_made(view, one)}", is_repaired=True)


def _made(view: RepairView, one: Broken) -> str:
    if view.done[one.unit]:
        return "made again, byte for byte"
    return "made again" if one.commit is None else "made again by this version, as a repair of it"
