"""How many tokens a simulated trajectory has: a function of its prompt and seed, so that two clients that
request the same trajectories have the same work.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist

import pyarrow.parquet as pq

Lengths = Callable[[str, str, int], int]
"""Tokens of the trajectory of a problem, one of its prompts and a seed."""


def _uniform(*parts: object) -> float:
    """A number in (0, 1) that follows from the parts."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return (int.from_bytes(digest[:7], "big") + 0.5) / 2**56


def long_tailed(median_tokens: int, between: float = 0.6, within: float = 0.5) -> Lengths:
    """Log-normal, as lengths of reasoning models are: a problem's median has a spread of ``between``, and
    each trajectory around it one of ``within``, both in natural logarithms.
    """
    normal = NormalDist()

    def length(problem: str, prompt: str, seed: int) -> int:
        common = between * normal.inv_cdf(_uniform("problem", problem))
        own = within * normal.inv_cdf(_uniform("trajectory", prompt, seed))
        return max(1, round(median_tokens * math.exp(common + own)))

    return length


def measured(file: Path, model: str, scale: float) -> Lengths:
    """Of trajectories that were measured: a prompt stands for one of the problems, a seed for one of its
    trajectories. ``scale`` makes them shorter, so that a run takes seconds and not hours.
    """
    pools: dict[str, list[int]] = {}
    for row in pq.read_table(file, columns=["model", "problem", "tokens"]).to_pylist():
        if row["model"] == model:
            pools.setdefault(str(row["problem"]), []).append(int(row["tokens"]))
    if not pools:
        raise ValueError(f"{file}: has no trajectories of {model}")
    names = sorted(pools)

    def length(problem: str, prompt: str, seed: int) -> int:
        pool = pools[names[int(_uniform("problem", problem) * len(names))]]
        return max(1, round(pool[int(_uniform("trajectory", prompt, seed) * len(pool))] * scale))

    return length
