"""Numerals are read exactly: digits with separators, decimals, words, bases."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.mathematics.number import (
    Rational,
    decimal,
    equal,
    from_words,
    in_base,
    integer_digits,
    is_precise,
    is_rounding,
    join_thousands,
    readings,
    repeating,
    rounds_to,
    scientific,
)

# ruff: noqa: RUF001 - digits of other scripts are among them

INTEGERS = [
    ("0", "0"),
    ("-0", "0"),
    ("+0", "0"),
    ("000", "0"),
    ("007", "7"),
    ("-007", "-7"),
    ("+5", "5"),
    ("- 5", "-5"),
    ("1,234", "1234"),
    ("1 234", "1234"),
    ("-1,234,567", "-1234567"),
    ("12,345", "12345"),
    ("0,123", "123"),
    ("1234", "1234"),
    ("9" * 5000, "9" * 5000),
]

NO_INTEGERS = [
    "",
    "-",
    "+",
    "--5",
    "1.0",
    "1,23",
    "1,2345",
    "1234,567",
    "1 23",
    "1,234 567",
    "1, 234",
    "5 ",
    "-  5",
    "1_000",
    "٧٠",
    "７０",
    "²",
    "1e3",
    "0x10",
    "5\n",
]


@pytest.mark.parametrize(("text", "digits"), INTEGERS)
def test_an_integer_has_one_text_however_it_is_written(text: str, digits: str) -> None:
    assert integer_digits(text) == digits


@pytest.mark.parametrize("text", NO_INTEGERS)
def test_what_is_no_integer_has_no_digits(text: str) -> None:
    assert integer_digits(text) is None


@given(st.integers())
def test_an_integer_is_read_back_from_python_s_notation_of_it(value: int) -> None:
    assert integer_digits(str(value)) == integer_digits(f"{value:,}") == str(value)
    assert integer_digits(f"{value:,}".replace(",", " ")) == str(value)


DECIMALS = [
    ("0", Fraction(0), 0, 0),
    ("", Fraction(0), 0, 0),
    (".5", Fraction(1, 2), 1, 1),
    ("5.", Fraction(5), 0, 1),
    ("0.50", Fraction(1, 2), 2, 2),
    ("007.25", Fraction(29, 4), 2, 3),
    ("0.001", Fraction(1, 1000), 3, 1),
    ("1000", Fraction(1000), 0, 4),
    ("0.0588235", Fraction(588235, 10**7), 7, 6),
    (".", Fraction(0), 0, 0),
]


@pytest.mark.parametrize(("text", "value", "places", "digits"), DECIMALS)
def test_a_decimal_has_its_value_its_places_and_its_significant_digits(
    text: str, value: Fraction, places: int, digits: int
) -> None:
    assert decimal(text) == Rational(value, places=places, digits=digits)


@given(st.integers(0, 10**12), st.integers(0, 12))
def test_a_decimal_is_its_digits_divided_by_a_power_of_ten(digits: int, places: int) -> None:
    padded = str(digits).zfill(places + 1)
    text = f"{padded[:-places]}.{padded[-places:]}" if places else padded
    read = decimal(text)
    assert read.value == Fraction(digits, 10**places)
    assert (read.places, read.digits) == (places, len(str(digits)) if digits else 0)


@pytest.mark.parametrize(
    ("factor", "power", "value"),
    [("3", 5, 300_000), ("1.5", 3, 1500), ("2.5", -1, Fraction(1, 4)), ("0", 9, 0), ("7", 0, 7)],
)
def test_scientific_notation_counts_as_no_decimal(
    factor: str, power: int, value: int | Fraction
) -> None:
    assert scientific(factor, power) == Rational(Fraction(value))


REPEATING = [
    ("0.", "3", Fraction(1, 3)),
    ("0.", "9", Fraction(1)),
    ("0.9", "6", Fraction(29, 30)),
    ("", "6", Fraction(2, 3)),
    ("2.", "142857", Fraction(15, 7)),
    ("0.58", "3", Fraction(7, 12)),
    ("1", "0", Fraction(1)),
    (".0", "9", Fraction(1, 10)),
]


@pytest.mark.parametrize(("once", "again", "value"), REPEATING)
def test_a_repeating_decimal_is_a_fraction(once: str, again: str, value: Fraction) -> None:
    assert repeating(once, again) == Rational(value)


@given(st.fractions(0, 1000, max_denominator=200))
def test_the_repeating_decimal_of_a_long_division_is_the_fraction(value: Fraction) -> None:
    """The digits of the division until a remainder comes again."""
    whole, left = divmod(value.numerator, value.denominator)
    digits, seen = "", dict[int, int]()
    while left not in seen:
        seen[left] = len(digits)
        digit, left = divmod(left * 10, value.denominator)
        digits += str(digit)
    start = seen[left]
    assert repeating(f"{whole}.{digits[:start]}", digits[start:]).value == value


BASES = [
    ("1203", 4, 99),
    ("2F", 16, 47),
    ("2f", 16, 47),
    ("zz", 36, 1295),
    ("101", 2, 5),
    ("12", 2, None),
    ("8", 8, None),
    ("10", 1, None),
    ("10", 37, None),
    ("10", 0, None),
    ("1_0", 10, None),
    ("", 10, None),
    ("g", 16, None),
    ("9" * 30, 10, int("9" * 30)),
]


@pytest.mark.parametrize(("digits", "base", "value"), BASES)
def test_digits_have_a_value_in_bases_that_have_these_digits(
    digits: str, base: int, value: int | None
) -> None:
    assert in_base(digits, base) == value


JOINED = [
    ("1,234", "1234"),
    ("1{,}234", "1234"),
    ("12'345'678", "12345678"),
    ("12 345", "12345"),
    ("12~345", "12345"),
    ("1_234_567", "1234567"),
    ("1_234", "1_234"),
    ("1.234.567", "1234567"),
    ("1.234", "1.234"),
    ("12 345,67", "12345.67"),
    ("1.234.567,8", "1234567.8"),
    ("1,234,567", "1234567"),
    ("1,2345", "1,2345"),
    ("12,34", "12,34"),
    ("0,123", "0,123"),
    ("1,234.5", "1234.5"),
    ("5 000/3", "5 000/3"),
    ("1 234 5", "1 234 5"),
    # a comma within brackets separates, unless others have a space after them
    ("(1,234)", "(1,234)"),
    ("(1,234, 5,678)", "(1234, 5678)"),
    ("(1,234,5)", "(1,234,5)"),
    ("[1,234]", "[1,234]"),
    (r"\{1,234\}", r"\{1,234\}"),
    (r"\{1,234, 2,345\}", r"\{1234, 2345\}"),
    ("f(1,234) + 1,234", "f(1,234) + 1234"),
    ("((1,234), 5)", "((1,234), 5)"),
    (")1,234(", ")1234("),
    ("1,234 and 5,678", "1234 and 5678"),
    ("a1,234", "a1234"),
    ("", ""),
    ("no digits, here", "no digits, here"),
]


@pytest.mark.parametrize(("text", "joined"), JOINED)
def test_separators_of_thousands_are_left_out_where_they_can_be_nothing_else(
    text: str, joined: str
) -> None:
    assert join_thousands(text) == joined


@given(st.integers(1000, 10**15), st.sampled_from(["{,}", "'", " ", "~", ","]))
def test_a_grouped_number_alone_is_the_number(value: int, separator: str) -> None:
    assert join_thousands(f"{value:,}".replace(",", separator)) == str(value)


@given(st.text("0123456789,.' ()[]x", max_size=20))
def test_joining_twice_joins_nothing_more_than_digits_already_joined(text: str) -> None:
    joined = join_thousands(text)
    assert [c for c in joined if c.isdigit()] == [c for c in text if c.isdigit()]
    assert [c for c in joined if c in "()[]x"] == [c for c in text if c in "()[]x"]


ONES = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
]

TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spelled(value: int, has_and: bool = False) -> str:
    """The English words for a number below 10^15, as taught in school."""
    for size, name in (
        (10**12, "trillion"),
        (10**9, "billion"),
        (10**6, "million"),
        (1000, "thousand"),
    ):
        if value >= size:
            rest = f" {spelled(value % size, has_and)}" if value % size else ""
            return f"{spelled(value // size, has_and)} {name}{rest}"
    if value >= 100:
        joint = " and " if has_and else " "
        rest = f"{joint}{spelled(value % 100)}" if value % 100 else ""
        return f"{ONES[value // 100]} hundred{rest}"
    if value < 20:
        return ONES[value]
    return TENS[value // 10] + (f" {ONES[value % 10]}" if value % 10 else "")


@given(st.integers(0, 10**15 - 1), st.booleans())
def test_a_number_is_read_from_its_words(value: int, has_and: bool) -> None:
    assert from_words(spelled(value, has_and).split()) == value


NO_NUMBERS = [
    "",
    "and",
    "one and",
    "and one",
    "one two",
    "twenty ten",
    "twenty eleven",
    "one twenty",
    "hundred",
    "twenty hundred",
    "one hundred hundred",
    "thousand",
    "one thousand thousand",
    "one thousand two million",
    "one hundred zero",
    "five apples",
    "twenty zero",
    "one and two",
    "zero one",
    "minus one",
    "One",
]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_words_that_name_no_number_are_no_number(text: str) -> None:
    assert from_words(text.split()) is None


percents = st.builds(Rational, st.fractions(-100, 100, max_denominator=50), st.booleans())


@given(percents, percents)
def test_a_percent_sign_may_be_left_out_on_one_side_only(one: Rational, other: Rational) -> None:
    """Equal as written, or with the only percent sign applied."""
    plain = one.value == other.value
    if one.percent == other.percent:
        assert equal(one, other) == plain and readings(one, other) == [(one.value, other.value)]
    else:
        with_sign, without = (one, other) if one.percent else (other, one)
        assert equal(one, other) == (plain or with_sign.value / 100 == without.value)
    assert equal(one, other) == equal(other, one)


ROUNDINGS = [
    ("0.333333", Fraction(1, 3), True),
    ("0.33333", Fraction(1, 3), False),
    ("0.333334", Fraction(1, 3), False),
    ("333333", Fraction(333333), False),
    ("0.166667", Fraction(1, 6), True),
    ("0.166666", Fraction(1, 6), False),
    ("0.1234565", Fraction("0.12345645"), True),
    ("1.000000", Fraction("1.0000005"), True),
    ("1.000000", Fraction("0.9999995"), True),
    ("1.000000", Fraction("1.00000051"), False),
]


@pytest.mark.parametrize(("written", "exact", "rounds"), ROUNDINGS)
def test_a_decimal_of_six_digits_is_the_rounding_of_a_value(
    written: str, exact: Fraction, rounds: bool
) -> None:
    assert rounds_to(exact, decimal(written)) == rounds
    assert is_rounding(decimal(written), Rational(exact)) == rounds
    assert not is_rounding(decimal(written), Rational(exact, percent=True))
    assert is_precise(decimal(written)) or not rounds
