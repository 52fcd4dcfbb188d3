"""Ids of problems: what of a name in a file can be one, and which ids a typed name may mean. Pure.

An id is typed in shells, stands in URLs and in reports. A name that is usable as it is stays as it
is; any other becomes a readable id, and the name stays in the problem's metadata. As the id follows
from the name alone, whoever has the name finds the problem.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

from pacore.identity import sha256_hex
from pacore.problem_values import text_fault

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


def possible_ids(name: str) -> tuple[str, ...]:
    """The ids of the problem that somebody calls ``name``, the likeliest first."""
    return tuple(dict.fromkeys((name, problem_id_of(name), readable_id(name))))


def original_name(problem_id: str, metadata: Mapping[str, JsonValue]) -> str:
    """What a problem's file calls it: the name its id was made from, or the id itself."""
    names = (value for value in metadata.values() if isinstance(value, str))
    made = (name for name in names if problem_id in possible_ids(name)[1:])
    return next(made, problem_id)
