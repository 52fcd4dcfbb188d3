"""Reads rows from a Parquet file with any column types, with a small batch in memory at a time.

Every type is converted, so that an unused column of nanoseconds, durations or bytes causes no error:
times become text (ISO 8601), floats of fewer than 64 bits the shortest decimal that rounds to them,
extension types their storage values.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import date, time, timedelta
from io import SEEK_END
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pacore.errors import BadInput
from pacore.problems.formats.bytes import PARQUET_MAGIC, seekable
from pacore.problems.formats.rows import DecodedRow, Rows
from pacore.problems.values import plain, text_or_bytes

SHORT_FLOATS = {16: "e", 32: "f"}

_MOST_DIGITS = 9


def parquet_rows(
    file: BinaryIO,
    batch_rows: int = 256,
    choose: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> Rows:
    """The rows of a Parquet file, ``batch_rows`` of them in memory at a time.

    No other columns are read than those that ``choose`` takes of their names. A file that cannot seek is
    copied to disk first. Raises BadInput for a file that is no complete Parquet file, or cannot be read.
    """
    with seekable(file) as whole:
        for number, row in enumerate(_dicts(whole, batch_rows, choose), 1):
            yield DecodedRow(number, row)


def _dicts(
    file: BinaryIO,
    batch_rows: int,
    choose: Callable[[Sequence[str]], Sequence[str]] | None,
) -> Iterator[dict[str, object]]:
    try:
        with pq.ParquetFile(file) as parquet:
            names = parquet.schema_arrow.names
            if twice := [name for name in names if names.count(name) > 1]:
                raise BadInput(f"column {twice[0]!r} occurs twice in the file")
            read = None if choose is None else list(choose(names))
            names = read or names
            for batch in parquet.iter_batches(
                batch_size=batch_rows, columns=read, use_threads=False
            ):
                columns = [array_values(batch.column(name)) for name in names]
                for cells in zip(*columns, strict=True):
                    yield dict(zip(names, cells, strict=True))
    except pa.ArrowException as fault:
        raise BadInput(_fault(file, str(fault).splitlines()[0])) from fault


def _fault(file: BinaryIO, what: str) -> str:
    """The message for a file that Arrow cannot read; a Parquet file has a mark at both ends."""
    if file.seek(0, SEEK_END) == 0:
        return "is empty"
    file.seek(0)
    begins = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    file.seek(max(len(PARQUET_MAGIC), file.seek(0, SEEK_END) - len(PARQUET_MAGIC)))
    if begins and file.read() != PARQUET_MAGIC:
        return "is a Parquet file that is cut short: its end is missing"
    return (
        f"is a Parquet file that cannot be read: {what}"
        if begins
        else f"is not a Parquet file: {what}"
    )


def array_values(array: pa.Array) -> list[Any]:
    """A column as a list of Python values of JSON's types, decimals and bytes."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return [None if one is None else str(one) for one in array.to_pylist()]
        is_bool = kind.extension_name == "arrow.bool8"
        return array_values(array.storage.cast(pa.bool_()) if is_bool else array.storage)
    if pa.types.is_dictionary(kind):
        return array_values(array.dictionary_decode())
    if pa.types.is_map(kind):
        return [None if not one.is_valid else _map(array_values(one.values)) for one in array]
    if pa.types.is_struct(kind):
        return _structs(array)
    if pa.types.is_nested(kind) and _needs_conversion(kind.value_type):
        return [array_values(one.values) if one.is_valid else None for one in array]
    if convert := _converter(kind):
        return convert(array)
    values: list[Any] = array.to_pylist()
    return values


def _needs_conversion(kind: pa.DataType) -> bool:
    """Whether Arrow's own conversion of a type is not used."""
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_dictionary(kind):
        return True
    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        return True
    if pa.types.is_nested(kind):
        return _needs_conversion(kind.value_type)
    return _converter(kind) is not None


def _structs(array: pa.Array) -> list[Any]:
    names = [array.type.field(index).name for index in range(array.type.num_fields)]
    columns = [array_values(column) for column in array.flatten()]
    rows = zip(*columns, strict=True) if columns else (() for _ in range(len(array)))
    is_valid = array.is_valid().to_pylist()
    return [
        dict(zip(names, cells, strict=True)) if valid else None
        for valid, cells in zip(is_valid, rows, strict=True)
    ]


def _map(entries: list[dict[str, object]]) -> Any:
    """A map as an object; as a list of pairs where two of its keys are the same text."""
    pairs = [tuple(entry.values()) for entry in entries]
    found = {str(key): value for key, value in pairs}
    return found if len(found) == len(pairs) else [list(pair) for pair in pairs]


def _converter(kind: pa.DataType) -> Callable[[pa.Array], list[Any]] | None:
    """The conversion of a flat type; None where Arrow's own is used."""
    types = pa.types
    if types.is_floating(kind) and kind.bit_width in SHORT_FLOATS:
        return _short_floats
    if types.is_temporal(kind):
        return _times
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _texts
    if any(
        is_kind(kind) for is_kind in (types.is_binary, types.is_large_binary, types.is_binary_view)
    ) or types.is_fixed_size_binary(kind):
        return lambda array: [
            None if one is None else text_or_bytes(one) for one in array.to_pylist()
        ]
    return None


def _texts(array: pa.Array) -> list[Any]:
    """Texts; bytes for each that is not UTF-8."""
    try:
        values: list[Any] = array.to_pylist()
    except UnicodeDecodeError:
        kind = pa.large_binary() if pa.types.is_large_string(array.type) else pa.binary()
        found = array.cast(kind).to_pylist()
        return [None if one is None else text_or_bytes(one) for one in found]
    return values


def _short_floats(array: pa.Array) -> list[float | None]:
    code = SHORT_FLOATS[array.type.bit_width]
    return [None if value is None else _shortest(value, code) for value in array.to_pylist()]


def _shortest(value: float, code: str) -> float:
    """The decimal with the fewest digits that rounds to a short float: 0.1, not 0.10000000149."""
    if not math.isfinite(value) or value.is_integer():
        return value
    for digits in range(1, _MOST_DIGITS):
        rounded = float(f"{value:.{digits}g}")
        if struct.unpack(code, struct.pack(code, rounded))[0] == value:
            return rounded
    return value


def _times(array: pa.Array) -> list[str | None]:
    """Times and dates as ISO 8601; those that Python cannot represent in Arrow's format."""
    try:
        found = array.to_pylist()
    except (ValueError, OverflowError, LookupError):
        return _arrow_times(array)
    if not all(one is None or isinstance(one, date | time | timedelta) for one in found):
        return _arrow_times(array)
    return [None if one is None else str(plain(one)) for one in found]


def _arrow_times(array: pa.Array) -> list[str | None]:
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        # The time zone is unknown to Python: the time is converted to UTC.
        array = array.cast(pa.timestamp(kind.unit))
    texts = array.cast(pa.string()).to_pylist()
    if pa.types.is_duration(kind):
        return [None if text is None else f"{text} {kind.unit}" for text in texts]
    return [None if text is None else text.replace(" ", "T", 1) for text in texts]
