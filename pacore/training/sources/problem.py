"""A problem as a source gives it, or a row of a source that is none; and those of problem sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pacore.core.config.training import SetSource
from pacore.core.problem import Problem
from pacore.problems.files import read_problem_rows
from pacore.problems.parts import IMAGE


class SourceProblem(NamedTuple):
    """A problem of a source. ``key`` are the parameters of a generated one, which tell it from all others
    of its family however alike their texts are; None of a problem that somebody wrote.
    """

    problem: Problem
    key: str | None = None


class UnreadRow(NamedTuple):
    """A row of a source without a problem: where it stands, and why, in a line.

    ``is_image``: the problem has an image, and nothing else is wrong.
    """

    place: str
    why: str
    is_image: bool = False


def problems_of_set(source: SetSource) -> Iterator[SourceProblem | UnreadRow]:
    """Each row of the files with its problem, or why it has none. Raises BadInput for a file that cannot
    be read.
    """
    for row in read_problem_rows(source.problems, source.limit, source.fields):
        found = row.reading.result
        if isinstance(found, Problem):
            yield SourceProblem(found)
        else:
            is_image = all(issue.what == IMAGE for issue in found)
            yield UnreadRow(f"{row.file}:{row.line}", str(found[0]), is_image)
