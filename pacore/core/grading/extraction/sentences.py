"""Splits a text into sentences, without markup, and with marked mathematics.

Preparing a text keeps the position of every character, so that statements have offsets in the text.
"""

from __future__ import annotations

# ruff: noqa: RUF001 - characters of other scripts are what this file is about
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from pacore.core.grading.extraction.patterns import CLOSE, OPEN

SENTENCE_CHARACTERS = 1_000
"""Characters of a sentence's end that are read."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One prepared sentence: without markup, with ``OPEN`` and ``CLOSE`` around mathematics.

    ``start`` is its offset in the text, ``line`` the number of its line, ``bold`` its parts in bold.
    """

    text: str
    start: int
    line: int
    bold: tuple[str, ...] = ()
    is_heading: bool = False


@cache
def _shadow() -> dict[int, str]:
    """A translation of full-width characters, digits of every script, emoji and spaces to ASCII."""
    table = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    for kept in "！？":
        del table[ord(kept)]
    table |= dict.fromkeys(
        [0x3000, 0x00A0, 0x202F, 0x2009, 0x200B, 0x2060, 0xFEFF, 0xFE0F, 0x200D], " "
    )
    emoji = [*range(0x2600, 0x27C0), *range(0x1F000, 0x1FB00)]
    table |= dict.fromkeys(emoji, " ")
    table |= {zero + digit: str(digit) for zero in _ZEROS for digit in range(10)}
    return table


# The zeros of Arabic, Persian, N'Ko, the scripts of India, Thai, Lao, Tibetan, Burmese, Khmer, Mongolian.
_ZEROS = (
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0, 0xF20,
    0x1040, 0x17E0, 0x1810,
)  # fmt: skip

_TOKENS = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|~~[^~\n]{1,200}~~|</?[A-Za-z][\w-]{0,30}(?:\s[^<>\n]{0,80})?/?>|\[/?INST\]|`+|\x00|\\(?:begin|end)\{(?:align"
    r"|aligned|equation|gather|gathered|split|eqnarray|multline)\*?\}"
    r"|&(?=\s*[=\\])|\\{1,2}(?:boxed|fbox|framebox|underline)(?![A-Za-z])"
)

_MATH = re.compile(r"\\[()\[\]]|\$\$|\\\$|\$|\n\s*\n")

_BOLD = re.compile(r"(?<![*\w])\*\*(?=[^\s*])|(?<=[^\s*])\*\*|__(?=\S)|(?<=\S)__(?!\w)")

_POWER = re.compile(r"(?<=[0-9a-z)])\*\*(?:(?P<exponent>\d+)|(?=[a-z(]))")

_EMPHASIS = re.compile(r"(?<![\w*\\])[*_](?=[^\s*_])|(?<=[^\s*_\\])[*_](?![\w*{])")

_LEADING = re.compile(r"(?:\s|[-•–—+]\s|>\s(?!\s*[-\d$\\])|\*\s|#{1,3}\s|#{4,6}\s|\|)*")

_ENDS = re.compile(r"(?<=[.!?])[\"'”’»)\]]*(?:\s+|$)|(?<=[。！？।॥؟])[\"'”’»」』)\]]*\s*")

_ABBREVIATED = re.compile(
    r"(?:^|[\s(\"'*])(?:e\.g|i\.e|vs|approx|ca|resp|No|Nr|St|Mr|Mrs|Ms|Dr|Rs|cf|eq|Fig|z\.B|d\.h|bzw"
    r"|p\.\s?ej|[ap]\.m"
    r"|Ref|Ans|\(?\d{1,2}|[A-Za-z]|т\.е)\.$"
)


def prepared(text: str) -> str:
    """The text, character for character, with mathematics between ``OPEN`` and ``CLOSE``.

    Unpaired dollars before a number are currency, and are kept.
    """
    text = text.translate(_shadow())
    text = _TOKENS.sub(lambda found: " " * len(found[0]), text)
    pieces: list[str] = []
    at, opened = 0, ""
    marks = list(_MATH.finditer(text))
    for number, mark in enumerate(marks):
        found = mark[0]
        inside = text[at : mark.start()]
        pieces.append(inside.replace("\n", " ") if opened in ("\\[", "$$") else inside)
        at = mark.end()
        if found.startswith("\n"):
            pieces.append(found)
            opened = opened if opened in ("\\[", "$$") and len(found) < 3 else ""
        elif (
            opened and found == _CLOSER[opened] and not (found == "$" and _is_currency(text, mark))
        ):
            pieces.append(" " * (len(found) - 1) + CLOSE)
            opened = ""
        elif not opened and _opens(text, marks, number):
            pieces.append(OPEN + " " * (len(found) - 1))
            opened = found
        else:
            pieces.append(found if found in ("$", "\\$") else " " * len(found))
    pieces.append(text[at:])
    return "".join(pieces)


_CLOSER = {"\\(": "\\)", "\\[": "\\]", "$$": "$$", "$": "$"}


def _is_currency(text: str, mark: re.Match[str]) -> bool:
    """Whether a dollar cannot close mathematics: there is a space before it, or a digit after it."""
    before, after = text[mark.start() - 1 : mark.start()], text[mark.end() : mark.end() + 1]
    return before.isspace() or after.isdigit()


def _opens(text: str, marks: Sequence[re.Match[str]], number: int) -> bool:
    """Whether a delimiter opens mathematics: its partner follows, for dollars in the same paragraph."""
    found = marks[number][0]
    if found not in _CLOSER:
        return False
    if found != "$":
        return any(mark[0] == _CLOSER[found] for mark in marks[number + 1 : number + 4])
    if text[marks[number].end() : marks[number].end() + 1].isspace():
        return False
    for mark in marks[number + 1 : number + 4]:
        if mark[0] == "$":
            inside = text[marks[number].end() : mark.start()]
            return not _is_currency(text, mark) and len(_PROSE.findall(inside)) < 3
        if mark[0] != "\\$":
            return False
    return False


_PROSE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}")


def sentences(text: str) -> list[Sentence]:
    """The sentences of a prepared text, in order, without blank ones."""
    found: list[Sentence] = []
    start = 0
    for number, line in enumerate(text.split("\n")):
        leading = _LEADING.match(line)
        skipped = leading.end() if leading else 0
        heading = line.lstrip()[:2].startswith("#")
        for at, piece in _pieces(line[skipped:]):
            plain, bold = _without_markup(piece)
            if plain.strip(" .*_:#=-" + CLOSE + OPEN) or OPEN in plain:
                begin = start + (skipped + at if at else 0)
                found.append(Sentence(plain, begin, number, bold, heading))
        start += len(line) + 1
    return found


def _pieces(line: str) -> Iterator[tuple[int, str]]:
    begin = 0
    for end in _ENDS.finditer(line):
        if end.end() <= begin:
            continue
        piece = line[begin : end.end()]
        last = line[max(begin, end.start() - 12) : end.start()]
        if (
            end.end() < len(line)
            and _ABBREVIATED.search(last)
            and _is_short(line, begin, end.start())
        ):
            continue
        if piece.count(OPEN) > piece.count(CLOSE):
            continue
        yield begin, piece
        begin = end.end()
    if begin < len(line):
        yield begin, line[begin:]


def _is_short(line: str, begin: int, end: int) -> bool:
    """Whether a period ends an abbreviation, or a number or letter that is the whole sentence."""
    last = line[max(begin, end - 3) : end - 1]
    if last[-1:].isdigit() or (last[-1:].isalpha() and not last[-2:-1].isalpha()):
        return end - begin <= 4
    return True


def _power(found: re.Match[str]) -> str:
    """Python's power in TeX's notation."""
    return f"^{{{found['exponent']}}}" if found["exponent"] else "^ "


def _without_markup(piece: str) -> tuple[str, tuple[str, ...]]:
    """A sentence without markup for emphasis, and its parts in bold."""
    piece = piece[-SENTENCE_CHARACTERS:]
    marked = _POWER.sub(_power, piece)
    parts = _BOLD.split(marked)
    bold = (
        tuple(" ".join(_EMPHASIS.sub("", part).split()) for part in parts[1::2])
        if len(parts) > 2
        else ()
    )
    plain = _EMPHASIS.sub(" ", " ".join(parts)).replace("**", " ")
    return " ".join(plain.split()), tuple(part for part in bold if part)
