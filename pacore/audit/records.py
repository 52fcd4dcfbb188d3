"""Audit of what a run has beside its tables: its records, its problem set, and texts of other runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pacore.audit.files import Unreadable, problem_rows
from pacore.audit.finding import Finding, Where, differing, quoted
from pacore.audit.ledger import AuditedRun
from pacore.core.identity import digest
from pacore.core.problem import Problem
from pacore.core.prompt import template_digests
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import (
    imported_texts_key,
    problem_set_key,
    retries_prefix,
    run_key,
    run_prefix,
)
from pacore.store.records import BadRecord, find
from pacore.store.retries import read_retries
from pacore.store.rows import FrozenProblem
from pacore.store.run import Run, imported_texts

_OWN_NAME = re.compile(r"r-[0-9]{8}-(?P<digest>[0-9a-f]{8})")

_R = TypeVar("_R")

DEFECTS = (KeyError, TypeError, ValueError, AttributeError)
"""What the functions of other rooms raise for values that are not what they should be."""


@dataclass(frozen=True, slots=True)
class OfRun:
    """What all records of a run have, whatever else they say."""

    run_id: str | None = None


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
