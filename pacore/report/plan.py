"""A forecast as a page: what a run would generate and reuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pacore.report.rendering.sheet import COUNT, FIGURE, Column, Facts, Sheet, Table, number
from pacore.runs.planning.forecast import Forecast
from pacore.runs.planning.reuse import Earlier

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure

_LISTED = 20

_LISTED_RUNS = 8


def forecast_sheet(found: Forecast, earlier: Earlier | None = None) -> Sheet:
    """What a run would do, round by round, what would not fit, and what it can use of before."""
    titles = (
        "trajectories",
        "reused",
        "to generate",
        "unknown",
        "tokens, at most",
    )
    columns = [
        Column("round", FIGURE),
        Column("width", FIGURE),
        *(Column(title, COUNT) for title in titles),
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
    pairs = [*_forecast_facts(found), *_reused_facts(found, earlier)]
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


def _forecast_facts(found: Forecast) -> Iterator[tuple[str, str]]:
    yield "problems", f"{found.problems:,} in {found.shards:,} shards"
    window = found.window_tokens
    yield "new tokens", _new_tokens(found)
    yield "window", "not known" if window is None else f"{window:,} tokens, prompt and answer"
    if shared := found.total("shared"):
        yield "shared", f"{shared:,} slots take a draw that another slot generates"
    for position, round_ in enumerate(found.rounds, 1):
        if round_.unknown:
            prompts = f"prompts of {round_.unknown:,} trajectories are unknown until"
            yield f"round {position}", f"{prompts} round {position - 1} is complete"
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


def _new_tokens(found: Forecast) -> str:
    """What a run can generate at most, and what bounds it."""
    generations = found.total("to_generate")
    paid = [number for number, one in enumerate(found.rounds, 1) if one.to_generate]
    bound = found.new_tokens(paid)
    if not generations:
        return "none"
    expected = found.expected_tokens
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
    expected = [one.expected_tokens for one in rounds]
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
