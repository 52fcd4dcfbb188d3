"""Finds values in prose: numbers, formulas, and lists of them.

All functions read one prepared sentence of bounded length (`pacore.core.grading.extraction.sentences`), in
which ``OPEN`` and ``CLOSE`` enclose mathematics in place of dollars and LaTeX delimiters.
"""

from __future__ import annotations

# ruff: noqa: RUF001 - characters that look like others are what this file is about
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

from pacore.core.grading.extraction.patterns import CLOSE, OPEN, Words, any_of

VALUES_A_SENTENCE = 40
"""Most values that are read in a sentence."""

TRIES_A_SENTENCE = 400
"""Most positions of a sentence at which a value is tried."""

RUN_CHARACTERS = 400
"""Longest value in prose."""


class FoundValue(NamedTuple):
    """A value and its offsets in its sentence; ``is_computed``: it is the last side of an equation."""

    text: str
    start: int
    end: int
    is_computed: bool = False


class ValueReader(Protocol):
    """Reads the values of one kind of answer."""

    def at(self, sentence: str, start: int) -> FoundValue | None:
        """The value that begins at ``start``, after spaces and quotes; else None."""

    def values(self, sentence: str, start: int = 0) -> Iterator[FoundValue]:
        """The values from ``start`` on, at most `VALUES_A_SENTENCE`, without overlaps."""


OPENING = re.compile(r"[\s\"'“”‘’«»„「『]*")

# --- Mathematics ---------------------------------------------------------------------------------

_CURRENCY = (
    r"(?:US|CA|AU|HK|NT|R)?\\?[$£€¥₹₩₽₺฿₫₪￥]|Rs\.?(?=\s?\d)|(?:USD|EUR|GBP|INR|RMB)(?=\s?\d)"
)

_NUMBER = (
    r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?![\d])(?:[.,]\d+)?"
    r"|\d+(?:[.,'’٫٬]\d+|\{,\}\d{3})*|(?<![\w.])\.\d+"
)

_TIME = r"\d{1,2}(?::\d{2}){1,2}\s?[ap]\.?m\b\.?|\d{1,2}\s?[ap]\.?m\b\.?"

_NAMES = (
    r"(?:sqrt|sin|cos|tan|cot|log|ln|exp|pi|gcd|lcm|mod|max|min|arcsin|arccos|arctan)(?![A-Za-z])"
)

_ATOM = re.compile(
    rf"(?P<span>{OPEN}[^{OPEN}{CLOSE}]*{CLOSE})"
    r"|(?P<text>\\(?:text\w{0,6}|mathrm|mathbf|mbox|operatorname)\s*\{[^{}]*\})"
    r"|(?P<command>\\(?:[A-Za-z]+|[^A-Za-z\s]))"
    rf"|(?P<time>{_TIME})"
    rf"|(?P<currency>{_CURRENCY})"
    rf"|(?P<number>{_NUMBER})"
    rf"|(?P<name>(?<![^\W\d_]){_NAMES})"
    r"|(?P<letter>(?<![^\W\d_])[A-Za-zα-ωΑ-Ω](?![^\W\d_]))"
    r"|(?P<script>[_^]\s?\{[^{}]{0,40}\})"
    r"|(?P<sign>[-−–+*/^_=<>≤≥≠≈≡±×·⋅÷√π∞∅°%‰!|{}′″⁰¹²³⁴-⁹⁻ⁿ₀-₉½⅓⅔¼¾∪∩∈])"
    r"|(?P<bracket>[()\[\]])"
    r"|(?P<comma>[,:，、](?=\s?[\d\-−+\\(\[.$]))"
    r"|(?P<space>[ \t\u00a0\u202f]+)"
)

_NUMBER_NEXT = re.compile(rf"\s+[-−\d$£€{OPEN}\\]")

_EMPTY_GROUP = re.compile(r"(?<![\w}])\{\s*\}|/\s*\{\s*\}")

_MIXED = re.compile(r"\d+\s?/\s?\d+")

_HOLDS_VALUE = re.compile(rf"\d|{OPEN}|=|[π∞∅½⅓⅔¼¾]|\\(?:pi|infty|emptyset|varnothing|sqrt|frac)")

_EXPONENT = re.compile(rf"{OPEN}\s*[\^_]")

_BEGINS = re.compile(rf"[{{{OPEN}\\\d($£€¥₹₩₽₺฿₫₪￥\[\-−–+.√π∞∅<>≤≥≠±½⅓⅔¼¾=≈|A-Za-zα-ωΑ-Ω]")

_LOOSE_END = " \t\u00a0,:;+-−–*/=^_<>|×·÷≈([{，、"

_LOOSE_START = re.compile(r"(?:\s*-+>)+\s*|[\s,:;=≈)\]}*/|!^_%，、]+")

_PRESENT = re.compile(r"\d|[π∞∅½⅓⅔¼¾]|\\(?:pi|infty|emptyset|varnothing|sqrt|frac)(?![A-Za-z])")

_INEQUALITY = re.compile(r"[<>≤≥≠]|\\(?:le|ge|leq|geq|ne|neq|lt|gt)(?![A-Za-z])")

_EQUALS = re.compile(r"(?<![<>=≠])(?<!\s!)(?<!^!)=+(?!>)")

_ABOUT = re.compile(r"≈|\\approx(?![A-Za-z])")

_SPACING = re.compile(r"^(?:\\[,;:!> ]|~|\s)+|(?:\\[,;:!> ]|~|\s|\\\\)+$")

_MEASURES = (
    "mm|cm|km|ft|yd|mi|mg|kg|lb|lbs|oz|ml|mL|mph|kph|kmh|hr|hrs|min|mins|sec|secs|yr|yrs|cents?"
    "|dollars?|euros?"
    "|pounds?|pence|yen|rupees?|percent|per cent|percentage points|degrees?|radians?|inch|inches|foot"
    "|feet|yards?"
    "|miles?|millimeters?|millimetres?|centimeters?|centimetres?|meters?|metres?|kilometers?|kilometres?"
    "|milligrams?|grams?|kilograms?|ounces?|tons?|tonnes?|liters?|litres?|milliliters?|millilitres?"
    "|gallons?"
    "|quarts?|pints?|acres?|hectares?|seconds?|minutes?|hours?|days?|weeks?|months?|years?|decades?"
    "|units?|volts?"
    "|january|february|march|april|may|june|july|august|september|october|november|december"
    "|watts?|joules?|newtons?|hertz|moles?"
)

_MAGNITUDES = (
    "hundreds?|thousands?|millions?|billions?|trillions?|dozens?|million|millionen|tausend|milliarden?"
    "|mille"
    "|milliards?|mil|millones|millón|milhões|milhão|milioni|milione|miliardi|тысяч*|миллион*|миллиард*"
    "|тисяч*|мільйон*"
    "|bin|milyon|milyar|juta|ribu|miliar|triệu|nghìn|tỷ|ngàn|लाख|करोड़|हज़ार|हजार|লক্ষ|কোটি|হাজার|مليون"
    "|ألف|مليار|هزار|میلیون"
    "|万|萬|億|亿|千(?!米|克|瓦|卡|公|焦)|百(?!分)|兆(?!瓦|字)|만|억|천|백|ล้าน|แสน|หมื่น|พัน|ร้อย|duizend|miljoen|miljard"
    "|tysięcy|tysiące|milionów|miliony"
    "|tusen|miljoner|millioner|tisíc|milionů|mii|milioane|elfu|laki|moja"
)

_UNIT = Words(
    rf"\s?%|\s?°\s?[CFK]?(?![A-Za-z])"
    rf"|(?:[\s-]?{any_of(_MAGNITUDES.split('|'))}){{0,2}}"
    rf"(?:[\s-]?(?:(?:square|cubic|sq\.?)\s)?{any_of(_MEASURES.split('|'))}(?:\s?(?:/|per)\s?(?:h|s|hr"
    rf"|hour|minute|min|second|sec|day|week|month|year)(?![A-Za-z]))?(?:\^?[23²³])?)?"
)

_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th|er|ère|ème|º|ª)(?![A-Za-z])")

_NOT_UNIT = re.compile(r"[\s-]?(?:a|an|per|in|m|s|l)?(?![\w])", re.IGNORECASE)

_LABELS = Words(
    r"(?:\b(?:step|steps|reference|references|ref|refs|method|case|part|question|problem|equation|eq"
    r"|option|example"
    r"|figure|table|chapter|round|attempt|approach|solution|line|item|day|stage|exercise|trajectory"
    r"|message|response"
    r"|schritt|referenz|étape|référence|paso|referencia|passo|referência|riferimento|шаг|ссылка|krok"
    r"|adım|langkah"
    r"|bước|steg|stap|الخطوة|चरण)s?\.?\s?\(?#?|第|步骤|步驟|参考|參考|方法|ステップ|手順|단계\s?|참조\s?)$"
)

_ENUMERATOR = re.compile(r"^\s*\(?\d{1,2}[.)]\s")

_IN_TEMPLATE = re.compile(
    r"(?:\[\[?|<)\s?(-?\d+(?:,\d{3})*(?:\.\d+)?)\s?(?:\]\]?|>)(?![\w^_+*/=<>\[(-]|\s?[-+*/=<>∪])"
)
"""A number in the brackets of a template: ``[12]``, ``[[12]]``, ``<12>``."""


class MathReader:
    """Reads numbers and formulas; of an equation the last side (`last_side`)."""

    def at(self, sentence: str, start: int) -> FoundValue | None:
        opening = OPENING.match(sentence, start)
        value = self._read(sentence, opening.end() if opening else start)
        return value if value and value.text else None

    def values(self, sentence: str, start: int = 0) -> Iterator[FoundValue]:
        return (value for value in self._all(sentence) if value.start >= start)

    @staticmethod
    @lru_cache(maxsize=512)
    def _all(sentence: str) -> tuple[FoundValue, ...]:
        enumerator = _ENUMERATOR.match(sentence)
        at, tries = enumerator.end() if enumerator else 0, 0
        found: list[FoundValue] = []
        while at < len(sentence) and len(found) < VALUES_A_SENTENCE and tries < TRIES_A_SENTENCE:
            begins = _BEGINS.search(sentence, at)
            if begins is None:
                break
            at, tries = begins.start(), tries + 1
            if at and sentence[at].isalnum() and _is_latin(sentence[at - 1]):
                at += 1
                continue
            value = MathReader._read(sentence, at)
            if value is None:
                at += 1
                continue
            at = value.end
            if value.text and not _LABELS.search(sentence[max(0, value.start - 24) : value.start]):
                found.append(value)
        return tuple(found)

    @staticmethod
    def _read(sentence: str, start: int) -> FoundValue | None:
        """The run of mathematics that begins here; its text is empty where it has no value."""
        if (held := _IN_TEMPLATE.match(sentence, start)) is not None:
            return FoundValue(held[1], start, held.end())
        end = _run_end(sentence, start)
        raw = sentence[start:end]
        if _EXPONENT.match(raw) or not _HOLDS_VALUE.search(raw):
            return FoundValue("", start, max(end, start + 1))
        skipped = _LOOSE_START.match(raw)
        offset = skipped.end() if skipped else 0
        body = _balanced(raw[offset:])
        # At the end of a sentence outside of a formula, the mark of "36!" is punctuation.
        if not sentence[start + offset + len(body) :].strip() and body.endswith("!"):
            body = body.rstrip("!")
        body = body.rstrip(_LOOSE_END)
        if body.endswith("\\"):
            body = body[:-1].rstrip(_LOOSE_END)
        begin = start + offset
        is_right_side = (
            "=" in raw[:offset] or sentence[:start].rstrip().endswith("=") or "=" in body
        )
        is_formula = OPEN in body or (
            is_right_side and not sentence[begin + len(body) :].strip(" .\\")
        )
        if not _PRESENT.search(body) and not (is_formula and body.strip(OPEN + CLOSE + " .,=")):
            return None
        stop = begin + len(body)
        if _ORDINAL.match(sentence, stop):
            return FoundValue("", begin, stop)
        unit = _UNIT.match(sentence, stop)
        stop = unit.end() if unit and not _NOT_UNIT.fullmatch(unit[0]) else stop
        side, is_computed = last_side(body)
        if _is_circular(body) or "?" in body or _EMPTY_GROUP.search(body):
            return FoundValue("", begin, begin + len(body))
        is_computed = is_computed or (is_right_side and "=" not in body)
        tail = sentence[begin + len(body) : stop]
        text = tidied(side + tail)
        return FoundValue(text, begin, stop, is_computed)


def _is_latin(character: str) -> bool:
    return (
        (character.isascii() and character.isalpha())
        or "À" <= character <= "ɏ"
        or "Ͱ" <= character <= "ӿ"
    )


def _run_end(sentence: str, start: int) -> int:
    """The end of the run of mathematics that begins at ``start``."""
    at, kinds, ends = start, [""], [start]
    limit = start + RUN_CHARACTERS
    while at < limit and (atom := _ATOM.match(sentence, at)) is not None:
        if _ends_before(sentence, atom, kinds):
            break
        kinds.append(atom.lastgroup or "")
        at = atom.end()
        ends.append(at)
    is_word_next = at < len(sentence) and sentence[at].isalpha()
    while len(kinds) > 1:
        is_letter = kinds[-1] == "letter" and kinds[-2] in ("space", "")
        if not is_letter and kinds[-1] != "space":
            break
        if is_letter and not is_word_next and not _is_stray(sentence, ends):
            break
        kinds.pop()
        ends.pop()
        is_word_next = is_word_next or kinds[-1] == "letter"
    return ends[-1]


def _ends_before(sentence: str, atom: re.Match[str], kinds: list[str]) -> bool:
    """Whether a run of atoms of these ``kinds`` ends before an atom that could continue a formula."""
    kind, is_spaced = atom.lastgroup or "", kinds[-1] == "space"
    # "A: 70" is the answer to a question, not a ratio.
    if kind == "comma" and kinds[1:] == ["letter"]:
        return True
    follows_value = (kinds[-2] if is_spaced and len(kinds) > 1 else kinds[-1]) in _COMPLETE
    # "12 (3 each)": brackets after a value have an explanation.
    if is_spaced and follows_value and atom[0] in "([":
        return True
    if kind == "span" and (kinds[-1] == "comma" or follows_value):
        return follows_value
    # "12 5", but not "3 1/2".
    if is_spaced and follows_value and kind in ("number", "time", "currency"):
        return _MIXED.match(sentence, atom.start()) is None
    # "Mia a 12 pommes", "3 o 4", "il y a 5": letters beside a number are words, but for 3 x 4.
    is_begun = kind in ("number", "span", "currency") and "letter" in kinds
    if is_begun and set(kinds[1:]) <= {"letter", "space"}:
        return True
    is_word = kind == "letter" and is_spaced and follows_value and atom[0] not in "xX"
    return is_word and _NUMBER_NEXT.match(sentence, atom.end()) is not None


_COMPLETE = ("number", "span", "time")


def _is_stray(sentence: str, ends: list[int]) -> bool:
    """Whether a letter after a number and a space is neither a unit nor an unknown: ``762 M&M's``."""
    letter = sentence[ends[-2] : ends[-1]]
    return letter.isupper() and letter != "L" and sentence[ends[-2] - 2 : ends[-2] - 1].isdigit()


def _balanced(text: str) -> str:
    """The text before the first unmatched closing bracket, else before the first unclosed one.

    ``[2,5)`` is matched: half-open intervals mix the two kinds.
    """
    opened: list[int] = []
    braces: list[int] = []
    for at, character in enumerate(text):
        if character in "([":
            opened.append(at)
        elif character in ")]":
            if not opened:
                return text[:at]
            opened.pop()
        elif character == "{":
            braces.append(at)
        elif character == "}":
            if not braces:
                return text[:at]
            braces.pop()
    left = [*opened[:1], *braces[:1]]
    return text[: min(left)] if left else text


def last_side(text: str) -> tuple[str, bool]:
    """The last side of an equation, exact rather than rounded, and whether the text is an equation.

    Inequalities and lists of equations are returned unchanged.
    """
    bare = text.replace(OPEN, "").replace(CLOSE, "")
    parts = _EQUALS.split(bare)
    if len(parts) > 2 and (comma := _last_comma(bare)) is not None:
        if all(_UNKNOWN.match(side) for side in parts[:1]) and "=" in bare[comma:]:
            return bare, False
        return last_side(bare[comma + 1 :])
    if len(parts) > 1 and _UNKNOWN.match(parts[-1]) and _PRESENT.search(parts[-2]):
        parts = parts[:-1]
        bare = bare[: bare.rfind("=")]
        if len(parts) == 1:
            return parts[0], True
    is_zero = len(parts) == 2 and parts[1].strip(" .") == "0"
    if is_zero and re.search(r"[A-Za-z]", parts[0]) and not _UNKNOWN.match(parts[0]):
        return bare, False
    side, is_computed = parts[-1], len(parts) > 1 and bool(parts[-1].strip())
    if len(parts) > 1 and not parts[-1].strip():
        side = ""
    exact = _ABOUT.split(side)
    if len(exact) > 1:
        is_named = is_computed or _PRESENT.search(exact[0])
        side, is_computed = (exact[0] if is_named and exact[0].strip() else exact[-1]), True
    if is_computed and _INEQUALITY.search(bare) and not _INEQUALITY.search(side):
        return bare, False
    return side, is_computed


def _is_circular(text: str) -> bool:
    """Whether an unknown occurs on both sides of its equation: ``y = 7 - 2y`` is not solved."""
    found = re.match(rf"[\s{OPEN}]*([A-Za-z])\s*=(.*)", text)
    return (
        found is not None
        and re.search(rf"(?<![A-Za-z\\]){found[1]}(?![A-Za-z])", found[2]) is not None
    )


_UNKNOWN = re.compile(r"\s*\\?[A-Za-zα-ω](?:_\w|_\{\w+\}|\(\w\))?\s*$")


def _last_comma(text: str) -> int | None:
    """The offset of the last comma outside of brackets and numbers; None without one."""
    depth, last = 0, None
    for at, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character in ",，、" and depth == 0 and not re.match(r"\d{3}(?!\d)", text[at + 1 :]):
            last = at
    return last


_DOLLARS = re.compile(r"^([-−]?)\s?(?:US|CA|AU|HK)?\\?\$\s?(?=[\d.])|\\?\$$")


def tidied(text: str) -> str:
    """A value without delimiters, spacing commands at its ends, dollar sign and final period."""
    text = text.replace(OPEN, "").replace(CLOSE, "")
    text = _SPACING.sub("", text.strip()).rstrip(".,;:，。 ")
    text = _SPACING.sub("", _DOLLARS.sub(r"\1", text))
    for opening, closing in (("{", "}"), ("\\left.", "")):
        if text.startswith(opening) and text.endswith(closing) and opening == "{":
            inner = text[1:-1]
            if "{" not in inner and "}" not in inner and "," not in inner:
                text = inner
    return text.strip()


# --- Choices -------------------------------------------------------------------------------------
