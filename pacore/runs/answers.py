"""The stage `answers`: exactly one row for each problem and replicate, answered or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pacore.core.answer import Answer, Ended, final_answer
from pacore.core.grading.extraction.extract import EXTRACTION_VERSION
from pacore.core.message import Message
from pacore.core.quorum import shortfall
from pacore.runs.messages import Place, slot_outcomes
from pacore.runs.work import ShardWork, StageReport
from pacore.store.commits import Commit, find_commit, publish
from pacore.store.schema import ANSWERS
from pacore.warehouse.files import message_sets


def conclude(shard: ShardWork) -> StageReport:
    """Commit a shard's answers. ``retryable`` counts those a resume would try again."""
    work = shard.work
    commit = find_commit(work.store, shard.unit("answers", work.run.plan.rounds))
    if commit is None:
        commit = work.with_tables(lambda: _publish(shard))
    return StageReport.of(commit)


def _publish(shard: ShardWork) -> Commit:
    work = shard.work
    last = work.run.plan.rounds
    counts = {"answered": 0, "no_answer": 0, "failed": 0, "retryable": 0}
    return publish(
        work.store,
        shard.unit("answers", last),
        map(ANSWERS.row, _answers(shard, counts)),
        inputs=[shard.input_key("messages", last)],
        counts=counts,
        producer={**work.producer, "extraction": EXTRACTION_VERSION},
    )


def _answers(shard: ShardWork, counts: dict[str, int]) -> Iterator[Answer]:
    plan = shard.work.run.plan
    finals = _final_messages(shard)
    reached = _last_rounds(shard)
    for problem in shard.problems():
        for replicate in range(plan.replicates):
            place = (problem.problem_id, replicate)
            ended = reached[place]
            if (message := finals.get(place)) is not None:
                ended = replace(ended, messages=[message])
            else:
                short = shortfall(plan, ended.round, ended.outcomes)
                counts["retryable"] += short is not None and short.waiting > 0
            answer = final_answer(plan, problem, replicate, ended)
            counts[answer.status] += 1
            yield answer


def _final_messages(shard: ShardWork) -> dict[Place, Message]:
    """y = m_R^(1) of every replicate that got that far (eq. 3)."""
    last = shard.work.run.plan.rounds
    commit = shard.committed("messages", last)
    found = {}
    with shard.work.store.local_path(commit.path) as path:
        for (problem_id, replicate), texts, ids in message_sets(path):
            message = Message(last, problem_id, replicate, 1, ids[0], texts[0], "")
            found[problem_id, replicate] = message
    return found


def _last_rounds(shard: ShardWork) -> dict[Place, Ended]:
    """The last round each replicate reached, and what its slots came to."""
    reached: dict[Place, Ended] = {}
    for round_ in range(shard.work.run.plan.rounds, 0, -1):
        for place, outcomes in slot_outcomes(shard, round_, reached):
            reached[place] = Ended(round_, outcomes)
    return reached
