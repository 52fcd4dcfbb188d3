"""Problems: one question with its gold answer, as turns of a conversation, and its id.

An id is typed in shells and shown in URLs and reports. A name in a file that is usable as it is stays
as it is; any other becomes a readable id, and the name stays in the problem's metadata. As the id
follows from the name alone, the name is enough to find the problem.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, get_args

from pydantic import JsonValue

from pacore.core.identity import digest, sha256_hex
from pacore.text import did_you_mean, visible

Role = Literal["system", "user", "assistant", "tool"]


ROLES: tuple[Role, ...] = get_args(Role)


OBSERVATIONS = ("user", "tool")

MAX_PRINTED_KINDS = 12


MAX_PRINTED_PLACES = 5


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

    ``turns`` ends with the last observation (a user or tool turn), which is what the synthesis prompt
    replaces. ``grader`` is a canonical spec (`pacore.core.grading.spec`); None means: chosen from the gold
    answer. ``metadata`` holds the row's other fields, ``position`` the row's number in its problem set
    from 0, None where that is not known; neither is part of the problem's identity.
    """

    problem_id: str
    turns: tuple[Turn, ...]
    gold: str | None = None
    grader: str | None = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict, compare=False, hash=False)
    position: int | None = field(default=None, compare=False, hash=False)

    @cached_property
    def content_digest(self) -> str:
        """sha256 of the question, its gold answer and grader, 64 hex characters; no id in it."""
        return content_digest(self.turns, self.gold, self.grader)

    @property
    def statement(self) -> str:
        """The last observation's text."""
        return self.turns[-1].content


def content_digest(turns: Sequence[Turn], gold: str | None, grader: str | None) -> str:
    return digest({"turns": [turn.as_json() for turn in turns], "gold": gold, "grader": grader})


class Placed(NamedTuple):
    """A problem, and the file and line it is in."""

    problem: Problem
    file: str
    line: int


def set_digest(problems: Sequence[Problem]) -> str:
    """sha256 over the ids and contents of a problem set, whatever the order of its rows."""
    pairs = sorted((problem.problem_id, problem.content_digest) for problem in problems)
    return digest(pairs)


MAX_ID_CHARACTERS = 256


DIGEST_CHARACTERS = 12

_FILE_ENDING = re.compile(r"\.(?:jsonl?|txt|ya?ml|csv|parquet)$")


_UNREADABLE = re.compile(r"[\s/\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+|\.{2,}")


def is_usable(name: str) -> bool:
    """Whether a name can be an id as it is."""
    return (
        bool(name.strip())
        and len(name) <= MAX_ID_CHARACTERS
        and text_fault(name, line_breaks=False) is None
        and not ("/" in name or "\\" in name or ".." in name)
    )


def readable_id(name: str) -> str:
    """The id of a name of a published data set: ``test/algebra/7.json`` becomes ``test-algebra-7``.

    Slashes, white space and control characters become ``-``. A name too long for an id is cut, and
    one of nothing else replaced, with a digest of it in their place. A blank name stays blank.
    """
    readable = _UNREADABLE.sub("-", _FILE_ENDING.sub("", name.strip())).strip("-")
    if not name.strip() or (readable and len(readable) <= MAX_ID_CHARACTERS):
        return readable
    digest = sha256_hex(name.encode("utf-8", "surrogatepass"))[:DIGEST_CHARACTERS]
    return f"{readable[: MAX_ID_CHARACTERS - DIGEST_CHARACTERS - 1] or 'id'}-{digest}"


def problem_id_of(name: str) -> str:
    """The id of a name that a file has: itself where it is usable, else `readable_id`."""
    return name if is_usable(name) else readable_id(name)


MOST_LISTED = 5
"""Problems that a message names."""


def possible_ids(name: str) -> tuple[str, ...]:
    """The ids that a problem called ``name`` may have, the likeliest first."""
    return tuple(dict.fromkeys((name, problem_id_of(name), readable_id(name))))


def no_such_problem(run_id: str, problem_id: str, known: Sequence[str]) -> str:
    """The message for a problem that a run does not have, with those that may be meant."""
    near = did_you_mean(problem_id, known)
    first = ", ".join(sorted(known)[:MOST_LISTED])
    return visible(
        f"run {run_id} has no problem {problem_id!r}"
        f"{near or f'; the first of its {len(known):,} problems: {first}'}"
    )


def original_name(problem_id: str, metadata: Mapping[str, JsonValue]) -> str:
    """What a problem's file calls it: the name its id was made from, or the id itself."""
    names = (value for value in metadata.values() if isinstance(value, str))
    made = (name for name in names if problem_id in possible_ids(name)[1:])
    return next(made, problem_id)


_SURROGATE = re.compile("[\ud800-\udfff]")


def text_fault(text: str, *, line_breaks: bool = True) -> str | None:
    """What makes ``text`` unusable as data of a problem, or None if nothing does."""
    if "\x00" in text:
        return "has a NUL byte"
    if _SURROGATE.search(text):
        return "has a lone surrogate, which is not text"
    if not line_breaks and any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text):
        return "has a line break or control character"
    return None
