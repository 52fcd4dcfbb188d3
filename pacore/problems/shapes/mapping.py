"""The user's mapping of a file's fields to the parts of a problem, for files of no known shape.

    problem=Prompt,answer=Final.value,id=uid,grader=numeric,without=image

Each part but ``grader``, which is a grader's name, is a path: names of fields joined by dots, and
numbers into lists. A name may have dots and commas itself. ``without`` names columns to leave out,
several of them joined by commas: the rest is read as if the file had none of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pacore.core.config.mapping import FieldMapping
from pacore.problems.parts import Field as FoundField
from pacore.problems.parts import ProblemParts
from pacore.problems.shapes.choices import choice_parts, decoded_options
from pacore.problems.shapes.plain import other_parts, single
from pacore.problems.shapes.shape import RowFields, Shape, without
from pacore.problems.turns import NoteIssue, kind_of

_PLACE = re.compile(r"-?[0-9]{1,9}")


def paths_in(mapping: FieldMapping, row: Any) -> set[tuple[str, str]]:
    """The pairs of `paths_wanted` whose path exists in a row."""
    is_one = mapping.get("without") in row
    return {
        (name, path)
        for name, path in paths_wanted(mapping)
        if found_at(row, path) is not None or (name == "without" and is_one)
    }


def paths_wanted(mapping: FieldMapping) -> list[tuple[str, str]]:
    """Pairs of part and path that some row must have; one for each column to leave out."""
    wanted = [
        (name, path) for name, path in mapping.items() if path and name not in ("grader", "without")
    ]
    return [*wanted, *(("without", name) for name in _columns(mapping.get("without", "")))]


def without_columns(mapping: FieldMapping, row: RowFields) -> RowFields:
    """A row without the columns that a mapping leaves out."""
    if not (named := mapping.get("without")):
        return row
    # The whole text may also be the name of one column with commas.
    return without(row, (named, *_columns(named)))


def _columns(named: str) -> list[str]:
    return [name.strip() for name in named.split(",") if name.strip()]


def mapped_parts(
    mapping: FieldMapping, shape: Shape, row: RowFields, note: NoteIssue
) -> ProblemParts:
    """The parts of a row under a mapping.

    A mapping with ``problem`` replaces the shape: the parts that it does not have are found by the
    names of plain rows. Any other mapping replaces only the id and the grader of the shape's parts.
    """
    parts = _mapped_problem(mapping, row, note) if "problem" in mapping else shape.parts(row, note)
    if "id" in mapping:
        parts = replace(parts, problem_id=_field(mapping["id"], row))
    if "grader" in mapping:
        grader = mapping["grader"]
        parts = replace(parts, grader=FoundField("grader", grader) if grader else None)
    return parts


def _mapped_problem(mapping: FieldMapping, row: RowFields, note: NoteIssue) -> ProblemParts:
    others = other_parts(row)
    statement = _field(mapping["problem"], row)
    if statement is not None:
        statement = FoundField(statement.name, single(statement.value))
    else:
        note(mapping["problem"], "missing; it is mapped to the problem")
    gold = _field(mapping["answer"], row) if "answer" in mapping else others.gold
    parts = replace(
        others,
        statement=statement,
        gold=gold,
        metadata=without(others.metadata, list(mapping.values())),
    )
    if "options" not in mapping or statement is None:
        return parts
    listed = _field(mapping["options"], row)
    options = None if listed is None else decoded_options(listed.value)
    if listed is None or options is None:
        what = "missing" if listed is None else f"is {kind_of(listed.value)}"
        note(mapping["options"], f"{what}; must be a list of options, or an object of them")
        return parts
    if not isinstance(statement.value, str):
        note(statement.name, f"is {kind_of(statement.value)}; a problem with options is text")
        return parts
    answers = [] if gold is None or gold.value == "" else [gold]
    chosen = choice_parts(statement, FoundField(listed.name, options), answers, note)
    return replace(parts, statement=chosen.statement, gold=chosen.gold, grader=chosen.grader)


def _field(path: str, row: RowFields) -> FoundField | None:
    """The field at a path; None where it does not exist or is null."""
    found = found_at(row, path) if path else None
    return None if found is None or found[0] is None else FoundField(path, found[0])


def found_at(value: Any, path: str) -> tuple[Any] | None:
    """The value at a path, in a tuple; None where it does not exist. Longer names take precedence."""
    if isinstance(value, Mapping):
        if path in value:
            return (value[path],)
        head = path
        while "." in head:
            head = head.rpartition(".")[0]
            if head in value and (found := found_at(value[head], path[len(head) + 1 :])):
                return found
    if isinstance(value, list):
        place, dot, rest = path.partition(".")
        if _PLACE.fullmatch(place) and -len(value) <= int(place) < len(value):
            return found_at(value[int(place)], rest) if dot else (value[int(place)],)
    return None


MOST_LISTED = 30

_PATH_CHARACTERS = 60


def listed_paths(row: RowFields) -> list[str]:
    """The paths in a row for messages: its fields, and those of objects one level deep."""
    found = []
    for name, value in row.items():
        inner = [f"{name}.{key}" for key in value] if isinstance(value, Mapping) else []
        found += inner or [str(name)]
    listed = [path if path.isprintable() else ascii(path) for path in found[:MOST_LISTED]]
    listed = [
        path if len(path) <= _PATH_CHARACTERS else f"{path[:_PATH_CHARACTERS]}…" for path in listed
    ]
    return [*listed, "…"] if len(found) > MOST_LISTED else listed
