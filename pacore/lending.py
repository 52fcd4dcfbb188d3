"""Texts on loan: text files of other runs that came into this store with a run that points at them.

A run that reuses a trajectory points at the text another run stored. An export brings those files
along, and where the other run itself is not in the store, this list alone says what they are.
"""

from __future__ import annotations

import json
from typing import Any

from pacore.core.identity import canonical_json
from pacore.errors import StoreError
from pacore.layout import FORMAT_VERSION, lent_key
from pacore.store import Backend


def lent_files(store: Backend, run_id: str) -> list[dict[str, Any]]:
    """Text files of other runs that came with an imported run: each with its path,
    sha256 and bytes, the other run's id, and the sha256 of that run's record where it was known.
    """
    try:
        record = json.loads(store.get(lent_key(run_id)))
        files: list[dict[str, Any]] = record["files"]
    except KeyError as missing:
        if missing.args == (lent_key(run_id),):
            return []
        raise StoreError(f"{lent_key(run_id)}: has no {missing}") from missing
    except (ValueError, TypeError) as fault:
        raise StoreError(f"{lent_key(run_id)}: is not a list of files: {fault}") from fault
    return files


def lent_record(run_id: str, files: list[dict[str, Any]]) -> bytes:
    """What `lent_files` reads, as it stands in the store."""
    return canonical_json({"v": FORMAT_VERSION, "run_id": run_id, "files": files})
