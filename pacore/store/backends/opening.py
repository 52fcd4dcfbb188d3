"""Opening the store that a person names by a folder or a URL."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pacore.core.identity import digest
from pacore.errors import BadInput
from pacore.store.backends.local import LocalBackend, near_places
from pacore.store.backends.protocol import Backend

if TYPE_CHECKING:
    from pacore.store.backends.objects import ObjectBackend

_ENVIRONMENT = ("AWS_", "FSSPEC_", "GOOGLE_", "AZURE_")

_GLOB = "*?[]{}"

_opened: dict[tuple[str, int, str], ObjectBackend] = {}

_opened_lock = threading.Lock()


def open_store(url: str, named: str = "--store") -> Backend:
    """The store at ``url``: a folder, or ``scheme://bucket/prefix``. Sends no request, creates
    nothing. ``named`` is what a person gave it as.

    Raises BadInput for a place that cannot be a store.
    """
    if (folder := _folder(url)) is not None:
        if folder.exists() and not folder.is_dir():
            raise BadInput(f"{named} {url}: is a file, not a folder")
        return LocalBackend(folder)
    scheme, _, rest = url.partition("://")
    root = rest.strip("/")
    if "@" in root.partition("/")[0]:
        raise BadInput(f"{named} {scheme}://…: credentials belong in the environment or a profile")
    if (
        not root
        or set(root) & set(_GLOB)
        or any(part in ("", ".", "..") for part in root.split("/"))
    ):
        raise BadInput(f"{named} {url}: is not {scheme}://bucket/prefix")
    return _object_store(scheme, root)


def check_folder(url: str) -> None:
    """Raises BadInput where ``url`` is a folder that is not there."""
    if (folder := _folder(url)) is not None and not folder.exists():
        raise BadInput(f"--store {url}: no such folder{near_places(str(folder))}")


def _folder(url: str) -> Path | None:
    """The folder at ``url``, or None for object storage."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme not in ("file", "local"):
        return None
    return Path(rest if separator else url).expanduser().absolute()


def _object_store(scheme: str, root: str) -> ObjectBackend:
    """One backend for each place, process and environment, so that its connections are shared."""
    # A store in a folder needs neither fsspec nor tenacity, which take a third of a short command.
    from pacore.store.backends.objects import ObjectBackend
    from pacore.store.backends.services import service_of

    settings = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}
    key = (f"{scheme}://{root}", os.getpid(), digest(settings))
    with _opened_lock:
        if key not in _opened:
            _opened[key] = ObjectBackend(scheme, root, service_of(scheme))
        return _opened[key]
