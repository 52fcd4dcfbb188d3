"""Values that cross between two processes as JSON: plain data whole, everything else by reference.

Plain data is what has no behaviour of its own on the other side. An instance of a class derived
from a plain one crosses as the plain one, so that no method a program wrote comes along: what says
it is equal to everything arrives as the data it is, or as a reference that equals nothing.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False


if TYPE_CHECKING:  # typing itself is slow to import
    from collections.abc import Callable
    from typing import Any

    Encoded = Any

LARGEST_PLAIN_INTEGER = 2**63
"""Larger ones cross in hexadecimal, which Python reads and writes at any length."""


def _parts_of_date(value: Any) -> list[Any]:
    return [value.year, value.month, value.day]


def _parts_of_datetime(value: Any) -> list[Any]:
    clock = [value.hour, value.minute, value.second, value.microsecond]
    return [*_parts_of_date(value), *clock]


LIBRARY: dict[tuple[str, str], Callable[[Any], list[Any]]] = {
    ("collections", "deque"): lambda value: [list(value), value.maxlen],
    ("datetime", "date"): _parts_of_date,
    ("datetime", "datetime"): _parts_of_datetime,
    ("datetime", "timedelta"): lambda value: [value.days, value.seconds, value.microseconds],
    ("decimal", "Decimal"): lambda value: [str(value)],
    ("fractions", "Fraction"): lambda value: [value.numerator, value.denominator],
}
"""Immutable or plain types of the standard library, and what makes an equal one."""


def encode(value: Any, lend: Callable[[Any], int]) -> Encoded:
    """JSON for a value; ``lend`` gives the number that stands for one that is not plain.

    Raises RecursionError for data without end.
    """
    if value is None or value is True or value is False:
        return value
    for plain, way in _PLAIN:
        if isinstance(value, plain):
            return way(value, lend)
    kind = type(value)
    if parts := LIBRARY.get((kind.__module__, kind.__qualname__)):
        known = getattr(sys.modules.get(kind.__module__), kind.__qualname__, None)
        if kind is known:
            made_of = [encode(part, lend) for part in parts(value)]
            return {"library": [kind.__module__, kind.__qualname__, made_of]}
    return {"lent": lend(value)}


def _encode_integer(value: int, _: Callable[[Any], int]) -> Encoded:
    number = int.__index__(value)
    return (
        number if -LARGEST_PLAIN_INTEGER < number < LARGEST_PLAIN_INTEGER else {"int": hex(number)}
    )


def _encode_items(name: str, base: type) -> Callable[[Any, Callable[[Any], int]], Encoded]:
    def way(value: Any, lend: Callable[[Any], int]) -> Encoded:
        return {name: [encode(item, lend) for item in base.__iter__(value)]}  # type: ignore[attr-defined]

    return way


def _encode_list(value: list[Any], lend: Callable[[Any], int]) -> Encoded:
    return [encode(item, lend) for item in list.__iter__(value)]


def _encode_dict(value: dict[Any, Any], lend: Callable[[Any], int]) -> Encoded:
    return {"dict": [[encode(key, lend), encode(item, lend)] for key, item in dict.items(value)]}


_PLAIN: list[tuple[type, Callable[[Any, Callable[[Any], int]], Encoded]]] = [
    (int, _encode_integer),
    (float, lambda value, _: float.__float__(value)),
    (str, lambda value, _: str.__str__(value)),
    (list, _encode_list),
    (tuple, _encode_items("tuple", tuple)),
    (dict, _encode_dict),
    (set, _encode_items("set", set)),
    (frozenset, _encode_items("frozenset", frozenset)),
    (bytes, lambda value, _: {"bytes": bytes.hex(value)}),
    (bytearray, lambda value, _: {"bytearray": bytearray.hex(value)}),
    (complex, lambda value, _: {"complex": [value.real, value.imag]}),
    (range, lambda value, _: {"range": [value.start, value.stop, value.step]}),
]


def decode(encoded: Encoded, borrow: Callable[[int], Any]) -> Any:
    """The value that `encode` made JSON of; ``borrow`` gives what stands for a lent one here.

    Raises ValueError for anything that `encode` does not make, or what its parts raise.
    """
    if isinstance(encoded, list):
        return [decode(item, borrow) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    ((name, body),) = encoded.items()
    if name in _MADE:
        return _MADE[name]([decode(item, borrow) for item in body])
    if name == "dict":
        return {decode(key, borrow): decode(item, borrow) for key, item in body}
    if name == "int":
        return int(body, 16)
    if name in ("bytes", "bytearray"):
        return (bytes if name == "bytes" else bytearray).fromhex(body)
    if name == "library":
        module, kind, parts = body
        if (module, kind) in LIBRARY:
            made_by = getattr(__import__(module), kind)
            return made_by(*(decode(part, borrow) for part in parts))
    if name == "lent":
        return borrow(body)
    raise ValueError(f"no value is encoded as {name!r}")


_MADE: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "complex": lambda parts: complex(*parts),
    "range": lambda parts: range(*parts),
}
