"""One budget over all jobs of a night: in their order, over kills, and until a larger one goes on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pacore.core.config.run import RunConfig
from pacore.evaluation.judging import begin_judging
from pacore.store.backends.opening import open_store
from pacore.store.nights import Night, read_nights
from pacore.store.run import list_runs, open_run
from pacore.warehouse.views import Warehouse
from tests.conftest import ROOT, Pacore
from tests.fixtures.pipeline import (
    journal_size,
    run_stages,
    scripted_config,
    spent_tokens,
    tables,
    write_problems,
)
from tests.flows.test_nightly import job
from tests.flows.test_nightly_kills import KILLED

pytestmark = pytest.mark.slow

WORDS, SLOTS = 20, 2

PROBLEMS, WIDTH = 8, 2

IN_FLIGHT = SLOTS * 3 * WORDS
"""No trajectory of so many words has more tokens than three times as many."""


class Nights:
    """Nights of jobs that generate each for itself, within a budget."""

    def __init__(self, folder: Path, command: Pacore) -> None:
        self._command, self._folder = command, folder
        self.store, self.file = folder / "store", folder / "nights.yaml"
        self.problems = write_problems(folder / "problems.jsonl", PROBLEMS)
        self.few = write_problems(folder / "few.jsonl", 2)

    def write(self, budget: str, *names: str) -> None:
        jobs = []
        for name in names:
            problems = self.few if name == "few" else self.problems
            own = f"seed_root: {name}", f"concurrency: {SLOTS}", "shard_size: 2"
            jobs.append(job(name, self.store, problems, f"model: scripted?words={WORDS}", *own))
        self.file.write_text("\n".join([f"budget: {budget}", "jobs:", *jobs]))

    def run(self) -> subprocess.CompletedProcess[str]:
        return self._command("nightly", str(self.file))

    @property
    def kept(self) -> dict[str, Night]:
        """The last record of each job."""
        return {night.job: night for night in read_nights(open_store(str(self.store)))}

    def alone(self, name: str, place: str = "alone") -> tuple[RunConfig, int]:
        """What the run of a job is without a budget, in another store, and what it generates in tokens."""
        config = scripted_config(
            self._folder / place, self.problems, run_id=f"{name}-alone", seed_root=name,
            widths=(WIDTH,), model=f"scripted?words={WORDS}", shard_size=2,
        )  # fmt: skip
        run_stages(config)
        return config, int(spent_tokens(config))


@pytest.fixture
def nights(
    tmp_path: Path, command: Pacore, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> Nights:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    return Nights(tmp_path, command)


def test_jobs_share_a_budget_in_their_order_and_a_larger_one_goes_on_without_anything_twice(
    nights: Nights,
) -> None:
    names = ("one", "two", "three")
    alone = {name: nights.alone(name) for name in names}
    tokens = {name: spent for name, (_, spent) in alone.items()}
    limit = tokens["one"] + tokens["two"] // 2
    nights.write(f"{{max_tokens_total: {limit}, partial: true}}", *names)
    done = nights.run()
    assert done.returncode == 5, done.stderr
    found = nights.kept
    assert {name: (night.decision, night.stopped_by) for name, night in found.items()} == {
        "one": ("NO BASELINE", None), "two": ("INCOMPLETE", "night"),
        "three": ("INCOMPLETE", "night"),
    }  # fmt: skip
    spent = sum(night.tokens or 0 for night in found.values())
    assert limit - IN_FLIGHT < spent <= limit + IN_FLIGHT
    assert (found["one"].tokens, found["three"].tokens) == (tokens["one"], 0)
    part = f"of the night's max_tokens_total {limit:,}"
    assert part in found["two"].reasons[0]
    assert found["three"].reasons[0].startswith("the job did not run: the budget is spent: ")
    shown = " ".join(done.stdout.split())
    assert f"incomplete: budget: {spent:,} {part}; stopped: two; did not run: three" in shown
    with Warehouse(open_store(str(nights.store))) as warehouse:
        rows = warehouse.query("SELECT job, decision, stopped_by, marginal_tokens FROM mart_nights")
        assert ("three", "INCOMPLETE", "night", 0) in map(tuple, rows.rows)

    # The last trajectories are begun only where as much as they may take is left.
    nights.write(f"{{max_tokens_total: {sum(tokens.values()) + IN_FLIGHT}}}", *names)
    assert nights.run().returncode == 0
    assert {name: night.tokens for name, night in nights.kept.items()} == tokens
    assert journal_size(str(nights.store)) == len(names) * PROBLEMS * (WIDTH + 1)
    for name, night in nights.kept.items():
        other, _ = alone[name]
        (made, undisturbed) = (
            tables(str(nights.store), night.run_id), tables(other.store, str(other.run_id)),
        )  # fmt: skip
        assert made == undisturbed


def test_a_job_that_is_expected_not_to_fit_does_not_run_and_a_later_one_that_fits_does(
    nights: Nights,
) -> None:
    _, tokens = nights.alone("earlier", "store")
    limit = int(1.5 * tokens)
    nights.write(f"{{max_tokens_total: {limit}}}", "one", "two", "few")
    assert nights.run().returncode == 5
    assert {name: night.decision for name, night in nights.kept.items()} == {
        "one": "NO BASELINE", "two": "INCOMPLETE", "few": "NO BASELINE",
    }  # fmt: skip
    first, second = nights.kept["one"], nights.kept["two"]
    assert second.did_not_run
    left = limit - (first.tokens or 0)
    said = f"the night's max_tokens_total {limit:,} leaves {left:,}, which does not suffice"
    assert said in second.reasons[0]


def test_a_job_that_does_not_fit_into_its_own_budget_is_incomplete_and_says_so_once(
    nights: Nights,
) -> None:
    earlier, _ = nights.alone("earlier", "store")
    store = open_store(str(nights.store))
    made = open_run(store, str(earlier.run_id))
    run_stages(begin_judging(store, made, "judge:k=1,n=1", "gold", {}).config)
    nights.write("{max_tokens_total: 1000000}", "small", "few")
    text = nights.file.read_text().replace("run:\n", "run:\n      max_tokens_total: 100\n", 1)
    arms = text[text.index("  - name: small") : text.index("  - name: few")]
    arms = arms.replace("small", "arms").replace("      widths: [2]\n", "")
    arms = arms.replace("    run:\n", "    arms: [low]\n    run:\n")
    judged = text[text.index("  - name: few") :].replace("few\n", "judged\n", 1)
    judged += "\n    grader: judge:k=1,n=1\n    judge: {max_tokens_total: 2}\n"
    nights.file.write_text(f"{text}\n{arms}{judged}")
    done = nights.run()
    assert done.returncode == 5, done.stderr
    found = nights.kept
    assert {name: night.decision for name, night in found.items()} == {
        "small": "INCOMPLETE", "few": "NO BASELINE", "arms": "INCOMPLETE", "judged": "INCOMPLETE",
    }  # fmt: skip
    limits = {"small": "", "arms": "the sweep's ", "judged": "the judge's "}
    for name, of in limits.items():
        night = found[name]
        assert (night.stopped_by, night.tokens, night.did_not_run) == ("job", 0, True)
        did_not = rf"the job did not run: {of}max_tokens_total (100|2) does not suffice: .*--par"
        (reason,) = night.reasons
        assert re.match(did_not, reason)
        assert f"pacore: job {name} INCOMPLETE: {reason}" in done.stderr.splitlines()
    # Each line of progress names its run, which is named after its job.
    progress = [line for line in done.stderr.splitlines() if " trajectories, " in line]
    assert progress
    assert all(line.startswith(f"run {found['few'].run_id}: ") for line in progress)


def test_arms_that_do_not_fit_together_do_not_begin_and_a_later_job_that_fits_does(
    nights: Nights,
) -> None:
    _, tokens = nights.alone("earlier", "store")
    nights.write(f"{{max_tokens_total: {int(1.2 * tokens)}}}", "arms", "few")
    job_of_arms = nights.file.read_text().replace("      widths: [2]\n", "", 1)
    arms = '    arms: ["2", low, "6"]\n    run:\n'
    nights.file.write_text(job_of_arms.replace("    run:\n", arms, 1))
    done = nights.run()
    assert done.returncode == 5, done.stderr
    before = "pacore: job arms: is expected not to fit, and will not be run then: "
    assert before in done.stderr
    # A pool of six, and the last trajectory of each of three arms.
    many = f"{PROBLEMS * (6 + 3)} trajectories of 4 runs, of the length of stored ones take about"
    assert many in done.stderr
    arms_night, few = nights.kept["arms"], nights.kept["few"]
    assert (arms_night.decision, few.decision) == ("INCOMPLETE", "NO BASELINE")
    assert arms_night.did_not_run
    assert many in arms_night.reasons[0]
    assert "did not run: arms" in " ".join(done.stdout.split())
    assert not [
        name for name in list_runs(open_store(str(nights.store))) if name in arms_night.runs
    ]


def test_a_night_that_was_killed_goes_on_with_what_is_left_of_its_budget(nights: Nights) -> None:
    _, tokens = nights.alone("one")
    nights.write(f"{{max_tokens_total: {tokens}, partial: true}}", "two")
    # In its first round: nothing of it is in a table.
    died = subprocess.run(
        [sys.executable, "-c", KILLED, r"/journal/", "12", "nightly", str(nights.file)],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert died.returncode == -9, (died.stdout, died.stderr)
    assert not tables(str(nights.store), next(iter(list_runs(open_store(str(nights.store))))))[
        "trajectories"
    ]
    nights.write(f"{{max_tokens_total: {tokens}, partial: true}}", "one", "two")
    assert nights.run().returncode == 5
    found = nights.kept
    spent = sum(night.tokens or 0 for night in found.values())
    assert tokens - IN_FLIGHT < spent <= tokens + IN_FLIGHT
    assert found["one"].stopped_by == found["two"].stopped_by == "night"
    assert (found["two"].tokens or 0) > 0, "it was generated before the kill, and counts"
