"""The stage `trajectories`: fill every slot of one shard in one round, and publish the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from pacore.core.quorum import attempt_recipe
from pacore.core.round import Fits, Round, RoundPrompt, anything_fits, fits_window
from pacore.runs.context import Context, OpenShard, StageReport
from pacore.runs.inputs import RoundInput, round_inputs
from pacore.runs.slots import RunSlot, fill_slots, trajectories_of
from pacore.store.commits import Commit, Draft, find_commit
from pacore.store.schema import TRAJECTORIES, TRAJECTORY_TEXTS


def fill(context: Context, work: OpenShard, round_: int) -> StageReport:
    """Sample what a shard lacks in a round and commit its trajectories and their texts.

    Raises Interrupted when stopped, EngineUnavailable when no engine answers, StoreError.
    """
    unit = context.unit("trajectories", round_, work)
    commit = find_commit(context.store, unit)
    if commit is None:
        with context.active(work, round_):
            inputs = context.with_tables(lambda: list(_inputs(context, work, round_)))
            sets = _prompts(context, round_, inputs)
            del inputs
            retries = context.retries()
            slots = fill_slots(context, work, round_, sets, retries)
            del sets
            seen = {"retries": len(retries)} if retries else {}
            commit = context.with_tables(lambda: _publish(context, work, round_, slots, seen))
    else:
        settled, lost = commit.counts["slots"], commit.counts["unfinished"]
        context.progress.add(reused=settled - lost, unfinished=lost)
    return StageReport.of(commit)


def _inputs(context: Context, work: OpenShard, round_: int) -> Iterator[RoundInput]:
    """Every message set that goes on, from the tables of the round before; all problems in round 1."""
    path = context.committed("messages", round_ - 1, work).path if round_ > 1 else None
    yield from round_inputs(context.store, context.run, context.shards[work.number], path)


def _prompts(
    context: Context, round_: int, inputs: Iterable[RoundInput]
) -> list[list[RoundPrompt]]:
    """P(x, M) of each set, within the engine's window as far as the plan's policy goes."""
    run = context.run
    is_fitted = round_ > 1 and run.plan.overflow == "fewer_messages"
    fits = _fits(context) if is_fitted else anything_fits
    return [
        Round(run.plan, run.recipe, problem, (round_, replicate), messages).prompts(fits)
        for problem, replicate, messages in inputs
    ]


def _fits(context: Context) -> Fits:
    """Whether a prompt and its answer fit the engine's window, as far as the engine counts."""
    window_tokens = context.dispatcher.info().window_tokens

    def fits(prompt: RoundPrompt) -> bool:
        recipe = attempt_recipe(context.run.recipe, prompt.max_tokens)
        request = prompt.request(recipe, prompt.draws[0])
        return fits_window(
            prompt.turns,
            recipe.max_tokens,
            window_tokens,
            lambda: context.dispatcher.count_prompt_tokens(request),
        )

    return fits


def _publish(
    context: Context,
    work: OpenShard,
    round_: int,
    slots: Sequence[RunSlot],
    seen: dict[str, int],
) -> Commit:
    """Derive the rows from the journal, in the order of the slots, a row at a time.

    ``seen`` is counted with them: how many retries the run had.
    """
    texts = Draft(context.store, context.unit("trajectory_texts", round_, work))
    rows = Draft(context.store, context.unit("trajectories", round_, work))
    counts = {"slots": 0, "reused": 0, "unfinished": 0, "completion_tokens": 0, **seen}
    written: set[str] = set()
    with texts, rows:
        attempts = ((slot, n) for slot in slots for n in range(len(slot.history.attempts)))
        trajectories = trajectories_of(context, attempts)
        for slot in slots:
            counts["slots"] += 1
            for trajectory in islice(trajectories, len(slot.history.attempts)):
                trajectory_id = trajectory.trajectory_id
                is_own = trajectory.text_run_id == context.run.run_id
                if (
                    is_own
                    and trajectory_id not in written
                    and not _is_kept(context, work, trajectory_id)
                ):
                    texts.add(TRAJECTORY_TEXTS.row(trajectory))
                    written.add(trajectory_id)
                rows.add(TRAJECTORIES.row(trajectory))
                counts["reused"] += trajectory.reused
                if not trajectory.reused:
                    counts["completion_tokens"] += trajectory.generation.completion_tokens or 0
            counts["unfinished"] += not trajectory.generation.is_finished
        inputs = [context.input_of("messages", round_ - 1, work)] if round_ > 1 else []
        texts.commit(inputs=inputs, producer=context.producer)
        return rows.commit(inputs=inputs, counts=counts, producer=context.producer)


def _is_kept(context: Context, work: OpenShard, trajectory_id: str) -> bool:
    """Whether an earlier revision of the shard has stored a text already."""
    return work.revision > 0 and context.has_text(context.run.run_id, trajectory_id)
