"""A forecast as a page: what a run would generate and reuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pacore.evaluation.replay.planned import NO_POOL, Expected, RuleForecast
from pacore.report.rendering.sheet import (
    COUNT,
    FIGURE,
    Facts,
    Sheet,
    SheetColumn,
    Table,
    between,
    number,
    share,
)
from pacore.runs.planning.forecast import Forecast
from pacore.runs.planning.reuse import Earlier

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure

_LISTED = 20

_LISTED_RUNS = 8


def forecast_sheet(
    found: Forecast, earlier: Earlier | None = None, under_rule: RuleForecast | None = None
) -> Sheet:
    """What a run would do, round by round, what would not fit, what it can use of before, and what is
    expected under its stopping rule.
    """
    titles = (
        "trajectories",
        "reused",
        "to generate",
        "unknown",
        "tokens, at most",
    )
    columns = [
        SheetColumn("round", FIGURE),
        SheetColumn("width", FIGURE),
        *(SheetColumn(title, COUNT) for title in titles),
    ]
    numbers = range(1, len(found.rounds) + 1)
    rows: list[list[object]] = [
        [
            position,
            round_.step.label,
            round_.trajectories,
            round_.stored,
            round_.to_generate,
            round_.unknown,
            found.new_tokens([position]),
        ]
        for position, round_ in enumerate(found.rounds, 1)
    ]
    total = [
        "all",
        "",
        found.total("trajectories"),
        found.total("stored"),
        found.total("to_generate"),
        found.total("unknown"),
        found.new_tokens(numbers),
    ]
    pairs = [*_forecast_facts(found, under_rule), *_reused_facts(found, earlier)]
    return Sheet(
        None,
        [
            [
                Table(
                    columns,
                    [*rows, total],
                    caption="trajectories that each round reuses and generates",
                )
            ],
            [Facts(pairs, "what the run would reuse and generate")],
        ],
    )


def _forecast_facts(found: Forecast, under_rule: RuleForecast | None) -> Iterator[tuple[str, str]]:
    yield "problems", f"{found.problems:,} in {found.shards:,} shards"
    window = found.window_tokens
    yield "new tokens", _new_tokens(found)
    if under_rule is not None:
        yield from _rule_facts(found, under_rule)
    yield "window", "not known" if window is None else f"{window:,} tokens, prompt and answer"
    if shared := found.total("shared"):
        yield "shared", f"{shared:,} slots take a draw that another slot generates"
    for position, round_ in enumerate(found.rounds, 1):
        if round_.not_needed:
            yield (
                f"round {position}",
                f"{round_.not_needed:,} slots are not needed: decided already",
            )
        if round_.unknown:
            prompts = f"prompts of {round_.unknown:,} trajectories are unknown until"
            yield f"round {position}", f"{prompts} round {position - 1} is complete"
    yield from _window_facts(found)


def _window_facts(found: Forecast) -> Iterator[tuple[str, str]]:
    """What does not fit the window, and what may not."""
    if found.too_long:
        yield "will not fit", f"{found.total('too_long'):,} trajectories, and so no later round:"
    for one in found.too_long[:_LISTED]:
        yield "", f"{one.problem_id} in round {one.round}: {one.why}"
    if len(found.too_long) > _LISTED:
        yield "", f"… and {len(found.too_long) - _LISTED:,} more"
    if found.uncounted:
        yield (
            "may not fit",
            f"{found.uncounted:,} prompts have more bytes than the window has tokens, and the "
            "server does not count tokens",
        )
    if found.may_be_long:
        yield (
            "may not fit",
            f"prompts of {found.may_be_long:,} later trajectories, if the messages in them are at "
            f"their longest ({number(found.longest_tokens)} tokens each)",
        )


_LATER = {
    "stored rounds": "as those of that run",
    "length of round 1": "taken to be as long as those of round 1",
}


def _rule_facts(found: Forecast, under_rule: RuleForecast) -> Iterator[tuple[str, str]]:
    """What is expected under a stopping rule, in all rounds and in each part of them."""
    yield "stopping", f"by {under_rule.rule}: all figures above are without it, at most"
    run_id, first, total = under_rule.run_id, under_rule.first, under_rule.total
    if run_id is None or first is None:
        reason = under_rule.reason
        yield "expected", NO_POOL + ("" if reason is None else f": {reason}")
        return
    if total is None:
        yield "expected", f"not known in all: the rule is about rounds, and run {run_id} has others"
    else:
        yield "expected", f"{_amount(total.tokens, 'tokens')}, by a replay of run {run_id}"
        if total.money is not None:
            money = _amount(total.money, under_rule.currency or "", 4)
            yield "", f"{money}, without the prompts of later rounds"
    yield "", f"round 1: {_of_round_1(first.tokens)}"
    if under_rule.later is not None and under_rule.later_by is not None:
        yield (
            "",
            f"later: {_amount(under_rule.later.tokens, 'tokens')}, {_LATER[under_rule.later_by]}",
        )
    if not under_rule.is_graded:
        yield "", f"run {run_id} is not graded: exact rules tell which of its answers agree"
    if under_rule.problems < found.problems:
        some = f"{under_rule.problems:,} of {found.problems:,} problems"
        yield "", f"{some} have a pool that is wide enough; the others are taken to be like them"


def _of_round_1(tokens: Expected) -> str:
    if not tokens.whole:
        return "0 tokens, as all of its trajectories are stored"
    low, high = (
        None if one is None else 100 * one for one in (tokens.saved_low, tokens.saved_high)
    )
    interval = "" if low is None else f" ({between(low, high, lambda one: number(one, 1))}, 95 %)"
    of = f"about {number(tokens.value)} of {number(tokens.whole)} tokens"
    return f"{of}, {share(tokens.saved)} saved{interval}"


def _amount(one: Expected, unit: str, decimals: int = 0) -> str:
    """``about 1,200 tokens (900 to 1,500, 95 %)``; where no problem saves anything, nothing varies."""

    def write(value: float | None) -> str:
        return number(value, decimals)

    interval = f" ({between(one.low, one.high, write)}, 95 %)"
    return f"about {write(one.value)} {unit}{interval if one.low != one.high else ''}"


def _new_tokens(found: Forecast) -> str:
    """What a run can generate at most, and what bounds it."""
    generations = found.total("to_generate")
    paid = [number for number, one in enumerate(found.rounds, 1) if one.to_generate]
    bound = found.new_tokens(paid)
    if not generations:
        return "none"
    is_ruled = any(one.step.stopping is not None for one in found.rounds)
    expected = None if is_ruled else found.expected_tokens
    about = f"; about {expected:,.0f} if as long as those stored" if expected is not None else ""
    if bound is None:
        return f"nothing bounds them: the window is not known, and --max-tokens is not given{about}"
    longest = max(found.longest_in(number) or 0 for number in paid)
    return f"at most {bound:,}: {generations:,} trajectories of up to {longest:,}{about}"


def forecast_figure(found: Forecast) -> Figure:
    """Trajectories and tokens by round: what is reused, and what is to be generated. Its tokens are those
    expected after the stored ones of its round, else the most they may be.
    """
    # matplotlib and what figures compute with take a second, which no other plan waits for.
    from pacore.report.rendering.plots import Stacks, rounds_figure

    rounds = found.rounds
    names = [f"round {number}\nwidth {one.step.label}" for number, one in enumerate(rounds, 1)]
    is_ruled = any(one.step.stopping is not None for one in rounds)
    expected = [None if is_ruled else one.expected_tokens for one in rounds]
    bounds = [found.new_tokens([number]) for number in range(1, len(rounds) + 1)]
    tokens = {
        "reused": [float(one.stored_tokens) for one in rounds],
        "to generate, if as long\nas those stored": [value or 0.0 for value in expected],
        "to generate, at most": [
            float(most or 0) if value is None else 0.0
            for most, value in zip(bounds, expected, strict=True)
        ],
    }
    open_rounds = [most is value is None for most, value in zip(bounds, expected, strict=True)]
    label = "tokens" + (" (without those not known yet)" if any(open_rounds) else "")
    trajectories = {
        "reused": [float(one.stored) for one in rounds],
        "to generate": [float(one.to_generate) for one in rounds],
        "generated by\nanother slot": [float(one.shared) for one in rounds],
        "too long a prompt": [float(one.too_long) for one in rounds],
    }
    title = f"What a run over {found.problems:,} problems would reuse and generate"
    return rounds_figure(
        names, [Stacks("trajectories", trajectories), Stacks(label, tokens)], title
    )


def _reused_facts(found: Forecast, earlier: Earlier | None) -> Iterator[tuple[str, str]]:
    """The runs whose trajectories are reused; where that is not all, why not, by the run that is most like
    the plan.
    """
    if listed := _by_run(found.sources):
        yield "reused", listed
    if earlier is None or not (found.total("to_generate") or not earlier.changes):
        return
    stored, stale = sum(earlier.stored.values()), sum(earlier.stale.values())
    unused = [f"{count:,} in round {at}" for at, count in sorted(earlier.stale.items()) if count]
    yield (
        "nearest run",
        f"{earlier.run_id}: {earlier.shared:,} of its {earlier.problems:,} problems are in this set; "
        f"this plan uses {stored - stale:,} of its {stored:,} stored trajectories"
        + (f"; not used: {', '.join(unused)}" if unused else ""),
    )
    if not earlier.changes:
        rest = (
            "what it lacks is generated"
            if found.total("to_generate")
            else "nothing is left to generate"
        )
        yield "changed", f"nothing: run {earlier.run_id} has these settings and problems; {rest}"
    for position, change in enumerate(earlier.changes):
        yield "changed" if position == 0 else "", change


def _by_run(sources: Counter[str]) -> str:
    """Reused trajectories by the run that generated them, most first."""
    ranked = sorted(sources.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{count:,} of run {run_id}" for run_id, count in ranked[:_LISTED_RUNS]]
    if rest := ranked[_LISTED_RUNS:]:
        named.append(f"{sum(count for _, count in rest):,} of {len(rest):,} more runs")
    return ", ".join(named)
