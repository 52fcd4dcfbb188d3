"""What a judge's votes are expected to take, before the answers that they are about are there.

How many questions follow from so many trajectories, how many votes on them are new and how long these are
is taken from the last votes of the same judge in the store.
"""

from __future__ import annotations

from pacore.core.config.run import RunConfig
from pacore.core.grading.judge import votes_of
from pacore.core.grading.spec import Against, parse_spec
from pacore.runs.dispatch.budget import NOTHING, Amount
from pacore.runs.planning.expected import UNREADABLE, runs_of_votes
from pacore.runs.planning.together import NO_NEEDS, Needs, RunToMake, price_of
from pacore.runs.unpublished import Published
from pacore.store.backends.opening import open_store
from pacore.store.commits import current_units
from pacore.store.run import votes_prefix


def expected_votes(judged: RunToMake, judge: RunConfig, grader: str, against: Against) -> Needs:
    """What the votes of a judge on all answers of a run are expected to take; nothing where they are there.

    ``judge`` are the settings of the votes, of which only model and prices count. Of votes of whose like
    the store has none that can be read, only their greatest number is known. Raises BadInput, StoreError.
    """
    config, problems = judged
    store = open_store(config.store)
    earlier = list(runs_of_votes(store, judge.model, against))
    if any(one.run_id.startswith(votes_prefix(str(config.run_id))) for one, _ in earlier):
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
