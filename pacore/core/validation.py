"""What pydantic found wrong with data, in words for a person: the place, and what is wrong there.

Pydantic's own words ("Extra inputs are not permitted") say what a program expected. The words here say
what a value must be, and for a name that is not known which known one is near it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from pacore.errors import BadInput
from pacore.text import did_you_mean

Model = TypeVar("Model", bound=BaseModel)

UNKNOWN = "is not a known name"
"""Said of a name for which there is no field, where none is near."""

_WORDS = {
    "missing": "is needed",
    "extra_forbidden": UNKNOWN,
    "unexpected_keyword_argument": UNKNOWN,
    "string_type": "must be text",
    "string_pattern_mismatch": "must have the form {pattern}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "has too many digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object: names, each with a value",
    "mapping_type": "must be an object: names, each with a value",
    "model_type": "must be an object: names, each with a value",
    "dataclass_type": "must be an object: names, each with a value",
    "json_invalid": "is not JSON: {error}",
    "union_tag_not_found": "needs the name {discriminator}",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}",
}
"""By pydantic's types of errors; any other keeps pydantic's words."""

_NUMBERED = {
    "string_too_short": ("min_length", "must have at least {n} characters"),
    "string_too_long": ("max_length", "must have at most {n} characters"),
    "too_short": ("min_length", "must have at least {n} values"),
    "too_long": ("max_length", "must have at most {n} values"),
}

SLUG = r"^[a-z][a-z0-9-]{0,39}$"
"""The form of a name that is part of the names of runs."""

IDENTIFIER = r"^[^\W\d]\w*$"
"""The form of a name in a program."""

_FORMS = {
    SLUG: "must begin with a small letter, and have only small letters, digits and dashes (40 at most)",
    IDENTIFIER: "must be a name as programs have them: letters, digits and _, no digit first",
}

_QUOTED = re.compile(r"'([^']*)'")


class FieldFault(NamedTuple):
    """One wrong field: its place, as names and list indices from the outside in, and the reason.

    ``is_missing`` is true where the field is required and was not given.
    """

    place: tuple[str | int, ...]
    what: str
    is_missing: bool = False

    def __str__(self) -> str:
        """``tests.3.output: is needed``; the reason alone where all of the data is meant."""
        place = ".".join(str(part) for part in self.place)
        return f"{place}: {self.what}" if place else self.what


def field_faults(invalid: ValidationError) -> list[FieldFault]:
    """Everything that is wrong, in the order of the fields; no text holds a value of the data."""
    return [
        FieldFault(fault["loc"], _words(fault), fault["type"] == "missing")
        for fault in invalid.errors(include_url=False)
    ]


def first_fault(invalid: ValidationError) -> FieldFault:
    """The first thing that is wrong."""
    return field_faults(invalid)[0]


def validated(model: type[Model], values: Any, of: str = "") -> Model:
    """A model of ``values``. Raises BadInput with the first thing that is wrong, after ``of``."""
    try:
        return model.model_validate(values)
    except ValidationError as invalid:
        raise BadInput(f"{of}{first_fault(invalid)}") from None


class PlainModel(BaseModel):
    """A model that whoever validates it, Prefect too, finds wrong in the words of this module.

    ``FORMS`` has for a pattern what it wants, in words. A subclass with checks across fields has a
    validator of its own after them that calls `in_plain_words`: a base's comes before.
    """

    FORMS: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="wrap")
    @classmethod
    def _fields_in_plain_words(cls, data: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        return cls.in_plain_words(data, validate)

    @classmethod
    def in_plain_words(cls, data: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """What ``validate`` makes of ``data``. Raises ValidationError in plain words."""
        try:
            return validate(data)
        except ValidationError as invalid:
            faults = invalid.errors(include_url=False)
            plain = [cls._reworded(fault) for fault in faults]
            raise ValidationError.from_exception_data(
                invalid.title, plain, hide_input=True
            ) from None

    @classmethod
    def _reworded(cls, fault: Mapping[str, Any]) -> InitErrorDetails:
        """The same fault in plain words, at the field that a check across fields names."""
        place, words = fault["loc"], _words(fault, cls.model_fields, cls.FORMS)
        field, separator, rest = words.partition(": ")
        if not place and separator and field in cls.model_fields:
            place, words = (field,), rest
        kind = PydanticCustomError(fault["type"], "{words}", {"words": words})
        return InitErrorDetails(type=kind, loc=place, input=fault["input"])


def _words(
    fault: Mapping[str, Any], known: Iterable[str] = (), forms: Mapping[str, str] | None = None
) -> str:
    """What is wrong. A name that is near to what was given is told; what was given may be a secret."""
    kind, context = fault["type"], fault.get("ctx", {})
    if "words" in context:
        return str(context["words"])
    if kind == "extra_forbidden" and len(fault["loc"]) == 1:
        return _WORDS[kind] + did_you_mean(str(fault["loc"][0]), known)
    if kind in ("literal_error", "enum"):
        choices = _QUOTED.findall(context["expected"]) or [context["expected"]]
        near = did_you_mean(str(fault["input"]), choices)
        return f"must be {'one of ' * (len(choices) > 1)}{', '.join(choices)}{near}"
    if kind == "string_pattern_mismatch":
        known_forms = {**_FORMS, **(forms or {})}
        if (words := known_forms.get(context["pattern"])) is not None:
            return words
    if kind in _NUMBERED:
        name, words = _NUMBERED[kind]
        return "must not be empty" if context[name] == 1 else words.format(n=context[name])
    own = fault["msg"].removeprefix("Value error, ")
    return " ".join(_WORDS[kind].format(**context).split() if kind in _WORDS else own.split())
