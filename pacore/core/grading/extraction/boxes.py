r"""Finds answers in boxes (``\boxed{…}``, ``\fbox{…}``) and in tags (``<answer>``, ``####``, JSON,
models' own marks), and the letters of options in boxes and in prose.
"""

from __future__ import annotations

# ruff: noqa: RUF001 - characters that look like others are what this file is about
import json
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from pacore.core.grading.extraction.numerals import rational
from pacore.core.grading.extraction.patterns import Words
from pacore.core.grading.extraction.values import OPENING, VALUES_A_SENTENCE, FoundValue

CHOICE_CHARACTERS = 1_000
"""Longest box that can name an option."""


class Boxes(NamedTuple):
    """The last box of a text with an answer: its content and offsets.

    Without such a box ``last`` is None, ``start`` and ``end`` are 0. ``open_at`` is the offset of the last
    unclosed box, None without one; ``is_empty``: a box is empty, or has only a placeholder.
    """

    last: str | None
    start: int
    end: int
    open_at: int | None
    is_empty: bool
    offers_several: bool = False


class _Box(NamedTuple):
    """The offsets of a box in a text, and those of its content.

    Boxes may be nested thousands deep: a copy of the content of each would take quadratic time.
    """

    start: int
    end: int
    inside_start: int
    inside_end: int

    def content(self, text: str) -> str:
        return text[self.inside_start : self.inside_end].strip()


# An escaped brace is no group, so a backslash is matched with the next character. Two backslashes
# before the name are a common slip of models that escape for JSON, a backspace of those that do not.
_NAME = r"(?:boxed|fbox|framebox)"

_BOX_TOKEN = re.compile(
    rf"(?:\\\\?{_NAME}|\x08oxed|(?<![A-Za-z\\])boxed)\s*+\{{|\\.|[{{}}]", re.DOTALL
)

_ANY_BOX = re.compile(r"[\\\x08]{0,2}(?:boxed|oxed|fbox|framebox)")

_BARE_BOX = re.compile(
    rf"\\{_NAME}\s*+(?P<token>-?\d+(?:[.,]\d+)*|\([^(){{}}\n]{{1,60}}\)|(?P<command>\\[A-Za-z]+)"
    rf"|[A-Za-z](?![A-Za-z]|\s[a-z]))"
)

_BETWEEN = re.compile(
    r"[\s$,;:.()\[\]\\]*(?P<word>and|or|und|oder|et|ou|y|o|e|и|или|和|或|或者|と"
    r"|または)?[\s$,;:.()\[\]\\]*(?:[A-Za-z]\w?(?:_\w)?\s*=\s*)?[\s$(\[\\]*"
)

_SPOKEN_OF = re.compile(
    r"(?:in the (?:form|format)(?: of)?|format|e\.g\.?|for example|for instance|such as|like|instead of"
    r"|rather than|not|zum Beispiel|par exemple|例如|比如)"
    r"[\s,:]*[$\\(\[`'\"]*$",
    re.IGNORECASE,
)

_CALLED_WRONG = re.compile(
    r"[\s$)\]\\`'\".]*(?:is|was)\s+(?:not\b|wrong|incorrect|false)"
    r"|[\s$)\]\\`'\"]*(?:can(?:['\u2019]t|not)\b|fails\b"
    r"|(?:(?:is|was|would|could|can|will|must|should|does|did|seems?|looks?|appears?|to|be|have|been|also"
    r"|clearly|obviously|simply|therefore)(?:\s+|(?=n['\u2019]t)))+"
    r"(?:not\b|n['\u2019]t\b|wrong|incorrect|false|invalid|impossible|a mistake|an error))",
    re.IGNORECASE,
)

_BLANK = re.compile(
    r"\\(?:text\w{0,6}|mathrm|mathbf|mbox|underline|phantom|hspace\*?|quad|qquad|[lc]?dots|cdot|ldots|,"
    r"|;|!| |_)(?![A-Za-z])"
    r"|[\s{}$_.…·\-?<>\[\]()'\"`~]|\\"
)

_PLACEHOLDER = re.compile(
    r"(?:your|final|the|answer|answers|result|value|number|letter|solution|here|insert|option|choice"
    r"|expression|integer"
    r"|numerical|text|ans|xxx|todo|unknown|n/a|tbd|答案|最终答案|réponse|respuesta|resposta|risposta|antwort|ответ|答え|정답"
    r"|الإجابة)*",
    re.IGNORECASE,
)


def find_boxes(text: str) -> Boxes:
    r"""Find the last balanced ``\boxed{…}`` or ``\fbox{…}`` with an answer: the one that starts last.

    Of nested boxes that is the inner one. Boxes that are unclosed, empty, placeholders
    (``\boxed{answer}``), examples (``such as \boxed{7}``) or denied are skipped. Without braces a box has
    one number, letter or command, as in TeX: ``\boxed 4``. Boxes joined by *and* or commas are one list;
    joined by *or* they are alternatives, unless they are equal numbers.
    """
    found, open_at = _all_boxes(text)
    last = len(found) - 1
    while last >= 0 and (is_blank(found[last].content(text)) or _is_spoken_of(text, found[last])):
        last -= 1
    is_empty = any(is_blank(box.content(text)) for box in found[last + 1 :])
    if last < 0:
        return Boxes(None, 0, 0, open_at, is_empty)
    first, offers_several = last, False
    while first and (joint := _joint(text, found[first - 1], found[first])) is not None:
        offers_several |= joint in _ORS
        first -= 1
    listed = list(dict.fromkeys(box.content(text) for box in found[first : last + 1]))
    numbers = {rational(held) for held in listed}
    if offers_several and len(numbers) == 1 and None not in numbers:
        listed, offers_several = listed[-1:], False
    held = ", ".join(listed)
    return Boxes(held, found[first].start, found[last].end, open_at, is_empty, offers_several)


_ORS = frozenset(("or", "oder", "ou", "o", "или", "或", "或者", "または"))


def _joint(text: str, one: _Box, two: _Box) -> str | None:
    """The word or comma that joins two boxes to a list; None where they are not joined."""
    between = text[one.end : two.start]
    if one.end > two.start or len(between) > 100 or is_blank(one.content(text)):
        return None
    found = _BETWEEN.fullmatch(between)
    if found is None or not re.search(r",|\w", between.replace("\\", "")):
        return None
    return found["word"] or ","


def _all_boxes(text: str) -> tuple[list[_Box], int | None]:
    """All balanced boxes in the order of their starts, and the offset of the last unclosed one."""
    opened: list[tuple[int, int, int]] = []
    found: list[_Box] = []
    depth = 0
    first = _ANY_BOX.search(text)
    if first is None:
        return found, None
    for token in _BOX_TOKEN.finditer(text, first.start()):
        if token[0] == "}":
            depth = max(depth - 1, 0)
            if opened and opened[-1][0] == depth:
                _, begin, start = opened.pop()
                found.append(_Box(begin, token.end(), start, token.start()))
        elif token[0] == "{":
            depth += 1
        elif token[0].endswith("{") and token[0] != "\\{":
            opened.append((depth, token.start(), token.end()))
            depth += 1
    found += _bare_boxes(text)
    return sorted(found, key=lambda box: box.start), opened[-1][1] if opened else None


def _bare_boxes(text: str) -> Iterator[_Box]:
    for bare in _BARE_BOX.finditer(text):
        end = bare.end()
        if bare["command"]:
            arguments = re.compile(r"(?:\{[^{}]{0,200}\})*").match(text, end)
            end = arguments.end() if arguments else end
        yield _Box(bare.start(), end, bare.start("token"), end)


def is_blank(held: str) -> bool:
    """Whether a box has nothing but dots, blanks and placeholder words."""
    return len(held) < 100 and _PLACEHOLDER.fullmatch(_BLANK.sub("", held)) is not None


def _is_spoken_of(text: str, box: _Box) -> bool:
    before, after = text[max(0, box.start - 40) : box.start], text[box.end : box.end + 40]
    return _SPOKEN_OF.search(before) is not None or _CALLED_WRONG.match(after) is not None


# Grading has the whole table of presentation, but cannot be imported here: it reads answers itself.
_CHOICE_MARKUP = re.compile(
    r"(?:\\(?:text)?color\s*\{[^{}]*\}|\\(?:fcolorbox\s*\{[^{}]*\}|colorbox)\s*\{[^{}]*\}"
    r"|\\(?:text(?:rm|bf|it|sf|tt|sl|sc|up|md|normal|style)?|math(?:bf|rm|it|sf|tt|normal|up)"
    r"|boldsymbol|bold|bm|pmb|bf(?:series)?|rm|it|sf|tt|emph|[mhf]box|boxed|underline|uline|ensuremath"
    r"|operatorname|left|right|[bB]igg?[lr]?|tiny|small|normalsize|[lL]arge|LARGE|[hH]uge|displaystyle"
    r"|q?quad|enspace|hspace\{[^{}]*\})(?![A-Za-z])|\\[^A-Za-z]|[{}$*~`\s])+"
)

_STRUCK = re.compile(r"~~[^~]+~~")

_CHOICE = re.compile(
    r"(?i:(?:option|choice|answer)\b[ :]*)?"
    r"(?:[(\[] ?(?P<parenthesised>[A-Ja-j]) ?[)\]]|(?P<bare>[A-J])(?= ?[.):]|$)|(?P<small>[a-j])[.)]?$)"
)

_SECOND_CHOICE = re.compile(r" ?(?:,|;|&|/|and\b|or\b) ?\(?[A-Ja-j](?![A-Za-z0-9])")


def choice_letter(text: str) -> str | None:
    r"""The upper-case letter A to J that ``text`` names: ``C``, ``(c)``, ``\textbf{(C)}\ 12``.

    None for no letter, several ("A and C"), or one that a command changes or negates (``\neg B``,
    ``\cancel{B}``).
    """
    if len(text) > CHOICE_CHARACTERS or _STRUCK.search(text):
        return None
    bare = _CHOICE_MARKUP.sub(" ", unicodedata.normalize("NFKC", text)).strip()
    found = _CHOICE.match(bare)
    if found is None or _SECOND_CHOICE.match(bare, found.end()):
        return None
    letter: str = found["parenthesised"] or found["bare"] or found["small"]
    return letter.upper()


_LETTER = re.compile(
    r"(?P<around>[(\[（【《<]{1,2}\s?(?P<inner>[A-Ja-j])\s?[)\]）】》>]{1,2})"
    r"|(?<![A-Za-z0-9\u00c0-\u024f\u0370-\u04ff])(?<![A-Za-z]['’])(?P<bare>[A-J])(?=\s?[).:,;!?。，、：）】\]\"'”’»」』]|\s*$|\s|[/|&+]\s?\(?[A-J]\b|[^\x00-\u02ff])(?:\s?\)(?!\s?[A-J]\b))?"
    r"|(?<![A-Za-z0-9\u00c0-\u024f\u0370-\u04ff])(?<![A-Za-z]['’])(?P<small>[a-j])(?=\)|\s?[.]?\s*$|(?<=^.)\.\s)\)?"
)


_AFTER_ARTICLE = Words(
    r"\s*$|\s?[/|&+]\s?\(?[A-J]\b|\s?[.,;:!?)\]。，、：»」”\"'*–—-]|\s\(|\s(?:because|since|as|for|due|given|and|or|nor|which|is"
    r"|isn|was|are|weil|da|denn"
    r"|porque|pois|já|car|parce|puisque|perché|poiché|ya|pues|est|es|é|è|ist|omdat|want|ponieważ|bo|так"
    r"|потому"
    r"|оскільки|vì|çünkü|karena|eftersom|fordi|protože|deoarece)\b|\s?[^\x00-\u02ff]"
)


class ChoiceReader:
    """Reads an option's letter, A to J: in brackets in either case, bare in capitals.

    Bare ``A`` and ``I``, which are words in many languages, need the end of a phrase after them.
    """

    def at(self, sentence: str, start: int) -> FoundValue | None:
        opening = OPENING.match(sentence, start)
        found = _LETTER.match(sentence, opening.end() if opening else start)
        return None if found is None else self._value(sentence, found)

    def values(self, sentence: str, start: int = 0) -> Iterator[FoundValue]:
        count = 0
        for found in _LETTER.finditer(sentence, start):
            if (value := self._value(sentence, found)) is not None:
                yield value
                count += 1
                if count == VALUES_A_SENTENCE:
                    return

    def _value(self, sentence: str, found: re.Match[str]) -> FoundValue | None:
        if found["bare"] in ("A", "I", "E") and not _AFTER_ARTICLE.match(
            sentence, found.end("bare")
        ):
            return None
        letter = found["inner"] or found["bare"] or found["small"]
        return FoundValue(letter.upper(), found.start(), found.end())


class Tagged(NamedTuple):
    """The content of a tag, and the offsets of the tag in the text."""

    text: str
    start: int
    end: int


_TAG_NAMES = r"final[_ -]?answer|finalanswer|answer|ans|final|solution|result"

_TAG = re.compile(
    rf"<(?P<close>/?)\s*(?P<name>{_TAG_NAMES})(?:\s[^<>\n]{{0,80}})?/?>", re.IGNORECASE
)

_BOX_TAG = re.compile(r"<\|(?P<side>begin|end)_of_box\|>")

_HASHES = re.compile(r"####[ \t]*(?P<text>[^\n#]{1,400})")

_JSON_KEY = re.compile(
    r"[\"'](?:final[_ ]?answer|answer|correct[_ ]?answer|choice|answer[_ ]?(?:choice|letter)|result|答案"
    r"|réponse"
    r"|respuesta|resposta|antwort|ответ)[\"']\s*:\s*"
    r"(?P<value>\"(?:[^\"\\\n]|\\.){0,400}\"|'(?:[^'\\\n]|\\.){0,400}'|\[[^\[\]\n]{0,400}\]|[^\s,}\"'][^,}\n]{0,100})",
    re.IGNORECASE,
)


def tagged(text: str) -> list[Tagged]:
    """The contents of all tags for answers, in the order of the text."""
    found = [*_between(text), *_hashes(text), *_keys(text)]
    return sorted(found, key=lambda one: one.start)


def _between(text: str) -> Iterator[Tagged]:
    """Tags in angle brackets; an unclosed one contains the text's end, since stop strings cut there."""
    opened: dict[str, re.Match[str]] = {}
    for tag in _TAG.finditer(text):
        name = tag["name"].lower()
        if not tag["close"]:
            opened[name] = tag
        elif (begin := opened.pop(name, None)) is not None:
            yield Tagged(text[begin.end() : tag.start()].strip(), begin.start(), tag.end())
    for begin in opened.values():
        if len(rest := text[begin.end() :].strip()) <= 400 and "<" not in rest:
            yield Tagged(rest, begin.start(), len(text))
    box: re.Match[str] | None = None
    for tag in _BOX_TAG.finditer(text):
        if tag["side"] == "begin":
            box = tag
        elif box is not None:
            yield Tagged(text[box.end() : tag.start()].strip(), box.start(), tag.end())
            box = None


def _hashes(text: str) -> Iterator[Tagged]:
    """GSM8K's mark ``####`` with the text after it."""
    for found in _HASHES.finditer(text):
        if found.start() and not text[found.start() - 1].isspace():
            continue
        yield Tagged(found["text"].strip(), found.start(), found.end())


def _keys(text: str) -> Iterator[Tagged]:
    for found in _JSON_KEY.finditer(text):
        value = found["value"].strip()
        if value.startswith('"'):
            try:
                value = json.loads(value, strict=False)
            except ValueError:
                # LaTeX in JSON is often not escaped.
                value = value[1:-1]
        elif value.startswith("'"):
            value = value[1:-1]
        elif value.startswith("["):
            value = ", ".join(item.strip(" \"'") for item in value[1:-1].split(","))
        if value not in ("null", "None"):
            yield Tagged(str(value).strip(), found.start(), found.end())
