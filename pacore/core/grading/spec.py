"""The graders, and specs that name a grader with its options.

A *spec* is a text such as ``math`` or ``numeric:rel=0.0001,abs=2``. Problems, scores and gradings store
its canonical form, which is equal for equal graders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Literal, get_args

from pacore.errors import BadInput
from pacore.text import did_you_mean

GraderName = Literal["math", "choice", "text", "numeric", "code", "judge"]

GRADERS: tuple[GraderName, ...] = get_args(GraderName)

Against = Literal["gold", "opinion"]
"""What an answer is compared with: the gold answer, or nothing but a judge's opinion."""

MAX_SPEC_CHARACTERS = 200

MAX_DECIMALS = 30


@dataclass(frozen=True, slots=True)
class GraderSpec:
    """A grader with its stated options; ``str()`` is the canonical spec.

    A default option is absent, unless it was stated.
    """

    name: GraderName
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        given = ",".join(f"{name}={value}" for name, value in sorted(self.options.items()))
        return f"{self.name}:{given}" if given else self.name

    def fraction(self, option: str) -> Fraction | None:
        """The exact value of a numeric option; None where it was not stated."""
        value = self.options.get(option)
        return None if value is None else Fraction(value)


@lru_cache(maxsize=256)
def parse_spec(text: str) -> GraderSpec:
    """Read a spec. Raises BadInput with a one-line message for an invalid one."""
    name, colon, rest = text.partition(":")
    known = next((grader for grader in GRADERS if grader == name.strip()), None)
    if len(text) > MAX_SPEC_CHARACTERS or known is None:
        near = did_you_mean(name[:MAX_SPEC_CHARACTERS].strip(), GRADERS)
        raise BadInput(f"unknown grader {_shown(text)}{near}; one of {', '.join(GRADERS)}")
    allowed = _OPTIONS.get(known, {})
    options: dict[str, str] = {}
    for part in rest.split(",") if colon else ():
        option, _, value = (piece.strip() for piece in part.partition("="))
        if option not in allowed:
            takes = f"takes {', '.join(allowed)}" if allowed else "has no options"
            unknown = _shown(option) + did_you_mean(option[:MAX_SPEC_CHARACTERS], allowed)
            raise BadInput(f"{_shown(text)}: unknown option {unknown}; {known} {takes}")
        if option in options:
            raise BadInput(f"{_shown(text)}: {option} is given twice")
        canonical = allowed[option](value)
        if canonical is None:
            raise BadInput(f"{_shown(text)}: {option} {_EXPECTED[option]}")
        options[option] = canonical
    if int(options.get("k", 1)) > int(options.get("n", 4)):
        raise BadInput(
            f"{_shown(text)}: k is greater than the number of votes, {options.get('n', 4)}"
        )
    return GraderSpec(known, options)


def canonical_spec(text: str) -> str:
    """The canonical form of a spec. Raises BadInput as `parse_spec` does."""
    return str(parse_spec(text))


_DECIMAL = re.compile(
    r"(?P<whole>[0-9]{1,30})?(?:\.(?P<part>[0-9]{0,30}))?(?:[eE](?P<power>[+-]?[0-9]{1,2}))?"
)


def _tolerance(value: str) -> str | None:
    """A number of 0 or more as a plain decimal without trailing zeros; None for any other text."""
    found = _DECIMAL.fullmatch(value)
    if found is None or not (found["whole"] or found["part"]):
        return None
    whole, part = found["whole"] or "", found["part"] or ""
    number = Fraction(int(whole + part), 10 ** len(part)) * Fraction(10) ** int(found["power"] or 0)
    scaled = number * 10**MAX_DECIMALS
    if scaled.denominator != 1 or number >= 10**MAX_DECIMALS:
        return None
    whole, part = divmod(int(scaled), 10**MAX_DECIMALS)
    digits = f"{part:0{MAX_DECIMALS}}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _share(value: str) -> str | None:
    """A tolerance below 1."""
    canonical = _tolerance(value)
    return canonical if canonical and Fraction(canonical) < 1 else None


def _keep(value: str) -> str | None:
    return value if value == "keep" else None


def _count(value: str) -> str | None:
    """A number of votes."""
    found = re.fullmatch(r"0*([1-9][0-9]?)", value)
    return found[1] if found else None


_OPTIONS: Mapping[GraderName, Mapping[str, Callable[[str], str | None]]] = {
    "numeric": {"rel": _share, "abs": _tolerance},
    "text": {"case": _keep},
    "judge": {"k": _count, "n": _count},
}

_EXPECTED = {
    "rel": "must be a number from 0 to below 1, such as 1e-4",
    "abs": "must be a number of 0 or more, such as 0.01",
    "case": "must be keep",
    "k": "must be a number of votes from 1 to 99",
    "n": "must be a number of votes from 1 to 99",
}


def _shown(text: str) -> str:
    shown = ascii(text)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
