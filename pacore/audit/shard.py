"""Audit of the rows of one shard: its rounds, their gradings and its answers, place by place.

A place is a problem and a replicate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pacore.audit.derive import Journalled, PlaceRows
from pacore.audit.files import Files, PlacedRows, Unreadable, aligned
from pacore.audit.finding import Finding, Tally, Where, miscounted, quoted
from pacore.audit.gradings import Judged, check_grades, check_verdicts
from pacore.audit.ledger import AuditedRun, Ledger
from pacore.audit.place import (
    Concluded,
    check_answer,
    check_messages,
    check_trajectories,
    expected_outcomes,
)
from pacore.audit.records import DEFECTS
from pacore.audit.stops import check_stops, reads_alike
from pacore.core.answer import Ended
from pacore.core.grading.choose import gold_answer, is_by_rules
from pacore.core.grading.extraction.extract import EXTRACTION_VERSION
from pacore.core.grading.verdict import VERDICT_NAMES
from pacore.core.problem import Problem
from pacore.core.trajectory import FAILED
from pacore.errors import StoreError
from pacore.store.commits import Commit
from pacore.store.gradings import GradingRecord, own_grading
from pacore.store.layout import OWN, journal_key
from pacore.store.rows import (
    AtPlace,
    Place,
    Stored,
    StoredAnswer,
    StoredMessage,
    StoredStop,
    StoredText,
    StoredTrajectory,
    StoredVerdict,
)
from pacore.store.run import Run


@dataclass(frozen=True, slots=True)
class PlannedPlace(AtPlace):
    """A place that the plan has, and its problem."""

    problem: Problem


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

    def _stream(self, kind: type[Stored], round_: int) -> PlacedRows[Stored]:
        """The rows of a table and round, from those of its files that are what they say."""
        return self.files.rows(kind, self.ledger.current(kind.table.name, round_, self.shard))

    def _planned(self) -> PlacedRows[PlannedPlace]:
        """Every place of the plan, in the order of the tables."""
        places = (
            PlannedPlace(problem.problem_id, replicate, problem)
            for problem in self.problems
            for replicate in range(self.run.plan.replicates)
        )
        return PlacedRows([places])

    def _paths(self, round_: int, tables: Sequence[str]) -> dict[str, str]:
        """The file each table has in a round, whether it can be trusted or not."""
        return {
            table: commit.path
            for table in tables
            for commit in self.ledger.current(table, round_, self.shard)
        }

    def _round(self, round_: int) -> Iterator[Finding]:
        """One round: its trajectories, their texts, and the messages before and after them."""
        planned = self._planned()
        trajectories = self._stream(StoredTrajectory, round_)
        texts = self._stream(StoredText, round_)
        messages = self._stream(StoredMessage, round_)
        before = self._stream(StoredMessage, round_ - 1) if round_ > 1 else PlacedRows([])
        stops = self._stream(StoredStop, round_)
        files = self._paths(round_, ("trajectories", "messages", "stops"))
        is_ruled = self.run.plan.step(round_).stopping is not None
        is_read_alike = all(reads_alike(one.producer) for one in self._trusted("stops", round_))
        self.counted = Counter()
        for _, replicate in aligned(planned, trajectories, texts, messages, before, stops):
            if not planned.here:
                yield from self._unplanned(round_, trajectories, messages, stops)
                continue
            here = PlaceRows(
                round=round_,
                problem=planned.here[0].problem,
                replicate=replicate,
                files=files,
                trajectories=trajectories.found,
                texts=texts.found,
                before=before.found if round_ > 1 else [],
                messages=messages.found,
                stops=stops.here if stops.files or not is_ruled else None,
                entries=self._entries([*trajectories.here, *texts.here]),
            )
            yield from self._place(here)
            yield from check_stops(self.audited.store, self.run, here, is_read_alike=is_read_alike)
        yield from self._sums(round_)

    def _place(self, here: PlaceRows) -> Iterator[Finding]:
        self._count(here)
        yield from check_trajectories(self.run, here)
        found = expected_outcomes(self.run, here)
        yield from check_messages(self.run, here, found)
        if found:
            self.ended[here.problem.problem_id, here.replicate] = Ended(here.round, found)

    def _entries(
        self, rows: Sequence[StoredTrajectory | StoredText]
    ) -> dict[str, Journalled | str | None]:
        """The journal's entries of a place, read side by side."""
        ids = list(dict.fromkeys(row.trajectory_id for row in rows))
        found = dict(zip(ids, self.audited.readers.map(self._entry, ids), strict=True))
        self.tally.journal_entries += sum(entry is not None for entry in found.values())
        return found

    def _entry(self, trajectory_id: str) -> Journalled | str | None:
        """One entry, None where there is none, or why it cannot be used."""
        try:
            entry = self.audited.journal.find(trajectory_id)
            return None if entry is None else Journalled.of(entry)
        except StoreError as fault:
            return str(fault)
        except DEFECTS as fault:
            return f"{journal_key(trajectory_id)}: is not a journal entry: {quoted(fault)}"

    def _unplanned(self, round_: int, *streams: PlacedRows[Any]) -> Iterator[Finding]:
        """Rows of a place that the plan does not have."""
        for stream in streams:
            for row in stream.here:
                what = f"the plan has no such problem and replicate in shard {self.shard}"
                yield Finding("plan", Where.of(row, round_), what)

    def _count(self, here: PlaceRows) -> None:
        """Add a place to what was looked at, and to the sums its commits state."""
        rows, current = here.trajectories or [], here.current()
        self.tally.trajectories += len(rows)
        self.tally.prompts += bool(rows and here.before is not None)
        self.tally.texts += len(here.texts or [])
        self.tally.messages += len(here.messages or [])
        self.counted["slots"] += len(current)
        self.counted["reused"] += sum(row.reused for row in rows)
        self.counted["unfinished"] += sum(row.finish_reason in FAILED for row in current)
        self.counted["aborted"] += sum(row.finish_reason == "aborted" for row in current)
        own = [row.completion_tokens or 0 for row in rows if not row.reused]
        self.counted["completion_tokens"] += sum(own)
        self.counted["sets"] += bool(here.messages)

    def _sums(self, round_: int) -> Iterator[Finding]:
        """The counts of the commits of a round are what their rows add up to."""
        names = {
            "trajectories": ("slots", "reused", "unfinished", "completion_tokens", "aborted"),
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
        planned = self._planned()
        answers, final = self._stream(StoredAnswer, last), self._stream(StoredMessage, last)
        if not answers.files or not final.files:
            return
        file = self._paths(last, ("answers",))["answers"]
        is_read_alike = all(
            commit.producer.get("extraction") == EXTRACTION_VERSION
            for commit in self._trusted("answers", last)
        )
        statuses: Counter[str] = Counter()
        for place in aligned(planned, answers, final):
            if not planned.here:
                yield from self._unplanned(last, answers)
                continue
            here = Concluded(
                problem=planned.here[0].problem,
                replicate=place[1],
                file=file,
                ended=self.ended.get(place),
                final=final.here,
                answers=answers.here,
                is_read_alike=is_read_alike,
            )
            self.tally.answers += len(here.answers)
            statuses.update(row.status for row in here.answers)
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
        is_own = commit.grading == OWN
        planned = self._planned()
        trajectories = self._stream(StoredTrajectory, round_)
        answers = self._stream(StoredAnswer, round_) if is_own else PlacedRows[StoredAnswer]([])
        verdicts = self.files.rows(StoredVerdict, [commit])
        if not trajectories.files or not verdicts.files:
            return
        counted: Counter[str] = Counter()
        graded: list[tuple[StoredVerdict, str]] = []
        for _, replicate in aligned(planned, verdicts, trajectories, answers):
            self.tally.verdicts += len(verdicts.here)
            counted.update(row.verdict for row in verdicts.here)
            if not planned.here:
                yield from self._unplanned(round_, verdicts)
                continue
            problem = planned.here[0].problem
            here = Judged(
                round=round_,
                problem=problem,
                replicate=replicate,
                record=record,
                file=commit.path,
                trajectories=trajectories.here,
                verdicts=verdicts.here,
                answers=answers.here,
            )
            yield from check_verdicts(here)
            gold = gold_answer(problem)
            if gold is not None and is_by_rules(record.grading.grader):
                graded += [(row, gold) for row in verdicts.here]
        yield from check_grades(graded, round_)
        yield from self._sum_of(commit, {name: counted[name] for name in VERDICT_NAMES})
