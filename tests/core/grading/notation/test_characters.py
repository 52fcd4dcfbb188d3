# ruff: noqa: RUF001 - characters that look like others are what this file is about
"""Characters of mathematics and of other scripts in ASCII, as LaTeX."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.notation.characters import DASH, to_latex

WRITTEN = [
    ("2½π⁻¹", r"2\frac{1}{2}\pi ^{-1}"),
    ("x²", "x^{2}"),
    ("x²³", "x^{23}"),
    ("x₁₂", "x_{12}"),
    ("x₁²", "x_{1}^{2}"),
    ("√2", r"\sqrt{2}"),
    ("√ 12.5", r"\sqrt{12.5}"),
    ("√x", r"\sqrt x"),
    ("∛8", r"\sqrt[3]8"),
    ("⅓", r"\frac{1}{3}"),
    ("⅟5", r"\frac{1}{1}5"),
    ("5 − 3", "5 - 3"),
    ("5－3", "5-3"),
    ("1–2", f"1{DASH}2"),
    ("1—2", f"1{DASH}2"),
    ("3 × 4", r"3 \times  4"),
    ("3·4", r"3\cdot 4"),
    ("6÷2", r"6\div 2"),
    ("90°", r"90^\circ "),
    ("20℃", r"20^\circ\mathrm{C}"),
    ("1⁄2", "1/2"),
    ("16∶9", "16:9"),
    ("x′", "x'"),
    ("x″", "x''"),
    ("≤", r"\le "),
    ("⩽", r"\le "),
    ("A∪B", r"A\cup B"),
    ("x∈ℝ", r"x\in \mathbb{R}"),
    ("٧٠", "70"),
    ("७०", "70"),
    ("７０", "70"),
    ("1٫5", "1.5"),
    ("1٬000", "1,000"),
    ("1，2", "1, 2"),
    ("1、2", "1, 2"),
    ("𝟕", "7"),
    ("𝑥", "x"),
    ("ℓ", r"\ell "),
    ("µ", r"\mu "),
    ("α+β", r"\alpha +\beta "),
    ("7\u200b0", "70"),
    ("7\ufe0f", "7"),
    ("1\u00a0000", "1 000"),
    ("1\u202f000", "1 000"),
    ("⌊x⌋", r"\lfloor x\rfloor "),
    ("…", r"\ldots "),
    ("ﬁ", "fi"),
    ("①", "①"),
    ("不是 70", "不是 70"),
    ("é", "é"),
    ("😀", "😀"),
]


@pytest.mark.parametrize(("text", "latex"), WRITTEN)
def test_a_character_is_written_as_what_it_means(text: str, latex: str) -> None:
    assert to_latex(text) == latex


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_stays_as_it_is(text: str) -> None:
    assert to_latex(text) == text


DIGITS = [
    character for character in map(chr, range(0x110000)) if unicodedata.category(character) == "Nd"
]


@pytest.mark.parametrize("start", range(0, 10))
def test_digits_of_every_script_are_the_digit_they_are(start: int) -> None:
    of_script = [digit for digit in DIGITS if unicodedata.decimal(digit) == start]
    assert len(of_script) > 50
    assert to_latex("".join(of_script)) == str(start) * len(of_script)


@given(st.text())
def test_nothing_visible_is_left_out_and_nothing_is_translated_twice(text: str) -> None:
    """What is unknown stays, so that the grammar refuses it; only invisible characters go."""
    written = to_latex(text)
    assert to_latex(written) == written
    invisible = {"Cf", "Mn"}
    if any(unicodedata.category(character) not in invisible for character in text):
        assert written
