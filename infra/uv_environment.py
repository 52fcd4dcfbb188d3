"""Says pip's settings as uv's: ``pip config list | python infra/uv_environment.py``.

uv does not read where pip is told to find packages, whom to trust and which proxy to take. What pip
has of that, from its files and from PIP_… variables, is printed as ``NAME=VALUE``, a line each, but
for variables that are set already. Ends with 1 where pip has something that uv has no variable for.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Mapping

PLACES = ("global", "install", ":env:")
"""Where a setting may be made; the later ones win."""

VARIABLES = {
    "index-url": ("UV_INDEX_URL",),
    "extra-index-url": ("UV_EXTRA_INDEX_URL",),
    "find-links": ("UV_FIND_LINKS",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "keyring-provider": ("UV_KEYRING_PROVIDER",),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("HTTP_PROXY", "HTTPS_PROXY"),
    "timeout": ("UV_HTTP_TIMEOUT",),
}
SEPARATORS = {"find-links": ","}
"""What is between several values where that is no blank; pip has white space between them."""

OF_PIP_ALONE = {"no-index", "prefer-binary", "only-binary", "no-binary", "require-hashes"}
PROVIDERS = ("disabled", "subprocess")


def settings_in(lines: Iterable[str]) -> dict[str, str]:
    """pip's settings by name, as ``pip config list`` prints them: ``global.index-url='…'``."""
    found: dict[str, dict[str, str]] = {place: {} for place in PLACES}
    for line in lines:
        name, separator, value = line.partition("=")
        place, _, setting = name.rpartition(".")
        if not separator or place not in found:
            continue
        try:
            read = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            continue
        found[place][setting.replace("_", "-")] = str(read)
    return {name: value for place in PLACES for name, value in found[place].items()}


def uv_environment(pip: Mapping[str, str]) -> dict[str, str]:
    """uv's variables for pip's settings. Raises ValueError for one that uv has none for.

    Every index is asked for every package and the best is taken, as pip does.
    """
    if alone := [name for name in pip if name in OF_PIP_ALONE and pip[name] not in ("", "false")]:
        raise ValueError(f"pip is configured with {alone[0]}")
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for name, variables in VARIABLES.items():
        value = SEPARATORS.get(name, " ").join(pip.get(name, "").split())
        if value and (name != "keyring-provider" or value in PROVIDERS):
            found |= dict.fromkeys(variables, value)
    return found


def main() -> None:
    try:
        variables = uv_environment(settings_in(sys.stdin.read().splitlines()))
    except ValueError as fault:
        sys.exit(f"uv_environment: {fault}")
    for name, value in variables.items():
        if not os.environ.get(name):
            print(f"{name}={value}")


if __name__ == "__main__":
    main()
