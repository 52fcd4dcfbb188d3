"""Encodes values for another process as JSON: plain data by value, everything else by reference.

Plain data are the built-in types and some of the standard library. An instance of a class derived
from one of them is encoded as that type, so that no method of a program is transferred: a value that
claims to equal everything arrives as plain data, or as a reference that equals no plain data.
"""

from __future__ import annotations

import sys

from pacore.sandbox.inside.world import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Encoded = Any

LARGEST_PLAIN_INTEGER = 2**63
"""Larger integers are encoded in hexadecimal, which Python reads and writes at any length."""


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
"""Plain types of the standard library, with the arguments that construct an equal value."""


def encode_value(value: Any, refer: Callable[[Any], int]) -> Encoded:
    """JSON for a value; ``refer`` returns the number of the reference to one that is not plain.

    Raises RecursionError for data that contain themselves.
    """
    if value is None or value is True or value is False:
        return value
    for plain, encoder in _PLAIN:
        if isinstance(value, plain):
            return encoder(value, refer)
    kind = type(value)
    if parts := LIBRARY.get((kind.__module__, kind.__qualname__)):
        known = getattr(sys.modules.get(kind.__module__), kind.__qualname__, None)
        if kind is known:
            arguments = [encode_value(part, refer) for part in parts(value)]
            return {"library": [kind.__module__, kind.__qualname__, arguments]}
    return {"reference": refer(value)}


def _encode_integer(value: int, _: Callable[[Any], int]) -> Encoded:
    number = int.__index__(value)
    return (
        number if -LARGEST_PLAIN_INTEGER < number < LARGEST_PLAIN_INTEGER else {"int": hex(number)}
    )


def _encode_items(name: str, base: type) -> Callable[[Any, Callable[[Any], int]], Encoded]:
    def encoder(value: Any, refer: Callable[[Any], int]) -> Encoded:
        return {name: [encode_value(item, refer) for item in base.__iter__(value)]}  # type: ignore[attr-defined]

    return encoder


def _encode_list(value: list[Any], refer: Callable[[Any], int]) -> Encoded:
    return [encode_value(item, refer) for item in list.__iter__(value)]


def _encode_dict(value: dict[Any, Any], refer: Callable[[Any], int]) -> Encoded:
    return {
        "dict": [
            [encode_value(key, refer), encode_value(item, refer)] for key, item in dict.items(value)
        ]
    }


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


def decode_value(encoded: Encoded, resolve: Callable[[int], Any]) -> Any:
    """The value of an encoding by `encode_value`; ``resolve`` returns the value of a reference.

    Raises ValueError for an encoding that `encode_value` does not make, and whatever the
    constructors of its parts raise.
    """
    if isinstance(encoded, list):
        return [decode_value(item, resolve) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    ((name, body),) = encoded.items()
    if name in _MADE:
        return _MADE[name]([decode_value(item, resolve) for item in body])
    if name == "dict":
        return {decode_value(key, resolve): decode_value(item, resolve) for key, item in body}
    if name == "int":
        return int(body, 16)
    if name in ("bytes", "bytearray"):
        return (bytes if name == "bytes" else bytearray).fromhex(body)
    if name == "library":
        module, kind, parts = body
        if (module, kind) in LIBRARY:
            constructor = getattr(__import__(module), kind)
            return constructor(*(decode_value(part, resolve) for part in parts))
    if name == "reference":
        return resolve(body)
    raise ValueError(f"unknown encoding {name!r}")


_MADE: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "complex": lambda parts: complex(*parts),
    "range": lambda parts: range(*parts),
}
