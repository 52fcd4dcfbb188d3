"""The data source as slime loads it: ``--data-source-path``; ``--prompt-data`` names the pool file.

Every group draws its message set anew, and after a restart it goes on with the groups that were left.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, ClassVar

from slime.rollout.data_source import DataSource
from slime.utils.processing_utils import load_tokenizer
from slime.utils.types import Sample

from pacore.training.handoff.episodes import MESSAGES, Episodes
from pacore.training.handoff.reward import make_label


class PaCoReSource(DataSource):  # type: ignore[misc]
    """Groups of samples of one prompt each. ``args`` are slime's: ``prompt_data``, ``hf_checkpoint``,
    ``rollout_seed``, ``n_samples_per_prompt``, ``save`` and ``load``. ``SIZES`` is the range of |M|.
    """

    SIZES: ClassVar[tuple[int, int]] = MESSAGES

    def __init__(self, args: Any) -> None:
        self.args = args
        self.tokenizer = load_tokenizer(args.hf_checkpoint, trust_remote_code=False)
        self.episodes = Episodes([args.prompt_data], 2**62, int(args.rollout_seed), self.SIZES)
        self.position = 0

    def __len__(self) -> int:
        return self.episodes.problems

    def get_samples(self, num_samples: int) -> list[list[Any]]:
        found = []
        for item in range(self.position, self.position + num_samples):
            episode = self.episodes[item]
            prompt = self.tokenizer.apply_chat_template(
                episode.prompt, tokenize=False, add_generation_prompt=True
            )
            label = make_label(episode.row.gold, episode.row.grader)
            metadata = {
                "problem_id": episode.row.extra_info.problem_id,
                "epoch": episode.epoch,
                "right_messages": episode.right,
            }
            one = Sample(prompt=prompt, label=label, metadata=metadata)
            found.append(
                [self._numbered(one, item, k) for k in range(self.args.n_samples_per_prompt)]
            )
        self.position += num_samples
        return found

    def _numbered(self, sample: Any, group: int, member: int) -> Any:
        one = copy.deepcopy(sample)
        one.group_index = group
        one.index = group * self.args.n_samples_per_prompt + member
        return one

    def add_samples(self, samples: list[list[Any]]) -> None:  # noqa: ARG002 - slime's signature
        raise RuntimeError("strictly on-policy: what was sampled once is not sampled again")

    def save(self, rollout_id: int) -> None:
        path = self._state(self.args.save, rollout_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"position": self.position, "seed": self.episodes.seed}))

    def load(self, rollout_id: int | None = None) -> None:
        path = None if self.args.load is None else self._state(self.args.load, rollout_id)
        if path is not None and path.exists():
            self.position = json.loads(path.read_text())["position"]

    def _state(self, folder: str, rollout_id: int | None) -> Path:
        return Path(folder) / "rollout" / f"pacore_position_{rollout_id}.json"
