"""Presentation is removed; every command that may have a meaning stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.notation.presentation import bare

REMOVED = [
    (r"\color{red}{7}", "{7}"),
    (r"\textcolor{blue}7", "7"),
    (r"\color[rgb]{1,0,0} 7", "7"),
    (r"\fcolorbox{red}{blue}{7}", "{7}"),
    (r"\mathbf{7}", "{7}"),
    (r"\mathbf 7", "7"),
    (r"\boxed{7}", "{7}"),
    (r"\displaystyle 7", "7"),
    (r"{\bf 7}", "{  7}"),
    (r"7\,", "7"),
    (r"1\,000", "1 000"),
    (r"7\!8", "78"),
    (r"7 \! 8", "78"),
    (r"\left(7\right)", "(7)"),
    (r"\left.7\right|", "7|"),
    (r"\bigl[7\bigr]", "[7]"),
    (r"\phantom{0}7", "7"),
    (r"7\label{eq:1}", "7"),
    (r"7\tag{1}", "7"),
    (r"7\hspace{2cm}", "7"),
    (r"7\hspace*{2cm}8", "7 8"),
    (r"7\kern 3pt8", "7 8"),
    (r"7\kern-.5em 8", "7 8"),
    (r"\mskip 3mu 7", "7"),
    ("$7$", "7"),
    ("$$7$$", "7"),
    (r"\[7\]", "7"),
    (r"\(7\)", "7"),
    ("$5", r"\$5"),
    ("$5 and $6$", r"\$5 and \$6"),
    ("**7**", "7"),
    ("*7*", "7"),
    ("__7__", "7"),
    ("`7`", "7"),
    ("***7***", "7"),
    ("**7** or **8**", "**7** or **8**"),
    ("****", "****"),
    (r"\text{$x$}", "{ x }"),
    (r"\text{x}", r"\text{x}"),
    (r"\text{$x$ or $y$}", r"\text{ x  or  y }"),
    (r"\begin{align*}7\end{align*}", "7"),
    (r"\begin{align}x &= 7\end{align}", "x = 7"),
    (r"\begin{gather}\begin{split}7\end{split}\end{gather}", "7"),
    (r"\begin{minipage}{3}7\end{minipage}", "7"),
    (r"1\\[4pt]2", r"1\\2"),
    (r"1\\[2]2", r"1\\[2]2"),
    (r"\underline{7}", "{7}"),
    ("7\\", "7"),
]


@pytest.mark.parametrize(("text", "left"), REMOVED)
def test_what_only_looks_is_removed(text: str, left: str) -> None:
    assert bare(text) == left


KEPT = [
    r"\cancel{7}",
    r"\overline{7}",
    r"\not 7",
    r"\frac{1}{2}",
    r"\unknown{7}",
    r"\sqrt{2}",
    r"\bar{x}",
    r"\sout{7}",
    r"a\$b",
    r"\begin{pmatrix}1\\2\end{pmatrix}",
    r"\begin{cases}1\\2\end{cases}",
    r"\begin{align}1\\2\end{align}",
    r"7 \neq 8",
    "7 * 8",
    "2*3*4",
    "a_b",
    "7!",
    "x^{*}",
    "",
    "~70",
    "plain words",
]


@pytest.mark.parametrize("text", KEPT)
def test_what_may_have_a_meaning_stays(text: str) -> None:
    assert bare(text) == text


PIECES = st.sampled_from(
    [
        *"{}$[]() 7x.",
        r"\color",
        r"\text",
        r"\left",
        r"\!",
        r"\,",
        r"\\",
        r"\kern",
        r"\begin{align}",
        r"\end{align}",
        "3pt",
        "**",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_text_however_broken_loses_no_more_than_presentation(text: str) -> None:
    """Digits outside of arguments of colours and lengths stay in their order."""
    left = bare(text)
    removes_arguments = any(name in text for name in (r"\color", r"\kern", "3pt", r"\begin"))
    if not removes_arguments:
        assert [c for c in left if c in "7x"] == [c for c in text if c in "7x"]
    assert left == left.strip() or not left.strip("\n ")


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        "}",
        "$",
        r"\color{",
        r"\text{$",
        r"\left",
        r"\begin{align}",
        r"\kern",
        "**",
        r"\!",
        "{}",
    ],
)
def test_a_long_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    started = time.process_time()
    bare(piece * 20_000)
    assert time.process_time() - started < 5
