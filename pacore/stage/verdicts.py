"""The stage `verdicts`: what a grading says of every trajectory of one shard, round by round.

A trajectory that the engine never finished is no answer of the model, and gets no verdict: an outage
must not count as wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from pacore.answer import extract
from pacore.commits import Commit, find_commit, publish, read_commit, read_commits
from pacore.grading import gold_answer
from pacore.grading.graders import grader_of
from pacore.grading.score import NO_ANSWER, VERDICTS, GradedTrajectory, Verdict
from pacore.layout import Unit, commit_key
from pacore.problem import GraderName
from pacore.run import problems_of
from pacore.sandbox import grade_answers, grader_version
from pacore.stage.context import StageReport
from pacore.stage.gradings import OpenGrading, UngradedShard
from pacore.table_rows import verdict_row
from pacore.warehouse import conclusions, verdicts_in

ANSWERS_AT_A_TIME = 16
"""Answers graded between two looks at whether the work is to end."""


class Item(NamedTuple):
    """One trajectory to be judged: what its problem's grader reads in it, and the gold answer.

    ``answer`` and ``method`` are None where there is no answer; ``gold`` is None only under a
    grading that holds answers against nothing but an opinion.
    """

    problem_id: str
    replicate: int
    slot: int
    trajectory_id: str
    grader: GraderName
    gold: str | None
    answer: str | None
    method: str | None


Decide = Callable[[Sequence[Item]], Sequence[Verdict]]
"""Gives every item its verdict, in their order."""


def grade_shard(opened: OpenGrading, work: UngradedShard) -> list[StageReport]:
    """Commit the verdicts of a shard that are missing, by the rules. Raises Interrupted."""
    shard = ShardGrading(opened, work)
    return [shard.grade(round_, shard.by_rules) for round_ in work.rounds]


class ShardGrading:
    """One shard under one grading, with what is known of its answers.

    Memory is bounded by the shard: its gold answers, and the different answers to them.
    """

    def __init__(self, opened: OpenGrading, work: UngradedShard) -> None:
        self.opened = opened
        self.work = work
        self._verdicts: dict[tuple[GraderName, str, str], Verdict] = {}
        self._keys: dict[tuple[GraderName, str], str] = {}
        self._has_recalled = False

    @cached_property
    def golds(self) -> dict[str, tuple[GraderName, str | None]]:
        """Grader and gold answer of each problem that is judged, by problem id."""
        opened = self.opened
        found = {}
        for problem in problems_of(opened.store, opened.run, opened.run.shards[self.work.number]):
            gold = gold_answer(problem)
            if gold is not None or opened.grading.against == "opinion":
                found[problem.problem_id] = (grader_of(opened.grading.grader, problem), gold)
        return found

    def grade(self, round_: int, decide: Decide) -> StageReport:
        """Commit the verdicts of one round, each as ``decide`` gives it. Idempotent."""
        unit = self.opened.unit(self.work, round_)
        commit = find_commit(self.opened.store, unit)
        if commit is None:
            self.opened.go_on()
            commit = self._publish(unit, decide)
        return StageReport(unit.table, unit.name, round_, commit.path, commit.rows, commit.counts)

    def _publish(self, unit: Unit, decide: Decide) -> Commit:
        judged = read_commit(self.opened.store, unit._replace(table="trajectories", grading=""))
        items = list(self._items(judged))
        verdicts = decide(items)
        keys = self._answer_keys(items)
        counted = Counter(verdict.verdict for verdict in verdicts)
        rows = (
            verdict_row(self._graded(item, verdict, keys))
            for item, verdict in zip(items, verdicts, strict=True)
        )
        commit = publish(
            self.opened.store,
            unit,
            rows,
            inputs=[commit_key(judged.unit)],
            counts={name: counted[name] for name in VERDICTS},
            producer=self.opened.producer,
        )
        self.opened.progress.add(generated=judged.counts["slots"])
        return commit

    def _items(self, judged: Commit) -> Iterator[Item]:
        """Every finished trajectory whose problem is judged; conclusions are read one at a time."""
        with self.opened.store.local_path(judged.path) as path:
            for row in conclusions(path):
                if row.problem_id not in self.golds:
                    continue
                grader, gold = self.golds[row.problem_id]
                read = None if row.conclusion is None else extract(row.conclusion, grader)
                answer, method = read if read and read.text.strip() else (None, None)
                place = (row.problem_id, row.replicate, row.slot, row.trajectory_id)
                yield Item(*place, grader, gold, answer, method)

    def _graded(
        self, item: Item, verdict: Verdict, keys: dict[tuple[GraderName, str], str]
    ) -> GradedTrajectory:
        return GradedTrajectory(
            problem_id=item.problem_id,
            replicate=item.replicate,
            slot=item.slot,
            trajectory_id=item.trajectory_id,
            grading=self.opened.grading.grading_id,
            grader=item.grader,
            grader_version=grader_version(item.grader),
            verdict=verdict,
            answer=item.answer,
            method=item.method,
            answer_key=None if item.answer is None else keys[item.grader, item.answer],
        )

    def by_rules(self, items: Sequence[Item]) -> list[Verdict]:
        """Verdicts by exact rules, computer algebra and running programs: `grade_answers`.

        Equal answers are graded once a shard, and not at all where this version of the grader has
        decided them for this run before. Raises Interrupted.
        """
        self._recall()
        asked = dict.fromkeys(
            (item.grader, item.gold, item.answer)
            for item in items
            if item.answer is not None and item.gold is not None
        )
        new = [one for one in asked if one not in self._verdicts]
        self.opened.progress.add_answers(known=len(asked) - len(new))
        for start in range(0, len(new), ANSWERS_AT_A_TIME):
            self.opened.go_on()
            some = new[start : start + ANSWERS_AT_A_TIME]
            given = grade_answers(some, self.opened.timeout_seconds)
            self._verdicts.update(zip(some, given, strict=True))
            self.opened.progress.add_answers(decided=len(some))
        return [
            NO_ANSWER
            if item.answer is None or item.gold is None
            else self._verdicts[item.grader, item.gold, item.answer]
            for item in items
        ]

    def _answer_keys(self, items: Sequence[Item]) -> dict[tuple[GraderName, str], str]:
        """The equivalence class of every different answer."""
        self._recall()
        asked = dict.fromkeys(
            (item.grader, item.answer) for item in items if item.answer is not None
        )
        new = [one for one in asked if one not in self._keys]
        for start in range(0, len(new), ANSWERS_AT_A_TIME):
            self.opened.go_on()
            some = new[start : start + ANSWERS_AT_A_TIME]
            self._keys.update(
                zip(some, answer_keys(some, self.opened.timeout_seconds), strict=True)
            )
        return self._keys

    def _recall(self) -> None:
        """Take over what the run's other gradings, and the run itself, have decided of the shard."""
        if self._has_recalled:
            return
        self._has_recalled = True
        store = self.opened.store
        units = self.opened.decided_before[self.opened.run.shards[self.work.number].name]
        for commit in read_commits(store, units):
            with store.local_path(commit.path) as path:
                for row in verdicts_in(commit.unit.table, path):
                    grader, gold = self.golds.get(row.problem_id, ("text", None))
                    if gold is None or (row.grader, row.grader_version) != (
                        grader,
                        grader_version(grader),
                    ):
                        continue
                    verdict = Verdict(row.verdict, row.score, row.detail)
                    self._verdicts[grader, gold, row.answer] = verdict
                    if row.answer_key is not None:
                        self._keys[grader, row.answer] = row.answer_key


def answer_keys(items: Sequence[tuple[GraderName, str]], timeout_seconds: float) -> list[str]:
    """Placeholder until `pacore.sandbox` has it."""
    assert timeout_seconds
    return [answer.strip() for _, answer in items]
