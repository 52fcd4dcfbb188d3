"""The stage `messages`: compact one shard's trajectories of a round to its message sets."""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import groupby

from pacore.core.message import Message, candidate_of, compaction_of, needs_generation
from pacore.core.plan import Compaction
from pacore.core.quorum import Agreed, Shortfall, SlotOutcome, mark_answer
from pacore.core.round import conclude_round
from pacore.core.trajectory import UNFINISHED
from pacore.errors import StoreError
from pacore.runs.dispatch.in_work import RoundCounts
from pacore.runs.work import ShardWork, StageReport, Work
from pacore.store.commits import Commit, find_commit, publish
from pacore.store.journal import Entry
from pacore.store.schema import MESSAGES
from pacore.warehouse.files import CandidateRow, agreed_sets, candidates

Place = tuple[str, int]


Generations = Iterator[Entry | None]
"""Journal entries of the rows whose text is needed, in the order of the rows."""


def compact(shard: ShardWork, round_: int) -> StageReport:
    """Commit the message sets of a round that go on; short and waiting sets have no rows, and neither have
    those whose messages agree, so that no round follows.
    """
    work = shard.work
    commit = find_commit(work.store, shard.unit("messages", round_))
    if commit is None:
        commit = work.with_tables(lambda: _publish(shard, round_))
    if agreed := commit.counts.get("agreed", 0):
        for later in range(round_ + 1, work.run.plan.rounds + 1):
            unplanned = -agreed * work.run.plan.width(later)
            work.progress.add_to(later, RoundCounts(planned=unplanned))
    return StageReport.of(commit)


def _publish(shard: ShardWork, round_: int) -> Commit:
    counts = {"sets": 0, "short": 0, "waiting": 0}
    inputs = [shard.input_key("trajectories", round_)]
    if shard.may_agree(round_):
        counts["agreed"] = 0
        inputs.append(shard.input_key("stops", round_))
    return publish(
        shard.work.store,
        shard.unit("messages", round_),
        map(MESSAGES.row, _messages(shard, round_, counts)),
        inputs=inputs,
        counts=counts,
        producer=shard.work.producer,
    )


def _messages(shard: ShardWork, round_: int, counts: dict[str, int]) -> Iterator[Message]:
    plan = shard.work.run.plan
    for (problem_id, replicate), outcomes in slot_outcomes(shard, round_):
        concluded = conclude_round(plan, (round_, problem_id, replicate), outcomes)
        if isinstance(concluded, Shortfall):
            counts["waiting" if concluded.waiting else "short"] += 1
        elif isinstance(concluded, Agreed):
            counts["agreed"] += 1
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
    answers = agreed_answers(shard, round_)
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
            outcomes = [_outcome(work, row, compaction, generations) for row in slots]
            yield place, mark_answer(outcomes, answers.get(place))


def agreed_answers(shard: ShardWork, round_: int) -> dict[Place, str]:
    """By (problem id, replicate) the trajectory whose message has the answer, where the messages of a round
    agree, so that none follows.
    """
    if not shard.may_agree(round_):
        return {}
    commit = shard.committed("stops", round_)
    with shard.work.store.local_path(commit.path) as path:
        return dict(agreed_sets(path))


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
