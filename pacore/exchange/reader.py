"""Reads the passes of a file in any format, with the problem of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pacore.core.problem import Problem, possible_ids
from pacore.core.prompt import prompt_digest
from pacore.errors import BadInput
from pacore.exchange.openai_batch import BatchPrompts, BatchRows
from pacore.exchange.reference import ROW_READERS, FileFormat, ImportedPass, ImportedRow
from pacore.exchange.source import SourceFile
from pacore.problems.formats.rows import RowFault
from pacore.problems.issues import RowIssue

POSITION = re.compile(r"req_(?P<row>[0-9]{1,9})")

FORMATS: tuple[FileFormat, ...] = ("reference", "pacore-train", "openai-batch")


def detect(source: SourceFile) -> FileFormat:
    """The format of a file, from the fields of its first row. Raises BadInput."""
    first = next(source.rows(), None)
    if first is None:
        raise BadInput(f"{source.url}: has no rows")
    if isinstance(first, RowFault):
        raise BadInput(f"{source.url}:{first.line}: {first.what}")
    found = set(first.value) if isinstance(first.value, Mapping) else set()
    if "request_id" in found and found & {"round_responses", "error"}:
        return "reference"
    if {"conversation", "responses"} <= found:
        return "pacore-train"
    if "custom_id" in found and found & {"response", "error"}:
        return "openai-batch"
    known = ", ".join(FORMATS)
    raise BadInput(
        f"{source.url}:{first.line}: unknown format; name it with --format: "
        f"{known}, or a folder that `pacore export` wrote"
    )


class MatchedRow(NamedTuple):
    """The passes over one problem in one row of the file."""

    line: int
    problem: Problem
    passes: tuple[ImportedPass, ...]


@dataclass(frozen=True)
class PassReader:
    """Reads a file row by row; can be iterated repeatedly.

    With ``problems`` None the problems are those in the rows themselves. ``by_row`` has the problem id
    of each row of the problem set's file that has no id: the reference implementation names the problem
    of row N, from 0, ``req_N`` then.
    """

    source: SourceFile
    form: FileFormat
    problems: list[Problem] | None
    prompts: BatchPrompts | None = None
    by_row: Sequence[str] = ()
    _by_id: dict[str, Problem] = field(default_factory=dict, init=False)
    _by_turns: dict[str, Problem] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for problem in self.problems or ():
            self._by_id[problem.problem_id] = problem
            self._by_turns[prompt_digest(problem.turns)] = problem

    def __iter__(self) -> Iterator[MatchedRow | list[RowIssue]]:
        batch = BatchRows(self.prompts, set(self._by_id)) if self.form == "openai-batch" else None
        read: Any = batch.read if batch is not None else ROW_READERS[self.form]
        for row in self.source.rows():
            if isinstance(row, RowFault):
                yield [RowIssue(self.source.url, row.line, row.field, row.what)]
                continue
            result = read(row.value, self.source.url, row.line)
            yield self._matched(result) if isinstance(result, ImportedRow) else result
        if batch is not None:
            yield from (self._matched(row) for row in batch.unanswered())

    def _matched(self, row: ImportedRow) -> MatchedRow | list[RowIssue]:
        problem = row.problem
        if self.problems is not None:
            problem = self._named(row.name) if row.name is not None else None
            if problem is None and row.problem is not None:
                problem = self._by_turns.get(prompt_digest(row.problem.turns))
        if problem is None:
            named = "conversation" if row.problem is not None else _NAMED[self.form]
            shown = f"{row.name!r}" if row.name is not None else "this conversation"
            what = f"the problem set has no problem {shown}"
            return [RowIssue(self.source.url, row.line, named, what)]
        return MatchedRow(row.line, problem, row.passes)

    def _named(self, name: str) -> Problem | None:
        """The problem with a name: its id, its name in its file, or the number of its row."""
        for problem_id in possible_ids(name):
            if problem_id in self._by_id:
                return self._by_id[problem_id]
        numbered = POSITION.fullmatch(name)
        row = int(numbered["row"]) if numbered else len(self.by_row)
        return self._by_id.get(self.by_row[row]) if row < len(self.by_row) else None


_NAMED: dict[str, str] = {
    "reference": "request_id",
    "pacore-train": "id",
    "openai-batch": "custom_id",
}
