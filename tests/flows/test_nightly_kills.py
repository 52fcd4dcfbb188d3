"""A night that is killed where it hurts most, and finished by the same command: nothing is different."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from pacore.evaluation.night import accept_runs
from pacore.store.backends.opening import open_store
from pacore.store.nights import Night, read_nights, read_scores
from tests.conftest import ROOT, Pacore
from tests.fixtures.pipeline import (
    VERDICT_COLUMNS,
    run_stages,
    scripted_config,
    table,
    tables,
    write_problems,
)

pytestmark = pytest.mark.slow

KILLED = """
import os, re, runpy, signal, sys
place, left = re.compile(sys.argv[1]), int(sys.argv[2])

def hook(event, arguments):
    global left
    if event == "os.link" and place.search(str(arguments[1])):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
sys.argv = ["pacore", *sys.argv[3:]]
runpy.run_module("pacore.cli", run_name="__main__")
"""
"""Kills itself when it is about to publish the n-th file whose path matches: no line of it is different."""

PLACES = {
    "while it generates": (r"/journal/", 15),
    "while it is graded": (r"/verdicts/.*\.g[0-9a-f]{8}\.json$", 1),
    "between the decision and its record": (r"/nightly/sums/nights/", 1),
}


class Job:
    """A job over a store that has an accepted run."""

    def __init__(self, folder: Path, problems: Path) -> None:
        folder.mkdir()
        self.store = open_store(str(folder / "store"))
        config = scripted_config(
            folder / "store", problems, run_id="first", seed_root="first", widths=(2,)
        )
        run_stages(config)
        accept_runs(self.store, "sums", ["first"], "ada", "")
        self.file = folder / "nights.yaml"
        self.file.write_text(
            f"jobs:\n  - name: sums\n    run: {{problems: {problems}, engine: scripted, "
            f"store: {folder / 'store'}, widths: [2]}}\n"
        )

    @property
    def night(self) -> Night | None:
        nights = read_nights(self.store, "sums")
        return replace(nights[-1], ended_at=datetime.min) if nights else None

    def left(self) -> object:
        """All that a night says."""
        assert self.night is not None
        run_id, url = self.night.run_id, self.store.url
        verdicts = table(url, run_id, "verdicts", VERDICT_COLUMNS)
        return tables(url, run_id), verdicts, self.night, read_scores(self.store, "sums", run_id)


def test_a_night_killed_at_three_places_is_finished_by_the_same_command(
    tmp_path: Path, prefect_api: str, command: Pacore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    problems = write_problems(tmp_path / "problems.jsonl", 12)
    whole, killed = Job(tmp_path / "whole", problems), Job(tmp_path / "killed", problems)
    done = command("nightly", str(whole.file), "--format", "json")
    assert done.returncode == 0, done.stderr
    for place, (pattern, count) in PLACES.items():
        died = subprocess.run(
            [sys.executable, "-c", KILLED, pattern, str(count), "nightly", str(killed.file)],
            cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert died.returncode == -9, (place, died.stdout, died.stderr)
        assert killed.night is None
    again = command("nightly", str(killed.file), "--format", "json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)[0]["decision"] == "GO"
    assert killed.left() == whole.left()
