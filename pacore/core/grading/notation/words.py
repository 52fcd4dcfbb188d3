"""Normalises texts for the graders that do not parse mathematics."""

from __future__ import annotations

import re
import unicodedata

from pacore.core.grading.notation.presentation import TEXTS, bare

_TEXT_COMMAND = re.compile(
    "(?:" + "|".join(re.escape(name) for name in sorted(TEXTS, reverse=True)) + r")(?![A-Za-z])\s*"
)

_GROUP = re.compile(r"\{([^{}]*)\}")


def words(text: str, is_case_kept: bool = False) -> str:
    """A normalised text: NFKC, lower case, single spaces, no markup, no final period."""
    text = unicodedata.normalize("NFKC", text).strip().strip("$*").strip()
    if "\\" in text:
        text = unwrapped(text)
    text = text.strip().removesuffix(".")
    return " ".join((text if is_case_kept else text.casefold()).split())


def unwrapped(text: str) -> str:
    r"""A LaTeX text without presentation, text commands and the braces around words.

    ``\text{December } 7`` is ``December  7``.
    """
    text = bare(text)
    parts = _TEXT_COMMAND.split(text)
    text = parts[0] + "".join(_GROUP.sub(r"\1", part, count=1) for part in parts[1:])
    while (found := _GROUP.fullmatch(text.strip())) is not None:
        text = found[1]
    return text
