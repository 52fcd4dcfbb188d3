"""Audit of what a run has beside its tables: its records, problem set, snapshots, and texts of other runs.

Each snapshot names the one before it, and lists what the commits say.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pacore.audit.files import Unreadable, problem_rows
from pacore.audit.finding import Finding, Severity, Where, differing, miscounted, quoted
from pacore.audit.ledger import AuditedRun
from pacore.core.identity import digest, sha256_hex
from pacore.core.problem import Problem
from pacore.core.prompt import template_digests
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Snapshot, TableFile, current_among
from pacore.store.layout import (
    OWN,
    imported_texts_key,
    problem_set_key,
    retries_prefix,
    run_key,
    run_prefix,
    snapshot_key,
    snapshots_prefix,
    unit_of_data,
)
from pacore.store.records import BadRecord, decode, find
from pacore.store.retries import end_key, read_retries
from pacore.store.rows import FrozenProblem
from pacore.store.run import Run, RunEnd, imported_texts

_OWN_NAME = re.compile(r"r-[0-9]{8}-(?P<digest>[0-9a-f]{8})")

_R = TypeVar("_R")

DEFECTS = (KeyError, TypeError, ValueError, AttributeError)
"""What the functions of other rooms raise for values that are not what they should be."""


@dataclass(frozen=True, slots=True)
class OfRun:
    """What all records of a run have, whatever else they say."""

    run_id: str | None = None


@dataclass(frozen=True)
class _Link:
    """One snapshot as it was read: its key, its bytes, and what it says."""

    key: str
    data: bytes
    snapshot: Snapshot


def read_record(store: Backend, key: str, kind: type[_R]) -> _R | str:
    """The record under a key, or why it cannot be used."""
    try:
        return find(store, key, kind) or "is missing"
    except BadRecord as bad:
        return bad.why
    except StoreError as fault:
        return f"cannot be read: {fault}"


def read_run(store: Backend, run_id: str) -> tuple[Run | None, list[Finding]]:
    """The run as its record has it, None where that cannot be used, and what is wrong with it."""
    key = run_key(run_id)
    where = Where(key)
    run = read_record(store, key, Run)
    if isinstance(run, str):
        return None, [Finding("run", where, f"{run}; rows were not checked")]
    try:
        found = list(_identity(run, run_id, where))
        if not run.shards or len(run.recipe.digest) + run.plan.rounds < 1:
            raise ValueError("it has no shards")
    except DEFECTS as fault:
        what = f"is not a run record: {type(fault).__name__} {quoted(fault)}; rows were not checked"
        return None, [Finding("run", where, what)]
    return run, found


def _identity(run: Run, run_id: str, where: Where) -> Iterator[Finding]:
    """The record's parts agree with each other and with its key."""
    actual = digest(run.identity)
    stem = PurePosixPath(run.problem_set).stem.rpartition("@")[0]
    for name, value, because in (
        ("run_id", run_id, "its key says"),
        ("identity_digest", actual, "the identity it holds has"),
        (
            "problem_set",
            problem_set_key(stem, run.identity["problem_set"]),
            "the identity makes it",
        ),
    ):
        yield from differing(run, {name: value}, where, "run", because)
    named = _OWN_NAME.fullmatch(run_id)
    if named and named["digest"] != actual[:8]:
        what = f"the run is named by {named['digest']}, its identity has {actual[:8]}"
        yield Finding("run", where, what, "warning")
    for name, known in template_digests(run.plan.steps).items():
        if run.identity[name] != known:
            what = f"its prompts were rendered from another {name} than this version's"
            yield Finding("run", where, what, "warning")


def check_problem_set(audited: AuditedRun) -> Iterator[Finding]:
    """Compare the frozen problem set with its name, with the run's identity, and within itself.

    Raises Unreadable where no problem can be had from it.
    """
    pairs: list[tuple[str, str]] = []
    run, key = audited.run, audited.run.problem_set
    try:
        with audited.store.local_path(key) as path:
            for row in problem_rows(path, key):
                problem = _problem(row, key)
                pairs.append((problem.problem_id, problem.content_digest))
                yield from _problem_row(row, problem, key)
    except Unreadable:
        raise
    except StoreError as fault:
        raise Unreadable(key, str(fault)) from fault
    if len(pairs) != run.problems:
        what = f"has {len(pairs):,} problems; {run_key(run.run_id)} says {run.problems:,}"
        yield Finding("problems", Where(key), what)
    for number, (before, after) in enumerate(pairwise(pairs), 1):
        if before[0] >= after[0]:
            what = f"row {number} is not in the order of ids, or is there twice"
            yield Finding("problems", Where(key, "problems", problem_id=after[0]), what)
    actual = digest(sorted(pairs))
    if actual != run.identity["problem_set"]:
        what = f"its problems have the digest {actual[:12]}; the run's identity has "
        yield Finding("problems", Where(key), what + quoted(run.identity["problem_set"])[1:13])


def _problem(row: FrozenProblem, key: str) -> Problem:
    try:
        return row.problem
    except DEFECTS as fault:
        raise Unreadable(key, f"row {row.number} is no problem: {quoted(fault)}") from fault


def _problem_row(row: FrozenProblem, problem: Problem, key: str) -> Iterator[Finding]:
    where = Where(key, "problems", problem_id=problem.problem_id)
    expected = {
        "content_digest": problem.content_digest,
        "statement": problem.statement,
        "problem_set": PurePosixPath(key).stem,
    }
    yield from differing(row, expected, where, "problems", "the turns and gold answer make it")


def check_records(audited: AuditedRun) -> Iterator[Finding]:
    """Every record of the run as a whole can be used and is of this run; retries count from 0."""
    store, run_id = audited.store, audited.run.run_id
    for key in store.list(run_prefix(run_id)):
        record = read_record(store, key, OfRun)
        if isinstance(record, str):
            yield Finding("records", Where(key), record)
        elif record.run_id not in (None, run_id):
            yield Finding("records", Where(key), f"run_id is {quoted(record.run_id)}")
    try:
        read_retries(store, run_id)
    except BadRecord as bad:
        yield Finding("records", Where(bad.key), bad.why)
    except (StoreError, KeyError) as fault:
        yield Finding("records", Where(retries_prefix(run_id)), f"cannot be used: {fault}")


def check_imported_texts(audited: AuditedRun) -> Iterator[Finding]:
    """Texts of other runs that came with this one are, byte for byte, those that came."""
    record = imported_texts_key(audited.run.run_id)
    try:
        lent = imported_texts(audited.store, audited.run.run_id)
    except StoreError as fault:
        why = fault.why if isinstance(fault, BadRecord) else f"cannot be read: {quoted(fault)}"
        yield Finding("files", Where(record), why)
        return
    for stated in lent:
        where = Where(stated.path, "trajectory_texts")
        try:
            with audited.store.local_path(stated.path) as path, Path(path).open("rb") as file:
                sha256, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        except (StoreError, OSError) as fault:
            yield Finding("files", where, str(fault))
            continue
        audited.tally.files += 1
        audited.tally.bytes += size
        if (sha256, size) != (stated.sha256, stated.bytes):
            what = f"sha256 is {sha256}, of {size:,} bytes; {record} says "
            yield Finding("files", where, f"{what}{stated.sha256}, of {stated.bytes:,}")


def snapshot_keys(store: Backend, run_id: str) -> list[str]:
    """The snapshots a run has now. To be listed before its commits, which are written before."""
    return list(store.list(snapshots_prefix(run_id)))


def check_snapshots(
    audited: AuditedRun, keys: Sequence[str], *, is_closed: bool
) -> Iterator[Finding]:
    """The snapshots ``keys`` are numbered without a gap, each names the digest of the one before, and
    the last one lists what the commits say.
    """
    run, ledger = audited.run, audited.ledger
    expected = [snapshot_key(run.run_id, number) for number in range(len(keys))]
    for key in sorted(set(expected) - set(keys)):
        yield Finding("snapshots", Where(key), "is missing: the sequence has a hole")
    for key in sorted(set(keys) - set(expected)):
        yield Finding("snapshots", Where(key), "has no place in the sequence")
    if is_closed and not keys:
        key = snapshot_key(run.run_id, 0)
        yield Finding("snapshots", Where(key), "is missing: the run is closed")
    commits = [*ledger.commits.values(), *ledger.replaced]
    known = {commit.path: commit.file for commit in commits}
    before: _Link | None = None
    for number, key in enumerate(expected):
        link = _read_snapshot(audited.store, key) if key in keys else None
        if isinstance(link, Finding):
            yield link
            link = None
        if link is not None:
            yield from _linked(run, number, link, before)
            yield from _listed(link, known)
        before = link
    if is_closed and before is not None:
        yield from _complete(audited, before)


def _read_snapshot(store: Backend, key: str) -> _Link | Finding:
    try:
        data = store.get(key)
        return _Link(key, data, decode(data, key, Snapshot))
    except BadRecord as bad:
        return Finding("snapshots", Where(key), bad.why)
    except (StoreError, KeyError) as fault:
        return Finding("snapshots", Where(key), f"cannot be read: {quoted(fault)}")


def _linked(run: Run, number: int, link: _Link, before: _Link | None) -> Iterator[Finding]:
    """A snapshot names itself and the bytes of the one before it."""
    where, snapshot = Where(link.key), link.snapshot
    if (snapshot.run_id, snapshot.sequence) != (run.run_id, number):
        what = f"calls itself {snapshot.sequence} of {quoted(snapshot.run_id)}"
        yield Finding("snapshots", where, what)
    if before is None and number:
        return
    parent = sha256_hex(before.data) if before else None
    because = "the snapshot before has"
    yield from differing(snapshot, {"parent_sha256": parent}, where, "snapshots", because)


def _listed(link: _Link, known: Mapping[str, TableFile]) -> Iterator[Finding]:
    """Every file a snapshot lists is committed, as it says."""
    for file in link.snapshot.files:
        committed = known.get(file.path)
        if committed is None:
            what = f"lists {quoted(file.path)}, which no commit names"
            yield Finding("snapshots", Where(link.key), what)
        elif committed != file:
            stated, actual = asdict(file), asdict(committed)
            wrong = ", ".join(name for name in stated if stated[name] != actual[name])
            what = f"lists {file.path} with another {wrong} than its commit"
            yield Finding("snapshots", Where(link.key), what)


def _complete(audited: AuditedRun, last: _Link) -> Iterator[Finding]:
    """The last snapshot of a closed run lists every current file, and no other.

    The verdicts of a grading are listed when it is finished. No record says that one which was
    continued after a retry is finished again.
    """
    ledger = audited.ledger
    ended = {name for name, record in audited.gradings.items() if record.finished_at is not None}
    of_run = ("", OWN)
    listed = {file.path for file in last.snapshot.files}
    current = {
        unit: ledger.commits[unit].path
        for unit in current_among(ledger.units)
        if unit in ledger.commits
    }
    committed = {commit.path for commit in ledger.commits.values()}
    for unit, path in sorted(current.items()):
        if path not in listed and (unit.grading in of_run or unit.grading in ended):
            what = f"does not list {path}, which is part of the tables"
            may_go_on = unit.grading not in of_run and ledger.is_redone(unit.grading)
            severity: Severity = "warning" if may_go_on else "error"
            yield Finding("snapshots", Where(last.key), what, severity)
    for path in sorted((listed & committed) - set(current.values())):
        what = f"lists {path}, which a later revision replaced"
        yield Finding("snapshots", Where(last.key), what)


def check_final(audited: AuditedRun, keys: Sequence[str]) -> Iterator[Finding]:
    """How a closed run says it ended is what its commits add up to; ``keys`` are its snapshots."""
    run, ledger = audited.run, audited.ledger
    where = Where(end_key(audited.store, run.run_id))
    end = read_record(audited.store, where.file, RunEnd)
    if isinstance(end, str):
        yield Finding("final", where, end)
        return
    if end.run_id != run.run_id:
        yield Finding("final", where, f"run_id is {quoted(end.run_id)}")
    if not _is_last_ungraded(audited.store, run, end.snapshot, keys):
        what = f"snapshot is {end.snapshot}; the last one is {len(keys) - 1}"
        yield Finding("final", where, what)
    units = [unit for unit in current_among(ledger.units) if unit.table == "answers"]
    if (summed := ledger.counts(units)) is not None:
        # Runs of earlier versions have counted their scores, too.
        stated = {name: end.counts.get(name, 0) for name in summed}
        yield from miscounted(stated, summed, where, "final", "the commits add up to")


def _is_last_ungraded(store: Backend, run: Run, sequence: int | None, keys: Sequence[str]) -> bool:
    """Whether a snapshot is the last one but for gradings and repairs, which change no rows of the
    run's own tables.
    """
    if sequence is None or not 0 <= sequence < len(keys):
        return False
    since = [
        _read_snapshot(store, snapshot_key(run.run_id, number))
        for number in range(sequence, len(keys))
    ]
    own = [
        {
            unit.first if (unit := unit_of_data(file.path)) else None
            for table, files in link.snapshot.tables.items()
            if table != "verdicts"
            for file in files
        }
        for link in since
        if isinstance(link, _Link)
    ]
    return all(units == own[0] for units in own)
