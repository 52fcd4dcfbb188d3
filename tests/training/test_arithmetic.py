"""Synthetic arithmetic: exact, the same whatever the number, and all different."""

from __future__ import annotations

import re
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.config.training import ArithmeticSource
from pacore.core.grading.rules import grade_fast
from pacore.core.grading.verdict import VerdictName
from pacore.errors import BadInput
from pacore.training.sources.arithmetic import problems_of_arithmetic

PAPER = {"kind": "arithmetic", "name": "sums", "count": 200}


def source(**fields: object) -> ArithmeticSource:
    return ArithmeticSource.model_validate({**PAPER, **fields})


def test_operands_are_those_of_the_paper_and_answers_exact() -> None:
    operations = set()
    for candidate in problems_of_arithmetic(source()):
        metadata, problem = candidate.problem.metadata, candidate.problem
        a, b = int(str(metadata["a"])), int(str(metadata["b"]))
        assert 10**11 <= a < 10**13 and 10**11 <= b < 10**13
        assert str(a) in problem.statement and str(b) in problem.statement
        values = {
            "add": a + b, "subtract": a - b, "multiply": a * b,
            "power": pow(a, b, int(str(metadata.get("modulus", 1)))),
        }  # fmt: skip
        operations.add(metadata["operation"])
        assert problem.gold == str(values[str(metadata["operation"])])
    assert operations == {"add", "subtract", "multiply", "power"}


def test_the_wording_varies() -> None:
    texts = [one.problem.statement for one in problems_of_arithmetic(source(operations=["add"]))]
    assert len({re.sub(r"\d+", "N", text) for text in texts}) >= 10


@settings(max_examples=20)
@given(seed=st.text(max_size=5), count=st.integers(1, 40), more=st.integers(0, 40))
def test_more_problems_begin_with_those_of_fewer_and_none_is_there_twice(
    seed: str, count: int, more: int
) -> None:
    fewer = list(problems_of_arithmetic(source(seed=seed, count=count, digits=[1, 2])))
    longer = list(problems_of_arithmetic(source(seed=seed, count=count + more, digits=[1, 2])))
    assert longer[:count] == fewer
    assert len({one.key for one in longer}) == len(longer) == count + more
    assert len({one.problem.problem_id for one in longer}) == len(longer)


def test_another_seed_gives_others_and_the_order_of_operations_none() -> None:
    first = list(islice(problems_of_arithmetic(source()), 20))
    same = source(operations=["power", "multiply", "subtract", "add"])
    assert list(islice(problems_of_arithmetic(same), 20)) == first
    assert not set(islice(problems_of_arithmetic(source(seed="2")), 20)) & set(first)


def test_a_sum_in_another_order_is_the_same_problem() -> None:
    one_digit = source(digits=[1, 1], operations=["add"], count=45)
    keys = [one.key for one in problems_of_arithmetic(one_digit)]
    assert len(keys) == len(set(keys)) == 45, "9 operands, in either order"
    with pytest.raises(BadInput, match="count 46 are not to be had; there are about 45 different"):
        list(problems_of_arithmetic(source(digits=[1, 1], operations=["add"], count=46)))


@pytest.mark.parametrize(("off", "verdict"), [(0, "correct"), (1, "wrong"), (-1, "wrong")])
def test_the_grader_compares_every_digit(off: int, verdict: VerdictName) -> None:
    found = next(iter(problems_of_arithmetic(source(operations=["multiply"], digits=[30, 30]))))
    assert found.problem.gold is not None
    assert found.problem.grader is not None
    answer = str(int(found.problem.gold) + off)
    graded = grade_fast(found.problem.grader, found.problem.gold, answer)
    assert graded is not None
    assert graded.verdict == verdict
