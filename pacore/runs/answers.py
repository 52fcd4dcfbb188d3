"""The stage `answers`: exactly one row for each problem and replicate, answered or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pacore.core.answer import Answer, Ended, final_answer
from pacore.core.grading.extraction.extract import EXTRACTION_VERSION
from pacore.core.message import Message
from pacore.core.quorum import shortfall
from pacore.runs.context import Context, OpenShard, StageReport
from pacore.runs.messages import Place, slot_outcomes
from pacore.store.commits import Commit, find_commit, publish
from pacore.store.schema import ANSWERS
from pacore.warehouse.files import message_sets


def conclude(context: Context, work: OpenShard) -> StageReport:
    """Commit a shard's answers. ``retryable`` counts those a resume would try again."""
    unit = context.unit("answers", context.run.plan.rounds, work)
    commit = find_commit(context.store, unit)
    if commit is None:
        commit = context.with_tables(lambda: _publish(context, work))
    return StageReport.of(commit)


def _publish(context: Context, work: OpenShard) -> Commit:
    last = context.run.plan.rounds
    counts = {"answered": 0, "no_answer": 0, "failed": 0, "retryable": 0}
    return publish(
        context.store,
        context.unit("answers", last, work),
        map(ANSWERS.row, _answers(context, work, counts)),
        inputs=[context.input_of("messages", last, work)],
        counts=counts,
        producer={**context.producer, "extraction": EXTRACTION_VERSION},
    )


def _answers(context: Context, work: OpenShard, counts: dict[str, int]) -> Iterator[Answer]:
    plan = context.run.plan
    finals = _final_messages(context, work)
    reached = _last_rounds(context, work)
    for problem in context.problems(context.shards[work.number]):
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


def _final_messages(context: Context, work: OpenShard) -> dict[Place, Message]:
    """y = m_R^(1) of every replicate that got that far (eq. 3)."""
    last = context.run.plan.rounds
    commit = context.committed("messages", last, work)
    found = {}
    with context.store.local_path(commit.path) as path:
        for (problem_id, replicate), texts, ids in message_sets(path):
            message = Message(last, problem_id, replicate, 1, ids[0], texts[0], "")
            found[problem_id, replicate] = message
    return found


def _last_rounds(context: Context, work: OpenShard) -> dict[Place, Ended]:
    """The last round each replicate reached, and what its slots came to."""
    reached: dict[Place, Ended] = {}
    for round_ in range(context.run.plan.rounds, 0, -1):
        for place, outcomes in slot_outcomes(context, work, round_, reached):
            reached[place] = Ended(round_, outcomes)
    return reached
