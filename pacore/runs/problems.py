"""The first and the last step of a run.

The stage `problems` reads and freezes the problem set, opens the run and finds its unfinished shards;
at the end a snapshot freezes what there is, and a run with nothing left to do is closed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pacore.core.config.command import resume_command_line
from pacore.core.config.run import RunConfig
from pacore.engine.opening import resolve_recipe
from pacore.errors import Refused
from pacore.problems.survey import ProblemSurvey, survey_problems
from pacore.runs.planning.budget import SharedBudget
from pacore.runs.planning.together import RuleNeed, no_need_known
from pacore.runs.start import start_run
from pacore.runs.work import OpenShard, Work
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import committed_units, current_commits, read_commits, write_snapshot
from pacore.store.layout import OWN, Unit
from pacore.store.retries import count_retries, read_retries
from pacore.store.run import Run, add_budget_stop, close_run, end_counts, is_closed


def begin(
    config: RunConfig,
    on_survey: Callable[[ProblemSurvey], None] | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Run:
    """Open or start the run of a configuration, as of now. Raises BadInput and Refused, nothing written.

    ``on_survey`` is called with the problem set as it was read, ``on_step`` with what is done next.
    """
    config = config.at(datetime.now(UTC))
    on_step(f"reading the problem set {config.problems}")
    found = survey_problems(config.problems, config.limit, config.fields)
    on_step(f"reading the files of model {config.model}")
    recipe = resolve_recipe(config)
    on_step(f"opening the run in {config.store}")
    run = start_run(open_store(config.store), config, recipe, found.problems)
    if on_survey is not None:
        on_survey(found)
    return run


def open_work(
    config: RunConfig,
    shared_budgets: Sequence[SharedBudget] = (),
    rule_need: RuleNeed = no_need_known,
) -> Work:
    """Begin the run of a configuration and open it for work, within the budgets that it shares with other
    runs; raises as `begin` and `Work.of` do.
    """
    run = begin(config)
    shards = open_shards(open_store(config.store), run)
    return Work.of(config, run, shards, shared_budgets, rule_need)


def check_engine(config: RunConfig) -> None:
    """Begin the run of a configuration, and open its engine if a request will need it.

    Raises EngineUnavailable where that cannot be had, and as `begin` does.
    """
    with open_work(config) as work:
        if work.left:
            work.open_engine()


def open_shards(store: Backend, run: Run) -> list[OpenShard]:
    """The shards with work left, and the revision to publish it under.

    A shard is done when its own verdicts are committed, with every retry of its slots in them, and no
    tombstone of it would be tried again; otherwise it goes on where it stopped, or opens under its
    next revision.
    """
    if is_closed(store, run.run_id):
        return []
    revisions, at_end = _revisions(store, run)
    again = _retried_since(store, run, at_end) | _with_tombstones(store, run, at_end)
    found = []
    for shard in run.shards:
        revision = revisions.get(shard.name, 0)
        if shard.name not in at_end:
            found.append(OpenShard(shard.number, revision))
        elif shard.name in again:
            found.append(OpenShard(shard.number, revision + 1))
    return found


def is_at_end(store: Backend, run: Run) -> bool:
    """Whether every shard has come to its end, retries included; tombstones may be left."""
    if is_closed(store, run.run_id):
        return True
    _, at_end = _revisions(store, run)
    return len(at_end) == len(run.shards) and not _retried_since(store, run, at_end)


def refuse_unfinished(store: Backend, run: Run) -> None:
    """Raise Refused for a run that has not ended, since results of a part of it would mislead."""
    if not is_at_end(store, run):
        raise Refused(
            f"run {run.run_id} is not at its end; finish it first: "
            f"{resume_command_line(store.url, run.run_id)}"
        )


def _revisions(store: Backend, run: Run) -> tuple[dict[str, int], dict[str, int]]:
    """The last revision of each shard that has begun, and of those where it has its own verdicts."""
    revisions: dict[str, int] = {}
    finished: dict[str, int] = {}
    for unit in committed_units(store, run.run_id):
        revisions[unit.shard] = max(unit.revision, revisions.get(unit.shard, 0))
        if unit.grading == OWN:
            finished[unit.shard] = max(unit.revision, finished.get(unit.shard, 0))
    at_end = {name: last for name, last in finished.items() if revisions[name] == last}
    return revisions, at_end


def _with_tombstones(store: Backend, run: Run, at_end: dict[str, int]) -> set[str]:
    """The shards in which a tombstone would be tried again."""
    last = run.plan.rounds
    answers = [Unit(run.run_id, "answers", last, *ended) for ended in at_end.items()]
    return {
        commit.unit.shard
        for commit in read_commits(store, answers)
        if commit.counts["retryable"] > 0
    }


def _retried_since(store: Backend, run: Run, at_end: dict[str, int]) -> set[str]:
    """The shards with slots that were chosen for a retry after their last revision began."""
    wanted: dict[str, int] = {}
    for record in read_retries(store, run.run_id):
        names = [run.shards[number].name for number in record.shards]
        wanted |= dict.fromkeys(names, record.sequence + 1)
    begun = [
        Unit(run.run_id, "trajectories", 1, *ended)
        for ended in at_end.items()
        if ended[0] in wanted
    ]
    return {
        commit.unit.shard
        for commit in read_commits(store, begun)
        if commit.counts.get("retries", 0) < wanted[commit.unit.shard]
    }


def close(store: Backend, run: Run) -> dict[str, int]:
    """Write a snapshot, close the run if every shard is done, and return its counts."""
    # Counted before anything else is read: this end does not cover a retry that comes later.
    retries = count_retries(store, run.run_id)
    write_snapshot(store, run.run_id)
    counts = run_counts(store, run)
    if not open_shards(store, run):
        close_run(store, run, counts, retries)
    return counts


def note_budget_stop(work: Work) -> None:
    """Record that a run was stopped by its budget, if it was."""
    account = work.budget
    if account is not None and account.stopped is not None:
        spent = account.spent
        money = None if account.price is None else spent.money
        why = str(account.stopped)
        add_budget_stop(work.store, work.run.run_id, why, round(spent.tokens), money)


def run_counts(store: Backend, run: Run) -> dict[str, int]:
    """Answered, no_answer, failed and retryable answers committed so far."""
    counts: Counter[str] = Counter(answered=0, no_answer=0, failed=0, retryable=0)
    if (ended := end_counts(store, run.run_id)) is not None:
        return {**counts, **ended}
    for commit in current_commits(store, run.run_id, "answers"):
        counts.update(commit.counts)
    return dict(counts)
