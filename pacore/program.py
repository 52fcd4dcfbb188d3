"""The program a conclusion gives: its last fenced block of Python, told without running anything.

Nothing here parses Python: a parser can be made to overflow by the text it reads, and the text is a
model's. Whether a program is one shows where it runs, in the sandbox.
"""

from __future__ import annotations

import re

TAIL_CHARACTERS = 1_000_000
"""How much of a conclusion's end is read for a program, in characters."""

_FENCE = re.compile(
    r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<label>[^\s`{]*)(?P<rest>.*)"
)
_PYTHON = re.compile(r"(?:python|py)[\d.]*", re.IGNORECASE)

_TARGET = r"[A-Za-z_][\w.]*(?:\[[^\]\n]{0,80}\])?"
_FIRST_LINE = re.compile(
    r"import [A-Za-z_]|from [\w.]+ import\b|(?:async )?def \w+\(|class \w+[(:]|@\w|#!|# |'''|\"\"\""
    rf"|{_TARGET}(?:, ?{_TARGET})*(?: ?: ?[\w\[\], .]+)? ?[-+*/%&|^]?=(?!=)|{_TARGET}\(.*\)\s*(?:#.*)?$"
    r"|(?:if|while|with|for|try)\b.*:\s*(?:#.*)?$"
)
"""How a program may begin that stands in no block; prose does not begin like this."""


def extract_program(conclusion: str) -> str | None:
    """Find the Python program a conclusion gives, or None where it gives none. Never raises.

    - The last closed fenced block labelled Python is the program; without one, the last closed
      block that has no label; without one, the last closed block. Blank blocks do not count.
    - A block that was never closed was cut: it is not the program, and neither hides nor replaces
      one before it. A fence with a label opens a block even inside another, which was then left open.
    - Without any fence the whole text is the program if its first line begins like one.
    """
    text = conclusion[-TAIL_CHARACTERS:]
    blocks: dict[str, str] = {}
    is_fenced = False
    opened: re.Match[str] | None = None
    lines: list[str] = []
    # Not splitlines: a program may have other line separators in its texts.
    for line in text.replace("\r\n", "\n").split("\n"):
        found = _FENCE.fullmatch(line)
        if found is None:
            lines.append(line)
            continue
        is_fenced = True
        if opened is None or found["label"]:
            opened, lines = found, []
        elif _closes(found, opened):
            body = "\n".join(_unindented(line, opened["indent"]) for line in lines)
            if body.strip():
                blocks[_kind(opened["label"])] = body
            opened, lines = None, []
        else:
            lines.append(line)
    if is_fenced:
        return blocks.get("python") or blocks.get("plain") or blocks.get("other")
    begins = text.lstrip().partition("\n")[0]
    return text if _FIRST_LINE.match(begins) else None


def _closes(found: re.Match[str], opened: re.Match[str]) -> bool:
    """Whether a fence without a label ends the open block: as long at least, of the same kind."""
    return found["fence"].startswith(opened["fence"]) and not found["rest"].strip()


def _kind(label: str) -> str:
    if _PYTHON.fullmatch(label):
        return "python"
    return "other" if label else "plain"


def _unindented(line: str, indent: str) -> str:
    """A line without the white space its block's fences are indented by, as in a list item."""
    common = 0
    while common < len(indent) and line[common : common + 1] in (" ", "\t"):
        common += 1
    return line[common:]
