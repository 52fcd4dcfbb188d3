"""Shapes of published data sets: which row is of which, and what problem it states.

A row is of the first shape in `SHAPES` that knows it by its fields and values; the name of its file
never counts. What no other shape knows is plain. A person's mapping wins over all of them.
"""

from pacore.core.config.fields import FieldMapping, check_mapping, parse_mapping
from pacore.problems.shapes.mapping import listed_paths, paths_in, paths_wanted
from pacore.problems.shapes.plain import MISSING
from pacore.problems.shapes.recognise import (
    NO_ROW,
    SHAPES,
    Reading,
    read_row,
    recognise,
    recognised,
    states_problem,
)

__all__ = [
    "MISSING",
    "NO_ROW",
    "SHAPES",
    "FieldMapping",
    "Reading",
    "check_mapping",
    "listed_paths",
    "parse_mapping",
    "paths_in",
    "paths_wanted",
    "read_row",
    "recognise",
    "recognised",
    "states_problem",
]
