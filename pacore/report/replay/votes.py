"""What each policy changes of the vote, as tables: by what answers are worth, or by the vote of the whole
pool where nothing says that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacore.evaluation.replay.figures import PolicyForecast
from pacore.report.comparison import chance
from pacore.report.rendering.sheet import (
    ABSENT,
    FIGURE,
    SHARE,
    TEXT,
    Heading,
    Note,
    Part,
    SheetColumn,
    Table,
    between,
    decimals,
    points,
    share,
)
from pacore.report.replay.cells import SIGNED, spaced


def accuracies(policies: Sequence[PolicyForecast]) -> list[Part]:
    """What each policy changes: the vote, with what that shows, and what is among the messages; and how
    many trajectories it takes.
    """
    whole, *others = policies
    votes = Table(
        [
            *VOTE_COLUMNS,
            SheetColumn("p", FIGURE),
            SheetColumn("unrelated", SIGNED),
            SheetColumn("shows", TEXT),
        ],
        [
            [*vote(one), p_value(one.permutation_p), one.unrelated_difference, one.verdict]
            for one in others
        ],
        caption="accuracy of the vote under each policy",
    )
    covered = Table(
        [
            SheetColumn("policy", TEXT, is_folded=True),
            SheetColumn("coverage", SHARE),
            SheetColumn("change", SIGNED),
            SheetColumn("change, 95 %", FIGURE),
            SheetColumn("begun", decimals(1)),
            SheetColumn("ended", decimals(1)),
        ],
        [
            [
                spaced(one.policy),
                one.coverage,
                one.coverage_difference,
                between(one.coverage_low, one.coverage_high, SIGNED.write),
                one.begun,
                one.ended,
            ]
            for one in others
        ],
        caption="right answers among the messages under each policy",
    )
    return [
        Heading(
            f"accuracy of the vote, {share(whole.accuracy)} for the whole set; changes in points"
        ),
        votes,
        *no_gain_notes(policies),
        Note(""),
        Heading(
            f"sets with a right answer among their messages, {share(whole.coverage)} of the whole ones"
        ),
        covered,
        *_fewer(policies),
    ]


def unobserved(why: str) -> list[Part]:
    """What cannot be said without scores, and what is said in its place."""
    return [
        Note(f"unobserved: accuracy, coverage, and whether a policy is a gain: {why}"),
        Note(
            "agreement: how often the vote of a set is the vote of its whole pool, which may be wrong"
        ),
    ]


def agreements(policies: Sequence[PolicyForecast]) -> list[Part]:
    """How often each policy votes as the whole pool does, where nothing says what answers are worth; and
    how many trajectories it takes.
    """
    whole, *others = policies
    table = Table(
        [
            *agreement_columns(),
            SheetColumn("p", FIGURE),
            SheetColumn("unrelated", SIGNED),
            SheetColumn("begun", decimals(1)),
            SheetColumn("ended", decimals(1)),
        ],
        [
            [
                *agreement(one),
                p_value(one.agreement_p),
                one.unrelated_difference,
                one.begun,
                one.ended,
            ]
            for one in others
        ],
        caption="agreement of the vote under each policy",
    )
    heading = (
        f"agreement with the vote of the whole pool, {share(whole.agreement)} for the whole set; changes "
        "in points"
    )
    return [Heading(heading), table]


def agreement_columns() -> list[SheetColumn]:
    policy, _, *changes = VOTE_COLUMNS
    return [policy, SheetColumn("agreement", SHARE), *changes]


def agreement(one: PolicyForecast) -> list[object]:
    """The cells of `agreement_columns`."""
    interval = between(one.agreement_low, one.agreement_high, SIGNED.write)
    return [spaced(one.policy), one.agreement, one.agreement_difference, interval]


VOTE_COLUMNS = (
    SheetColumn("policy", TEXT, is_folded=True),
    SheetColumn("vote", SHARE),
    SheetColumn("change", SIGNED),
    SheetColumn("change, 95 %", FIGURE),
)


def vote(one: PolicyForecast) -> list[object]:
    """The cells of `VOTE_COLUMNS`."""
    interval = between(one.difference_low, one.difference_high, SIGNED.write)
    return [spaced(one.policy), one.accuracy, one.difference, interval]


def p_value(p: float | None) -> str:
    return ABSENT if p is None else chance(p).removeprefix("p ").removeprefix("= ")


def no_gain_notes(policies: Sequence[PolicyForecast]) -> Iterator[Note]:
    """Why a higher accuracy is no gain."""
    for one in policies:
        if one.reason is not None:
            yield Note(f"{one.policy}: {points(one.difference)} are no gain: {one.reason}")


def _fewer(policies: Sequence[PolicyForecast]) -> Iterator[Note]:
    """Which policies leave fewer right answers."""
    fewer = [
        one.policy for one in policies if one.coverage_high is not None and one.coverage_high < 0
    ]
    if fewer:
        yield Note(f"fewer right answers for a further round: {'; '.join(fewer)}")


def change(one: PolicyForecast) -> str:
    if one.difference is None:
        return f"agreement {SIGNED.write(one.agreement_difference)}"
    return f"vote {SIGNED.write(one.difference)}"
