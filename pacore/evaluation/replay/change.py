"""What a change of accuracy under a stopping rule shows."""

from __future__ import annotations

from typing import Literal

from pacore.evaluation.comparison import SIGNIFICANT
from pacore.evaluation.statistics.paired import Paired

VoteVerdict = Literal["as good", "unclear", "lower", "higher", "no gain"]


def change_shown(pair: Paired, policies: int) -> tuple[VoteVerdict, str | None]:
    """What the paired difference of one of so many ``policies`` shows, and why a higher accuracy is
    unclear: a higher one has to be beyond the chance that the best of all is (Bonferroni).
    """
    if pair.better == pair.worse == 0:
        return "as good", None
    low, high, p = pair.low, pair.high, pair.permutation_p
    if low is None or high is None or p is None:
        return "unclear", None
    if pair.difference < 0:
        return "lower" if high < 0 or p < SIGNIFICANT else "unclear", None
    if low <= 0 or p >= SIGNIFICANT:
        return "unclear", None
    if p * policies >= SIGNIFICANT:
        return "unclear", "of so many policies one may be so much higher by chance"
    return "higher", None
