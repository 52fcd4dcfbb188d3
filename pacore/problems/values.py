"""Values of other people's files as text and as plain JSON, whatever type a format gave them. Pure.

Parquet knows decimals, times and bytes, JSON knows NaN, and data frames write whole numbers as
floats. An id or an answer becomes the text a person would write for it; everything else becomes JSON
that can be stored, so that a column nobody uses never stops a problem set.
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


def unwrapped(value: Any) -> Any:
    """What a list of one holds, as deep as that goes; any other value as it is."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def text_of(value: Any) -> str | None:
    """The text of an id, a statement or an answer; None for what is no single text or number.

    ``12.0`` is ``12`` (data frames write whole numbers so), a decimal keeps its zeros (``0.50``), a
    truth value is ``True`` or ``False``, bytes count where they are UTF-8, and a list of one is what
    it holds. NaN and the infinities have no text.
    """
    value = unwrapped(value)
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
    """Whether a value is the "not a number" that data frames put where there is none."""
    value = unwrapped(value)
    return isinstance(value, float | Decimal) and math.isnan(value)


def text_or_bytes(value: bytes) -> str | bytes:
    """Bytes as the text they are in UTF-8, as some writers of Parquet store text; else as they are."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return value
    return value if _UNREADABLE_BYTES.search(text) else text


def plain(value: Any, levels: int = MAX_LEVELS) -> JsonValue:
    """A value as JSON that can be stored.

    NaN and the infinities become their names, decimals and times text (ISO 8601), bytes that are not
    text their number and sha256; NUL and lone surrogates become U+FFFD; what is nested deeper than
    ``levels`` is cut off.
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
    """A text without what no table takes: NUL and lone surrogates."""
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def is_picture(value: Any) -> bool:
    """Whether a value is an image: its bytes, bytes with a path as data sets have it, base64, a data URL.

    What counts are the first bytes of the known formats, not that there are bytes.
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
