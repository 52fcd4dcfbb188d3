"""Specs of graders: what they name, their one spelling, and what is none."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.spec import GRADERS, canonical_spec, parse_spec
from pacore.core.problem import Problem, Turn
from pacore.errors import BadInput
from pacore.problems.shapes.recognise import read_row


@pytest.mark.parametrize("name", GRADERS)
def test_a_plain_name_is_its_own_canonical_spec(name: str) -> None:
    assert canonical_spec(name) == name
    assert parse_spec(name).name == name


@pytest.mark.parametrize(
    ("spec", "canonical"),
    [
        ("numeric:rel=1e-4,abs=2", "numeric:abs=2,rel=0.0001"),
        ("numeric:abs=2.0,rel=.0001", "numeric:abs=2,rel=0.0001"),
        (" numeric : abs = 0 ", "numeric:abs=0"),
        ("numeric:rel=1E-30", f"numeric:rel=0.{'0' * 29}1"),
        ("numeric:abs=12e3", "numeric:abs=12000"),
        ("text:case=keep", "text:case=keep"),
    ],
)
def test_a_grader_with_options_has_one_spelling(spec: str, canonical: str) -> None:
    assert canonical_spec(spec) == canonical
    assert canonical_spec(canonical) == canonical


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("", "unknown grader ''; one of math, choice, text, numeric, code, judge"),
        ("maths", "unknown grader 'maths' (did you mean math?); one of"),
        ("math:", "'math:': unknown option ''; math has no options"),
        ("math:rel=1", "'math:rel=1': unknown option 'rel'; math has no options"),
        ("numeric:", "'numeric:': unknown option ''; numeric takes rel, abs"),
        ("numeric:tol=1", "unknown option 'tol'; numeric takes rel, abs"),
        ("numeric:rel=1e-4,rel=1e-4", "rel is given twice"),
        ("numeric:rel=1", "rel must be a number from 0 to below 1, such as 1e-4"),
        ("numeric:rel=-1e-4", "rel must be a number from 0 to below 1"),
        ("numeric:rel=1e-31", "rel must be a number from 0 to below 1"),
        ("numeric:rel=1e-999999999", "rel must be a number from 0 to below 1"),
        ("numeric:abs=nan", "abs must be a number of 0 or more, such as 0.01"),
        ("numeric:abs=.", "abs must be a number of 0 or more"),
        ("numeric:abs=1e99", "abs must be a number of 0 or more"),
        ("numeric:abs=", "abs must be a number of 0 or more"),
        ("text:case=fold", "'text:case=fold': case must be keep"),
        ("m\x00th" * 100, "unknown grader"),
    ],
)
def test_a_text_that_is_no_spec_is_refused_in_one_line(spec: str, fault: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_spec(spec)
    assert fault in str(refused.value)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 200


@given(st.text(max_size=40) | st.text(alphabet="numeric:relabs=,.0123456789e-", max_size=40))
def test_a_canonical_spec_stays_as_it_is(text: str) -> None:
    try:
        canonical = canonical_spec(text)
    except BadInput:
        return
    assert canonical_spec(canonical) == canonical


@given(st.fractions(min_value=0, max_value=1).filter(lambda share: share < 1))
def test_a_tolerance_is_kept_exactly_or_refused(share: Fraction) -> None:
    tenths = Fraction(int(share * 10**9), 10**9)
    spec = parse_spec(f"numeric:rel={int(share * 10**9)}e-9")
    assert spec.fraction("rel") == tenths
    assert spec.fraction("abs") is None


def test_a_row_may_name_a_grader_with_options_in_any_spelling() -> None:
    row = {"problem": "x", "answer": "7", "grader": "numeric: abs=2, rel=1e-4"}
    problem = read_row(row, "f", 1)
    assert isinstance(problem, Problem)
    assert problem.grader == "numeric:abs=2,rel=0.0001"


@pytest.mark.parametrize("grader", [5, True, ["math"], {"name": "math"}])
def test_a_grader_that_is_no_text_is_said_to_be_none(grader: object) -> None:
    issues = read_row({"problem": "x", "grader": grader}, "f", 1)
    assert isinstance(issues, list)
    assert "must be text such as math" in str(issues[0])


def test_a_plain_name_leaves_the_content_of_a_problem_what_it_was() -> None:
    problem = Problem("p", (Turn("user", "What is 1 + 1?"),), "2", "math")
    assert problem.content_digest == (
        "ab88be56722f494757bba978ee51e787add901a026eb931e5b906384f0b00a48"
    )
