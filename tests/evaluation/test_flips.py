"""`pacore flips`: what changed between two gradings of a run, or between two runs."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest
from matplotlib.patches import Rectangle

from pacore.core.grading.extraction.extract import extract
from pacore.errors import BadInput, Refused
from pacore.evaluation.flips import compare_gradings, compare_runs
from pacore.report.flips import flips_figure, flips_output
from pacore.store.backends.protocol import Backend
from pacore.store.gradings import Grading, begin_grading
from pacore.warehouse.views import Warehouse
from tests.conftest import ROOT
from tests.fixtures.graded import MATH, Judged, grade_rows, verdict_rows
from tests.fixtures.small_store import (
    Row,
    Rows,
    begin_run,
    identity,
    problem,
    publish_rows,
    rows_of,
    select,
    small_store,
)

GOLDEN = ROOT / "tests" / "golden" / "flips"


WIDTH = 100


LENIENT = Grading("numeric:abs=1", "2")


PARTIAL = Grading("code", "1")


OPINION = Grading("judge", "judge 1", against="opinion")


def within_one(row: Row, answer: str | None) -> Judged:
    if answer is None:
        return "timeout", None
    gold = 2 * int(row["problem_id"].partition("-")[2])
    return ("correct", 1.0) if abs(int(answer) - gold) <= 1 else ("wrong", 0.0)


def half(row: Row, answer: str | None) -> Judged:
    if answer is None:
        return "no_answer", 0.0
    return ("correct", 1.0) if row["slot"] == 0 else ("wrong", 0.5)


def never(row: Row, answer: str | None) -> Judged:  # noqa: ARG001 - whatever is said
    return ("no_answer", 0.0) if answer is None else ("wrong", 0.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    """The hand-made run under three gradings, an opinion, and one that goes on; and another run."""
    found = small_store(tmp_path_factory.mktemp("flips") / "store")
    for grading, judge in ((MATH, None), (PARTIAL, half), (LENIENT, within_one)):
        given = (rows_of(), grading) if judge is None else (rows_of(), grading, judge)
        grade_rows(found, "demo", verdict_rows(*given), grading)
    grade_rows(found, "demo", verdict_rows(rows_of(), OPINION), OPINION)
    begin_grading(found, "demo", Grading("choice", "1"))
    begin_run(found, [problem(number) for number in (1, 2, 4, 5)], "other")
    publish_rows(found, other_rows())
    begin_run(found, [problem(7)], "stranger")
    return found


def other_rows() -> Rows:
    """A run of which ``sum-1`` is wrong now, ``sum-2`` right and ``sum-4`` the very same trajectory."""
    rows = rows_of("other")
    for number, problem_id in enumerate(("sum-1", "sum-2")):
        mine = {"problem_id": problem_id, "trajectory_id": identity(problem_id, 2, 0)[0]}
        for table in ("trajectories", "trajectory_texts", "messages", "answers", "verdicts"):
            for row in select(rows, table, **mine):
                row["trajectory_id"] = f"{number:032x}"
    for table in ("answers", "verdicts"):
        for unit, members in rows.items():
            if unit.table == table:
                rows[unit] = [row for row in members if row["problem_id"] != "sum-3"]
    for problem_id, answer, verdict in (("sum-1", "3", "wrong"), ("sum-2", "4", "correct")):
        select(rows, "answers", problem_id=problem_id)[0].update(answer=answer)
        score = float(verdict == "correct")
        select(rows, "verdicts", problem_id=problem_id)[0].update(
            answer=answer, answer_key=answer, verdict=verdict, score=score
        )
    return rows


def shown(
    store: Backend,
    before: str | None = None,
    after: str | None = None,
    form: str = "table",
    limit: int | None = None,
) -> str:
    with Warehouse(store, ["demo"]) as warehouse:
        compared = compare_gradings(warehouse, "demo", before, after)
        return "".join(flips_output(warehouse, compared, form, limit, WIDTH))


def between(store: Backend, before: str, after: str, form: str = "table") -> str:
    with Warehouse(store, [before, after]) as warehouse:
        compared = compare_runs(warehouse, before, after)
        return "".join(flips_output(warehouse, compared, form, None, WIDTH))


def is_golden(name: str, text: str) -> bool:
    path = GOLDEN / name
    if not path.exists() and os.environ.get("PACORE_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return text == path.read_text(encoding="utf-8")


def test_the_two_gradings_finished_last_are_compared(store: Backend) -> None:
    assert is_golden("last.txt", shown(store))


def test_the_runs_own_grading_is_compared_on_the_answers_it_gave(store: Backend) -> None:
    assert is_golden("own.txt", shown(store, "run", LENIENT.grading_id))


def test_two_runs_are_compared_on_the_problems_both_answered(store: Backend) -> None:
    assert is_golden("runs.txt", between(store, "demo", "other"))


def test_the_figure_counts_what_became_wrong_and_what_became_right(store: Backend) -> None:
    with Warehouse(store, ["demo", "other"]) as warehouse:
        (axes,) = flips_figure(warehouse, compare_runs(warehouse, "demo", "other")).axes
    assert axes.get_title() == "Answers whose verdict changed from run demo to run other"
    named = [label.get_text() for label in axes.get_yticklabels()]
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    counts = dict(zip(named, widths, strict=True))
    assert counts == {"right → wrong": 1, "wrong → right": 0, "timeout → no answer": 1}
    with Warehouse(store, ["demo"]) as warehouse:
        compared = compare_gradings(warehouse, "demo", MATH.grading_id, LENIENT.grading_id)
        (axes,) = flips_figure(warehouse, compared).axes
    assert axes.get_title().startswith("Trajectories whose verdict changed from grading ")
    assert axes.get_yticklabels()[0].get_text() == "right → wrong"


@pytest.mark.parametrize("form", ["markdown", "html", "latex"])
def test_a_page_of_flips_has_what_a_terminal_shows_in_every_markup(
    store: Backend, form: str
) -> None:
    page = between(store, "demo", "other", form)
    assert "sum-1" in page and "sum-4" in page and "both graded" in page
    captions = re.findall(r"\\caption\{(.*?)\. Runs demo and other", page)
    if form == "latex":
        assert captions == [
            "What is compared",
            "How many verdicts changed",
            "Verdicts that changed",
        ]


def test_only_so_many_are_shown_and_the_others_counted(store: Backend) -> None:
    assert is_golden("limited.txt", shown(store, limit=2))


def test_the_other_formats_have_every_flip_unless_told(store: Backend) -> None:
    rows = list(csv.DictReader(io.StringIO(shown(store, form="csv"))))
    as_json = json.loads(shown(store, form="json"))
    assert len(rows) == len(as_json) > 2
    assert [row["problem"] for row in rows] == [row["problem"] for row in as_json]
    assert as_json[0]["before_score"] is None or isinstance(as_json[0]["before_score"], float)
    assert len(json.loads(shown(store, form="json", limit=2))) == 2
    (first, *_) = json.loads(between(store, "demo", "other", "json"))
    assert first == {
        "problem": "sum-1", "replicate": 0, "before": "correct", "after": "wrong",
        "before_score": 1.0, "after_score": 0.0, "before_answer": "2", "after_answer": "3",
        "gold": "2",
    }  # fmt: skip


def test_what_is_the_same_on_both_sides_is_no_flip(store: Backend) -> None:
    text = shown(store, MATH.grading_id, MATH.grading_id)
    assert "changed  0 of 12 trajectories that both graded" in text


def test_a_grading_is_named_by_the_beginning_of_its_id(store: Backend) -> None:
    whole = shown(store, MATH.grading_id, LENIENT.grading_id)
    assert shown(store, MATH.grading_id[:4], LENIENT.grading_id[:5]) == whole
    # Of one side alone the other is the last finished one, or the one before it.
    assert shown(store, None, LENIENT.grading_id) == shown(store)
    assert shown(store, MATH.grading_id) == whole
    assert "from  run" in shown(store, None, MATH.grading_id)


def test_an_unknown_or_ambiguous_grading_is_named_with_those_there_are(store: Backend) -> None:
    known = rf"--from zz: is no grading of the run; there are run \(auto\), {MATH.grading_id} .*"
    with pytest.raises(BadInput, match=known + "not finished"):
        shown(store, "zz")
    with pytest.raises(BadInput, match="--to : is no grading"):
        shown(store, None, "")
    ids = [MATH, LENIENT, PARTIAL, OPINION, Grading("choice", "1")]
    firsts = [grading.grading_id[0] for grading in ids]
    doubled = next((first for first in firsts if firsts.count(first) > 1), None)
    if doubled is not None:
        with pytest.raises(BadInput, match=f"--to {doubled}: may be any of"):
            shown(store, None, doubled)


def test_one_grading_alone_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="one grading only; pacore grade makes another"):
        shown(small_store(tmp_path / "store"))


def test_runs_without_a_common_problem_are_refused_and_so_is_an_unknown_one(store: Backend) -> None:
    with pytest.raises(Refused, match="runs demo and stranger have no problem in common"):
        between(store, "demo", "stranger")
    with pytest.raises(Refused, match="no run 'nobody' in .*; its runs: demo, other, stranger"):
        between(store, "demo", "nobody")


def test_runs_of_the_same_trajectories_are_refused(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    begin_run(store, [problem(number) for number in range(1, 5)], "again")
    publish_rows(store, rows_of("again"))
    refused = "runs demo and again are the same trajectories: all 3 answers of again .* --seed-root"
    with pytest.raises(Refused, match=refused):
        between(store, "demo", "again")


def test_a_problem_whose_gold_answer_was_corrected_is_another_one(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    corrected = [problem(1, gold="3"), *(problem(number) for number in (2, 4))]
    begin_run(store, corrected, "other")
    publish_rows(store, other_rows())
    rows = json.loads(between(store, "demo", "other", "json"))
    assert [row["problem"] for row in rows] == ["sum-2"]


def test_what_a_model_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    rows = rows_of()
    row = select(rows, "trajectories", problem_id="sum-1", round=2)[0]
    row["conclusion"] = "\\boxed{\x1b[31m2\u202e}"
    store = small_store(tmp_path / "store", rows)
    assert extract(row["conclusion"], "text") is not None
    grade_rows(store, "demo", verdict_rows(rows, MATH, never))
    text = shown(store)
    assert "\x1b" not in text and "\u202e" not in text
    assert "\\x1b[31m2\\u202e" in text
