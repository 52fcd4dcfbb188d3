"""The one text in a pickle, read without running what is in it.

LiveCodeBench publishes its private tests as base64 of zlib of a pickle of JSON text. A pickle is a
program; this one is walked opcode by opcode, and anything but the few that make one text is refused.
"""

from __future__ import annotations

import base64
import pickletools
import zlib

MAX_TEXT_BYTES = 256 * 1024 * 1024
"""Most bytes that base64 text may decompress to: the tests of one problem."""

_TEXT = frozenset(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"))
_FRAME = frozenset(("PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"))


def packed_text(packed: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of base64(zlib(pickle(text))). Raises ValueError, saying in a line why there is none."""
    try:
        data = base64.b64decode(packed, validate=True)
    except ValueError as fault:
        raise ValueError("is neither JSON nor base64") from fault
    unpacker = zlib.decompressobj()
    try:
        pickled = unpacker.decompress(data, max_bytes)
    except zlib.error as fault:
        raise ValueError(f"is base64 of something that is not zlib data: {fault}") from fault
    if len(pickled) >= max_bytes and not unpacker.eof:
        raise ValueError(f"decompresses to more than {max_bytes // 1024**2} MiB")
    if not unpacker.eof:
        raise ValueError("is zlib data that is cut short")
    return pickled_text(pickled)


def pickled_text(pickled: bytes) -> str:
    """The text a pickle is of, any protocol; it is never run. Raises ValueError in one line."""
    found: list[str] = []
    end = 0
    try:
        for opcode, argument, position in pickletools.genops(pickled):
            end = 1 + (position or 0)
            if opcode.name in _TEXT and isinstance(argument, str):
                found.append(argument)
            elif opcode.name not in _FRAME:
                raise ValueError(
                    f"is a pickle of more than a text: it has the opcode {opcode.name}"
                )
            if len(found) > 1:
                raise ValueError("is a pickle of more than a text: it has a second one")
    except (ValueError, OverflowError) as fault:
        what = str(fault)
        raise ValueError(
            what if what.startswith("is a pickle") else f"is no pickle: {what}"
        ) from None
    if not found or end != len(pickled):
        raise ValueError("is no pickle of a text" if not found else "has bytes after its pickle")
    return found[0]
