"""Detects images that belong to a problem, since only its text is sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from pacore.core.problem import Problem, Turn
from pacore.problems.turns import MAX_SHOWN, short_repr
from pacore.problems.values import is_picture

_IN_TEXT = re.compile(
    r"!\[[^\]\n]{0,200}\]\(|<image|<img\b|\\includegraphics\b|\[image\b", re.IGNORECASE
)

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

_IMAGE_WORDS = frozenset(
    (
        "image",
        "images",
        "img",
        "imgs",
        "picture",
        "pictures",
        "figure",
        "figures",
        "photo",
        "diagram",
    )
)

_OTHER_IMAGE_WORDS = frozenset(
    ("answer", "solution", "rationale", "explanation", "preview", "thumbnail", "icon", "logo")
)


def shows_image(turns: Sequence[Turn]) -> bool:
    """Whether the text of a problem has the markup of an image."""
    return any(_IN_TEXT.search(turn.content) for turn in turns)


def is_illustrated(problem: Problem) -> bool:
    """Whether a problem seems to need an image: by its text, or by a field with such a name."""
    named = any(_is_of_images(name) and value for name, value in problem.metadata.items())
    return named or shows_image(problem.turns)


def shown_picture(turns: Sequence[Turn], fields: Mapping[str, object]) -> str | None:
    """The name, in one line, of a field with an image that belongs to the problem; None without one.

    An image belongs to the problem in a field with such a name (``image``, ``image_2``,
    ``decoded_image``; not ``rationale_image``), and in any field where the text has an image's markup.
    """
    pictures = [str(name) for name, value in fields.items() if is_picture(value)]
    if not pictures:
        return None
    is_any = shows_image(turns)
    name = next((name for name in pictures if is_any or _is_of_images(name)), None)
    if name is None or (name.isprintable() and 0 < len(name) <= MAX_SHOWN):
        return name
    return short_repr(name)


@lru_cache(maxsize=1024)
def _is_of_images(name: str) -> bool:
    words = {word.lower() for word in _WORD.findall(name)}
    return bool(words & _IMAGE_WORDS) and not words & _OTHER_IMAGE_WORDS
