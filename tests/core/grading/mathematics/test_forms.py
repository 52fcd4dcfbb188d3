# ruff: noqa: RUF001 - signs of other scripts are among the answers
"""The form that an answer is read as: values, points, sets, intervals, equations, ratios, times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.mathematics.form import Form, clock_minutes
from pacore.core.grading.mathematics.forms import MAX_NESTING, lone_name, read_form
from pacore.core.grading.notation.tokens import tokens


def sketch(form: Form) -> str:
    """A form in a line: its kind, its brackets, its name, and its parts."""
    if form.kind == "value":
        return f"value{f' in {form.unit.name}' if form.unit else ''}"
    ends = f" {form.ends}" if form.ends else ""
    symbol = f" of {form.symbol}" if form.symbol else ""
    parts = f"[{', '.join(map(sketch, form.parts))}]" if form.parts else ""
    return f"{form.kind}{ends}{symbol}{parts}"


FORMS = [
    ("70", "value"),
    ("-70", "value"),
    (r"\frac{1}{2}", "value"),
    ("x^2+1", "value"),
    ("70 cm", "value in m"),
    ("$70", "value in dollar"),
    ("70%", "value in percent"),
    (r"90^\circ", "value in degree"),
    ("5 feet 3 inches", "value in m"),
    ("1 hour 30 minutes", "value in s"),
    ("1 hour 120 minutes", "text"),
    ("2.5 million", "value"),
    ("1, 2", "list[value, value]"),
    ("1 or 2", "list[value, value]"),
    ("1 and 2", "list[value, value]"),
    ("1; 2; 3", "list[value, value, value]"),
    ("1,", "value"),
    (", 1", "text"),
    ("1,,2", "text"),
    (r"\{1, 2\}", "list {}[value, value]"),
    (r"\{1, 1, 2\}", "list {}[value, value]"),
    (r"\{5\}", "list {}[value]"),
    (r"\{\}", "list {}"),
    (r"\emptyset", "list {}"),
    ("no solution", "list {}"),
    ("none", "list {}"),
    (r"\pm 2", "list[value, value]"),
    (r"1 \pm \sqrt{2}", "list[value, value]"),
    ("(1, 2)", "ordered ()[value, value]"),
    ("[0, 1)", "ordered [)[value, value]"),
    ("]0, 1[", "ordered ()[value, value]"),
    ("((1, 2))", "ordered ()[value, value]"),
    (r"\langle 1, 2 \rangle", "ordered ()[value, value]"),
    ("(5)", "value"),
    ("[5]", "text"),
    ("(1, (2, 3))", "ordered ()[value, ordered ()[value, value]]"),
    ("(1,2), (3,4)", "list[ordered ()[value, value], ordered ()[value, value]]"),
    ("x > 3", "ordered () of x[value, value]"),
    (r"x \ge 3", "ordered [) of x[value, value]"),
    ("3 < x", "ordered () of x[value, value]"),
    (r"1 < x \le 2", "ordered (] of x[value, value]"),
    (r"2 \ge x > 1", "ordered (] of x[value, value]"),
    ("|x| < 2", "ordered () of x[value, value]"),
    ("|x| > 2", "list[ordered () of x[value, value], ordered () of x[value, value]]"),
    (r"x \ne 2", "list[ordered () of x[value, value], ordered () of x[value, value]]"),
    ("x > 1 and x < 5", "ordered () of x[value, value]"),
    ("x > 5 and x < 1", "text"),
    ("x > 1 or x < 0", "list[ordered () of x[value, value], ordered () of x[value, value]]"),
    ("1 < x > 2", "text"),
    ("x+1 > 3", "relation <[value, value]"),
    ("x >", "text"),
    (r"x \in \{1, 2\}", "list {}[value, value]"),
    (r"x \in (0, 1)", "ordered ()[value, value]"),
    (r"x \in \mathbb{R}", "ordered ()[value, value]"),
    ("all real numbers", "ordered ()[value, value]"),
    (r"\{x : x > 3\}", "ordered () of x[value, value]"),
    (r"\{x \mid x > 3\}", "ordered () of x[value, value]"),
    (r"\{y : x > 3\}", "text"),
    (r"(-\infty, 2) \cup (3, \infty)", "list[ordered ()[value, value], ordered ()[value, value]]"),
    (r"1 \cup 2", "text"),
    ("4:30 p.m.", "time"),
    ("4 pm", "time"),
    ("12 am", "time"),
    ("13:00 pm", "ratio[value, value]"),
    ("4:60 pm", "ratio[value, value]"),
    ("16:30", "ratio[value, value]"),
    ("1:2:3", "ratio[value, value, value]"),
    ("1:", "text"),
    ("x = 5", "equation of x[value, value]"),
    ("5 = x", "equation of x[value, value]"),
    ("x = y = 5", "equation of x[value, value, value]"),
    ("y = 2x + 1", "equation of y[value, value]"),
    ("x^2 = 4", "equation[value, value]"),
    ("f(x) = 2x", "equation of f ( x )[value, value]"),
    ("x = (1, 2)", "ordered ()[value, value]"),
    ("x = 1, 2", "list[equation of x[value, value], value]"),
    ("(x, y) = (1, 2)", "ordered ()[value, value]"),
    ("(y, x) = (1, 2)", "text"),
    ("x =", "text"),
    ("= 5", "value"),
    ("70 is the answer", "value"),
    ("Paris = 7", "text"),
    ("1203_4", "based of 4"),
    ("1203 base 4", "based of 4"),
    ("(2F)_{16}", "based of 16"),
    ("1203_{3}", "text"),
    (r"1203_{\text{four}}", "based of 4"),
    (r"\frac13 \approx 0.333", "approximation[value, value]"),
    (r"\approx 0.333", "text"),
    (r"1 \approx 2 \approx 3", "text"),
    (
        r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        "matrix[ordered[value, value], ordered[value, value]]",
    ),
    (r"2\begin{pmatrix}1\\2\end{pmatrix}", "matrix[ordered[value], ordered[value]]"),
    (r"\begin{cases}1\\2\end{cases}", "text"),
    ("", "text"),
    ("Paris", "text"),
    ("about 70", "text"),
    ("70?", "text"),
    ("3 4", "text"),
    ("1/2x", "text"),
    ("70 or so", "list[value, value]"),
    (r"\boxed{70}", "value"),
    ("**70**", "value"),
    ("the answer is 70.", "value"),
    ("x is 70", "equation of x[value, value]"),
    ("area = 70 cm^2", "equation of area[text, value in m^2]"),
]


@pytest.mark.parametrize(("text", "shape"), FORMS)
def test_an_answer_is_read_as_a_form(text: str, shape: str) -> None:
    assert sketch(read_form(text)) == shape


def test_what_is_nested_too_deeply_is_a_text_with_the_reason() -> None:
    deep = "(1, " * (MAX_NESTING + 1) + "2" + ")" * (MAX_NESTING + 1)
    found = read_form(deep)
    assert (found.kind, found.why) == (
        "text",
        f"more than {MAX_NESTING} brackets within each other",
    )
    assert read_form("-" * 200_000 + "1").kind == "text"


REASONS = [
    ("about 70", "'about'"),
    ("3 4", "a number right after '3'"),
    ("1/2x", "all of the denominator"),
    ("5!!", "a double factorial"),
    ("1–2", "which may be a range"),
    ("1,,2", "a list with an empty item"),
    (r"1 \cup 2", "a union with a part that is no set"),
    ("[5]", "brackets [ ] around one value"),
    ("1:", "a colon with an empty side"),
    ("x = = 5", "an equals sign with an empty side"),
    ("x > 5 and x < 1", "inequalities that are all to hold"),
    (r"2\frac{3}{2}", "greater than one"),
    (r"\sin^{2", ""),
    (r"\max 3", "without brackets"),
    ("--5", "two signs in a row"),
    ("007 + 1", "begins with zero"),
    (r"\int_0^1 x", "without its variable"),
]


@pytest.mark.parametrize(("text", "reason"), REASONS)
def test_what_cannot_be_read_says_why(text: str, reason: str) -> None:
    found = read_form(text)
    assert found.kind == "text"
    assert found.why and reason in found.why


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("16:30", 990),
        ("0:00", 0),
        ("23:59", 1439),
        ("24:00", None),
        ("16:60", None),
        ("16:3", None),
        ("1:2:3", None),
        ("1630", None),
        ("a:30", None),
    ],
)
def test_a_ratio_may_be_a_time_of_day(text: str, minutes: int | None) -> None:
    assert clock_minutes(read_form(text)) == minutes


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x", "x"),
        ("f(2)", "f ( 2 )"),
        ("ABC", "abc"),
        (r"\angle ABC", r"\angle ABC"),
        ("area", "area"),
        ("x+1", None),
        ("5", None),
        ("not", None),
        ("m(x)", "m ( x )"),
        ("x(2)", None),
        ("[ABC]", "[ ABC ]"),
        ("P(A or B)", "P ( A or B )"),
        ("e", "e"),
        (r"\pi", None),
        ("Paris", None),
        ("ABCDE", None),
    ],
)
def test_a_name_is_that_of_an_unknown_or_a_quantity(text: str, name: str | None) -> None:
    assert lone_name(tokens(text)) == name


@given(st.text("0123456789+-*/^(){}[]=<>,:.|\\ xyfracsqrt{}&%$", max_size=40))
def test_any_text_has_a_form_and_the_same_one_again(text: str) -> None:
    found = read_form(text)
    assert found == read_form(text)
    assert found.kind != "text" or found.why


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=6))
def test_a_list_has_its_items_in_any_brackets(values: list[int]) -> None:
    inner = ", ".join(map(str, values))
    plain, point = read_form(inner), read_form(f"({inner})")
    assert (plain.kind, point.kind) == ("list", "ordered")
    assert [part.text for part in plain.parts] == [part.text for part in point.parts]
    assert len(read_form(rf"\{{{inner}\}}").parts) == len(set(values))
