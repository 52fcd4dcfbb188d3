"""Finds answers in tags: ``<answer>``, ``####``, JSON, and models' own marks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple


class Tagged(NamedTuple):
    """The content of a tag, and the offsets of the tag in the text."""

    text: str
    start: int
    end: int


_NAMES = r"final[_ -]?answer|finalanswer|answer|ans|final|solution|result"

_TAG = re.compile(rf"<(?P<close>/?)\s*(?P<name>{_NAMES})(?:\s[^<>\n]{{0,80}})?/?>", re.IGNORECASE)

_BOX = re.compile(r"<\|(?P<side>begin|end)_of_box\|>")

_HASHES = re.compile(r"####[ \t]*(?P<text>[^\n#]{1,400})")

_KEY = re.compile(
    r"[\"'](?:final[_ ]?answer|answer|correct[_ ]?answer|choice|answer[_ ]?(?:choice|letter)|result|答案"
    r"|réponse"
    r"|respuesta|resposta|antwort|ответ)[\"']\s*:\s*"
    r"(?P<value>\"(?:[^\"\\\n]|\\.){0,400}\"|'(?:[^'\\\n]|\\.){0,400}'|\[[^\[\]\n]{0,400}\]|[^\s,}\"'][^,}\n]{0,100})",
    re.IGNORECASE,
)


def tagged(text: str) -> list[Tagged]:
    """The contents of all tags for answers, in the order of the text."""
    found = [*_between(text), *_hashes(text), *_keys(text)]
    return sorted(found, key=lambda one: one.start)


def _between(text: str) -> Iterator[Tagged]:
    """Tags in angle brackets; an unclosed one contains the text's end, since stop strings cut there."""
    opened: dict[str, re.Match[str]] = {}
    for tag in _TAG.finditer(text):
        name = tag["name"].lower()
        if not tag["close"]:
            opened[name] = tag
        elif (begin := opened.pop(name, None)) is not None:
            yield Tagged(text[begin.end() : tag.start()].strip(), begin.start(), tag.end())
    for begin in opened.values():
        if len(rest := text[begin.end() :].strip()) <= 400 and "<" not in rest:
            yield Tagged(rest, begin.start(), len(text))
    box: re.Match[str] | None = None
    for tag in _BOX.finditer(text):
        if tag["side"] == "begin":
            box = tag
        elif box is not None:
            yield Tagged(text[box.end() : tag.start()].strip(), box.start(), tag.end())
            box = None


def _hashes(text: str) -> Iterator[Tagged]:
    """GSM8K's mark ``####`` with the text after it."""
    for found in _HASHES.finditer(text):
        if found.start() and not text[found.start() - 1].isspace():
            continue
        yield Tagged(found["text"].strip(), found.start(), found.end())


def _keys(text: str) -> Iterator[Tagged]:
    for found in _KEY.finditer(text):
        value = found["value"].strip()
        if value.startswith('"'):
            try:
                value = json.loads(value, strict=False)
            except ValueError:
                # LaTeX in JSON is often not escaped.
                value = value[1:-1]
        elif value.startswith("'"):
            value = value[1:-1]
        elif value.startswith("["):
            value = ", ".join(item.strip(" \"'") for item in value[1:-1].split(","))
        if value not in ("null", "None"):
            yield Tagged(str(value).strip(), found.start(), found.end())
