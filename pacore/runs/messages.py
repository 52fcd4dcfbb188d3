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
from pacore.runs.work import ShardWork, StageReport, Work
from pacore.store.commits import Commit, find_commit, publish
from pacore.store.journal import Entry
from pacore.store.schema import MESSAGES
from pacore.warehouse.files import CandidateRow, candidates

Place = tuple[str, int]


Generations = Iterator[Entry | None]
"""Journal entries of the rows whose text is needed, in the order of the rows."""


def compact(shard: ShardWork, round_: int) -> StageReport:
    """Commit the message sets of a round that go on; short and waiting sets have no rows."""
    commit = find_commit(shard.work.store, shard.unit("messages", round_))
    if commit is None:
        commit = shard.work.with_tables(lambda: _publish(shard, round_))
    return StageReport.of(commit)


def _publish(shard: ShardWork, round_: int) -> Commit:
    counts = {"sets": 0, "short": 0, "waiting": 0}
    return publish(
        shard.work.store,
        shard.unit("messages", round_),
        map(MESSAGES.row, _messages(shard, round_, counts)),
        inputs=[shard.input_key("trajectories", round_)],
        counts=counts,
        producer=shard.work.producer,
    )


def _messages(shard: ShardWork, round_: int, counts: dict[str, int]) -> Iterator[Message]:
    plan = shard.work.run.plan
    for (problem_id, replicate), outcomes in slot_outcomes(shard, round_):
        concluded = conclude_round(plan, (round_, problem_id, replicate), outcomes)
        if isinstance(concluded, Shortfall):
            counts["waiting" if concluded.waiting else "short"] += 1
        else:
            counts["sets"] += 1
            yield from concluded


def slot_outcomes(
    shard: ShardWork, round_: int, skipped: Container[Place] = ()
) -> Iterator[tuple[Place, list[SlotOutcome]]]:
    """What the slots of each (problem id, replicate) came to in a round, in slot order.

    Of those ``skipped`` nothing is read.
    """
    work = shard.work
    commit = shard.committed("trajectories", round_)
    compactions = _compactions(shard, round_)
    every_problems = work.run.plan.step(round_).compaction
    with work.store.local_path(commit.path) as path:
        rows = candidates(path)
        for place, group in groupby(rows, key=lambda row: (row.problem_id, row.replicate)):
            slots = list(group)
            if place in skipped:
                continue
            compaction = compactions.get(place[0], every_problems)
            generations = work.journal.find_many(
                row.trajectory_id
                for row in slots
                if needs_generation(row.compaction_input, compaction)
            )
            yield place, [_outcome(work, row, compaction, generations) for row in slots]


def _compactions(shard: ShardWork, round_: int) -> dict[str, Compaction]:
    """C by problem id, where it is not the same for every problem of a round."""
    plan = shard.work.run.plan
    if plan.step(round_).compaction.policy != "answer":
        return {}
    return {
        problem.problem_id: compaction_of(plan, round_, problem) for problem in shard.problems()
    }


def _outcome(
    work: Work, row: CandidateRow, compaction: Compaction, generations: Generations
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
        is_lost=row.finish_reason in UNFINISHED and row.tombstones >= work.limits.attempts,
        refills=row.refills,
    )
