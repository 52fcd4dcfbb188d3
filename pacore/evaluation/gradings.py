"""Gradings in progress: which grading a run needs, the shards it has not graded yet, and its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pacore.core.grading.choose import AUTO, is_by_rules, judged_by, stated_version
from pacore.core.plan import Shard
from pacore.errors import BadInput, Refused
from pacore.runs.problems import refuse_unfinished
from pacore.runs.verdicts import OpenGrading, UngradedShard
from pacore.sandbox.grade import grader_version
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_commits, current_units, write_snapshot
from pacore.store.gradings import Grading, GradingRecord, finish_grading, lacking, read_gradings
from pacore.store.run import Run, problems_of


def grading_by(store: Backend, run: Run, grader: str) -> Grading:
    """The grading of a run by ``grader``, with the versions of everything that decides on answers.

    Reads the problem set once. Raises BadInput for a grader that is a model, Refused for a run without
    a problem that rules can grade.
    """
    if not is_by_rules(grader):
        raise BadInput(f"--grader {grader}: is a model, and no rule can take its place")
    found = (
        judged_by(grader, "gold", problem)
        for problem in problems_of(store, run, Shard(0, 0, run.problems))
    )
    specs = {by[0] for by in found if by is not None}
    if not specs:
        raise Refused(
            f"run {run.run_id}: no problem of it has a gold answer that rules can grade against"
        )
    return Grading(grader, stated_version(grader, {spec: grader_version(spec) for spec in specs}))


def last_finished(store: Backend, run_id: str) -> GradingRecord | None:
    """The last grading against gold answers that was ever finished, whether it is current or not."""
    found = [
        record
        for record in read_gradings(store, run_id)
        if record.finished_at is not None and record.grading.against == "gold"
    ]
    return found[-1] if found else None


def wanted_grading(store: Backend, run: Run, grader: str | None) -> Grading:
    """The grading of a run by ``grader``; None is the grader it was last graded by.

    That one grades again where its version has changed; a grading by a judge stays as it is. Raises
    as `grading_by`, and Refused for a run that is not finished.
    """
    refuse_unfinished(store, run)
    last = last_finished(store, run.run_id) if grader is None else None
    if last is None:
        return grading_by(store, run, grader or AUTO)
    if is_by_rules(last.grading.grader):
        return grading_by(store, run, last.grading.grader)
    return last.grading


def ungraded(opened: OpenGrading) -> list[UngradedShard]:
    """The shards with current trajectories that have no verdict, in their order."""
    return _by_shard(opened, opened.grading.grading_id)


def every_shard(opened: OpenGrading) -> list[UngradedShard]:
    """All shards with all their rounds, as if none had a verdict yet."""
    return _by_shard(opened, "")


def _by_shard(opened: OpenGrading, grading_id: str) -> list[UngradedShard]:
    units = current_units(opened.store, opened.run.run_id)
    rounds: dict[tuple[str, int], list[int]] = {}
    for unit in lacking(units, grading_id):
        rounds.setdefault((unit.shard, unit.revision), []).append(unit.round)
    numbers = {shard.name: shard.number for shard in opened.run.shards}
    return sorted(
        UngradedShard(numbers[name], revision, tuple(sorted(found)))
        for (name, revision), found in rounds.items()
    )


def count_trajectories(opened: OpenGrading, works: Iterable[UngradedShard]) -> None:
    """Tell the progress how many trajectories there are, and how many had their verdicts before."""
    left = {
        (opened.run.shards[work.number].name, round_) for work in works for round_ in work.rounds
    }
    for commit in current_commits(opened.store, opened.run.run_id, "trajectories"):
        slots = commit.counts["slots"]
        done = slots if (commit.unit.shard, commit.unit.round) not in left else 0
        opened.progress.add(planned=slots, reused=done)


def verdict_counts(opened: OpenGrading) -> dict[str, int]:
    """How many verdicts of each kind the grading has published on current trajectories."""
    own = opened.grading.grading_id
    counts: Counter[str] = Counter()
    for commit in current_commits(opened.store, opened.run.run_id, "verdicts"):
        if commit.grading == own:
            counts.update(commit.counts)
    return dict(counts)


def end(opened: OpenGrading) -> None:
    """Make the verdicts part of the run's tables, and record that the grading is finished.

    A second time changes nothing. Raises Refused where a retry replaced trajectories meanwhile.
    """
    if ungraded(opened):
        raise Refused(
            f"run {opened.run.run_id}: trajectories were replaced while they were graded; the same "
            "command grades those that came"
        )
    # The snapshot comes first: a grading that is recorded as finished is there to be read.
    write_snapshot(opened.store, opened.run.run_id)
    finish_grading(opened.store, opened.run.run_id, opened.record, verdict_counts(opened))
