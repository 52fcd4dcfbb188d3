"""Keys: the names of everything below a store's root. No other module of pacore spells one.

Parts that come from outside (run ids, set names) are checked or reduced to safe characters here;
problem ids never take part.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pacore.core.identity import canonical_json, sha256_hex

FORMAT_VERSION = 1
"""Is in every record and every journal entry as ``v``."""

SCHEMA_VERSION = 1
"""Of the tables; in the path of every data file. Within a version columns are only added, nullable."""

MANIFEST_KEY = "export.json"

OWN = "run"
"""The id of the grading that a run makes of its own answers."""

_NAME = (
    r"(?P<shard>s\d+)(?:\.r(?P<revision>\d+))?(?:\.g(?P<grading>[0-9a-f]{8}|run))?"
    r"(?:\.repair(?P<repair>\d+))?"
)

_COMMIT = re.compile(
    rf"commits/run_id=(?P<run_id>[^/]+)/(?P<table>\w+)/round=(?P<round>\d+)/{_NAME}\.json"
)

_DATA = re.compile(
    r"data/(?P<table>\w+)/schema=\d+/run_id=(?P<run_id>[^/]+)/round=(?P<round>\d+)/"
    rf"{_NAME}-[0-9a-f]{{16}}\.parquet"
)


class Unit(NamedTuple):
    """What one commit publishes: a table's rows of one shard in one round.

    ``revision`` counts on when a finished shard is opened again to retry its tombstones; the last
    revision is the current one. ``grading`` says whose verdicts they are, by the grading's id
    (`OWN` for those of the run itself); empty for every other table. ``repair`` counts on when the
    file of a unit was lost and recomputed with other bytes; the last one is the current one.
    """

    run_id: str
    table: str
    round: int
    shard: str
    revision: int = 0
    grading: str = ""
    repair: int = 0

    @property
    def name(self) -> str:
        revision = f".r{self.revision}" if self.revision else ""
        grading = f".g{self.grading}" if self.grading else ""
        return f"{self.shard}{revision}{grading}" + (f".repair{self.repair}" if self.repair else "")

    @property
    def first(self) -> Unit:
        """The unit as it was published at first, before any repair."""
        return self._replace(repair=0)


def journal_key(trajectory_id: str) -> str:
    return f"journal/{trajectory_id[:2]}/{trajectory_id}.json.zst"


def problem_set_key(name: str, digest: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "problems"
    return f"problems/{safe}@{digest[:12]}.parquet"


def run_key(run_id: str) -> str:
    return f"runs/{run_id}/run.json"


def run_prefix(run_id: str) -> str:
    """The folder of the records of a run as a whole."""
    return f"runs/{run_id}"


def imported_texts_key(run_id: str) -> str:
    """The record of the text files of other runs that came with an imported run."""
    return f"runs/{run_id}/lent.json"


def engine_key(run_id: str) -> str:
    return f"runs/{run_id}/engine.json"


def final_key(run_id: str, retries: int = 0) -> str:
    """The record of a run's end: one for its first end, and one after each of its ``retries``."""
    return f"runs/{run_id}/final.r{retries}.json" if retries else f"runs/{run_id}/final.json"


def numbered_key(folder: str, number: int) -> str:
    """The key of a record of a folder whose records are numbered: keys sort as their numbers do."""
    return f"{folder}/{number:06d}.json"


def retries_prefix(run_id: str) -> str:
    return f"runs/{run_id}/retries"


def retry_key(run_id: str, sequence: int) -> str:
    return numbered_key(retries_prefix(run_id), sequence)


def set_stop_key(run_id: str, round_: int, problem_id: str, replicate: int) -> str:
    """How a rule decided a message set, by a digest of its place."""
    named = canonical_json([round_, problem_id, replicate])
    return f"runs/{run_id}/stops/{sha256_hex(named)[:32]}.json"


def budget_stops_prefix(run_id: str) -> str:
    return f"runs/{run_id}/budget"


NIGHTS = "nightly"
"""The folder of the ledger of nights."""


def job_prefix(job: str) -> str:
    return f"{NIGHTS}/{job}"


def nights_prefix(job: str, run_id: str) -> str:
    """The folder of the records of a job's night: one for each time that it was decided on."""
    return f"{job_prefix(job)}/nights/{run_id}"


def acceptances_prefix(job: str) -> str:
    return f"{job_prefix(job)}/accepted"


def night_scores_prefix(job: str, run_id: str) -> str:
    """The folder of what the problems of a night came to: one file for each time that it was decided on."""
    return f"{job_prefix(job)}/scores/{run_id}"


def night_scores_key(job: str, run_id: str, number: int) -> str:
    return f"{night_scores_prefix(job, run_id)}/{number:06d}.parquet"


def removals_prefix(job: str) -> str:
    return f"{job_prefix(job)}/removed"


def removal_prefix(job: str, run_id: str) -> str:
    """The folder of the records of a night's removal: that it began, and that it ended."""
    return f"{removals_prefix(job)}/{run_id}"


TRAINING = "training"
"""The folder of training sets."""


def training_prefix(name: str) -> str:
    """The folder of the records of a training set: one for each time that a stage came to its end."""
    return f"{TRAINING}/{name}/records"


def training_name_of(key: str) -> str | None:
    """The training set that a key below `TRAINING` is a record of; None for any other key."""
    _, name, kind, *_ = (*key.split("/"), "", "")
    return name if kind == "records" else None


def decisions_key(name: str, stage: str, sha256: str) -> str:
    """What a stage of a training set decided on each problem, by the digest of the file."""
    return f"{TRAINING}/{name}/decisions/{stage}-{sha256[:16]}.parquet"


def gradings_prefix(run_id: str) -> str:
    return f"runs/{run_id}/gradings"


def grading_key(run_id: str, sequence: int) -> str:
    """What the ``sequence``-th grading of a run is, counted from 1."""
    return numbered_key(gradings_prefix(run_id), sequence)


def graded_key(run_id: str, sequence: int) -> str:
    """The record that a grading is finished."""
    return f"{gradings_prefix(run_id)}/{sequence:06d}.done.json"


def data_key(unit: Unit, schema_version: int, sha256: str) -> str:
    return (
        f"data/{unit.table}/schema={schema_version}/run_id={unit.run_id}/round={unit.round}/"
        f"{unit.name}-{sha256[:16]}.parquet"
    )


def data_prefix(table: str, run_id: str) -> str:
    """The folder of the data files of one table of a run."""
    return f"{DATA}/{table}/schema={SCHEMA_VERSION}/run_id={run_id}"


def commit_key(unit: Unit) -> str:
    return f"commits/run_id={unit.run_id}/{unit.table}/round={unit.round}/{unit.name}.json"


def commits_prefix(run_id: str) -> str:
    return f"commits/run_id={run_id}"


def unit_of_commit(key: str) -> Unit | None:
    """The unit a commit's key names; None for any other key."""
    return _unit_of(_COMMIT.fullmatch(key))


def unit_of_data(key: str) -> Unit | None:
    """The unit a data file's key names; None for any other key."""
    return _unit_of(_DATA.fullmatch(key))


def _unit_of(found: re.Match[str] | None) -> Unit | None:
    if found is None:
        return None
    return Unit(
        found["run_id"],
        found["table"],
        int(found["round"]),
        found["shard"],
        int(found["revision"] or 0),
        found["grading"] or "",
        int(found["repair"] or 0),
    )


STORE_KEY = "_store.json"
"""The store's own record: its format, and what a probe found it can do."""

PROBES, DATA, COMMITS, SNAPSHOTS = "probes", "data", "commits", "snapshots"


def probe_key(token: str) -> str:
    return f"{PROBES}/{token}"


def sweep_key(sweep_id: str, name: str) -> str:
    """A file of what a sweep found."""
    return f"sweeps/{sweep_id}/{name}"


DERIVED = "derived"
"""The folder of the problem sets of runs whose prompts were made from another run's rows."""


def derived_key(run_id: str) -> str:
    """The problem set of a run whose prompts were made from another run's rows."""
    return f"{DERIVED}/{run_id}.jsonl"


def lease_key(run_id: str) -> str:
    return f"leases/{run_id}.json"


def snapshots_prefix(run_id: str) -> str:
    return f"snapshots/run_id={run_id}"


def snapshot_key(run_id: str, sequence: int) -> str:
    return f"{snapshots_prefix(run_id)}/{sequence:06d}.json"


_RUN_ID = r"[A-Za-z][A-Za-z0-9._-]{0,99}"

_EXPORTED = re.compile(
    r"(?P<journal>journal/(?P<start>[0-9a-f]{2})/(?P=start)[0-9a-f]{30}\.json\.zst)"
    r"|(?P<problems>problems/[A-Za-z0-9_-]+@[0-9a-f]{12}\.parquet)"
    rf"|(?P<data>data/\w+/schema=\d+/run_id={_RUN_ID}/round=\d+/[A-Za-z0-9.-]+\.parquet)"
    rf"|(?P<commits>commits/run_id=(?P<of_commit>{_RUN_ID})/\w+/round=\d+/[A-Za-z0-9.]+\.json)"
    rf"|(?P<snapshots>snapshots/run_id=(?P<of_snapshot>{_RUN_ID})/\d+\.json)"
    rf"|(?P<runs>runs/(?P<of_record>{_RUN_ID})/(?:retries/|gradings/|budget/|stops/)?[A-Za-z0-9][A-Za-z0-9._-]*\.json)"
)

EXPORTED_KINDS = ("journal", "problems", "data", "commits", "snapshots", "runs")
"""What an export consists of, in the order it has to be written: what refers comes after."""


def exported_kind(key: str, run_id: str) -> str | None:
    """Which of `EXPORTED_KINDS` a key is, in an export of ``run_id``; None for one that is none.

    A commit, snapshot or record of another run never is.
    """
    found = _EXPORTED.fullmatch(key)
    if found is None:
        return None
    owner = found["of_commit"] or found["of_snapshot"] or found["of_record"]
    is_own = owner in (None, run_id)
    return next((kind for kind in EXPORTED_KINDS if found[kind]), None) if is_own else None
