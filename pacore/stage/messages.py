"""The stage `messages`: compact one shard's trajectories of a round to its message sets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pacore.commits import Commit, find_commit, publish
from pacore.errors import StoreError
from pacore.journal import Journal
from pacore.message import Candidate, Message, message_set, verbatim_text
from pacore.plan import CompactionPolicy
from pacore.rounds import Standing, outcome
from pacore.stage.context import Context, OpenShard, StageReport
from pacore.tables import message_row
from pacore.trajectory import UNFINISHED, normalise
from pacore.warehouse import CandidateRow, candidates

Place = tuple[str, int]


def compact(context: Context, work: OpenShard, round_: int) -> StageReport:
    """Commit the message sets of a round that go on; short and waiting sets have no rows."""
    unit = context.unit("messages", round_, work)
    commit = find_commit(context.store, unit)
    if commit is None:
        commit = context.with_tables(lambda: _publish(context, work, round_))
    return StageReport(unit.table, unit.name, round_, commit.path, commit.rows, commit.counts)


def _publish(context: Context, work: OpenShard, round_: int) -> Commit:
    counts = {"sets": 0, "short": 0, "waiting": 0}
    return publish(
        context.store,
        context.unit("messages", round_, work),
        (message_row(message) for message in _messages(context, work, round_, counts)),
        inputs=[context.input_of("trajectories", round_, work)],
        counts=counts,
        producer=context.producer,
    )


def _messages(
    context: Context, work: OpenShard, round_: int, counts: dict[str, int]
) -> Iterator[Message]:
    plan = context.run.plan
    policy = plan.compaction_in(round_)
    for (problem_id, replicate), standings in standing_sets(context, work, round_):
        judged = outcome(plan, round_, standings)
        if judged.goes_on:
            counts["sets"] += 1
            chosen = [standing.candidate for standing in standings]
            place = (round_, problem_id, replicate)
            yield from message_set(place, chosen, plan.message_order, policy)
        else:
            counts["waiting" if judged.waiting else "short"] += 1


def standing_sets(
    context: Context, work: OpenShard, round_: int
) -> Iterator[tuple[Place, list[Standing]]]:
    """What stands in the slots of each (problem id, replicate) after a round, in slot order."""
    commit = find_commit(context.store, context.unit("trajectories", round_, work))
    if commit is None:
        raise StoreError(f"{context.input_of('trajectories', round_, work)}: is not committed")
    policy = context.run.plan.compaction_in(round_)
    rows = candidates(context.store.uri(commit.path))
    for place, group in groupby(rows, key=lambda row: (row.problem_id, row.replicate)):
        yield place, [_standing(context, row, policy) for row in group]


def _standing(context: Context, row: CandidateRow, policy: CompactionPolicy) -> Standing:
    text = row.conclusion
    if text is not None and policy == "verbatim":
        text = _whole_text(context.journal, row.trajectory_id, text)
    return Standing(
        Candidate(row.trajectory_id, text, row.content_characters),
        row.finish_reason,
        row.conclusion_status,
        row.error,
        is_lost=row.finish_reason in UNFINISHED and row.tombstones >= context.config.attempts,
    )


def _whole_text(journal: Journal, trajectory_id: str, conclusion: str) -> str:
    entry = journal.find(trajectory_id)
    if entry is None:
        raise StoreError(f"trajectory {trajectory_id} is gone from the journal")
    return verbatim_text(normalise(entry.generation).reasoning, conclusion)
