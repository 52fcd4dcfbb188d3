"""Keys: where everything lies below a store's root. Nothing else in pacore spells a key.

Parts that come from outside (run ids, set names) are checked or reduced to safe characters here;
problem ids never take part.
"""

from __future__ import annotations

import re
from typing import NamedTuple

FORMAT_VERSION = 1
_COMMIT = re.compile(
    r"commits/run_id=(?P<run_id>[^/]+)/(?P<table>\w+)/round=(?P<round>\d+)/"
    r"(?P<shard>s\d+)(?:\.r(?P<revision>\d+))?\.json"
)


class Unit(NamedTuple):
    """What one commit publishes: a table's rows of one shard in one round.

    ``revision`` counts on when a finished shard is opened again to retry its tombstones; the last
    revision stands for the shard.
    """

    run_id: str
    table: str
    round: int
    shard: str
    revision: int = 0

    @property
    def name(self) -> str:
        return f"{self.shard}.r{self.revision}" if self.revision else self.shard


def journal_key(trajectory_id: str) -> str:
    return f"journal/{trajectory_id[:2]}/{trajectory_id}.json.zst"


def problem_set_key(name: str, digest: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "problems"
    return f"problems/{safe}@{digest[:12]}.parquet"


def run_key(run_id: str) -> str:
    return f"runs/{run_id}/run.json"


def final_key(run_id: str) -> str:
    return f"runs/{run_id}/final.json"


def data_key(unit: Unit, schema_version: int, sha256: str) -> str:
    return (
        f"data/{unit.table}/schema={schema_version}/run_id={unit.run_id}/round={unit.round}/"
        f"{unit.name}-{sha256[:16]}.parquet"
    )


def commit_key(unit: Unit) -> str:
    return f"commits/run_id={unit.run_id}/{unit.table}/round={unit.round}/{unit.name}.json"


def commits_prefix(run_id: str) -> str:
    return f"commits/run_id={run_id}"


def unit_of_commit(key: str) -> Unit | None:
    """The unit a commit's key names; None for any other key."""
    found = _COMMIT.fullmatch(key)
    if found is None:
        return None
    return Unit(
        found["run_id"],
        found["table"],
        int(found["round"]),
        found["shard"],
        int(found["revision"] or 0),
    )


def snapshots_prefix(run_id: str) -> str:
    return f"snapshots/run_id={run_id}"


def snapshot_key(run_id: str, sequence: int) -> str:
    return f"{snapshots_prefix(run_id)}/{sequence:06d}.json"
