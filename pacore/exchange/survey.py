"""Surveys a file before it is imported: its problems, its plan, and all issues.

Every problem of a run has the same number of replicates. Where a file has more responses to some
problems than to others, the smallest number is used for all of them, or the requested number, which
leaves out the problems with fewer. Everything that is left out is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from pacore.core.plan import Plan
from pacore.core.problem import Placed, Problem
from pacore.core.prompt import prompt_digest
from pacore.errors import BadInput
from pacore.exchange.reader import PassReader
from pacore.exchange.reference import ImportedPass
from pacore.problems.issues import BadProblems, RowIssue, merge

_MOST_LISTED = 5


@dataclass
class Survey:
    """The content to import. ``notes`` has a line for each part that is left out, with the reason."""

    reader: PassReader
    problems: list[Problem]
    plan: Plan
    notes: list[str] = field(default_factory=list)

    def passes(self) -> Iterator[tuple[Problem, int, ImportedPass]]:
        """Every pass with its problem and its 0-based replicate, in the order of the file."""
        kept = {problem.problem_id: problem for problem in self.problems}
        seen: Counter[str] = Counter()
        for found in self.reader:
            if isinstance(found, list):
                continue
            problem_id = found.problem.problem_id
            for one in found.passes if problem_id in kept else ():
                if seen[problem_id] < self.plan.replicates:
                    yield kept[problem_id], seen[problem_id], one
                    seen[problem_id] += 1


@dataclass
class _Counts:
    """What the first reading of the file collects."""

    stated: list[Placed] = field(default_factory=list)
    passes: Counter[str] = field(default_factory=Counter)
    shape: tuple[int, ...] | None = None
    shape_line: int = 0
    issues: list[RowIssue] = field(default_factory=list)


def survey_file(reader: PassReader, replicates: int | None = None) -> Survey:
    """Read the file once, without keeping it in memory. Raises BadProblems naming every bad row.

    ``replicates`` is the number of passes to import for each problem; None for the smallest number
    that a problem has.
    """
    url = reader.source.url
    seen = _Counts()
    for found in reader:
        if isinstance(found, list):
            seen.issues += found
            continue
        seen.stated.append(Placed(found.problem, url, found.line))
        seen.passes[found.problem.problem_id] += len(found.passes)
        for one in found.passes:
            _check_shape(one, url, found.line, seen)
    problems, duplicates = merge(seen.stated)
    issues = [*seen.issues, *duplicates, *_same_prompts(problems, url)]
    if issues:
        raise BadProblems(sorted(issues, key=lambda issue: issue.line))
    if not problems:
        raise BadInput(f"{url}: has no rows")
    if seen.shape is None:
        raise BadInput(f"{url}: no row has a trajectory; every one of them is an error")
    return _planned(reader, problems, seen, replicates)


def _check_shape(one: ImportedPass, url: str, line: int, seen: _Counts) -> None:
    """Note an issue for a pass whose rounds differ from those of the first."""
    if one.fault is not None:
        return
    shape = tuple(len(responses) for responses in one.rounds)
    if seen.shape is None:
        seen.shape, seen.shape_line = shape, line
    if shape != seen.shape:
        what = f"has {list(shape)} responses where line {seen.shape_line} has {list(seen.shape)}"
        seen.issues.append(RowIssue(url, line, "round_responses", what))


def _same_prompts(problems: list[Problem], url: str) -> Iterator[RowIssue]:
    """Issues for problems with the same turns, whose trajectories would have the same ids."""
    firsts: dict[str, str] = {}
    for problem in problems:
        first = firsts.setdefault(prompt_digest(problem.turns), problem.problem_id)
        if first != problem.problem_id:
            what = (
                f"problems {first!r} and {problem.problem_id!r} have the same turns; "
                "keep one of them"
            )
            yield RowIssue(url, 0, "", what)


def _planned(
    reader: PassReader, problems: list[Problem], seen: _Counts, replicates: int | None
) -> Survey:
    assert seen.shape is not None
    counts = [seen.passes[problem.problem_id] for problem in problems]
    wanted = replicates if replicates is not None else min(counts)
    kept = [problem for problem in problems if seen.passes[problem.problem_id] >= wanted]
    if not kept:
        raise BadInput(f"--replicates {wanted}: no problem has more than {max(counts)}")
    plan = Plan(widths=seen.shape[:-1], replicates=wanted)
    if len(seen.shape) > 1:
        plan = Plan(widths=seen.shape[:-1], replicates=wanted, message_order="reference")
    notes = list(_notes(reader, problems, kept, seen.passes, wanted))
    return Survey(reader, kept, plan, notes)


def _notes(
    reader: PassReader,
    problems: list[Problem],
    kept: list[Problem],
    passes: Counter[str],
    wanted: int,
) -> Iterator[str]:
    kept_ids = {problem.problem_id for problem in kept}
    fewer = [p.problem_id for p in problems if p.problem_id not in kept_ids]
    if fewer:
        yield f"left out: {_listed(fewer)} with fewer than {wanted} passes in the file"
    if more := sum(passes[problem_id] - wanted for problem_id in kept_ids):
        counts = [passes[problem.problem_id] for problem in problems]
        yield (
            f"left out: {more:,} passes beyond the first {wanted} of a problem; the file has "
            f"{min(counts)} to {max(counts)} of each; --replicates sets the number to import"
        )
    known = {problem.problem_id for problem in problems}
    absent = [p.problem_id for p in reader.problems or () if p.problem_id not in known]
    if absent:
        yield f"not in the file: {_listed(absent)} of the problem set"


def _listed(problem_ids: list[str]) -> str:
    count = f"{len(problem_ids):,} problem{'s' if len(problem_ids) > 1 else ''}"
    shown = ", ".join(problem_ids[:_MOST_LISTED])
    return f"{count} ({shown}{', …' if len(problem_ids) > _MOST_LISTED else ''})"
