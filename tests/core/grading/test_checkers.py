"""Checkers: what each accepts and refuses, as testlib's do, and what holds for all of them."""

from __future__ import annotations

import math
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.checkers import (
    CHECKERS,
    TESTLIB,
    Checked,
    checker_named,
    is_close,
    split_tokens,
)
from pacore.core.grading.programs.results import same_result
from tests.fixtures.nested_values import nested

ACCEPTED = [
    ("tokens", "1 2 3\n", "1\r\n2\t3"),
    ("tokens", "", " \n"),
    ("lines", "a b\nc\n", " a  b \r\nc\n\n \n"),
    ("lines", "a", "a\n"),
    ("lines", "", "\n\n"),
    ("lines", "a\n\nb\n", "a\n \nb"),
    ("exact", "a  b\n", "a  b"),
    ("exact", "a\nb", "a\nb\n\n"),
    ("exact", " a", " a\n"),
    ("integers", "1 -2 0", "1\n-2\n0\n"),
    ("integers", "9" * 40, "9" * 40),
    ("unordered_integers", "3 1 2 1", "1 1\n2 3"),
    ("unordered_tokens", "b a b", "a b b"),
    ("unordered_lines", "1 2\n3\n", "3\n\n1  2\n"),
    ("yes_or_no", "YES", "yes\n"),
    ("yes_or_nos", "YES NO", "Yes\nnO"),
    ("reals:1e-6", "1.0 2", "1.0000009 2e0"),
    ("reals:1e-6", "1000000", "1000000.9"),
    ("reals:1e-6", "-1000000", "-1000000.9"),
    ("reals:1e-6", ".5 5. +1 -0", "0.5 5 1 0.0"),
    ("reals:1e-6", "1e301", "1e400"),
    ("reals:0.5", "1", "1.5"),
    ("reals:1e-9", "", ""),
]

REFUSED = [
    ("tokens", "1 2", "1 3", "token 2: expected '2', found '3'"),
    ("tokens", "1 2", "1", "token 2: expected '2', found nothing"),
    ("tokens", "1", "1 2", "token 2: expected nothing, found '2'"),
    ("tokens", "a b", "a\u00a0b", "token 1: expected 'a', found 'a\\xa0b'"),
    ("tokens", "Yes", "YES", "token 1: expected 'Yes', found 'YES'"),
    ("tokens", "1", "1.0", "token 1: expected '1', found '1.0'"),
    ("lines", "a b\nc", "a\nb c", "line 1: expected 'a b', found 'a'"),
    ("lines", "a\n\nb", "a\nb", "line 2: expected '', found 'b'"),
    ("lines", "a", "a\nb", "line 2: expected nothing, found 'b'"),
    ("lines", "a\nb", "a\n", "line 2: expected 'b', found nothing"),
    ("lines", "a\n\n\n", "a\n", "line 2: expected '', found nothing"),
    ("exact", "a b", "a  b", "line 1: expected 'a b', found 'a  b'"),
    ("exact", "a", "a ", "line 1: expected 'a', found 'a '"),
    ("integers", "1", "01", "token 1: expected '1', found '01'"),
    ("integers", "0", "-0", "token 1: expected '0', found '-0'"),
    ("integers", "1", "+1", "token 1: expected '1', found '+1'"),
    ("integers", "9" * 50, "9" * 49 + "8", f"token 1: expected '{'9' * 39}…', found '{'9' * 39}…'"),
    ("unordered_integers", "1 1 2", "1 2 2", "unordered tokens: expected '1', found '2'"),
    ("unordered_integers", "1", "1 1", "expected 1 tokens, found 2"),
    ("unordered_lines", "1 2\n3", "3\n2 1", "unordered lines: expected '1 2', found '2 1'"),
    ("yes_or_no", "YES", "no", "token 1: expected 'YES', found 'no'"),
    ("yes_or_no", "YES", "yes yes", "token 2: expected nothing, found 'yes'"),
    ("yes_or_no", "NO", "", "token 1: expected 'NO', found nothing"),
    ("yes_or_nos", "YES", "true", "token 1: expected 'YES', found 'true'"),
    ("yes_or_nos", "YES", "y\u0117s", "token 1: expected 'YES', found 'yės'"),
    ("reals:1e-6", "1.0", "1.000002", "token 1: expected '1.0', found '1.000002'"),
    ("reals:1e-6", "1", "nan", "token 1: expected '1', found 'nan'"),
    ("reals:1e-6", "1", "inf", "token 1: expected '1', found 'inf'"),
    ("reals:1e-6", "1", "1_0", "token 1: expected '1', found '1_0'"),
    ("reals:1e-6", "1", "0x1p0", "token 1: expected '1', found '0x1p0'"),
    ("reals:1e-6", "1e301", "-1e301", "token 1: expected '1e301', found '-1e301'"),
    ("reals:1e-6", "1", "1e400", "token 1: expected '1', found '1e400'"),
    ("reals:1e-6", "1 2", "1", "token 2: expected '2', found nothing"),
    ("reals:1e-6", "1", "1 2", "token 2: expected nothing, found '2'"),
]

UNREADABLE = [
    ("integers", "1 x", "expected output, token 2: 'x' is no integer"),
    ("integers", "007", "expected output, token 1: '007' is no integer"),
    ("unordered_integers", "1.0", "expected output, token 1: '1.0' is no integer"),
    ("yes_or_no", "maybe", "expected output, token 1: 'MAYBE' is no YES or NO"),
    ("yes_or_no", "YES NO", "expected output: has not exactly one YES or NO"),
    ("reals:1e-6", "one", "expected output, token 1: 'one' is no number"),
]


def check(name: str, expected: str, found: str) -> Checked:
    checker = checker_named(name)
    assert checker is not None
    return checker(expected, found)


@pytest.mark.parametrize(("name", "expected", "found"), ACCEPTED)
def test_an_output_is_accepted(name: str, expected: str, found: str) -> None:
    assert check(name, expected, found) == Checked(1.0)


@pytest.mark.parametrize(("name", "expected", "found", "message"), REFUSED)
def test_an_output_is_refused_with_its_first_difference(
    name: str, expected: str, found: str, message: str
) -> None:
    assert check(name, expected, found) == Checked(0.0, message)


@pytest.mark.parametrize(("name", "expected", "message"), UNREADABLE)
def test_an_expected_output_may_be_unreadable(name: str, expected: str, message: str) -> None:
    assert check(name, expected, expected) == Checked(None, message)


def test_testlibs_names_are_known() -> None:
    assert set(TESTLIB.values()) <= set(CHECKERS) | {"reals:1e-4", "reals:1e-6", "reals:1e-9"}
    assert check("rcmp4", "1", "1.00009").points == 1.0
    assert check("rcmp6", "1", "1.00009").points == 0.0
    assert check("wcmp", "a", " a") == Checked(1.0)
    for name in ("", "cmp", "reals", "reals:", "reals:x", "reals:-1", "reals:1e9", "tokens:1"):
        assert checker_named(name) is None, name


NAMES = [*CHECKERS, "reals:1e-6"]


ANY_TEXT = st.text(st.sampled_from(string.ascii_letters[:6] + "019-+.e \t\r\n\v\x00é"), max_size=40)


INTEGERS = st.lists(st.integers(-(10**30), 10**30).map(str), min_size=1, max_size=8)


@given(st.sampled_from(NAMES), ANY_TEXT, ANY_TEXT)
def test_a_verdict_is_all_or_nothing_and_says_why(name: str, expected: str, found: str) -> None:
    points, message = check(name, expected, found)
    assert points in (None, 0.0, 1.0)
    assert (points == 1.0) == (message == "")
    assert "\n" not in message


@given(st.sampled_from(NAMES), ANY_TEXT)
def test_every_readable_output_equals_itself(name: str, text: str) -> None:
    assert check(name, text, text).points in (None, 1.0)


@given(st.sampled_from([name for name in NAMES if name != "yes_or_no"]), ANY_TEXT, ANY_TEXT)
def test_what_two_outputs_of_one_kind_are_to_each_other_does_not_depend_on_which_is_expected(
    name: str, one: str, other: str
) -> None:
    forth, back = check(name, one, other).points, check(name, other, one).points
    if None not in (forth, back) and name not in ("lines", "exact"):
        assert forth == back


@given(ANY_TEXT, ANY_TEXT)
def test_checkers_grow_more_lenient_from_exact_lines_to_unordered_tokens(
    expected: str, found: str
) -> None:
    verdicts = [
        check(name, expected, found).points
        for name in ("exact", "lines", "tokens", "unordered_tokens")
    ]
    # A vertical tab parts the words of a line and no tokens.
    if "\v" not in expected + found:
        assert verdicts == sorted(verdicts, key=lambda points: points or 0.0)


@given(INTEGERS, st.randoms(use_true_random=False))
def test_integers_in_any_order_are_the_same_unordered_ones(
    numbers: list[str], random: object
) -> None:
    shuffled = sorted(numbers, key=lambda _: random.random())  # type: ignore[attr-defined]
    expected, found = " ".join(numbers), "\n".join(shuffled)
    assert check("unordered_integers", expected, found) == Checked(1.0)
    assert (check("integers", expected, found).points == 1.0) == (numbers == shuffled)


@given(INTEGERS, st.integers(0, 7), st.integers(-3, 3))
def test_integers_differ_by_one_however_long_they_are(numbers: list[str], at: int, by: int) -> None:
    changed = list(numbers)
    changed[at % len(numbers)] = str(int(changed[at % len(numbers)]) + by)
    assert check("integers", " ".join(numbers), " ".join(changed)).points == float(by == 0)


FINITE = st.floats(-1e12, 1e12, allow_subnormal=False)


@given(FINITE, st.floats(-0.99, 0.99), st.sampled_from([1e-4, 1e-6, 1e-9]))
def test_a_real_within_its_tolerance_is_close(
    expected: float, part: float, tolerance: float
) -> None:
    assert is_close(expected, expected + part * tolerance, tolerance)
    assert is_close(expected, expected * (1 + part * tolerance), tolerance)


@given(FINITE, st.floats(1.1, 100.0), st.sampled_from([1e-4, 1e-6]))
def test_a_real_beyond_both_tolerances_is_not_close(
    expected: float, times: float, tolerance: float
) -> None:
    off = times * tolerance * max(1.0, abs(expected))
    assert not is_close(expected, expected + off, tolerance)
    assert not is_close(expected, expected - off, tolerance)


def test_what_is_no_number_is_close_to_itself_only() -> None:
    assert is_close(math.nan, math.nan, 1e-6)
    assert not is_close(1.0, math.nan, 1e-6)
    assert not is_close(math.nan, 1.0, 1e-6)
    assert is_close(-math.inf, -math.inf, 1e-6)
    assert not is_close(math.inf, -math.inf, 1e-6)


@given(st.text())
def test_tokens_are_what_is_between_the_four_blanks(text: str) -> None:
    found = split_tokens(text)
    assert "".join(found) == re.sub("[ \t\r\n]", "", text)
    assert not any(re.search("[ \t\r\n]", token) for token in found) and "" not in found


JSON = nested(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
)


@given(JSON, JSON)
def test_without_a_tolerance_results_are_the_same_if_python_says_so(
    one: object, other: object
) -> None:
    assert same_result(one, one) and same_result(one, one, 1e-9)  # type: ignore[arg-type]
    assert same_result(one, other) == (one == other)  # type: ignore[arg-type]
