"""What stopping rules would have spent and changed over stored pools, beside waiting for all of a set.

The unit is the problem, whatever models and orders it was replayed with. A rule is compared with the
whole set on the same orders. What a rule may gain by chance is not reported as a gain: where the whole
pool votes for a wrong answer, every smaller vote wins more often, since it is less sure; and a vote that
ends early leaves fewer messages for a further round to find a right answer among. Where nothing says
what answers are worth, no gain can be seen: a vote is measured by that of the whole pool then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal, NamedTuple

from pacore.core.plan import shuffled
from pacore.core.stopping import Stopping, parse_stopping
from pacore.errors import BadInput, Refused
from pacore.evaluation.replay.change import VoteVerdict, change_shown
from pacore.evaluation.replay.figures import (
    Choice,
    Measure,
    PolicyForecast,
    Replay,
    undominated,
)
from pacore.evaluation.replay.pools import Pooled, Pools, PromptTokens
from pacore.evaluation.replay.rounds import Rounds, forecast_rounds
from pacore.evaluation.statistics.arrivals import (
    Replayed,
    StoredPool,
    ratio_of_sums,
    replay_pools,
    saved_of,
)
from pacore.evaluation.statistics.paired import Paired, paired, paired_interval
from pacore.warehouse.prices import Price

WHOLE_SET = "wait for all"
"""The policy without a rule, with which all others are compared."""

RULES = (
    "votes:0.95",
    "votes:0.95,batch:8",
    "votes:0.9,batch:8",
    "lead:0.9,batch:8",
    "lead:0.85,batch:8,growth:2,ready:0.5",
    "lead:0.9,batch:16,ready:0.5",
    "lead:0.8,batch:16,ready:0.5",
    "lead:0.8,batch:12,ready:0.5,abort_late",
    "lead:0.8,batch:8,ready:0.5,abort_late",
)
"""Replayed where none are named; and with them a quorum of arrival of three quarters and one of a half."""

HALVES = 200
"""Ways in which the problems are halved to choose a rule on the one half and measure it on the other."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """How rules are replayed: ``width`` slots of a set, None as many as the pools say, each problem in
    ``orders`` orders; and what a policy may lose in accuracy, or in agreement, to be chosen. Raises
    BadInput.
    """

    width: int | None = None
    orders: int = 200
    tolerance: float = 0.005

    def __post_init__(self) -> None:
        if self.orders < 1 or (self.width is not None and self.width < 1):
            raise BadInput("a set has 1 slot at least, and is taken in 1 order at least")


def default_rules(width: int) -> list[Stopping]:
    """`RULES`, and quorums of arrival for sets of ``width``."""
    quorums = dict.fromkeys(max(1, width * parts // 4) for parts in (3, 2))
    return [parse_stopping(text) for text in RULES] + [Stopping(arrivals=one) for one in quorums]


def forecast(
    pools: Pools,
    rules: Sequence[Stopping] = (),
    settings: ReplaySettings | None = None,
    prices: Mapping[str, Price] | None = None,
    rounds: Rounds | None = None,
) -> Replay:
    """Replay rules, `default_rules` where none are given, and the whole set: `PolicyForecast` over pools,
    and `RoundsForecast` over the rounds of a run, where it has several. ``prices`` are by model.

    Raises Refused where no problem has as many trajectories as a set has slots, and for a rule that is
    about rounds alone where there is one round.
    """
    how = settings or ReplaySettings()
    slots = pools.width if how.width is None else how.width
    kept = [one for one in pools.pooled if len(one.pool.tokens) >= slots]
    if not kept:
        most = max(len(one.pool.tokens) for one in pools.pooled)
        raise Refused(f"{pools.title}: no problem has {slots:,} trajectories; the most is {most:,}")
    about_rounds = [rule for rule in rules if rule.text and not rule.of_sets.text]
    if about_rounds and rounds is None:
        has = (
            "has none" if pools.unobserved is None else f"has none with scores: {pools.unobserved}"
        )
        raise Refused(
            f"policy {about_rounds[0].text}: is about rounds after the first, and {pools.title} {has}"
        )
    named = {WHOLE_SET: Stopping()}
    named |= {rule.text: rule for rule in rules or default_rules(slots) if rule.of_sets.text}
    replayed = replay_pools([one.pool for one in kept], list(named.values()), slots, how.orders)
    priced = prices or {}
    dealt = [with_lengths_dealt(one.pool) for one in kept]
    unrelated = replay_pools(dealt, list(named.values()), slots, how.orders)
    found = dict(zip(named, replayed, strict=True))
    measured = _Measured(
        kept,
        found,
        dict(zip(named, unrelated, strict=True)),
        {policy: _costs(pools, kept, some, priced) for policy, some in found.items()},
    )
    models = list(dict.fromkeys(one.model for one in kept))
    wanted = [None, *(models if len(models) > 1 else [])]
    policies = [one for model in wanted for one in measured.forecasts(model)]
    higher = {one.policy for one in policies if one.model is None and one.verdict == "higher"}
    choices = list(measured.choices(models, how.tolerance, higher))
    return Replay(
        pools.title,
        slots,
        how.orders,
        len({one.problem for one in kept}),
        sum(len(one.pool.tokens) for one in kept),
        policies,
        choices,
        how.tolerance,
        len(pools.pooled) - len(kept),
        pools.left_out,
        next((price.currency for price in priced.values()), None),
        pools.columns,
        [] if rounds is None else forecast_rounds(rounds, rules, priced.get(rounds.model)),
        0 if rounds is None else rounds.left_out,
        all(one.prompt is not None for one in kept if one.model in priced),
        [model for model in models if model not in priced] if priced else [],
        None if measured.measure == "accuracy" else pools.unobserved or "some pools have no scores",
    )


def with_lengths_dealt(pool: StoredPool) -> StoredPool:
    """A pool with its lengths in another order, which follows from its content: a short trajectory is
    right as often as a long one.
    """
    order = shuffled(f"lengths\n{pool.digest.hex()}", len(pool.tokens))
    return replace(pool, tokens=[pool.tokens[place] for place in order])


class _Costs(NamedTuple):
    """What a policy costs over one pool, as in `PolicyForecast`."""

    money: float | None
    seconds: float | None
    engine_seconds: float | None


def _costs(
    pools: Pools,
    kept: Sequence[Pooled],
    found: Sequence[Replayed],
    prices: Mapping[str, Price],
) -> list[_Costs]:
    costs = []
    for one, record in zip(kept, found, strict=True):
        price, speed = prices.get(one.model), pools.seconds_a_token.get(one.model)
        prompt = one.prompt or PromptTokens(0)
        sent = (prompt.tokens * record.begun, prompt.cached * record.begun)
        costs.append(
            _Costs(
                None if price is None else price.cost(*sent, record.tokens),
                None if speed is None else speed * record.path,
                None if speed is None else speed * record.tokens,
            )
        )
    return costs


class _Coverage(NamedTuple):
    """As in `PolicyForecast`."""

    value: float
    difference: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class _Measured:
    """What each policy made of each pool, and what it costs."""

    kept: Sequence[Pooled]
    found: Mapping[str, Sequence[Replayed]]
    unrelated: Mapping[str, Sequence[Replayed]]
    costs: Mapping[str, Sequence[_Costs]]

    @property
    def measure(self) -> Measure:
        """What a vote is measured by."""
        is_graded = all(one.pool.scores is not None for one in self.kept)
        return "accuracy" if is_graded else "agreement"

    def column(self, policy: str, name: str, model: str | None) -> dict[str, float]:
        """A number of `Replayed` or `_Costs` by problem, the mean over models where ``model`` is None."""
        of = self.costs if name in _Costs._fields else self.found
        values: dict[str, list[float]] = defaultdict(list)
        for one, record in zip(self.kept, of[policy], strict=True):
            if model in (None, one.model):
                values[one.problem].append(getattr(record, name))
        return {problem: fmean(some) for problem, some in values.items()}

    def values(self, policy: str, name: str, model: str | None) -> list[float]:
        return list(self.column(policy, name, model).values())

    def known(self, policy: str, name: str, model: str | None) -> list[float] | None:
        """As `values`; None where it is not known of some pool."""
        pairs = zip(self.kept, self.costs[policy], strict=True)
        if any(getattr(own, name) is None for one, own in pairs if model in (None, one.model)):
            return None
        return self.values(policy, name, model)

    def dealt(self, policy: str, model: str | None) -> list[float]:
        """The accuracy, or agreement, of each pool whose lengths are dealt anew."""
        pairs = zip(self.kept, self.unrelated[policy], strict=True)
        return [
            getattr(record, self.measure) for one, record in pairs if model in (None, one.model)
        ]

    def forecasts(self, model: str | None) -> list[PolicyForecast]:
        found = [self._forecast(policy, model) for policy in self.found]
        best, least = undominated(found, "tokens"), undominated(found, "money")
        return [
            replace(
                one,
                is_on_frontier=one.policy in best,
                is_on_money_frontier=None if one.money is None else one.policy in least,
            )
            for one in found
        ]

    def _forecast(self, policy: str, model: str | None) -> PolicyForecast:
        agreement = self._change(policy, "agreement", model)
        accuracy = covered = verdict = reason = None
        if self.measure == "accuracy":
            accuracy = self._change(policy, "accuracy", model)
            covered = self._coverage(policy, model)
            verdict, reason = self._verdict(policy, model, accuracy, covered.high)
        tokens, path = (self.values(policy, name, model) for name in ("tokens", "path"))
        saved = ratio_of_sums(tokens, self.values(WHOLE_SET, "tokens", model)).rest
        waited = ratio_of_sums(path, self.values(WHOLE_SET, "path", model))
        money, seconds, engine_seconds = (
            self.known(policy, name, model) for name in _Costs._fields
        )
        kept = saved_of(money, self.known(WHOLE_SET, "money", model))
        return PolicyForecast(
            policy=policy,
            model=model,
            problems=agreement.problems,
            accuracy=None if accuracy is None else accuracy.second,
            difference=None if accuracy is None else accuracy.difference,
            difference_low=None if accuracy is None else accuracy.low,
            difference_high=None if accuracy is None else accuracy.high,
            permutation_p=None if accuracy is None else accuracy.permutation_p,
            unrelated_difference=fmean(self.dealt(policy, model))
            - fmean(self.dealt(WHOLE_SET, model)),
            coverage=None if covered is None else covered.value,
            coverage_difference=None if covered is None else covered.difference,
            coverage_low=None if covered is None else covered.low,
            coverage_high=None if covered is None else covered.high,
            agreement=agreement.second,
            agreement_difference=agreement.difference,
            agreement_low=agreement.low,
            agreement_high=agreement.high,
            agreement_p=agreement.permutation_p,
            tokens=fmean(tokens),
            saved=saved.value,
            saved_low=saved.low,
            saved_high=saved.high,
            path_tokens=fmean(path),
            path_ratio=waited.value,
            path_low=waited.low,
            path_high=waited.high,
            money=None if money is None else fmean(money),
            money_saved=None if kept is None else kept.value,
            money_low=None if kept is None else kept.low,
            money_high=None if kept is None else kept.high,
            seconds=None if seconds is None else fmean(seconds),
            engine_seconds=None if engine_seconds is None else fmean(engine_seconds),
            begun=fmean(self.values(policy, "begun", model)),
            ended=fmean(self.values(policy, "ended", model)),
            stopped=fmean(self.values(policy, "stopped", model)),
            verdict=verdict,
            reason=reason,
        )

    def _change(self, policy: str, name: str, model: str | None) -> Paired:
        """What a number of `Replayed` is beside that of the whole set, paired by problem."""
        return paired(self.values(WHOLE_SET, name, model), self.values(policy, name, model))

    def _coverage(self, policy: str, model: str | None) -> _Coverage:
        whole, covered = (self.values(one, "coverage", model) for one in (WHOLE_SET, policy))
        lower, upper = paired_interval(whole, covered)
        return _Coverage(fmean(covered), fmean(covered) - fmean(whole), lower, upper)

    def _verdict(
        self, policy: str, model: str | None, pair: Paired, coverage_high: float | None
    ) -> tuple[VoteVerdict, str | None]:
        """What a difference of accuracy shows, and why a higher accuracy is no gain."""
        shown, reason = change_shown(pair, len(self.found) - 1)
        if shown != "higher":
            return shown, reason
        if coverage_high is not None and coverage_high < 0:
            return "no gain", "fewer sets have a right answer among their messages"
        pools = [one.pool for one in self.kept if model in (None, one.model)]
        if 2 * sum(one.majority_score > 0.5 for one in pools) < len(pools):
            return "no gain", "the whole pool votes for a wrong answer on most problems"
        sure = self._where_right(WHOLE_SET, model), self._where_right(policy, model)
        if not sure[0] or (paired_interval(*sure)[0] or 0) <= 0:
            return "no gain", "it is higher where the whole pool votes for a wrong answer"
        return "higher", None

    def _where_right(self, policy: str, model: str | None) -> list[float]:
        """The accuracies of the problems for which the whole pool votes right."""
        values: dict[str, list[float]] = defaultdict(list)
        for one, record in zip(self.kept, self.found[policy], strict=True):
            if record.accuracy is None or model not in (None, one.model):
                continue
            if one.pool.majority_score > 0.5:
                values[one.problem].append(record.accuracy)
        return [fmean(some) for some in values.values()]

    def choices(
        self, models: Sequence[str], tolerance: float, higher: Set[str]
    ) -> Iterator[Choice]:
        """What a choice is worth; ``higher`` are the policies whose accuracy is, over all."""
        problems = list(self.column(WHOLE_SET, "tokens", None))
        if len(problems) > 3:
            halves = []
            for number in range(HALVES):
                order = shuffled(f"replay\n{number}", len(problems))
                chosen = {problems[place] for place in order[: len(problems) // 2]}
                halves.append((None, chosen, None, set(problems) - chosen))
            yield self._choice("half of the problems", halves, tolerance, higher)
        if len(models) > 1:
            every = set(problems)
            pairs = [
                (one, every, other, every) for one in models for other in models if one != other
            ]
            yield self._choice("one model", pairs, tolerance, higher)

    def _choice(
        self,
        how: Literal["half of the problems", "one model"],
        splits: Sequence[tuple[str | None, set[str], str | None, set[str]]],
        tolerance: float,
        higher: Set[str],
    ) -> Choice:
        """Over splits: the model and problems that a rule is chosen on, and those it is measured on."""
        chosen: Counter[str] = Counter()
        found: list[tuple[float, float, float]] = []
        money_saved: list[float] = []
        has_money = all(self.known(policy, "money", None) for policy in self.found)
        cost: Literal["tokens", "money"] = "money" if has_money else "tokens"
        columns = {
            (policy, name, model): self.column(policy, name, model)
            for policy in self.found
            for name in (self.measure, "tokens", "path", cost)
            for model in {one for split in splits for one in (split[0], split[2])}
        }

        def mean(policy: str, name: str, model: str | None, problems: set[str]) -> float:
            of = columns[policy, name, model]
            return fmean(value for problem, value in of.items() if problem in problems)

        for model, problems, other, others in splits:
            least = mean(WHOLE_SET, self.measure, model, problems) - tolerance
            policy = min(
                (one for one in self.found if mean(one, self.measure, model, problems) >= least),
                key=lambda one: mean(one, cost, model, problems),
            )
            chosen[policy] += 1
            now, whole = (
                [mean(one, name, other, others) for name in (self.measure, "tokens", "path")]
                for one in (policy, WHOLE_SET)
            )
            found.append((now[0] - whole[0], 1 - now[1] / whole[1], now[2] / whole[2]))
            if has_money and (most := mean(WHOLE_SET, "money", other, others)):
                money_saved.append(1 - mean(policy, "money", other, others) / most)
        difference, saved, path = (fmean(column) for column in zip(*found, strict=True))
        is_gain = self.measure == "accuracy" and difference > 0 and higher >= chosen.keys()
        times = dict(chosen.most_common())
        kept = fmean(money_saved) if money_saved else None
        return Choice(
            how, len(splits), times, difference, saved, path, is_gain, cost, kept, self.measure
        )
