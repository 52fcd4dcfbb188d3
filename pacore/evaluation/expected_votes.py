"""What a judge's votes are expected to take, before the answers that they are about are there.

How many questions follow from so many trajectories, how many votes on them are new and how long these are
is taken from the last votes of the same judge in the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacore.core.config.run import RunConfig
from pacore.core.grading.judge import votes_of
from pacore.core.grading.spec import Against, parse_spec
from pacore.core.plan import Shard
from pacore.runs.dispatch.budget import NOTHING, Amount
from pacore.runs.planning.expected import MOST_RUNS, UNREADABLE
from pacore.runs.planning.together import NO_NEEDS, Needs, RunToMake, price_of
from pacore.runs.unpublished import Published
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_units
from pacore.store.run import Run, is_closed, list_runs, open_run, open_runs, problems_of


def expected_votes(judged: RunToMake, judge: RunConfig, grader: str, against: Against) -> Needs:
    """What the votes of a judge on all answers of a run are expected to take; nothing where they are there.

    ``judge`` are the settings of the votes, of which only model and prices count. Of votes of whose like
    the store has none that can be read, only their greatest number is known. Raises BadInput, StoreError.
    """
    config, problems = judged
    store = open_store(config.store)
    earlier = list(_like(store, judge.model, against))
    if any(one.run_id.startswith(f"{config.run_id}.judge-") for one, _ in earlier):
        return NO_NEEDS
    _, each = votes_of(parse_spec(grader))
    most = len(problems) * config.plan.trajectories_a_problem * each
    for last, about in sorted(earlier, key=lambda pair: pair[0].created_at, reverse=True):
        try:
            total = Published.of(store, current_units(store, last.run_id)).total
        except UNREADABLE:
            continue
        scale = most / (about.trajectories * last.plan.replicates)
        tokens = scale * total("completion_tokens")
        price = price_of(judge)
        money = 0.0 if price is None else price.cost(0, 0, tokens)
        new = scale * (total("slots") - total("reused") - total("unfinished"))
        return Needs(0, Amount(tokens, money), runs=0, votes=new)
    return Needs(0, NOTHING, runs=0, unknown_votes=most)


def _like(store: Backend, model: str, against: Against) -> Iterator[tuple[Run, Run]]:
    """The complete runs of votes of a model, each with the run that it judged, as far as both are there."""
    names = list_runs(store)
    known, judges = set(names), [name for name in names if ".judge-" in name]
    for run in open_runs(store, judges[-MOST_RUNS:]):
        if run.recipe.model != model or not is_closed(store, run.run_id):
            continue
        try:
            judged = _judged_by(store, run)
            name = str(judged.get("run_id"))
            about = open_run(store, name) if name in known else None
        except UNREADABLE:
            continue
        if about is not None and judged.get("against") == against:
            yield run, about


def _judged_by(store: Backend, run: Run) -> dict[str, object]:
    """What the questions of a run of votes are about, as they say it; empty of a run that is none."""
    first: Sequence[object] = [
        problem.metadata.get("judged") for problem in problems_of(store, run, Shard(0, 0, 1))
    ]
    return next((one for one in first if isinstance(one, dict)), {})
