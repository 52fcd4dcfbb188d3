"""What must not get out: secrets in addresses, which are stored, and in inherited environments. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PASSWORD = re.compile(r"(?<!github)://[^/?#]*:[^/?#]*@")
_PARAMETER = re.compile(r"[?&;#][^=&;]*(?:token|key|secret|sig|password|credential)[^=&;]*=", re.I)
_ACCESS = re.compile(r"//.*@")

_SECRET_NAME = re.compile("KEY|SECRET|TOKEN|PASSW|CREDENTIAL", re.IGNORECASE)


def secret_in(address: str) -> str | None:
    """Why an address cannot stand in a run's record, without the address; None where it can."""
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
