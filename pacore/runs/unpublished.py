"""What an open run has finished that no table has yet: its generations in the journal.

A shard's trajectories become rows when all of a round are there, and a run that is stopped leaves
shards that are only begun. What they have is in the journal, under ids that follow from the prompts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from pacore.core.plan import Shard
from pacore.core.quorum import attempt_recipe
from pacore.core.round import Round
from pacore.core.trajectory import Request
from pacore.runs.inputs import RoundInput, round_inputs
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Commit
from pacore.store.journal import Entry, Journal
from pacore.store.run import Run

MAX_SLOTS = 200_000
"""Slots that are derived at most; of more, those of every n-th message set are a sample."""

FEWEST_LOOKED_UP = 100
"""Slots of a run that are looked up even where the time is up: fewer are too small a sample."""


@dataclass(frozen=True, slots=True)
class Unpublished:
    """Of ``slots`` of next rounds: those whose trajectory is finished, those of them that another run
    generated, and the completion tokens of the others; estimates where not all were looked up.
    """

    slots: int = 0
    finished: int = 0
    reused: int = 0
    completion_tokens: int = 0
    is_estimate: bool = False


def unpublished(
    store: Backend, run: Run, commits: Iterable[Commit], deadline: float, max_slots: int = MAX_SLOTS
) -> Unpublished:
    """Look up what the journal has of a run's next rounds, until ``deadline`` of the monotonic clock.

    ``commits`` are the run's current ones of trajectories and messages. Ids are digests, so the
    first in their order are a fair sample of all: where time is up, what was found among them is
    scaled to the rest. Prompts that a server's window made shorter are not known here, and what was
    generated for them is left out.
    """
    rounds = list(_next_rounds(run, commits))
    slots = sum(
        (shard.stop - shard.start) * run.plan.replicates * run.plan.width(round_)
        for shard, round_, _ in rounds
    )
    step = max(1, -(-slots // max_slots))
    requests = sorted(
        (
            request
            for shard, round_, path in rounds
            for given in islice(round_inputs(store, run, shard, path), 0, None, step)
            for request in _requests(run, round_, given)
        ),
        key=lambda request: request.trajectory_id,
    )
    found, looked_up = _look_up(Journal(store), run, requests, deadline)
    scale = step * len(requests) / max(looked_up, 1)
    return Unpublished(
        step * len(requests),
        round(found["finished"] * scale),
        round(found["reused"] * scale),
        round(found["completion_tokens"] * scale),
        scale != 1 and looked_up > 0,
    )


def _next_rounds(run: Run, commits: Iterable[Commit]) -> Iterator[tuple[Shard, int, str | None]]:
    """Each shard's first round without trajectories, where its prompts are known: with the file of
    the messages they are made of, None for round 1.
    """
    done = {(one.unit.table, one.unit.shard, one.unit.round): one.path for one in commits}
    for shard in run.shards:
        for round_ in range(1, run.plan.rounds + 1):
            if ("trajectories", shard.name, round_) in done:
                continue
            path = done.get(("messages", shard.name, round_ - 1))
            if round_ == 1 or path is not None:
                yield shard, round_, path
            break


def _requests(run: Run, round_: int, given: RoundInput) -> Iterator[Request]:
    """The first attempts of a message set's slots."""
    problem, replicate, messages = given
    for prompt in Round(run.plan, run.recipe, problem, (round_, replicate), messages).prompts():
        recipe = attempt_recipe(run.recipe, prompt.max_tokens)
        for draw in prompt.draws:
            yield prompt.request(recipe, draw)


def _look_up(
    journal: Journal, run: Run, requests: list[Request], deadline: float
) -> tuple[Counter[str], int]:
    """Counts of what the first requests came to, and of how many of them that is."""
    found: Counter[str] = Counter()
    looked_up = 0
    entries = journal.find_many(request.trajectory_id for request in requests)
    for request, first in zip(requests, entries, strict=True):
        entry = _first_finished(journal, request, first)
        looked_up += 1
        if entry is not None:
            is_reused = entry.run_id != run.run_id
            found["finished"] += 1
            found["reused"] += is_reused
            found["completion_tokens"] += (
                0 if is_reused else entry.generation.completion_tokens or 0
            )
        if looked_up >= FEWEST_LOOKED_UP and time.monotonic() > deadline:
            break
    return found, looked_up


def _first_finished(journal: Journal, request: Request, entry: Entry | None) -> Entry | None:
    """The first attempt at a slot that was finished; None where every one is a tombstone."""
    attempt = request.attempt
    while entry is not None and not entry.generation.is_finished:
        attempt += 1
        again = Request.of(
            request.recipe, request.turns, request.prompt_digest, request.draw, attempt
        )
        entry = journal.find(again.trajectory_id)
    return entry
