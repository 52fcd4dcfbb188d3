"""What ``fewest`` and ``depth`` would have spent and changed over a stored run: fewer slots of later
rounds, and fewer rounds.

Unlike pools, the message sets of a run are replayed as they are: the prompts of a later round show the
messages of just those. Where ``depth`` ends a set, its answer is in the store. Where ``fewest`` makes a set
narrower, the round after it would have had other prompts, so that its answers are unknown; its tokens are
taken to be as many as those that are stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar, Literal, NamedTuple

from pacore.core.stopping import Arrival, Stopping, parse_stopping
from pacore.evaluation.replay.change import VoteVerdict, change_shown
from pacore.evaluation.statistics.arrivals import ratio_of_sums, saved_of
from pacore.evaluation.statistics.paired import paired
from pacore.store.run import Run
from pacore.warehouse.prices import Price
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

ROUND_RULES = ("depth:0.8", "depth:0.9", "depth:0.95", "fewest:2", "fewest:2,depth:0.9")
"""Replayed over the rounds of a run where no rules are named."""


@dataclass(frozen=True, slots=True)
class SetMember(ReportRow):
    """A slot of a message set of a run, in any round.

    ``answer_key`` is equal for equivalent answers, None without one; ``is_shown``: its message is in the
    prompts of the next round. ``latency_seconds`` are those under the load that the engine had.
    """

    QUERY: ClassVar[str] = "replay/sets"

    problem_id: str
    replicate: int
    round: int
    slot: int
    answer_key: str | None
    score: float | None
    has_message: bool
    is_shown: bool
    completion_tokens: int | None
    prompt_tokens: int | None = None
    cached_prompt_tokens: int | None = None
    latency_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RoundsForecast:
    """One rule over all rounds of a run. Means are over problems; intervals are of 95 %.

    ``accuracy`` is that of the answers, and ``difference`` what it has more than with all slots and rounds;
    None, with ``verdict``, where some set is narrower and a round follows it. ``tokens`` are those of an
    answer in all rounds, ``saved`` the share that is not generated, ``path_ratio`` the share of the longest
    trajectories of the rounds, one after the other, that is left. ``money`` is what the trajectories of an
    answer cost with their prompts, ``seconds`` what the slowest of each round took, one after the other, in
    the run; None where that is not known of all. ``ended`` is the share of answers that need fewer rounds,
    ``slots`` how many slots an answer has.
    """

    policy: str
    problems: int
    accuracy: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    permutation_p: float | None
    tokens: float
    saved: float
    saved_low: float | None
    saved_high: float | None
    path_ratio: float
    path_low: float | None
    path_high: float | None
    ended: float
    slots: float
    verdict: VoteVerdict | None
    reason: str | None = None
    money: float | None = None
    money_saved: float | None = None
    money_low: float | None = None
    money_high: float | None = None
    seconds: float | None = None


class Chain(NamedTuple):
    """What an answer took: ``tokens`` in all rounds, on its ``path``, in the rounds ``later`` than the
    first; its ``score``, None where a round that was made from other messages has it; in how many
    ``slots``, and whether it ``ended`` before the last round. ``money`` and ``seconds`` are as in
    `RoundsForecast`.
    """

    tokens: float
    path: float
    later: float
    score: float | None
    slots: float
    ended: float
    money: float | None = None
    seconds: float | None = None


Sets = Sequence[Sequence[SetMember]]
"""The message sets of one answer, round by round, each in slot order."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """The answers of a run of a model with all their rounds, by problem; ``left_out`` counts others of its
    answers: some round is missing, or some score or length.
    """

    run_id: str
    model: str
    by_problem: dict[str, list[Sets]]
    left_out: int


def run_rounds(warehouse: Warehouse, run: Run) -> Rounds | None:
    """The answers of a run that have several rounds; None where the run has one. ``warehouse`` is open over
    it.
    """
    if run.plan.rounds < 2:
        return None
    answers: dict[tuple[str, int], dict[int, list[SetMember]]] = defaultdict(dict)
    for one in warehouse.read(SetMember, run_id=run.run_id):
        answers[one.problem_id, one.replicate].setdefault(one.round, []).append(one)
    kept: dict[str, list[Sets]] = defaultdict(list)
    left_out = 0
    for (problem_id, _), by_round in answers.items():
        sets = [by_round.get(number, []) for number in range(1, run.plan.rounds + 1)]
        if all(map(_is_whole, sets)):
            kept[problem_id].append(sets)
        else:
            left_out += 1
    return Rounds(run.run_id, run.recipe.model, dict(kept), left_out)


def _is_whole(members: Sequence[SetMember]) -> bool:
    """Whether a set has any slots, and a score and a length of each."""
    return bool(members) and all(
        one.score is not None and one.completion_tokens is not None for one in members
    )


def replayed(rules: Sequence[Stopping], sets: Sets, price: Price | None = None) -> Chain:
    """One answer under a rule for each of its rounds but the last, whose first slot has the answer."""
    spent, path, slots = [], 0, 0
    taken: list[Sequence[SetMember]] = []
    shown: Sequence[str | None] = ()
    is_known = True
    for number, whole in enumerate(sets, 1):
        is_last = number == len(sets)
        rule = Stopping() if is_last else rules[number - 1]
        count = rule.slots(len(whole), shown)
        members = whole[:count]
        taken.append(members)
        tokens = [one.completion_tokens or 0 for one in members]
        spent.append(sum(tokens))
        path += max(tokens)
        slots += count
        ending = rule.ending([_arrival(one) for one in members])
        if is_last or ending is not None:
            by_slot = {one.slot: one for one in members}
            answer = members[0] if ending is None else by_slot[ending.slot]
            score = answer.score if is_known else None
            return Chain(
                sum(spent), path, sum(spent[1:]), score, slots, float(not is_last),
                _money(taken, price), _seconds(taken),
            )  # fmt: skip
        # What a set has is stored as long as its prompts are: a narrower one changes those of the next.
        is_known = is_known and count == len(whole)
        shown = [one.answer_key for one in members if one.is_shown]
    raise ValueError("an answer has one round at least")


def _money(sets: Sets, price: Price | None) -> float | None:
    """What the trajectories of some sets cost; None without a price or where a prompt was not counted."""
    members = [one for members in sets for one in members]
    if price is None or any(one.prompt_tokens is None for one in members):
        return None
    return sum(
        price.cost(
            one.prompt_tokens or 0, one.cached_prompt_tokens or 0, one.completion_tokens or 0
        )
        for one in members
    )


def _seconds(sets: Sets) -> float | None:
    """What the slowest trajectories of some sets took, one after the other; None without all times."""
    if any(one.completion_tokens and one.latency_seconds is None for some in sets for one in some):
        return None
    return sum(max(one.latency_seconds or 0.0 for one in members) for members in sets)


def _arrival(one: SetMember) -> Arrival:
    return Arrival(one.slot, one.answer_key, one.has_message, one.completion_tokens or 0)


def forecast_rounds(
    rounds: Rounds, rules: Iterable[Stopping] = (), price: Price | None = None
) -> list[RoundsForecast]:
    """Replay the parts of rules that are about rounds, `ROUND_RULES` where no rules are given; the first is
    without a rule. ``price`` is that of the model. Empty where no rule has such a part, or no answer all
    its rounds.
    """
    given = list(rules) or [parse_stopping(text) for text in ROUND_RULES]
    named = {one.of_rounds.text: one.of_rounds for one in given if one.of_rounds.text}
    if not named or not rounds.by_problem:
        return []
    whole = _by_problem(Stopping(), rounds, price)
    found = [_forecast("", whole, whole, 1)]
    for text, rule in named.items():
        found.append(_forecast(text, whole, _by_problem(rule, rounds, price), len(named)))
    return found


def _by_problem(rule: Stopping, rounds: Rounds, price: Price | None) -> list[list[Chain]]:
    return [
        [replayed([rule] * len(sets), sets, price) for sets in some]
        for some in rounds.by_problem.values()
    ]


def _forecast(
    policy: str, whole: Sequence[Sequence[Chain]], chains: Sequence[Sequence[Chain]], policies: int
) -> RoundsForecast:
    tokens, all_tokens = (
        [fmean(one.tokens for one in some) for some in of] for of in (chains, whole)
    )
    path, all_path = ([fmean(one.path for one in some) for some in of] for of in (chains, whole))
    saved, waited = ratio_of_sums(tokens, all_tokens).rest, ratio_of_sums(path, all_path)
    now, before = _means(chains, "score"), _means(whole, "score")
    money, all_money = (_means(of, "money") for of in (chains, whole))
    seconds = _means(chains, "seconds")
    kept = saved_of(money, all_money)
    pair = None if now is None or before is None else paired(before, now)
    verdict, reason = (None, None) if pair is None else change_shown(pair, policies)
    return RoundsForecast(
        policy=policy,
        problems=len(chains),
        accuracy=None if pair is None else pair.second,
        difference=None if pair is None else pair.difference,
        difference_low=None if pair is None else pair.low,
        difference_high=None if pair is None else pair.high,
        permutation_p=None if pair is None else pair.permutation_p,
        tokens=fmean(tokens),
        saved=saved.value,
        saved_low=saved.low,
        saved_high=saved.high,
        path_ratio=waited.value,
        path_low=waited.low,
        path_high=waited.high,
        ended=fmean(fmean(one.ended for one in some) for some in chains),
        slots=fmean(fmean(one.slots for one in some) for some in chains),
        verdict=verdict,
        reason=reason,
        money=None if money is None else fmean(money),
        money_saved=None if kept is None else kept.value,
        money_low=None if kept is None else kept.low,
        money_high=None if kept is None else kept.high,
        seconds=None if seconds is None else fmean(seconds),
    )


def _means(
    chains: Sequence[Sequence[Chain]], name: Literal["score", "money", "seconds"]
) -> list[float] | None:
    """The mean of each problem; None where that of some answer is not known."""
    found: list[list[float | None]] = [[getattr(one, name) for one in some] for some in chains]
    known = [[value for value in some if value is not None] for some in found]
    if any(len(few) < len(some) for few, some in zip(known, found, strict=True)):
        return None
    return [fmean(some) for some in known]


def later_tokens(rules: Sequence[Stopping], rounds: Rounds) -> dict[str, tuple[float, float]]:
    """Tokens of an answer of each problem in the rounds after the first: under a rule for each round but
    the last, and without.
    """
    without = [Stopping()] * len(rules)
    return {
        problem: (
            fmean(replayed(rules, sets).later for sets in some),
            fmean(replayed(without, sets).later for sets in some),
        )
        for problem, some in rounds.by_problem.items()
    }
