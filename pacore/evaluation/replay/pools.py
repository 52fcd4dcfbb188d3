"""Pools that stopping rules are replayed over, and those of a graded run."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import ClassVar, NamedTuple, cast

from pacore.core.policies.stops import AnswerKeys, answer_vote, keys_by_place
from pacore.core.trajectory import FinishReason
from pacore.errors import Refused
from pacore.evaluation.statistics.arrivals import StoredPool
from pacore.sandbox.grade import answer_keys
from pacore.store.run import Run, problems_of
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

ALGEBRA_SECONDS = 5.0
"""How long computer algebra may take for the vote of an answer that nobody graded."""


class PromptTokens(NamedTuple):
    """Tokens of the prompt of a trajectory, the mean over those of a pool; ``cached`` are part of them."""

    tokens: float
    cached: float = 0.0


@dataclass(frozen=True, slots=True)
class Pooled:
    """The stored trajectories of one model for one problem; ``prompt`` is None where nobody counted the
    tokens of some of their prompts.
    """

    model: str
    problem: str
    pool: StoredPool
    prompt: PromptTokens | None = None


@dataclass(frozen=True, slots=True)
class Pools:
    """What rules are replayed over.

    ``width`` is how many slots a set has unless somebody says otherwise. ``seconds_a_token`` is how long a
    trajectory of a model waited for each token it generated, under the load that it had then, where that
    is known. ``left_out`` counts trajectories without a score or a length. ``columns`` are those of a file
    that have other names than what they were taken for. ``unobserved`` says why nothing tells what answers
    are worth, so that no pool has scores; None where something does.
    """

    title: str
    pooled: Sequence[Pooled]
    width: int
    seconds_a_token: Mapping[str, float] = field(default_factory=dict)
    left_out: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    unobserved: str | None = None


@dataclass(frozen=True, slots=True)
class PoolMember(ReportRow):
    """A trajectory of round 1 of a run, as its grading has it; ``conclusion`` where it has no verdict."""

    QUERY: ClassVar[str] = "replay/members"

    problem_id: str
    trajectory_id: str
    draw: int
    answer_key: str | None
    score: float | None
    has_message: bool
    completion_tokens: int | None
    prompt_tokens: int | None
    cached_prompt_tokens: int | None
    latency_seconds: float | None
    finish_reason: str
    conclusion: str | None


def algebra_keys(items: Sequence[tuple[str, str]]) -> list[str]:
    """`answer_keys`, as a run under a rule has them unless told otherwise."""
    return answer_keys(items, ALGEBRA_SECONDS)


def run_pools(warehouse: Warehouse, run: Run, keys_of: AnswerKeys = algebra_keys) -> Pools:
    """The pools of round 1 of a run: every trajectory that has a score, each once; of a run in which none
    has, every trajectory, its vote read as a run under a rule reads it (`voted_answer`) and compared by
    ``keys_of``.

    ``warehouse`` is open over the run. Raises Refused for a run that was made under a stopping rule, whose
    whole sets are those that were hard to decide; for a run without a trajectory, and where nobody counted
    the tokens of some.
    """
    if run.plan.stopping is not None:
        raise Refused(
            f"run {run.run_id}: was made under stopping {run.plan.stopping}, so that its whole sets are "
            "those that were hard to decide; replay one without a rule"
        )
    members = warehouse.read(PoolMember, run_id=run.run_id)
    if not members:
        raise Refused(f"run {run.run_id}: has no trajectory of round 1")
    scored = [one for one in members if one.score is not None]
    unobserved = None
    if not scored:
        scored = _voting(warehouse, run, members, keys_of)
        unobserved = (
            f"no trajectory of the first round has a score; pacore evaluate {run.run_id} grades those of "
            "problems with a gold answer"
            + ("; rules about rounds are replayed after it" if run.plan.rounds > 1 else "")
        )
    if uncounted := sum(one.completion_tokens is None for one in scored):
        raise Refused(f"run {run.run_id}: nobody counted the tokens of {uncounted:,} trajectories")
    by_problem: dict[str, list[PoolMember]] = defaultdict(list)
    for one in scored:
        by_problem[one.problem_id].append(one)
    model = run.recipe.model
    pooled = [
        Pooled(model, name, _stored(some), _prompt(some)) for name, some in by_problem.items()
    ]
    widths = run.plan.widths
    speed = seconds_a_token([(one.latency_seconds, one.completion_tokens) for one in scored])
    return Pools(
        run.run_id,
        pooled,
        widths[0] if widths else run.plan.replicates,
        {} if speed is None else {model: speed},
        len(members) - len(scored),
        unobserved=unobserved,
    )


def _voting(
    warehouse: Warehouse, run: Run, members: Sequence[PoolMember], keys_of: AnswerKeys
) -> list[PoolMember]:
    """Trajectories that have no verdicts with their votes."""
    problems = {
        problem.problem_id: problem
        for shard in run.shards
        for problem in problems_of(warehouse.store, run, shard)
    }
    read = [
        answer_vote(
            problems[one.problem_id], cast("FinishReason", one.finish_reason), one.conclusion
        )
        for one in members
    ]
    keys = keys_by_place(read, keys_of)
    return [replace(one, answer_key=key) for one, key in zip(members, keys, strict=True)]


def longest_of(members: Sequence[PoolMember], count: int) -> tuple[float | None, float | None]:
    """Tokens and seconds of the longest of ``count`` trajectories of a problem, drawn from its pool: the
    mean over all ways to draw them, and over problems. None where some problem has fewer, or some length
    is not known.
    """
    by_problem: dict[str, list[PoolMember]] = defaultdict(list)
    for one in members:
        by_problem[one.problem_id].append(one)

    def mean(values: Sequence[Sequence[float | None]]) -> float | None:
        found = [expected_longest(some, count) for some in values]
        known = [one for one in found if one is not None]
        return fmean(known) if known and len(known) == len(found) else None

    pools = by_problem.values()
    return (
        mean([[one.completion_tokens for one in some] for some in pools]),
        mean([[one.latency_seconds for one in some] for some in pools]),
    )


def expected_longest(values: Sequence[float | None], count: int) -> float | None:
    """The mean of the largest of ``count`` of some values, over all ways to take them without
    replacement.
    """
    known = sorted(value for value in values if value is not None)
    if len(known) < len(values) or len(known) < count:
        return None
    ways = math.comb(len(known), count)
    return sum(value * (math.comb(place, count - 1) / ways) for place, value in enumerate(known))


def _stored(members: Sequence[PoolMember]) -> StoredPool:
    return StoredPool(
        [one.completion_tokens or 0 for one in members],
        [one.answer_key for one in members],
        None
        if all(one.score is None for one in members)
        else [one.score or 0.0 for one in members],
        [one.has_message for one in members],
    )


def _prompt(members: Sequence[PoolMember]) -> PromptTokens | None:
    if any(one.prompt_tokens is None for one in members):
        return None
    return PromptTokens(
        fmean(one.prompt_tokens or 0 for one in members),
        fmean(one.cached_prompt_tokens or 0 for one in members),
    )


def seconds_a_token(timed: Sequence[tuple[float | None, int | None]]) -> float | None:
    """How long trajectories, each with its seconds and its tokens, waited for a token; None where no time
    is known.
    """
    known = [(seconds, tokens) for seconds, tokens in timed if seconds and tokens]
    if not known:
        return None
    return sum(seconds for seconds, _ in known) / sum(tokens for _, tokens in known)
