"""The facts of an accuracy: the answers it is of, why others have no score, rates, and tokens; and the
line on its evidence that a report begins with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacore.evaluation.accuracy import Accuracy, Missing, Totals
from pacore.evaluation.evidence import Evidence, RuleRow
from pacore.report.rendering.sheet import Note, between, number, share
from pacore.text import excerpt

LISTED_CAUSES = 3

LISTED_RULES = 3


def scored_of(total: Accuracy) -> str:
    """``8 of 12 answers scored; 3 failed for a reason that is not the model's, 1 not there yet``."""
    unscored = {
        "failed for a reason that is not the model's": total.lost,
        "not there yet": total.pending,
        "not graded": total.ungraded,
    }
    others = ", ".join(f"{count:,} {what}" for what, count in unscored.items() if count)
    scored = f"{total.scored:,} of {total.planned:,} answers scored"
    return f"{scored}; {others}" if others else scored


def accuracy_of(total: Accuracy) -> str:
    """The accuracy with its denominator; a dash with the reason where there is none."""
    return f"{share(total.accuracy)} ({scored_of(total)})"


def interval_facts(total: Accuracy) -> Iterator[tuple[str, str]]:
    """The intervals of an accuracy, as far as there are any: pairs that continue the one before them."""
    for low, high, words in (
        (total.population_low, total.population_high, "range for new problems of this kind"),
        (total.these_low, total.these_high, "range if these problems were run again"),
    ):
        if low is not None:
            yield "", f"{between(low, high)}: {words}, 95 %"


def agreement_facts(total: Totals) -> Iterator[tuple[str, str]]:
    """How many answers are of messages that agreed; none without a rule by which these end a problem."""
    if total.agreed:
        answers = f"{total.agreed:,} of {total.planned:,} answers are of messages that agreed"
        yield (
            "agreement",
            f"{answers}; no round followed, so the later rounds have the others alone",
        )


def missing_facts(total: Accuracy, missing: Sequence[Missing]) -> Iterator[tuple[str, str]]:
    """Why planned answers are missing, the most frequent causes first, and what that leaves open.

    Pairs of `pacore.report.rendering.sheet.Facts`; none where every planned answer has a score.
    """
    lost = [row for row in missing if row.outcome == "lost"]
    for place, row in enumerate(lost[:LISTED_CAUSES]):
        yield "" if place else "missing", f"{row.answers:,} {_cause(row)}"
    if more := sum(row.answers for row in lost[LISTED_CAUSES:]):
        yield "", f"{more:,} for other reasons"
    low, high = total.lowest_accuracy, total.highest_accuracy
    if total.accuracy is not None and low != high:
        bounds = f"{share(low)} to {share(high)}"
        yield "", f"{bounds}: accuracy, if answers without a score were all wrong, or all right"


def _cause(row: Missing) -> str:
    reason = (row.finish_reason or "never begun").replace("_", " ")
    return f"{reason}: {excerpt(row.error, 200)}" if row.error else reason


def health_facts(total: Accuracy) -> Iterator[tuple[str, str]]:
    """The rates of `mart_accuracy` in two lines, of the answers that have ended."""
    yield (
        "health",
        f"no answer {share(total.no_answer_rate)} (truncated {share(total.truncated_rate)}, "
        f"empty {share(total.empty_rate)}, unparsed {share(total.unparsed_rate)})",
    )
    yield (
        "",
        f"failed {share(total.failed_rate)}, ungraded {share(total.ungraded_rate)} "
        f"(timeout {share(total.timeout_rate)}, crash {share(total.crash_rate)})",
    )


def only_answers_graded(run_id: str) -> Note:
    """Said of a run whose last round alone has verdicts, with the command that grades the others."""
    return Note(f"only answers are graded; pacore grade {run_id} grades every round")


def token_facts(
    total: Totals, per_thousand: float | None = None, wasted: str = ""
) -> Iterator[tuple[str, str]]:
    """Effective and marginal TTC. ``per_thousand`` is the accuracy per thousand tokens, ``wasted`` is text
    after the marginal TTC.
    """
    effective = f"{number(total.mean_effective_tokens)} tokens an answer, all its rounds"
    yield "effective TTC", f"{effective}; {number(total.effective_tokens)} for all answers"
    if per_thousand is not None:
        yield "", f"{number(100 * per_thousand, 1)} points of accuracy per thousand tokens"
    yield "marginal TTC", f"{number(total.marginal_tokens)} tokens newly generated{wasted}"
    if total.uncounted:
        yield "", f"tokens of {total.uncounted:,} trajectories are not known and not in these"


def evidence_note(found: Evidence) -> Note:
    """What a report begins with: three words, each with what is lacking and of how much."""
    return Note(f"evidence  {evidence_line(found)}")


def evidence_line(found: Evidence) -> str:
    """``complete · observed · powered: a difference of 14 points``, or in capitals what is not so."""
    several = len({row.run_id for row in found.rules}) > 1
    complete, observed, powered = evidence_words(found.complete, found.observed, found.detectable)
    return " · ".join(
        [
            complete + _listed(list(found.missing("complete")), several),
            observed + _listed([*found.missing("observed"), *found.stated], several),
            powered,
        ]
    )


def evidence_words(
    complete: bool, observed: bool, detectable: float | None
) -> tuple[str, str, str]:
    """The three words, in capitals where it is not so; ``detectable`` is as in `Evidence`."""
    return (
        "complete" if complete else "INCOMPLETE",
        "observed" if observed else "NOT OBSERVED",
        _powered(detectable),
    )


def _listed(rows: Sequence[RuleRow], several: bool) -> str:
    if not rows:
        return ""
    shown = [f"{row.run_id}: {row}" if several else str(row) for row in rows[:LISTED_RULES]]
    if (more := len(rows) - LISTED_RULES) > 0:
        shown.append(f"{more} more in mart_evidence")
    return f" ({'; '.join(shown)})"


def _powered(detectable: float | None) -> str:
    if detectable is None:
        return "NOT POWERED (fewer than two problems have a score)"
    if detectable >= 1:
        return "NOT POWERED (so few problems show no difference)"
    return f"powered: a difference of {100 * detectable:.0f} points"
