"""A run's own records on trial: what it says it is, and the problem set it froze.

What lies beside a run's tables on trial: its other records, and the texts on loan to it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path, PurePosixPath

from pacore.audit.files import Row, Unreadable, problem_rows
from pacore.audit.finding import Finding, Tally, Where, shown
from pacore.core.identity import digest
from pacore.core.problem import Problem
from pacore.core.prompt import template_digests
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import lent_key, problem_set_key, retries_prefix, run_key, run_prefix
from pacore.store.retries import read_retries
from pacore.store.rows import problem_of
from pacore.store.run import Run, lent_files

_OWN_NAME = re.compile(r"r-[0-9]{8}-(?P<digest>[0-9a-f]{8})")


DEFECTS = (KeyError, TypeError, ValueError, AttributeError)
"""What reading a record that is not what it should be raises."""


def read_run(store: Backend, run_id: str) -> tuple[Run | None, list[Finding]]:
    """The run as its record has it, None where that cannot be used, and what is wrong with it."""
    key = run_key(run_id)
    where = Where(key)
    try:
        record = json.loads(store.get(key))
    except KeyError:
        return None, [Finding("run", where, "is missing; rows were not checked")]
    except (StoreError, ValueError) as fault:
        return None, [Finding("run", where, f"cannot be read: {fault}; rows were not checked")]
    try:
        run = Run(
            run_id=record["run_id"],
            created_at=record["created_at"],
            identity=record["identity"],
            problem_set=record["problem_set"],
            problems=record["problems"],
            shard_size=record["shard_size"],
            producer=record["producer"],
        )
        found = list(_identity(run, run_id, record["identity_digest"], where))
        if not run.shards or len(run.recipe.digest) + run.plan.rounds < 1:
            raise ValueError("it has no shards")
    except DEFECTS as fault:
        what = f"is not a run record: {type(fault).__name__} {shown(fault)}; rows were not checked"
        return None, [Finding("run", where, what)]
    return run, found


def _identity(run: Run, run_id: str, stated: str, where: Where) -> Iterator[Finding]:
    """The record's parts agree with each other and with its key."""
    if run.run_id != run_id:
        yield Finding("run", where, f"run_id is {shown(run.run_id)}")
    actual = digest(run.identity)
    if stated != actual:
        what = f"identity_digest is {shown(stated)}; the identity it holds has {actual}"
        yield Finding("run", where, what)
    named = _OWN_NAME.fullmatch(run_id)
    if named and named["digest"] != actual[:8]:
        what = f"the run is named by {named['digest']}, its identity has {actual[:8]}"
        yield Finding("run", where, what, "warning")
    for name, known in template_digests(run.plan.steps).items():
        if run.identity[name] != known:
            what = f"its prompts were rendered from another {name} than this version's"
            yield Finding("run", where, what, "warning")
    name = PurePosixPath(run.problem_set).stem.rpartition("@")[0]
    expected = problem_set_key(name, run.identity["problem_set"])
    if run.problem_set != expected:
        what = f"problem_set is {shown(run.problem_set)}; the identity makes it {expected}"
        yield Finding("run", where, what)


def check_problem_set(store: Backend, run: Run) -> Iterator[Finding]:
    """Hold the frozen problem set against its name, the run's identity, and itself.

    Raises Unreadable where no problem can be had from it.
    """
    pairs: list[tuple[str, str]] = []
    key = run.problem_set
    try:
        with store.local_path(key) as path:
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
            what = f"row {number} is not in the order of ids, or stands twice"
            yield Finding("problems", Where(key, "problems", problem_id=after[0]), what)
    actual = digest(sorted(pairs))
    if actual != run.identity["problem_set"]:
        what = f"its problems have the digest {actual[:12]}; the run's identity has "
        yield Finding("problems", Where(key), what + shown(run.identity["problem_set"])[1:13])


def _problem(row: Row, key: str) -> Problem:
    try:
        return problem_of(row)
    except DEFECTS as fault:
        raise Unreadable(key, f"row {row.get('number')} is no problem: {shown(fault)}") from fault


def _problem_row(row: Row, problem: Problem, key: str) -> Iterator[Finding]:
    where = Where(key, "problems", problem_id=problem.problem_id)
    expected = {
        "content_digest": problem.content_digest,
        "statement": problem.statement,
        "problem_set": PurePosixPath(key).stem,
    }
    for column, value in expected.items():
        if row[column] != value:
            what = f"{column} is {shown(row[column])}; the turns and gold answer make it "
            yield Finding("problems", where, what + shown(value))


def check_records(store: Backend, run: Run) -> Iterator[Finding]:
    """Whatever is said of a run as a whole is of this run, and its retries count from 0."""
    for key in store.list(run_prefix(run.run_id)):
        try:
            record = json.loads(store.get(key))
            if record["v"] < 1:
                raise ValueError("its version is none")
            if record.get("run_id", run.run_id) != run.run_id:
                yield Finding("records", Where(key), f"run_id is {shown(record['run_id'])}")
        except (StoreError, *DEFECTS) as fault:
            what = f"cannot be used: {type(fault).__name__} {shown(fault)}"
            yield Finding("records", Where(key), what)
    try:
        read_retries(store, run.run_id)
    except (StoreError, *DEFECTS) as fault:
        yield Finding("records", Where(retries_prefix(run.run_id)), f"cannot be used: {fault}")


def check_lent(store: Backend, run: Run, tally: Tally) -> Iterator[Finding]:
    """Texts of other runs that came with this one are, byte for byte, those that came."""
    try:
        lent = [
            (file["path"], file["sha256"], file["bytes"]) for file in lent_files(store, run.run_id)
        ]
    except (StoreError, *DEFECTS) as fault:
        yield Finding("files", Where(lent_key(run.run_id)), f"cannot be used: {shown(fault)}")
        return
    for key, stated, stated_bytes in lent:
        where = Where(str(key), "trajectory_texts")
        try:
            with store.local_path(key) as path, Path(path).open("rb") as file:
                sha256, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        except (StoreError, OSError, *DEFECTS) as fault:
            yield Finding("files", where, str(fault))
            continue
        tally.files += 1
        tally.bytes += size
        if (sha256, size) != (stated, stated_bytes):
            what = f"sha256 is {sha256}, of {size:,} bytes; {lent_key(run.run_id)} says "
            yield Finding("files", where, f"{what}{shown(stated)}, of {shown(stated_bytes)}")
