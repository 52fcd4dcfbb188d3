"""The stage `messages`: compact one shard's trajectories of a round to its message sets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pacore.commits import Commit, find_commit, publish
from pacore.errors import StoreError
from pacore.journal import Entry
from pacore.message import Candidate, Message, message_set, tail_text, verbatim_text
from pacore.plan import Compaction
from pacore.quorum import Standing, outcome
from pacore.stage.context import Context, OpenShard, StageReport
from pacore.table_rows import message_row
from pacore.trajectory import UNFINISHED, normalise
from pacore.warehouse import CandidateRow, candidates

Place = tuple[str, int]
Generations = Iterator[Entry | None]
"""Journal entries of the rows whose text is needed, in the order of the rows."""


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
    policy = plan.compaction_in(round_).policy
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
    compaction = context.run.plan.compaction_in(round_)
    with context.store.local_path(commit.path) as path:
        rows = candidates(path)
        for place, group in groupby(rows, key=lambda row: (row.problem_id, row.replicate)):
            standing = list(group)
            generations = context.journal.find_many(
                row.trajectory_id for row in standing if _needs_text(row, compaction)
            )
            yield place, [_standing(context, row, compaction, generations) for row in standing]


def _standing(
    context: Context, row: CandidateRow, compaction: Compaction, generations: Generations
) -> Standing:
    return Standing(
        _candidate(row, compaction, generations),
        row.finish_reason,
        row.conclusion_status,
        row.error,
        is_lost=row.finish_reason in UNFINISHED and row.tombstones >= context.config.attempts,
        refills=row.refills,
    )


def _needs_text(row: CandidateRow, compaction: Compaction) -> bool:
    """Whether C of a row takes text that its conclusion does not hold."""
    if row.conclusion_status == "truncated" and compaction.tail_tokens is not None:
        return True
    return row.conclusion is not None and compaction.policy == "verbatim"


def _candidate(row: CandidateRow, compaction: Compaction, generations: Generations) -> Candidate:
    """C of a row; where it takes more than the conclusion, the next of ``generations`` is its own."""
    text, tail_tokens = row.conclusion, None
    if _needs_text(row, compaction):
        entry = next(generations)
        if entry is None:
            raise StoreError(f"trajectory {row.trajectory_id} is gone from the journal")
        made, thought = entry.generation, normalise(entry.generation)
        if row.conclusion_status == "truncated" and compaction.tail_tokens is not None:
            tail_tokens = compaction.tail_tokens
            text = tail_text(made, thought, tail_tokens)
        elif text is not None:
            text = verbatim_text(thought.reasoning, text)
    return Candidate(row.trajectory_id, text, row.content_characters, tail_tokens)
