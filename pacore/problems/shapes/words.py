"""Synonyms of column names, without case, spaces, underscores and hyphens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

STATEMENT_WORDS = (
    "problem",
    "question",
    "problemstatement",
    "input",
    "query",
    "text",
    "contextmessages",
)

GOLD_WORDS = (
    "answer", "shortanswer", "finalanswer", "expectedanswer", "groundtruth", "label", "target",
    "correctanswer", "gold", "goldanswer", "referenceanswer",
)  # fmt: skip

ID_WORDS = ("problemid", "id", "questionid", "recordid")

_NO_LETTER = re.compile(r"[\s_-]+")


@lru_cache(maxsize=4096)
def normalized_name(name: str) -> str:
    """A name without case, spaces, underscores and hyphens: ``Short Answer`` is ``shortanswer``."""
    return _NO_LETTER.sub("", name).lower()


def by_words(row: Mapping[str, object], words: tuple[str, ...]) -> list[str]:
    """The fields of a row whose normalized name is one of these words, in the order of the words."""
    named = {normalized_name(str(name)): name for name in row}
    return [named[word] for word in words if word in named]
