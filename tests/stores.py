"""Places for stores of each kind, and the S3 servers behind them."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.s3_server import BUCKET, S3Server


def fresh_url(request: pytest.FixtureRequest, kind: str, folder: Path) -> str:
    """A place nothing has been put yet; the S3 server is started when first asked for."""
    if kind == "local":
        return str(folder / "store")
    if kind == "memory":
        return f"memory://{BUCKET}/{secrets.token_hex(8)}"
    use_server(request, request.getfixturevalue("s3_server"))
    return f"s3://{BUCKET}/{secrets.token_hex(8)}"


def use_server(request: pytest.FixtureRequest, server: S3Server) -> None:
    """Let this process find the server as any program finds S3, for as long as the test lasts."""
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
