"""Bringing an export into another store: every file verified first, then put byte for byte.

What refers to other files is written after them and the run's own record last, so a run is there
only once it is whole; an import that was stopped goes on where it stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from secrets import token_hex

from pacore.core.identity import sha256_hex
from pacore.errors import BadInput, Refused
from pacore.exchange.export_folder import ExportedFile, Manifest, read_manifest, side_by_side
from pacore.store.backends.protocol import Backend
from pacore.store.layout import EXPORTED_KINDS, exported_kind, run_key
from pacore.store.lease import hold_run
from pacore.store.records import find
from pacore.store.run import Run, imported_texts

LISTED = 20


@dataclass
class ImportedExport:
    """What came in: files verified, files added, and what the store kept of its own."""

    run_id: str
    files: int
    added: int = 0
    notes: list[str] = field(default_factory=list)


def import_export(folder: Backend, store: Backend, run_id: str | None = None) -> ImportedExport:
    """Bring a whole export into a store; a second time adds nothing.

    Raises Refused naming every file that is missing or not what the manifest says, and for a run of
    that name that is another; BadInput where ``run_id`` is not the run's. Nothing is written then.
    """
    manifest = read_manifest(folder)
    name = manifest.run_id
    if run_id not in (None, name):
        raise BadInput(f"--run-id {run_id}: an export keeps its run's name, which is {name}")
    files = _in_order(folder, manifest)
    _refuse([fault for fault in side_by_side(lambda f: _fault(folder, f), files) if fault])
    run = find(folder, run_key(name), Run)
    if run is None or run.run_id != name:
        raise Refused(f"{folder.url}: {run_key(name)} is the record of another run")
    of_record = [file for file in files if file.key == run_key(name)]
    _refuse([fault for file in of_record if (fault := _conflict(store, file))])
    _refuse(list(_other_owners(folder, store, name)))
    settled = [file for file in files if _kind(file, name) not in ("journal", "problems")]
    _refuse([fault for fault in side_by_side(lambda f: _conflict(store, f), settled) if fault])
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
    """Put files that were verified, kind after kind."""
    name = manifest.run_id
    done = ImportedExport(name, len(files))
    kept = {"journal": 0, "problems": 0}
    for kind in EXPORTED_KINDS:
        chosen = [file for file in files if _kind(file, name) == kind]
        # The record is what makes a run, so it stands alone at the end.
        last = [file for file in chosen if file.key == run_key(name)]
        for part in ([file for file in chosen if file not in last], last):
            for is_new, is_same in side_by_side(lambda file: _put(folder, store, file), part):
                done.added += is_new
                if not is_same and kind not in kept:
                    raise Refused(
                        f"{kind} of run {name}: another process wrote other ones meanwhile"
                    )
                if not is_same:
                    kept[kind] += 1
    if kept["journal"]:
        done.notes.append(
            f"{kept['journal']:,} trajectories stand in this store's journal with other text; it "
            "keeps its own, and the run's tables have the run's"
        )
    if kept["problems"]:
        done.notes.append(
            "the problem set is in this store already, with other metadata or encoding"
        )
    return done


def _kind(file: ExportedFile, run_id: str) -> str:
    return exported_kind(file.key, run_id) or ""


def _in_order(folder: Backend, manifest: Manifest) -> list[ExportedFile]:
    """The files as they have to be written. Raises Refused for a key that no export has."""
    run_id, files = manifest.run_id, manifest.files
    for file in files:
        if not _kind(file, run_id):
            raise Refused(f"{folder.url}: export.json names {file.key!r}, which no export has")
    if run_key(run_id) not in {file.key for file in files}:
        raise Refused(f"{folder.url}: export.json does not name {run_key(run_id)}")
    return sorted(files, key=lambda file: EXPORTED_KINDS.index(_kind(file, run_id)))


def _refuse(faults: list[str]) -> None:
    if faults:
        listed = faults[:LISTED] + [f"… and {len(faults) - LISTED} more"][: len(faults) > LISTED]
        raise Refused("; ".join(["nothing was imported", *listed]))


def _fault(folder: Backend, file: ExportedFile) -> str | None:
    """Why a file of the export is not what its manifest says, or None."""
    try:
        data = folder.get(file.key)
    except KeyError:
        return f"{file.key}: is missing"
    if len(data) != file.bytes:
        return f"{file.key}: has {len(data):,} bytes, not {file.bytes:,}"
    return None if sha256_hex(data) == file.sha256 else f"{file.key}: has another sha256"


def _conflict(store: Backend, file: ExportedFile) -> str | None:
    """Why a file may not be put, as another stands under its key; None where it may."""
    try:
        is_same = sha256_hex(store.get(file.key)) == file.sha256
    except KeyError:
        return None
    return None if is_same else f"{file.key}: this store has another, so another run of that name"


def _other_owners(folder: Backend, store: Backend, run_id: str) -> Iterator[str]:
    """Runs of this store that only share their names with those whose texts the export has."""
    for owner, record in {
        (file.run_id, file.run_sha256) for file in imported_texts(folder, run_id)
    }:
        key = run_key(owner)
        if store.exists(key) and sha256_hex(store.get(key)) != record:
            yield f"{key}: this store has another run of the name of one whose texts the export has"


def _put(folder: Backend, store: Backend, file: ExportedFile) -> tuple[bool, bool]:
    """Put one file; returns whether it is new, and whether the store now has just these bytes."""
    key = file.key
    data = folder.get(key)
    if sha256_hex(data) != file.sha256:
        raise Refused(f"{folder.url}: {key} changed while it was imported")
    # Asked before: object storage takes a second put of the same bytes for the first one.
    is_new = not store.exists(key)
    if key.startswith("data/"):
        scratch = store.scratch() / f"import-{token_hex(8)}"
        scratch.write_bytes(data)
        store.put_file(key, scratch)
        return is_new, True
    if is_new and store.put_new(key, data):
        return True, True
    return False, sha256_hex(store.get(key)) == file.sha256
