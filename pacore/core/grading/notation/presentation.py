r"""Removes presentation: TeX commands for the appearance of a text that do not change its meaning.

A command is listed only if removing it, with its arguments as stated, changes no meaning. ``\cancel``,
``\overline`` and ``\not`` have a meaning, and an unknown command may have one: these are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pacore.core.grading.notation.vocabulary import names

SPACES = names(
    r"""
    \, \; \: \> \/ \enspace \enskip \thinspace \medspace \thickspace \hfill \hfil \vfill \hss \newline
    \par \indent \noindent \allowbreak \nobreak \nobreakspace \linebreak \nolinebreak \pagebreak
    \smallskip \medskip \bigskip \space \null \strut \mathstrut \ignorespaces
    """
) | {"\\ ", "\\\n", "\\\t"}

TIGHT = names(r"\! \negthinspace \negmedspace \negthickspace")
"""Negative space, which joins both sides."""

STYLES = names(
    r"""
    \displaystyle \textstyle \scriptstyle \scriptscriptstyle \rm \bf \it \sf \tt \sl \em \sc \tiny
    \scriptsize \footnotesize \small \normalsize \large \Large \LARGE \huge \Huge \boldmath
    \unboldmath \bfseries \mdseries \itshape \slshape \upshape \scshape \rmfamily \sffamily \ttfamily
    \normalfont \centering \raggedright \nonumber \notag \relax \protect \lefteqn \( \) \[ \]
    """
)
"""Switches: removed without an argument."""

SIZES = names(
    r"""
    \left \right \middle \big \Big \bigg \Bigg \bigl \Bigl \biggl \Biggl \bigr \Bigr \biggr \Biggr
    \bigm \Bigm \biggm \Biggm \limits \nolimits \displaylimits \mathord \mathop \mathbin \mathrel
    \mathopen \mathclose \mathpunct \mathinner
    """
)
"""Commands before a bracket or an operator, which is kept."""

WRAPPERS = names(
    r"""
    \mathbf \mathit \mathsf \mathtt \mathnormal \boldsymbol \bm \pmb \bold \underline \boxed \fbox
    \framebox \ensuremath \smash \uline \llap \rlap \mathclap \mathllap \mathrlap \clap \Aboxed
    """
)
"""Commands whose one argument is kept, in its braces."""

TEXTS = names(
    r"""
    \text \textrm \textbf \textit \textsf \texttt \textsl \textsc \textup \textmd \textnormal \emph
    \mbox \hbox \vbox \makebox \mathrm \mathup \operatorname \operatornamewithlimits \intertext
    \shortintertext
    """
)
"""Commands whose argument is text, which is kept."""

DROPPED = {
    command: int(count)
    for count, commands in (
        (1, r"\color \textcolor \colorbox \pagecolor \hspace \hspace* \vspace \vspace* \mspace"),
        (1, r"\phantom \hphantom \vphantom \label \tag \tag* \fontfamily"),
        (2, r"\fcolorbox \fontsize"),
        (3, r"\definecolor"),
    )
    for command in commands.split()
}
"""Commands removed with this many arguments: names of colours, lengths, invisible text."""

LENGTHS = names(r"\kern \mkern \hskip \mskip \vskip")

LAYOUTS = names(
    """
    aligned align align* alignat equation equation* gather gather* gathered split displaymath math
    multline multline* center flushleft flushright minipage eqnarray eqnarray*
    """
)
"""Environments that arrange lines; with one line they are removed."""

MOST_LAYOUTS = 8
"""Most nested environments."""

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|[{}]|\$\$?|[^\\{}$]+|\\", re.DOTALL)

_BRACKETED = re.compile(r"\s*\[[^\[\]]*\]")

_LENGTH = re.compile(r"\s*-?\s*[\d.]+\s*(?:pt|em|ex|mu|mm|cm|in|bp|pc|dd|cc|sp)\s?")

_ROW_SPACE = re.compile(r"\s*\[" + _LENGTH.pattern + r"\s*\]")

_SPACE = re.compile(r"\s*")

_MARKDOWN = ("**", "__", "*", "`")

_LAYOUT = re.compile(r"\\begin\s*\{([A-Za-z]+\*?)\}(?:\s*\{\d+\})?")


def bare(text: str) -> str:
    r"""A text in LaTeX without presentation: ``\color{red}{\mathbf 1}`` as ``{ 1}``.

    Text commands are kept, to distinguish words from symbols, except one whose content is a formula in
    dollars. Takes linear time.
    """
    text = _without_layout(_without_markdown(text.strip()))
    if "\\" not in text and "$" not in text:
        return text
    return "".join(_Stripper(text).pieces()).strip()


def _without_markdown(text: str) -> str:
    for mark in _MARKDOWN:
        inner = text[len(mark) : -len(mark)]
        is_marked = text.startswith(mark) and text.endswith(mark) and mark not in inner
        if is_marked and inner.strip():
            return _without_markdown(inner.strip())
    return text


def _without_layout(text: str) -> str:
    r"""The text without environments around all of it that arrange a single line."""
    for _ in range(MOST_LAYOUTS):
        found = _LAYOUT.match(text)
        if found is None or found[1] not in LAYOUTS:
            return text
        ending = f"\\end{{{found[1]}}}"
        inner = text[found.end() : -len(ending)].strip()
        line = inner.removesuffix("\\\\").rstrip()
        holds_another = "\\begin" in line
        if not text.endswith(ending) or ending in inner or ("\\\\" in line and not holds_another):
            return text
        text = line if holds_another else re.sub(r"(?<!\\)&", "", line)
    return text


class _Stripper:
    """One pass over a text, token by token; arguments end at the matching brace."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = _TOKEN.findall(text)
        self.partners = _partners(self.tokens)
        self.dollars = sum(token in ("$", "$$") for token in self.tokens)
        self.at = 0

    def pieces(self) -> Iterator[str]:
        is_tight = False
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            self.at += 1
            if token in TIGHT:
                is_tight = True
                continue
            piece = _HANDLERS[token](self, token) if token in _HANDLERS else token
            if is_tight:
                piece = piece.lstrip()
                is_tight = not piece
            if self.at < len(self.tokens) and self.tokens[self.at] in TIGHT:
                piece = piece.rstrip()
            yield piece

    def space(self, _: str) -> str:
        return " "

    def nothing(self, _: str) -> str:
        return ""

    def size(self, token: str) -> str:
        r"""Remove the command, of ``\left.`` with the bracket."""
        if token in ("\\left", "\\right", "\\middle") and self.at < len(self.tokens):
            after = self.tokens[self.at].lstrip()
            if after.startswith("."):
                self.tokens[self.at] = after[1:] or " "
        return ""

    def dollar(self, token: str) -> str:
        """Paired dollars enclose mathematics; a single one before a number is a currency sign."""
        after = self.tokens[self.at].lstrip() if self.at < len(self.tokens) else ""
        is_money = self.dollars % 2 and token == "$" and after[:1].isdigit()
        return "\\$" if is_money else " "

    def backslash(self, token: str) -> str:
        """A backslash at the end is a control space whose space was stripped."""
        return "" if self.at == len(self.tokens) else token

    def dropped(self, token: str) -> str:
        """A space for a command with its arguments: groups in braces, or single characters."""
        for _ in range(DROPPED[token]):
            self._cut(_BRACKETED)
            self._cut(_SPACE)
            if self.at < len(self.tokens):
                partner = self.partners.get(self.at)
                if partner is not None:
                    self.at = partner + 1
                elif self.tokens[self.at][0] not in "\\{}$":
                    self.tokens[self.at] = self.tokens[self.at][1:] or " "
        return " "

    def row_end(self, token: str) -> str:
        r"""``\\\\[4pt]`` without the space after the row."""
        self._cut(_ROW_SPACE)
        return token

    def length(self, _: str) -> str:
        self._cut(_LENGTH)
        return " "

    def text(self, token: str) -> str:
        r"""``\text{$x$}`` is ``{x}``; any other text stays."""
        partner = self.partners.get(self.at)
        inside = [] if partner is None else self.tokens[self.at + 1 : partner]
        held = [piece for piece in inside if piece.strip()]
        if len(held) > 2 and held[0] == held[-1] == "$" and held.count("$") == 2:
            return ""
        return token

    def _cut(self, pattern: re.Pattern[str]) -> None:
        """Remove a match of a pattern at the start of the following plain text."""
        if self.at >= len(self.tokens) or self.tokens[self.at][0] in "\\{}$":
            return
        found = pattern.match(self.tokens[self.at])
        if found is None:
            return
        rest = self.tokens[self.at][found.end() :]
        if rest:
            self.tokens[self.at] = rest
        else:
            self.at += 1


_HANDLERS: dict[str, Callable[[_Stripper, str], str]] = {
    **dict.fromkeys(SPACES | STYLES, _Stripper.space),
    **dict.fromkeys(WRAPPERS, _Stripper.nothing),
    **dict.fromkeys(SIZES, _Stripper.size),
    **dict.fromkeys(TEXTS, _Stripper.text),
    **dict.fromkeys(DROPPED, _Stripper.dropped),
    **dict.fromkeys(LENGTHS, _Stripper.length),
    "$": _Stripper.dollar,
    "$$": _Stripper.dollar,
    "\\": _Stripper.backslash,
    "\\\\": _Stripper.row_end,
}


def _partners(tokens: list[str]) -> dict[int, int]:
    """The position of the matching closing brace of each opening one that has one."""
    open_at: list[int] = []
    partners = {}
    for place, token in enumerate(tokens):
        if token == "{":
            open_at.append(place)
        elif token == "}" and open_at:
            partners[open_at.pop()] = place
    return partners
