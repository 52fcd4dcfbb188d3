"""Object storage services: the file systems of a URL's scheme, and what they raise.

S3 and what speaks like it, through s3fs, take endpoint, region and credentials the usual ways:
``AWS_ENDPOINT_URL``, ``AWS_PROFILE``, ``AWS_ACCESS_KEY_ID`` and the like, the AWS configuration files,
``FSSPEC_S3_*``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fsspec
from fsspec.config import conf

from pacore.errors import BadInput

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 30
CONNECTIONS = 64
PART_BYTES = 16 * 1024 * 1024
PARTS_AT_ONCE = 4

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
            return _s3_service(scheme)
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


def _s3_service(scheme: str) -> Service:
    """Two file systems, so that a query's reading never waits for the connections of writers."""
    # Imported here: no other service needs them.
    import aiohttp
    from botocore.exceptions import BotoCoreError, ClientError

    return Service(
        writing=_s3_filesystem(scheme),
        reading=_s3_filesystem(scheme),
        faults=(BotoCoreError, ClientError, aiohttp.ClientError),
        # Up to two parts a file is one request; further ones are uploaded side by side.
        put_file_options={"chunksize": PART_BYTES, "max_concurrency": PARTS_AT_ONCE},
    )


def _s3_filesystem(scheme: str) -> Any:
    configured = conf.get(scheme, {}).get("config_kwargs", {})
    filesystem = fsspec.filesystem(
        scheme,
        skip_instance_cache=True,
        # What another process wrote must be seen.
        use_listings_cache=False,
        default_cache_type="none",
        # With more than one, s3fs requests the size before it reads a complete value.
        max_concurrency=1,
        config_kwargs={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "read_timeout": READ_TIMEOUT_SECONDS,
            "max_pool_connections": CONNECTIONS,
            "retries": {"mode": "standard", "total_max_attempts": 2},
            **configured,
        },
    )
    # ObjectBackend repeats requests itself and logs it; s3fs would do so without a message.
    filesystem.retries = 1
    return filesystem
