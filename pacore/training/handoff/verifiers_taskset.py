"""The synthesis episode as verifiers v1 and prime-rl run it: tasks without an end, each by its index."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any, ClassVar

import verifiers.v1 as vf

from pacore.training.handoff.episodes import MESSAGES, Episodes
from pacore.training.handoff.reward import Reward, reward_of


class SynthesisConfig(vf.TasksetConfig):  # type: ignore[misc]
    """``seed`` of what is drawn, and the range of |M|; without them those of the export."""

    seed: int | None = None
    least_messages: int | None = None
    most_messages: int | None = None


class SynthesisTaskData(vf.TaskData):  # type: ignore[misc]
    """The gold answer with its grader, and what was drawn."""

    gold: str
    grader: str
    problem_id: str
    epoch: int
    messages: int
    right_messages: int


class SynthesisTask(vf.Task[SynthesisTaskData, vf.State, vf.TaskConfig]):  # type: ignore[misc]
    """One episode: a single answer to P(x, M)."""

    @vf.reward(weight=1.0)  # type: ignore[untyped-decorator]
    async def right(self, trace: Any) -> float:
        """R(ω), the reward that is shared with every other export."""
        return (await self._reward(trace)).score

    @vf.metric  # type: ignore[untyped-decorator]
    async def observed(self, trace: Any) -> float:
        """Whether the grading came to an end; a reward of 0 means nothing where it did not."""
        return float((await self._reward(trace)).is_observed)

    async def _reward(self, trace: Any) -> Reward:
        said = trace.assistant_messages
        response = (said[-1].content if said else "") or ""
        return await asyncio.to_thread(reward_of, response, self.data.gold, self.data.grader)


class SynthesisTaskset(vf.Taskset[SynthesisTask, SynthesisConfig]):  # type: ignore[misc]
    """The episodes of a pool file, whose place a subclass names."""

    INFINITE = True
    POOLS: ClassVar[str]
    SEED: ClassVar[int] = 0
    SIZES: ClassVar[tuple[int, int]] = MESSAGES

    def load(self) -> Iterator[SynthesisTask]:
        given = self.config
        sizes = (given.least_messages or self.SIZES[0], given.most_messages or self.SIZES[1])
        seed = self.SEED if given.seed is None else given.seed
        episodes = Episodes([self.POOLS], 2**62, seed, sizes)
        for item in count():
            episode = episodes[item]
            data = SynthesisTaskData(
                idx=item,
                prompt=[_message(turn) for turn in episode.prompt],
                gold=episode.row.gold,
                grader=episode.row.grader,
                problem_id=episode.row.extra_info.problem_id,
                epoch=episode.epoch,
                messages=len(episode.messages),
                right_messages=episode.right,
            )
            yield SynthesisTask(data, given.task)


def _message(turn: dict[str, str]) -> Any:
    kinds = {"system": vf.SystemMessage, "assistant": vf.AssistantMessage}
    return kinds.get(turn["role"], vf.UserMessage)(content=turn["content"])
