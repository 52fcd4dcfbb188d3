"""Stopping rules replayed over stored trajectories, many orders at a time.

The clock counts tokens: every trajectory in flight generates one in a step, so that a slot that was begun
at t ends at t + its length, and the shortest arrive first. What a rule makes of what has arrived is its
own (`pacore.core.stopping`); here is only what a set has in flight.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pacore.core.stopping import Stopping
from pacore.evaluation.statistics.bootstrap import Integers
from pacore.evaluation.statistics.intervals import CONFIDENCE, Floats

BOOTSTRAPS = 10_000

SETS_AT_A_TIME = 16_384
"""Sets whose clocks run side by side: some tens of megabytes for sets of 64."""

_NEVER = np.iinfo(np.int64).max

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StoredPool:
    """The trajectories of one problem, each with its tokens, the key of its answer, its score in [0, 1],
    and whether it has a message; in an order that follows from their names. ``scores`` are None where
    nothing says what answers are worth.
    """

    tokens: Sequence[int]
    keys: Sequence[str | None]
    scores: Sequence[float] | None
    has_message: Sequence[bool]

    @property
    def votes(self) -> Counter[str]:
        """How many trajectories gave each class of equivalent answers, in the order of their first
        members.
        """
        return Counter(key for key in self.keys if key is not None)

    @property
    def digest(self) -> bytes:
        """Of what a rule can see: neither scores nor the spelling of a key change it."""
        numbers = {key: number for number, key in enumerate(self.votes)}
        classes = [None if key is None else numbers[key] for key in self.keys]
        members = zip(self.tokens, classes, self.has_message, strict=True)
        return hashlib.sha256(repr(list(members)).encode()).digest()

    @property
    def class_scores(self) -> dict[str, float]:
        """The mean score of each class, in the order of `votes`. Raises ValueError without scores."""
        if self.scores is None:
            raise ValueError("a pool without scores has none of its classes")
        found: dict[str, list[float]] = {}
        for key, score in zip(self.keys, self.scores, strict=True):
            if key is not None:
                found.setdefault(key, []).append(score)
        return {key: sum(scores) / len(scores) for key, scores in found.items()}

    @property
    def class_agreement(self) -> dict[str, float]:
        """How likely a vote for each class is the vote of the whole pool, in the order of `votes`: of the
        classes that lead in it each is as likely.
        """
        votes = self.votes
        most = max(votes.values(), default=0)
        leaders = sum(count == most for count in votes.values())
        return {key: (count == most) / leaders for key, count in votes.items()}

    @property
    def majority_score(self) -> float:
        """The score of the vote of all of it; of tied classes each is as likely. Raises ValueError without
        scores.
        """
        return vote_score(self.votes, self.class_scores)


def vote_score(votes: Counter[str], class_scores: dict[str, float]) -> float:
    """The expected score of the class with the most votes; 0 without a vote."""
    most = max(votes.values(), default=0)
    won = [class_scores[key] for key, count in votes.items() if count == most]
    return sum(won) / len(won) if won else 0.0


class Replayed(NamedTuple):
    """What a rule makes of one problem: means over orders.

    ``accuracy`` is that of the vote, ``coverage`` how often a right answer is among the messages; both None
    for a pool without scores. ``agreement`` is how often the vote is that of the whole pool
    (`StoredPool.class_agreement`), 1 where nothing in the pool votes. ``tokens`` is what was generated,
    aborted trajectories as far as they came, ``path`` the tokens until the set ended, ``begun`` how many
    trajectories were begun and ``ended`` how many came to their end; ``stopped`` how often the rule stopped
    the set.
    """

    accuracy: float | None
    coverage: float | None
    agreement: float
    tokens: float
    path: float
    begun: float
    ended: float
    stopped: float


def replay_pools(
    pools: Sequence[StoredPool], rules: Sequence[Stopping], width: int, orders: int
) -> list[list[Replayed]]:
    """What each rule makes of each pool: for each rule, a record for each pool.

    Each pool is taken in ``orders`` orders, of which the first ``width`` trajectories are the slots of a
    set; they follow from the pool's content, and are the same for all rules. No pool has fewer than
    ``width``.
    """
    found: list[list[Replayed]] = [[] for _ in rules]
    for some in _portions(pools, max(1, SETS_AT_A_TIME // orders)):
        sets = _Sets.of(some, width, orders)
        for place, rule in enumerate(rules):
            found[place] += _Clock(rule, sets).run().means(some)
    return found


def _portions(pools: Sequence[StoredPool], size: int) -> Iterator[Sequence[StoredPool]]:
    for start in range(0, len(pools), size):
        yield pools[start : start + size]


@dataclass(frozen=True, slots=True)
class _Sets:
    """Sets of ``width`` slots: a row for each pool and order, pool by pool.

    ``classes`` number the answers of a pool, -1 without a vote; ``class_scores`` and ``class_agreement``
    have a number of each. Of pools without scores ``class_scores`` and ``right`` mean nothing.
    ``is_silent``: nothing in the pool votes.
    """

    lengths: Integers
    classes: Integers
    messages: Flags
    right: Flags
    class_scores: Floats
    class_agreement: Floats
    is_silent: Flags

    @staticmethod
    def of(pools: Sequence[StoredPool], width: int, orders: int) -> _Sets:
        lengths, classes, messages, right = [], [], [], []
        agreements = [pool.class_agreement for pool in pools]
        most = max((len(one) for one in agreements), default=0) or 1
        class_scores, class_agreement = np.zeros((2, len(pools), most))
        for place, (pool, by_key) in enumerate(zip(pools, agreements, strict=True)):
            numbers = {key: number for number, key in enumerate(by_key)}
            class_agreement[place, : len(by_key)] = list(by_key.values())
            if pool.scores is not None:
                class_scores[place, : len(by_key)] = list(pool.class_scores.values())
            random = np.random.default_rng(list(pool.digest))
            members = np.tile(np.arange(len(pool.tokens)), (orders, 1))
            order = random.permuted(members, axis=1)[:, :width]
            lengths.append(np.array(pool.tokens)[order])
            keys = [-1 if key is None else numbers[key] for key in pool.keys]
            classes.append(np.array(keys)[order])
            messages.append(np.array(pool.has_message)[order])
            scores = pool.scores or np.zeros(len(pool.tokens))
            right.append(np.array([score >= 1 for score in scores])[order])
        return _Sets(
            np.concatenate(lengths),
            np.concatenate(classes),
            np.concatenate(messages),
            np.concatenate(right),
            np.repeat(class_scores, orders, axis=0),
            np.repeat(class_agreement, orders, axis=0),
            np.repeat([not one for one in agreements], orders),
        )


@dataclass(frozen=True, slots=True)
class _Ends:
    """How each set ended."""

    scores: Floats
    covered: Flags
    agreement: Floats
    tokens: Integers
    path: Integers
    begun: Integers
    ended: Integers
    stopped: Flags

    def means(self, pools: Sequence[StoredPool]) -> list[Replayed]:
        columns = (
            self.scores, self.covered, self.agreement, self.tokens, self.path, self.begun, self.ended,
            self.stopped,
        )  # fmt: skip
        means = [column.reshape(len(pools), -1).mean(axis=1).tolist() for column in columns]
        found = [Replayed(*row) for row in zip(*means, strict=True)]
        return [
            record._replace(accuracy=None, coverage=None) if pool.scores is None else record
            for pool, record in zip(pools, found, strict=True)
        ]


class _Clock:
    """One rule over many sets; in a step each set that goes on has its next arrival.

    Attributes in lower case have a row for each set that goes on, ``rows`` its number among all. ``ends``
    is when each slot in flight ends, `_NEVER` for the others. ``seen`` are the tokens of those that have
    ended. ``flying`` counts those in flight and
    ``sum_begun`` adds up when they were begun. ``batch`` numbers the last batch that was begun, and
    ``of_batch`` counts what counts towards the next.
    """

    def __init__(self, rule: Stopping, sets: _Sets) -> None:
        self.rule, self.sets = rule, sets
        count, self.width = sets.lengths.shape
        bounds = rule.boundaries(self.width)
        self.bounds = np.array([0, *bounds])
        self.needed = np.array(
            [rule.needed(begun, until) for begun, until in zip([0, *bounds], bounds, strict=False)]
        )
        self.rows = np.arange(count)
        self.ends = np.full(sets.lengths.shape, _NEVER)
        self.ends[:, : bounds[0]] = sets.lengths[:, : bounds[0]]
        self.flying = np.full(count, bounds[0])
        self.batch, self.of_batch, self.sum_begun = np.zeros((3, count), dtype=np.int64)
        self.leader = np.full(count, -1)
        self.leading, self.second, self.messages, self.seen = np.zeros((4, count), dtype=np.int64)
        # Of all sets, in their order.
        self.votes = np.zeros(sets.class_scores.shape, dtype=np.int32)
        self.tokens = np.zeros(count, dtype=np.int64)
        self.path = np.zeros(count, dtype=np.int64)
        self.ended = np.zeros(count, dtype=np.int64)
        self.begun = np.full(count, bounds[0])
        self.covered, self.stopped = np.zeros((2, count), dtype=np.bool_)

    def run(self) -> _Ends:
        """Until all sets have ended."""
        step = 0
        while len(self.rows):
            step += 1
            now = self._arrive()
            left = self.width - self.of_batch
            if self.rule.abort_late:
                left = left - self.bounds[self.batch]
            is_ready = self.of_batch >= self.needed[self.batch]
            is_last = self.bounds[self.batch + 1] == self.width
            stops = self._decided(step, left)
            if self.rule.arrivals is not None:
                stops |= self.messages >= self.rule.arrivals
            if self.rule.tokens is not None:
                stops |= (self.seen >= self.rule.tokens) & (self.messages > 0)
            if self.rule.abort_late:
                stops |= is_ready & is_last
            stops &= left > 0
            begins = is_ready & ~is_last & ~stops
            if self.rule.abort_late:
                self._abort(begins, now)
            self._begin(begins, now)
            self._abort(stops, now)
            self.stopped[self.rows[stops]] = True
            self._end(self.flying == 0, now, step)
        agreement = np.where(self.sets.is_silent, 1.0, self._of_votes(self.sets.class_agreement))
        return _Ends(
            self._of_votes(self.sets.class_scores), self.covered, agreement, self.tokens, self.path,
            self.begun, self.ended, self.stopped,
        )  # fmt: skip

    def _arrive(self) -> Integers:
        """The next arrival of each set, counted; when it is."""
        at = np.arange(len(self.rows))
        slots = self.ends.argmin(axis=1)
        now: Integers = self.ends[at, slots]
        self.ends[at, slots] = _NEVER
        lengths = self.sets.lengths[self.rows, slots]
        self.tokens[self.rows] += lengths
        self.seen += lengths
        self.sum_begun -= now - lengths
        self.flying -= 1
        self.of_batch += 1
        has_message = self.sets.messages[self.rows, slots]
        self.messages += has_message
        self.covered[self.rows] |= has_message & self.sets.right[self.rows, slots]
        self._vote(self.sets.classes[self.rows, slots])
        return now

    def _vote(self, classes: Integers) -> None:
        """Count a vote of each set, and keep how many the first two classes have."""
        has_vote = classes >= 0
        rows = self.rows[has_vote]
        self.votes[rows, classes[has_vote]] += 1
        counts = np.where(has_vote, self.votes[self.rows, classes], 0)
        is_leader = has_vote & (classes == self.leader)
        leads = has_vote & ~is_leader & (counts > self.leading)
        self.second = np.where(
            leads, self.leading, np.where(is_leader, self.second, np.maximum(self.second, counts))
        )
        self.leading = np.where(is_leader | leads, counts, self.leading)
        self.leader = np.where(leads, classes, self.leader)

    def _decided(self, step: int, left: Integers) -> Flags:
        """For which sets votes decide, of which each has ``step`` arrivals."""
        if not self.rule.stops_by_votes:
            return np.zeros(len(self.rows), dtype=np.bool_)
        size = self.width + 1
        states = (self.leading * size + self.second) * size + left
        unique, which = np.unique(states, return_inverse=True)
        found = []
        for state in unique.tolist():
            (leading, second), remaining = divmod(state // size, size), state % size
            share = (leading + second) / step
            found.append(self.rule.decided(leading, second, remaining, share)[0] is not None)
        decided: Flags = np.array(found, dtype=np.bool_)[which]
        return decided

    def _begin(self, begins: Flags, now: Integers) -> None:
        """Begin the next batch of these sets."""
        for batch in np.unique(self.batch[begins]).tolist():
            first, last = int(self.bounds[batch + 1]), int(self.bounds[batch + 2])
            at = np.flatnonzero(begins & (self.batch == batch))
            rows = self.rows[at]
            self.ends[at, first:last] = now[at, None] + self.sets.lengths[rows, first:last]
            self.flying[at] += last - first
            self.sum_begun[at] += (last - first) * now[at]
            self.begun[rows] = last
            if self.rule.abort_late:
                self.of_batch[at] = 0
            self.batch[at] += 1

    def _abort(self, which: Flags, now: Integers) -> None:
        """Abort what these sets have in flight; what it came to is paid for."""
        at = np.flatnonzero(which)
        self.tokens[self.rows[at]] += self.flying[at] * now[at] - self.sum_begun[at]
        self.ends[at] = _NEVER
        self.flying[at] = self.sum_begun[at] = 0

    def _end(self, which: Flags, now: Integers, step: int) -> None:
        """Take out the sets that have ended."""
        if not which.any():
            return
        self.path[self.rows[which]] = now[which]
        self.ended[self.rows[which]] = step
        stay = ~which
        for name in (
            "rows", "ends", "flying", "batch", "of_batch", "sum_begun", "leader", "leading", "second",
            "messages", "seen",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name)[stay])

    def _of_votes(self, of_class: Floats) -> Floats:
        """What a number of each class is expected to be for that which wins each set's vote; 0 without a
        vote.
        """
        most = self.votes.max(axis=1, keepdims=True)
        won = (self.votes == most) & (most > 0)
        total: Floats = (won * of_class).sum(axis=1) / np.maximum(won.sum(axis=1), 1)
        return total


class Ratio(NamedTuple):
    """A ratio of two sums over problems with its 95 % interval, None below two problems."""

    value: float
    low: float | None
    high: float | None

    @property
    def rest(self) -> Ratio:
        """What it leaves of the whole."""
        low, high = (None if one is None else 1 - one for one in (self.high, self.low))
        return Ratio(1 - self.value, low, high)


def ratio_of_sums(parts: Sequence[float], wholes: Sequence[float]) -> Ratio:
    """The sum of ``parts`` over that of ``wholes``, with the interval of resampled problems (percentiles).

    Which problems are drawn follows from their number alone, so that ratios over the same problems are
    compared on the same draws. Raises ValueError for no problems, and for wholes that add up to 0.
    """
    if len(parts) != len(wholes) or not sum(wholes) > 0:
        raise ValueError("a part for each problem, and of wholes above 0, is needed")
    count = len(parts)
    value = sum(parts) / sum(wholes)
    if count < 2:
        return Ratio(value, None, None)
    drawn = _resampled(count)
    ratios = (drawn @ np.asarray(parts)) / (drawn @ np.asarray(wholes))
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ratios, [outside, 1 - outside])
    return Ratio(value, float(low), float(high))


def saved_of(parts: Sequence[float] | None, wholes: Sequence[float] | None) -> Ratio | None:
    """What is saved of the sum of ``wholes`` where ``parts`` are spent; None where either is not known, or
    there is nothing to be saved.
    """
    if parts is None or wholes is None or not sum(wholes) > 0:
        return None
    return ratio_of_sums(parts, wholes).rest


@lru_cache(maxsize=4)
def _resampled(count: int) -> Floats:
    """How often each of ``count`` problems is in each resample."""
    random = np.random.default_rng(count)
    return random.multinomial(count, np.full(count, 1 / count), size=BOOTSTRAPS).astype(np.float64)
