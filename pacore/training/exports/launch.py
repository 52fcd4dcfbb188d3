"""Files that a trainer is started with: the entry points it loads by path, and the paper's recipe.

What the paper says of training (sections 2.2 and 3.1, appendix C): PPO, strictly on-policy, GAE with
lambda = gamma = 1, 16 instances x 64 responses a batch, 131,072 tokens in all, temperature and top_p 1,
250 + 450 iterations. What it does not say of this stage (learning rates, the critic's updates, KL and
entropy) is marked as an assumption in the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pacore.training.exports.formats import RowOptions
from pacore.training.exports.package import PACKAGE
from pacore.training.handoff.checks import PROMPT_TOKENS, TOTAL_TOKENS
from pacore.training.handoff.episodes import MESSAGES

BATCH, RESPONSES = 16, 64

_HEAD = '''"""{what}

Self-contained: it needs the folder {package} beside it, and requirements.txt.
"""

import sys
from pathlib import Path

# Trainers load this file by its path, and so do their processes.
if str(Path(__file__).resolve().parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).resolve().parent))

'''


def _head(what: str) -> str:
    return _HEAD.format(what=what, package=PACKAGE)


_CHECK = """#!/usr/bin/env python3
\"\"\"Check this export where it is used: python check_export.py [--tokenizer FOLDER] [--loader].\"\"\"

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from {package}.training.handoff.checks import run_check  # noqa: E402

if __name__ == "__main__":
    run_check()
"""


class _Entry(NamedTuple):
    """A file that a trainer loads by its path, and the name of a module of the hand-off that it has."""

    file: str
    what: str
    module: str
    name: str


_REWARD = _Entry("pacore_reward.py", "The reward of a response.", "reward", "reward_of")

_ENTRIES = {
    "pacore-train": (_REWARD,),
    "verl": (
        _Entry(
            "pacore_dataset.py",
            "The data set for data.custom_cls.",
            "verl_dataset",
            "PaCoReDataset",
        ),
        _REWARD._replace(
            what="The reward for reward.custom_reward_function.", name="compute_score"
        ),
    ),
    "openrlhf": (_REWARD._replace(what="The reward for --reward.remote_url.", name="reward_func"),),
    "slime": (
        _Entry(
            "pacore_slime.py",
            "The reward for --custom-rm-path; PaCoReSource for --data-source-path is in pacore_source.py.",
            "reward",
            "slime_reward",
        ),
    ),
    "trl-sft": (_REWARD,),
    "trl-grpo": (_REWARD._replace(what="The reward for reward_funcs.", name="trl_reward"),),
    "trl-preference": (_REWARD,),
}


def launch_files(
    options: RowOptions, rows: int, needed: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Name and text of each file, of an export of ``rows`` rows."""
    for entry in _ENTRIES.get(options.form, ()):
        line = f"from {PACKAGE}.training.handoff.{entry.module} import {entry.name}  # noqa: E402"
        yield entry.file, f'{_head(entry.what)}{line}\n\n__all__ = ["{entry.name}"]\n'
    yield "check_export.py", _CHECK.format(package=PACKAGE)
    if options.form == "verl":
        yield "launch_verl.sh", _verl(options)
    elif options.form == "slime":
        yield "pacore_source.py", _slime_source(options)
        yield "launch_slime.sh", _slime(options)
    elif options.form == "openrlhf":
        yield "launch_openrlhf.sh", _openrlhf(options, rows)
    elif options.form == "verifiers":
        yield "pyproject.toml", _pyproject(needed)
        yield "pacore_synthesis/__init__.py", _environment(options)


_START = """#!/usr/bin/env bash
# {what}
#
# [paper] is what arXiv 2601.05593 says; [assumption] is what it does not say, from published settings of
# its authors' earlier work (ORZ) or the trainer's own defaults. Change those.
# With SHOW=1 it prints the settings and starts nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${{MODEL:?names the folder of the model that is trained}}"
CRITIC=${{CRITIC:-$MODEL}}   # [assumption] the critic begins as the policy does
"""


def _verl(options: RowOptions) -> str:
    low, high = options.sizes
    return (
        _START.format(
            what="The paper's recipe for verl 0.9: MODEL=… ./launch_verl.sh [key=value …]"
        )
        + f"""# [paper] 250 iterations of stage 1; 450 of stage 2 from its checkpoint
STEPS=${{STEPS:-250}}
# VALIDATION: another export's train.parquet; without it nothing is validated
GPUS=${{GPUS:-8}} NODES=${{NODES:-1}}
A=actor_rollout_ref
keys=(
    # [paper] PPO with GAE, lambda = gamma = 1
    algorithm.adv_estimator=gae algorithm.gamma=1.0 algorithm.lam=1.0
    # [assumption] no KL and no entropy bonus: as in ORZ, which the paper says that it follows
    algorithm.use_kl_in_reward=False $A.actor.use_kl_loss=False $A.actor.entropy_coeff=0
    # [paper] 16 instances x 64 responses; one update a batch, so that it is strictly on-policy
    data.train_batch_size={BATCH} $A.rollout.n={RESPONSES}
    $A.actor.ppo_mini_batch_size={BATCH} $A.actor.ppo_epochs=1
    # {_sizes(options)}, drawn anew at each visit; rows are steps x batch, laid end to end
    data.train_files="$here/train.parquet" data.val_files="${{VALIDATION:-$here/train.parquet}}"
    trainer.val_before_train="$([ -n "${{VALIDATION:-}}" ] && echo True || echo False)"
    data.custom_cls.path="$here/pacore_dataset.py" data.custom_cls.name=PaCoReDataset
    +data.pacore.rows=$((STEPS * {BATCH})) "+data.pacore.messages=[{low},{high}]"
    data.shuffle=False trainer.total_epochs=1 trainer.total_training_steps="$STEPS" data.seed={options.seed}
    # [paper] {TOTAL_TOKENS:,} tokens in all: what a prompt leaves of them, a response may have
    data.max_prompt_length={PROMPT_TOKENS} data.max_response_length={TOTAL_TOKENS}
    $A.rollout.max_model_len={TOTAL_TOKENS} data.truncation=error data.filter_overlong_prompts=False
    # [paper] temperature 1, top_p 1
    $A.rollout.temperature=1.0 $A.rollout.top_p=1.0 $A.rollout.top_k=-1
    reward.custom_reward_function.path="$here/pacore_reward.py"
    reward.custom_reward_function.name=compute_score
    # [assumption] learning rates and the critic's updates: 2 prompts each, so 8 a batch (ORZ: 12)
    $A.actor.optim.lr=1e-6 critic.optim.lr=5e-6 critic.ppo_mini_batch_size=2 critic.ppo_epochs=1
    trainer.critic_warmup=0
    # what the machine wants
    $A.model.path="$MODEL" critic.model.path="$CRITIC" $A.rollout.name=vllm
    $A.actor.use_dynamic_bsz=True critic.use_dynamic_bsz=True $A.rollout.log_prob_use_dynamic_bsz=True
    $A.actor.ppo_max_token_len_per_gpu={TOTAL_TOKENS} critic.ppo_max_token_len_per_gpu={TOTAL_TOKENS}
    critic.forward_max_token_len_per_gpu={TOTAL_TOKENS}
    $A.rollout.log_prob_max_token_len_per_gpu={TOTAL_TOKENS}
    trainer.nnodes="$NODES" trainer.n_gpus_per_node="$GPUS"
)
if [ -n "${{SHOW:-}}" ]; then printf '%s\\n' "${{keys[@]}}" "$@"; exit; fi
exec "${{PYTHON:-python3}}" -m verl.trainer.main_ppo "${{keys[@]}}" "$@"
"""
    )


def _sizes(options: RowOptions) -> str:
    """The range of |M|, and whether it is the paper's."""
    low, high = options.sizes
    stated = f"|M| ~ U({low}, {high})"
    return (
        f"[paper] {stated}" if options.sizes == MESSAGES else f"{stated} (the paper: U{MESSAGES})"
    )


def _slime_source(options: RowOptions) -> str:
    low, high = options.sizes
    what = "The source for --data-source-path."
    return f'''{_head(what)}from {PACKAGE}.training.handoff import slime_source  # noqa: E402


class PaCoReSource(slime_source.PaCoReSource):
    """|M| ~ U({low}, {high})."""

    SIZES = ({low}, {high})
'''


def _slime(options: RowOptions) -> str:
    return (
        _START.format(
            what="The paper's recipe for slime: SLIME=… MODEL=… ./launch_slime.sh [flags]"
        )
        + f""": "${{SLIME:?names the folder of slime}}"
: "${{CRITIC_CONFIG:?names the file for --megatron-config-path, which makes the critic}}"
export PYTHONPATH="$here${{PYTHONPATH:+:$PYTHONPATH}}"
flags=(
    # [paper] PPO with GAE, lambda = gamma = 1
    --advantage-estimator ppo --gamma 1.0 --lambd 1.0
    # [assumption] no KL and no entropy bonus: as in ORZ, which the paper says that it follows
    --kl-coef 0 --entropy-coef 0 --normalize-advantages
    # [paper] 16 instances x 64 responses, one update a batch
    --rollout-batch-size {BATCH} --n-samples-per-prompt {RESPONSES} --global-batch-size {BATCH * RESPONSES}
    --num-rollout "${{STEPS:-250}}"
    # [paper] {TOTAL_TOKENS:,} tokens in all, temperature 1, top_p 1
    --rollout-max-context-len {TOTAL_TOKENS} --rollout-temperature 1.0 --rollout-top-p 1.0
    # {_sizes(options)}, drawn at each visit by PaCoReSource from the pools. To train
    # on the schedule that is drawn already: --prompt-data train.jsonl --input-key prompt --label-key label
    # --metadata-key metadata --apply-chat-template, and no --data-source-path
    --prompt-data "$here/pools.parquet" --data-source-path pacore_source.PaCoReSource
    --rollout-seed {options.seed}
    --custom-rm-path pacore_slime.slime_reward
    # [assumption] learning rate; what the critic is trained with is in CRITIC_CONFIG
    --lr 1e-6 --megatron-config-path "$CRITIC_CONFIG"
    --hf-checkpoint "$MODEL"
)
if [ -n "${{SHOW:-}}" ]; then printf '%s\\n' "${{flags[@]}}" "$@"; exit; fi
exec "${{PYTHON:-python3}}" "$SLIME/train.py" "${{flags[@]}}" "$@"
"""
    )


def _openrlhf(options: RowOptions, rows: int) -> str:
    return (
        _START.format(
            what="The paper's recipe for OpenRLHF 0.11: MODEL=… ./launch_openrlhf.sh [flags]\n"
            "#\n# What it cannot express: it draws no message sets, so train.jsonl is a schedule drawn "
            "beforehand,\n# and the critic has no number of updates of its own."
        )
        + f"""flags=(
    # [paper] PPO with GAE, lambda = gamma = 1
    --algo.advantage.estimator gae --algo.advantage.lambd 1 --algo.advantage.gamma 1
    # [assumption] no KL: as in ORZ, which the paper says that it follows; entropy is off by default
    --algo.kl.init_coef 0
    # [paper] 16 instances x 64 responses, one update a batch
    --rollout.batch_size {BATCH} --rollout.n_samples_per_prompt {RESPONSES}
    --train.batch_size {BATCH * RESPONSES} --train.max_epochs 1
    # [paper] {TOTAL_TOKENS:,} tokens in all, temperature 1, top_p 1
    --data.max_len {TOTAL_TOKENS} --rollout.temperature 1 --rollout.top_p 1
    # {_sizes(options)}: {rows:,} visits, each drawn beforehand; OpenRLHF shuffles them
    --data.prompt_dataset "$here/train.jsonl" --data.input_key prompt --data.label_key label
    --data.apply_chat_template --data.max_samples {rows}
    --reward.remote_url "$here/pacore_reward.py"
    # [assumption] learning rates, constant
    --actor.adam.lr 1e-6 --critic.adam.lr 5e-6
    --actor.lr_scheduler constant --critic.lr_scheduler constant
    --actor.model_name_or_path "$MODEL" --critic.model_name_or_path "$CRITIC"
)
if [ -n "${{SHOW:-}}" ]; then printf '%s\\n' "${{flags[@]}}" "$@"; exit; fi
exec "${{PYTHON:-python3}}" -m openrlhf.cli.train_ppo_ray "${{flags[@]}}" "$@"
"""
    )


def _pyproject(needed: Iterable[str]) -> str:
    wanted = "".join(f'    "{one}",\n' for one in (*needed, "verifiers>=0.4,<0.5"))
    return f"""[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "pacore-synthesis"
version = "0.1.0"
description = "PaCoRe's synthesis episode for verifiers v1: a problem with messages drawn from its pool."
requires-python = ">=3.11"
dependencies = [
{wanted}]

[tool.setuptools.packages.find]
include = ["pacore_synthesis*", "{PACKAGE}*"]

[tool.setuptools.package-data]
pacore_synthesis = ["*.parquet"]
"""


def _environment(options: RowOptions) -> str:
    low, high = options.sizes
    return f'''"""PaCoRe's synthesis episode for verifiers v1: tasks without an end, seeded by content."""

from pathlib import Path

from {PACKAGE}.training.handoff.verifiers_taskset import (
    SynthesisConfig,
    SynthesisTask,
    SynthesisTaskData,
    SynthesisTaskset as _Taskset,
)


class SynthesisTaskset(_Taskset):
    """The pools of this package; |M| ~ U({low}, {high})."""

    POOLS = str(Path(__file__).parent / "pools.parquet")
    SEED = {options.seed}
    SIZES = ({low}, {high})


__all__ = ["SynthesisConfig", "SynthesisTask", "SynthesisTaskData", "SynthesisTaskset"]
'''
