"""The verdict on the evidence of runs: whatever is taken from a good run is named, and of a clean one
nothing is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import special

from pacore.core.config.run import RunConfig
from pacore.errors import BudgetSpent
from pacore.evaluation.accuracy import Totals
from pacore.evaluation.evidence import Evidence, RuleRow, detectable_beside, evidence_of
from pacore.report.accuracy import evidence_line
from pacore.runs.loop import finish_shards
from pacore.runs.problems import open_work
from pacore.runs.retry import begin_retry
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_units
from pacore.store.layout import OWN, final_key
from pacore.store.run import add_budget_stop, open_run
from pacore.warehouse.relations import rule_names, statement
from pacore.warehouse.views import ReportWarehouse
from tests.conftest import ROOT, Pacore
from tests.fixtures.audited import copy_of
from tests.fixtures.corruption import Row, rewrite
from tests.fixtures.pipeline import (
    Killed,
    killed_after,
    run_stages,
    scripted_config,
    write_problems,
)
from tests.fixtures.strategies import STRATEGIES

pytestmark = pytest.mark.slow

RUN = "good"

PROBLEMS, WIDTHS, REPLICATES = 8, (4, 2), 2

CLEAN = "complete · observed · powered: a difference of "


def config_of(folder: Path, problems: int = PROBLEMS, **fields: Any) -> RunConfig:
    folder.mkdir(exist_ok=True, parents=True)
    given = {
        "model": "scripted?words=60", "widths": WIDTHS, "replicates": REPLICATES, "shard_size": 4,
        "run_id": RUN, **fields,
    }  # fmt: skip
    return scripted_config(folder / "store", write_problems(folder / "p.jsonl", problems), **given)


def finished(folder: Path, **fields: Any) -> Backend:
    config = config_of(folder, **fields)
    run_stages(config)
    return open_store(config.store)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    finished(folder)
    return folder / "store"


@pytest.fixture(scope="module")
def good_line(good: Path) -> str:
    """What is printed of the good run."""
    return evidence_line(evidence(open_store(str(good))))


@pytest.fixture
def store(good: Path, tmp_path: Path) -> Backend:
    """The good run, in a copy that evidence is taken from."""
    return copy_of(good, tmp_path / "store")


def evidence(store: Backend, run_id: str = RUN) -> Evidence:
    with ReportWarehouse(store, [run_id]) as warehouse:
        (totals,) = warehouse.read(Totals, run_id=run_id)
        return evidence_of(warehouse, [run_id], detectable_beside(totals))


def named(found: Evidence) -> set[str]:
    return {row.rule for row in (*found.missing(), *found.stated)}


# What is taken from the rows of a good run.

Mutation = Callable[[Backend], None]

Where = Callable[[Row], bool]


def always(_: Row) -> bool:
    return True


def is_first_slot(row: Row) -> bool:
    return bool(row["slot"] == 0)


def edited(
    table: str,
    change: Callable[[list[Row]], None],
    rounds: Sequence[int] = (1, 2, 3),
    shards: Sequence[str] = ("s00000", "s00001"),
) -> Mutation:
    """Change the rows of units; the second of the two shards was made later than the first."""

    def mutate(store: Backend) -> None:
        for unit in current_units(store, RUN):
            is_own = unit.table != "verdicts" or unit.grading == OWN
            if is_own and unit.table == table and unit.round in rounds and unit.shard in shards:
                rewrite(store, unit, change)

    return mutate


def to(where: Where = always, **values: Any) -> Callable[[list[Row]], None]:
    """Give rows other values; one that is called is given the row."""

    def change(rows: list[Row]) -> None:
        for row in filter(where, rows):
            row.update({k: v(row) if callable(v) else v for k, v in values.items()})

    return change


def lost(where: Where = always) -> Callable[[list[Row]], None]:
    def change(rows: list[Row]) -> None:
        rows[:] = [row for row in rows if not where(row)]

    return change


def half(rows: list[Row]) -> None:
    del rows[len(rows) // 2 :]


def copied_slot(*columns: str) -> Callable[[list[Row]], None]:
    """Slots have columns of slot 0 of their set."""

    def change(rows: list[Row]) -> None:
        first = {(r["problem_id"], r["replicate"]): r for r in rows if r["slot"] == 0}
        for row in rows:
            row.update({name: first[row["problem_id"], row["replicate"]][name] for name in columns})

    return change


def second_seed(rows: list[Row]) -> None:
    rows[1]["seed"] = rows[0]["seed"]


def doubled(rows: list[Row]) -> None:
    rows.insert(0, dict(rows[0]))


def first_only(rows: list[Row]) -> None:
    lost(lambda row: row["position"] > 1)(rows)


def first_message(rows: list[Row]) -> None:
    rows.remove(rows[0])


def whole_set(rows: list[Row]) -> None:
    gone = rows[0]["problem_id"], rows[0]["replicate"]
    lost(lambda row: (row["problem_id"], row["replicate"]) == gone)(rows)


TOMBSTONE: dict[str, Any] = {
    "finish_reason": "engine_error", "conclusion_status": "none", "conclusion": None,
    "completion_tokens": None, "usage_source": "unknown",
}  # fmt: skip

CUT: dict[str, Any] = {
    "finish_reason": "length",
    "conclusion_status": "truncated",
    "conclusion": None,
}

EMPTY: dict[str, Any] = {"conclusion_status": "empty", "conclusion": None}

UNPARSED: dict[str, Any] = {"thinking_closed": None, "reasoning_characters": 0}

LATER = ("s00001",)


def trajectories(change: Callable[[list[Row]], None], **which: Any) -> Mutation:
    return edited("trajectories", change, **which)


def reopened(store: Backend) -> None:
    store.delete(final_key(RUN))
    edited("answers", lost(), shards=LATER)(store)


def out_of_budget(store: Backend) -> None:
    reopened(store)
    add_budget_stop(store, RUN, "the budget is spent", 100, None)


def without_a_problem(store: Backend) -> None:
    run = open_run(store, RUN)
    with store.local_path(run.problem_set) as path:
        table = pq.read_table(path)
    scratch = store.scratch() / "fewer.parquet"
    pq.write_table(table.slice(1), scratch)
    store.put(run.problem_set, scratch.read_bytes())


def missing_conclusions(store: Backend) -> None:
    """Of each set three of four texts are cut, and their messages are not there."""
    is_later = lambda row: row["slot"] > 0  # noqa: E731
    trajectories(to(is_later, **CUT), rounds=(1,))(store)
    trajectories(to(is_later, **CUT), rounds=(2,))(store)
    edited("messages", first_only, rounds=(1, 2))(store)


MUTATIONS: dict[str, tuple[Mutation, str]] = {
    "a budget that stopped it": (out_of_budget, "budget"),
    "a run that was interrupted": (reopened, "ended"),
    "a problem lost from the set": (without_a_problem, "problems"),
    "half a shard lost": (trajectories(half, rounds=(1,), shards=LATER), "slots"),
    "one row lost": (
        trajectories(lambda rows: rows.remove(rows[0]), rounds=(1,), shards=LATER), "slots",
    ),
    "a shard lost in the middle round": (trajectories(lost(), rounds=(2,), shards=LATER), "slots"),
    "all final trajectories lost": (trajectories(lost(), rounds=(3,)), "slots"),
    "an answer lost": (edited("answers", lambda rows: rows.remove(rows[0])), "answers"),
    "the answers of a shard lost": (edited("answers", lost(), shards=LATER), "answers"),
    "a shard that the engine failed in": (
        trajectories(to(**TOMBSTONE), rounds=(1,), shards=LATER), "generated",
    ),
    "a final trajectory that the engine failed in": (
        lambda store: (
            trajectories(to(**TOMBSTONE), rounds=(3,), shards=LATER)(store),
            edited("answers", to(status="failed", failed_round=3, answer=None), shards=LATER)(store),
        )[0],
        "answers",
    ),
    "a verdict lost": (edited("verdicts", lambda rows: rows.remove(rows[0])), "verdicts"),
    "all verdicts lost": (edited("verdicts", lost()), "verdicts"),
    "usage dropped": (
        trajectories(to(completion_tokens=None, usage_source="unknown")), "usage",
    ),
    "usage dropped of one slot": (
        trajectories(to(is_first_slot, completion_tokens=None), rounds=(2,)), "usage",
    ),
    "usage guessed by a tokenizer": (
        trajectories(to(usage_source="tokenizer"), shards=LATER), "usage",
    ),
    "no finish reason": (trajectories(to(finish_said="missing"), shards=LATER), "finish_reasons"),
    "a finish reason that is not known": (
        trajectories(to(is_first_slot, finish_said="xyzzy"), rounds=(1,)), "finish_reasons",
    ),
    "a second server version": (
        trajectories(to(engine_version="2"), shards=LATER), "server_version",
    ),
    "a server that is restarted without a version": (
        trajectories(to(engine_version=None), rounds=(2,)), "server_version",
    ),
    "another engine": (trajectories(to(engine="http"), rounds=(3,)), "server_version"),
    "a second fingerprint": (
        trajectories(to(fingerprint="fp_2"), rounds=(2, 3), shards=LATER), "fingerprint",
    ),
    "another model behind the name": (
        trajectories(to(served_model="other"), rounds=(3,)), "served_model",
    ),
    "a reasoning parser switched off in the middle": (
        trajectories(to(**UNPARSED), shards=LATER), "parser",
    ),
    "another form of request in a later round": (
        trajectories(to(wire="stream"), rounds=(2,)), "wire",
    ),
    "another limit in a later round": (trajectories(to(max_tokens=99), rounds=(2,)), "limits"),
    "successes of no tokens": (
        trajectories(to(is_first_slot, completion_tokens=0), rounds=(1,)), "zero_tokens",
    ),
    "empty conclusions": (trajectories(to(**EMPTY), rounds=(1, 2)), "empty"),
    "everything cut": (trajectories(to(**CUT)), "runaway"),
    "a seed used twice": (trajectories(second_seed, rounds=(1,)), "seeds"),
    "one seed for a set": (trajectories(copied_slot("seed"), rounds=(1,)), "seeds"),
    "a row twice": (trajectories(doubled, rounds=(2,)), "seeds"),
    "one text for a set": (
        trajectories(
            copied_slot(
                "conclusion", "completion_tokens", "reasoning_characters", "content_characters"
            ),
            rounds=(1,),
        ),
        "copies",
    ),
    "a message lost": (edited("messages", first_message, rounds=(1,), shards=LATER), "messages"),
    "a round with one message a set": (edited("messages", first_only, rounds=(1,)), "messages"),
    "a set of messages lost": (edited("messages", whole_set, rounds=(2,)), "messages"),
    "all messages of a round lost": (edited("messages", lost(), rounds=(1,)), "messages"),
    "sets with a quarter of their messages": (missing_conclusions, "short_sets"),
    "a compactor of another version in the middle": (
        edited("messages", to(compactor="conclusion/2"), shards=LATER), "compactors",
    ),
    "a grader of another version in the middle": (
        edited("verdicts", to(grader_version="math 2"), shards=LATER), "graders",
    ),
    "a grader that timed out": (
        edited("verdicts", to(verdict="timeout", score=None), shards=LATER), "gradings",
    ),
    "a grader that crashed": (
        edited("verdicts", to(verdict="crash", score=None), shards=LATER), "gradings",
    ),
    "everything reused": (trajectories(to(reused=True)), "reused"),
    "a server that tells nothing of itself": (
        trajectories(to(engine_version=None, fingerprint=None)), "server_told",
    ),
    "prompts that show fewer messages": (
        trajectories(to(prompt_messages=1), rounds=(2,)), "shortened",
    ),
}  # fmt: skip


def test_a_good_run_is_complete_observed_and_powered(good: Path) -> None:
    found = evidence(open_store(str(good)))
    assert (found.complete, found.observed, found.powered) == (True, True, True)
    assert named(found) == set()
    assert evidence_line(found).startswith(CLEAN)
    assert {row.rule for row in found.rules} == set(rule_names())


@pytest.mark.parametrize("name", MUTATIONS)
def test_evidence_that_is_taken_away_is_named(store: Backend, good_line: str, name: str) -> None:
    mutate, cause = MUTATIONS[name]
    mutate(store)
    found = evidence(store)
    line = evidence_line(found)
    assert cause in named(found)
    assert line != good_line
    (row,) = (row for row in found.rules if row.rule == cause)
    if row.is_missing:
        assert not (found.complete if row.part == "complete" else found.observed)
        assert ("INCOMPLETE" if row.part == "complete" else "NOT OBSERVED") in line
    assert str(row) in line or " more in mart_evidence" in line
    assert row.total == 0 or f"{row.lacking:,} of {row.total:,} {row.unit}" in str(row)


def test_every_rule_finds_something() -> None:
    assert {cause for _, cause in MUTATIONS.values()} == set(rule_names())
    assert len(MUTATIONS) >= 30


# What happens to real runs.


def test_the_documents_list_every_way_by_the_rule_that_names_it() -> None:
    named_by: dict[str, list[str]] = {}
    for name, (_, rule) in MUTATIONS.items():
        named_by.setdefault(rule, []).append(name)
    page = (ROOT / "docs/evaluate.md").read_text()
    assert f"take evidence away in {len(MUTATIONS)} ways" in page
    for rule, names in named_by.items():
        assert f"| `{rule}` | {'; '.join(names)} |" in page


def test_a_run_that_its_budget_stopped_says_how_many_problems_are_not_finished(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path, max_tokens_total=2000, concurrency=2)
    with pytest.raises(BudgetSpent), open_work(config) as work:
        finish_shards(work)
    found = evidence(open_store(config.store))
    (row,) = (row for row in found.missing("complete") if row.rule == "budget")
    assert 0 < row.lacking <= row.total == PROBLEMS
    line = evidence_line(found)
    assert line.startswith(f"INCOMPLETE (budget: not finished {row.lacking} of {PROBLEMS} problems")


def test_a_run_that_was_killed_is_not_at_its_end_until_it_is_finished(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with pytest.raises(Killed):
        run_stages(config, killed_after(4))
    assert "ended" in named(evidence(open_store(config.store)))
    run_stages(config)
    assert named(evidence(open_store(config.store))) == set()


def test_answers_that_an_engine_failed_are_missing_and_not_wrong(tmp_path: Path) -> None:
    store = finished(tmp_path, model="scripted?words=20&fault=0.5", attempts=1)
    assert {"answers", "generated"} <= named(evidence(store))


def test_a_night_that_finds_everything_in_the_store_says_so(tmp_path: Path) -> None:
    store = finished(tmp_path)
    run_stages(config_of(tmp_path, run_id="again"))
    found = evidence(store, "again")
    assert (found.complete, found.observed) == (True, True)
    assert "nothing sampled by this run: of earlier runs 112 of 112 trajectories" in evidence_line(
        found
    )


def test_a_retry_under_another_limit_is_named(tmp_path: Path) -> None:
    config = config_of(tmp_path, model="scripted?words=30&truncate=0.1")
    run_stages(config)
    store = open_store(config.store)
    assert named(evidence(store)) == set()
    assert begin_retry(store, open_run(store, RUN), "finish_reason = 'length'", 999) is not None
    run_stages(config)
    assert "limits" in named(evidence(store))


def test_prompts_that_do_not_fit_the_window_are_stated(tmp_path: Path) -> None:
    store = finished(
        tmp_path, model="scripted?words=10&window=90", max_tokens=30, overflow="fewer_messages"
    )
    assert "shortened" in named(evidence(store))


def test_one_problem_has_no_power(tmp_path: Path) -> None:
    found = evidence(finished(tmp_path, problems=1))
    assert not found.powered
    assert "NOT POWERED (fewer than two problems have a score)" in evidence_line(found)


# What never alarms.


@pytest.mark.parametrize("strategy", [None, *STRATEGIES])
def test_a_clean_run_of_any_strategy_lacks_nothing(tmp_path: Path, strategy: str | None) -> None:
    own = STRATEGIES[strategy] if strategy else {}
    found = evidence(finished(tmp_path, **own))
    assert named(found) == set()


SETTINGS = st.fixed_dictionaries(
    {
        "model": st.builds(
            "scripted?words={}&truncate={}&empty={}".format,
            st.sampled_from([0, 12, 80, 400]),
            st.sampled_from([0.0, 0.2, 0.4]),
            st.sampled_from([0.0, 0.1]),
        ),
        "widths": st.sampled_from([(4,), (8,), (16, 4)]),
        "replicates": st.integers(1, 3),
        "pool": st.sampled_from([None, 24]),
        "seed_root": st.integers(0, 10**6).map(str),
    }
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=SETTINGS)
def test_a_clean_run_of_any_model_lacks_nothing(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, Any]
) -> None:
    store = finished(tmp_path_factory.mktemp("clean"), **fields)
    assert named(evidence(store)) == set()


# What follows from it.


def test_a_share_that_is_allowed_leaves_room_for_chance(good: Path) -> None:
    for row in evidence(open_store(str(good))).rules:
        if row.allowed:
            spread = 2 * math.sqrt(row.total * row.allowed * (1 - row.allowed))
            assert row.most == min(row.total - 1, math.floor(row.total * row.allowed + spread))
        elif row.allowed == 0:
            assert row.most == 0


def test_nothing_to_count_is_unobserved() -> None:
    row = RuleRow(
        "a", "observed", "usage", 1, "unobserved", 0, 0, 0, 0.0, "trajectories", "usage in", "told"
    )
    found = Evidence.of([row], 0.1)
    assert not found.observed
    assert evidence_line(found) == (
        "complete · NOT OBSERVED (usage: no trajectories to see it in)"
        " · powered: a difference of 10 points"
    )


@pytest.mark.parametrize("problems", [2, 3, 5, 10, 30, 200])
def test_the_power_is_that_of_two_runs_without_anything_in_common(problems: int) -> None:
    total = object.__new__(Totals)
    for name, value in (("problems", problems), ("population_low", 0.4), ("population_high", 0.5)):
        object.__setattr__(total, name, value)
    df = problems - 1
    reach = 1 + special.stdtrit(df, 0.8) / special.stdtrit(df, 0.975)
    assert detectable_beside(total) == pytest.approx(math.sqrt(2) * 0.05 * reach, rel=0.01)


@pytest.mark.parametrize("name", rule_names())
def test_a_rule_names_itself_its_version_and_its_part(name: str) -> None:
    text = statement(f"evidence/{name}")
    assert f"'{name}' AS rule,\n    " in text
    assert " AS version,\n" in text
    assert "'complete' AS part" in text or "'observed' AS part" in text


def test_reports_gates_and_exports_begin_with_it_and_refuse_what_lacks_it(
    store: Backend, tmp_path: Path, command: Pacore
) -> None:
    place = ("--store", str(tmp_path / "store"))
    other = config_of(tmp_path, run_id="other", model="scripted?words=61")
    run_stages(other)
    for line in (("show", RUN), ("grade", RUN), ("compare", RUN, "other")):
        out = command(*line, *place).stdout
        assert f"evidence  {CLEAN}" in "\n".join(out.splitlines()[:2]), line
    go = command("compare", RUN, "other", "--gate", "--max-drop", "1", *place)
    assert "evidence" not in go.stdout.split("NO-GO")[-1].splitlines()[-1]
    trajectories(to(usage_source="tokenizer"), rounds=(1,), shards=LATER)(store)
    no_go = command("compare", RUN, "other", "--gate", "--max-drop", "1", *place)
    assert no_go.returncode == 4
    assert f"run {RUN} is not observed: usage guessed in 32 of 112 trajectories" in no_go.stdout
    despite = command("compare", RUN, "other", "--gate", "--despite", "usage", *place)
    assert "is not observed" not in despite.stdout
    told = json.loads(command("show", RUN, "--format", "json", *place).stdout)
    verdict = told["results"]["evidence"]
    assert (verdict["complete"], verdict["observed"]) == (True, False)
    (usage,) = (row for row in verdict["rules"] if row["rule"] == "usage")
    assert (usage["lacking"], usage["total"], usage["unit"]) == (32, 112, "trajectories")
    exported = command("export", RUN, str(tmp_path / "whole"), *place)
    assert exported.returncode == 0
    edited("answers", lost(), shards=LATER)(store)
    refused = command("export", RUN, str(tmp_path / "part"), *place)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"pacore: run {RUN} is not complete (missing: 8 of 16 planned answers); "
        "--incomplete exports it as it is\n"
    )
    assert command("export", RUN, str(tmp_path / "part"), "--incomplete", *place).returncode == 0
