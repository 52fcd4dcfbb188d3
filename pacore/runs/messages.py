"""The stage `messages`: compact one shard's trajectories of a round to its message sets."""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import groupby

from pacore.core.message import Message, candidate_of, compaction_of, needs_generation
from pacore.core.plan import Compaction
from pacore.core.quorum import Shortfall, SlotOutcome
from pacore.core.round import conclude_round
from pacore.core.trajectory import UNFINISHED
from pacore.errors import StoreError
from pacore.runs.context import Context, OpenShard, StageReport
from pacore.store.commits import Commit, find_commit, publish
from pacore.store.journal import Entry
from pacore.store.schema import MESSAGES
from pacore.warehouse.files import CandidateRow, candidates

Place = tuple[str, int]


Generations = Iterator[Entry | None]
"""Journal entries of the rows whose text is needed, in the order of the rows."""


def compact(context: Context, work: OpenShard, round_: int) -> StageReport:
    """Commit the message sets of a round that go on; short and waiting sets have no rows."""
    unit = context.unit("messages", round_, work)
    commit = find_commit(context.store, unit)
    if commit is None:
        commit = context.with_tables(lambda: _publish(context, work, round_))
    return StageReport.of(commit)


def _publish(context: Context, work: OpenShard, round_: int) -> Commit:
    counts = {"sets": 0, "short": 0, "waiting": 0}
    return publish(
        context.store,
        context.unit("messages", round_, work),
        map(MESSAGES.row, _messages(context, work, round_, counts)),
        inputs=[context.input_of("trajectories", round_, work)],
        counts=counts,
        producer=context.producer,
    )


def _messages(
    context: Context, work: OpenShard, round_: int, counts: dict[str, int]
) -> Iterator[Message]:
    for (problem_id, replicate), outcomes in slot_outcomes(context, work, round_):
        concluded = conclude_round(context.run.plan, (round_, problem_id, replicate), outcomes)
        if isinstance(concluded, Shortfall):
            counts["waiting" if concluded.waiting else "short"] += 1
        else:
            counts["sets"] += 1
            yield from concluded


def slot_outcomes(
    context: Context, work: OpenShard, round_: int, skipped: Container[Place] = ()
) -> Iterator[tuple[Place, list[SlotOutcome]]]:
    """What the slots of each (problem id, replicate) came to in a round, in slot order.

    Of those ``skipped`` nothing is read.
    """
    commit = context.committed("trajectories", round_, work)
    compactions = _compactions(context, work, round_)
    every_problems = context.run.plan.step(round_).compaction
    with context.store.local_path(commit.path) as path:
        rows = candidates(path)
        for place, group in groupby(rows, key=lambda row: (row.problem_id, row.replicate)):
            slots = list(group)
            if place in skipped:
                continue
            compaction = compactions.get(place[0], every_problems)
            generations = context.journal.find_many(
                row.trajectory_id
                for row in slots
                if needs_generation(row.compaction_input, compaction)
            )
            yield place, [_outcome(context, row, compaction, generations) for row in slots]


def _compactions(context: Context, work: OpenShard, round_: int) -> dict[str, Compaction]:
    """C by problem id, where it is not the same for every problem of a round."""
    plan = context.run.plan
    if plan.step(round_).compaction.policy != "answer":
        return {}
    problems = context.problems(context.shards[work.number])
    return {problem.problem_id: compaction_of(plan, round_, problem) for problem in problems}


def _outcome(
    context: Context, row: CandidateRow, compaction: Compaction, generations: Generations
) -> SlotOutcome:
    """What the slot of a row came to; where C takes its generation, the next one is its own."""
    generation = None
    if needs_generation(row.compaction_input, compaction):
        entry = next(generations)
        if entry is None:
            raise StoreError(f"trajectory {row.trajectory_id} is gone from the journal")
        generation = entry.generation
    return SlotOutcome(
        candidate_of(row.compaction_input, compaction, generation),
        row.finish_reason,
        row.conclusion_status,
        row.error,
        is_lost=row.finish_reason in UNFINISHED and row.tombstones >= context.config.attempts,
        refills=row.refills,
    )
