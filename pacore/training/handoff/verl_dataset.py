"""The data set as verl loads it: ``data.custom_cls``.

Every item draws its message set anew (`pacore.training.handoff.episodes`), under any number of loader
workers, and a resumed run goes on with the items that were left. It wants ``data.shuffle=False``, since
each epoch has an order of its own, and ``trainer.total_epochs=1``, since all epochs are laid end to end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from pacore.errors import BadInput
from pacore.training.handoff.episodes import MESSAGES, POOL_FIELDS, Episode, Episodes

try:
    from verl.utils.dataset.rl_dataset import RLHFDataset as _Base
except ImportError:
    from torch.utils.data import Dataset as _Base


class PaCoReDataset(_Base):  # type: ignore[misc]
    """Episodes as verl's rows, with what it wants of ``RLHFDataset``: ``raw_prompt`` and the like.

    ``config`` is verl's ``data``: ``seed``, ``pacore.rows`` (items in all, the number of steps times the
    batch) and ``pacore.messages`` (the range of |M|). Files that are not ``train_files`` are visited once.
    """

    def __init__(
        self,
        data_files: str | Sequence[str],
        tokenizer: Any = None,
        config: Mapping[str, Any] | None = None,
        processor: Any = None,
        max_samples: int = -1,
    ) -> None:
        given = {} if config is None else config
        own = given.get("pacore") or {}
        files = _listed(data_files)
        is_training = files == _listed(given.get("train_files") or files)
        if is_training and given.get("shuffle"):
            raise BadInput("data.shuffle: must be False; each epoch has an order of its own")
        self.tokenizer, self.processor, self.config = tokenizer, processor, config
        rows = own.get("rows") if is_training else None
        self.episodes = Episodes(
            files, rows, int(given.get("seed") or 0), tuple(own.get("messages") or MESSAGES)
        )
        if max_samples > 0:
            self.episodes.rows = min(self.episodes.rows, max_samples)

    def __len__(self) -> int:
        return len(self.episodes)

    def __getitem__(self, item: int) -> dict[str, Any]:
        episode = self.episodes[item]
        row = episode.row
        return {
            "data_source": row.data_source,
            "ability": row.ability,
            "reward_model": row.reward_model,
            "extra_info": _seen(episode),
            "raw_prompt": episode.prompt,
            "index": row.extra_info.index,
            "tools_kwargs": {},
            "interaction_kwargs": {},
            # verl counts a batch by its tensors.
            "dummy_tensor": torch.tensor([0], dtype=torch.uint8),
        }


def _seen(episode: Episode) -> dict[str, object]:
    """What the reward and the logs need of an episode: of the pool only what was drawn."""
    extra = episode.row.extra_info.as_json
    kept = {name: value for name, value in extra.items() if name not in POOL_FIELDS}
    return {
        **kept,
        "epoch": episode.epoch,
        "messages": len(episode.messages),
        "right_messages": episode.right,
        "message_numbers": list(episode.messages),
    }


def _listed(files: Any) -> list[str]:
    return [files] if isinstance(files, str) else [str(file) for file in files]
