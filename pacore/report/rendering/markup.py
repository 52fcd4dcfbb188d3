"""A page as markup: Markdown for Prefect's pages, HTML for notebooks, LaTeX for papers.

Every text reads as itself, whoever wrote it: nothing in it is a link, a tag, a command or an image.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable, Mapping, Sequence

from pacore.report.rendering.sheet import Facts, Heading, Note, Part, Passage, Sheet, Table
from pacore.text import as_markdown, visible, visible_lines


def _parts(sheet: Sheet) -> list[Part]:
    return [*sheet.lead, *(part for section in sheet.sections for part in section)]


def to_markdown(sheet: Sheet) -> str:
    """A page in Markdown, with tables as GitHub has them."""
    title = [] if sheet.title is None else [f"## {as_markdown(sheet.title)}"]
    return "\n\n".join([*title, *map(_markdown, _parts(sheet))]) + "\n"


def _markdown(part: Part) -> str:
    match part:
        case Table():
            titles = [column.title for column in part.columns]
            rules = ["---:" if column.format.is_number else "---" for column in part.columns]
            return _markdown_rows([titles, *part.cells], rules)
        case Facts():
            return _markdown_rows([("", ""), *part.pairs], ["---", "---"])
        case Heading():
            return f"### {as_markdown(part.text)}"
        case Note():
            return as_markdown(part.text)
        case Passage():
            # Longer than any fence in the text, so that nothing in it ends the block.
            fence = "`" * (3 + max(map(len, re.findall("`+", part.text)), default=0))
            return "\n".join([fence, visible_lines(part.text), fence])


def _markdown_rows(rows: Sequence[Sequence[str]], rules: Sequence[str]) -> str:
    head, *body = [[as_markdown(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rules, *body))


def to_html(sheet: Sheet) -> str:
    """A page as a fragment of HTML, without styles of its own but for the alignment of numbers."""
    title = [] if sheet.title is None else [f"<h3>{_html(sheet.title)}</h3>"]
    return "\n".join(["<div>", *title, *map(_html_part, _parts(sheet)), "</div>"]) + "\n"


def _html_part(part: Part) -> str:
    match part:
        case Table():
            ends = [column.format.is_number for column in part.columns]
            head = _html_row([column.title for column in part.columns], ends, "th")
            body = "\n".join(_html_row(cells, ends, "td") for cells in part.cells)
            return f"<table>\n<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        case Facts():
            rows = "\n".join(
                f'<tr><th style="text-align: left">{_html(label)}</th>'
                f'<td style="text-align: left">{_html(value)}</td></tr>'
                for label, value in part.pairs
            )
            return f"<table>\n<tbody>\n{rows}\n</tbody>\n</table>"
        case Heading():
            return f"<h4>{_html(part.text)}</h4>"
        case Note():
            return f"<p>{_html(part.text)}</p>"
        case Passage():
            return f"<pre>{html.escape(visible_lines(part.text))}</pre>"


def _html_row(cells: Sequence[str], is_number: Sequence[bool], tag: str) -> str:
    written = "".join(
        f'<{tag} style="text-align: {"right" if ends else "left"}">{_html(cell)}</{tag}>'
        for cell, ends in zip(cells, is_number, strict=True)
    )
    return f"<tr>{written}</tr>"


def _html(text: str) -> str:
    return html.escape(visible(text))


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "[": "{[}", "]": "{]}", "*": "{*}", "`": r"\textasciigrave{}",
    "\N{EN DASH}": "--", "·": r"\textperiodcentered{}", "→": r"$\rightarrow$", "≤": r"$\leq$",
    "\N{MULTIPLICATION SIGN}": r"$\times$", "\N{MINUS SIGN}": "$-$",
    "…": r"\ldots{}", "●": r"\textbullet{}", "≈": r"$\approx$", "≥": r"$\geq$", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip
"""Characters that LaTeX takes for commands, or that its usual fonts lack, and what prints them.

A bracket or an asterisk at the beginning of a row would belong to the end of the row before it.
"""

_LIGATURES = re.compile(r"[-,'!?](?=[-,'`])")
"""Characters that LaTeX joins with the next one to another: two hyphens to a dash."""

_LABEL_CHARACTERS = 60


def to_latex_tables(sheet: Sheet) -> str:
    r"""A page as LaTeX for the body of a document: each table is a float with a caption and a label, with
    the rules of the package ``booktabs``.

    The title of the page is in each caption; where there is no table it is a heading. Labels are made
    of captions, ``tab:run-low-accuracy-by-grading``: equal pages have equal ones. ``\textquotedbl`` needs
    the font encoding T1.
    """
    parts = _parts(sheet)
    has_tables = any(isinstance(part, Table | Facts) for part in parts)
    written = []
    if sheet.title is not None and not has_tables:
        written.append(rf"\paragraph{{{_latex(sheet.title)}}}")
    labels: set[str] = set()
    heading = ""
    for place, part in enumerate(parts):
        if isinstance(part, Table | Facts):
            caption = part.caption or heading or _CAPTIONS[type(part)]
            label = _label(sheet.title, caption, labels)
            labels.add(label)
            written.append(_float(part, _sentences(caption, sheet.title), label))
        elif isinstance(part, Heading):
            heading = part.text
            # It is the caption of a table that follows.
            if not isinstance(next(iter(parts[place + 1 :]), None), Table | Facts):
                written.append(rf"\paragraph{{{_latex(part.text)}}}")
        else:
            written.append(_latex_text(part))
    return "\n\n".join(written) + "\n"


_CAPTIONS: dict[type[Part], str] = {Table: "results", Facts: "summary"}


def _sentences(*texts: str | None) -> str:
    return " ".join(f"{text[:1].upper()}{text[1:].rstrip('.')}." for text in texts if text)


def _label(title: str | None, caption: str, taken: set[str]) -> str:
    """A label of letters, digits and hyphens: what the page is of, and what the table shows."""
    of = (title or "").partition(" · ")[0]
    words = re.sub("[^a-z0-9]+", "-", f"{of} {caption}".lower()).strip("-")
    if len(words) > _LABEL_CHARACTERS:
        words = words[:_LABEL_CHARACTERS].rpartition("-")[0] or words[:_LABEL_CHARACTERS]
    label = words or "table"
    if label in taken:
        label = next(f"{label}-{n}" for n in itertools.count(2) if f"{label}-{n}" not in taken)
    return label


def _float(part: Table | Facts, caption: str, label: str) -> str:
    match part:
        case Table():
            ends = "".join("r" if column.format.is_number else "l" for column in part.columns)
            head = _latex_row([column.title for column in part.columns])
            made = _tabular(ends, [head, r"\midrule", *map(_latex_row, part.cells)])
        case Facts():
            made = _tabular("lp{0.7\\linewidth}", [_latex_row(pair) for pair in part.pairs])
    said = rf"\caption{{{_latex(caption)}}}"
    named = rf"\label{{tab:{label}}}"
    return "\n".join([r"\begin{table}[htbp]", r"\centering", said, named, made, r"\end{table}"])


def _latex_text(part: Note | Passage) -> str:
    match part:
        case Note():
            return _latex(part.text)
        case Passage():
            lines = visible_lines(part.text).split("\n")
            return "\n".join(
                [r"\begin{quote}", *(rf"{_latex(line)}\\" for line in lines), r"\end{quote}"]
            )


def _tabular(columns: str, lines: Sequence[str]) -> str:
    begin, end = rf"\begin{{tabular}}{{{columns}}}", r"\end{tabular}"
    return "\n".join([begin, r"\toprule", *lines, r"\bottomrule", end])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_latex, cells)) + r" \\"


def _latex(text: str) -> str:
    apart = _LIGATURES.sub(lambda found: f"{found[0]}\0", visible(text))
    indent = r"\quad " if text.startswith("  ") else ""
    written = "".join(_LATEX.get(character, character) for character in apart.lstrip())
    return indent + written.replace("\0", "{}")


MARKUP: Mapping[str, Callable[[Sheet], str]] = {
    "markdown": to_markdown,
    "html": to_html,
    "latex": to_latex_tables,
}
"""What writes a page, by the name of the form."""
