"""The input of a round of a run: each problem of a shard, with the messages of the round before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacore.core.plan import Shard
from pacore.core.problem import Problem
from pacore.store.backends.protocol import Backend
from pacore.store.run import Run, problems_of

RoundInput = tuple[Problem, int, Sequence[str]]
"""A problem, a replicate, and the messages its prompts are made of."""


def round_inputs(
    store: Backend, run: Run, shard: Shard, messages_path: str | None
) -> Iterator[RoundInput]:
    """Every message set of a shard that goes on, from the committed file of its messages; without
    one every problem and replicate, as in round 1.
    """
    problems = problems_of(store, run, shard)
    if messages_path is None:
        for problem in problems:
            for replicate in range(run.plan.replicates):
                yield problem, replicate, ()
        return
    # Round 1 and a look at a finished run's progress need no DuckDB.
    from pacore.warehouse.files import message_sets

    problem = next(problems)
    with store.local_path(messages_path) as path:
        for (problem_id, replicate), texts, _ in message_sets(path):
            while problem.problem_id != problem_id:
                problem = next(problems)
            yield problem, replicate, texts
