"""What of an earlier run a plan can use, and why it cannot use the rest.

Read-only. The journal alone decides what is reused; this explains it: which earlier run is nearest,
which fields of its identity differ, and which stored trajectories each difference makes stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from pacore.core.config.run import differences
from pacore.core.plan import Plan, Shard, StepKind
from pacore.core.problem import Problem
from pacore.core.prompt import prompt_digest
from pacore.core.trajectory import UNFINISHED
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_commits
from pacore.store.run import Run, list_runs, open_runs, problems_of

_LISTED = 3


PROMPT_FIELDS = (
    "plan.message_order",
    "plan.compaction",
    "plan.truncated",
    "plan.tail_tokens",
)
"""Fields that shape what the messages of a round are, and so the prompts of later ones."""

_QUORUM = ": no stored prompt changes, but which problems go on may"


TEMPLATES_OF_STEPS: dict[str, StepKind] = {
    "condense_template": "condense",
    "distill_template": "distill",
}


STEP_FIELDS: dict[str, StepKind] = {
    "plan.summary_tokens": "condense",
    "plan.workspace_tokens": "distill",
    **TEMPLATES_OF_STEPS,
}
"""Fields of the rounds of one kind: other prompts from the first of them on."""

EFFECTS = {
    "plan.pool": ": other draws of round 1",
    "plan.min_messages": _QUORUM,
    "plan.on_shortfall": _QUORUM,
    "plan.refills": _QUORUM,
    "plan.overflow": ": only prompts longer than the window change",
    "plan.subset": ": only prompts over more messages than that change",
    "plan.select": ": only prompts over more messages than subset has change",
    "plan.scorer": ": only prompts of other messages change",
    "plan.stopping": ": no draw changes, but the messages with which a round goes on may",
}
"""What a change of the other fields of a plan does."""


@dataclass(frozen=True)
class Planned:
    """The identity of the run that a plan is of, and its problems."""

    identity: dict[str, Any]
    problems: Sequence[Problem]


@dataclass(frozen=True)
class Differing:
    """An earlier run compared with a plan: their ``differences``, and the run's problems by id.

    ``shared`` counts the problems whose text both have.
    """

    run: Run
    problems: Mapping[str, Problem]
    differences: Sequence[str]
    shared: int

    @property
    def distance(self) -> tuple[int, int, int]:
        """Smaller is nearer: fields that make everything stale, problems not shared, other fields."""
        fatal = sum(change.startswith(("recipe.", "template")) for change in self.differences)
        return fatal, -self.shared, len(self.differences)


def reasons(earlier: Differing, planned: Planned, stored: Mapping[int, int]) -> Iterator[str]:
    """Each difference, and what it makes stale, a line each.

    ``stored`` counts the finished trajectories of the earlier run by 1-based round.
    """
    run = earlier.run
    total = sum(stored.values())
    plan = Plan.from_json(planned.identity["plan"])
    is_same_recipe = not any(change.startswith("recipe.") for change in earlier.differences)
    for change in earlier.differences:
        field = change.partition(": ")[0]
        if field.startswith("recipe."):
            yield (
                f"{change}: all {total:,} stored trajectories of run {run.run_id} were made under other "
                "settings"
            )
        elif field == "template":
            yield f"template: another synthesis prompt; {_later(run, stored, 2)}"
        elif field in TEMPLATES_OF_STEPS.keys() - (run.identity.keys() & planned.identity.keys()):
            continue  # It came or went with a kind of round, which fields of the plan show already.
        elif field in STEP_FIELDS:
            first = _first_of(STEP_FIELDS[field], run.plan, plan)
            yield f"{change}: other prompts; {_later(run, stored, first)}"
        elif field == "plan.widths" and is_same_recipe:
            yield f"{change}: {_widths(run, plan, stored)}"
        elif field in PROMPT_FIELDS:
            yield f"{change}: other messages make other prompts; {_later(run, stored, 2)}"
        elif field == "plan.replicates" and is_same_recipe and plan.pool == run.plan.pool is None:
            yield f"{change}: {_replicates(run.plan, plan)}"
        elif field == "problem_set":
            yield from _problem_changes(earlier, planned)
        else:
            yield f"{change}{EFFECTS.get(field, '')}"


def _later(run: Run, stored: Mapping[int, int], first: int) -> str:
    """What is lost where the prompts of a round and all after it are others."""
    lost = sum(number for round_, number in stored.items() if round_ >= first)
    rounds = (
        f"round {first}" if first >= run.plan.rounds else f"rounds {first} to {run.plan.rounds}"
    )
    return f"all {lost:,} stored trajectories of {rounds} were made under other settings"


def _first_of(kind: StepKind, *plans: Plan) -> int:
    """The first round of a kind in any of some plans; the second where none has any."""
    rounds = (enumerate(plan.steps, 1) for plan in plans)
    return min((one for steps in rounds for one, step in steps if step.kind == kind), default=2)


def _widths(run: Run, plan: Plan, stored: Mapping[int, int]) -> str:
    """Up to the first round of another width everything is the same, after it nothing is.

    Nothing but summaries, each of which is made of one message alone.
    """
    before, after = run.plan.steps, plan.steps
    alike = takewhile(lambda pair: pair[0].label == pair[1].label, zip(before, after, strict=False))
    first = len(list(alike)) + 1
    if first > min(len(before), len(after)):
        return f"the same up to round {first - 1}"
    kept = f"round {first} takes other draws of its pool"
    if plan.pool is None and run.plan.pool is None:
        old, new = _draws(run.plan, first), _draws(plan, first)
        kept = f"{len(old & new):,} of {len(new):,} draws of round {first} reused"
    if first >= run.plan.rounds:
        return kept
    later = first + 1 + (before[first].kind == "condense")
    return f"{kept}; other messages make other prompts; {_later(run, stored, later)}"


def _draws(plan: Plan, round_: int) -> set[tuple[int, int]]:
    """The draws a plan without a pool takes of a problem in a round.

    In round 1 all replicates share a prompt; later each has its own.
    """
    return {
        (0 if round_ == 1 else replicate, draw)
        for replicate in range(plan.replicates)
        for draw in plan.draws("", "", round_, replicate)
    }


def _replicates(before: Plan, after: Plan) -> str:
    if after.replicates > before.replicates:
        more = after.replicates - before.replicates
        return f"{_passes(before.replicates)} reused, {more} more to make"
    return f"{_passes(before.replicates - after.replicates)} not needed"


def _passes(count: int) -> str:
    return f"{count:,} pass{'es' if count > 1 else ''} over each problem"


def _problem_changes(earlier: Differing, planned: Planned) -> Iterator[str]:
    """Which problems are new, gone, or have another text, gold answer or grader than before."""
    theirs, ours = earlier.problems, {problem.problem_id: problem for problem in planned.problems}
    both = sorted(theirs.keys() & ours.keys())
    reworded = [one for one in both if theirs[one].turns != ours[one].turns]
    graded = [
        one
        for one in both
        if one not in reworded and theirs[one].content_digest != ours[one].content_digest
    ]
    if reworded:
        yield f"problem text: changed in {_listed(reworded)}, of which nothing stored is reused"
    if graded:
        yield f"gold answer or grader: changed in {_listed(graded)}; only graded again"
    if new := sorted(ours.keys() - theirs.keys()):
        yield f"problem set: {_listed(new)} not in run {earlier.run.run_id}"
    if gone := sorted(theirs.keys() - ours.keys()):
        yield f"problem set: {_listed(gone)} of run {earlier.run.run_id} not in the plan"


def _listed(problem_ids: list[str]) -> str:
    count = f"{len(problem_ids):,} problem{'s' if len(problem_ids) > 1 else ''}"
    shown = ", ".join(problem_ids[:_LISTED])
    return f"{count} ({shown}{', …' if len(problem_ids) > _LISTED else ''})"


@dataclass(frozen=True)
class Earlier:
    """The earlier run nearest to a plan.

    ``stored`` counts its finished trajectories and ``stale`` those of them that the plan has no use
    for, both by 1-based round. ``changes`` are the reasons, a line each; none means it is the same run.
    """

    run_id: str
    problems: int
    shared: int
    stored: dict[int, int]
    stale: dict[int, int]
    changes: list[str]


def nearest(store: Backend, planned: Planned, used: Set[str]) -> Earlier | None:
    """The run that shares problems with a plan and differs from it least; the newest of several.

    ``used`` has the ids of the stored trajectories that the plan does use. Imported runs, whose
    trajectories no plan can use, are left out.
    """
    wanted = {prompt_digest(problem.turns) for problem in planned.problems}
    wanted_ids = {problem.problem_id for problem in planned.problems}
    sets: dict[str, dict[str, Problem]] = {}
    near: list[Differing] = []
    runs = [run for run in open_runs(store, list_runs(store)) if not run.is_imported]
    for run in sorted(runs, key=lambda run: run.created_at, reverse=True):
        if run.problem_set not in sets:
            sets[run.problem_set] = _problems(store, run)
        theirs = sets[run.problem_set]
        shared = sum(prompt_digest(problem.turns) in wanted for problem in theirs.values())
        if shared or wanted_ids & theirs.keys():
            changes = differences(run.identity, planned.identity)
            near.append(Differing(run, theirs, changes, shared))
    if not near:
        return None
    found = min(near, key=lambda one: one.distance)
    stored, stale = _counts(store, found.run, used)
    changes = list(reasons(found, planned, stored))
    return Earlier(found.run.run_id, len(found.problems), found.shared, stored, stale, changes)


def _problems(store: Backend, run: Run) -> dict[str, Problem]:
    whole = Shard(0, 0, run.problems)
    return {problem.problem_id: problem for problem in problems_of(store, run, whole)}


def _counts(store: Backend, run: Run, used: Set[str]) -> tuple[dict[int, int], dict[int, int]]:
    """Finished trajectories of a run by round: all, and those that are not ``used``."""
    from pacore.store.parquet import read_rows

    stored: Counter[int] = Counter()
    stale: Counter[int] = Counter()
    for commit in current_commits(store, run.run_id, "trajectories"):
        try:
            file = store.open(commit.path)
        except KeyError:
            raise StoreError(f"{commit.path}: is missing from the store") from None
        with file:
            for row in read_rows(file, ["trajectory_id", "finish_reason"]):
                is_finished = row["finish_reason"] not in UNFINISHED
                stored[commit.unit.round] += is_finished
                stale[commit.unit.round] += is_finished and row["trajectory_id"] not in used
    return dict(stored), dict(stale)
