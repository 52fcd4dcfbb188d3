"""A run on a disk that fills up says which file found no room, and goes on once there is some."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pacore.errors import StoreFull
from tests.conftest import ROOT, pacore_command
from tests.fixtures.pipeline import run_stages, scripted_config, tables, write_problems
from tests.fixtures.small_disk import fill, small_disk

pytestmark = pytest.mark.slow

MIB = 1 << 20

PROBLEMS = 6


def run_with_ever_more_room(folder: str, problems: str) -> None:
    """Start a run on a full disk, and again with one page more each time, until it comes to its end.

    Prints the errors, and how many generations there were after each start.
    """
    disk = Path(folder)
    config = scripted_config(disk / "store", Path(problems), widths=(2,), run_id="tight")
    said, kept = [], []
    for pages in range(10_000):
        fill(disk, pages)
        try:
            run_stages(config)
        except StoreFull as full:
            said.append(str(full))
            kept.append(len(list(disk.glob("store/journal/*/*"))))
        else:
            break
    (disk / "ballast").unlink()
    print(json.dumps([said, kept, tables(config.store, "tight")]))


def test_a_run_goes_on_from_a_disk_that_was_full_at_any_of_its_writes(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    script = "import sys; from tests.flows.test_full_disk import *; run_with_ever_more_room(*sys.argv[1:])"
    with small_disk(tmp_path / "disk", 16 * MIB) as disk:
        done = subprocess.run(
            disk.within([sys.executable, "-c", script, str(disk.folder), str(problems)]),
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said, kept, found = json.loads(done.stdout)
    assert all(": cannot be written: no space left on device: " in line for line in said)
    places = Counter(
        Path(line.partition(":")[0]).relative_to(disk.folder).parts[1] for line in said
    )
    assert {"journal", ".tmp", "commits", "runs"} <= set(places), places
    assert kept == sorted(kept), "what was kept stays"
    whole = scripted_config(tmp_path / "whole", problems, widths=(2,), run_id="tight")
    run_stages(whole)
    assert found == json.loads(json.dumps(tables(whole.store, "tight")))


def test_the_command_ends_with_one_line_and_the_same_command_finishes(
    tmp_path: Path, prefect_api: str
) -> None:
    assert prefect_api
    problems = write_problems(tmp_path / "problems.jsonl", 40)
    store = tmp_path / "disk" / "store"
    command = pacore_command(
        ["run", "--problems", str(problems), "--engine", "scripted", "--model", "scripted?words=20",
         "--widths", "4", "--store", str(store), "--run-id", "tight"]
    )  # fmt: skip

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            disk.within(command), cwd=ROOT, capture_output=True, text=True, check=False
        )

    with small_disk(tmp_path / "disk", 200 * 4096) as disk:
        full = run()
        assert full.returncode == 1
        *_, last = full.stderr.splitlines()
        assert last.startswith(f"pacore: {store}/")
        assert "no space left on device: " in last
        assert last.endswith(
            " bytes are free; what is finished is in the store, and the same command goes on once there "
            "is room"
        )
        assert "Traceback" not in full.stderr
        disk.resize(64 * MIB)
        done = run()
        assert done.returncode == 0, done.stderr
        assert "reused" in done.stdout + done.stderr
