"""The formats of trainers, and the options that shape their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pacore.training.handoff.episodes import MESSAGES

TrainerFormat = Literal[
    "pacore-train",
    "verl",
    "openrlhf",
    "slime",
    "trl-sft",
    "trl-grpo",
    "trl-preference",
    "verifiers",
]

TRAINER_FORMATS: tuple[TrainerFormat, ...] = get_args(TrainerFormat)

OF_SYNTHESES = ("trl-sft", "trl-preference")
"""Formats whose rows are trajectories that were sampled from messages; the others' are pools."""

SCHEDULED = ("openrlhf", "slime", "trl-grpo")
"""Formats whose trainers draw nothing: every visit to a problem is a row, drawn beforehand."""

SCHEDULE_ROWS = 4_000
"""250 iterations of 16 instances, those of the paper's first stage."""

ThinkingForm = Literal["inline", "field", "drop"]
"""Where the thoughts of a trajectory stand: in tags before its conclusion, in a field
``reasoning_content``, or nowhere.
"""


@dataclass(frozen=True)
class RowOptions:
    """What shapes the rows: ``sizes`` is the range of |M|, ``rows`` how many a schedule has, ``most`` the
    rows of one problem at most, ``max_tokens`` the longest trajectory.
    """

    form: TrainerFormat
    sizes: tuple[int, int] = MESSAGES
    rows: int = SCHEDULE_ROWS
    seed: int = 0
    most: int = 8
    max_tokens: int | None = None
    thinking: ThinkingForm = "inline"
    stage: str = ""


_OWN_MODULES = {"verl": "verl_dataset", "slime": "slime_source", "verifiers": "verifiers_taskset"}


def modules_of(form: str) -> list[str]:
    """The modules of `pacore.training.handoff` that travel with a format."""
    own = [_OWN_MODULES[form]] if form in _OWN_MODULES else []
    return [f"pacore.training.handoff.{name}" for name in ("checks", "reward", *own)]


def data_files(form: str) -> tuple[str, str | None]:
    """The file of rows of a format, and that of its pools, which may be the same; None without one."""
    if form == "verl":
        return "train.parquet", "train.parquet"
    if form == "verifiers":
        return "pacore_synthesis/pools.parquet", "pacore_synthesis/pools.parquet"
    return "train.jsonl", "pools.parquet" if form in SCHEDULED else None
