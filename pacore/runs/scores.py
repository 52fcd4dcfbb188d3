"""The stage `scores`: grade one shard's answers against their gold answers."""

from __future__ import annotations

from typing import NamedTuple

from pacore.core.answer import Answer
from pacore.core.grading.choose import run_grading
from pacore.core.grading.verdict import Score, Verdict, recorded_gold
from pacore.runs.work import ShardWork, StageReport
from pacore.sandbox.grade import grade_answers, grader_version
from pacore.store.commits import Commit, find_commit, publish
from pacore.store.schema import SCORES
from pacore.warehouse.files import answers_of


def grade(shard: ShardWork) -> StageReport:
    """Commit a shard's scores: a row for each answer that the run itself can grade."""
    work = shard.work
    commit = find_commit(work.store, shard.unit("scores", work.run.plan.rounds))
    if commit is None:
        ungraded = work.with_tables(lambda: _ungraded(shard))
        items = [(spec, gold, row.answer) for row, spec, gold in ungraded]
        verdicts = grade_answers(items, work.limits.grading_timeout_seconds)
        scores = [_score(one, verdict) for one, verdict in zip(ungraded, verdicts, strict=True)]
        commit = work.with_tables(lambda: _publish(shard, scores))
    return StageReport.of(commit)


class _Ungraded(NamedTuple):
    row: Answer
    spec: str
    gold: str


def _ungraded(shard: ShardWork) -> list[_Ungraded]:
    """The shard's answers with the grader and gold answer they are graded by (`run_grading`)."""
    commit = shard.committed("answers", shard.work.run.plan.rounds)
    graded = {
        problem.problem_id: by
        for problem in shard.problems()
        if (by := run_grading(problem)) is not None
    }
    with shard.work.store.local_path(commit.path) as path:
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


def _publish(shard: ShardWork, scores: list[Score]) -> Commit:
    last = shard.work.run.plan.rounds
    scored = sum(1 for score in scores if score.score is not None)
    return publish(
        shard.work.store,
        shard.unit("scores", last),
        map(SCORES.row, scores),
        inputs=[shard.input_key("answers", last)],
        counts={"scored": scored, "ungraded": len(scores) - scored},
        producer=shard.work.producer,
    )
