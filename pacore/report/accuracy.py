"""How an accuracy is stated: with the answers it is of, and what became of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pacore.report.terminal import share
from pacore.text import excerpt

Row = Mapping[str, Any]

LISTED_CAUSES = 3


def scored_of(total: Row) -> str:
    """``8 of 12 answers scored; 3 failed for a reason that is not the model's, 1 not there yet``.

    ``total`` is a row of `mart_accuracy`.
    """
    unscored = {
        "failed for a reason that is not the model's": total["lost"],
        "not there yet": total["pending"],
        "not graded": total["ungraded"],
    }
    others = ", ".join(f"{count:,} {what}" for what, count in unscored.items() if count)
    scored = f"{total['scored']:,} of {total['planned']:,} answers scored"
    return f"{scored}; {others}" if others else scored


def accuracy_of(total: Row) -> str:
    """The accuracy with its denominator; a dash with the reason where there is none."""
    return f"{share(total['score'])} ({scored_of(total)})"


def missing_facts(total: Row, missing: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Why planned answers are missing, the most frequent causes first, and what that leaves open.

    ``missing`` are the rows of ``reports/missing``. Lines for `pacore.report.terminal.facts`; none where
    every planned answer has a score.
    """
    lost = [row for row in missing if row["outcome"] == "lost"]
    for number, row in enumerate(lost[:LISTED_CAUSES]):
        yield "" if number else "missing", f"{row['answers']:,} {_cause(row)}"
    if more := sum(row["answers"] for row in lost[LISTED_CAUSES:]):
        yield "", f"{more:,} for other reasons"
    low, high = total["lowest_score"], total["highest_score"]
    if total["score"] is not None and low != high:
        bounds = f"{share(low)} to {share(high)}"
        yield "", f"{bounds}: accuracy, if answers without a score were all wrong, or all right"


def _cause(row: Row) -> str:
    reason = (row["finish_reason"] or "never begun").replace("_", " ")
    return f"{reason}: {excerpt(row['error'], 200)}" if row["error"] else reason


def health_facts(total: Row) -> Iterator[tuple[str, str]]:
    """The rates of `mart_accuracy` in two lines, of the answers that have come to their end."""
    names = (
        "no_answer", "truncated", "empty", "unparsed", "failed", "ungraded", "timeout", "crash",
    )  # fmt: skip
    rate = {name: share(total[f"{name}_rate"]) for name in names}
    yield (
        "health",
        f"no answer {rate['no_answer']} (truncated {rate['truncated']}, empty {rate['empty']}, "
        f"unparsed {rate['unparsed']})",
    )
    yield (
        "",
        f"failed {rate['failed']}, ungraded {rate['ungraded']} (timeout {rate['timeout']}, "
        f"crash {rate['crash']})",
    )
