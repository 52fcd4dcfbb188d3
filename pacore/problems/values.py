"""Converts values from files to text and to plain JSON, whatever their type. Pure.

Parquet has decimals, times and bytes, JSON has NaN, and data frames write integers as floats. An id or
an answer is converted to the usual text for it; every other value to JSON that can be stored, so that
the types of unused columns cause no errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import JsonValue

from pacore.core.identity import sha256_hex

EXACT_FLOATS = 2**53

MAX_LEVELS = 32
"""Lists and objects nested deeper than this are cut off in metadata."""

CUT = "…"

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

_UNREADABLE_BYTES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_REPLACEMENT = "\ufffd"

DATA_URL = "data:image/"

_IMAGE_BYTES = re.compile(
    rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II\*\0|MM\0\*|....ftyp(?:avif|heic)"
    rb"|\s*(?:<\?xml[^>]{0,200}>\s*)?<svg\b",
    re.DOTALL,
)

_IMAGE_TEXT = re.compile(
    r"(?:iVBORw0KGgo|/9j/[2-4]|R0lGOD[dl]h|UklGR[0-9A-Za-z+/]{8}V0VCU)[0-9A-Za-z+/]*"
)


def sole_item(value: Any) -> Any:
    """The item of a list of length one, repeatedly; any other value unchanged."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def text_of(value: Any) -> str | None:
    """The text of an id, a statement or an answer; None for a value that is no single text or number.

    ``12.0`` is ``12`` (data frames write integers so), a decimal keeps its zeros (``0.50``), a truth
    value is ``True`` or ``False``, bytes are decoded as UTF-8, and a list of length one is its item.
    NaN, the infinities and other bytes have no text.
    """
    value = sole_item(value)
    if isinstance(value, bytes):
        value = text_or_bytes(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        is_whole = value.is_integer() and abs(value) < EXACT_FLOATS
        return str(int(value) if is_whole else value)
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    return str(value) if isinstance(value, str | int) else None


def is_nan(value: Any) -> bool:
    """Whether a value is NaN, which data frames have for a missing value."""
    value = sole_item(value)
    return isinstance(value, float | Decimal) and math.isnan(value)


def text_or_bytes(value: bytes) -> str | bytes:
    """Bytes decoded as UTF-8, since some Parquet writers store text as bytes; else unchanged."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return value
    return value if _UNREADABLE_BYTES.search(text) else text


def plain(value: Any, levels: int = MAX_LEVELS) -> JsonValue:
    """A value as JSON that can be stored.

    NaN and the infinities become their names, decimals and times text (ISO 8601), bytes that are no
    text their number and sha256; NUL and lone surrogates become U+FFFD; values nested deeper than
    ``levels`` are replaced by `CUT`.
    """
    if isinstance(value, bytes):
        value = text_or_bytes(value)
    if isinstance(value, str):
        return storable(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _NAMES.get(value, "NaN")
    if isinstance(value, bytes):
        return {"bytes": len(value), "sha256": sha256_hex(value)}
    if isinstance(value, Mapping | list | tuple):
        return _plain_nested(value, levels)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"PT{value.total_seconds():f}".rstrip("0").rstrip(".") + "S"
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else str(value)
    return str(value) if isinstance(value, UUID) else storable(repr(value))


def _plain_nested(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], levels: int) -> JsonValue:
    if levels == 0:
        return CUT
    if isinstance(value, Mapping):
        return {storable(str(name)): plain(one, levels - 1) for name, one in value.items()}
    return [plain(one, levels - 1) for one in value]


_NAMES = {math.inf: "Infinity", -math.inf: "-Infinity"}


def storable(text: str) -> str:
    """A text that tables can store: NUL and lone surrogates are replaced by U+FFFD."""
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def is_picture(value: Any) -> bool:
    """Whether a value is an image: bytes, an object with ``bytes``, base64 text, or a data URL.

    Images are recognised by the first bytes of their formats.
    """
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            one = one.get("bytes")
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, str):
            if one[: len(DATA_URL)].lower() == DATA_URL or _IMAGE_TEXT.match(one):
                return True
        elif isinstance(one, bytes) and _IMAGE_BYTES.match(one):
            return True
    return False
