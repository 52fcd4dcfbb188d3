"""Content identity: what makes two trajectories the same, and the seed that follows from it.

A trajectory is (recipe, rendered turns, draw, attempt). No run id, host, endpoint, time or row
number takes part, so the same question on another night is the same trajectory.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

ID_HEX_CHARACTERS = 32


SEED_BITS = 53


class TrajectoryKey(NamedTuple):
    """``trajectory_id``: 32 hex characters (128 bits); ``seed``: an integer in [0, 2**53)."""

    trajectory_id: str
    seed: int


def canonical_json(value: Any) -> bytes:
    """Encode JSON data so that equal data gives equal bytes: sorted keys, UTF-8, no white space.

    Raises ValueError for NaN and infinities, UnicodeEncodeError for lone surrogates, TypeError for
    values that are not JSON.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def sha256_hex(data: bytes) -> str:
    """64 hex characters."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of ``value``, 64 hex characters."""
    return sha256_hex(canonical_json(value))


def trajectory_key(
    recipe_digest: str, prompt_digest: str, draw: int, attempt: int = 0
) -> TrajectoryKey:
    """Name the ``attempt``-th try at the ``draw``-th sample of one prompt under one recipe.

    The seed has 53 bits so that every JSON reader between here and the sampler keeps it exact.
    """
    named = f"trajectory\n{recipe_digest}\n{prompt_digest}\n{draw}\n{attempt}"
    raw = hashlib.sha256(named.encode("ascii")).digest()
    seed = int.from_bytes(raw[16:24], "big") >> (64 - SEED_BITS)
    return TrajectoryKey(raw.hex()[:ID_HEX_CHARACTERS], seed)
