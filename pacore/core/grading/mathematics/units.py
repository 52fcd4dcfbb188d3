r"""Reads units of measurement, currencies, and counted things before or after a number.

All tokens have to be part of the unit. Any other words (see `pacore.core.grading.notation.vocabulary` for
counted things) may change the number ("70 not", "5 million"), and are no unit.
"""

from __future__ import annotations

# ruff: noqa: RUF001 - units of other scripts are among them
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from pacore.core.grading.notation.tokens import Token
from pacore.core.grading.notation.vocabulary import counted, names

Dimensions = tuple[tuple[str, int], ...]


class MeasurementUnit(NamedTuple):
    """A unit: ``dimensions`` are the sorted powers of base units and counted things, ``scale`` is the
    factor to these. Plain "units" have the dimension ``unit``.
    """

    dimensions: Dimensions
    scale: Fraction = Fraction(1)

    @property
    def name(self) -> str:
        """A text that is equal for units that can be converted into each other."""
        return " ".join(
            f"{base}^{power}" if power != 1 else base for base, power in self.dimensions
        )


_TABLE = """
m: 1 m meter metre; 1/1000 mm millimeter millimetre; 1/100 cm centimeter centimetre
m: 1000 km kilometer kilometre; 127/5000 in inch inches; 381/1250 ft foot feet
m: 1143/1250 yd yard; 201168/125 mi mile
m: 1 米 м; 1/100 厘米 см; 1/1000 毫米 мм; 1000 千米 公里 км
g: 1 克; 1000 千克 公斤 кг
s: 1 秒 초 сек; 60 分钟 分鐘 мин 분; 3600 小时 小時 時間 시간 ч; 86400 天 日 일
g: 1 g gram gramme; 1/1000 mg milligram; 1000 kg kilogram kilo
g: 45359237/100000 lb; 45359237/1600000 oz ounce
s: 1 s sec second; 1/1000 ms millisecond; 60 min minute; 3600 h hr hour; 86400 day; 604800 week
month: 1 month
year: 1 year yr; 10 decade; 100 century centuries
L: 1 L l liter litre; 1/1000 ml mL milliliter millilitre; 1/100 cl centiliter centilitre
gallon: 1 gallon gal; 1/4 quart qt; 1/8 pint pt; 1/16 cup
teaspoon: 1 teaspoon tsp; 3 tablespoon tbsp
degree: 1 degree deg
radian: 1 radian rad
dollar: 1 dollar USD buck; 1/100 cent
euro: 1 euro EUR
pound sterling: 1 GBP quid; 1/100 penny pence
pound: 1 pound
yen: 1 yen JPY 円
won: 1 won KRW 원
ruble: 1 ruble rouble RUB руб рублей рубля рубль
rupee: 1 rupee INR
yuan: 1 yuan CNY RMB 元 块 塊
unit: 1 unit 个 個 人 名 只 隻 条 张 張 本 枚 匹 개 명 마리 권
acre: 1 acre
hectare: 1 hectare ha
ton: 1 ton tonne
knot: 1 knot
newton: 1 newton N
joule: 1 joule J; 1000 kJ kilojoule
watt: 1 watt W; 1000 kW kilowatt
volt: 1 volt V
hertz: 1 hertz Hz
pascal: 1 pascal Pa; 1000 kPa
kelvin: 1 kelvin
calorie: 1 cal; 1000 kcal
mole: 1 mol
bit: 1 bit
byte: 1 byte; 1000 KB kB; 1000000 MB; 1000000000 GB
ordinal: 1 th st nd rd
"""

_ONLY_IN_TEXT = names("m g s h L l N J W V")
"""Units of one letter, read as such only in ``\\text{…}``: in "5 m" the letter may be an unknown."""


def _units() -> dict[str, MeasurementUnit]:
    found = {}
    for line in _TABLE.strip().splitlines():
        base, _, rows = line.partition(":")
        for row in rows.split(";"):
            scale, *names = row.split()
            for name in names:
                unit = MeasurementUnit(((base, 1),), Fraction(scale))
                found[name] = unit
                if len(name) > 1:
                    found.setdefault(f"{name}s", unit)
    return found


_UNITS = _units()

_RATES = {"mph": ("mi", "h"), "kph": ("km", "h"), "kmh": ("km", "h")}

_POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}

_SIGNS = {
    "$": "dollar",
    "€": "euro",
    "£": "pound sterling",
    "¥": "yen",
    "₹": "rupee",
    "₩": "won",
    "₽": "ruble",
}

_CODES = {
    "USD": "dollar",
    "US": "dollar",
    "EUR": "euro",
    "GBP": "pound sterling",
    "Rs": "rupee",
    "INR": "rupee",
}

PERCENT, PER_MILLE = MeasurementUnit((("percent", 1),)), MeasurementUnit((("per mille", 1),))

DEGREE, RADIAN = _UNITS["degree"], _UNITS["radian"]

ANY = _UNITS["unit"]

POUNDS = (
    frozenset((_UNITS["pound"], _UNITS["lb"])),
    frozenset((_UNITS["pound"], _UNITS["GBP"])),
)
"""A pound may be a weight or a currency."""


def currency(tokens: Sequence[Token]) -> tuple[MeasurementUnit, int] | None:
    """The currency at the beginning, and its number of tokens: ``$``, ``US$``, ``EUR``, ``Rs.``."""
    texts = [token.text for token in tokens[:2]]
    if texts[:1] == ["US"] and texts[1:] == ["$"]:
        return MeasurementUnit((("dollar", 1),)), 2
    if texts and tokens[0].kind == "sign" and texts[0] in _SIGNS:
        return MeasurementUnit(((_SIGNS[texts[0]], 1),)), 1
    if texts and texts[0] in _CODES and texts[0] != "US":
        return MeasurementUnit(((_CODES[texts[0]], 1),)), 1 + (texts[1:] == ["."])
    return None


def unit_of(tokens: Sequence[Token], is_one: bool = False) -> MeasurementUnit | None:
    """The unit that all tokens form; None where they form none.

    ``is_one``: the number is one, so that counted things may be in the singular.
    """
    texts = [token.text for token in tokens]
    if texts in (["%"], ["‰"]):
        return PERCENT if texts == ["%"] else PER_MILLE
    if len(texts) == 1 and tokens[0].kind == "sign":
        return MeasurementUnit(((_SIGNS[texts[0]], 1),)) if texts[0] in _SIGNS else None
    if (found := _temperature(texts) or _in_fraction(tokens)) is not None:
        return found
    return _quotient(tokens, is_one) or _in_brackets(tokens, is_one)


def _temperature(texts: Sequence[str]) -> MeasurementUnit | None:
    bare = [text.lower() for text in texts if text not in ("{", "}", "^")]
    if bare[:1] == ["\\circ"] or bare[:1] in (["degrees"], ["degree"]):
        scale = {
            "c": "Celsius",
            "celsius": "Celsius",
            "f": "Fahrenheit",
            "fahrenheit": "Fahrenheit",
        }
        if len(bare) == 2 and bare[1] in scale:
            return MeasurementUnit(((scale[bare[1]], 1),))
    return None


def divided(unit: MeasurementUnit, tokens: Sequence[Token]) -> MeasurementUnit | None:
    """A unit divided by that of tokens such as "per hour"; None where these are no such unit."""
    if (
        len(tokens) < 2
        or tokens[0].text not in _PER
        or (under := unit_of(tokens[1:], True)) is None
    ):
        return None
    return _product(((unit, 1), (under, -1)))


def _product(parts: Sequence[tuple[MeasurementUnit, int]]) -> MeasurementUnit:
    powers: dict[str, int] = {}
    scale = Fraction(1)
    for unit, sign in parts:
        scale *= unit.scale**sign
        for base, power in unit.dimensions:
            powers[base] = powers.get(base, 0) + sign * power
    return MeasurementUnit(
        tuple(sorted((base, power) for base, power in powers.items() if power)), scale
    )


def _in_fraction(tokens: Sequence[Token]) -> MeasurementUnit | None:
    r"""``\frac{\text{m}}{\text{s}}``."""
    texts = [token.text for token in tokens]
    if (
        texts[:2] != ["\\frac", "{"]
        or texts[-1] != "}"
        or texts.count("{") < 2
        or "}" not in texts[2:-1]
    ):
        return None
    middle = next(p for p in range(2, len(texts)) if texts[p : p + 2] in (["}", "{"], ["}"]))
    over, under = unit_of(tokens[2:middle]), unit_of(tokens[middle + 2 : -1])
    return _product(((over, 1), (under, -1))) if over is not None and under is not None else None


_PER = ("/", "per", "a", "an", "each")


def _quotient(tokens: Sequence[Token], is_one: bool) -> MeasurementUnit | None:
    """A unit or a quotient of units: ``m/s^2``, ``miles per hour``, ``dollars a day``."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.text in _PER[:-1]:
            parts.append([])
        else:
            parts[-1].append(token)
    units = [_power(part, len(parts) == 1, is_one or place > 0) for place, part in enumerate(parts)]
    found = [unit for unit in units if unit is not None]
    if len(found) < len(units):
        return None
    return _product([(unit, -1 if place else 1) for place, unit in enumerate(found)])


def _power(tokens: Sequence[Token], is_alone: bool, is_one: bool) -> MeasurementUnit | None:
    """One unit with its power: ``cm^2``, ``square feet``, ``meters cubed``."""
    if not tokens:
        return None
    texts = [token.text for token in tokens if token.text not in ("{", "}", ".")]
    power = 1
    if len(texts) > 2 and texts[-2] == "^" and texts[-1] in ("1", "2", "3"):
        power = int(texts[-1])
        texts = texts[:-2]
    for place in (0, -1):
        if len(texts) > 1 and texts[place].lower() in _POWERS and power == 1:
            power = _POWERS[texts[place].lower()]
            texts = texts[1:] if place == 0 else texts[:-1]
    if len(texts) != 1:
        return _thing(texts, is_one) if power == 1 else None
    name = texts[0]
    if name in _RATES:
        if power != 1:
            return None
        length, time = (_UNITS[part] for part in _RATES[name])
        return MeasurementUnit((("m", 1), ("s", -1)), length.scale / time.scale)
    unit = _UNITS.get(name) or _UNITS.get(name.lower() if len(name) > 2 else name)
    if unit is None or (name in _ONLY_IN_TEXT and is_alone and not tokens[0].is_text):
        return _thing(texts, is_one) if power == 1 else None
    return MeasurementUnit(((unit.dimensions[0][0], power),), unit.scale**power)


def _thing(texts: Sequence[str], is_one: bool) -> MeasurementUnit | None:
    found = counted(tuple(text.lower() for text in texts), is_one)
    return None if found is None else MeasurementUnit(((found, 1),) if found else ANY.dimensions)


def _in_brackets(tokens: Sequence[Token], is_one: bool) -> MeasurementUnit | None:
    texts = [token.text for token in tokens]
    is_enclosed = len(tokens) > 2 and texts[0] == "(" and texts[-1] == ")"
    return unit_of(tokens[1:-1], is_one) if is_enclosed else None
