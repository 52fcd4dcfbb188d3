r"""Answers made from right ones by rule: wrong ones that look right, and right ones in another notation.

``mutations.jsonl`` has the *kinds*, one a line: a template with «G» for the gold answer and «H» for
another answer like it, a pattern and its replacement, a table, digits of another script, a separator of
thousands, or a rule of this module. Kinds are split in two halves by a hash of their names: rules of the
grader were made with one half in view, and the other half was looked at when they were done.
``mutations_second.jsonl`` was written after that, for other gold answers, and held out again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple

from tests.labelled import FOLDER, Pair

GOLDS: dict[str, tuple[str, ...]] = {
    "integer": (
        "70", "4", "-3", "2024", "1234567", "9007199254740993", "123456789012345678901234567890",
        "108", "36", "-250",
    ),
    "decimal": ("0.125", "-17.5", "3.75", "12345.67"),
    "exact": (
        r"\frac{3}{7}", r"-\frac{22}{9}", r"2\sqrt{3}", r"\frac{\pi}{6}", r"12\pi", r"1+\sqrt{5}",
        "e^2", "2^{64}-1", "3+4i", r"\frac{\sqrt{21}}{5}",
    ),
    "formula": ("x^2+3x-7", "2k+2", r"\frac{x+1}{x-1}", "6r^2-4r-24"),
    "shape": (
        "(2,-5)", r"\{1,2,5\}", "[0,4)", r"(-\infty,3)", "3, 5, 7",
        r"\begin{pmatrix}4\\-7\end{pmatrix}", r"\left(\frac{3}{2},-13\right)", "y=2x+3",
    ),
    "unit": (
        r"12\text{ cm}", r"45\text{ minutes}", r"\$18.90", r"30^\circ", r"15\text{ mph}",
        r"8\text{ m}^2", r"5.4\text{ cents}", r"27\text{ kg}",
    ),
    "word": (r"\text{east}", r"\text{even}", r"\text{Tuesday}"),
}  # fmt: skip
SECOND_GOLDS: dict[str, tuple[str, ...]] = {
    "integer": ("17", "-81", "600", "31415926", "2", "1000001"),
    "decimal": ("2.5", "-0.75", "99.95", "3.1416"),
    "exact": (
        r"\frac{11}{4}", r"-\sqrt{7}", r"\frac{2\pi}{3}", r"\sqrt[3]{10}", r"\log_2 5", "5-2i",
        r"\frac{1+\sqrt{13}}{2}", "3^{40}+2", r"\cos 20^\circ", r"4\frac{2}{5}",
    ),
    "formula": ("3a-2b+1", r"\frac{n(n-1)}{2}", "(x-2)(x+5)", "2^{n}-1", "ab^2"),
    "shape": (
        "(-1,0,7)", r"\{-3,3\}", "(2,9]", r"(4,\infty)", "-2, 6",
        r"\begin{pmatrix}1&0\\2&5\end{pmatrix}", "x^2+y^2=9", "2:5",
    ),
    "unit": (
        r"7\text{ feet}", r"120\text{ km/h}", "€45", r"25\%", r"3\text{ hours}", r"50\text{ cents}",
        r"16\text{ in}^3", r"6:45 \text{ p.m.}",
    ),
    "word": (r"\text{Monday}", r"\text{isosceles}", r"\text{odd}"),
}  # fmt: skip
NUMBERS = ("integer", "decimal", "exact")
VALUES = (*NUMBERS, "formula")
GROUPS = {"numbers": NUMBERS, "values": VALUES, "all": (*VALUES, "shape", "unit", "word")}
SEED = 20261128

Rule = Callable[[str, Random], str | None]
"""Makes an answer from a gold answer; None from one that it does not fit."""


class Kind(NamedTuple):
    """One way to change a gold answer. ``groups`` are those of `GOLDS` it applies to."""

    name: str
    same: bool
    groups: Sequence[str]
    rule: Rule

    @property
    def is_held_out(self) -> bool:
        return sha256(self.name.encode()).digest()[0] % 2 == 1


def other(gold: str, drawn: Random) -> str:
    """The gold answer with one digit changed; words get another word."""
    places = [place for place, character in enumerate(gold) if character in "123456789"]
    if not places:
        return r"\text{west}" if "west" not in gold else r"\text{north}"
    place = drawn.choice(places)
    return gold[:place] + drawn.choice("123456789".replace(gold[place], "")) + gold[place + 1 :]


def _change_digit(gold: str, drawn: Random) -> str | None:
    return other(gold, drawn) if re.search("[1-9]", gold) else None


def _drop_digit(gold: str, drawn: Random) -> str | None:
    if not re.fullmatch(r"-?[1-9]\d+", gold):
        return None
    place = drawn.randrange(len(gold) - 1) + 1
    return None if (less := gold[:place] + gold[place + 1 :]) in ("-", "-0") else less


def _double_digit(gold: str, drawn: Random) -> str | None:
    places = [found.start() for found in re.finditer("[1-9]", gold)]
    if not places:
        return None
    place = drawn.choice(places)
    return gold[:place] + gold[place] + gold[place:]


def _exchange_digits(gold: str, drawn: Random) -> str | None:
    places = [found.start() for found in re.finditer(r"(?=([1-9])(?!\1)\d)", gold)]
    if not places:
        return None
    place = drawn.choice(places)
    return gold[:place] + gold[place + 1] + gold[place] + gold[place + 2 :]


def _insert_digit(gold: str, drawn: Random) -> str | None:
    places = [found.start() for found in re.finditer("[1-9]", gold)]
    if not places:
        return None
    place = drawn.choice(places)
    return gold[:place] + drawn.choice("123456789") + gold[place:]


def _change_last(gold: str, drawn: Random) -> str | None:
    place = max((found.start() for found in re.finditer(r"\d", gold)), default=None)
    if place is None:
        return None
    return gold[:place] + drawn.choice("123456789".replace(gold[place], "")) + gold[place + 1 :]


def _letter_for_digit(gold: str, _: Random) -> str | None:
    found = gold.replace("0", "O", 1) if "0" in gold else gold.replace("1", "l", 1)
    return None if found == gold else found


def _shift_point(gold: str, _: Random) -> str:
    whole, _point, part = gold.partition(".")
    return f"{whole}{part[0]}.{part[1:] or '0'}"


def _as_list(gold: str, _: Random) -> str | None:
    return ",".join(gold) if re.fullmatch(r"\d{2,4}", gold) else None


def _power_of_ten(gold: str, _: Random) -> str:
    return rf"{gold.replace('.', '').lstrip('0')} \times 10^{{-{len(gold.partition('.')[2])}}}"


RULES: dict[str, Rule] = {
    "change_digit": _change_digit,
    "drop_digit": _drop_digit,
    "double_digit": _double_digit,
    "exchange_digits": _exchange_digits,
    "insert_digit": _insert_digit,
    "change_last": _change_last,
    "letter_for_digit": _letter_for_digit,
    "drop_first": lambda gold, _: re.sub(r"^(-?)\d(?=\d)", r"\1", gold),
    "append_digit": lambda gold, drawn: gold + drawn.choice("0123456789"),
    "next_integer": lambda gold, drawn: str(int(gold) + drawn.choice((-1, 1))),
    "shift_point": _shift_point,
    "as_list": _as_list,
    "flip_sign": lambda gold, _: gold[1:] if gold.startswith("-") else f"-({gold})",
    "scientific": lambda gold, _: f"{gold[:-1]}.{gold[-1]}e1",
    "power_of_ten": _power_of_ten,
    "capitals": lambda gold, _: gold.replace(gold[6:-1], gold[6:-1].upper()),
}


def _grouped(gold: str, separator: str) -> str | None:
    whole, point, part = gold.partition(".")
    if len(whole) < 5 or not whole.lstrip("-").isdigit():
        return None
    return f"{int(whole):,}".replace(",", separator) + point + part


def _in_digits(gold: str, digits: str) -> str | None:
    table = str.maketrans("0123456789-."[: len(digits)], digits)
    return gold.translate(table) if gold.lstrip("-").isdigit() or len(digits) > 10 else None


def _rule(row: dict[str, Any]) -> Rule:
    if (text := row.get("template")) is not None:
        return lambda gold, drawn: text.replace("«G»", gold).replace("«H»", other(gold, drawn))
    if (pattern := row.get("pattern")) is not None:
        return lambda gold, _: re.sub(pattern, row["by"], gold)
    if (table := row.get("table")) is not None:
        return lambda gold, _: table.get(gold)
    if (digits := row.get("digits")) is not None:
        return lambda gold, _: _in_digits(gold, digits)
    if (separator := row.get("separator")) is not None:
        return lambda gold, _: _grouped(gold, separator)
    return RULES[row["rule"]]


def read_kinds(name: str = "mutations") -> list[Kind]:
    rows = map(json.loads, (FOLDER / f"{name}.jsonl").read_text().splitlines())
    return [
        Kind(row["kind"], row["same"], GROUPS.get(str(row["groups"]), row["groups"]), _rule(row))
        for row in rows
    ]


Golds = Mapping[str, Sequence[str]]


def make_pairs(kinds: Sequence[Kind], golds: Golds = GOLDS) -> list[Pair]:
    """Every kind on every gold answer it applies to, by the same draws each time."""
    found: dict[tuple[str, str], Pair] = {}
    for kind in kinds:
        drawn = Random(f"{SEED} {kind.name}")
        for gold in (gold for group in kind.groups for gold in golds[group]):
            answer = kind.rule(gold, drawn)
            if answer is not None and answer != gold:
                found.setdefault((gold, answer), Pair("math", gold, answer, kind.same, kind.name))
    return list(found.values())


def half(same: bool, held_out: bool) -> list[Pair]:
    """The pairs of one half of the kinds: right answers, or wrong ones."""
    kinds = [k for k in read_kinds() if k.same == same and k.is_held_out == held_out]
    return make_pairs(kinds)


def second(same: bool) -> list[Pair]:
    """The pairs of the set that was held out again."""
    kinds = [kind for kind in read_kinds("mutations_second") if kind.same == same]
    return make_pairs(kinds, SECOND_GOLDS)
