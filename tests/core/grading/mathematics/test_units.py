# ruff: noqa: RUF001 - units of other scripts are among them
"""Units of measurement, currencies and counted things: what they measure, and by which factor."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.mathematics.units import MeasurementUnit, currency, divided, unit_of
from pacore.core.grading.notation.tokens import Token, tokens
from pacore.core.grading.notation.vocabulary import counted, noun


def read(text: str, is_one: bool = False) -> tuple[str, Fraction] | None:
    """The name of the unit in a text, and its factor to the base unit."""
    found = unit_of([token._replace(is_text=True) for token in tokens(text)], is_one)
    return None if found is None else (found.name, found.scale)


MEASURES = [
    ("m", "m", 1),
    ("metre", "m", 1),
    ("meters", "m", 1),
    ("cm", "m", Fraction(1, 100)),
    ("km", "m", 1000),
    ("inches", "m", Fraction(127, 5000)),
    ("feet", "m", Fraction(381, 1250)),
    ("miles", "m", Fraction(201168, 125)),
    ("м", "m", 1),
    ("厘米", "m", Fraction(1, 100)),
    ("公里", "m", 1000),
    ("kg", "g", 1000),
    ("ounces", "g", Fraction(45359237, 1600000)),
    ("Hours", "s", 3600),
    ("days", "s", 86400),
    ("ms", "s", Fraction(1, 1000)),
    ("小时", "s", 3600),
    ("decades", "year", 10),
    ("ml", "L", Fraction(1, 1000)),
    ("cups", "gallon", Fraction(1, 16)),
    ("tbsp", "teaspoon", 3),
    ("cents", "dollar", Fraction(1, 100)),
    ("pence", "pound sterling", Fraction(1, 100)),
    ("quid", "pound sterling", 1),
    ("pounds", "pound", 1),
    ("lbs", "g", Fraction(45359237, 100000)),
    ("руб", "ruble", 1),
    ("元", "yuan", 1),
    ("個", "unit", 1),
    ("units", "unit", 1),
    ("kWh", None, 0),
    ("kJ", "joule", 1000),
    ("MB", "byte", 10**6),
    ("%", "percent", 1),
    ("‰", "per mille", 1),
    ("€", "euro", 1),
    ("th", "ordinal", 1),
    # powers, quotients and products
    ("cm^2", "m^2", Fraction(1, 10**4)),
    ("cm^{3}", "m^3", Fraction(1, 10**6)),
    ("square feet", "m^2", Fraction(381, 1250) ** 2),
    ("sq km", "m^2", 10**6),
    ("cubic meters", "m^3", 1),
    ("meters cubed", "m^3", 1),
    ("meters squared", "m^2", 1),
    ("cm^4", None, 0),
    ("m/s", "m s^-1", 1),
    ("km/h", "m s^-1", Fraction(5, 18)),
    ("km per hour", "m s^-1", Fraction(5, 18)),
    ("mph", "m s^-1", Fraction(1397, 3125)),
    ("m/s^2", "m s^-2", 1),
    ("dollars a day", "dollar s^-1", Fraction(1, 86400)),
    ("dollars per hour", "dollar s^-1", Fraction(1, 3600)),
    (r"\frac{m}{s}", "m s^-1", 1),
    (r"\frac{km}{hour}", "m s^-1", Fraction(5, 18)),
    ("m/m", "", 1),
    ("mph^2", None, 0),
    ("square mph", None, 0),
    ("(cm)", "m", Fraction(1, 100)),
    ("(square cm)", "m^2", Fraction(1, 10**4)),
    (r"^\circ C", "Celsius", 1),
    ("degrees Fahrenheit", "Fahrenheit", 1),
    ("degrees", "degree", 1),
    # counted things
    ("apples", "apple", 1),
    ("red apples", "apple", 1),
    ("red apples in total", "apple", 1),
    ("cups of tea", "cup of tea", 1),
    ("children", "child", 1),
    ("sheep", "sheep", 1),
    ("apple", None, 0),
    ("apples per day", "apple s^-1", Fraction(1, 86400)),
    ("in total", "unit", 1),
    ("left", "unit", 1),
    ("boxes", "box", 1),
    ("berries", "berry", 1),
    ("wolves", "wolf", 1),
    # anything else may change the number
    ("not", None, 0),
    ("million", None, 0),
    ("more apples", None, 0),
    ("apples not", None, 0),
    ("", None, 0),
    ("xyzzy", None, 0),
    ("/s", None, 0),
    ("m/", None, 0),
    ("m s", None, 0),
    ("()", None, 0),
    ("about", None, 0),
]


@pytest.mark.parametrize(("text", "name", "scale"), MEASURES)
def test_a_unit_has_a_name_and_a_factor(text: str, name: str | None, scale: int | Fraction) -> None:
    assert read(text) == (None if name is None else (name, Fraction(scale)))


@pytest.mark.parametrize("text", ["apple", "red apple", "cup of tea", "child"])
def test_one_thing_is_counted_in_the_singular(text: str) -> None:
    assert read(text) is None
    assert read(text, is_one=True) is not None


@pytest.mark.parametrize("letter", ["m", "g", "s", "h", "L", "N", "J", "W", "V"])
def test_a_letter_is_a_unit_only_in_a_text(letter: str) -> None:
    assert unit_of(tokens(letter)) is None
    assert unit_of(tokens(rf"\text{{{letter}}}")) is not None


CURRENCIES = [
    ("$5", "dollar", 1),
    ("US$5", "dollar", 2),
    ("€5", "euro", 1),
    ("EUR 5", "euro", 1),
    ("Rs. 5", "rupee", 2),
    ("Rs 5", "rupee", 1),
    ("£5", "pound sterling", 1),
    ("US 5", None, 0),
    ("5$", None, 0),
    ("CHF 5", None, 0),
    ("%5", None, 0),
    ("", None, 0),
]


@pytest.mark.parametrize(("text", "name", "length"), CURRENCIES)
def test_a_currency_may_begin_a_quantity(text: str, name: str | None, length: int) -> None:
    found = currency(tokens(text))
    assert (found and (found[0].name, found[1])) == (name and (name, length))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("per hour", "dollar s^-1"),
        ("a day", "dollar s^-1"),
        ("each", None),
        ("/kg", "dollar g^-1"),
        ("hour", None),
        ("per", None),
        ("per nonsense", None),
        ("an apple", "apple^-1 dollar"),
    ],
)
def test_an_amount_of_money_may_be_for_something(text: str, name: str | None) -> None:
    dollar = MeasurementUnit((("dollar", 1),))
    found = divided(dollar, [token._replace(is_text=True) for token in tokens(text)])
    assert (found and found.name) == name


LENGTHS = st.sampled_from(["m", "cm", "mm", "km", "feet", "inches", "yards", "miles"])
POWERS = st.integers(1, 3)


@given(LENGTHS, POWERS, LENGTHS, POWERS)
def test_factors_of_quotients_are_quotients_of_factors(
    over: str, power: int, under: str, other: int
) -> None:
    whole = read(f"{over}^{power} / {under}^{other}")
    one, two = read(f"{over}^{power}"), read(f"{under}^{other}")
    assert whole is not None and one is not None and two is not None
    assert whole[1] == one[1] / two[1]
    difference = power - other
    assert whole[0] == ("" if not difference else "m" if difference == 1 else f"m^{difference}")


@given(
    st.lists(
        st.sampled_from(["m", "per", "/", "^", "2", "apples", "square", "of", "(", ")", "{", "}"]),
        max_size=6,
    )
)
def test_no_sequence_of_words_fails(words: list[str]) -> None:
    found = unit_of([Token("word", word, is_text=True) for word in words])
    assert found is None or found.scale > 0


NOUNS = [
    ("apples", "apple"),
    ("apple", "apple"),
    ("boxes", "box"),
    ("berries", "berry"),
    ("people", "person"),
    ("mice", "mouse"),
    ("teeth", "tooth"),
    ("water", "water"),
    ("not", None),
    ("apples'", None),
    ("Apples", None),
    ("", None),
    ("s", None),
]


@pytest.mark.parametrize(("word", "one"), NOUNS)
def test_a_noun_has_its_singular(word: str, one: str | None) -> None:
    assert noun(word) == one


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("apples", "apple"),
        ("apple", None),
        ("green apples left over", "apple"),
        ("pairs of shoes", "pair of shoe"),
        ("of shoes", None),
        ("pairs of", None),
        ("remaining", ""),
        ("basketball games", "basketball game"),
    ],
)
def test_counted_things_are_named_without_their_qualities(words: str, name: str | None) -> None:
    assert counted(tuple(words.split()), is_one=False) == name
