"""Exit codes are true: every row of `pacore.errors.Exit` is provoked through the command line."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pacore.cli.main import main
from pacore.errors import Exit
from tests.conftest import ROOT, Pacore, pacore_command
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.processes import descendants, left_after
from tests.fixtures.started import Started

pytestmark = pytest.mark.slow

NOBODY = "http://127.0.0.1:9/v1"


class Place(NamedTuple):
    """A folder with a problem set and a store in which the run ``base`` is complete."""

    folder: Path
    problems: str
    store: str

    def digest(self) -> str:
        """Of every name and byte in the store."""
        whole = hashlib.sha256()
        for path in sorted(Path(self.store).rglob("*")):
            whole.update(str(path).encode() + (path.read_bytes() if path.is_file() else b""))
        return whole.hexdigest()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("codes")
    problems = write_problems(folder / "problems.jsonl", 3)
    run_stages(scripted_config(folder / "store", problems, widths=(2,), run_id="base"))
    (folder / "bad.jsonl").write_text('{"id": "a/b", "problem": ""}\n')
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    return Place(folder, str(problems), str(folder / "store"))


REFUSED = [
    "run --problems {bad} --engine scripted",
    "run --problems {folder}/absent.jsonl --engine scripted",
    "run --problems {problems} --engine scripted --widths x",
    "run --problems {problems} --engine scripted --run-id base --widths 3",
    "run --problems {problems} --engine scripted --run-id a/b",
    "run --problems {problems} --engine scripted --model scripted?wrds=1",
    "run --problems {problems} --model m --endpoint nonsense",
    "run --problems {problems} --model m --endpoint {nobody} --tls-ca-file {folder}/absent.pem",
    "run --problems {problems} --model m --endpoint {nobody} --tls-ca-file {problems}",
    "run --problems {problems} --engine vllm --model {folder}/absent",
    "run --problems {problems} --engine vllm --model {folder}/model --vllm-option=--port=1",
    "run --problems {problems} --engine vllm --model {folder}/model --vllm-option nonsense",
    "retry base --where nonsense=1",
    "retry base --where true --concurrency 0",
    "retry base --where true --endpoint nonsense",
    "retry absent --where true",
    "evaluate absent",
    "evaluate base --grader nonsense",
    "evaluate base --prices {folder}/absent.csv",
    "grade base --grader judge --engine vllm --model {folder}/absent",
    "grade base --grader judge --engine http --model m --endpoint nonsense",
    "grade base --grader math --model m",
    "intervene base --round 2 --edit nonsense",
    "intervene base --round 9 --edit shuffle",
    "intervene base --round 2 --edit shuffle --engine vllm --model {folder}/absent",
    "value base --round 9",
    "value base --round 2 --fit {problems}",
    "value absent --round 2",
    "run --problems {problems} --engine scripted --subset 1 --select trained --scorer {problems}",
    "sweep --problems {problems} --engine scripted --arm nonsense",
    "sweep --problems {problems} --engine vllm --model {folder}/absent --arm single",
    "import {bad} --model m",
    "export absent {folder}/exported",
    "export base {problems}",
    "gc --older-than 0.1",
    "compare base absent",
    "flips base --from nonsense",
    "show base absent",
    "status absent",
    "audit absent",
    "explain base absent",
    "mechanism absent",
    "plan --problems {folder}/absent.jsonl --engine scripted",
]


def typed(place: Place, line: str) -> list[str]:
    names = {**place._asdict(), "bad": place.folder / "bad.jsonl", "nobody": NOBODY}
    return [*(word.format_map(names) for word in line.split()), "--store", place.store]


@pytest.mark.parametrize("line", REFUSED)
def test_with_2_the_line_is_refused_and_nothing_is_written(
    place: Place, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = place.digest()
    assert main(typed(place, line)) is Exit.REFUSED
    said = capsys.readouterr()
    assert said.err.startswith("pacore: ")
    assert "Traceback" not in said.err
    assert place.digest() == before


READING = [
    "status", "show base", "query SELECT", "evaluate base", "grade base", "compare base other",
    "flips base", "mechanism base", "audit base", "explain base id", "repair base", "gc",
    "retry base --where true", "export base place",
]  # fmt: skip


@pytest.mark.parametrize("line", READING)
def test_with_2_a_folder_that_is_not_there_is_no_empty_store(
    tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent"
    assert main([*line.split(), "--store", str(absent)]) is Exit.REFUSED
    assert capsys.readouterr().err == f"pacore: --store {absent}: no such folder\n"
    assert not absent.exists()


def test_a_sweep_with_2_writes_nothing_either_and_says_what_is_wrong(
    place: Place, prefect_api: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prefect_api
    before = place.digest()
    lines = {
        "sweep --problems {problems} --engine scripted --arm single --prices {folder}/absent.csv": (
            "absent.csv: no such file"
        ),
        "sweep --problems {problems} --model m --endpoint {nobody} --arm single "
        "--tls-ca-file {folder}/absent.pem": "absent.pem: No such file",
    }
    for line, reason in lines.items():
        assert main(typed(place, line)) is Exit.REFUSED
        assert reason in capsys.readouterr().err
    assert place.digest() == before


def test_with_1_something_around_a_line_is_wrong_that_is_itself_right(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in (
        f"run --problems {place.problems} --engine scripted --store /proc/nowhere",
        f"export base /proc/nowhere --store {place.store}",
    ):
        assert main(line.split()) is Exit.FAULT
        assert capsys.readouterr().err.startswith("pacore: /proc/nowhere: cannot be used: ")


def test_a_dead_endpoint_is_1_and_the_same_line_goes_on_once_it_lives(
    tmp_path: Path, prefect_api: str, pacore: Pacore
) -> None:
    assert prefect_api
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    store = ["--store", str(tmp_path / "store")]
    line = ["run", "--problems", str(problems), "--model", "m", "--endpoint", NOBODY, *store]
    done = pacore(*line, "--run-id", "r")
    assert done.returncode == Exit.FAULT, done.stderr
    assert "127.0.0.1:9" in done.stderr.splitlines()[-1]
    assert " open " in pacore("status", *store).stdout


def test_checks_and_audits_that_find_something_are_1_and_a_whole_run_is_0(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    run_stages(scripted_config(tmp_path / "store", problems, widths=(2,), run_id="r"))
    audit = ["audit", "r", "--store", str(tmp_path / "store")]
    assert main(audit) is Exit.COMPLETE
    entry = sorted((tmp_path / "store" / "journal").rglob("*.zst"))[0]
    entry.write_bytes(b"not an entry")
    assert main(audit) is Exit.FAULT


def test_4_is_no_go(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 40)
    for run_id, model in (("good", "scripted?words=9"), ("bad", "scripted?words=9&empty=0.9")):
        run_stages(
            scripted_config(
                tmp_path / "store", problems, widths=(2,), run_id=run_id, model=model, early_stop=0
            )
        )
    store = ["--store", str(tmp_path / "store")]
    assert main(["compare", "good", "bad", *store]) is Exit.COMPLETE
    assert main(["compare", "good", "bad", "--gate", *store]) is Exit.NO_GO


@pytest.fixture
def slowly(tmp_path: Path, prefect_api: str) -> Iterator[Started]:
    assert prefect_api
    started = Started(tmp_path, "--engine", "scripted", "--model", "scripted?latency_ms=400")
    yield started
    started.process.kill()
    started.process.wait()


MOMENTS: dict[str, Callable[[Started], bool]] = {
    "before the server is there": lambda run: "finding a Prefect server" in run.said,
    "as the flow begins": lambda run: "watch it at" in run.said,
    "in the middle": lambda run: run.has_journalled(10),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
@pytest.mark.parametrize("moment", MOMENTS)
def test_130_whenever_it_is_interrupted_with_the_line_that_says_how_it_goes_on(
    slowly: Started, moment: str, number: signal.Signals
) -> None:
    slowly.when(lambda: MOMENTS[moment](slowly), number)
    assert slowly.ended() == Exit.INTERRUPTED, slowly.said
    assert "the same command" in slowly.said
    assert "Traceback" not in slowly.said


DROPPING = """
import os, signal, sys

class Dropping:
    def find_spec(self, name, *_):
        if name == "prefect":
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                [None for _ in range(1000)]
            except:
                sys.stderr.write("dropped\\n")

sys.meta_path.insert(0, Dropping())
"""


def test_130_where_a_library_that_is_imported_drops_the_interruption(
    tmp_path: Path, prefect_api: str
) -> None:
    assert prefect_api
    (tmp_path / "sitecustomize.py").write_text(DROPPING)
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    line = ["run", "--problems", str(problems), "--engine", "scripted"]
    ended = subprocess.run(
        pacore_command([*line, "--store", str(tmp_path / "store")]),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    assert ended.returncode == Exit.INTERRUPTED, ended.stderr
    assert "dropped" in ended.stderr and "the same command" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_130_while_vllm_starts_and_no_process_of_it_stays(
    tmp_path: Path, prefect_api: str, number: signal.Signals
) -> None:
    assert prefect_api
    model = ROOT / ".models" / "SmolLM2-135M-Instruct"
    run = Started(tmp_path, "--engine", "vllm", "--model", str(model))
    started: set[int] = set()
    try:
        run.when(lambda: "starting vLLM" in run.said and "watch it at" in run.said, signal.SIGCONT)
        started = descendants(run.process.pid)
        run.process.send_signal(number)
        assert run.ended() == Exit.INTERRUPTED, run.said
        assert "the same command" in run.said
        assert started and not left_after(started, 60)
    finally:
        run.process.kill()
        run.process.wait()
        for pid in left_after(started, 0):
            os.kill(pid, signal.SIGKILL)
