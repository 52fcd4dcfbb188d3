"""A replay of stopping rules as a page: what each would have spent, and what it would have changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pacore.evaluation.replay.figures import Choice, PolicyForecast, Replay
from pacore.evaluation.replay.forecast import WHOLE_SET
from pacore.evaluation.replay.rounds import RoundsForecast
from pacore.report.rendering.sheet import (
    COUNT,
    FIGURE,
    SHARE,
    TEXT,
    Facts,
    Heading,
    Note,
    Part,
    Sheet,
    SheetColumn,
    Table,
    between,
    decimals,
    number,
    share,
)
from pacore.report.replay.cells import PER_CENT, SIGNED, TIMES, spaced
from pacore.report.replay.votes import (
    VOTE_COLUMNS,
    accuracies,
    agreement,
    agreement_columns,
    agreements,
    change,
    no_gain_notes,
    unobserved,
    vote,
)

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure


def replay_sheet(found: Replay) -> Sheet:
    """The policies over all models with what they cost and what they change, then those of each model,
    what a choice among them is worth, and a line to run the cheapest with.
    """
    together = found.together
    lead = [
        Note(
            f"{found.problems:,} problems, {found.trajectories:,} stored trajectories, sets of "
            f"{found.width:,} in {found.orders:,} orders; nothing was generated"
        ),
        *([] if found.unobserved is None else unobserved(found.unobserved)),
    ]
    sections: list[list[Part]] = []
    if len(together) > 1:
        sections.append(_costs(together))
        if _has_price_or_time(together):
            sections.append(_money(found, together))
        has_scores = found.unobserved is None
        sections.append(accuracies(together) if has_scores else agreements(together))
        sections += [_of_model(found, model) for model in _models(found)]
    if len(together) > 1 and found.choices:
        sections.append(_choices(found))
    if found.rounds:
        sections.append(_rounds(found))
    sections.append([Facts(list(_facts(found, together)), "how it was replayed")])
    return Sheet(f"replay of stopping rules: {found.title}", sections, lead)


def _models(found: Replay) -> list[str]:
    return list(dict.fromkeys(one.model for one in found.policies if one.model is not None))


def _costs(policies: Sequence[PolicyForecast]) -> list[Part]:
    """What each policy spends: tokens, and how long it waits for them."""
    columns = [
        SheetColumn("policy", TEXT, is_folded=True),
        SheetColumn("tokens", COUNT),
        SheetColumn("saved", SHARE),
        SheetColumn("saved, 95 %", FIGURE),
        SheetColumn("path", TIMES),
        SheetColumn("path, 95 %", FIGURE),
        SheetColumn("frontier", TEXT),
    ]
    rows = [
        [
            spaced(one.policy),
            one.tokens,
            one.saved,
            between(one.saved_low, one.saved_high, PER_CENT.write),
            one.path_ratio,
            between(one.path_low, one.path_high, TIMES.write),
            "●" if one.is_on_frontier else "",
        ]
        for one in policies
    ]
    return [
        Heading(
            "cost of a set: tokens generated, and its critical path beside that of the whole set"
        ),
        Table(columns, rows, caption="cost of each policy"),
    ]


def _has_price_or_time(policies: Sequence[PolicyForecast] | Sequence[RoundsForecast]) -> bool:
    return policies[0].money is not None or policies[0].seconds is not None


def _money(found: Replay, policies: Sequence[PolicyForecast]) -> list[Part]:
    """What each policy costs in money, where prices are known, and in seconds, where times are."""
    whole = policies[0]
    title, columns = _spent_columns(found, policies)
    if whole.engine_seconds is not None:
        columns.append(SheetColumn("engine seconds", decimals(1)))
    has_own_frontier = _has_own_frontier(policies)
    if has_own_frontier:
        columns.append(SheetColumn("frontier", TEXT))
    rows = [
        [
            *_spent(one, WHOLE_SET if one is whole else one.policy, whole),
            *([one.engine_seconds] if whole.engine_seconds is not None else []),
            *(["●" if one.is_on_money_frontier else ""] if has_own_frontier else []),
        ]
        for one in policies
    ]
    return [
        Heading(f"a set in {title}"),
        Table(columns, rows, caption=f"each policy in {title}"),
    ]


def _has_own_frontier(policies: Sequence[PolicyForecast]) -> bool:
    """Whether other policies are on the frontier where money is taken in place of tokens."""
    return any(one.is_on_money_frontier not in (None, one.is_on_frontier) for one in policies)


def _spent_columns(
    found: Replay, policies: Sequence[PolicyForecast] | Sequence[RoundsForecast]
) -> tuple[str, list[SheetColumn]]:
    """What a table of money and seconds is of, and its columns, as in `_spent`."""
    whole = policies[0]
    money = found.currency or "money"
    prompts = "its prompts included" if found.has_prompts else "without prompts"
    titles = [f"{money}, {prompts}"] if whole.money is not None else []
    columns = [SheetColumn("policy", TEXT, is_folded=True)]
    if whole.money is not None:
        columns += [
            SheetColumn(money, decimals(6)),
            SheetColumn("saved", SHARE),
            SheetColumn("saved, 95 %", FIGURE),
        ]
    if whole.seconds is not None:
        titles.append("seconds of its path")
        columns.append(SheetColumn("seconds", decimals(1)))
    return "; and in ".join(titles), columns


def _spent(
    one: PolicyForecast | RoundsForecast, policy: str, whole: PolicyForecast | RoundsForecast
) -> list[object]:
    """The cells of `_spent_columns`."""
    interval = between(one.money_low, one.money_high, PER_CENT.write)
    return [
        spaced(policy),
        *([one.money, one.money_saved, interval] if whole.money is not None else []),
        *([one.seconds] if whole.seconds is not None else []),
    ]


def _of_model(found: Replay, model: str) -> list[Part]:
    whole, *others = [one for one in found.policies if one.model == model]
    has_money = whole.money is not None
    has_scores = found.unobserved is None
    columns = [
        *(VOTE_COLUMNS if has_scores else agreement_columns()),
        SheetColumn("saved", SHARE),
        *([SheetColumn(found.currency or "money", decimals(6))] if has_money else []),
        SheetColumn("path", TIMES),
        *([SheetColumn("shows", TEXT)] if has_scores else []),
    ]
    rows = [
        [
            *(vote(one) if has_scores else agreement(one)),
            one.saved,
            *([one.money] if has_money else []),
            one.path_ratio,
            *([one.verdict] if has_scores else []),
        ]
        for one in others
    ]
    cost = f", {number(whole.money, 6)} {found.currency}" if has_money else ""
    voted = share(whole.accuracy) if has_scores else f"{share(whole.agreement)} agreement"
    heading = f"{model}: {voted} and {number(whole.tokens)} tokens{cost} for the whole set"
    return [
        Heading(heading),
        Table(columns, rows, caption=f"policies with {model}"),
        *no_gain_notes(others),
    ]


def _rounds(found: Replay) -> list[Part]:
    """What rules about rounds spend and change, over the answers of a run."""
    whole, *others = found.rounds
    columns = [
        SheetColumn("policy", TEXT, is_folded=True),
        SheetColumn("saved", SHARE),
        SheetColumn("saved, 95 %", FIGURE),
        SheetColumn("path", TIMES),
        SheetColumn("ended", SHARE),
        SheetColumn("slots", decimals(1)),
        SheetColumn("change", SIGNED),
        SheetColumn("change, 95 %", FIGURE),
        SheetColumn("shows", TEXT),
    ]
    rows = [
        [
            spaced(one.policy),
            one.saved,
            between(one.saved_low, one.saved_high, PER_CENT.write),
            one.path_ratio,
            one.ended,
            one.slots,
            one.difference,
            between(one.difference_low, one.difference_high, SIGNED.write),
            one.verdict or "unknown",
        ]
        for one in others
    ]
    heading = (
        f"all rounds: {share(whole.accuracy)} of the answers right, {number(whole.tokens)} tokens and "
        f"{number(whole.slots)} slots an answer"
    )
    notes = [
        "ended: answers that need fewer rounds; their answer is that of the messages that agree",
        *(
            ["unknown: later rounds would have shown fewer messages, and are taken to be as long"]
            if any(one.verdict is None for one in others)
            else []
        ),
        *(f"{one.policy}: {one.reason}" for one in others if one.reason is not None),
        *(
            [f"left out: {found.rounds_left_out:,} answers without all rounds, scores and lengths"]
            if found.rounds_left_out
            else []
        ),
    ]
    parts: list[Part] = [
        Heading(heading),
        Table(columns, rows, caption="rules about rounds"),
        *map(Note, notes),
    ]
    if not _has_price_or_time(found.rounds):
        return parts
    title, spent_columns = _spent_columns(found, found.rounds)
    spent = [_spent(one, ALL_ROUNDS if one is whole else one.policy, whole) for one in found.rounds]
    return [
        *parts,
        Note(""),
        Heading(f"an answer in {title}"),
        Table(spent_columns, spent, caption=f"rules about rounds in {title}"),
    ]


ALL_ROUNDS = "all rounds"
"""The row without a rule about rounds."""

_OTHERS = {"half of the problems": "the other half", "one model": "each other model"}


def _choices(found: Replay) -> list[Part]:
    """What the cheapest policy that loses at most the tolerance is worth where it was not chosen."""
    by_money = found.choices[0].cost == "money"
    columns = [
        SheetColumn("chosen on", TEXT, is_folded=True),
        SheetColumn("measured on", TEXT, is_folded=True),
        SheetColumn("times", COUNT),
        SheetColumn("most often", TEXT, is_folded=True),
        SheetColumn("change", SIGNED),
        SheetColumn("saved", SHARE),
        *([SheetColumn(f"{found.currency} saved", SHARE)] if by_money else []),
        SheetColumn("path", TIMES),
    ]
    rows = [
        [
            one.how,
            _OTHERS[one.how],
            one.times,
            spaced(next(iter(one.chosen))),
            one.difference,
            one.saved,
            *([one.money_saved] if by_money else []),
            one.path_ratio,
        ]
        for one in found.choices
    ]
    cheapest = f"the cheapest policy in {found.currency}" if by_money else "the cheapest policy"
    heading = (
        f"{cheapest} that loses at most {100 * found.tolerance:g} points{_of_agreement(found.choices)}, "
        "measured where it was not chosen"
    )
    parts: list[Part] = [
        Heading(heading),
        Table(columns, rows, caption="policies chosen on a part"),
    ]
    if found.unobserved is None and any(
        one.difference > 0 and not one.is_gain for one in found.choices
    ):
        parts.append(
            Note("a higher vote here is no gain where those of its policies above are none")
        )
    return parts


def _of_agreement(choices: Sequence[Choice]) -> str:
    return " of agreement" if choices[0].measure == "agreement" else ""


def _facts(found: Replay, policies: Sequence[PolicyForecast]) -> Iterator[tuple[str, str]]:
    whole = policies[0]
    has_same_frontier = whole.money is not None and not _has_own_frontier(policies)
    yield "tokens", "generated for a set, those of aborted trajectories included"
    yield "path", "tokens generated one after the other until the set ended, all at one speed"
    has_scores = found.unobserved is None
    yield (
        "frontier",
        (
            "no other policy is as good in vote, tokens and path and better in one; a higher vote than the "
            "whole set's counts as equal unless it is a gain"
            if has_scores
            else "no other policy is as good in agreement, tokens and path and better in one; more "
            "agreement than the whole set's counts as equal"
        )
        + ("; the same with money in place of tokens" if has_same_frontier else ""),
    )
    yield (
        "unrelated",
        "the change where the lengths of a problem's trajectories are dealt anew, so that a short one is "
        f"not {'right' if has_scores else 'of the leading answer'} more often; what is lost there, but not "
        "above, is owed to that",
    )
    if has_scores:
        yield "shows", "as good: no problem differs; unclear: the difference may be chance"
    if whole.seconds:
        yield (
            "seconds",
            "of the path, at the speed that the stored trajectories of a model had under the load of then; "
            "engine seconds: of all trajectories of a set",
        )
    if whole.money is not None:
        prompts = (
            "of each trajectory begun" if found.has_prompts else "none, as nobody counted them"
        )
        yield (
            f"{found.currency}",
            f"generated tokens, those of aborted trajectories included, and prompts: {prompts}",
        )
    if found.unpriced:
        yield "no price", f"of {', '.join(found.unpriced)}"
    if found.left_out:
        yield (
            "left out",
            f"{found.left_out:,} problems with fewer than {found.width:,} trajectories",
        )
    if found.unscored:
        lacks, name = (
            ("a score or a length", "unscored") if has_scores else ("a length", "unmeasured")
        )
        yield name, f"{found.unscored:,} trajectories without {lacks}, which are in no set"
    if found.columns:
        taken = ", ".join(f"{column} as {part}" for part, column in found.columns.items())
        yield "columns", f"of the file: {taken}"


def replay_figure(found: Replay) -> Figure:
    """The share of tokens that each policy saves, with its interval, its path and its vote beside it."""
    from pacore.report.rendering.plots import Interval, interval_figure

    whole, *others = found.together
    rows = [
        Interval(
            f"{one.policy}\npath {TIMES.write(one.path_ratio)}, {change(one)}",
            one.saved,
            one.saved_low,
            one.saved_high,
        )
        for one in others
    ]
    title = f"Stopping rules by replay: {found.title.rpartition('/')[2]}"
    return interval_figure(rows, title, f"tokens saved of {number(whole.tokens)} a set, % (95 %)")
