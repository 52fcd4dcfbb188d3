"""S3 and what speaks like it, through s3fs: how its file systems are set up, and what they raise.

Endpoint, region and credentials come the usual ways: ``AWS_ENDPOINT_URL``, ``AWS_PROFILE``,
``AWS_ACCESS_KEY_ID`` and the like, the AWS configuration files, ``FSSPEC_S3_*``.
"""

from __future__ import annotations

from typing import Any

import aiohttp
import fsspec
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.config import conf

from pacore.store.backends.services import Service

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 30
CONNECTIONS = 64
PART_BYTES = 16 * 1024 * 1024
PARTS_AT_ONCE = 4
FAULTS: tuple[type[BaseException], ...] = (BotoCoreError, ClientError, aiohttp.ClientError)


def s3_service(scheme: str) -> Service:
    """Two file systems, so that a query's reading never waits for the connections of writers."""
    return Service(
        writing=_filesystem(scheme),
        reading=_filesystem(scheme),
        faults=FAULTS,
        # Up to two parts a file is one request; further ones are uploaded side by side.
        put_file_options={"chunksize": PART_BYTES, "max_concurrency": PARTS_AT_ONCE},
    )


def _filesystem(scheme: str) -> Any:
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
