"""Imports an export into a store: verifies every file, then copies all byte for byte.

Files are written after those to which they refer, and the run's record last, so that the run exists
only when it is complete; an interrupted import can be repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from secrets import token_hex

from pacore.core.identity import sha256_hex
from pacore.errors import BadInput, Refused
from pacore.exchange.export_folder import ExportedFile, Manifest, map_concurrently, read_manifest
from pacore.store.backends.protocol import Backend
from pacore.store.layout import EXPORTED_KINDS, exported_kind, run_key
from pacore.store.lease import hold_run
from pacore.store.records import find
from pacore.store.run import Run, imported_texts

_MOST_LISTED = 20


@dataclass
class ImportedExport:
    """An imported export: files verified, files added, and notes on files that the store kept."""

    run_id: str
    files: int
    added: int = 0
    notes: list[str] = field(default_factory=list)


def import_export(folder: Backend, store: Backend, run_id: str | None = None) -> ImportedExport:
    """Import an export into a store; repeating it adds nothing.

    Raises Refused naming every file that is missing or differs from the manifest, and for another run
    of that name; BadInput where ``run_id`` is not the run's. Nothing is written then.
    """
    manifest = read_manifest(folder)
    name = manifest.run_id
    if run_id not in (None, name):
        raise BadInput(f"--run-id {run_id}: an export keeps its run's name, which is {name}")
    files = _in_order(folder, manifest)
    _refuse([fault for fault in map_concurrently(lambda f: _fault(folder, f), files) if fault])
    run = find(folder, run_key(name), Run)
    if run is None or run.run_id != name:
        raise Refused(f"{folder.url}: {run_key(name)} is the record of another run")
    of_record = [file for file in files if file.key == run_key(name)]
    _refuse([fault for file in of_record if (fault := _conflict(store, file))])
    _refuse(list(_other_owners(folder, store, name)))
    settled = [file for file in files if _kind(file, name) not in ("journal", "problems")]
    _refuse([fault for fault in map_concurrently(lambda f: _conflict(store, f), settled) if fault])
    lost = threading.Event()
    lease = hold_run(store, name, lost.set)
    try:
        return _put_all(folder, store, manifest, files)
    finally:
        if lease is not None:
            lease.release()


def _put_all(
    folder: Backend, store: Backend, manifest: Manifest, files: list[ExportedFile]
) -> ImportedExport:
    """Write the verified files, kind after kind."""
    name = manifest.run_id
    done = ImportedExport(name, len(files))
    kept = {"journal": 0, "problems": 0}
    for kind in EXPORTED_KINDS:
        chosen = [file for file in files if _kind(file, name) == kind]
        # The run exists when its record does, which is therefore written last.
        last = [file for file in chosen if file.key == run_key(name)]
        for part in ([file for file in chosen if file not in last], last):
            for is_new, is_same in map_concurrently(lambda file: _put(folder, store, file), part):
                done.added += is_new
                if not is_same and kind not in kept:
                    raise Refused(
                        f"{kind} of run {name}: another process wrote other ones meanwhile"
                    )
                if not is_same:
                    kept[kind] += 1
    if kept["journal"]:
        done.notes.append(
            f"{kept['journal']:,} trajectories are in this store's journal with other text, which is "
            "kept; the run's tables have the text of the export"
        )
    if kept["problems"]:
        done.notes.append(
            "the problem set is already in this store, with other metadata or encoding"
        )
    return done


def _kind(file: ExportedFile, run_id: str) -> str:
    return exported_kind(file.key, run_id) or ""


def _in_order(folder: Backend, manifest: Manifest) -> list[ExportedFile]:
    """The files in the order of writing. Raises Refused for a key that no export has."""
    run_id, files = manifest.run_id, manifest.files
    for file in files:
        if not _kind(file, run_id):
            raise Refused(f"{folder.url}: export.json names {file.key!r}, which no export has")
    if run_key(run_id) not in {file.key for file in files}:
        raise Refused(f"{folder.url}: export.json does not name {run_key(run_id)}")
    return sorted(files, key=lambda file: EXPORTED_KINDS.index(_kind(file, run_id)))


def _refuse(faults: list[str]) -> None:
    if faults:
        more = len(faults) - _MOST_LISTED
        listed = [*faults[:_MOST_LISTED], *([f"… and {more} more"] if more > 0 else [])]
        raise Refused("; ".join(["nothing was imported", *listed]))


def _fault(folder: Backend, file: ExportedFile) -> str | None:
    """How a file of the export differs from its manifest; None where it does not."""
    try:
        data = folder.get(file.key)
    except KeyError:
        return f"{file.key}: is missing"
    if len(data) != file.bytes:
        return f"{file.key}: has {len(data):,} bytes, not {file.bytes:,}"
    return None if sha256_hex(data) == file.sha256 else f"{file.key}: has another sha256"


def _conflict(store: Backend, file: ExportedFile) -> str | None:
    """The message for a file with other content under the same key in the store; None without one."""
    try:
        is_same = sha256_hex(store.get(file.key)) == file.sha256
    except KeyError:
        return None
    return None if is_same else f"{file.key}: this store has another run of that name"


def _other_owners(folder: Backend, store: Backend, run_id: str) -> Iterator[str]:
    """Messages for other runs in this store with the names of runs whose texts the export has."""
    for owner, record in {
        (file.run_id, file.run_sha256) for file in imported_texts(folder, run_id)
    }:
        key = run_key(owner)
        if store.exists(key) and sha256_hex(store.get(key)) != record:
            yield f"{key}: this store has another run of that name, whose texts the export contains"


def _put(folder: Backend, store: Backend, file: ExportedFile) -> tuple[bool, bool]:
    """Write one file; returns whether it is new, and whether the store now has these bytes."""
    key = file.key
    data = folder.get(key)
    if sha256_hex(data) != file.sha256:
        raise Refused(f"{folder.url}: {key} changed while it was imported")
    # Read before the put: object storage does not distinguish a repeated put of the same bytes.
    is_new = not store.exists(key)
    if key.startswith("data/"):
        scratch = store.scratch() / f"import-{token_hex(8)}"
        scratch.write_bytes(data)
        store.put_file(key, scratch)
        return is_new, True
    if is_new and store.put_new(key, data):
        return True, True
    return False, sha256_hex(store.get(key)) == file.sha256
