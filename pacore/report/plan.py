"""A forecast as a page: what a run would generate and reuse."""

from __future__ import annotations

from collections.abc import Iterator

from pacore.report.rendering.sheet import COUNT, FIGURE, Column, Facts, Sheet, Table, number
from pacore.runs.planning.forecast import Forecast
from pacore.runs.planning.reuse import Earlier

_LISTED = 20


def forecast_sheet(found: Forecast, earlier: Earlier | None = None) -> Sheet:
    """What a run would do, round by round, what would not fit, and what it can use of before."""
    titles = (
        "trajectories",
        "reused",
        "other settings",
        "to generate",
        "unknown",
        "tokens, at most",
    )
    columns = [
        Column("round", FIGURE),
        Column("width", FIGURE),
        *(Column(title, COUNT) for title in titles),
    ]
    stale = earlier.stale if earlier is not None else {}
    numbers = range(1, len(found.rounds) + 1)
    rows: list[list[object]] = [
        [
            position,
            round_.step.label,
            round_.trajectories,
            round_.stored,
            stale.get(position, 0),
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
        sum(stale.get(position, 0) for position in numbers),
        found.total("to_generate"),
        found.total("unknown"),
        found.new_tokens(numbers),
    ]
    pairs = [*_forecast_facts(found), *_earlier_facts(found, earlier)]
    return Sheet(None, [[Table(columns, [*rows, total])], [Facts(pairs)]])


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
    if bound is None:
        return "nothing bounds them: the window is not known, and --max-tokens is not given"
    longest = max(found.longest_in(number) or 0 for number in paid)
    return f"at most {bound:,}: {generations:,} trajectories of up to {longest:,}"


def _earlier_facts(found: Forecast, earlier: Earlier | None) -> Iterator[tuple[str, str]]:
    """The nearest earlier run, and why not all of it is reused."""
    if earlier is None:
        return
    stored, stale = sum(earlier.stored.values()), sum(earlier.stale.values())
    yield (
        "earlier run",
        f"{earlier.run_id}: {stored - stale:,} of {stored:,} stored trajectories reused, "
        f"{stale:,} made under other settings; {earlier.shared:,} of its {earlier.problems:,} problems "
        "are in this set",
    )
    if not earlier.changes:
        goes_on = "it goes on" if found.total("to_generate") else "nothing is left to generate"
        yield "changed", f"nothing: this is run {earlier.run_id}, and {goes_on}"
    for position, change in enumerate(earlier.changes):
        yield "changed" if position == 0 else "", change
