"""Two runs compared, problem by problem, and whether the second may replace the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pacore.errors import BadInput, Refused
from pacore.evaluation.sharing import Sharing, same_trajectories, sharing_of
from pacore.evaluation.statistics.paired import Equivalence, Paired, equivalence, paired
from pacore.store.run import headline, open_run
from pacore.warehouse.views import Warehouse

GO, NO_GO = "GO", "NO-GO"


SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Comparison:
    """Run B against run A over the problems both have scores for.

    ``first`` and ``second`` are the runs' rows of accuracy, rates and cost. ``only_first`` and
    ``only_second`` count problems that the other has not scored, ``changed`` those of one id that
    ask or expect something else, which are left out. ``graders`` are the versions that decided
    on the answers of each. ``sharing`` says how much of what is compared is the same.
    """

    first: Mapping[str, Any]
    second: Mapping[str, Any]
    paired: Paired
    equivalence: Equivalence | None
    only_first: int
    only_second: int
    changed: int
    graders: tuple[tuple[str, ...], tuple[str, ...]]
    sharing: Sharing


class Criteria(BaseModel):
    """What a run must meet beside another to be let through; None asks nothing.

    ``max_missing`` and ``max_ungraded`` hold for both runs: what is missing in either may be what the
    difference comes from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_drop: float | None = Field(default=0.05, ge=0, le=1)
    no_worse_than: float | None = Field(default=None, gt=0, le=1)
    significantly_worse: bool = True
    max_missing: float | None = Field(default=0.0, ge=0, le=1)
    max_unanswered: float | None = Field(default=None, ge=0, le=1)
    max_ungraded: float | None = Field(default=0.0, ge=0, le=1)
    max_tokens_growth: float | None = Field(default=None, ge=0)


@dataclass(frozen=True)
class Decision:
    """``reasons`` are one line each; there are some exactly where it is NO-GO."""

    reasons: Sequence[str] = field(default_factory=tuple)

    @property
    def word(self) -> str:
        return NO_GO if self.reasons else GO


def compare_pairs(warehouse: Warehouse, a: str, b: str, margin: float | None = None) -> Comparison:
    """Compare two runs; ``margin`` asks for a test of equivalence too.

    Raises Refused where they have no scored problem in common, and where all that could be compared are
    the same trajectories.
    """
    scores: dict[str, dict[str, dict[str, Any]]] = {a: {}, b: {}}
    for row in warehouse.rows("reports/problem_scores", run_ids=[a, b]):
        scores[row["run_id"]][row["problem_id"]] = row
    shared = sorted(scores[a].keys() & scores[b].keys())
    same = [
        name
        for name in shared
        if scores[a][name]["content_digest"] == scores[b][name]["content_digest"]
    ]
    if not same:
        raise Refused(f"runs {a} and {b} have scores for no problem in common")
    sharing = sharing_of(warehouse, a, b, same)
    is_shared = [sharing.is_same[name] for name in same]
    runs = {row["run_id"]: row for row in warehouse.rows("reports/compared", run_ids=[a, b])}
    first, second = ([scores[run][name]["score"] for name in same] for run in (a, b))
    tested = None if margin is None else equivalence(first, second, margin, is_shared)
    return Comparison(
        first=runs[a],
        second=runs[b],
        paired=paired(first, second, is_shared),
        equivalence=tested,
        only_first=len(scores[a]) - len(shared),
        only_second=len(scores[b]) - len(shared),
        changed=len(shared) - len(same),
        graders=(_graders(scores[a], same), _graders(scores[b], same)),
        sharing=sharing,
    )


def _graders(scores: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({version for name in names for version in scores[name]["graders"]}))


def decide(
    found: Comparison, criteria: Criteria, broken: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Decision:
    """GO, or every reason why not. ``broken`` are the checks of both runs with the rows they found."""
    return Decision(tuple(_reasons(found, criteria, broken)))


def _reasons(
    found: Comparison, criteria: Criteria, broken: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[str]:
    for check, rows in broken.items():
        if rows:
            yield f"check {check} finds {len(rows)} rows that break it"
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


def _incomparable(found: Comparison) -> Iterator[str]:
    if found.only_first or found.only_second or found.changed:
        yield (
            f"the problem sets differ: {found.only_first} problems only in the first, "
            f"{found.only_second} only in the second, {found.changed} changed"
        )
    if all(found.graders) and found.graders[0] != found.graders[1]:
        versions = " against ".join(", ".join(graders) for graders in found.graders)
        yield f"the graders differ: {versions}; grade both with pacore grade"


def _missing(run: Mapping[str, Any], criteria: Criteria) -> Iterator[str]:
    limits = (
        ("missing", run["missing"], run["missing_rate"], criteria.max_missing),
        ("ungraded", run["ungraded"], run["ungraded_rate"], criteria.max_ungraded),
    )
    for what, count, rate, limit in limits:
        if limit is not None and rate is not None and rate > limit:
            allowed = f"{100 * limit:.1f} % are allowed"
            answers = f"{count:,} of {run['planned']:,} answers are {what} ({100 * rate:.1f} %)"
            yield f"run {run['run_id']}: {answers}, {allowed}"


def _unanswered(run: Mapping[str, Any], criteria: Criteria) -> Iterator[str]:
    rate, limit = run["unanswered_rate"], criteria.max_unanswered
    if limit is not None and rate is not None and rate > limit:
        yield f"{100 * rate:.1f} % of answers are none, {100 * limit:.1f} % are allowed"


def _growth(found: Comparison, criteria: Criteria) -> Iterator[str]:
    before, after = found.first["tokens_per_answer"], found.second["tokens_per_answer"]
    if criteria.max_tokens_growth is None or not before or after is None:
        return
    growth = after / before - 1
    if growth > criteria.max_tokens_growth:
        allowed = f"{100 * criteria.max_tokens_growth:.0f} % are allowed"
        yield f"an answer takes {100 * growth:.0f} % more tokens, {allowed}"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


@dataclass(frozen=True)
class Compared:
    """Two sides that judge the same things. ``report`` and ``counts`` name the SQL of their flips.

    ``noun`` is what is judged; ``sides`` say in a line what is before and what is after.
    """

    report: str
    counts: str
    parameters: Mapping[str, str]
    noun: str
    title: str
    sides: tuple[str, str]


def compare_gradings(
    warehouse: Warehouse, run_id: str, before: str | None, after: str | None
) -> Compared:
    """Two gradings of a run; without names, the two last finished against the gold.

    A grading is named by its id or the beginning of it, the run's own by ``run``. Raises BadInput
    for a name that is none or several, Refused where there is one grading alone.
    """
    run = open_run(warehouse.store, run_id)
    known = warehouse.rows("reports/all_gradings", run_id=run_id)
    finished = [row for row in known if row["finished_at"] and row["against"] == "gold"]
    given = {
        "from": _named(known, "from", before) if before is not None else None,
        "to": _named(known, "to", after) if after is not None else None,
    }
    later = given["to"] or _last(finished, other_than=given["from"])
    earlier = given["from"] or _last(
        [row for row in finished if row["sequence"] < later["sequence"]] or finished,
        other_than=later,
    )
    return Compared(
        "reports/flips",
        "reports/flip_counts",
        {"run_id": run_id, "before": earlier["grading"], "after": later["grading"]},
        "trajectories",
        headline(run),
        (_stated(earlier), _stated(later)),
    )


def _last(rows: Sequence[dict[str, Any]], other_than: dict[str, Any] | None) -> dict[str, Any]:
    found = [row for row in rows if row != other_than]
    if not found:
        raise Refused("there is one grading only; pacore grade makes another")
    return found[-1]


def _named(rows: Sequence[dict[str, Any]], flag: str, name: str) -> dict[str, Any]:
    """The grading a person means. Raises BadInput naming those there are."""
    found = [row for row in rows if row["grading"] == name] or [
        row for row in rows if name and row["grading"].startswith(name)
    ]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(_stated(row) for row in found or rows)
    what = "may be any of" if found else "is no grading of the run; there are"
    raise BadInput(f"--{flag} {name}: {what} {listed}")


def _stated(row: Mapping[str, Any]) -> str:
    """``95f51533 (auto: math 4+mpmath-1.3.0+sympy-1.14.0)``; of the run's own ``run (auto)``."""
    by = ": ".join(part for part in (row["grader"], row["grader_version"]) if part)
    ended = "" if row["finished_at"] else ", not finished"
    return f"{row['grading']} ({by}{ended})"


def compare_runs(warehouse: Warehouse, before: str, after: str) -> Compared:
    """The answers of two runs to problems both have, by their current scores.

    Raises Refused where there is not one such answer, and where all are the same trajectories.
    """
    runs = [open_run(warehouse.store, run_id) for run_id in (before, after)]
    compared = Compared(
        "reports/run_flips",
        "reports/run_flip_counts",
        {"before": before, "after": after},
        "answers",
        f"runs {before} and {after}",
        (headline(runs[0]), headline(runs[1])),
    )
    counts = warehouse.rows(compared.counts, **compared.parameters)
    answers = sum(row["answers"] for row in counts)
    if not answers:
        raise Refused(
            f"runs {before} and {after} have no problem in common that both answered and whose gold "
            "answer is the same"
        )
    if sum(row["shared"] for row in counts) == answers:
        raise Refused(same_trajectories(after, before, answers))
    return compared
