"""Values within values, for properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Values = st.SearchStrategy[Any]

DEPTH = 2


def nested(leaves: Values, grow: Callable[[Values], Values]) -> Values:
    """Leaves, what ``grow`` makes of them, and what it makes of that.

    Like ``st.recursive``, whose bound on leaves is kept beside the examples and not in them: now and
    then one of its examples is not the same when it is drawn again, which hypothesis calls flaky.
    """
    values = leaves
    for _ in range(DEPTH):
        values = leaves | grow(values)
    return values
