"""Episodes: a problem x with a message set M that is drawn from its pool (paper, section 2.2, appendix C).

Each visit to a problem draws |M| uniformly from a range, and as many messages of the pool, in a random
order. Everything that is drawn follows from the seed, the epoch and the problem's id, and from nothing that
a process remembers. Loader workers are processes that begin anew each epoch: a count of visits that such a
process keeps draws the same set for ever.

So the epochs are laid end to end, and item i of so many is problem i mod N of epoch i div N, in an order
that each epoch has of its own. A loader that goes on at item i goes on with the very episodes that were
left.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from pacore.core.identity import digest
from pacore.core.problem import Turn
from pacore.core.prompt import turns_for
from pacore.errors import BadInput
from pacore.training.handoff.records import ChatTurn, ExportedPool

MESSAGES = (16, 24)
"""|M| ~ U(16, 24) of 24 (paper, appendix C)."""

POOL_FIELDS = ("message_pool", "message_ids", "message_acc", "turns")
"""Fields of ``extra_info`` that an episode does not need once its prompt is made."""


class Drawn(NamedTuple):
    """A visit to a problem: its number in the pool file, the epoch, and the numbers of M in its pool."""

    problem: int
    epoch: int
    messages: tuple[int, ...]


@dataclass(frozen=True)
class Episode:
    """An episode: the prompt P(x, M) as turns, and the row of the pool file that it is of."""

    epoch: int
    prompt: list[ChatTurn]
    messages: tuple[int, ...]
    row: ExportedPool

    @property
    def message_ids(self) -> list[str]:
        """The trajectories that the messages were made of, in the order of the prompt."""
        return [self.row.extra_info.message_ids[number] for number in self.messages]

    @property
    def right(self) -> int:
        """How many messages of M are right."""
        scores = self.row.extra_info.message_acc
        return sum(scores[number] == 1 for number in self.messages)


def drawn(pool: int, sizes: tuple[int, int], named: tuple[int, int, str]) -> tuple[int, ...]:
    """The numbers of a message set drawn from a pool of ``pool`` messages, in a random order.

    Their number is uniform in ``sizes``, whose ends are both possible, as far as the pool has so many.
    ``named`` is (seed, epoch, problem id), from which it follows.
    """
    least, most = (min(size, pool) for size in sizes)
    source = random.Random(int(digest(["messages", *named]), 16))
    return tuple(source.sample(range(pool), source.randint(least, most)))


def epoch_order(problems: int, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch visits the problems: their numbers."""
    found = list(range(problems))
    random.Random(int(digest(["order", seed, epoch]), 16)).shuffle(found)
    return found


def prompt_of(
    turns: Sequence[Mapping[str, str]], observation: int, messages: Sequence[str]
) -> list[ChatTurn]:
    """P(x, M) as turns; ``observation`` is the place of the turn that it replaces, from the end."""
    given = [Turn(turn["role"], turn["content"]) for turn in turns]  # type: ignore[arg-type]
    return [turn.as_json() for turn in turns_for(given, messages, observation=observation)]


class Episodes:
    """The episodes of pool files, ``rows`` in all; without it one of each problem.

    Item i is the same in every process and at every time. Raises BadInput for sizes that are none.
    """

    def __init__(
        self,
        files: Sequence[str],
        rows: int | None = None,
        seed: int = 0,
        sizes: tuple[int, int] = MESSAGES,
    ) -> None:
        self.files = [_PoolFile(str(file)) for file in files]
        self.problems = sum(file.rows for file in self.files)
        self.rows = self.problems if rows is None else rows
        self.seed, self.sizes = seed, (int(sizes[0]), int(sizes[1]))
        if not 1 <= self.sizes[0] <= self.sizes[1]:
            raise BadInput(f"messages {sizes}: must be two numbers from 1 on, the first no larger")
        if self.problems == 0:
            raise BadInput(f"{', '.join(map(str, files))}: no problem is in it")
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, item: int) -> Episode:
        if not 0 <= item < self.rows:
            raise IndexError(item)
        epoch, position = divmod(item, self.problems)
        if self._order[0] != epoch:
            self._order = (epoch, epoch_order(self.problems, self.seed, epoch))
        return self.episode(self._order[1][position], epoch)

    def episode(self, number: int, epoch: int) -> Episode:
        """The visit to problem ``number`` in an epoch."""
        row = self.row(number)
        extra = row.extra_info
        pool = extra.message_pool
        chosen = drawn(len(pool), self.sizes, (self.seed, epoch, extra.problem_id))
        prompt = prompt_of(extra.turns, extra.observation, [pool[one] for one in chosen])
        return Episode(epoch, prompt, chosen, row)

    def row(self, number: int) -> ExportedPool:
        """Row ``number`` of the files, counted through all of them."""
        for file in self.files:
            if number < file.rows:
                return file.row(number)
            number -= file.rows
        raise IndexError(number)


class _PoolFile:
    """A pool file, of which single rows are read: only the row group with each."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __getstate__(self) -> dict[str, str]:
        return {"path": self.path}

    @cached_property
    def _metadata(self) -> Any:
        import pyarrow.parquet as pq

        return pq.read_metadata(self.path)

    @cached_property
    def _columns(self) -> list[str]:
        """All but the prompt, which has all messages once more."""
        return [name for name in self._metadata.schema.to_arrow_schema().names if name != "prompt"]

    @property
    def rows(self) -> int:
        return int(self._metadata.num_rows)

    def row(self, number: int) -> ExportedPool:
        """Opened for each row: a descriptor must not be shared with the processes of a loader."""
        import pyarrow.parquet as pq

        for group in range(self._metadata.num_row_groups):
            rows = self._metadata.row_group(group).num_rows
            if number < rows:
                with pq.ParquetFile(self.path, metadata=self._metadata) as file:
                    table = file.read_row_group(group, columns=self._columns, use_threads=False)
                return ExportedPool.of(table.slice(number, 1).to_pylist()[0], self.path)
            number -= rows
        raise IndexError(number)
