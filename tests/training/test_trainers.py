"""Exports in the environments of trainers that `make trainers` makes: their own loaders and commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pacore.store.backends.opening import open_store
from pacore.training.exports.export import export_training, material_of
from pacore.training.exports.formats import RowOptions, TrainerFormat
from pacore.training.exports.verify import verify_export
from pacore.training.handoff.reward import reward_of
from tests.conftest import ROOT
from tests.fixtures.training_runs import POOL, SYNTHESIS, training_store

LOADED: dict[TrainerFormat, tuple[str, str]] = {
    "trl-sft": ("trl", "trl 1.16.0: {} rows load as conversations"),
    "trl-grpo": ("trl", "trl 1.16.0: {} rows load as conversations"),
    "trl-preference": ("trl", "trl 1.16.0: {} rows load as conversations"),
    "verifiers": ("verifiers", "verifiers: 18 tasks, 18 different prompts"),
    "verl": ("verl", "verl: the same with 0 and 2 loader workers, and after a resume in the middle"),
    "openrlhf": (
        "openrlhf", "openrlhf: its PromptDataset loads {} rows, and reward_func gives 1 and 0",
    ),
}  # fmt: skip
"""The trainer of each format, and what its loader says of the rows."""


def python_of(trainer: str) -> Path:
    return ROOT / "build" / "trainers" / trainer / "bin" / "python"


def there(trainer: str) -> Path:
    """The Python of a trainer's environment; without one the test is left out."""
    if not python_of(trainer).exists():
        pytest.skip(f"make trainers TRAINERS={trainer} makes its environment")
    return python_of(trainer)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return training_store(tmp_path_factory.mktemp("trainers"))


def exported(store: str, place: Path, form: TrainerFormat) -> Path:
    material = material_of(open_store(store), POOL, SYNTHESIS)
    export_training(material, RowOptions(form, rows=15), place / form)
    return place / form


@pytest.mark.slow
@pytest.mark.parametrize("form", LOADED)
def test_a_trainer_loads_its_format_by_its_own_loader(
    tmp_path: Path, request: pytest.FixtureRequest, form: TrainerFormat
) -> None:
    trainer, said = LOADED[form]
    python = there(trainer)
    folder = exported(request.getfixturevalue("store"), tmp_path, form)
    rows = json.loads((folder / "training.json").read_text())["rows"]
    found = verify_export(folder, trainer_python=str(python))
    assert found.faults == []
    assert said.format(rows) in found.facts


class Majority(BaseHTTPRequestHandler):
    """Answers a chat completion, as a stream, with the most frequent answer in its prompt."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        whole = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        ends = (
            {"delta": {"role": "assistant", "content": majority(body["messages"])}},
            {"delta": {}, "finish_reason": "stop"},
        )
        chunks = [json.dumps({**whole, "choices": [{"index": 0, **end}]}) for end in ends]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for chunk in (*chunks, "[DONE]"):
            self.wfile.write(f"data: {chunk}\n\n".encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def majority(prompt: list[dict[str, Any]]) -> str:
    answers = Counter(re.findall(r"boxed\{(-?\d+)\}", json.dumps(prompt)))
    return f"\\boxed{{{answers.most_common(1)[0][0]}}}"


@contextmanager
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Majority)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
def test_the_environment_for_verifiers_is_rolled_out_by_its_own_command(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    python = there("verifiers")
    folder = exported(request.getfixturevalue("store"), tmp_path, "verifiers")
    paths = (Path(sys.executable).parent, python.parent, Path(os.environ["PATH"]))
    own = {"PYTHONPATH": str(folder), "PATH": os.pathsep.join(map(str, paths)), "KEY": "none"}
    with endpoint() as url:
        done = subprocess.run(
            [
                "vf-eval", "pacore_synthesis", "-m", "m", "--client.base-url", url,
                "--client.api-key-var", "KEY", "--env.agent.harness.id", "null",
                "--env.agent.runtime.type", "subprocess", "--select.include.idx", "0:4", "-r", "2",
                "-c", "4", "--no-push", "--no-rich", "-o", str(tmp_path / "rolled-out"),
            ],
            env=os.environ | own, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (traces,) = (tmp_path / "rolled-out").rglob("traces.jsonl")
    found = [json.loads(line)["traces"][0] for line in traces.read_text().splitlines()]
    tasks = [one["task"]["data"] for one in found]
    assert sorted(task["idx"] for task in tasks) == [0, 0, 1, 1, 2, 2, 3, 3]
    for one, task in zip(found, tasks, strict=True):
        reward = reward_of(majority(task["prompt"]), task["gold"], task["grader"])
        assert one["rewards"]["right"]["score"] == reward.score
        assert one["metrics"]["observed"] == 1.0
