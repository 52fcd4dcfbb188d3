"""``make loop``: from problems to pools, training data, learning, and checkpoints measured by pacore.

    python -m examples.loop [--seeds 0 1 2] [--steps 180] [--method ppo|grpo]

Everything but the learning is pacore's commands: pools of 24 from the scripted engine with planted errors,
the filter of stage 1, the export for verl, and the runs of each checkpoint on held-out problems under vLLM.
Figures are means over problems as `mart_accuracy` has them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging as quiet

from examples.loop import problems
from examples.loop.learn import Episode, Learner, Settings, reinforce, warm_start
from examples.loop.model import make_actor, make_tokenizer, save
from pacore.training.handoff.episodes import Episodes, prompt_of
from pacore.training.handoff.records import ExportedPool
from pacore.training.handoff.reward import reward_of

PLACE = Path("build/loop")
POOL = "held-out-pool"
MESSAGES = (4, 8)
REPLIES = 8
ENOUGH = 0.5
"""Share of the mean message accuracy that a warm start has to reach before rewards are of use."""

TRAINING_SET = """\
name: loop
sources:
  - {name: sums, kind: set, licence: CC0-1.0, problems: TRAIN}
pool: 24
run: {engine: scripted, model: "MODEL", store: STORE}
"""


def pacore(*arguments: str) -> str:
    """What a command of pacore prints; its messages go to this terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "pacore.cli", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


@dataclass(frozen=True)
class Data:
    """What is learned from, and what is measured on."""

    store: str
    episodes: Episodes
    held_out: Path
    held_out_episodes: list[Episode]
    wrong_hint: Path
    mean_message: float
    majority: float


class Measured(NamedTuple):
    """A checkpoint on held-out problems: accuracy with its 95 % interval over problems, and where every
    message is wrong.
    """

    accuracy: float
    low: float
    high: float
    emergent: float


def prepare(
    place: Path, training: int = problems.TRAINING, held_out: int = problems.HELD_OUT
) -> Data:
    """Pools, stage 1 and exports, of so many problems; nothing is generated twice."""
    store = str(place / "store")
    train, held = place / "train.jsonl", place / "held-out.jsonl"
    problems.write(train, problems.sums(training))
    problems.write(held, problems.sums(held_out, skipped=training))
    config = place / "loop.yaml"
    text = TRAINING_SET.replace("MODEL", problems.MODEL).replace("STORE", store)
    config.write_text(text.replace("TRAIN", str(train)))
    print(pacore("training", str(config)))
    exported, held_pool = place / "export", place / "held-out-export"
    if not exported.exists():
        pacore("export", "loop", str(exported), "--format", "verl", "--store", store)
    pacore(
        "run", "--problems", str(held), "--engine", "scripted", "--model", problems.MODEL,
        "--preset", "single", "--replicates", "24", "--run-id", POOL, "--store", store,
    )  # fmt: skip
    pacore("evaluate", POOL, "--store", store)
    if not held_pool.exists():
        pacore("export", POOL, str(held_pool), "--format", "verl", "--store", store)
    files = [str(path) for path in sorted(exported.rglob("*.parquet"))]
    held_episodes = Episodes(
        [str(path) for path in sorted(held_pool.rglob("*.parquet"))], sizes=MESSAGES
    )
    rows, wrong, right = [], [], 0.0
    for item in range(len(held_episodes)):
        one = held_episodes[item]
        extra = one.row.extra_info
        row = {
            "id": extra.problem_id,
            "messages": one.prompt,
            "answer": one.row.gold,
            "synthesis": {
                "run_id": POOL,
                "problem_id": extra.problem_id,
                "messages": one.message_ids,
                "right": one.right,
            },
            "texts": [extra.message_pool[number] for number in one.messages],
        }
        rows.append(row)
        wrong.append(row | {"messages": _with_wrong_hint(one.row, one.messages)})
        right += one.right / len(one.messages)
    episodes, wrong_hint = place / "held-out-episodes.jsonl", place / "wrong-hint.jsonl"
    problems.write(episodes, rows)
    problems.write(wrong_hint, wrong)
    return Data(
        store,
        Episodes(files, rows=10**9, sizes=MESSAGES),
        episodes,
        list(islice(episodes_from(held_episodes, 0), len(held_episodes))),
        wrong_hint,
        right / len(rows),
        _majority(rows),
    )


def _with_wrong_hint(row: ExportedPool, messages: Sequence[int]) -> list[dict[str, str]]:
    """The prompt with another digit in the place of the check: one that is in no message where there is."""
    question, gold = row.extra_info.problem, row.gold
    seen = [row.extra_info.message_pool[number] for number in messages]
    first = {answer_of(text)[:1] for text in seen} - {gold[0]}
    other = min(first) if first else str(int(gold[0]) % 9 + 1)
    turns = [{"role": "user", "content": question.replace(f"is {gold[0]}.", f"is {other}.")}]
    return prompt_of(turns, -1, seen)


def answer_of(text: str) -> str:
    """The text in the box of a message."""
    return text.partition("\\boxed{")[2].partition("}")[0]


def _majority(rows: Sequence[dict[str, Any]]) -> float:
    """The share of message sets whose most frequent answer is right, ties counted as their share."""
    total = 0.0
    for row in rows:
        answers = [answer_of(text) for text in row["texts"]]
        most = max(map(answers.count, answers))
        leading = {answer for answer in answers if answers.count(answer) == most}
        total += (row["answer"] in leading) / len(leading)
    return total / len(rows)


def episodes_from(source: Episodes, first: int) -> Iterator[Episode]:
    """The episodes of a pool file from one on, as the dataset class of the export draws them."""
    for item in range(first, len(source)):
        one = source[item]
        messages = tuple(one.row.extra_info.message_pool[number] for number in one.messages)
        yield Episode(one.row.extra_info.problem, messages, one.row.gold)


def render(problem: str, messages: Sequence[str]) -> str:
    """P(x, M) as text."""
    return prompt_of([{"role": "user", "content": problem}], -1, messages)[-1]["content"]


class Rewards:
    """The reward of the export, each (reply, gold answer) computed once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], float] = {}

    def __call__(self, reply: str, gold: str) -> float:
        if (reply, gold) not in self._known:
            self._known[reply, gold] = reward_of(reply, gold).score
        return self._known[reply, gold]


def measure(data: Data, checkpoint: Path, run_id: str, held_out: Path) -> Measured:
    """Run a checkpoint on held-out prompts under vLLM, grade, and read the marts."""
    own = ("--store", data.store)
    pacore(
        "run", "--problems", str(held_out), "--engine", "vllm", "--model", str(checkpoint),
        "--vllm-option=--enforce-eager", "--vllm-option=--dtype=float32", "--max-tokens", "16",
        "--preset", "single", "--replicates", str(REPLIES), "--run-id", run_id, *own,
    )  # fmt: skip
    pacore("evaluate", run_id, *own)
    (found,) = _rows(f"FROM mart_accuracy WHERE run_id = '{run_id}'", *own)
    (seen,) = _rows(f"FROM mart_checkpoints WHERE run_id = '{run_id}'", *own)
    return Measured(
        found["accuracy"], found["population_low"], found["population_high"], seen["emergent_rate"]
    )


def _rows(sql: str, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(pacore("query", sql, "--format", "json", *options))
    return found


def learn(
    data: Data, tokenizer: PreTrainedTokenizerFast, settings: Settings, folder: Path
) -> tuple[Path, Path]:
    """Warm start and reinforcement learning with one seed; the folders of both checkpoints."""
    before, after = folder / "before", folder / "after"
    if (after / "config.json").exists():
        return before, after
    actor = make_actor(tokenizer, settings.seed)
    learner = Learner(actor, tokenizer, render, Rewards())
    began = time.process_time()
    first = settings.seed * 10**6
    warm_start(learner, episodes_from(data.episodes, first), settings)
    save(actor, tokenizer, before)
    warm = time.process_time() - began
    curve = reinforce(
        learner,
        episodes_from(data.episodes, first + 500_000),
        settings,
        lambda step, mean: (
            print(f"  step {step}: mean reward {mean:.3f}") if step % 20 == 0 else None
        ),
    )
    save(actor, tokenizer, after)
    taken = time.process_time() - began
    record = {
        "warm_seconds": warm,
        "seconds": taken,
        "rewards": curve.rewards,
        "ended": curve.ended,
    }
    (folder / "curve.json").write_text(json.dumps(record))
    return before, after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=180)
    parser.add_argument("--method", choices=("ppo", "grpo"), default="ppo")
    parser.add_argument("--place", type=Path, default=PLACE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    quiet.disable_progress_bar()
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    data = prepare(options.place)
    tokenizer = tokenizer_of(data)
    print(
        f"mean message {data.mean_message:.3f}, majority of the same messages {data.majority:.3f}"
    )
    found: dict[str, Measured] = {}
    for seed in options.seeds:
        settings = Settings(seed=seed, steps=options.steps, method=options.method)
        label = f"{options.method}-{options.steps}-seed-{seed}"
        print(f"seed {seed}:")
        before, after = learn(data, tokenizer, settings, options.place / label)
        found[f"{seed} before"] = measure(data, before, f"{label}-before", data.held_out)
        found[f"{seed} after"] = measure(data, after, f"{label}-after", data.held_out)
    settings = Settings(seed=options.seeds[0], steps=options.steps, method=options.method)
    label = f"{options.method}-{options.steps}-seed-{options.seeds[0]}"
    found["wrong hint"] = measure(
        data, options.place / label / "after", f"{label}-wrong-hint", data.wrong_hint
    )
    permuted = replace(settings, steps=min(40, options.steps), permute_rewards=True)
    _, after = learn(data, tokenizer, permuted, options.place / f"{label}-permuted")
    found["permuted rewards"] = measure(data, after, f"{label}-permuted", data.held_out)
    print(_table(found))
    runs = [
        f"{options.method}-{options.steps}-seed-{seed}-{when}"
        for seed in options.seeds
        for when in ("before", "after")
    ]
    print(dynamics(data, runs, options.place / "checkpoints.png"))
    (options.place / "measured.json").write_text(
        json.dumps({name: one._asdict() for name, one in found.items()}, indent=2)
    )


def dynamics(data: Data, runs: Sequence[str], figure: Path) -> str:
    """What checkpoints make of messages, as pacore's own table of them, and its figure."""
    return pacore(
        "mechanism", *runs, "--by-checkpoint", "--figure", str(figure), "--store", data.store
    )


def tokenizer_of(data: Data) -> PreTrainedTokenizerFast:
    """A tokenizer with all words of the first prompts, which differ in their digits alone."""
    return make_tokenizer(text for item in range(64) for text in _texts(data.episodes, item))


def _texts(episodes: Episodes, item: int) -> Iterator[str]:
    one = episodes[item]
    yield one.prompt[-1]["content"]
    yield from one.row.extra_info.message_pool


def _table(found: dict[str, Measured]) -> str:
    lines = [f"{'checkpoint':<18} accuracy  95 %            all messages wrong"]
    for name, one in found.items():
        lines.append(
            f"{name:<18} {one.accuracy:>8.3f}  {one.low:.3f} to {one.high:.3f}  {one.emergent:>18.3f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
