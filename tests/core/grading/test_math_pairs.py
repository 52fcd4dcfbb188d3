"""The grader ``math`` on labelled pairs: no wrong answer is taken for right, few right ones are refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.rules import grade_fast
from pacore.core.grading.verdict import CORRECT, WRONG, Verdict
from pacore.sandbox.grade import answer_keys, grade_answers
from pacore.sandbox.mathematics import SHARED_GRADER
from tests.labelled import Pair, read_pairs

TIMEOUT_SECONDS = 3.0

TUNED, HELD_OUT = read_pairs("math_pairs"), read_pairs("math_pairs_held_out")

Judged = dict[Pair, Verdict]


@pytest.fixture(scope="module")
def judged() -> Iterator[Judged]:
    pairs = [*TUNED, *HELD_OUT]
    yield dict(
        zip(pairs, grade_answers([pair.item for pair in pairs], TIMEOUT_SECONDS), strict=True)
    )
    SHARED_GRADER.close()


def test_the_sets_are_large_and_of_both_verdicts() -> None:
    assert len(TUNED) >= 200 and len(HELD_OUT) >= 60
    for pairs in (TUNED, HELD_OUT):
        assert len(set(pairs)) == len(pairs)
        assert 0.4 < sum(pair.same for pair in pairs) / len(pairs) < 0.6
    assert sum(pair.is_hostile for pair in TUNED) >= 20


@pytest.mark.slow
def test_no_wrong_answer_is_taken_for_right(judged: Judged) -> None:
    assert not [p for p, verdict in judged.items() if verdict == CORRECT and not p.same]


@pytest.mark.slow
@pytest.mark.parametrize(("pairs", "most"), [(TUNED, 2), (HELD_OUT, 1)])
def test_few_right_answers_are_refused(pairs: list[Pair], most: int, judged: Judged) -> None:
    refused = [pair for pair in pairs if pair.same and judged[pair] != CORRECT]
    assert len(refused) <= most, refused


@pytest.mark.slow
def test_only_hostile_answers_have_no_verdict(judged: Judged) -> None:
    undecided = [p for p, v in judged.items() if v.verdict in ("timeout", "crash")]
    assert all(pair.is_hostile for pair in undecided), undecided
    assert len(undecided) <= 10


@pytest.mark.slow
def test_answers_with_one_key_are_the_same_answer(judged: Judged) -> None:
    """Keys of a gold answer and of an answer that is another are never equal."""
    harmless = [
        p for p in judged if p.answer is not None and not p.is_hostile and p.grader == "math"
    ]
    golds = answer_keys([("math", pair.gold) for pair in harmless], TIMEOUT_SECONDS)
    keys = answer_keys([("math", str(pair.answer)) for pair in harmless], TIMEOUT_SECONDS)
    told = list(zip(harmless, golds, keys, strict=True))
    assert not [pair for pair, gold, key in told if gold == key and not pair.same]
    assert sum(gold == key for pair, gold, key in told if pair.same) > 0.6 * sum(
        p.same for p in harmless
    )


WAYS = {
    "a root": [r"\sqrt{12}", r"2\sqrt{3}", r"\frac{6}{\sqrt{3}}", "2√3"],
    "another root": [r"\sqrt{11}", r"\frac{11}{\sqrt{11}}"],
    "a sum": ["x+1", "1+x", r"\frac{x^2-1}{x-1}"],
    "another sum": ["y+1", "1 + y"],
    "a list": ["1, 2", "2, 1", r"2 \text{ and } 1"],
    "a set of expressions": [r"\{\sqrt{8}, 1\}", r"1, 2\sqrt{2}"],
    "a point": ["(1, 2)", r"(\frac{2}{2}, 2)"],
    "the same point turned": ["(2, 1)"],
    "an interval": ["[0, 1)", "[0,1)"],
    "a power": [r"2^{10}", "1024", "1,024"],
    "a length": [r"2\sqrt{3} \text{ cm}", r"\sqrt{12} cm"],
}


@pytest.mark.slow
def test_every_way_to_write_an_answer_has_its_key_and_no_other_has_it() -> None:
    keys = {
        name: set(answer_keys([("math", way) for way in ways], TIMEOUT_SECONDS))
        for name, ways in WAYS.items()
    }
    assert {name: len(found) for name, found in keys.items()} == dict.fromkeys(WAYS, 1), keys
    assert not [pair for pair in combinations(keys.values(), 2) if pair[0] & pair[1]]


NUMBERS = st.integers(-(10**40), 10**40)


@given(st.lists(NUMBERS, min_size=2, max_size=5, unique=True))
def test_a_list_of_integers_has_no_order_and_a_point_has_one(numbers: list[int]) -> None:
    turned = numbers[1:] + numbers[:1]
    one, other = (", ".join(map(str, some)) for some in (numbers, turned))
    assert grade_fast("math", one, other) == CORRECT
    assert grade_fast("math", f"\\{{{one}\\}}", f"\\{{{other}\\}}") == CORRECT
    assert grade_fast("math", f"({one})", f"({other})") == WRONG
    assert grade_fast("math", one, ", ".join(map(str, numbers[1:]))) == WRONG


@given(NUMBERS, NUMBERS, st.sampled_from("[("), st.sampled_from("])"))
def test_an_interval_is_another_with_other_ends(low: int, high: int, left: str, right: str) -> None:
    written = f"{left}{low}, {high}{right}"
    sign = {"[": r"\le", "(": "<", "]": r"\le", ")": "<"}
    assert grade_fast("math", written, f"{low} {sign[left]} x {sign[right]} {high}") == CORRECT
    other = {"[": "(", "(": "["}[left]
    assert grade_fast("math", written, f"{other}{low}, {high}{right}") == WRONG
