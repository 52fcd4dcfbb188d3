"""The requests of a measurement: those that pacore makes of a configuration, in its order."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from pacore.core.config.run import RunConfig
from pacore.core.round import Round, open_slots
from pacore.core.solve import rounds_of
from pacore.core.trajectory import Request
from pacore.engine.opening import resolve_recipe
from pacore.problems.files import read_problem_set

_SENTENCE = "Shop {} has {} boxes of {} pencils and sells {} of them before noon."

NEVER_SAMPLED = "<empty_output>"
"""A special token that the model has and never says."""


@dataclass(frozen=True, slots=True)
class Workload:
    """``problems`` with ``sentences`` each, each drawn ``draws`` times with seeds of its own, at most
    ``max_tokens`` tokens long; ``is_endless``: by a model that never ends by itself, so that all are.
    """

    name: str
    problems: int
    draws: int
    sentences: int
    max_tokens: int
    is_endless: bool

    def write(self, folder: Path, run: str, problems: int | None = None) -> Path:
        """The problem set of one run: no two runs have a prompt in common."""
        file = folder / f"{self.name.replace(' ', '-')}-{run}.jsonl"
        with file.open("w") as written:
            for number in range(problems or self.problems):
                told = prose(f"{run} {number}", self.sentences)
                row = {
                    "id": f"p{number:04}",
                    "problem": f"{told} How many are left?",
                    "answer": "1",
                }
                written.write(json.dumps(row) + "\n")
        return file

    def config(self, problems: Path, model: str, url: str) -> RunConfig:
        """What pacore is asked for, and so what every subject sends."""
        return RunConfig.model_validate(
            {
                "problems": str(problems), "model": model, "endpoints": [url], "widths": [],
                "replicates": self.draws, "max_tokens": self.max_tokens,
            }
        )  # fmt: skip


WORKLOADS = (
    Workload("192 of 64", problems=192, draws=1, sentences=2, max_tokens=64, is_endless=True),
    Workload("192 natural", problems=192, draws=1, sentences=2, max_tokens=256, is_endless=False),
    Workload("12 x 16 alike", problems=12, draws=16, sentences=20, max_tokens=64, is_endless=True),
)


def prose(topic: str, sentences: int) -> str:
    """So many sentences, which begin with the topic, so that no two topics have a prefix in common."""
    chosen = random.Random(topic)
    told = (
        _SENTENCE.format(*(chosen.randrange(10, 99) for _ in range(4))) for _ in range(sentences)
    )
    return f"{topic}. {' '.join(told)}"


def requests_of(config: RunConfig) -> list[Request]:
    """The requests of round 1 of every problem."""
    recipe = resolve_recipe(config)
    found = []
    for problem in read_problem_set(config.problems):
        for replicate in range(config.plan.replicates):
            first = next(rounds_of(config.plan, recipe, problem, replicate))
            assert isinstance(first, Round)
            found += [slot.begin(recipe) for slot in open_slots(first.prompts())]
    return found


def endless(model: Path, folder: Path) -> Path:
    """A copy of a checkpoint, by links, that ends at a token it never says: all its completions are as
    long as they may be, whoever requests them, and no request needs ``ignore_eos``.
    """
    made = folder / model.name
    made.mkdir(parents=True)
    told = json.loads((model / "tokenizer.json").read_text())
    (number,) = (one["id"] for one in told["added_tokens"] if one["content"] == NEVER_SAMPLED)
    ends = {"tokenizer_config.json": NEVER_SAMPLED, "config.json": number}
    for file in model.iterdir():
        if file.name not in ends:
            (made / file.name).symlink_to(file.resolve())
            continue
        read = json.loads(file.read_text())
        key = "eos_token" if file.name.startswith("tokenizer") else "eos_token_id"
        (made / file.name).write_text(json.dumps({**read, key: ends[file.name]}))
    return made
