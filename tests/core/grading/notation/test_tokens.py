"""A text as tokens: nothing is left out, and each part says of which kind it is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.notation.splitting import (
    closes_last,
    depths,
    split_top,
    trimmed,
    with_round_brackets,
    without_double_brackets,
)
from pacore.core.grading.notation.tokens import Token, is_word, plain_text, tokens


def kinds(text: str) -> str:
    return " ".join(f"{token.kind}:{token.text}" for token in tokens(text))


LEXED = [
    ("7", "num:7"),
    ("-7", "op:- num:7"),
    ("x+1", "sym:x op:+ num:1"),
    ("2xy", "num:2 word:xy"),
    (r"\frac{1}{2}", r"cmd:\frac open:{ num:1 close:} open:{ num:2 close:}"),
    (r"\dfrac12", r"cmd:\frac num:12"),
    (r"a \le b", "sym:a rel:<= sym:b"),
    ("a <= b", "sym:a rel:<= sym:b"),
    ("a ≤ b", "sym:a rel:<= sym:b"),
    (r"a \neq b", "sym:a rel:!= sym:b"),
    (r"a \not= b", "sym:a rel:!= sym:b"),
    ("a != b", "sym:a rel:!= sym:b"),
    ("5! = 120", "num:5 op:! rel:= num:120"),
    ("2**3", "num:2 op:^ num:3"),
    (r"2 \cdot 3", "num:2 op:* num:3"),
    (r"2 \div 3", "num:2 op:/ num:3"),
    (r"\sin x", "fn:sin sym:x"),
    ("sin x", "fn:sin sym:x"),
    ("asin x", "fn:arcsin sym:x"),
    ("pi", r"sym:\pi"),
    ("Pi", "word:Pi"),
    ("1 or 2", "num:1 join:or num:2"),
    ("1 oder 2", "num:1 join:or num:2"),
    ("1 和 2", "num:1 join:and num:2"),
    ("OR", "word:OR"),
    (r"\text{OR}", "join:or"),
    ("50%", "num:50 sign:%"),
    (r"50\%", "num:50 sign:%"),
    ("50 percent", "num:50 sign:%"),
    ("minus 5", "op:- num:5"),
    ("negative 5", "op:- num:5"),
    ("5 negative", "num:5 word:negative"),
    ("four pm", "num:4 word:pm"),
    ("4 p.m.", "num:4 word:pm"),
    ("4 P. M.", "num:4 word:pm"),
    ("0.3(6)", "num:0.3(6)"),
    (r"0.\overline{6}", r"num:0.\overline{6}"),
    (r"0.\dot 3", r"num:0.\dot 3"),
    ("3e5", "num:3e5"),
    ("2e-3", "num:2e-3"),
    ("x + 2e-3", "sym:x op:+ other:2e-3"),
    ("2.5e-3 m", "num:2.5e-3 sym:m"),
    (r"\mathbb{R}", r"sym:\mathbb R"),
    (r"\mathbb R", r"sym:\mathbb R"),
    ("one hundred and eight", "num:108"),
    ("twenty-one", "num:21"),
    ("one and two", "num:1 join:and num:2"),
    ("hundred", "word:hundred"),
    ("1,234", "num:1234"),
    ("(1,234)", "open:( num:1 sep:, num:234 close:)"),
    (r"\varepsilon", r"sym:\epsilon"),
    (r"\unknown", r"other:\unknown"),
    ("@", "other:@"),
    ("...", "other:..."),
    (":=", "other::="),
    ("$5$", "num:5"),
    ("$5", "sign:$ num:5"),
    (r"{-}5", "op:- num:5"),
    (r"x^{-}", "sym:x op:^ open:{ op:- close:}"),
    (r"\text{cm}", "word:cm"),
    (r"5\text{ cm}", "num:5 word:cm"),
    (r"\vec{v}", r"cmd:\vec open:{ sym:v close:}"),
    (r"1\quad 2", r"num:1 sep:\quad num:2"),
    (r"1\quad", "num:1"),
    (r"x = 1\quad\text{or so}", "sym:x rel:= num:1 join:or word:so"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "found"), LEXED)
def test_a_text_is_split_into_tokens_of_a_kind(text: str, found: str) -> None:
    assert kinds(text) == found


def test_a_token_knows_whether_space_precedes_it_and_whether_it_is_in_a_text() -> None:
    two, x, metre = tokens(r"2 x\text{m}")
    assert not two.spaced and x.spaced and not x.is_text
    assert metre.is_text and two.value is not None and two.value.value == Fraction(2)


@given(st.text(max_size=40))
def test_any_text_is_split_and_only_numbers_have_values(text: str) -> None:
    for token in tokens(text):
        assert token.text and (token.value is not None) == (token.kind == "num")


WORDS = [
    ("xy", False),
    ("abc", False),
    ("abcd", True),
    ("Abc", True),
    ("AB", False),
    ("ABC", False),
    ("if", True),
    ("IF", True),
    ("not", True),
    ("éa", True),
    ("mas", True),
]


@pytest.mark.parametrize(("letters", "is_one"), WORDS)
def test_a_run_of_letters_is_a_word_if_long_titled_foreign_or_known(
    letters: str, is_one: bool
) -> None:
    assert is_word(Token("word", letters)) == is_one
    assert is_word(Token("word", letters, is_text=True))


TEXTS = [
    ("The Answer", "the answer"),
    ("ABC", "abc"),
    ("ABC = 7", "ABC = 7"),
    (r"x^{2}", "x ^ 2"),
    (r"x^{10+y}", "x ^ { 10 + y }"),
    ("1,234", "1234"),
    (r"\dfrac{1}{2}", r"\frac 1 2"),
    ("Paris = 7", "paris = 7"),
    (r"\{\}", r"\{ \}"),
]


@pytest.mark.parametrize(("text", "plain"), TEXTS)
def test_a_normalised_text_is_equal_for_equal_tokens(text: str, plain: str) -> None:
    assert plain_text(tokens(text)) == plain


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("(a)", [0, 1, 0]),
        ("((", [0, 1]),
        ("))", [0, 0]),
        ("a(b[c])d", [0, 0, 1, 1, 2, 1, 0, 0]),
        ("a)b(c", [0, 0, 0, 0, 1]),
    ],
)
def test_depths_count_open_brackets_also_where_they_do_not_match(
    text: str, counted: list[int]
) -> None:
    assert depths(tokens(text)) == counted


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1,2", ["1", "2"]),
        ("(1,2),3", ["( 1 , 2 )", "3"]),
        ("1,", ["1", ""]),
        ("", [""]),
        ("{1,2}", ["{ 1 , 2 }"]),
        ("1),2", ["1 )", "2"]),
    ],
)
def test_a_list_is_split_outside_of_brackets(text: str, parts: list[str]) -> None:
    pieces = split_top(tokens(text), lambda token: token.text == ",")
    assert [plain_text(piece) for piece in pieces] == parts


@given(st.lists(st.sampled_from(["(", ")", "[", "]", "1", ",", "x"]), max_size=15))
def test_split_parts_joined_again_are_the_whole(pieces: list[str]) -> None:
    found = tokens(" ".join(pieces))
    parts = split_top(found, lambda token: token.text == ",")
    joined = [token for part in parts for token in (*part, Token("sep", ","))][:-1]
    assert [token.text for token in joined] == [token.text for token in found]


@pytest.mark.parametrize(
    ("text", "closes"),
    [("(1)", True), ("(1)(2)", False), ("((1))", True), ("(1", False), ("1)", True), ("[1)", True)],
)
def test_a_bracket_closes_last_if_nothing_is_outside_of_it(text: str, closes: bool) -> None:
    assert closes_last(tokens(text)) == closes


TRIMMED = [
    ("the answer is 70", "70"),
    ("70.", "70"),
    ("70,", "70"),
    ("{70}", "70"),
    ("= 70", "70"),
    (r"\therefore 70", "70"),
    ("therefore, 70;", "70"),
    ("the value of x is 70", "x is 70"),
    ("answer", "answer"),
    ("the", "the"),
    ("equal to 70", "70"),
    ("to 70", "to 70"),
    ("7..", "7.."),
    ("{1}{2}", "{1}{2}"),
]


@pytest.mark.parametrize(("text", "left"), TRIMMED)
def test_words_that_announce_an_answer_are_trimmed_but_never_all_of_it(
    text: str, left: str
) -> None:
    assert plain_text(trimmed(tokens(text))) == plain_text(tokens(left))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("((1,2))", "(1,2)"),
        ("(((1,2)))", "(1,2)"),
        ("((1),(2))", "((1),(2))"),
        ("((1)", "((1)"),
        ("((1))", "(1)"),
    ],
)
def test_redundant_brackets_are_removed(text: str, left: str) -> None:
    assert plain_text(without_double_brackets(tokens(text))) == plain_text(tokens(left))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("]0,1[", "(0,1)"),
        ("]0,1]", "(0,1]"),
        ("[0,1[", "[0,1)"),
        ("[0,1]", "[0,1]"),
        ("(0,1)", "(0,1)"),
        ("[[", "[["),
        ("", ""),
    ],
)
def test_brackets_that_face_outwards_are_open_ends(text: str, left: str) -> None:
    assert plain_text(with_round_brackets(tokens(text))) == plain_text(tokens(left))
