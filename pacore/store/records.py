"""Records: the small JSON objects of a store, such as commits, each under a key of its own.

A record is a frozen dataclass whose fields are those of the JSON object. How one is read, written and
checked is here and nowhere else; its types are checked strictly, and nothing is converted. A field
that has a default is left out of the object where it has it, and an unknown field is ignored, so that
fields can be added within a format version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import Field, PlainSerializer, TypeAdapter, ValidationError

from pacore.core.identity import canonical_json
from pacore.core.validation import first_fault
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import FORMAT_VERSION, numbered_key

_R = TypeVar("_R")

Time = Annotated[datetime, PlainSerializer(datetime.isoformat)]
"""A time as a record has it: in ISO 8601, with its offset from UTC."""


class BadRecord(StoreError):
    """A record that cannot be used: its ``key``, and ``why``, which names the field."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


class LaterRecord(BadRecord):
    """A record of a format ``version`` that this pacore does not know yet."""

    def __init__(self, key: str, version: int) -> None:
        known = f"this pacore knows formats up to {FORMAT_VERSION}"
        super().__init__(key, f"is of format {version}; {known}")
        self.version = version


@dataclass(frozen=True, slots=True)
class _Versioned:
    v: Annotated[int, Field(ge=1)]


_adapters: dict[type, TypeAdapter[Any]] = {}


def _adapter(kind: type) -> TypeAdapter[Any]:
    """What checks and writes records of a kind; making one takes milliseconds, so each is kept."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def encode(record: object, *, is_versioned: bool = True) -> bytes:
    """The bytes of a record in a store: canonical JSON, with the format version."""
    stated: dict[str, Any] = _adapter(type(record)).dump_python(record, exclude_defaults=True)
    return canonical_json({"v": FORMAT_VERSION, **stated} if is_versioned else stated)


def decode(data: bytes, key: str, kind: type[_R], *, is_versioned: bool = True) -> _R:
    """The record that ``data``, found under ``key``, is.

    Raises BadRecord where it is not JSON, or a field is missing or of another type; LaterRecord for a
    later format version.
    """
    try:
        if is_versioned:
            version = _adapter(_Versioned).validate_json(data, strict=True).v
            if version > FORMAT_VERSION:
                raise LaterRecord(key, version)
        record: _R = _adapter(kind).validate_json(data, strict=True)
    except ValidationError as invalid:
        raise BadRecord(key, f"cannot be used: {first_fault(invalid)}") from None
    return record


def find(store: Backend, key: str, kind: type[_R], *, is_versioned: bool = True) -> _R | None:
    """The record under a key, None where there is none. Raises as `decode`."""
    try:
        data = store.get(key)
    except KeyError:
        return None
    return decode(data, key, kind, is_versioned=is_versioned)


def read_many(store: Backend, keys: Sequence[str], kind: type[_R]) -> list[_R]:
    """The records under some keys, in their order, requested side by side.

    Raises KeyError for a key that is absent, and as `decode`.
    """
    return [decode(data, key, kind) for key, data in zip(keys, store.get_many(keys), strict=True)]


def put_new(store: Backend, key: str, record: object) -> bool:
    """Put a record if its key is absent; whether it was."""
    return store.put_new(key, encode(record))


def put_next(store: Backend, folder: str, record: object) -> None:
    """Put a record after those of a folder whose records are numbered from 0.

    Of two processes that do so at once, each leaves its own.
    """
    number = sum(1 for _ in store.list(folder))
    while not put_new(store, numbered_key(folder, number), record):
        number += 1
