"""Problems: one question with its gold answer, as turns of a conversation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

from pydantic import JsonValue

from pacore.errors import BadInput
from pacore.identity import canonical_json, digest

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = get_args(Role)
OBSERVATIONS = ("user", "tool")

MAX_PRINTED_ISSUES = 50
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Turn:
    """One chat dict: a role and plain text."""

    role: Role
    content: str

    def as_json(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True)
class Problem:
    """One question x with its gold answer.

    ``turns`` ends with the last observation (a user or tool turn), which is what the synthesis
    prompt replaces. ``grader`` is a canonical spec (`pacore.grader`); None means: chosen from the
    gold answer. ``metadata`` holds the row's other fields and is no part of the problem's identity.
    """

    problem_id: str
    turns: tuple[Turn, ...]
    gold: str | None = None
    grader: str | None = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict, compare=False, hash=False)

    @cached_property
    def content_digest(self) -> str:
        """sha256 of what the question and its gold answer say, 64 hex characters; no id in it."""
        return content_digest(self.turns, self.gold, self.grader)

    @property
    def statement(self) -> str:
        """The last observation's text."""
        return self.turns[-1].content


def content_digest(turns: Sequence[Turn], gold: str | None, grader: str | None) -> str:
    return digest({"turns": [turn.as_json() for turn in turns], "gold": gold, "grader": grader})


@dataclass(frozen=True, slots=True)
class RowIssue:
    """One thing wrong with one row of a problem set: where, which field, and what.

    ``line`` is 1-based: a physical line, or the number of the row where a format has no lines;
    0 where the fault has no place.
    """

    file: str
    line: int
    field: str
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field}: {self.what}" if self.field else f"{place}: {self.what}"


class Issues:
    """What is wrong with one row, noted field by field."""

    def __init__(self, file: str, line: int) -> None:
        self.found: list[RowIssue] = []
        self.line = line
        self._file = file

    def note(self, field: str, what: str) -> None:
        """``field`` is what the file calls it: names of fields may hold anything."""
        place = field if field.isprintable() else ascii(field)
        self.found.append(RowIssue(self._file, self.line, place, what))


class BadProblems(BadInput):
    """A problem set with bad rows: ``issues`` has every one of them, the text the first 50."""

    def __init__(self, issues: Sequence[RowIssue]) -> None:
        self.issues = tuple(issues)
        printed = [str(issue) for issue in self.issues[:MAX_PRINTED_ISSUES]]
        if more := len(self.issues) - len(printed):
            printed.append(f"… and {more} more")
        super().__init__("\n".join(printed))


def merge(
    rows: Sequence[tuple[Problem, str, int]],
) -> tuple[list[Problem], list[RowIssue]]:
    """Sort by id, keep one of identical rows, and report ids that stand for different content.

    Each row comes with its file and line. Where identical problems carry different metadata, the
    one kept depends on the metadata alone, not on the order of the rows.
    """
    firsts: dict[str, tuple[Problem, str, int]] = {}
    kept: dict[str, Problem] = {}
    issues = []
    for problem, file, line in rows:
        first, first_file, first_line = firsts.setdefault(problem.problem_id, (problem, file, line))
        if first.content_digest != problem.content_digest:
            what = (
                f"duplicate {problem.problem_id!r}: {first_file}:{first_line} has the same id "
                "with other content"
            )
            issues.append(RowIssue(file, line, "id", what))
        other = kept.setdefault(problem.problem_id, problem)
        kept[problem.problem_id] = min(other, problem, key=_metadata_key)
    return [kept[problem_id] for problem_id in sorted(kept)], issues


def _metadata_key(problem: Problem) -> bytes:
    return canonical_json(problem.metadata)


def set_digest(problems: Sequence[Problem]) -> str:
    """sha256 over the ids and contents of a problem set, whatever the order of its rows."""
    pairs = sorted((problem.problem_id, problem.content_digest) for problem in problems)
    return digest(pairs)


def text_fault(text: str, *, line_breaks: bool = True) -> str | None:
    """Say what makes ``text`` unusable as data of a problem, or None if nothing does."""
    if "\x00" in text:
        return "has a NUL byte"
    if _SURROGATE.search(text):
        return "has a lone surrogate, which is not text"
    if not line_breaks and any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text):
        return "has a line break or control character"
    return None
