"""What lies beside a run's tables on trial: its other records, and the texts on loan to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from pacore.auditing.finding import Finding, Tally, Where, shown
from pacore.auditing.record import DEFECTS
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import lent_key, retries_prefix, run_prefix
from pacore.store.retries import read_retries
from pacore.store.run import Run, lent_files


def check_records(store: Backend, run: Run) -> Iterator[Finding]:
    """Whatever is said of a run as a whole is of this run, and its retries count from 0."""
    for key in store.list(run_prefix(run.run_id)):
        try:
            record = json.loads(store.get(key))
            if record["v"] < 1:
                raise ValueError("its version is none")
            if record.get("run_id", run.run_id) != run.run_id:
                yield Finding("records", Where(key), f"run_id is {shown(record['run_id'])}")
        except (StoreError, *DEFECTS) as fault:
            what = f"cannot be used: {type(fault).__name__} {shown(fault)}"
            yield Finding("records", Where(key), what)
    try:
        read_retries(store, run.run_id)
    except (StoreError, *DEFECTS) as fault:
        yield Finding("records", Where(retries_prefix(run.run_id)), f"cannot be used: {fault}")


def check_lent(store: Backend, run: Run, tally: Tally) -> Iterator[Finding]:
    """Texts of other runs that came with this one are, byte for byte, those that came."""
    try:
        lent = [
            (file["path"], file["sha256"], file["bytes"]) for file in lent_files(store, run.run_id)
        ]
    except (StoreError, *DEFECTS) as fault:
        yield Finding("files", Where(lent_key(run.run_id)), f"cannot be used: {shown(fault)}")
        return
    for key, stated, stated_bytes in lent:
        where = Where(str(key), "trajectory_texts")
        try:
            with store.local_path(key) as path, Path(path).open("rb") as file:
                sha256, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        except (StoreError, OSError, *DEFECTS) as fault:
            yield Finding("files", where, str(fault))
            continue
        tally.files += 1
        tally.bytes += size
        if (sha256, size) != (stated, stated_bytes):
            what = f"sha256 is {sha256}, of {size:,} bytes; {lent_key(run.run_id)} says "
            yield Finding("files", where, f"{what}{shown(stated)}, of {shown(stated_bytes)}")
