"""The stage `verdicts`: what a grading says of the trajectories of one shard, round by round.

The last stage of a run is its own grading, of its answers alone; `pacore grade` and `pacore evaluate` add
gradings of every round. A trajectory that the engine never finished is no answer of the model, and gets
no verdict: an outage must not count as wrong.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, Protocol, TypeVar

from pacore.core.grading.choose import is_by_rules, judged_by
from pacore.core.grading.extraction.extract import Extracted, NoAnswer, find_answer
from pacore.core.grading.judge import judged_text
from pacore.core.grading.programs.tests import wanted_of
from pacore.core.grading.verdict import (
    NO_ANSWER,
    VERDICT_NAMES,
    GradedTrajectory,
    Verdict,
    recorded_gold,
)
from pacore.core.trajectory import UNFINISHED
from pacore.errors import Interrupted, StoreError
from pacore.runs.dispatch.progress import GradingProgress
from pacore.runs.messages import Place, agreed_answers
from pacore.runs.work import ShardWork, StageReport
from pacore.sandbox.grade import answer_keys, grade_answers, grader_version
from pacore.store.backends.protocol import Backend
from pacore.store.commits import (
    Commit,
    committed_units,
    find_commit,
    publish,
    read_commits,
)
from pacore.store.gradings import Grading, GradingRecord, own_grading
from pacore.store.layout import Unit, commit_key
from pacore.store.run import Run, problems_of
from pacore.store.schema import VERDICTS
from pacore.warehouse.files import ConclusionRow, answers_of, conclusions, verdicts_in

T = TypeVar("T")

TIMEOUT_SECONDS = 5.0

ANSWERS_AT_A_TIME = 16
"""Answers graded between two checks of whether the work was stopped."""


class Tables(Protocol):
    """Does work that reads or writes tables, in whichever thread that is for, and waits for it."""

    def __call__(self, work: Callable[[], T], /) -> T: ...


def in_this_thread(work: Callable[[], T], /) -> T:
    return work()


class UngradedShard(NamedTuple):
    """The rounds of one shard without verdicts, and the revision their verdicts are published under."""

    number: int
    revision: int
    rounds: tuple[int, ...]


@dataclass(frozen=True)
class OpenGrading:
    """One grading of one run, open for work in this process.

    ``producer`` is written into every commit. Setting ``stopped`` ends the work before the next
    answers are graded.
    """

    store: Backend
    run: Run
    record: GradingRecord
    timeout_seconds: float = TIMEOUT_SECONDS
    progress: GradingProgress = field(default_factory=GradingProgress)
    producer: dict[str, object] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)
    with_tables: Tables = in_this_thread

    @property
    def grading(self) -> Grading:
        return self.record.grading

    def unit(self, work: UngradedShard, round_: int) -> Unit:
        shard = self.run.shards[work.number].name
        grading_id = self.record.grading_id
        return Unit(self.run.run_id, "verdicts", round_, shard, work.revision, grading_id)

    @cached_property
    def decided_before(self) -> dict[str, list[Unit]]:
        """Units with verdicts on answers of a shard, by its name, as of the first use."""
        found: dict[str, list[Unit]] = {shard.name: [] for shard in self.run.shards}
        for unit in sorted(committed_units(self.store, self.run.run_id)):
            if unit.table == "verdicts" and unit.shard in found:
                found[unit.shard].append(unit)
        return found

    def raise_if_stopped(self) -> None:
        """Raise Interrupted once ``stopped`` is set."""
        if self.stopped.is_set():
            raise Interrupted("the grading was interrupted")


class Item(NamedTuple):
    """One trajectory to be graded: the answer its problem's grader reads in it, and the gold answer.

    ``answer`` and ``method`` are None where there is no answer, and ``reason`` is why rules found
    none; ``gold`` is None only in a grading by opinion, ``trajectory_id`` only in a run's own.
    """

    problem_id: str
    replicate: int
    slot: int
    trajectory_id: str | None
    spec: str
    gold: str | None
    answer: str | None
    method: str | None
    reason: str | None = None


Decide = Callable[[Sequence[Item]], Sequence[Verdict]]
"""Gives every item its verdict, in their order."""


def grade(shard: ShardWork) -> StageReport:
    """Commit the run's own verdicts on a shard's answers: on those that the run itself can grade."""
    work = shard.work
    last = work.run.plan.rounds
    opened = OpenGrading(
        work.store,
        work.run,
        own_grading(datetime.fromisoformat(work.run.created_at)),
        work.limits.grading_timeout_seconds,
        producer=work.producer,
        with_tables=work.with_tables,
    )
    agreed = {place for round_ in range(1, last) for place in agreed_answers(shard, round_)}
    ungraded = UngradedShard(shard.shard.number, shard.revision, (last,))
    answers = AnswerGrading(opened, ungraded, agreed)
    return answers.grade(last, answers.by_rules)


def grade_shard(opened: OpenGrading, work: UngradedShard) -> list[StageReport]:
    """Commit the verdicts of a shard that are missing, by the rules. Raises Interrupted."""
    shard = ShardGrading(opened, work)
    return [shard.grade(round_, shard.by_rules) for round_ in work.rounds]


class ShardGrading:
    """One shard in one grading, with the verdicts known of its answers.

    Memory is bounded by the shard: its gold answers, and the different answers to them.
    """

    reads: str = "trajectories"
    """The table whose rows are graded."""

    def __init__(self, opened: OpenGrading, work: UngradedShard) -> None:
        self.opened = opened
        self.work = work
        self._verdicts: dict[tuple[str, str, str], Verdict] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._has_recalled = False

    @cached_property
    def golds(self) -> dict[str, tuple[str, str | None]]:
        """Spec and gold answer of each problem that is judged, by problem id."""
        opened, grading = self.opened, self.opened.grading
        shard = opened.run.shards[self.work.number]
        found = {}
        for problem in problems_of(opened.store, opened.run, shard):
            by = judged_by(grading.grader, grading.against, problem)
            if by is not None:
                found[problem.problem_id] = by
        return found

    def _version(self, spec: str) -> str:
        """The version of the grader: that of the rules, or the grading's own."""
        grading = self.opened.grading
        return grader_version(spec) if is_by_rules(spec) else grading.grader_version

    def grade(self, round_: int, decide: Decide) -> StageReport:
        """Commit the verdicts of one round, each as ``decide`` gives it. Idempotent."""
        unit = self.opened.unit(self.work, round_)
        commit = find_commit(self.opened.store, unit)
        if commit is None:
            self.opened.raise_if_stopped()
            commit = self._publish(unit, decide)
        return StageReport.of(commit)

    def _publish(self, unit: Unit, decide: Decide) -> Commit:
        opened = self.opened
        judged = self._judged(unit)
        items = opened.with_tables(lambda: list(self._items(judged)))
        verdicts = decide(items)
        keys = self._answer_keys(items)
        counted = Counter(verdict.verdict for verdict in verdicts)
        rows = (
            VERDICTS.row(self._graded(item, verdict, keys))
            for item, verdict in zip(items, verdicts, strict=True)
        )
        commit = opened.with_tables(
            lambda: publish(
                opened.store,
                unit,
                rows,
                inputs=[commit_key(judged.unit.first)],
                counts={name: counted[name] for name in VERDICT_NAMES},
                producer=opened.producer,
            )
        )
        opened.progress.add(generated=judged.counts.get("slots", 0))
        return commit

    def _judged(self, unit: Unit) -> Commit:
        """The commit of the rows that are graded. Raises StoreError where there is none."""
        read = unit._replace(table=self.reads, grading="")
        if (commit := find_commit(self.opened.store, read)) is None:
            raise StoreError(f"{commit_key(read)}: is not committed")
        return commit

    def _items(self, judged: Commit) -> Iterator[Item]:
        """Every finished trajectory whose problem is judged; conclusions are read one at a time."""
        with self.opened.store.local_path(judged.path) as path:
            for row in conclusions(path):
                if row.problem_id not in self.golds:
                    continue
                spec, gold = self.golds[row.problem_id]
                read = self._read(row, spec, gold)
                place = (row.problem_id, row.replicate, row.slot, row.trajectory_id)
                if isinstance(read, Extracted) and read.text.strip():
                    yield Item(*place, spec, gold, read.text, read.method)
                else:
                    reason = read.reason if isinstance(read, NoAnswer) else None
                    yield Item(*place, spec, gold, None, None, reason)

    def _read(self, row: ConclusionRow, spec: str, gold: str | None) -> Extracted | NoAnswer | None:
        if row.conclusion is None:
            return None
        if is_by_rules(spec):
            is_cut = row.finish_reason == "length"
            return find_answer(row.conclusion, spec, wanted_of(spec, gold), is_cut=is_cut)
        return judged_text(row.conclusion, self.opened.grading.against)

    def compared_with(self, item: Item) -> str | None:
        """The gold answer, None in an opinion, which is given without one."""
        return item.gold if self.opened.grading.against == "gold" else None

    def _graded(
        self, item: Item, verdict: Verdict, keys: dict[tuple[str, str], str]
    ) -> GradedTrajectory:
        gold = self.compared_with(item)
        return GradedTrajectory(
            problem_id=item.problem_id,
            replicate=item.replicate,
            slot=item.slot,
            trajectory_id=item.trajectory_id,
            grading=self.opened.record.grading_id,
            grader=item.spec,
            grader_version=self._version(item.spec),
            verdict=verdict,
            answer=item.answer,
            method=item.method,
            answer_key=None if item.answer is None else keys[item.spec, item.answer],
            gold_answer=None if gold is None else recorded_gold(gold),
        )

    def by_rules(self, items: Sequence[Item]) -> list[Verdict]:
        """Verdicts by exact rules, computer algebra and running programs: `grade_answers`.

        Equal answers are graded once a shard, and not at all where this version of the grader has
        decided them for this run before. Raises Interrupted.
        """
        self._recall()
        wanted = dict.fromkeys(
            (item.spec, item.gold, item.answer)
            for item in items
            if item.answer is not None and item.gold is not None
        )
        new = [one for one in wanted if one not in self._verdicts]
        self.opened.progress.add_answers(known=len(wanted) - len(new))
        for start in range(0, len(new), ANSWERS_AT_A_TIME):
            self.opened.raise_if_stopped()
            some = new[start : start + ANSWERS_AT_A_TIME]
            given = grade_answers(some, self.opened.timeout_seconds)
            self._verdicts.update(zip(some, given, strict=True))
            self.opened.progress.add_answers(decided=len(some))
        return [
            NO_ANSWER._replace(detail=item.reason)
            if item.answer is None or item.gold is None
            else self._verdicts[item.spec, item.gold, item.answer]
            for item in items
        ]

    def _answer_keys(self, items: Sequence[Item]) -> dict[tuple[str, str], str]:
        """The equivalence class of every different answer."""
        self._recall()
        wanted = dict.fromkeys(
            (item.spec, item.answer) for item in items if item.answer is not None
        )
        new = [one for one in wanted if one not in self._keys]
        for start in range(0, len(new), ANSWERS_AT_A_TIME):
            self.opened.raise_if_stopped()
            some = new[start : start + ANSWERS_AT_A_TIME]
            self._keys.update(
                zip(some, answer_keys(some, self.opened.timeout_seconds), strict=True)
            )
        return self._keys

    def _recall(self) -> None:
        """Take over the verdicts of the run's gradings, its own among them, on the shard."""
        if self._has_recalled:
            return
        self._has_recalled = True
        store = self.opened.store
        units = self.opened.decided_before[self.opened.run.shards[self.work.number].name]
        for commit in read_commits(store, units):
            with store.local_path(commit.path) as path:
                for row in verdicts_in(path):
                    spec, gold = self.golds.get(row.problem_id, ("text", None))
                    if gold is None or (row.grader, row.grader_version) != (
                        spec,
                        self._version(spec),
                    ):
                        continue
                    verdict = Verdict(row.verdict, row.score, row.detail)
                    self._verdicts[spec, gold, row.answer] = verdict
                    if row.answer_key is not None:
                        self._keys[spec, row.answer] = row.answer_key


class AnswerGrading(ShardGrading):
    """A shard in the run's own grading: the answers, as the stage before has read them.

    A replicate that did not reach the last round has no trajectory there. It gets the verdict
    ``no_answer`` all the same, with the reason that its answer has; or where it is among ``agreed``, by
    (problem id, replicate), as the messages of a round agreed, the verdict on its answer.
    """

    reads = "answers"

    def __init__(self, opened: OpenGrading, work: UngradedShard, agreed: Container[Place]) -> None:
        super().__init__(opened, work)
        self._agreed = agreed

    def _items(self, judged: Commit) -> Iterator[Item]:
        with self.opened.store.local_path(judged.path) as path:
            for row in answers_of(path):
                if row.problem_id not in self.golds or row.finish_reason in UNFINISHED:
                    continue
                spec, gold = self.golds[row.problem_id]
                is_agreed = (row.problem_id, row.replicate) in self._agreed
                last = None if is_agreed else row.trajectory_id
                place = (row.problem_id, row.replicate, 0, last)
                if row.answer is not None and row.answer.strip():
                    yield Item(*place, spec, gold, row.answer, row.method)
                else:
                    yield Item(*place, spec, gold, None, None, row.reason)

    def _recall(self) -> None:
        """Nothing: another grading of a run comes after its own."""
