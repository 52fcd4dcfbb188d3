"""Grading by a judge: the questions about a run are a run of their own, and its votes become verdicts.

Every different question is one problem, with as many trajectories as there are votes. So a question is
never paid for twice, and a grading that was killed resumes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from pydantic import JsonValue

from pacore.core.config.run import RunConfig
from pacore.core.grading.judge import (
    Question,
    read_vote,
    template_digest,
    verdict_of,
    votes_of,
)
from pacore.core.grading.spec import Against, parse_spec
from pacore.core.grading.verdict import NO_ANSWER, Verdict
from pacore.core.identity import digest
from pacore.core.problem import Problem, Turn
from pacore.engine.opening import resolve_recipe
from pacore.errors import BadInput, Refused
from pacore.evaluation.gradings import end, every_shard, ungraded
from pacore.runs.derived import conclusions_of, derived_config, put_problems
from pacore.runs.verdicts import Decide, Item, OpenGrading, ShardGrading
from pacore.store.backends.protocol import Backend
from pacore.store.gradings import Grading, GradingRecord, begin_grading
from pacore.store.run import Run, problems_of, votes_prefix

Votes = Mapping[str, list[bool | None]]


@dataclass(frozen=True)
class Judging:
    """A grading of ``run`` by a judge, and the configuration of the run that has its votes."""

    run: Run
    grading: Grading
    config: RunConfig


def begin_judging(
    store: Backend, run: Run, grader: str, against: Against, changes: Mapping[str, object]
) -> Judging:
    """Store the questions about a run as the problem set of the judge's run.

    Raises Refused where nothing can be judged, BadInput for a field that is wrong.
    """
    spec = parse_spec(grader)
    _, count = votes_of(spec)
    probe = derived_config(store, run, "judge", count, changes)
    grading = grading_of(probe, str(spec), against)
    # The record of the grading is made once all votes are there.
    draft = OpenGrading(store, run, GradingRecord(0, grading, datetime.now(UTC)))

    def named(questions: Sequence[str]) -> str:
        # After a retry there are other questions, and so another run; votes in the store are found.
        return votes_prefix(run.run_id) + digest([grading.grading_id, sorted(questions)])[:8]

    judge_id = put_problems(store, _questions(draft), named)
    if judge_id is None:
        raise Refused(f"run {run.run_id}: nothing in it can be judged against {against}")
    return Judging(run, grading, derived_config(store, run, judge_id, count, changes))


def finish_judging(store: Backend, judging: Judging) -> None:
    """Publish the verdicts that follow from the votes, once all votes are there. Idempotent."""
    run, grading = judging.run, judging.grading
    opened = OpenGrading(store, run, begin_grading(store, run.run_id, grading))
    works = ungraded(opened)
    votes = votes_in(store, str(judging.config.run_id)) if works else {}
    for work in works:
        shard = JudgedShard(opened, work)
        for round_ in work.rounds:
            shard.grade(round_, shard.by_judge(votes))
    end(opened)


def grading_of(judge: RunConfig, spec: str, against: Against) -> Grading:
    """The grading by a judge: its identity is the judge's recipe and the wording of its question."""
    recipe = resolve_recipe(judge)
    version = digest([recipe.as_json(), template_digest(against)])[:12]
    return Grading(
        spec,
        f"{recipe.model.partition('?')[0]}-{version}",
        against,
        {"recipe": recipe.as_json(), "template": template_digest(against)},
    )


def _questions(opened: OpenGrading) -> Iterator[Problem]:
    """Every different question about the run, as a problem of the judge's run."""
    run, grading = opened.run, opened.grading
    refused = next(
        (p for s in run.shards for p in problems_of(opened.store, run, s) if p.grader == "code"),
        None,
    )
    if refused is not None and grading.against == "gold":
        raise BadInput(
            f"--grader {grading.grader}: problem {refused.problem_id} is graded by running programs, "
            "and no judge takes the place of its tests"
        )
    seen: set[str] = set()
    for work in every_shard(opened):
        shard = JudgedShard(opened, work)
        for round_ in work.rounds:
            for item, question in shard.questions(round_):
                if question.question_id not in seen:
                    seen.add(question.question_id)
                    yield _problem(question, item.problem_id, run.run_id, grading)


def _problem(question: Question, problem_id: str, run_id: str, grading: Grading) -> Problem:
    judged: dict[str, JsonValue] = {
        "run_id": run_id,
        "problem_id": problem_id,
        "grading": grading.grading_id,
        "against": grading.against,
    }
    turns = (Turn("user", question.prompt),)
    return Problem(question.question_id, turns, None, None, {"judged": judged})


class JudgedShard(ShardGrading):
    """One shard in a grading by a judge, who is asked about the texts of its trajectories."""

    @cached_property
    def turns(self) -> dict[str, tuple[Turn, ...]]:
        """The turns of each problem of the shard, by problem id."""
        shard = self.opened.run.shards[self.work.number]
        problems = problems_of(self.opened.store, self.opened.run, shard)
        return {problem.problem_id: problem.turns for problem in problems}

    def by_judge(self, votes: Mapping[str, Sequence[bool | None]]) -> Decide:
        """Verdicts by the votes on each question, by its id."""

        def decide(items: Sequence[Item]) -> list[Verdict]:
            return [self._voted(item, votes) for item in items]

        return decide

    def question(self, item: Item) -> Question | None:
        """The question to a judge about one trajectory; None where it has no answer."""
        if item.answer is None:
            return None
        return Question(self.turns[item.problem_id], self.compared_with(item), item.answer)

    def questions(self, round_: int) -> Iterator[tuple[Item, Question]]:
        """Every trajectory of a round with an answer, and the question to a judge about it."""
        unit = self.opened.unit(self.work, round_)
        for item in self._items(self._judged(unit)):
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


def votes_in(store: Backend, judge_id: str) -> Votes:
    """The votes on each question, by its id. Memory grows with the number of different questions."""
    votes: dict[str, list[bool | None]] = {}
    for question_id, conclusion in conclusions_of(store, judge_id):
        votes.setdefault(question_id, []).append(read_vote(conclusion))
    return votes
