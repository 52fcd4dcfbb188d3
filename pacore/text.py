"""Text made safe to print and to store: control characters written out, secrets removed. Pure.

Problem sets and texts of models may have any characters in them, and must not control the terminal or
the Markdown they are shown in. Addresses are stored with a run and environments are inherited by
other processes, and secrets in them must get into neither. And the names near one that was mistyped.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

CONTROLS = (
    "\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
)
"""Characters that are invisible, or control a terminal or the direction of text, as a regex set."""

_CONTROL = re.compile(f"[{CONTROLS}]")

_SPACES = re.compile(r"[ \t\r\n]+")

_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>()#!|~&:@$^\"']")

_WORLD_WIDE = re.compile(r"www(?=\.)", re.IGNORECASE)

_BEGINS_BLOCK = re.compile(r"^(\d{1,9}(?=[.)])|(?=[-+=]))(.)(?=[\s=-]|$)")


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    named = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
    if code in named:
        return named[code]
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def visible(text: str) -> str:
    r"""One line of text with every control character written out, such as ``\x1b`` and ``\n``."""
    return _CONTROL.sub(_written_out, text)


def visible_lines(text: str) -> str:
    """Text of several lines: line breaks and tabs keep their meaning, all else is `visible`."""
    lines = text.replace("\r\n", "\n").expandtabs(4).split("\n")
    return "\n".join(visible(line) for line in lines)


def visible_json(value: Any) -> str:
    """JSON on one line in which such characters are escapes: the same data to whoever parses it."""
    written = json.dumps(value, ensure_ascii=False)
    return _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], written)


def as_markdown(text: str) -> str:
    """A text that Markdown renders as itself: no link, image, HTML, list or emphasis in it."""
    escaped = _WORLD_WIDE.sub(r"\g<0>\\", _MARKDOWN.sub(r"\\\g<0>", visible(text).strip()))
    return _BEGINS_BLOCK.sub(r"\1\\\2", escaped)


def excerpt(text: str, characters: int) -> str:
    """The beginning of a text as one line, at most so long, white space run together."""
    line = _SPACES.sub(" ", text[: 4 * characters]).strip()
    if len(line) > characters or len(text) > 4 * characters:
        line = line[: characters - 1].rstrip() + "…"
    return line


_PASSWORD = re.compile(r"(?<!github)://[^/?#]*:[^/?#]*@")

_PARAMETER = re.compile(r"[?&;#][^=&;]*(?:token|key|secret|sig|password|credential)[^=&;]*=", re.I)

_ACCESS = re.compile(r"//.*@")

_SECRET_NAME = re.compile("KEY|SECRET|TOKEN|PASSW|CREDENTIAL", re.IGNORECASE)


def secret_in(address: str) -> str | None:
    """Why an address must not be in a run's record, without the address; None where it may."""
    if _PASSWORD.search(address):
        return "has a password in its URL, which would be stored with the run"
    if "://" in address and _PARAMETER.search(address):
        return "has a key or token in its URL, which would be stored with the run"
    return None


def shown(address: str) -> str:
    """An address for an error's text: without a name, a password and parameters."""
    return _ACCESS.sub("//***@", re.split("[?#]", address, maxsplit=1)[0])


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables a helper process needs: none that is named like a secret.

    Prefect's own stay, since its processes find their server and database by them.
    """
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("PREFECT_") or not _SECRET_NAME.search(name)
    }


FEWEST_CHARACTERS = 3
"""Of a name that is looked for inside others."""


NEARLY = 0.1
"""How much less alike than the nearest name another may be."""


def near_names(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known names that a mistyped one may mean, the nearest first; case makes no difference.

    They begin with it, are spelled alike, or have it in them. None where the name itself is known.
    """
    by_spelling = {one.lower(): one for one in known}
    if name in by_spelling.values():
        return []
    wanted = name.lower()
    is_long = len(wanted) >= FEWEST_CHARACTERS
    begin = [one for one in by_spelling if is_long and one.startswith(wanted)]
    close = difflib.get_close_matches(wanted, by_spelling, n=most, cutoff=0.65)
    close = [one for one in close if _alike(wanted, one) > _alike(wanted, close[0]) - NEARLY]
    have = [one for one in by_spelling if is_long and wanted in one]
    chosen = begin or close or have
    return [by_spelling[one] for one in chosen[:most]]


def _alike(name: str, other: str) -> float:
    return difflib.SequenceMatcher(None, name, other).ratio()


def did_you_mean(name: str, known: Iterable[str], most: int = 3) -> str:
    """`` (did you mean …?)`` with the known names that are near; empty where there is none."""
    near = [visible(one) for one in near_names(name, known, most)]
    return f" (did you mean {' or '.join(near)}?)" if near else ""
