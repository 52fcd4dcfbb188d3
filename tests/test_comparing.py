"""Two runs held against each other, and the gate between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pacore.comparing import Criteria, compare, decide
from pacore.comparison_report import comparison_text
from pacore.errors import Refused
from pacore.evaluation_report import evaluation_json, evaluation_report
from pacore.store import Backend, open_store
from pacore.warehouse import Warehouse
from tests.conftest import Pacore
from tests.golden_files import golden
from tests.pooled import BROKEN, NOTHING, RIGHT, Sample, pooled_run, wrong

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


def gate(store: Backend, a: str, b: str, **criteria: Any) -> list[str]:
    with Warehouse(store, [a, b]) as warehouse:
        found = compare(warehouse, a, b)
        decision = decide(found, Criteria(**criteria), warehouse.run_checks())
    assert decision.word == ("NO-GO" if decision.reasons else "GO")
    return list(decision.reasons)


def test_the_difference_is_over_problems_both_have(store: Backend) -> None:
    with Warehouse(store) as warehouse:
        found = compare(warehouse, "before", "after", 0.1)
    pair = found.paired
    assert pair.problems == 10
    assert pair.difference == pytest.approx((sum(AFTER) - sum(BEFORE)) / 40)
    assert (pair.better, pair.worse, pair.equal) == (0, 5, 5)
    assert pair.permutation_p == pytest.approx(2 / 2**5)
    assert (found.only_first, found.only_second, found.changed) == (0, 0, 0)
    assert found.equivalence is not None


def test_a_comparison_reads_as_it_should(store: Backend) -> None:
    with Warehouse(store) as warehouse:
        found = compare(warehouse, "before", "after", 0.1)
        decision = decide(found, Criteria(), {})
    shown = comparison_text(found, decision, WIDTH)
    assert shown + "\n" == golden("comparison/compared.txt", shown + "\n")


def test_an_evaluation_reads_as_it_should(store: Backend) -> None:
    prices = [("scripted", "USD", 1.0, 0.1, 4.0)]
    with Warehouse(store, ["after"], prices) as warehouse:
        shown = evaluation_report(warehouse, ["after"], WIDTH)
        (told,) = json.loads(evaluation_json(warehouse, ["after"]))
    assert shown + "\n" == golden("comparison/evaluated.txt", shown + "\n")
    assert told["totals"]["score"] == pytest.approx(sum(AFTER) / 40)
    votes = {row["k"]: row["vote"] for row in told["pools"] if row["pool"] == "first_round"}
    assert votes[4]["low"] <= votes[4]["value"] <= votes[4]["high"]


@pytest.mark.parametrize(
    ("criteria", "reasons"),
    [
        ({"max_drop": 0.2}, []),
        ({"max_drop": 0.05}, ["accuracy fell by 12.5 points, 5.0 points are allowed"]),
        (
            {"max_drop": None, "no_worse_than": 0.15},
            ["no worse than 15.0 points is not shown: 20.1 points at worst, at 95 % confidence"],
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
        "25.0 % of answers are none, 10.0 % are allowed",
        "12.5 % of answers are ungraded, 0.0 % are allowed",
    ]
    with Warehouse(store) as warehouse:
        found = compare(warehouse, "before", "ill")
    broken = {"seeds": [{"seed": -1}], "conclusions": []}
    reasons = decide(found, Criteria(max_ungraded=None), broken).reasons
    assert list(reasons) == ["check seeds finds 1 rows that break it"]


def test_runs_without_a_common_problem_are_refused(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    pooled_run(store, "one", {"a": [RIGHT]})
    pooled_run(store, "two", {"b": [RIGHT]})
    with Warehouse(store) as warehouse, pytest.raises(Refused, match="no problem in common"):
        compare(warehouse, "one", "two")


def test_the_command_ends_with_4_for_no_go_and_0_for_go(store: Backend, pacore: Pacore) -> None:
    place = ("--store", str(Path(store.uri("runs")).parent))
    no_go = pacore("compare", *place, "before", "after", "--gate")
    assert no_go.returncode == 4, no_go.stderr
    assert "\nNO-GO\n  accuracy fell by 12.5 points" in no_go.stdout
    go = pacore("compare", *place, "after", "before", "--gate", "--format", "json")
    assert go.returncode == 0
    assert json.loads(go.stdout)["decision"] == {"word": "GO", "reasons": []}
    plain = pacore("compare", *place, "before", "after")
    assert plain.returncode == 0
    for wrong_line in (
        ("before", "before"), ("before", "nobody"), ("before", "after", "--margin", "2"),
        ("before", "after", "--max-drop", "7"),
    ):  # fmt: skip
        refused = pacore("compare", *place, *wrong_line)
        assert refused.returncode == 2
        assert refused.stderr.startswith("pacore: ")
        assert refused.stderr.count("\n") == 1
