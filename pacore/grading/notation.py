# ruff: noqa: RUF001 - characters that look like others are what this file is about
"""One spelling for mathematics: what differs only in notation becomes equal text.

Nothing here changes a value, except that units are cut off (and handed back) where they follow a
number.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

TEXT_COMMANDS = r"\\(?:text|textbf|textrm|textit|textnormal|mathrm|mathbf|mbox|operatorname)\b\s*"

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SYMBOLS = str.maketrans(
    {
        "−": "-",
        "π": "\\pi ",
        "θ": "\\theta ",
        "∞": "\\infty ",
        "≤": "\\le ",
        "≥": "\\ge ",
        "≠": "\\ne ",
        "±": "\\pm ",
        "∪": "\\cup ",
        "∩": "\\cap ",
        "∈": "\\in ",
        "∅": "\\emptyset ",
        "×": "\\times ",
        "·": "\\cdot ",
        "⋅": "\\cdot ",
        "÷": "\\div ",
        "°": "^\\circ ",
        "⁄": "/",
    }
)

_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"√\s*(\d+(?:\.\d+)?|[A-Za-z])", r"\\sqrt{\1}"),
        (r"√\s*[({]([^(){}]*)[)}]", r"\\sqrt{\1}"),
        (r"(?<![A-Za-z\\])sqrt\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"(?<![A-Za-z\\])pi(?![A-Za-z])", r"\\pi "),
        (r"\*\*", "^"),
        (r"\\?\$", ""),
        (r"\{,\}", ","),
        (r"\\!", ""),
        (r"(?<=\d)\\,(?=\d{3}(?!\d))", ","),
        (r"(?<!\\)\\[,;: ]|~|\\q?quad(?![A-Za-z])", " "),
        (r"\\(?:displaystyle|limits)(?![A-Za-z])", ""),
        (r"\\(?:left|right)(?![A-Za-z])\s*\.?", ""),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\frac\s*(\d)\s*(\d)(?!\d)", r"\\frac{\1}{\2}"),
        (r"\\%|\s*\bpercent\b", "%"),
        (TEXT_COMMANDS + r"\{\s*%\s*\}", "%"),
        (r"\s+", " "),
    )
)
_WRAPPED = re.compile(TEXT_COMMANDS + r"\{([^{}]*)\}")
_SCIENTIFIC = re.compile(r"([+-]?\d+(?:\.\d+)?)[eE]([+-]?\d{1,4})")
_LOOSE_BRACES = re.compile(r"([_^])\{(\w)\}")
_LOOSE_SPACE = re.compile(r"(?<![0-9A-Za-z]) | (?![0-9A-Za-z])")


def clean(text: str) -> str:
    """Write ``text`` in one notation: LaTeX in ASCII, no dollars or spacing, no final period."""
    text = re.sub(r"[⁰¹²³⁴-⁹⁺⁻ⁿ]+", lambda m: "^{" + m[0].translate(_SUPERSCRIPTS) + "}", text)
    text = re.sub(r"[₀-₉]+", lambda m: "_{" + m[0].translate(_SUBSCRIPTS) + "}", text)
    text = re.sub(r"[¼-¾⅐-⅞]", _vulgar_fraction, text)
    text = unicodedata.normalize("NFKC", text.translate(_SYMBOLS)).translate(_SYMBOLS)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = text.strip()
    if not text.endswith(".."):
        text = text.removesuffix(".").rstrip()
    if found := _WRAPPED.fullmatch(text):
        text = found[1].strip()
    if found := _SCIENTIFIC.fullmatch(text):
        text = f"{found[1]} \\times 10^{{{int(found[2])}}}"
    return text


def _vulgar_fraction(found: re.Match[str]) -> str:
    over, _, under = unicodedata.normalize("NFKC", found[0]).partition("⁄")
    return f"\\frac{{{over}}}{{{under}}}"


def key(cleaned: str) -> str:
    """Cleaned text without needless white space and braces: equal keys are equal answers."""
    return _LOOSE_BRACES.sub(r"\1\2", _LOOSE_SPACE.sub("", cleaned))


def words(text: str, is_case_kept: bool = False) -> str:
    """Text as texts compare: NFKC, one case, single spaces, no markup around, no final period."""
    text = unicodedata.normalize("NFKC", text).strip().strip("$*").strip()
    while found := _WRAPPED.fullmatch(text):
        text = found[1].strip()
    text = text.removesuffix(".")
    return " ".join((text if is_case_kept else text.casefold()).split())


def nesting(text: str) -> int:
    """Greatest depth of brackets and braces, whether or not they match."""
    depth = deepest = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}" and depth:
            depth -= 1
    return deepest


_UNIT_NAMES: dict[str, tuple[str, ...]] = {
    "mm": ("mm", "millimeter", "millimetre"),
    "cm": ("cm", "centimeter", "centimetre"),
    "m": ("meter", "metre"),
    "km": ("km", "kilometer", "kilometre"),
    "in": ("in", "inch", "inches"),
    "ft": ("ft", "foot", "feet"),
    "yd": ("yd", "yard"),
    "mi": ("mi", "mile"),
    "mg": ("mg", "milligram"),
    "g": ("gram",),
    "kg": ("kg", "kilogram"),
    "lb": ("lb", "pound"),
    "s": ("sec", "second"),
    "min": ("min", "minute"),
    "h": ("hr", "hour"),
    "day": ("day",),
    "week": ("week",),
    "month": ("month",),
    "year": ("yr", "year"),
    "L": ("liter", "litre"),
    "ml": ("ml", "mL", "milliliter", "millilitre"),
    "km/h": ("km/h", "kmh", "kph"),
    "m/s": ("m/s",),
    "mph": ("mph",),
    "degree": ("deg", "degree"),
    "radian": ("rad", "radian"),
    "dollar": ("dollar", "USD"),
    "cent": ("cent",),
    "euro": ("euro", "EUR"),
    "": ("unit",),
}
_UNITS = {
    spelling: unit
    for unit, names in _UNIT_NAMES.items()
    for name in names
    for spelling in (name, name + "s")
}
# One letter by itself is a unit only inside \text{…}: in "5 m" it may be an unknown.
_LETTER_UNITS = {letter: letter for letter in ("m", "g", "s", "h", "L")}

_SQUARE = {"square": "2", "sq": "2", "sq.": "2", "cubic": "3", "cu": "3"}
_POWER = r"(?:\s?\^\s?\{?\s?(?P<power>[23])\s?\}?)?"
_UNIT_TAIL = re.compile(
    r"(?P<body>.*[\d})!])\s?(?:"
    + TEXT_COMMANDS
    + r"\{\s?(?P<wrapped>[A-Za-z/. ]+?)\.?\s?(?:\^\s?\{?(?P<inner>[23])\}?)?\s?\}"
    + r"|(?P<degree>\^\s?\{?\s?\\circ\s?\}?)"
    + r"|(?P<bare>[A-Za-z/.]+(?: [A-Za-z/]+)?))"
    + _POWER
)
# The sine of 30 degrees is not the sine of 30: only a bare number loses its degrees.
_PLAIN_NUMBER = re.compile(r"[+-]?(?:[\d.,]+|\\frac\{\d+\}\{\d+\})")


# Words that change a number in place of saying what it counts.
_COUNTING = frozenset(
    [
        "hundred",
        "hundreds",
        "thousand",
        "thousands",
        "million",
        "millions",
        "billion",
        "billions",
        "trillion",
        "dozen",
        "dozens",
        "half",
        "halves",
        "third",
        "thirds",
        "quarter",
        "quarters",
        "percent",
        "score",
        "pair",
        "pairs",
        "couple",
        "times",
        "factorial",
        "mod",
        "modulo",
        "squared",
        "cubed",
        "over",
        "plus",
        "minus",
        "more",
        "less",
        "than",
        "and",
        "or",
        "to",
        "if",
        "when",
        "where",
        "remainder",
        "base",
    ]
)
_COUNTED = re.compile(
    r"(?P<body>[+-]?\s?(?:[\d.,]*\d|\\frac\{\d+\}\{\d+\}))(?:\s?"
    + TEXT_COMMANDS
    + r"\{\s?(?P<wrapped>[A-Za-z][A-Za-z -]*?)\.?\s?\}|\s(?P<bare>[A-Za-z]{3,}(?: [A-Za-z]+)*))"
)


class Quantity(NamedTuple):
    """A body without its unit; ``unit`` is None where none was written, "" for plain "units"."""

    body: str
    unit: str | None


def split_units(one: str, other: str) -> tuple[Quantity, Quantity]:
    """`split_unit` of both; beside a unit on one side, a single letter on the other is one too."""
    first, second = split_unit(one), split_unit(other)
    if second.unit and first.unit is None:
        first = split_unit(one, letters=True)
    elif first.unit and second.unit is None:
        second = split_unit(other, letters=True)
    return first, second


def split_unit(cleaned: str, letters: bool = False) -> Quantity:
    """Cut a known unit off the end of a cleaned text that has a number or a group before it.

    ``letters`` takes a bare letter as in "5 m" for a unit too.
    """
    found = _UNIT_TAIL.fullmatch(cleaned)
    if found is None:
        return _split_counted(cleaned)
    body = found["body"].rstrip()
    prefix, _, name = (found["wrapped"] or found["bare"] or "degree").rpartition(" ")
    known = _UNITS | _LETTER_UNITS if found["wrapped"] or letters else _UNITS
    power = found["power"] or found["inner"] or _SQUARE.get(prefix.strip().lower(), "")
    if name not in known or (prefix and prefix.strip().lower() not in _SQUARE):
        return _split_counted(cleaned)
    unit = known[name]
    if unit == "degree" and not _PLAIN_NUMBER.fullmatch(body):
        return Quantity(cleaned, None)
    return Quantity(body, f"{unit}^{power}" if unit and power else unit)


def _split_counted(cleaned: str) -> Quantity:
    """Cut off what a plain number counts, as in "18 eggs per day"."""
    found = _COUNTED.fullmatch(cleaned)
    if found is None:
        return Quantity(cleaned, None)
    counted = (found["wrapped"] or found["bare"]).casefold().split()
    if not _COUNTING.isdisjoint(counted):
        return Quantity(cleaned, None)
    return Quantity(found["body"], " ".join(word.removesuffix("s") for word in counted))
