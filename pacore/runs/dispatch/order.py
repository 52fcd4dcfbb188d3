"""The order of a run's work: which shard and which request is next. It changes no id and no table."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from pacore.core.engine import Hint
from pacore.errors import StoreError
from pacore.runs.dispatch.places import Priority
from pacore.runs.planning.expected import Expected, stored_tokens
from pacore.store.backends.protocol import Backend
from pacore.store.run import Run

_T = TypeVar("_T")

FIRST = -1_000
"""Before any magnitude of tokens."""


class WorkOrder:
    """Longest expected problem first; of those of one magnitude, later rounds first.

    Several schedulers on one run take its shards in different orders, and so seldom work on the same one;
    in one order, one catches up and both send the same from there on.
    """

    def __init__(self, run: Run) -> None:
        self.expected = Expected()
        self._run = run
        self._shards = random.sample(range(len(run.shards)), len(run.shards))

    def learn(self, store: Backend) -> None:
        """Take from the store how long trajectories of the run's problems are.

        What cannot be read of it is no reason not to run: whoever needs that meets it.
        """
        from pacore.store.parquet import read_column

        try:
            stored = stored_tokens(store, self._run)
            if not stored:
                return
            with store.open(self._run.problem_set) as frozen:
                problem_ids = read_column(frozen, "problem_id")
        except (StoreError, KeyError):
            return
        self.expected.learn(stored)
        longest = [
            max(_magnitude(stored.get(name, 0.0)) for name in problem_ids[one.start : one.stop])
            for one in self._run.shards
        ]
        first = sorted(
            range(len(longest)), key=lambda number: (-longest[number], self._shards[number])
        )
        ranks = {number: rank for rank, number in enumerate(first)}
        self._shards = [ranks[number] for number in range(len(longest))]

    def first(self, shard: int, problem_id: str) -> Hint:
        """For a problem's first request, which shows how long the others will be."""
        return Hint((FIRST, 0, self._shards[shard]), problem_id=problem_id)

    def hint(self, shard: int, round_: int, problem_id: str) -> Hint:
        """For the requests of one of a shard's problems in a 1-based round."""
        tokens = self.expected.tokens(problem_id)
        return Hint((-_magnitude(tokens), -round_, self._shards[shard]), tokens, problem_id)

    def parts(
        self,
        shard: int,
        round_: int,
        problem_id: str,
        requests: Sequence[_T],
        *,
        is_followed: bool = True,
    ) -> Iterator[tuple[Sequence[_T], Callable[[], Hint]]]:
        """Requests of a set in parts with a hint each, in their order.

        Where nothing is known of how long the trajectories of a problem are, the first goes before the
        others of any problem; not where nothing ``is_followed``, so that nobody would learn from it.
        """
        is_known = not is_followed or round_ > 1 or self.expected.is_known(problem_id)
        probes = 0 if is_known else 1
        if requests[:probes]:
            yield requests[:probes], partial(self.first, shard, problem_id)
        if requests[probes:]:
            yield requests[probes:], partial(self.hint, shard, round_, problem_id)

    def of_shard(self, shard: int, round_: int) -> Priority:
        """The priority of a shard: later rounds first, so that problems that began get finished."""
        return -round_, self._shards[shard]


def _magnitude(tokens: float) -> int:
    """The power of the root of 2 that a number of tokens is nearest to: within one, each scheduler has an
    order of its own.
    """
    return round(2 * math.log2(max(1.0, tokens)))
