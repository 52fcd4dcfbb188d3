"""Two runs compared, what they share, and the gate between them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pacore.errors import Refused
from pacore.evaluation.comparison import Comparison, Criteria, compare_pairs, decide
from pacore.evaluation.measures import measure
from pacore.report.comparison import comparison_sheet
from pacore.report.evaluation import evaluated_run
from pacore.report.rendering.sheet import to_json
from pacore.report.rendering.terminal import to_text
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.warehouse.prices import Price
from pacore.warehouse.views import CheckRow, Warehouse
from tests.conftest import Pacore
from tests.fixtures.ended import ended_run
from tests.fixtures.golden_files import golden
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.pooled import BROKEN, NOTHING, RIGHT, Sample, pooled_run, wrong

pytestmark = pytest.mark.slow

WIDTH = 100


Samples = dict[str, list[Sample]]


def solved(counts: list[int], of: int = 4) -> Samples:
    """Problems of which so many replicates are right."""
    return {
        f"p{number:02d}": [RIGHT] * right + [wrong(f"w{n}") for n in range(of - right)]
        for number, right in enumerate(counts)
    }


BEFORE = [4, 3, 3, 2, 2, 1, 1, 0, 4, 2]


AFTER = [3, 3, 2, 2, 1, 1, 0, 0, 4, 1]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    opened = open_store(str(tmp_path_factory.mktemp("compared") / "store"))
    pooled_run(opened, "before", solved(BEFORE))
    pooled_run(opened, "after", solved(AFTER))
    return opened


@cache
def evidence(url: str, a: str, b: str) -> tuple[Comparison, Mapping[str, list[CheckRow]]]:
    """What a gate decides on, which no criterion changes: the comparison and the broken checks."""
    with Warehouse(open_store(url), [a, b]) as warehouse:
        return compare_pairs(warehouse, a, b), warehouse.run_checks()


def gate(store: Backend, a: str, b: str, **criteria: Any) -> list[str]:
    found, broken = evidence(store.url, a, b)
    decision = decide(found, Criteria(**criteria), broken)
    assert decision.word == ("NO-GO" if decision.reasons else "GO")
    return list(decision.reasons)


def test_the_difference_is_over_problems_both_have(store: Backend) -> None:
    with Warehouse(store) as warehouse:
        found = compare_pairs(warehouse, "before", "after", 0.1)
    pair = found.paired
    assert pair.problems == 10
    assert pair.difference == pytest.approx((sum(AFTER) - sum(BEFORE)) / 40)
    assert (pair.better, pair.worse, pair.equal) == (0, 5, 5)
    assert pair.permutation_p == pytest.approx(2 / 2**5)
    assert (found.only_first, found.only_second, found.changed) == (0, 0, 0)
    assert found.equivalence is not None


def test_a_comparison_reads_as_it_should(store: Backend) -> None:
    with Warehouse(store) as warehouse:
        found = compare_pairs(warehouse, "before", "after", 0.1)
        decision = decide(found, Criteria(), {})
    shown = to_text(comparison_sheet(found, decision), WIDTH)
    assert shown + "\n" == golden("comparison/compared.txt", shown + "\n")


def test_an_evaluation_reads_as_it_should(store: Backend) -> None:
    prices = [Price("scripted", "USD", 1.0, 0.1, 4.0)]
    with Warehouse(store, ["after"], prices) as warehouse:
        shown = to_text(evaluated_run(warehouse, "after").measures, WIDTH)
        (told,) = json.loads(to_json([measure(warehouse, "after")]))
    assert shown + "\n" == golden("comparison/evaluated.txt", shown + "\n")
    assert told["totals"]["accuracy"] == pytest.approx(sum(AFTER) / 40)
    for row in told["pools"]:
        for name, own in row["intervals"].items():
            assert own["value"] == pytest.approx(row[name]), (
                "each interval is of the number beside it"
            )
            assert own["low"] <= own["value"] <= own["high"]
    whole = next(row["intervals"]["maj_at_k"] for row in told["pools"] if row["k"] == 1)
    totals = told["totals"]
    bounds = (totals["population_low"], totals["population_high"])
    assert (whole["low"], whole["high"]) == pytest.approx(bounds)


@pytest.mark.parametrize(
    ("criteria", "reasons"),
    [
        ({"max_drop": 0.2}, []),
        ({"max_drop": 0.05}, ["accuracy fell by 12.5 points, 5.0 points are allowed"]),
        (
            {"max_drop": None, "no_worse_than": 0.15},
            ["no worse than 15.0 points is not shown: 20.0 points at worst, at 95 % confidence"],
        ),
        ({"max_drop": None, "no_worse_than": 0.3}, []),
        ({"max_drop": None, "max_tokens_growth": 0.0}, []),
    ],
)
def test_the_gate_says_every_reason(
    store: Backend, criteria: dict[str, Any], reasons: list[str]
) -> None:
    assert gate(store, "before", "after", **criteria) == reasons


def test_a_drop_that_is_no_chance_is_no_go_however_small(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    pooled_run(store, "before", solved([4] * 8 + [2] * 40))
    pooled_run(store, "after", solved([3] * 8 + [2] * 40))
    (reason,) = gate(store, "before", "after")
    assert reason == "accuracy fell by 4.2 points, which is not chance (p = 0.008)"
    assert gate(store, "before", "after", significantly_worse=False) == []
    assert gate(store, "after", "before") == []


def test_what_cannot_be_compared_is_no_go(tmp_path: Path, store: Backend) -> None:
    pooled_run(open_store(str(tmp_path / "other")), "x", solved([1]))
    more = {**solved(BEFORE), "p99": [RIGHT] * 4}
    other = open_store(str(tmp_path / "store"))
    pooled_run(other, "before", solved(BEFORE))
    pooled_run(other, "more", more)
    assert gate(other, "before", "more") == [
        "the problem sets differ: 0 problems only in the first, 1 only in the second, 0 changed"
    ]
    assert gate(store, "after", "before") == []


def test_health_counts_and_broken_checks_are_no_go(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    pooled_run(store, "before", solved([2, 2]))
    ill = {"p00": [RIGHT, RIGHT, RIGHT, NOTHING], "p01": [RIGHT, RIGHT, BROKEN, NOTHING]}
    pooled_run(store, "ill", ill)
    assert gate(store, "before", "ill", max_unanswered=0.1, max_ungraded=0.0) == [
        "run ill: 1 of 8 answers are ungraded (12.5 %), 0.0 % are allowed",
        "25.0 % of answers are none, 10.0 % are allowed",
    ]
    assert gate(store, "ill", "before", max_drop=None) == [
        "run ill: 1 of 8 answers are ungraded (12.5 %), 0.0 % are allowed",
    ]
    with Warehouse(store) as warehouse:
        found = compare_pairs(warehouse, "before", "ill")
    broken = {"seeds": [{"seed": -1}], "conclusions": []}
    reasons = decide(found, Criteria(max_ungraded=None), broken).reasons
    assert list(reasons) == ["check seeds finds 1 rows that break it"]


def taken(samples: Samples, run_id: str, names: Iterable[str] | None = None) -> Samples:
    """The same answers, as the trajectories of another run; of the problems named alone."""
    return {
        name: [one._replace(made_by=run_id) for one in of] if names is None or name in names else of
        for name, of in samples.items()
    }


def compared(store: Backend, a: str, b: str, margin: float | None = None) -> Comparison:
    with Warehouse(store, [a, b]) as warehouse:
        return compare_pairs(warehouse, a, b, margin)


def test_a_run_is_not_compared_with_itself_under_another_name(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    pooled_run(store, "one", solved(BEFORE))
    pooled_run(store, "again", taken(solved(BEFORE), "one"))
    half = {name: of[:2] for name, of in taken(solved(BEFORE), "one").items()}
    pooled_run(store, "part", half)
    pooled_run(store, "few", dict(list(taken(solved(BEFORE), "one").items())[:3]))
    for a, b, part, count in (
        ("one", "again", "again", 40), ("again", "one", "one", 40), ("one", "part", "part", 20),
        ("part", "one", "part", 20), ("one", "few", "few", 12),
    ):  # fmt: skip
        with pytest.raises(Refused) as refused:
            compared(store, a, b)
        said = str(refused.value)
        assert f"all {count} answers of {part} that could be compared are answers of" in said
        assert "--seed-root" in said and "\n" not in said


def test_an_independent_copy_is_compared_and_passes_the_gate(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    pooled_run(store, "one", solved(BEFORE))
    pooled_run(store, "copy", solved(BEFORE))
    found = compared(store, "one", "copy", 0.05)
    assert (found.paired.independent, found.sharing.shared) == (10, 0)
    assert found.equivalence is not None
    # Ten problems that do not differ show that less than a third do, and nothing closer.
    assert found.equivalence.p > 0.2
    assert found.paired.low is not None and found.paired.high is not None
    assert found.paired.high == pytest.approx(-found.paired.low) and found.paired.high > 0.3
    assert gate(store, "one", "copy") == []


def test_shared_answers_are_counted_and_show_nothing_of_how_runs_differ(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    before, after = solved(BEFORE), solved(BEFORE[:7] + AFTER[7:])
    pooled_run(store, "before", before)
    pooled_run(store, "own", after)
    pooled_run(store, "after", taken(after, "before", list(after)[:7]))
    own, found = compared(store, "before", "own", 0.2), compared(store, "before", "after", 0.2)
    assert found.sharing.answers == (40, 40)
    assert (found.sharing.shared, own.sharing.shared) == (28, 0)
    assert (found.paired.independent, own.paired.independent) == (3, 10)
    assert found.paired.difference == own.paired.difference
    for wide, narrow in ((found.paired, own.paired), (found.equivalence, own.equivalence)):
        assert wide is not None and narrow is not None
        assert None not in (wide.low, narrow.low, wide.high, narrow.high)
        assert (wide.low or 0) < (narrow.low or 0) and (wide.high or 0) > (narrow.high or 0)
    (row,) = found.sharing.rounds
    assert (row.first, row.first_shared, row.first_shared_tokens) == (40, 28, 2800)
    shown = to_text(comparison_sheet(found), WIDTH)
    assert re.search("shared answers +28 of 40 +28 of 40\n", shown)
    assert "3 problems have answers of their own in both runs; paired by problem" in shown


def test_runs_that_share_all_but_one_problem_show_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    pooled_run(store, "one", solved(BEFORE))
    pooled_run(store, "two", taken(solved(BEFORE), "one", list(solved(BEFORE))[1:]))
    assert compared(store, "one", "two", 0.2).equivalence is None
    assert gate(store, "one", "two") == [
        "only 1 problem has answers of its own in both runs: nothing is shown",
    ]


def test_runs_over_one_first_round_say_what_they_share(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 6)
    for run_id, widths in (("narrow", (3,)), ("wide", (6,))):
        run_stages(
            scripted_config(tmp_path / "store", problems, widths=widths, run_id=run_id)
        )  # fmt: skip
    store = open_store(str(tmp_path / "store"))
    found = compared(store, "narrow", "wide")
    assert (found.sharing.shared, found.paired.independent) == (0, 6)
    first, last = found.sharing.rounds
    assert (first.first, first.first_shared) == (18, 18)
    assert (first.second, first.second_shared) == (36, 18)
    assert first.first_shared_tokens == first.first_tokens == first.second_shared_tokens
    assert (last.first, last.second, last.second_shared) == (6, 6, 0)
    shown = to_text(comparison_sheet(found), WIDTH)
    assert re.search(r"shared in round 1 +18 of 18 +18 of 36\n  of its tokens +100.0 %", shown)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    """A whole run, one that lost an answer, and one that has half of its answers."""
    store = open_store(str(tmp_path_factory.mktemp("unfinished") / "store"))
    names = [f"p{number}" for number in range(4)]
    ended_run(store, "whole", names, {}, widths=())
    lost = {("p1", 1, 0, 0): "timeout"}
    ended_run(store, "lost", names, lost, widths=(), seed_root="other")
    ended_run(store, "begun", names, {}, widths=(), seed_root="third", pending=("p2", "p3"))
    return store


@pytest.mark.parametrize("side", ["first", "second"])
def test_missing_evidence_in_either_run_is_no_go(unfinished: Backend, side: str) -> None:
    for run_id, missing in (("lost", "1 of 4 answers are missing (25.0 %)"), ("begun", "2 of 4")):
        pair = (run_id, "whole") if side == "first" else ("whole", run_id)
        *slots, sets, reason = gate(unfinished, *pair)
        # What nobody has begun lacks its trajectories, too.
        begun = ["run begun is not complete: no trajectory in 2 of 4 planned slots"]
        assert slots == (begun if run_id == "begun" else [])
        assert sets.startswith("the problem sets differ")
        assert reason.startswith(f"run {run_id}: {missing}")
        assert len(gate(unfinished, *pair, max_missing=0.5)) == 1 + len(slots)


def test_runs_without_a_common_problem_are_refused(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    pooled_run(store, "one", {"a": [RIGHT]})
    pooled_run(store, "two", {"b": [RIGHT]})
    with Warehouse(store) as warehouse, pytest.raises(Refused, match="no problem in common"):
        compare_pairs(warehouse, "one", "two")


def test_the_command_ends_with_4_for_no_go_and_0_for_go(
    store: Backend, pacore: Pacore, command: Pacore
) -> None:
    place = ("--store", str(Path(store.uri("runs")).parent))
    no_go = pacore("compare", *place, "before", "after", "--gate")
    assert no_go.returncode == 4, no_go.stderr
    assert "\nNO-GO\n  accuracy fell by 12.5 points" in no_go.stdout
    go = command("compare", *place, "after", "before", "--gate", "--format", "json")
    assert go.returncode == 0
    assert json.loads(go.stdout)["decision"] == {"word": "GO", "reasons": []}
    plain = command("compare", *place, "before", "after")
    assert plain.returncode == 0
    for wrong_line in (
        ("before", "before"), ("before", "nobody"), ("before", "after", "--margin", "2"),
        ("before", "after", "--max-drop", "7"),
    ):  # fmt: skip
        refused = command("compare", *place, *wrong_line)
        assert refused.returncode == 2
        assert refused.stderr.startswith("pacore: ")
        assert refused.stderr.count("\n") == 1
