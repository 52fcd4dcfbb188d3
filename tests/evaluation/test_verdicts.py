"""The stage `verdicts`: against a plain loop, resumed, and without deciding anything twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.config.run import RunConfig
from pacore.core.grading.choose import choose_grader, gold_answer
from pacore.core.grading.extraction.extract import extract
from pacore.core.grading.verdict import NO_ANSWER, TIMEOUT, WRONG, Verdict
from pacore.core.plan import Shard
from pacore.core.trajectory import UNFINISHED
from pacore.errors import BadInput, Interrupted, Refused
from pacore.evaluation.batches import (
    MOST_BATCHES,
    Evaluation,
    EvaluationProgress,
    grade_all,
)
from pacore.evaluation.gradings import end, grading_by, ungraded
from pacore.report.evaluation import evaluated_run
from pacore.runs.verdicts import Item, OpenGrading, ShardGrading, UngradedShard, grade_shard
from pacore.sandbox.grade import grade_answers, grader_version
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import committed_units, current_units, read_commit
from pacore.store.gradings import Grading, begin_grading, read_gradings
from pacore.store.layout import OWN, Unit
from pacore.store.parquet import read_rows
from pacore.store.run import open_run, problems_of
from pacore.warehouse.relations import check_names
from pacore.warehouse.views import ReportWarehouse
from tests.fixtures.graded import grade_rows, graded_store, verdict_rows
from tests.fixtures.pipeline import run_stages, scripted_config, table
from tests.fixtures.small_store import begin_run, problem, publish_rows, rows_of, small_store

SLOT = ("problem_id", "replicate", "slot", "trajectory_id")


COLUMNS = (*SLOT, "grader", "grader_version", "verdict", "score", "answer", "method")


UNEVEN = "scripted?words=12&truncate=0.2&empty=0.1&fault=0.1"


def mixed_problems(path: Path) -> Path:
    """Problems for every grader, one of them without a gold answer."""
    golds = ["4", r"\frac{1}{2}", "B", "Paris", None, "7"]
    rows = [
        {"id": f"mixed-{n}", "problem": f"Question {n}?", **({"answer": gold} if gold else {})}
        for n, gold in enumerate(golds)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """A run with faults, replicates and three rounds, at its end."""
    folder = tmp_path_factory.mktemp("verdicts")
    found = scripted_config(
        folder / "store", mixed_problems(folder / "p.jsonl"), model=UNEVEN, widths=(4, 2),
        replicates=2, shard_size=2, run_id="mine", attempts=2,
    )  # fmt: skip
    for _ in range(3):
        run_stages(found)
    return found


@contextmanager
def evaluation(config: RunConfig, **fields: Any) -> Iterator[Evaluation]:
    with Evaluation(EvaluateConfig(runs=("mine",), store=config.store, **fields)) as found:
        yield found


def graded(config: RunConfig, **fields: Any) -> OpenGrading:
    """Grade the run to its end."""
    with evaluation(config, **fields) as found:
        grade_all(found, found.batches())
        return found.gradings()[0]


def opened(config: RunConfig, grader: str) -> OpenGrading:
    store = open_store(config.store)
    run = open_run(store, "mine")
    return OpenGrading(store, run, begin_grading(store, "mine", grading_by(store, run, grader)))


def plain_loop(config: RunConfig, grader: str) -> list[tuple[Any, ...]]:
    """Every verdict as it follows from conclusion and gold answer, one after the other."""
    store = open_store(config.store)
    run = open_run(store, "mine")
    problems = {p.problem_id: p for p in problems_of(store, run, Shard(0, 0, run.problems))}
    names = ("attempt", "finish_reason", "conclusion", *SLOT)
    rows = [
        dict(zip(("round", *names), row, strict=True))
        for row in table(config.store, "mine", "trajectories", names)
    ]
    standing = {
        tuple(row[name] for name in ("round", "problem_id", "replicate", "slot")): row
        for row in sorted(rows, key=lambda row: row["attempt"])
    }
    found = []
    for row in standing.values():
        asked = problems[row["problem_id"]]
        gold = gold_answer(asked)
        if gold is None or row["finish_reason"] in UNFINISHED:
            continue
        by = choose_grader(asked) if grader == "auto" else grader
        read = extract(row["conclusion"], by) if row["conclusion"] is not None else None
        (verdict,) = grade_answers([(by, gold, read.text if read else None)], 5.0)
        place = [row[name] for name in ("round", *SLOT)]
        answer = (read.text, read.method) if read else (None, None)
        found.append((*place, by, grader_version(by), verdict.verdict, verdict.score, *answer))
    return sorted(found, key=json.dumps)


def rows_by(config: RunConfig, grading: Grading) -> list[tuple[Any, ...]]:
    rows = table(config.store, "mine", "verdicts", ("grading", *COLUMNS))
    own = [(row[0], *row[2:]) for row in rows if row[1] == grading.grading_id]
    return sorted(own, key=json.dumps)


@pytest.mark.slow
@pytest.mark.parametrize("grader", ["auto", "text"])
def test_the_verdicts_are_those_of_a_plain_loop(config: RunConfig, grader: str) -> None:
    found = rows_by(config, graded(config, grader=grader).grading)
    assert found == plain_loop(config, grader)
    rows = table(config.store, "mine", "trajectories", ["problem_id", "finish_reason"])
    assert {row[1] for row in rows} >= {"mixed-4"} and {row[2] for row in rows} & UNFINISHED
    assert "mixed-4" not in {row[1] for row in found}, "it has no gold answer"
    assert {row[7] for row in found} >= {"wrong", "no_answer"}


@pytest.mark.slow
def test_a_grading_that_was_stopped_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    config = scripted_config(
        tmp_path / "store", mixed_problems(tmp_path / "p.jsonl"), widths=(3,), shard_size=1,
        run_id="mine",
    )  # fmt: skip
    run_stages(config)
    grading = opened(config, "auto")
    works = ungraded(grading)
    assert [work.rounds for work in works] == [(1, 2)] * 6
    first = ShardGrading(grading, works[0])
    first.grade(2, first.by_rules)
    grade_shard(grading, works[3])
    left = [UngradedShard(n, 0, (1,) if n == 0 else (1, 2)) for n in (0, 1, 2, 4, 5)]
    assert ungraded(grading) == left
    with pytest.raises(Refused, match="the same command grades those"):
        end(grading)
    store = open_store(config.store)
    kept = {unit: read_commit(store, unit) for unit in committed_units(store, "mine")}
    graded(config, grader="auto")
    assert not ungraded(grading)
    assert {unit: read_commit(store, unit) for unit in kept} == kept
    assert rows_by(config, grading.grading) == plain_loop(config, "auto")
    assert read_gradings(store, "mine")[0].finished_at is not None


def test_whoever_stops_it_ends_the_work_before_the_next_answers(config: RunConfig) -> None:
    grading = opened(config, "choice")
    grading.stopped.set()
    with pytest.raises(Interrupted):
        grade_shard(grading, ungraded(grading)[0])
    assert len(ungraded(grading)) == len(grading.run.shards), "and commits nothing"


@pytest.mark.slow
def test_what_the_run_has_decided_is_not_decided_again(config: RunConfig) -> None:
    graded(config, grader="auto")
    other = Grading("auto", "a version of this very grader")
    store = open_store(config.store)
    again = OpenGrading(store, open_run(store, "mine"), begin_grading(store, "mine", other))
    for work in ungraded(again):
        grade_shard(again, work)
    assert again.progress.decided == 0
    assert again.progress.known > 0
    first = graded(config, grader="auto").grading
    assert rows_by(config, other) == rows_by(config, first)


def test_equal_answers_are_decided_once_a_shard(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    record = begin_grading(store, "demo", grading_of(store, "text"))
    grading = OpenGrading(store, open_run(store, "demo"), record)
    shard = ShardGrading(grading, ungraded(grading)[0])
    asked: list[Sequence[Item]] = []

    def decide(items: Sequence[Item]) -> list[Verdict]:
        asked.append(items)
        return shard.by_rules(items)

    for round_ in (1, 2):
        shard.grade(round_, decide)
    assert [len(items) for items in asked] == [6, 2]
    answers = {(item.gold, item.answer) for items in asked for item in items if item.answer}
    assert len(answers) == 3
    assert (grading.progress.decided, grading.progress.known) == (3, 2)


def test_a_verdict_that_broke_off_is_tried_again_by_another_grading(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    first = OpenGrading(
        store, open_run(store, "demo"), begin_grading(store, "demo", grading_of(store, "text"))
    )
    for work in ungraded(first):
        shard = ShardGrading(first, work)
        for round_ in work.rounds:
            shard.grade(round_, lambda items: [TIMEOUT for _ in items])
    second = OpenGrading(
        store, open_run(store, "demo"), begin_grading(store, "demo", Grading("text", "another"))
    )
    for work in ungraded(second):
        grade_shard(second, work)
    verdicts = {row[1] for row in verdicts_of(store, second.grading)}
    assert verdicts == {"correct", "wrong", "no_answer"}


def grading_of(store: Backend, grader: str) -> Grading:
    return grading_by(store, open_run(store, "demo"), grader)


def verdicts_of(store: Backend, grading: Grading) -> list[tuple[str, str]]:
    found = []
    for unit in current_units(store, "demo"):
        if unit.grading == grading.grading_id:
            with store.open(read_commit(store, unit).path) as file:
                rows = read_rows(file, ["trajectory_id", "verdict"])
                found += [(row["trajectory_id"], row["verdict"]) for row in rows]
    return found


def test_an_opinion_is_asked_of_problems_without_a_gold_answer_too(config: RunConfig) -> None:
    """The seam a judge publishes through: it decides, and the stage does the rest."""
    store = open_store(config.store)
    record = begin_grading(store, "mine", Grading("text", "opinion 1", against="opinion"))
    grading = OpenGrading(store, open_run(store, "mine"), record)
    seen: list[Item] = []

    def says_no(items: Sequence[Item]) -> list[Verdict]:
        seen.extend(items)
        return [NO_ANSWER if item.answer is None else WRONG for item in items]

    for work in ungraded(grading):
        shard = ShardGrading(grading, work)
        for round_ in work.rounds:
            shard.grade(round_, says_no)
    end(grading)
    assert {item.gold for item in seen if item.problem_id == "mixed-4"} == {None}
    assert len(rows_by(config, grading.grading)) == len(seen)
    commits = [
        read_commit(store, unit)
        for unit in committed_units(store, "mine")
        if unit.grading == grading.grading.grading_id
    ]
    assert sum(commit.counts["wrong"] + commit.counts["no_answer"] for commit in commits) == len(
        seen
    )


def test_the_verdicts_of_a_unit_name_what_they_were_made_from(config: RunConfig) -> None:
    grading = graded(config, grader="auto")
    store = open_store(config.store)
    for unit in committed_units(store, "mine"):
        if unit.grading == grading.grading.grading_id:
            revision = f".r{unit.revision}" if unit.revision else ""
            judged = (
                f"commits/run_id=mine/trajectories/round={unit.round}/{unit.shard}{revision}.json"
            )
            assert read_commit(store, unit).inputs == (judged,)


def test_a_grading_names_the_versions_of_all_that_decides_in_it(config: RunConfig) -> None:
    store = open_store(config.store)
    run = open_run(store, "mine")
    by = {name: grader_version(name) for name in ("choice", "math", "text")}
    said = ", ".join(f"{name} {version}" for name, version in by.items())
    assert grading_by(store, run, "auto") == Grading("auto", said)
    assert grading_by(store, run, "math") == Grading("math", by["math"])


def test_a_judge_is_no_rule_and_nothing_begins(config: RunConfig) -> None:
    before = read_gradings(open_store(config.store), "mine")
    refused = pytest.raises(BadInput, match="--grader judge: is a model")
    with evaluation(config, grader="judge") as found, refused:
        found.batches()
    assert read_gradings(open_store(config.store), "mine") == before


def test_a_grader_is_named_by_one_spelling_of_its_spec(config: RunConfig) -> None:
    def asked(grader: str) -> EvaluateConfig:
        return EvaluateConfig(runs=("mine",), store=config.store, grader=grader)

    assert asked("numeric: abs=2.0, rel=1e-4") == asked("numeric:rel=0.0001,abs=2")
    with pytest.raises(ValidationError, match="did you mean math.*; one of math, .*, or auto"):
        asked("maths")


def test_a_run_that_is_not_at_its_end_is_refused_and_so_are_those_beside_it(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    begin_run(store, [problem(n) for n in range(1, 5)], "begun")
    first = {unit: rows for unit, rows in rows_of("begun").items() if unit.round == 1}
    publish_rows(store, first)
    asked = EvaluateConfig(runs=("demo", "begun"), store=str(tmp_path / "store"))
    refused = pytest.raises(Refused, match="run begun is not at its end")
    with Evaluation(asked) as found, refused:
        found.batches()
    assert not read_gradings(store, "demo")


def test_a_run_without_gold_answers_has_nothing_to_be_graded_against(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "open", "problem": "Why?"}\n')
    config = scripted_config(tmp_path / "store", path, run_id="mine")
    run_stages(config)
    refused = pytest.raises(Refused, match="run mine: no problem of it has a gold answer")
    with evaluation(config) as found, refused:
        found.batches()


def test_without_a_grader_the_one_a_run_was_last_graded_by_is_kept(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    config = scripted_config(tmp_path / "store", tmp_path / "p.jsonl")

    def grade(grader: str | None) -> str:
        with Evaluation(EvaluateConfig(runs=("demo",), store=config.store, grader=grader)) as found:
            grade_all(found, found.batches())
        return read_gradings(store, "demo")[-1].grading.grader

    assert grade(None) == "auto"
    assert grade("text") == "text"
    assert grade(None) == "text"
    assert grade("auto") == "auto"
    assert grade(None) == "auto"
    assert [record.sequence for record in read_gradings(store, "demo")] == [2, 3]


JUDGE = Grading("judge", "judge 1", details={"votes": 3})


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_no_rule_decides_is_kept_as_it_is_and_never_finished_by_rules(
    tmp_path: Path, is_whole: bool
) -> None:
    store = small_store(tmp_path / "store")
    rows = verdict_rows(rows_of(), JUDGE)
    grade_rows(store, "demo", rows if is_whole else dict(list(rows.items())[1:]), JUDGE)
    asked = EvaluateConfig(runs=("demo",), store=str(tmp_path / "store"))
    with Evaluation(asked) as found:
        if is_whole:
            assert found.batches() == []
            assert [opened.grading for opened in found.gradings()] == [JUDGE]
        else:
            with pytest.raises(Refused, match="trajectories that its grader judge has not seen"):
                found.batches()


@pytest.mark.slow
def test_a_grading_is_done_in_a_few_hundred_parts_at_most(tmp_path: Path) -> None:
    count = MOST_BATCHES + 1
    store = open_store(str(tmp_path / "store"))
    run = begin_run(store, [problem(n) for n in range(count)], "wide", widths=(), shard_size=1)
    units = [
        Unit("wide", name, 1, shard.name, 0, grading)
        for shard in run.shards
        for name, grading in (("trajectories", ""), ("verdicts", OWN))
    ]
    publish_rows(store, {unit: [] for unit in units})
    asked = EvaluateConfig(runs=("wide",), store=str(tmp_path / "store"))
    with Evaluation(asked) as found:
        batches = found.batches()
    assert len(batches) <= MOST_BATCHES
    assert [work.number for batch in batches for work in batch.works] == list(range(count))
    assert [batch.name for batch in batches[:2]] == ["wide s0-s1", "wide s2-s3"]


def test_progress_says_what_is_done_after_grading_and_for_how_long() -> None:
    now = 100.0
    progress = EvaluationProgress(clock=lambda: now)
    progress.add(planned=8, reused=8)
    graded = "8/8 trajectories, 0 answers graded, 0 known"
    assert progress.line() == graded
    before = progress.stage
    progress.do("check 2 of 19: conclusions")
    now = 107.0
    assert progress.line() == f"check 2 of 19: conclusions, 7 s so far ({graded})"
    assert progress.stage != before
    progress.do(None)
    assert (progress.line(), progress.stage) == (graded, before)


@pytest.mark.slow
def test_every_check_and_each_part_of_measuring_is_named_before_it_begins(tmp_path: Path) -> None:
    begun: list[str] = []
    with ReportWarehouse(graded_store(tmp_path), ["demo"]) as warehouse:
        assert not warehouse.broken_checks(begun.append)
        names = check_names()
        assert begun == [
            f"check {number} of {len(names)}: {name}" for number, name in enumerate(names, 1)
        ]
        begun.clear()
        evaluated_run(warehouse, "demo", begun.append)
    assert begun[0] == "measuring run demo: accuracy and cost"
    assert "measuring run demo: intervals of first_round, k = 1" in begun
    assert begun[-1] == "measuring run demo: rounds"
