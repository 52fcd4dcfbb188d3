"""Loads an export as each trainer does, with the trainer's own loader, in its own environment."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pacore.training.handoff.records import SlimeRow, StatedExport, TrainRow, read_lines
from pacore.training.handoff.reward import (
    compute_score,
    make_label,
    read_label,
    reward_func,
    slime_reward,
    trl_reward,
)

MOST_PROBLEMS = 16
"""Problems whose messages the reward is tried on."""

Found = Iterator[tuple[str, str]]
"""Pairs of ``fact`` or ``fault``, and what was found, in a line."""


def _load_verl(folder: Path, manifest: StatedExport) -> Found:
    """Through verl's own choice of the class, its collation and its loader, which can be resumed."""
    from omegaconf import OmegaConf
    from torchdata.stateful_dataloader import StatefulDataLoader
    from verl.utils.dataset.rl_dataset import collate_fn, get_dataset_class

    path = str(folder / manifest.data)
    custom = {"path": str(folder / "pacore_dataset.py"), "name": "PaCoReDataset"}
    own = {"rows": 3 * manifest.rows, "messages": list(manifest.settings.sizes)}
    config = OmegaConf.create(
        {"custom_cls": custom, "pacore": own, "train_files": [path], "shuffle": False, "seed": 1}
    )
    kind = get_dataset_class(config)
    data = kind(data_files=[path], tokenizer=None, processor=None, config=config)

    def loader(workers: int) -> Any:
        return StatefulDataLoader(data, batch_size=2, num_workers=workers, collate_fn=collate_fn)

    seen = [[repr(list(batch["raw_prompt"])) for batch in loader(workers)] for workers in (0, 2)]
    if seen[0] != seen[1]:
        yield "fault", "verl: loader workers draw other episodes than the process itself"
    begun = loader(2)
    first = [repr(list(batch["raw_prompt"])) for batch in islice(begun, len(seen[0]) // 2)]
    resumed = loader(2)
    resumed.load_state_dict(begun.state_dict())
    if first + [repr(list(batch["raw_prompt"])) for batch in resumed] != seen[0]:
        yield "fault", "verl: a loader that is resumed draws other episodes than were left"
    scores = []
    for number in range(min(len(data), MOST_PROBLEMS)):
        item = data[number]
        gold, extra = item["reward_model"]["ground_truth"], item["extra_info"]
        said = (f"\\boxed{{{gold}}}", "I do not know.")
        scores.append(
            [compute_score(item["data_source"], one, gold, extra)["score"] for one in said]
        )
    if any(score != [1.0, 0.0] for score in scores):
        yield "fault", f"verl: scores of right and wrong responses: {scores[:4]}"
    different = len({repr(data[number]["raw_prompt"]) for number in range(len(data))})
    base = kind.__mro__[1].__module__
    yield "fact", f"verl: {base} loads {len(data):,} items, {different:,} different"
    yield "fact", "verl: the same with 0 and 2 loader workers, and after a resume in the middle"


def check_launch(folder: Path, model: str) -> Found:
    """The launch file for verl by verl's own reading of configurations, and the reward it then finds."""
    from hydra import compose, initialize_config_module
    from verl.trainer.ppo.reward import get_custom_reward_fn
    from verl.utils.config import validate_config

    environment = {**os.environ, "MODEL": model, "SHOW": "1"}
    shown = subprocess.run(
        ["bash", str(folder / "launch_verl.sh")],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose("ppo_trainer", overrides=shown.stdout.splitlines())
    validate_config(config, use_reference_policy=False, use_critic=True)
    reward = get_custom_reward_fn(config)
    said = [
        reward("x", text, "7", {"grader": "math"})["score"] for text in ("\\boxed{7}", "\\boxed{8}")
    ]
    if said != [1.0, 0.0]:
        yield "fault", f"verl: the reward of its configuration gives {said} for right and wrong"
    if config.actor_rollout_ref.actor.ppo_mini_batch_size != config.data.train_batch_size:
        yield "fault", "verl: more than one update a batch, which is not strictly on-policy"
    yield "fact", f"verl: {len(shown.stdout.splitlines())} settings of launch_verl.sh are valid"


def _load_json(folder: Path, manifest: StatedExport) -> Iterator[Any]:
    from datasets import load_dataset

    path = str(folder / manifest.data)
    with_cache = str(folder.parent / f".{folder.name}.cache")
    yield from load_dataset("json", data_files=path, split="train", cache_dir=with_cache)


def _load_trl(folder: Path, manifest: StatedExport) -> Found:
    from trl import __version__
    from trl.data_utils import is_conversational

    rows = 0
    for row in _load_json(folder, manifest):
        rows += 1
        if not is_conversational(row):
            yield "fault", f"trl: row {rows} is no conversation to it"
        if manifest.format == "trl-grpo":
            said = [[{"role": "assistant", "content": f"\\boxed{{{row['gold']}}}"}]]
            if trl_reward(said, [row["gold"]], [row["grader"]]) != [1.0]:
                yield "fault", f"trl: row {rows}: the reward of the gold answer is not 1"
    yield "fact", f"trl {__version__}: {rows:,} rows load as conversations"


def _load_openrlhf(folder: Path, manifest: StatedExport) -> Found:
    """Through OpenRLHF's own reading and its data set, without what the rest of it needs (DeepSpeed)."""
    read, data = (
        _module_of("openrlhf", "datasets/utils"),
        _module_of("openrlhf", "datasets/prompts_dataset"),
    )
    keys = SimpleNamespace(input_key="prompt", label_key="label", apply_chat_template=True)
    strategy = SimpleNamespace(
        args=SimpleNamespace(data=keys), print=lambda *_: None, is_rank_0=lambda: False
    )
    tokenizer = SimpleNamespace(
        apply_chat_template=lambda turns, **_: f"{turns[-1]['content']}\nA:"
    )
    rows = read.blending_datasets(str(folder / manifest.data), None, strategy)
    loaded = data.PromptDataset(rows, tokenizer, strategy)
    for number, (prompt, label) in enumerate(zip(loaded.prompts, loaded.labels, strict=True), 1):
        if number > MOST_PROBLEMS:
            break
        gold = json.loads(label)["gold"]
        said = [
            f"{prompt} \\boxed{{{gold}}}.<|im_end|>",
            f"{prompt} I do not know.<|im_end|>",
            prompt,
        ]
        rewards = [reward_func([one], [prompt], [label])["rewards"].item() for one in said]
        if rewards != [1.0, 0.0, 0.0]:
            yield "fault", f"openrlhf: row {number}: rewards {rewards}"
    yield (
        "fact",
        f"openrlhf: its PromptDataset loads {len(loaded):,} rows, and reward_func gives 1 and 0",
    )


def _module_of(package: str, name: str) -> Any:
    """A module of a package by its file, without the package."""
    found = find_spec(package)
    if found is None or found.submodule_search_locations is None:
        raise ModuleNotFoundError(f"No module named {package!r}")
    path = Path(found.submodule_search_locations[0]) / f"{name}.py"
    spec = spec_from_file_location(f"{package}_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load_slime(folder: Path, manifest: StatedExport) -> Found:
    """Without slime, which is on no index: the reward as it calls it."""
    for row in islice(read_lines(folder / manifest.data, SlimeRow), MOST_PROBLEMS):
        gold, grader = read_label(row.label)
        sample = SimpleNamespace(label=make_label(gold, grader), response=f"\\boxed{{{gold}}}")
        if asyncio.run(slime_reward(None, sample)) != 1.0:
            yield "fault", "slime: the reward of the gold answer is not 1"
    yield "fact", "slime: the reward is 1 for gold answers"


def _load_verifiers(folder: Path, manifest: StatedExport) -> Found:
    sys.path.insert(0, str(folder))
    from pacore_synthesis import SynthesisConfig, SynthesisTaskset

    first, again = (
        [
            task.data.model_dump()
            for task in islice(SynthesisTaskset(SynthesisConfig()).load(), count)
        ]
        for count in (3 * manifest.rows, manifest.rows)
    )
    if first[: len(again)] != again:
        yield "fault", "verifiers: the tasks are others the second time"
    different = len({json.dumps(one["prompt"], default=str) for one in first})
    yield "fact", f"verifiers: {len(first):,} tasks, {different:,} different prompts"


def _load_nothing(folder: Path, manifest: StatedExport) -> Found:
    rows = sum(1 for _ in read_lines(folder / manifest.data, TrainRow))
    yield "fact", f"{rows:,} rows are read; no trainer is needed for this format"


LOADERS: dict[str, Callable[[Path, StatedExport], Iterable[tuple[str, str]]]] = {
    "verl": _load_verl,
    "openrlhf": _load_openrlhf,
    "slime": _load_slime,
    "trl-sft": _load_trl,
    "trl-grpo": _load_trl,
    "trl-preference": _load_trl,
    "verifiers": _load_verifiers,
    "pacore-train": _load_nothing,
}
"""What loads each format; it needs what the trainer's own environment has."""
