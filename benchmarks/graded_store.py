"""A store with one finished, graded run of any size, written through pacore's own writers.

No engine takes part, so that a million trajectories take minutes. Problems differ in difficulty, wrong
answers in how often they are given; some trajectories are cut and some say nothing that reads as an
answer; a later round is right more often where more of its messages are, and repeats sentences of them.
Rows follow from the shape of the run alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pacore.core.answer import Answer
from pacore.core.grading.verdict import NO_ANSWER, GradedTrajectory, Verdict
from pacore.core.message import Message
from pacore.core.plan import Shard
from pacore.core.problem import Problem, Turn
from pacore.core.trajectory import Generation, Slot, Trajectory, normalise
from pacore.evaluation.gradings import wanted_grading
from pacore.runs.start import start_run
from pacore.store.backends.opening import open_store
from pacore.store.commits import publish, write_snapshot
from pacore.store.gradings import begin_grading, finish_grading
from pacore.store.layout import OWN, Unit
from pacore.store.run import Run, close_run, open_run
from pacore.store.schema import TABLES
from tests.fixtures.pipeline import scripted_config

RUN = "bench"

WHEN = datetime(2026, 1, 1, tzinfo=UTC)

SENTENCES = 4096

SAID = 5
"""Sentences of a conclusion, each some 70 characters long."""


@dataclass(frozen=True, slots=True)
class Shape:
    """``problems`` times ``replicates`` times the widths of the rounds, the last has one."""

    problems: int
    widths: tuple[int, ...]
    replicates: int = 1

    @staticmethod
    def of(text: str) -> Shape:
        """``5000x16,4``, or ``12*5000x16,4`` with replicates."""
        many, _, rest = text.rpartition("*")
        problems, _, widths = rest.partition("x")
        return Shape(int(problems), tuple(map(int, widths.split(","))), int(many or 1))

    @property
    def name(self) -> str:
        widths = "-".join(map(str, self.widths))
        return f"{self.replicates}-{self.problems}-{widths}"

    @property
    def text(self) -> str:
        """As `of` reads it."""
        many = f"{self.replicates}*" if self.replicates > 1 else ""
        return f"{many}{self.problems}x{','.join(map(str, self.widths))}"

    @property
    def trajectories(self) -> int:
        return self.problems * self.replicates * (sum(self.widths) + 1)


@dataclass(frozen=True, slots=True)
class Made:
    """A trajectory and the answer in it, None where there is none."""

    trajectory: Trajectory
    answer: str | None

    @property
    def conclusion(self) -> str | None:
        return self.trajectory.thought.conclusion


@cache
def _sentences() -> list[str]:
    draw = random.Random("sentences")
    words = [
        "".join(draw.choices("abcdefghijklmnoprstuvwy", k=draw.randint(2, 10))) for _ in range(3000)
    ]
    return [" ".join(draw.choices(words, k=11)) + "." for _ in range(SENTENCES)]


def problem_of(number: int) -> Problem:
    text = f"What is {number} + {2 * number + 1}? Give the final answer in \\boxed{{}}."
    return Problem(f"sum-{number:06d}", (Turn("user", text),), str(3 * number + 1))


class Sampler:
    """All trajectories of one problem and replicate, round after round."""

    def __init__(self, number: int, replicate: int) -> None:
        self.problem = problem_of(number)
        self.replicate = replicate
        self.gold = 3 * number + 1
        self.chance = random.Random(f"difficulty {number}").betavariate(0.8, 0.8)
        self.draw = random.Random(f"{number} {replicate}")

    def rounds(self, widths: tuple[int, ...]) -> Iterator[list[Made]]:
        said: list[str] = []
        chance = self.chance
        for round_, width in enumerate((*widths, 1), 1):
            made = [self._one(round_, slot, chance, said) for slot in range(width)]
            yield made
            said = [text for text in (one.conclusion for one in made) if text is not None]
            right = sum(one.answer == str(self.gold) for one in made)
            chance = 0.1 + 0.85 * right / width

    def _one(self, round_: int, slot: int, chance: float, said: list[str]) -> Made:
        draw = self.draw
        answer: str | None = str(self.gold)
        if draw.random() > chance:
            answer = str(self.gold + int(draw.paretovariate(1.0)))
        # The first slot always has a message, so that no set is short and every replicate ends.
        luck = 1.0 if slot == 0 else draw.random()
        if luck < 0.05:
            answer = None
        is_cut = luck < 0.02
        text = self._text(said) + (f" The answer is \\boxed{{{answer}}}." if answer else "")
        place = Slot(
            round_, self.problem.problem_id, self.replicate, slot, self.replicate * 512 + slot
        )
        generation = Generation(
            finish_reason="length" if is_cut else "stop",
            content=None if is_cut else text,
            reasoning="Let me look at it once more, as a reference says. " * draw.randint(1, 6),
            prompt_tokens=40 + 90 * len(said),
            completion_tokens=int(draw.lognormvariate(7, 0.8)) + 1,
            usage_source="server",
            error=None,
            engine="scripted",
            latency_seconds=0.1,
        )
        trajectory = Trajectory(
            place=place,
            trajectory_id=f"{draw.getrandbits(128):032x}",
            attempt=0,
            seed=draw.getrandbits(53),
            prompt_digest=f"{self.problem.problem_id} {round_}",
            generation=generation,
            thought=normalise(generation),
            text_run_id=RUN,
            generated_at=WHEN,
        )
        return Made(trajectory, answer)

    def _text(self, said: list[str]) -> str:
        draw = self.draw
        own = draw.choices(_sentences(), k=SAID)
        if said:
            for place in range(SAID // 2):
                own[place] = draw.choice(said)[:70]
        return " ".join(own)


def _messages(made: Iterable[Made]) -> Iterator[Message]:
    position = 0
    for one in made:
        place = one.trajectory.place
        if one.conclusion is not None:
            position += 1
            yield Message(
                place.round, place.problem_id, place.replicate, position,
                one.trajectory.trajectory_id, one.conclusion, "conclusion/1",
            )  # fmt: skip


def _verdict(one: Made, gold: str, grading: str, version: str) -> GradedTrajectory:
    place, answer = one.trajectory.place, one.answer
    is_right = answer == gold
    verdict = Verdict("correct", 1.0) if is_right else Verdict("wrong", 0.0)
    return GradedTrajectory(
        problem_id=place.problem_id,
        replicate=place.replicate,
        slot=place.slot,
        trajectory_id=one.trajectory.trajectory_id,
        grading=grading,
        grader="math",
        grader_version=version,
        verdict=NO_ANSWER if answer is None else verdict,
        answer=answer,
        method=None if answer is None else "boxed",
        answer_key=answer,
        gold_answer=gold,
    )


def _answer(one: Made) -> Answer:
    place, found = one.trajectory.place, one.trajectory
    return Answer(
        place.problem_id, place.replicate, one.answer, "boxed", found.trajectory_id, "stop",
        "answered", None, None,
    )  # fmt: skip


class ShardRows:
    """The rows of one shard by table and round."""

    def __init__(self, run: Run, shape: Shape, shard: Shard, grading: str, version: str) -> None:
        self.run, self.grading, self.version = run, grading, version
        self.rows: dict[tuple[str, int, str], list[Any]] = {}
        for number in range(shard.start, shard.stop):
            for replicate in range(shape.replicates):
                self._add(Sampler(number, replicate), shape.widths)

    def _add(self, sampler: Sampler, widths: tuple[int, ...]) -> None:
        gold = str(sampler.gold)
        made: list[Made] = []
        for round_, made in enumerate(sampler.rounds(widths), 1):
            trajectories = [one.trajectory for one in made]
            self._put("trajectories", round_, trajectories)
            self._put("trajectory_texts", round_, trajectories)
            self._put("messages", round_, _messages(made))
            if self.grading:
                graded = (_verdict(one, gold, self.grading, self.version) for one in made)
                self._put("verdicts", round_, graded, self.grading)
        last = len(widths) + 1
        self._put("answers", last, map(_answer, made))
        own = (_verdict(one, gold, OWN, self.version) for one in made)
        self._put("verdicts", last, own, OWN)

    def _put(self, table: str, round_: int, items: Iterable[Any], grading: str = "") -> None:
        self.rows.setdefault((table, round_, grading), []).extend(items)

    def publish(self, store: Any, shard: Shard) -> None:
        for (table, round_, grading), items in self.rows.items():
            unit = Unit(self.run.run_id, table, round_, shard.name, 0, grading)
            publish(store, unit, map(TABLES[table].row, items), counts=_counts(table, items))


def _counts(table: str, items: list[Any]) -> dict[str, int]:
    if table == "trajectories":
        tokens = sum(one.generation.completion_tokens for one in items)
        return {
            "slots": len(items), "reused": 0, "unfinished": 0, "completion_tokens": tokens,
        }  # fmt: skip
    if table == "answers":
        return {"answered": len(items), "retryable": 0}
    return {}


def _publish(url: str, shape: Shape, shard: Shard, grading: str, version: str) -> None:
    store = open_store(url)
    ShardRows(open_run(store, RUN), shape, shard, grading, version).publish(store, shard)


def build(folder: Path, shape: Shape, *, is_graded: bool = True, processes: int = 2) -> str:
    """The address of the store; made unless the folder has it. With ``is_graded`` every round has
    verdicts, as `pacore grade` would give them; else the answers alone.
    """
    place = folder / (shape.name if is_graded else f"{shape.name}-ungraded")
    url = str(place / "store")
    if (place / "made").exists():
        return url
    place.mkdir(parents=True)
    store = open_store(url)
    config = scripted_config(
        place / "store", place / "sums.jsonl",
        widths=shape.widths, replicates=shape.replicates, run_id=RUN,
    )  # fmt: skip
    problems = [problem_of(number) for number in range(shape.problems)]
    run = start_run(store, config, config.recipe, problems)
    counts = {"answered": shape.problems, "no_answer": 0, "failed": 0, "retryable": 0}
    # A run is graded when it is at its end, and its rows are published before that.
    grading_id, version = "", "1"
    wanted = None
    if is_graded:
        close_run(store, run, counts)
        wanted = wanted_grading(store, run, None)
        grading_id, version = wanted.grading_id, wanted.grader_version.removeprefix("math ")
    with ProcessPoolExecutor(processes) as pool:
        futures = [
            pool.submit(_publish, url, shape, shard, grading_id, version) for shard in run.shards
        ]
        for future in futures:
            future.result()
    write_snapshot(store, run.run_id)
    if wanted is None:
        close_run(store, run, counts)
    else:
        finish_grading(store, run.run_id, begin_grading(store, run.run_id, wanted), {})
    (place / "made").touch()
    return url
