"""Two runs compared problem by problem, and the decision whether the second may replace the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from pacore.errors import Refused
from pacore.evaluation.accuracy import Accuracy
from pacore.evaluation.evidence import Evidence, evidence_of
from pacore.evaluation.sharing import Sharing, sharing_of
from pacore.evaluation.statistics.paired import Equivalence, Paired, equivalence, paired
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import CheckRow, Warehouse

GO, NO_GO = "GO", "NO-GO"


SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class ComparedRun(Accuracy):
    """The accuracy of a run, its rates, and what an answer cost."""

    QUERY: ClassVar[str] = "comparison/runs"

    tokens_per_answer: float | None
    currency: str | None
    effective_money_per_answer: float | None


@dataclass(frozen=True, slots=True)
class ProblemAccuracy(ReportRow):
    """The mean score of a run's answers to one problem, and the share of them that the model gave.

    ``content_digest`` is of its question and gold answer; ``graders`` are the versions that decided.
    """

    QUERY: ClassVar[str] = "comparison/problem_accuracy"

    run_id: str
    problem_id: str
    content_digest: str
    accuracy: float
    answered: float
    scored: int
    graders: list[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run B compared with run A over the problems both have scores for.

    ``only_first`` and ``only_second`` count problems that the other has not scored, ``changed`` those
    of one id whose question or gold answer differs, which are left out. ``graders`` are the versions
    that decided on the answers of each. ``sharing`` says how much of what is compared is the same,
    ``evidence`` what the evidence of both runs is worth.
    """

    first: ComparedRun
    second: ComparedRun
    paired: Paired
    equivalence: Equivalence | None
    only_first: int
    only_second: int
    changed: int
    graders: tuple[tuple[str, ...], tuple[str, ...]]
    sharing: Sharing
    evidence: Evidence


BY_CRITERIA = ("answers", "ended", "generated", "verdicts", "gradings")
"""Rules of evidence that a criterion states itself: how much may be missing, and how much ungraded."""


class Criteria(BaseModel):
    """What the second run must meet for the decision GO; None is no criterion.

    ``max_missing`` and ``max_ungraded`` hold for both runs: what is missing in either may be what the
    difference comes from. ``despite`` names rules of evidence that either run may break.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_drop: float | None = Field(default=0.05, ge=0, le=1)
    no_worse_than: float | None = Field(default=None, gt=0, le=1)
    significantly_worse: bool = True
    max_missing: float | None = Field(default=0.0, ge=0, le=1)
    max_unanswered: float | None = Field(default=None, ge=0, le=1)
    max_ungraded: float | None = Field(default=0.0, ge=0, le=1)
    max_tokens_growth: float | None = Field(default=None, ge=0)
    despite: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """``word`` is GO or NO-GO; ``reasons`` are one line each, and there are some exactly for NO-GO."""

    word: str
    reasons: Sequence[str]


def compare_pairs(warehouse: Warehouse, a: str, b: str, margin: float | None = None) -> Comparison:
    """Compare two runs; with ``margin``, test them for equivalence too.

    Raises Refused where they have no scored problem in common, and where all that could be compared are
    the same trajectories.
    """
    means: dict[str, dict[str, ProblemAccuracy]] = {a: {}, b: {}}
    for row in warehouse.read(ProblemAccuracy, run_ids=[a, b]):
        means[row.run_id][row.problem_id] = row
    shared = sorted(means[a].keys() & means[b].keys())
    same = [
        name for name in shared if means[a][name].content_digest == means[b][name].content_digest
    ]
    if not same:
        raise Refused(f"runs {a} and {b} have scores for no problem in common")
    sharing, is_shared = sharing_of(warehouse, a, b, same)
    runs = {row.run_id: row for row in warehouse.read(ComparedRun, run_ids=[a, b])}
    first, second = ([means[run][name].accuracy for name in same] for run in (a, b))
    tested = None if margin is None else equivalence(first, second, margin, is_shared)
    pair = paired(first, second, is_shared)
    return Comparison(
        first=runs[a],
        second=runs[b],
        paired=pair,
        equivalence=tested,
        only_first=len(means[a]) - len(shared),
        only_second=len(means[b]) - len(shared),
        changed=len(shared) - len(same),
        graders=(_graders(means[a], same), _graders(means[b], same)),
        sharing=sharing,
        evidence=evidence_of(warehouse, (a, b), pair.detectable),
    )


def _graders(means: Mapping[str, ProblemAccuracy], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({version for name in names for version in means[name].graders}))


def decide(
    found: Comparison, criteria: Criteria, broken: Mapping[str, Sequence[CheckRow]]
) -> Decision:
    """GO, or every reason why not. ``broken`` are the checks of both runs with the rows they return."""
    reasons = tuple(_reasons(found, criteria, broken))
    return Decision(NO_GO if reasons else GO, reasons)


def _reasons(
    found: Comparison, criteria: Criteria, broken: Mapping[str, Sequence[CheckRow]]
) -> Iterator[str]:
    for check, rows in broken.items():
        if rows:
            yield f"check {check} finds {len(rows)} rows that break it"
    yield from _unproven(found.evidence, criteria)
    yield from _incomparable(found)
    pair = found.paired
    if criteria.max_drop is not None and pair.difference < -criteria.max_drop:
        yield f"accuracy fell by {_points(-pair.difference)}, {_points(criteria.max_drop)} are allowed"
    p = pair.permutation_p
    if criteria.significantly_worse and p is not None and p < SIGNIFICANT and pair.difference < 0:
        yield f"accuracy fell by {_points(-pair.difference)}, which is not chance (p = {p:.3f})"
    if (bound := criteria.no_worse_than) is not None:
        shown = pair.at_worst
        if shown is None or shown < -bound:
            at_worst = "nothing" if shown is None else f"{_points(-shown)} at worst"
            yield f"no worse than {_points(bound)} is not shown: {at_worst}, at 95 % confidence"
    if pair.independent < 2:
        yield f"only {pair.independent} problem has answers of its own in both runs: nothing is shown"
    for run in (found.first, found.second):
        yield from _missing(run, criteria)
    yield from _unanswered(found.second, criteria)
    yield from _growth(found, criteria)


def _unproven(evidence: Evidence, criteria: Criteria) -> Iterator[str]:
    """What is lacking of the evidence of either run, but for what has a criterion of its own."""
    for row in evidence.missing():
        if row.rule not in (*BY_CRITERIA, *criteria.despite):
            yield f"run {row.run_id} is not {row.part}: {row}"


def _incomparable(found: Comparison) -> Iterator[str]:
    if found.only_first or found.only_second or found.changed:
        yield (
            f"the problem sets differ: {found.only_first} problems only in the first, "
            f"{found.only_second} only in the second, {found.changed} changed"
        )
    if all(found.graders) and found.graders[0] != found.graders[1]:
        versions = " against ".join(", ".join(graders) for graders in found.graders)
        yield f"the graders differ: {versions}; grade both with pacore grade"


def _missing(run: ComparedRun, criteria: Criteria) -> Iterator[str]:
    limits = (
        ("missing", run.missing, run.missing_rate, criteria.max_missing),
        ("ungraded", run.ungraded, run.ungraded_rate, criteria.max_ungraded),
    )
    for what, count, rate, limit in limits:
        if limit is not None and rate is not None and rate > limit:
            allowed = f"{100 * limit:.1f} % are allowed"
            answers = f"{count:,} of {run.planned:,} answers are {what} ({100 * rate:.1f} %)"
            yield f"run {run.run_id}: {answers}, {allowed}"


def _unanswered(run: ComparedRun, criteria: Criteria) -> Iterator[str]:
    rate, limit = run.unanswered_rate, criteria.max_unanswered
    if limit is not None and rate is not None and rate > limit:
        yield f"{100 * rate:.1f} % of answers are none, {100 * limit:.1f} % are allowed"


def _growth(found: Comparison, criteria: Criteria) -> Iterator[str]:
    before, after = found.first.tokens_per_answer, found.second.tokens_per_answer
    if criteria.max_tokens_growth is None or not before or after is None:
        return
    growth = after / before - 1
    if growth > criteria.max_tokens_growth:
        allowed = f"{100 * criteria.max_tokens_growth:.0f} % are allowed"
        yield f"an answer takes {100 * growth:.0f} % more tokens, {allowed}"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
