"""The stage `trajectories`: fill every slot of one shard in one round, and publish the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from pacore.core.quorum import attempt_recipe
from pacore.core.round import Fits, Round, RoundPrompt, anything_fits, fits_window
from pacore.runs.inputs import RoundInput, round_inputs
from pacore.runs.slots import RunSlot, fill_slots, trajectories_of
from pacore.runs.work import ShardWork, StageReport, Work
from pacore.store.commits import Commit, Draft, find_commit
from pacore.store.schema import TRAJECTORIES, TRAJECTORY_TEXTS


def fill(shard: ShardWork, round_: int) -> StageReport:
    """Sample what a shard lacks in a round and commit its trajectories and their texts.

    Raises Interrupted when stopped, EngineUnavailable when no engine answers, StoreError.
    """
    work = shard.work
    commit = find_commit(work.store, shard.unit("trajectories", round_))
    if commit is None:
        with work.active(shard.priority(round_)):
            inputs = work.with_tables(lambda: list(_inputs(shard, round_)))
            sets = _prompts(work, round_, inputs)
            del inputs
            retries = work.retries()
            slots = fill_slots(work, shard.priority(round_), sets, retries)
            del sets
            seen = {"retries": len(retries)} if retries else {}
            commit = work.with_tables(lambda: _publish(shard, round_, slots, seen))
    else:
        settled, lost = commit.counts["slots"], commit.counts["unfinished"]
        work.progress.add(reused=settled - lost, unfinished=lost)
    return StageReport.of(commit)


def _inputs(shard: ShardWork, round_: int) -> Iterator[RoundInput]:
    """Every message set that goes on, from the tables of the round before; all problems in round 1."""
    path = shard.committed("messages", round_ - 1).path if round_ > 1 else None
    yield from round_inputs(shard.work.store, shard.work.run, shard.shard, path)


def _prompts(work: Work, round_: int, inputs: Iterable[RoundInput]) -> list[list[RoundPrompt]]:
    """P(x, M) of each set, within the engine's window as far as the plan's policy goes."""
    run = work.run
    is_fitted = round_ > 1 and run.plan.overflow == "fewer_messages"
    fits = _fits(work) if is_fitted else anything_fits
    return [
        Round(run.plan, run.recipe, problem, (round_, replicate), messages).prompts(fits)
        for problem, replicate, messages in inputs
    ]


def _fits(work: Work) -> Fits:
    """Whether a prompt and its answer fit the engine's window, as far as the engine counts."""
    window_tokens = work.engine.info().window_tokens

    def fits(prompt: RoundPrompt) -> bool:
        recipe = attempt_recipe(work.run.recipe, prompt.max_tokens)
        request = prompt.request(recipe, prompt.draws[0])
        return fits_window(
            prompt.turns,
            recipe.max_tokens,
            window_tokens,
            lambda: work.engine.count_prompt_tokens(request),
        )

    return fits


def _publish(
    shard: ShardWork,
    round_: int,
    slots: Sequence[RunSlot],
    seen: dict[str, int],
) -> Commit:
    """Derive the rows from the journal, in the order of the slots, a row at a time.

    ``seen`` is counted with them: how many retries the run had.
    """
    work = shard.work
    texts = Draft(work.store, shard.unit("trajectory_texts", round_))
    rows = Draft(work.store, shard.unit("trajectories", round_))
    counts = {"slots": 0, "reused": 0, "unfinished": 0, "completion_tokens": 0, **seen}
    written: set[str] = set()
    with texts, rows:
        attempts = ((slot, n) for slot in slots for n in range(len(slot.history.attempts)))
        trajectories = trajectories_of(work, attempts)
        for slot in slots:
            counts["slots"] += 1
            for trajectory in islice(trajectories, len(slot.history.attempts)):
                trajectory_id = trajectory.trajectory_id
                is_own = trajectory.text_run_id == work.run.run_id
                if is_own and trajectory_id not in written and not _is_kept(shard, trajectory_id):
                    texts.add(TRAJECTORY_TEXTS.row(trajectory))
                    written.add(trajectory_id)
                rows.add(TRAJECTORIES.row(trajectory))
                counts["reused"] += trajectory.reused
                if not trajectory.reused:
                    counts["completion_tokens"] += trajectory.generation.completion_tokens or 0
            counts["unfinished"] += not trajectory.generation.is_finished
        inputs = [shard.input_key("messages", round_ - 1)] if round_ > 1 else []
        texts.commit(inputs=inputs, producer=work.producer)
        return rows.commit(inputs=inputs, counts=counts, producer=work.producer)


def _is_kept(shard: ShardWork, trajectory_id: str) -> bool:
    """Whether an earlier revision of the shard has stored a text already."""
    return shard.revision > 0 and shard.work.has_text(shard.work.run.run_id, trajectory_id)
