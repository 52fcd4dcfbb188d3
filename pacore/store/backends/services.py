"""Object storage services: the file systems of a URL's scheme, and what they raise."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fsspec

from pacore.errors import BadInput

_OTHER_FAULTS = {
    "gs": ("gcsfs.retry", "HttpError"),
    "gcs": ("gcsfs.retry", "HttpError"),
    "az": ("azure.core.exceptions", "AzureError"),
    "abfs": ("azure.core.exceptions", "AzureError"),
    "abfss": ("azure.core.exceptions", "AzureError"),
}


@dataclass(frozen=True)
class Service:
    """One service: a file system to write and list with, one to read ranges with.

    ``faults`` is what they raise besides OSError. ``is_shared`` is False where all values live in
    this process, so that a lock of it makes put-if-absent.
    """

    writing: Any
    reading: Any
    faults: tuple[type[BaseException], ...] = ()
    put_file_options: Mapping[str, object] = field(default_factory=dict)
    is_shared: bool = True


def service_of(scheme: str) -> Service:
    """The service of a URL's scheme. Raises BadInput for a scheme nobody serves here."""
    try:
        if scheme in ("s3", "s3a"):
            from pacore.store.backends.s3 import s3_service

            return s3_service(scheme)
        options = {"skip_instance_cache": True, "use_listings_cache": False}
        writing = fsspec.filesystem(scheme, **options)
        reading = fsspec.filesystem(scheme, **options)
        module, _, name = ".".join(_OTHER_FAULTS.get(scheme, ())).rpartition(".")
        faults = (getattr(importlib.import_module(module), name),) if module else ()
        return Service(writing, reading, faults, is_shared=scheme != "memory")
    except ImportError as missing:
        raise BadInput(f"--store: {scheme}:// needs a package: {missing}") from None
    except (ValueError, TypeError):
        raise BadInput(f"--store: {scheme}:// is no kind of store") from None
