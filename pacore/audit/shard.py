"""Audit of the rows of one shard: its rounds, their gradings and its answers, place by place.

A place is a problem and a replicate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pacore.audit.answers import Concluded, check_answer
from pacore.audit.derive import Journalled, PlaceRows
from pacore.audit.files import Files, Place, Row, Unreadable, aligned
from pacore.audit.finding import Finding, Tally, Where, miscounted, quoted
from pacore.audit.ledger import AuditedRun, Ledger
from pacore.audit.messages import check_messages, expected_outcomes
from pacore.audit.records import DEFECTS
from pacore.audit.trajectories import check_trajectories
from pacore.audit.verdicts import Judged, check_grades, check_verdicts
from pacore.core.answer import Ended
from pacore.core.grading.choose import gold_answer, is_by_rules
from pacore.core.grading.extraction.extract import EXTRACTION_VERSION
from pacore.core.grading.verdict import VERDICT_NAMES
from pacore.core.problem import Problem
from pacore.core.trajectory import UNFINISHED
from pacore.errors import StoreError
from pacore.store.commits import Commit
from pacore.store.gradings import GradingRecord, own_grading
from pacore.store.layout import OWN, journal_key
from pacore.store.run import Run


@dataclass
class ShardAudit:
    """The audit of one shard. ``ledger`` has the shard's own commits, ``files`` their files.

    ``ended`` is, by place, how far it came, ``counted`` the sums over the places of one round.
    """

    audited: AuditedRun
    shard: str
    problems: Sequence[Problem]
    ledger: Ledger
    files: Files
    ended: dict[Place, Ended] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)

    @property
    def run(self) -> Run:
        return self.audited.run

    @property
    def tally(self) -> Tally:
        return self.audited.tally

    def findings(self) -> Iterator[Finding]:
        """Everything wrong with the shard's rows; files are hashed as they are needed."""
        rounds = range(1, self.run.plan.rounds + 1)
        try:
            for round_ in rounds:
                yield from self._round(round_)
                yield from self._gradings(round_)
            if all(self._trusted("trajectories", round_) for round_ in rounds):
                yield from self._conclusions()
        except Unreadable as fault:
            yield Finding("files", Where(fault.key), fault.why)

    def _trusted(self, table: str, round_: int) -> list[Commit]:
        """The commits of a table and round whose files are what they say."""
        current = self.ledger.current(table, round_, self.shard)
        return [commit for commit in current if self.files.path(commit) is not None]

    def _stream(self, name: str, table: str, round_: int) -> list[tuple[str, Iterator[Row]]]:
        """The rows of a table and round, a stream for each of its files; none is not readable."""
        found = []
        for commit in self._trusted(table, round_):
            rows = self.files.rows(commit)
            if rows is not None:
                found.append((name, rows))
        return found

    def _planned(self) -> Iterator[Row]:
        """Every place of the plan, in the order of the tables."""
        for problem in self.problems:
            for replicate in range(self.run.plan.replicates):
                yield {
                    "problem_id": problem.problem_id,
                    "replicate": replicate,
                    "problem": problem,
                }

    def _paths(self, round_: int, tables: Sequence[str]) -> dict[str, str]:
        """The file each table has in a round, whether it can be trusted or not."""
        return {
            table: commit.path
            for table in tables
            for commit in self.ledger.current(table, round_, self.shard)
        }

    def _round(self, round_: int) -> Iterator[Finding]:
        """One round: its trajectories, their texts, and the messages before and after them."""
        streams = {
            "trajectories": self._stream("trajectories", "trajectories", round_),
            "trajectory_texts": self._stream("trajectory_texts", "trajectory_texts", round_),
            "messages": self._stream("messages", "messages", round_),
            "before": self._stream("before", "messages", round_ - 1) if round_ > 1 else [],
        }
        readable = {name for name, found in streams.items() if found}
        files = self._paths(round_, ("trajectories", "messages"))
        given = [stream for found in streams.values() for stream in found]
        self.counted = Counter()
        for place, rows in aligned([("planned", self._planned()), *given]):
            if "planned" not in rows:
                yield from self._unplanned(round_, rows)
                continue
            tables = {name: rows.get(name, []) for name in readable}
            if round_ == 1:
                tables["before"] = []
            here = PlaceRows(
                round=round_,
                problem=rows["planned"][0]["problem"],
                replicate=place[1],
                files=files,
                trajectories=tables.get("trajectories"),
                texts=tables.get("trajectory_texts"),
                before=tables.get("before"),
                messages=tables.get("messages"),
                entries=self._entries(rows),
            )
            yield from self._place(here)
        yield from self._sums(round_)

    def _place(self, here: PlaceRows) -> Iterator[Finding]:
        self._count(here)
        yield from check_trajectories(self.run, here)
        found = expected_outcomes(self.run, here)
        yield from check_messages(self.run, here, found)
        if found:
            self.ended[here.problem.problem_id, here.replicate] = Ended(here.round, found)

    def _entries(self, rows: Mapping[str, list[Row]]) -> dict[str, Journalled | str | None]:
        """The journal's entries of a place, read side by side."""
        named = [*rows.get("trajectories", []), *rows.get("trajectory_texts", [])]
        ids = list(dict.fromkeys(row["trajectory_id"] for row in named))
        self.tally.journal_entries += len(ids)
        return dict(zip(ids, self.audited.readers.map(self._entry, ids), strict=True))

    def _entry(self, trajectory_id: str) -> Journalled | str | None:
        """One entry, None where there is none, or why it cannot be used."""
        try:
            entry = self.audited.journal.find(trajectory_id)
            return None if entry is None else Journalled.of(entry)
        except StoreError as fault:
            return str(fault)
        except DEFECTS as fault:
            return f"{journal_key(trajectory_id)}: is not a journal entry: {quoted(fault)}"

    def _unplanned(self, round_: int, rows: Mapping[str, list[Row]]) -> Iterator[Finding]:
        """Rows of a place that the plan does not have."""
        for table in ("trajectories", "messages", "answers", "verdicts"):
            for row in rows.get(table, []):
                what = f"the plan has no such problem and replicate in shard {self.shard}"
                yield Finding("plan", Where.of(row, table, round_), what)

    def _count(self, here: PlaceRows) -> None:
        """Add a place to what was looked at, and to the sums its commits state."""
        rows, current = here.trajectories or [], here.current()
        self.tally.trajectories += len(rows)
        self.tally.prompts += bool(rows and here.before is not None)
        self.tally.texts += len(here.texts or [])
        self.tally.messages += len(here.messages or [])
        self.counted["slots"] += len(current)
        self.counted["reused"] += sum(row["reused"] for row in rows)
        self.counted["unfinished"] += sum(row["finish_reason"] in UNFINISHED for row in current)
        own = [row.get("completion_tokens") or 0 for row in rows if not row["reused"]]
        self.counted["completion_tokens"] += sum(own)
        self.counted["sets"] += bool(here.messages)

    def _sums(self, round_: int) -> Iterator[Finding]:
        """The counts of the commits of a round are what their rows add up to."""
        names = {
            "trajectories": ("slots", "reused", "unfinished", "completion_tokens"),
            "messages": ("sets",),
        }
        for table, counted in names.items():
            for commit in self._trusted(table, round_):
                yield from self._sum_of(commit, {name: self.counted[name] for name in counted})

    def _sum_of(self, commit: Commit, sums: dict[str, int]) -> Iterator[Finding]:
        """The counts of a commit under some names are what its rows add up to."""
        stated = {name: commit.counts.get(name, actual) for name, actual in sums.items()}
        where = Where.of_commit(commit.unit)
        because = f"the rows of {commit.path} add up to"
        yield from miscounted(stated, sums, where, "sums", because)

    def _conclusions(self) -> Iterator[Finding]:
        """Every answer of the shard, where all they follow from could be read."""
        last = self.run.plan.rounds
        answers = self._stream("answers", "answers", last)
        final = self._stream("final", "messages", last)
        if not answers or not final:
            return
        files = self._paths(last, ("answers",))
        is_read_alike = all(
            commit.producer.get("extraction") == EXTRACTION_VERSION
            for commit in self._trusted("answers", last)
        )
        statuses: Counter[str] = Counter()
        streams = [("planned", self._planned()), *answers, *final]
        for place, rows in aligned(streams):
            if "planned" not in rows:
                yield from self._unplanned(last, rows)
                continue
            here = Concluded(
                problem=rows["planned"][0]["problem"],
                replicate=place[1],
                files=files,
                ended=self.ended.get(place),
                final=rows.get("final", []),
                answers=rows.get("answers", []),
                is_read_alike=is_read_alike,
            )
            self.tally.answers += len(here.answers)
            statuses.update(row["status"] for row in here.answers)
            yield from check_answer(self.run, here)
        names = ("answered", "no_answer", "failed")
        for commit in self._trusted("answers", last):
            yield from self._sum_of(commit, {name: statuses[name] for name in names})

    def _gradings(self, round_: int) -> Iterator[Finding]:
        """Every verdict on a round, where it and what it judges could be read."""
        for commit in self._trusted("verdicts", round_):
            record = self.audited.gradings.get(commit.grading)
            if commit.grading == OWN:
                record = own_grading(datetime.fromisoformat(self.run.created_at))
            if record is not None:
                yield from self._verdicts(commit, record)

    def _verdicts(self, commit: Commit, record: GradingRecord) -> Iterator[Finding]:
        """One commit of verdicts: its places, its answers graded again, and its counts."""
        round_ = commit.round
        trajectories = self._stream("trajectories", "trajectories", round_)
        answers = self._stream("answers", "answers", round_) if commit.grading == OWN else []
        verdicts = self.files.rows(commit)
        if not trajectories or verdicts is None:
            return
        counted: Counter[str] = Counter()
        graded: list[tuple[Row, str]] = []
        streams = [("planned", self._planned()), ("verdicts", verdicts), *trajectories, *answers]
        for place, rows in aligned(streams):
            found = rows.get("verdicts", [])
            self.tally.verdicts += len(found)
            counted.update(row["verdict"] for row in found)
            if "planned" not in rows:
                yield from self._unplanned(round_, {"verdicts": found})
                continue
            problem = rows["planned"][0]["problem"]
            here = Judged(
                round=round_,
                problem=problem,
                replicate=place[1],
                record=record,
                file=commit.path,
                trajectories=rows.get("trajectories", []),
                verdicts=found,
                answers=rows.get("answers", []),
            )
            yield from check_verdicts(here)
            gold = gold_answer(problem)
            if gold is not None and is_by_rules(record.grading.grader):
                graded += [(row, gold) for row in found]
        yield from check_grades(graded, round_)
        yield from self._sum_of(commit, {name: counted[name] for name in VERDICT_NAMES})
