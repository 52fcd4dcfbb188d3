"""The stage `verdicts`: the verdicts of a grading on every trajectory of one shard, round by round.

A trajectory that the engine never finished is no answer of the model, and gets no verdict: an outage
must not count as wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from pacore.core.grading.choose import is_by_rules, judged_by
from pacore.core.grading.extraction.extract import Extracted, NoAnswer, find_answer
from pacore.core.grading.judge import Question, judged_text, verdict_of, votes_of
from pacore.core.grading.programs.tests import wanted_of
from pacore.core.grading.spec import parse_spec
from pacore.core.grading.verdict import NO_ANSWER, VERDICT_NAMES, GradedTrajectory, Verdict
from pacore.core.problem import Turn
from pacore.evaluation.gradings import OpenGrading, UngradedShard
from pacore.runs.work import StageReport
from pacore.sandbox.grade import answer_keys, grade_answers, grader_version
from pacore.store.commits import Commit, find_commit, publish, read_commit, read_commits
from pacore.store.layout import Unit, commit_key
from pacore.store.run import problems_of
from pacore.store.schema import VERDICTS as VERDICTS_TABLE
from pacore.warehouse.files import ConclusionRow, conclusions, verdicts_in

ANSWERS_AT_A_TIME = 16
"""Answers graded between two checks of whether the work was stopped."""


class Item(NamedTuple):
    """One trajectory to be graded: the answer its problem's grader reads in it, and the gold answer.

    ``answer`` and ``method`` are None where there is no answer, and ``reason`` is why rules found
    none; ``gold`` is None only in a grading by opinion.
    """

    problem_id: str
    replicate: int
    slot: int
    trajectory_id: str
    spec: str
    gold: str | None
    answer: str | None
    method: str | None
    reason: str | None = None


Decide = Callable[[Sequence[Item]], Sequence[Verdict]]
"""Gives every item its verdict, in their order."""


def grade_shard(opened: OpenGrading, work: UngradedShard) -> list[StageReport]:
    """Commit the verdicts of a shard that are missing, by the rules. Raises Interrupted."""
    shard = ShardGrading(opened, work)
    return [shard.grade(round_, shard.by_rules) for round_ in work.rounds]


class ShardGrading:
    """One shard in one grading, with the verdicts known of its answers.

    Memory is bounded by the shard: its gold answers, and the different answers to them.
    """

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

    @cached_property
    def turns(self) -> dict[str, tuple[Turn, ...]]:
        """The turns of each problem of the shard, by problem id."""
        shard = self.opened.run.shards[self.work.number]
        problems = problems_of(self.opened.store, self.opened.run, shard)
        return {problem.problem_id: problem.turns for problem in problems}

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
        judged = read_commit(self.opened.store, unit._replace(table="trajectories", grading=""))
        items = list(self._items(judged))
        verdicts = decide(items)
        keys = self._answer_keys(items)
        counted = Counter(verdict.verdict for verdict in verdicts)
        rows = (
            VERDICTS_TABLE.row(self._graded(item, verdict, keys))
            for item, verdict in zip(items, verdicts, strict=True)
        )
        commit = publish(
            self.opened.store,
            unit,
            rows,
            inputs=[commit_key(judged.unit.first)],
            counts={name: counted[name] for name in VERDICT_NAMES},
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

    def by_judge(self, votes: Mapping[str, Sequence[bool | None]]) -> Decide:
        """Verdicts by the votes on each question, by its id."""

        def decide(items: Sequence[Item]) -> list[Verdict]:
            return [self._voted(item, votes) for item in items]

        return decide

    def question(self, item: Item) -> Question | None:
        """The question to a judge about one trajectory; None where it has no answer."""
        if item.answer is None:
            return None
        gold = item.gold if self.opened.grading.against == "gold" else None
        return Question(self.turns[item.problem_id], gold, item.answer)

    def questions(self, round_: int) -> Iterator[tuple[Item, Question]]:
        """Every trajectory of a round with an answer, and the question to a judge about it."""
        unit = self.opened.unit(self.work, round_)
        judged = read_commit(self.opened.store, unit._replace(table="trajectories", grading=""))
        for item in self._items(judged):
            if (question := self.question(item)) is not None:
                yield item, question

    def _voted(self, item: Item, votes: Mapping[str, Sequence[bool | None]]) -> Verdict:
        question = self.question(item)
        if question is None:
            return NO_ANSWER
        grading = self.opened.grading
        needed, count = votes_of(parse_spec(grading.grader))
        given = list(votes.get(question.question_id, ()))
        given += [None] * (count - len(given))
        return verdict_of(given, needed, grading.against)

    def _graded(
        self, item: Item, verdict: Verdict, keys: dict[tuple[str, str], str]
    ) -> GradedTrajectory:
        return GradedTrajectory(
            problem_id=item.problem_id,
            replicate=item.replicate,
            slot=item.slot,
            trajectory_id=item.trajectory_id,
            grading=self.opened.grading.grading_id,
            grader=item.spec,
            grader_version=self._version(item.spec),
            verdict=verdict,
            answer=item.answer,
            method=item.method,
            answer_key=None if item.answer is None else keys[item.spec, item.answer],
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
        """Take over the verdicts of the run's other gradings, and of the run itself, on the shard."""
        if self._has_recalled:
            return
        self._has_recalled = True
        store = self.opened.store
        units = self.opened.decided_before[self.opened.run.shards[self.work.number].name]
        for commit in read_commits(store, units):
            with store.local_path(commit.path) as path:
                for row in verdicts_in(commit.unit.table, path):
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
