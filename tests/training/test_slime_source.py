"""The data source for slime draws every group's messages anew, and goes on where it was left.

slime is on no package index. A folder with the three names that the source takes from it stands in for it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pacore.training.exports.formats import RowOptions, modules_of
from pacore.training.exports.launch import launch_files
from pacore.training.exports.package import package_files
from pacore.training.handoff.reward import read_label
from tests.conftest import ROOT
from tests.training.test_episodes import pool_file

SLIME = {
    "slime/__init__.py": "",
    "slime/rollout/__init__.py": "",
    "slime/rollout/data_source.py": "class DataSource:\n    pass\n",
    "slime/utils/__init__.py": "",
    "slime/utils/types.py": (
        "from dataclasses import dataclass, field\n\n\n"
        "@dataclass\nclass Sample:\n"
        "    prompt: str = ''\n    label: str = ''\n    metadata: dict = field(default_factory=dict)\n"
        "    index: int = None\n    group_index: int = None\n"
    ),
    "slime/utils/processing_utils.py": (
        "class Tokenizer:\n"
        "    def apply_chat_template(self, turns, tokenize, add_generation_prompt):\n"
        "        assert not tokenize and add_generation_prompt\n"
        "        return '|'.join(turn['content'] for turn in turns) + '|'\n\n\n"
        "def load_tokenizer(name, trust_remote_code):\n"
        "    assert not trust_remote_code\n"
        "    return Tokenizer()\n"
    ),
}

ROLLOUTS = """
import json, sys
from types import SimpleNamespace
from pacore.training.handoff.slime_source import PaCoReSource

args = SimpleNamespace(
    prompt_data=sys.argv[1], hf_checkpoint="m", rollout_seed=3, n_samples_per_prompt=4,
    save=sys.argv[2], load=sys.argv[2],
)
source = PaCoReSource(args)
source.load(0 if sys.argv[3] == "resumed" else None)
drawn = [source.get_samples(5) for _ in range(int(sys.argv[4]))]
source.save(0)
print(json.dumps([[vars(one) for one in group] for rollout in drawn for group in rollout]))
"""


@pytest.mark.slow
def test_groups_are_drawn_anew_and_a_restart_goes_on_with_those_that_were_left(
    tmp_path: Path,
) -> None:
    for name, text in SLIME.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    pools = pool_file(tmp_path / "pools.parquet", 7)

    def groups(folder: str, start: str, rollouts: int) -> list[list[dict[str, object]]]:
        line = [str(pools), str(tmp_path / folder), start, str(rollouts)]
        done = subprocess.run(
            [sys.executable, "-c", ROLLOUTS, *line],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        )
        found: list[list[dict[str, object]]] = json.loads(done.stdout)
        return found

    whole = groups("whole", "new", 4)
    assert groups("parts", "new", 2) + groups("parts", "resumed", 2) == whole
    assert [one["index"] for group in whole for one in group] == list(range(4 * 20))
    for group in whole:
        assert len({(one["prompt"], one["label"], one["group_index"]) for one in group}) == 1
    assert len({group[0]["prompt"] for group in whole}) == len(whole) == 20
    gold, grader = read_label(str(whole[0][0]["label"]))
    assert (f"What is {gold}?" in str(whole[0][0]["prompt"]), grader) == (True, "math")


@pytest.mark.slow
def test_the_source_of_an_export_draws_as_many_messages_as_the_export_says(tmp_path: Path) -> None:
    options = RowOptions("slime", sizes=(2, 4))
    files = [*package_files(modules_of("slime")), *launch_files(options, 7, ()), *SLIME.items()]
    for name, text in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    pools = pool_file(tmp_path / "pools.parquet", 7)
    code = ROLLOUTS.replace("pacore.training.handoff.slime_source", "pacore_source")
    done = subprocess.run(
        [sys.executable, "-c", code, str(pools), str(tmp_path / "state"), "new", "6"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    prompts = [group[0]["prompt"] for group in json.loads(done.stdout)]
    assert {prompt.count("\nReference ") - 1 for prompt in prompts} == {2, 3, 4}
