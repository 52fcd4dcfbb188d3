"""`pacore status`: how far runs are, what the journal has before its shard is whole included."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from pacore.core.config.run import RunConfig
from pacore.core.round import Round
from pacore.core.trajectory import Generation, Request
from pacore.errors import BudgetSpent
from pacore.report.rendering.terminal import to_text
from pacore.report.status import status_sheet
from pacore.runs.problems import begin
from pacore.runs.unpublished import Unpublished, unpublished
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_commits
from pacore.store.journal import Journal
from pacore.store.run import Run, open_run, problems_of
from tests.fixtures.pipeline import (
    Killed,
    finish,
    killed_after,
    run_stages,
    scripted_config,
    spent_tokens,
    write_problems,
)
from tests.fixtures.stores import fresh_url

PROBLEMS = 6


def config_of(folder: Path, run_id: str, **fields: object) -> RunConfig:
    problems = write_problems(folder / "problems.jsonl", PROBLEMS)
    given = {"widths": (4,), "shard_size": 2, "run_id": run_id, **fields}
    return scripted_config(folder / "store", problems, **given)


def requests(store: Backend, run: Run) -> list[Request]:
    """The requests of a run's first round, in the order of its slots."""
    return [
        prompt.request(run.recipe, draw)
        for shard in run.shards
        for problem in problems_of(store, run, shard)
        for prompt in Round(run.plan, run.recipe, problem, (1, 0)).prompts()
        for draw in prompt.draws
    ]


def found(store: Backend, run: Run, **limits: float) -> Unpublished:
    commits = current_commits(store, run.run_id)
    limits = {"deadline": time.monotonic() + 600, **limits}
    return unpublished(store, run, commits, **limits)  # type: ignore[arg-type]  # deadline, max_slots


def cells(store: Backend, run_id: str, **limits: float) -> tuple[str, str, str]:
    """Trajectories, reused and new tokens of a run, as they are shown."""
    line = to_text(status_sheet(store, [run_id], **limits)).splitlines()[-1]
    shown = re.search(r"([≈≥]?[\d,]+/\d+) +([≈≥]?[\d,]+) +([≈≥]?[\d,]+) ", line)
    assert shown is not None, line
    return shown[1], shown[2], shown[3]


def said(text: str, tokens: int = 10) -> Generation:
    return Generation("stop", content=text, completion_tokens=tokens)


def test_generations_of_a_shard_that_is_not_whole_are_counted(tmp_path: Path) -> None:
    run = begin(config_of(tmp_path, "begun"))
    store = open_store(str(tmp_path / "store"))
    assert cells(store, "begun") == ("0/30", "0", "0")
    journal, slots = Journal(store), requests(store, run)
    for request in slots[:5]:
        journal.add(request, said("x"), "begun")
    journal.add(slots[20], said("x"), "another")
    assert cells(store, "begun") == ("6/30", "1", "50")


def test_a_tombstone_is_no_finished_trajectory_and_a_later_attempt_at_its_slot_is(
    tmp_path: Path,
) -> None:
    run = begin(config_of(tmp_path, "failing"))
    store = open_store(str(tmp_path / "store"))
    journal, slots = Journal(store), requests(store, run)
    lost = Generation("timeout", error="no answer within 1 s")
    for request in slots[:3]:
        journal.add(request, lost, "failing")
    assert cells(store, "failing") == ("0/30", "0", "0")
    first = slots[0]
    again = [
        Request.of(first.recipe, first.turns, first.prompt_digest, first.draw, attempt)
        for attempt in (1, 2)
    ]
    journal.add(again[0], lost, "failing")
    journal.add(again[1], said("x"), "failing")
    assert cells(store, "failing") == ("1/30", "0", "10")


@pytest.mark.parametrize("stages", range(0, 21, 4))
def test_a_run_that_another_one_has_paid_for_is_whole_at_every_stage(
    tmp_path: Path, stages: int
) -> None:
    """Six stages a shard; the second round's prompts are known once the first one is in the journal."""
    run_stages(config_of(tmp_path, "paid"))
    config = config_of(tmp_path, "again")
    store = open_store(str(tmp_path / "store"))
    if stages == 0:
        begin(config)
    elif stages < 18:
        with pytest.raises(Killed):
            run_stages(config, killed_after(stages + 1))
    else:
        run_stages(config)
    assert cells(store, "again")[0] == "30/30"
    assert cells(store, "paid")[0] == "30/30"


def test_rounds_that_problems_went_ahead_to_are_counted_before_their_shard_has_got_there(
    tmp_path: Path,
) -> None:
    """One shard of six problems, stopped in the middle: nothing of it is published."""
    limits = {"max_tokens_total": 600, "partial": True, "concurrency": 1}
    config = config_of(tmp_path, "ahead", widths=(3, 2), shard_size=PROBLEMS, **limits)
    with pytest.raises(BudgetSpent):
        finish(config)
    store = open_store(config.store)
    run = open_run(store, "ahead")
    assert not list(current_commits(store, "ahead"))
    paths = list((tmp_path / "store" / "journal").rglob("*.zst"))
    at = found(store, run)
    assert at.slots > 3 * PROBLEMS
    assert at.finished == len(paths)
    assert at.completion_tokens == spent_tokens(config)


def test_where_time_is_up_the_figures_are_estimates_and_say_so(tmp_path: Path) -> None:
    run = begin(config_of(tmp_path, "large", widths=(100,)))
    store = open_store(str(tmp_path / "store"))
    journal, slots = Journal(store), requests(store, run)
    for request in slots[::2]:
        journal.add(request, said("x"), "large")
    exact = Unpublished(600, 300, 0, 3000)
    assert found(store, run) == exact
    for guess in (found(store, run, deadline=0.0), found(store, run, max_slots=300)):
        assert guess.is_estimate
        assert 150 < guess.finished < 450
        assert guess.completion_tokens == pytest.approx(10 * guess.finished, abs=10)
    shown = cells(store, "large", patience_seconds=0.0)
    assert shown[0].startswith("≈") and shown[2].startswith("≈")
    assert cells(store, "large") == ("300/606", "0", "3,000")


def test_a_run_whose_problems_are_gone_shows_what_its_commits_say(tmp_path: Path) -> None:
    run = begin(config_of(tmp_path, "broken"))
    store = open_store(str(tmp_path / "store"))
    store.delete(run.problem_set)
    assert cells(store, "broken") == ("≥0/30", "≥0", "≥0")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_an_object_store_says_the_same(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = fresh_url(request, kind, tmp_path)
    config = config_of(tmp_path, "far")
    run = begin(config.model_copy(update={"store": url}))
    store = open_store(url)
    journal, slots = Journal(store), requests(store, run)
    for slot in slots[:7]:
        journal.add(slot, said("x"), "far")
    assert found(store, run) == Unpublished(25, 7, 0, 70)
    assert cells(store, "far") == ("7/30", "0", "70")


def test_no_status_name_or_figure_is_cut_where_a_terminal_has_80_columns(tmp_path: Path) -> None:
    config = config_of(tmp_path, "evaluation-20261201", max_tokens_total=100, partial=True)
    with pytest.raises(BudgetSpent):
        finish(config)
    run_stages(config_of(tmp_path, "evaluation-20261202", seed_root="other"))
    store = open_store(config.store)
    wide, narrow = (to_text(status_sheet(store), width) for width in (200, 80))
    assert max(map(len, narrow.splitlines())) <= 80
    assert "…" not in narrow
    *_, name, status, _, settled, reused, new, failed, _ = re.split(
        r"  +", next(line for line in wide.splitlines() if "incomplete" in line)
    )
    assert (name, status) == ("evaluation-20261201", "incomplete: budget")
    lines = narrow.splitlines()
    above = next(number for number, line in enumerate(lines) if "incomplete:" in line)
    first, below = lines[above].split(), lines[above + 1].split()
    assert first[0] + below[0] == name
    assert (first[1], below[1]) == ("incomplete:", "budget")
    assert first[3:7] == [settled, reused, new, failed]
