r"""Splits a text into tokens, each of a kind, without leaving out any part.

A part without a meaning is a token of kind ``other``, so that no parser ignores it. The content of text
commands (``\text{…}``) is marked (``is_text``), presentation is removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

from pacore.core.grading.mathematics import number
from pacore.core.grading.mathematics.number import Rational
from pacore.core.grading.notation.characters import DASH, to_latex
from pacore.core.grading.notation.presentation import TEXTS, bare
from pacore.core.grading.notation.vocabulary import SHORT_WORDS, names

TokenKind = Literal[
    "num", "sym", "word", "fn", "op", "rel", "open", "close", "bar", "sep", "join", "cmd", "sign", "other"
]  # fmt: skip

FUNCTIONS = names(
    """sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh coth asin acos atan log ln lg exp
    sqrt max min gcd lcm mod abs floor ceil arcsec arccsc arsinh arcosh artanh cis"""
)


class Token(NamedTuple):
    """A token: ``text`` is its normalised text; ``spaced``: white space precedes it; ``is_text``: it is in
    a text command. Only a number has a ``value``.
    """

    kind: TokenKind
    text: str
    spaced: bool = False
    is_text: bool = False
    value: Rational | None = None


ACCENTS = (
    "vec",
    "hat",
    "tilde",
    "widehat",
    "widetilde",
    "overrightarrow",
    "ddot",
    "overline",
    "bar",
    "dot",
)
"""Accents, which make another symbol of a symbol."""

LONGEST_PRODUCT = 3
"""Most letters in a run that may be a product of symbols; more are a word."""


def _table(rows: str) -> dict[str, tuple[TokenKind, str]]:
    """Reads a table of kinds and tokens: each a normalised text, with other notations after tildes."""
    found: dict[str, tuple[TokenKind, str]] = {}
    for row in rows.strip().splitlines():
        kind, *groups = row.split()
        for group in groups:
            spelled, *others = group.split("~")
            found |= dict.fromkeys((spelled, *others), (_KINDS[kind], spelled))
    return found


_KINDS: dict[str, TokenKind] = {kind: kind for kind in get_args(TokenKind)}

_MEANINGS = _table(
    r"""
    sym \alpha \beta \gamma \delta \epsilon~\varepsilon \zeta \eta \theta~\vartheta \iota
    sym \kappa~\varkappa \lambda \mu \nu \xi \pi~\varpi \rho~\varrho \sigma~\varsigma \tau \upsilon
    sym \phi~\varphi \chi \psi \omega \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi
    sym \Omega \ell \hbar \infty \emptyset~\varnothing \imath \jmath \aleph \partial \nabla \omicron
    rel =~== <~\lt >~\gt <=~\le~\leq~\leqslant~\leqq >=~\ge~\geq~\geqslant~\geqq !=~\ne~\neq
    rel \in \equiv
    op + - ^~** _ ! ' ±~\pm ∓~\mp *~\cdot~\times~\ast /~\div
    open (~\lparen [~\lbrack \{~\lbrace { <~\langle \lfloor \lceil
    close )~\rparen ]~\rbrack \}~\rbrace } >~\rangle \rfloor \rceil
    bar |~\vert~\lvert~\rvert~\mid
    sep , ; :~\colon & \\~\cr \quad~\qquad
    join or~\lor~\vee and~\land~\wedge cup~\cup~\bigcup
    sign %~\% ‰~\permille $~\$ €~\euro £~\pounds ¥ ₹ ₩ ₽
    cmd \frac~\dfrac~\tfrac~\cfrac~\nicefrac~\sfrac~\flatfrac
    cmd \binom~\dbinom~\tbinom \sqrt \over \choose \sum \prod \int \lim
    cmd \begin \end \pmod \bmod~\mod \circ \prime \angle~\measuredangle \triangle \to~\rightarrow
    cmd \therefore~=>~\Rightarrow~\implies~\Longrightarrow \setminus~\backslash
    """
)


# One sign may have two kinds: which of them it is, its spelling in LaTeX says.
_MEANINGS |= {"<": ("rel", "<"), ">": ("rel", ">"), DASH: ("op", DASH)}


_MEANINGS |= {f"\\{name}": ("fn", name) for name in FUNCTIONS - {"sqrt", "mod"}}


_MEANINGS |= {f"\\{name}": ("cmd", f"\\{name}") for name in ACCENTS}


_INVERSES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}

_WORDS: dict[str, tuple[TokenKind, str]] = {
    **{name: ("fn", _INVERSES.get(name, name)) for name in FUNCTIONS - {"sqrt", "mod"}},
    "sqrt": ("cmd", "\\sqrt"), "pi": ("sym", "\\pi"), "or": ("join", "or"), "and": ("join", "and"),
    "mod": ("cmd", "\\bmod"), "infinity": ("sym", "\\infty"), "therefore": ("cmd", "\\therefore"),
    **dict.fromkeys(names("oder ou или 或 或者 または 또는"), ("join", "or")),
    **dict.fromkeys(names("und et и 和 と 및"), ("join", "and")),
    "percent": ("sign", "%"), "minus": ("op", "-"),
}  # fmt: skip

_LEX = re.compile(
    r"""(?P<space>(?:\s|(?<=[\w)}\].,%!])~(?=[^\s~])|(?<=\{)~(?=[A-Za-z]))+)
    |(?P<again>(?P<once>\d*\.\d*)(?:\\(?:overline|bar|dot)\s*(?:\{\s*(?P<long>\d+)\s*\}|(?P<short>\d))
        |\((?P<round>\d+)\)))
    |(?P<num>(?:\d+(?:\.\d+)?|\.\d+)(?P<power>[eE][+-]?\d{1,4}(?![\d.A-Za-z^_!]))?)
    |(?P<font>(?P<style>\\math(?:bb|cal|frak|scr))\s*(?:\{\s*[A-Za-z]\s*\}|[A-Za-z]))
    |(?P<cmd>\\(?:[A-Za-z]+\*?|.))
    |(?P<half>[AaPp]\.\s?[Mm]\b\.?)
    |(?P<letters>[^\W\d_]+)
    |(?P<op>\*\*|(?<![\w)}\]])!=|<=|>=|==|:=|->|=>|\.\.\.|.)""",
    re.VERBOSE | re.DOTALL,
)

_LONE_SIGN = re.compile(r"(?<![A-Za-z^_}\\])\{\s*([-+=])\s*\}(?!\s*\{)")
"""An operator in braces for its spacing: ``{-}5``."""

_NOT_EQUAL = re.compile(r"\\not\s*=")


def tokens(text: str) -> list[Token]:
    """The tokens of a text, in order."""
    written = _NOT_EQUAL.sub(r"\\ne ", bare(to_latex(text)))
    written = number.join_thousands(_LONE_SIGN.sub(r"\1", written))
    found = list(_lex(written))
    if len(found) > 1 and found[0].text.lower() == "negative":
        found[0] = Token("op", "-")
    return _without_gaps(_with_number_words(found))


def _lex(text: str) -> Iterator[Token]:
    spaced = is_next_text = False
    braces: list[bool] = []
    for found in _LEX.finditer(text):
        piece = found[0]
        if found.lastgroup == "space":
            spaced = True
            continue
        if piece in TEXTS:
            is_next_text = True
            continue
        if piece == "{":
            braces.append(is_next_text)
        is_quiet = is_next_text and piece == "{"
        is_next_text = False
        if piece == "}" and braces and braces.pop():
            is_quiet = True
        if not is_quiet:
            yield _token(found, spaced, any(braces))
        spaced = is_quiet and spaced


def _token(found: re.Match[str], spaced: bool, is_text: bool) -> Token:
    piece = found[0]
    if found["again"]:
        value = number.repeating(found["once"], found["long"] or found["short"] or found["round"])
        return Token("num", piece, spaced, is_text, value)
    if found["num"]:
        return _number(found, spaced, is_text)
    if found["font"]:
        return Token("sym", f"{found['style']} {piece.rstrip('} ')[-1]}", spaced, is_text)
    if found["half"]:
        return Token("word", f"{piece[0].lower()}m", spaced, True)
    if found["letters"]:
        return _letters(piece, spaced, is_text)
    kind, spelled = _MEANINGS.get(piece, ("other", piece))
    return Token(kind, spelled, spaced, is_text)


def _letters(piece: str, spaced: bool, is_text: bool) -> Token:
    lower = piece.lower()
    is_known = piece == lower or is_text or (piece.istitle() and len(piece) > LONGEST_PRODUCT)
    if lower in _WORDS and is_known:
        kind, spelled = _WORDS[lower]
        return Token(kind, spelled, spaced, is_text)
    kind = "sym" if len(piece) == 1 and piece.isascii() else "word"
    return Token(kind, piece, spaced, is_text)


def _number(found: re.Match[str], spaced: bool, is_text: bool) -> Token:
    r"""A numeral; ``2e-3`` within a longer text may be 2e - 3, and is then no numeral."""
    piece, power = found["num"], found["power"]
    if not power:
        return Token("num", piece, spaced, is_text, number.decimal(piece))
    factor = piece.removesuffix(power)
    is_all = found.string.strip().lstrip("+-") == piece
    if "-" in power and "." not in factor and not is_all:
        return Token("other", piece, spaced, is_text)
    return Token("num", piece, spaced, is_text, number.scientific(factor, int(power[1:])))


def _with_number_words(found: Sequence[Token]) -> list[Token]:
    """Replace numbers in words by numbers: the longest runs of words, with hyphens and "and"."""
    merged: list[Token] = []
    at = 0
    while at < len(found):
        token = found[at]
        length = 1
        if token.text.lower() in number.NUMBER_WORDS:
            length, value = _spelled(found, at)
            if value is not None:
                written = str(value)
                token = Token("num", written, token.spaced, token.is_text, number.decimal(written))
        merged.append(token)
        at += length
    return merged


def _spelled(found: Sequence[Token], start: int) -> tuple[int, int | None]:
    words: list[str] = []
    best: tuple[int, int | None] = (1, None)
    for length, token in enumerate(found[start:], 1):
        word = token.text.lower()
        if word not in number.NUMBER_WORDS and word not in ("and", "-"):
            break
        if word != "-":
            words.append(word)
            if word != "and" and (value := number.from_words(words)) is not None:
                best = (length, value)
    return best


def _without_gaps(found: list[Token]) -> list[Token]:
    r"""Remove ``\quad`` except where nothing else separates two items."""
    if not any(token.text == "\\quad" for token in found):
        return found
    kept: list[Token] = []
    for place, token in enumerate(found):
        if token.text == "\\quad":
            after = next((t for t in found[place:] if t.text != "\\quad"), None)
            if (
                not kept
                or after is None
                or after.is_text
                or not (_is_thing(kept[-1], "close") and _is_thing(after, "open"))
            ):
                continue
        kept.append(token)
    return kept


def _is_thing(token: Token, bracket: str) -> bool:
    return token.kind in ("num", "sym", "word", "fn", "cmd", bracket)


def is_word(token: Token) -> bool:
    """Whether a run of letters is a word, and no product of symbols."""
    is_long = token.is_text or len(token.text) > LONGEST_PRODUCT or not token.text.isascii()
    is_title = len(token.text) > 2 and token.text.istitle()
    return is_long or is_title or token.text.lower() in SHORT_WORDS


def plain_text(found: Sequence[Token]) -> str:
    """Tokens as one normalised text.

    Words are in lower case, except runs of letters that may be symbols.
    """
    are_words = all(token.kind == "word" for token in found)
    pieces = [
        token.text.casefold()
        if token.kind == "word" and (are_words or is_word(token))
        else token.text
        for token in found
    ]
    kept = list(pieces)
    for place, piece in enumerate(pieces[:-2]):
        if piece == "{" and pieces[place + 2] == "}" and pieces[place + 1] not in "{}":
            kept[place] = kept[place + 2] = ""
    return " ".join(piece for piece in kept if piece)
