"""Golden files: what a person reads, kept to be compared, and written anew only on purpose."""

from __future__ import annotations

import os

from tests.conftest import ROOT

GOLDEN = ROOT / "tests" / "golden"


def golden(name: str, found: str) -> str:
    """The golden file ``name``; where there is none and ``PACORE_WRITE_GOLDEN`` is set, ``found``
    becomes it.
    """
    path = GOLDEN / name
    if not path.exists() and os.environ.get("PACORE_WRITE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")
    return path.read_text(encoding="utf-8")
