"""A page in Markdown: real tables, in which every text reads as itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from markdown_it import MarkdownIt

from pacore.report.rendering.markup import to_markdown
from pacore.report.rendering.sheet import (
    ABSENT,
    COUNT,
    FIGURE,
    INTERVAL,
    POINTS,
    SHARE,
    TEXT,
    Facts,
    Format,
    Heading,
    Note,
    Passage,
    Sheet,
    SheetColumn,
    Table,
    cut,
    decimals,
    table,
    to_json,
)
from pacore.report.rendering.terminal import to_text

RENDERER = MarkdownIt("gfm-like", {"html": True, "linkify": False})


HOSTILE = "<img src=x> | **bold** [x](javascript:y) `code` ``` \x1b[31m"


@dataclass(frozen=True)
class Arm:
    name: str
    accuracy: float | None
    tokens: int


ARMS = table(
    [Arm("low", 0.25, 1200), Arm(HOSTILE, None, 3)],
    ("arm", TEXT, lambda arm: arm.name),
    ("accuracy", SHARE, lambda arm: arm.accuracy),
    ("tokens", COUNT, lambda arm: arm.tokens),
)


SHEET = Sheet(
    "a | title",
    [
        [Facts([("accuracy", "25.0 %"), ("", HOSTILE)])],
        [Heading("arms *all*"), ARMS, Note("- and 3 more", "faint")],
        [Passage(f"{HOSTILE}\n````\n# no heading")],
    ],
    [Note("first line")],
)


def test_a_page_in_markdown_has_headings_and_tables() -> None:
    html = RENDERER.render(to_markdown(SHEET))
    assert "<h2>a | title</h2>" in html and "<h3>arms *all*</h3>" in html
    assert html.count("<table>") == 2
    assert re.findall(r"<th[^>]*>(.*?)</th>", html) == ["", "", "arm", "accuracy", "tokens"]
    assert '<td style="text-align:right">1,200</td>' in html
    assert '<td style="text-align:right">' + ABSENT + "</td>" in html


def test_no_text_in_markdown_is_anything_but_text() -> None:
    html = RENDERER.render(to_markdown(SHEET))
    for tag in ("img", "a", "strong", "em", "h1", "ul", "li"):
        assert not re.search(rf"<{tag}[ >]", html), tag
    assert html.count("<pre>") == 1 and "# no heading\n</code></pre>" in html
    assert "\x1b" not in html


def test_a_terminal_shows_sections_apart_and_what_belongs_together_together() -> None:
    page = Sheet("title", [[Heading("a"), Note("b")], [Facts([("c", "d")])]], [Note("lead")])
    assert to_text(page) == "title\nlead\n\na\nb\n\nc  d"
    assert to_text(Sheet(None, [[Note("a")], [Note("b")]])) == "a\n\nb"


def test_a_table_that_has_no_room_becomes_a_record_a_row() -> None:
    columns = [SheetColumn(f"column {number}") for number in range(4)]
    wide = Table(columns, [["x" * 30] * 4], narrowest=30)
    assert len(to_text(Sheet(None, [[wide]]), 200).splitlines()) == 3
    narrow = to_text(Sheet(None, [[wide]]), 60).splitlines()
    assert narrow[:2] == ["row 1", f"column 0  {'x' * 30}"]
    never = Table(columns, wide.rows)
    assert len(to_text(Sheet(None, [[never]]), 60).splitlines()) == 3


def test_rows_that_have_no_room_as_lines_stand_side_by_side_if_nothing_is_cut() -> None:
    titles = [SheetColumn(f"column {number}") for number in range(4)]
    wide = Table(titles, [["x" * 20] * 4, ["y"] * 4], narrowest=30)
    assert to_text(Sheet(None, [[wide]]), 90).splitlines()[0].startswith("column 0")
    turned = to_text(Sheet(None, [[wide]]), 50).splitlines()
    assert turned[0].split() == ["row", "1", "row", "2"] and len(turned) == 6
    assert turned[2] == f"column 0  {'x' * 20}  y"
    assert to_text(Sheet(None, [[wide]]), 32).splitlines()[0] == "row 1"


def test_a_folded_column_keeps_every_character() -> None:
    text = "every word of this is kept, " * 5
    page = Sheet(
        None, [[Table([SheetColumn("n"), SheetColumn("text", is_folded=True)], [[1, text]])]]
    )
    lines = to_text(page, 40).splitlines()[2:]
    assert max(map(len, lines)) <= 40
    assert " ".join(line[3:].strip() for line in lines) == text.strip()


@pytest.mark.parametrize(
    ("form", "value", "written"),
    [
        (TEXT, None, ABSENT), (TEXT, 3, "3"), (FIGURE, 1234, "1234"), (COUNT, 1234, "1,234"),
        (COUNT, None, ABSENT), (SHARE, 0.125, "12.5 %"), (POINTS, -0.02, "-2.0 points"),
        (INTERVAL, (0.1, 0.25), "10.0 % to 25.0 %"), (INTERVAL, (None, None), ABSENT),
        (decimals(2), 1.005, "1.00"), (cut(4), "abcdef", "abc…"), (cut(4), None, ABSENT),
    ],
)  # fmt: skip
def test_a_value_is_written_as_its_format_says(form: Format, value: object, written: str) -> None:
    assert form.write(value) == written


def test_json_has_the_fields_of_records_and_digits_that_do_not_depend_on_chance() -> None:
    assert to_json([Arm("a", 1 / 3, 2)]) == (
        '[\n  {\n    "name": "a",\n    "accuracy": 0.333333333333,\n    "tokens": 2\n  }\n]'
    )
