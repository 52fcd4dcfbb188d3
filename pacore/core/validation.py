"""What pydantic found wrong with data, in words for a person: the place, and what is wrong there."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import ValidationError


class FieldFault(NamedTuple):
    """One wrong field: its place, as names and list indices from the outside in, and the reason.

    ``is_missing`` is true where the field is required and was not given.
    """

    place: tuple[str | int, ...]
    what: str
    is_missing: bool = False

    def __str__(self) -> str:
        """``tests.3.output: Field required``; the reason alone where all of the data is meant."""
        place = ".".join(str(part) for part in self.place)
        return f"{place}: {self.what}" if place else self.what


def field_faults(invalid: ValidationError) -> list[FieldFault]:
    """Everything that is wrong, in the order of the fields; no text holds a value of the data."""
    return [
        FieldFault(
            fault["loc"],
            " ".join(fault["msg"].removeprefix("Value error, ").split()),
            fault["type"] == "missing",
        )
        for fault in invalid.errors(include_url=False, include_input=False)
    ]


def first_fault(invalid: ValidationError) -> FieldFault:
    """The first thing that is wrong."""
    return field_faults(invalid)[0]
