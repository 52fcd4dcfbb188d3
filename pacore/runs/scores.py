"""The stage `scores`: grade one shard's answers against their gold answers."""

from __future__ import annotations

from typing import NamedTuple

from pacore.core.answer import Answer
from pacore.core.grading.choose import run_grading
from pacore.core.grading.verdict import Score, Verdict, recorded_gold
from pacore.runs.context import Context, OpenShard, StageReport
from pacore.sandbox.grade import grade_answers, grader_version
from pacore.store.commits import Commit, find_commit, publish
from pacore.store.schema import SCORES
from pacore.warehouse.files import answers_of


def grade(context: Context, work: OpenShard) -> StageReport:
    """Commit a shard's scores: a row for each answer that the run itself can grade."""
    unit = context.unit("scores", context.run.plan.rounds, work)
    commit = find_commit(context.store, unit)
    if commit is None:
        ungraded = context.with_tables(lambda: _ungraded(context, work))
        items = [(spec, gold, row.answer) for row, spec, gold in ungraded]
        verdicts = grade_answers(items, context.config.grading_timeout_seconds)
        scores = [_score(one, verdict) for one, verdict in zip(ungraded, verdicts, strict=True)]
        commit = context.with_tables(lambda: _publish(context, work, scores))
    return StageReport.of(commit)


class _Ungraded(NamedTuple):
    row: Answer
    spec: str
    gold: str


def _ungraded(context: Context, work: OpenShard) -> list[_Ungraded]:
    """The shard's answers with the grader and gold answer they are graded by (`run_grading`)."""
    commit = context.committed("answers", context.run.plan.rounds, work)
    graded = {
        problem.problem_id: by
        for problem in context.problems(context.shards[work.number])
        if (by := run_grading(problem)) is not None
    }
    with context.store.local_path(commit.path) as path:
        return [
            _Ungraded(row, *graded[row.problem_id])
            for row in answers_of(path)
            if row.problem_id in graded
        ]


def _score(ungraded: _Ungraded, verdict: Verdict) -> Score:
    row, spec, gold = ungraded
    return Score(
        problem_id=row.problem_id,
        replicate=row.replicate,
        trajectory_id=row.trajectory_id,
        grader=spec,
        grader_version=grader_version(spec),
        verdict=verdict.verdict,
        score=verdict.score,
        gold=recorded_gold(gold),
        answer=row.answer,
    )


def _publish(context: Context, work: OpenShard, scores: list[Score]) -> Commit:
    last = context.run.plan.rounds
    scored = sum(1 for score in scores if score.score is not None)
    return publish(
        context.store,
        context.unit("scores", last, work),
        map(SCORES.row, scores),
        inputs=[context.input_of("answers", last, work)],
        counts={"scored": scored, "ungraded": len(scores) - scored},
        producer=context.producer,
    )
