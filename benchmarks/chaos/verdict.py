"""What a campaign's run came to: rows lost and doubled, whose words stand, and what was paid."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.chaos.campaign import CONCURRENCY, RUN_ID, Campaign
from benchmarks.counting_server import Sampled
from pacore.audit.audit import Audit
from pacore.core.trajectory import normalise
from pacore.runs.dispatch.sampler import FRESH_SECONDS
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_files
from pacore.store.journal import Journal
from pacore.store.parquet import read_rows
from tests.fixtures.pipeline import Rows, tables

LATE_SECONDS = {True: FRESH_SECONDS + 2.0, False: FRESH_SECONDS + 0.5}
"""How much later than the journal knew of it a request may arrive, in a bucket, whose times are whole
seconds, and in a folder: a look into the journal is good for so long."""


@dataclass(frozen=True)
class Verdict:
    """One campaign. Rows are of all tables; over one pass is what was paid beside what stands.

    ``sent_in_vain`` are requests for what the journal held already when they were sent.
    ``disagreeing`` counts rows that are not the journal's standing entry, and stages that a
    scheduler saw otherwise than they are committed. ``contested`` are trajectories several servers
    have answered.
    """

    rows: int
    rows_lost: int
    rows_doubled: int
    disagreeing: int
    contested: int
    audit_findings: tuple[str, ...]
    requests: int
    requests_over_one_pass: int
    tokens_over_one_pass: int
    tokens_one_pass: int
    requests_bound: int | None
    sent_in_vain: int

    @property
    def faults(self) -> list[str]:
        """Names of whatever must be nothing and is not."""
        wrong = [
            name
            for name in (
                "rows_lost",
                "rows_doubled",
                "disagreeing",
                "audit_findings",
                "sent_in_vain",
            )
            if getattr(self, name)
        ]
        if self.requests_bound is not None and self.requests_over_one_pass > self.requests_bound:
            wrong.append("requests_over_one_pass")
        return wrong


def judge(campaign: Campaign, whole: Mapping[str, Rows]) -> Verdict:
    """Compare a finished run with ``whole``, the tables of one that nobody disturbed."""
    store = open_store(campaign.store_url)
    found = tables(campaign.store_url, RUN_ID)
    if campaign.setting.is_race:
        expected_rows, found_rows = _places(whole, _ends(store)), _places(found, {})
    else:
        expected_rows, found_rows = _rows(whole), _rows(found)
    accounts = [scheduler.server.sampled() for scheduler in campaign.schedulers]
    sampled = [one for account in accounts for one in account]
    standing = {row[0]: row[1] for row in _paid(store)}
    repeated = len(sampled) - len({one.trajectory_id for one in sampled})
    is_alone = len(campaign.schedulers) == 1
    errors = (one for one in Audit(store, RUN_ID).findings() if one.severity == "error")
    return Verdict(
        rows=sum(map(len, found.values())),
        rows_lost=(expected_rows - found_rows).total(),
        rows_doubled=(found_rows - expected_rows).total(),
        disagreeing=sum(_disagreeing(store)) + _seen_otherwise(store, campaign),
        contested=_contested(accounts),
        audit_findings=tuple(f"{one.where.file} {one.where.row}: {one.what}" for one in errors),
        requests=len(sampled),
        requests_over_one_pass=repeated,
        tokens_over_one_pass=sum(one.tokens for one in sampled) - sum(standing.values()),
        tokens_one_pass=sum(standing.values()),
        requests_bound=campaign.toll.interruptions * CONCURRENCY if is_alone else None,
        sent_in_vain=_sent_in_vain(store, sampled),
    )


def _rows(tables_: Mapping[str, Rows]) -> Counter[str]:
    return Counter(
        json.dumps([name, *row], default=str) for name, rows in tables_.items() for row in rows
    )


_PLACE_COLUMNS = {"trajectories": 6, "messages": 0, "answers": 3, "verdicts": 6}
"""How many of a table's first columns say which row it is, whatever the model has said. Which
messages there are depends on that, and the audit derives them again."""


def _places(tables_: Mapping[str, Rows], ends: Mapping[str, int]) -> Counter[str]:
    """The places of rows, but of trajectories after the round that ``ends`` has of a problem."""
    return Counter(
        json.dumps([name, *row[:width]], default=str)
        for name, width in _PLACE_COLUMNS.items()
        for row in (tables_[name] if width else ())
        if name != "trajectories" or row[0] <= ends.get(row[1], row[0])
    )


def _ends(store: Backend) -> dict[str, int]:
    """The rounds in which problems ended for want of messages, of those that did.

    In a race that depends on whose words stand: with one word in 20 cut short, all three messages of
    a round are missing in about one race of 150. Whether a round really was short of messages is
    derived from its trajectories by the audit, as the messages themselves are.
    """
    return {
        str(row["problem_id"]): int(str(row["failed_round"]))
        for row in _read(store, "answers", ["problem_id", "failed_round"])
        if row["failed_round"] is not None
    }


def _read(store: Backend, table: str, columns: Sequence[str]) -> Iterator[dict[str, object]]:
    for key in current_files(store, RUN_ID).get(table, []):
        with store.open(key) as file:
            yield from read_rows(file, columns)


def _paid(store: Backend) -> Iterator[tuple[str, int]]:
    """The tokens of each trajectory that stands, once."""
    for row in _read(store, "trajectories", ["trajectory_id", "completion_tokens"]):
        yield str(row["trajectory_id"]), int(str(row["completion_tokens"] or 0))


def _disagreeing(store: Backend) -> Iterator[bool]:
    """Of every row of a trajectory and of a text, whether it is another than the journal's."""
    journal = Journal(store)
    columns = ["trajectory_id", "finish_reason", "conclusion", "completion_tokens"]
    for row in _read(store, "trajectories", columns):
        entry = journal.find(str(row["trajectory_id"]))
        said = None if entry is None else entry.generation
        stands = said and (said.finish_reason, normalise(said).conclusion, said.completion_tokens)
        yield stands != tuple(row[name] for name in columns[1:])
    for row in _read(store, "trajectory_texts", ["trajectory_id", "reasoning", "content"]):
        entry = journal.find(str(row["trajectory_id"]))
        said = None if entry is None else entry.generation
        yield (said and (normalise(said).reasoning, said.content)) != (
            row["reasoning"],
            row["content"],
        )


def _seen_otherwise(store: Backend, campaign: Campaign) -> int:
    """Stages of which a scheduler that came to the end saw another file than is committed."""
    committed = {key for keys in current_files(store, RUN_ID).values() for key in keys}
    seen = [report for scheduler in campaign.schedulers for report in scheduler.reports()]
    return sum(report["path"] not in committed for report in seen)


def _contested(accounts: Sequence[Sequence[Sampled]]) -> int:
    servers = Counter(name for one in accounts for name in {line.trajectory_id for line in one})
    return sum(count > 1 for count in servers.values())


def _sent_in_vain(store: Backend, sampled: Sequence[Sampled]) -> int:
    late_seconds = LATE_SECONDS["://" in store.url]
    durable = {
        entry.key.rpartition("/")[2].partition(".")[0]: entry.modified_at.timestamp() + late_seconds
        for entry in store.entries("journal")
    }
    return sum(one.at_seconds > durable[one.trajectory_id] for one in sampled)
