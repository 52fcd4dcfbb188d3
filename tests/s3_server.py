"""A real S3 server for tests: SeaweedFS from PyPI, on loopback ports of its own.

    with seaweed(folder) as server:
        server.environment      what boto, s3fs and pacore find it by

``juicefs`` starts another one, whose gateway answers put-if-absent with 200 and overwrites.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError

import fsspec

KEY, SECRET = "pacore-test-key", "canary-9f27c1e4-secret"
READER_KEY, READER_SECRET = "pacore-reader", "canary-51ab03dd-secret"
BUCKET = "test"
START_SECONDS = 60.0
STOP_SECONDS = 20.0


@dataclass
class S3Server:
    """A running server; ``endpoint`` is its base URL."""

    endpoint: str
    command: Sequence[str]
    folder: Path
    setting: dict[str, str]
    process: subprocess.Popen[bytes]
    key: str = KEY
    secret: str = SECRET

    @property
    def environment(self) -> dict[str, str]:
        return environment_of(self.endpoint, self.key, self.secret)

    def start_again(self) -> None:
        """Start the same server on the same data and port."""
        self.process = _start(self.command, self.folder, self.setting)
        _wait(self.endpoint, self.process)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()


def environment_of(endpoint: str, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def filesystem(server: S3Server) -> object:
    """A plain s3fs of the test's own, that no cache of pacore's shares."""
    return fsspec.filesystem(
        "s3",
        key=server.key,
        secret=server.secret,
        endpoint_url=server.endpoint,
        skip_instance_cache=True,
        use_listings_cache=False,
    )


def free_ports(count: int) -> list[int]:
    """Free loopback ports below 50000: SeaweedFS takes each port plus 10000 for itself as well."""
    found: list[int] = []
    number = 20_000 + os.getpid() * 7 % 20_000
    while len(found) < count:
        number = 20_000 + (number + 11) % 29_000
        if all(_is_free(port) for port in (number, number + 10_000)):
            found.append(number)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def program(name: str) -> str:
    """A program that a package put beside this interpreter."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is not installed: pip install 'pacore[dev]'"
    return found


@contextlib.contextmanager
def seaweed(folder: Path) -> Iterator[S3Server]:
    """SeaweedFS with the bucket ``test``, a user who may do anything and one who may only read."""
    folder.mkdir(parents=True, exist_ok=True)
    identities = [
        _identity("rw", KEY, SECRET, ["Admin", "Read", "Write", "List", "Tagging"]),
        _identity("reader", READER_KEY, READER_SECRET, [f"Read:{BUCKET}", f"List:{BUCKET}"]),
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    master, volume, filer, s3, admin = free_ports(5)
    command = [
        program("weed"), "-logtostderr=true", "mini", f"-dir={folder}/data", "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1", "-master.telemetry=false", f"-master.port={master}",
        f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}", f"-admin.port={admin}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false",
        f"-s3.config={folder}/s3.json", f"-bucket={BUCKET}",
    ]  # fmt: skip
    (folder / "data").mkdir(exist_ok=True)
    with _served(command, folder, {}, f"http://127.0.0.1:{s3}") as server:
        _wait_for_bucket(server)
        yield server


def _identity(name: str, key: str, secret: str, actions: list[str]) -> dict[str, object]:
    credentials = [{"accessKey": key, "secretKey": secret}]
    return {"name": name, "credentials": credentials, "actions": actions}


@contextlib.contextmanager
def juicefs(folder: Path) -> Iterator[S3Server]:
    """The JuiceFS gateway with the bucket ``test``: a store that ignores put-if-absent."""
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    meta = f"sqlite3://{folder}/meta.db"
    subprocess.run(
        [
            program("juicefs"), "format", meta, "vol", "--storage", "file",
            "--bucket", f"{folder}/objects/", "--trash-days", "0", "--no-agent",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    command = [
        program("juicefs"), "gateway", meta, f"127.0.0.1:{port}", "--multi-buckets", "--keep-etag",
        "--object-meta", "--no-usage-report", "--no-banner", "--no-agent",
        "--cache-dir", f"{folder}/cache", "--log", f"{folder}/juicefs.log",
    ]  # fmt: skip
    setting = {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET}
    with _served(command, folder, setting, f"http://127.0.0.1:{port}") as server:
        _wait_for_bucket(server)
        yield server


@contextlib.contextmanager
def _served(
    command: Sequence[str], folder: Path, setting: dict[str, str], endpoint: str
) -> Iterator[S3Server]:
    server = S3Server(endpoint, command, folder, setting, _start(command, folder, setting))
    try:
        _wait(endpoint, server.process)
        yield server
    finally:
        # Its data goes with it, so that it need not take its time to save them.
        server.kill()


def _start(
    command: Sequence[str], folder: Path, setting: dict[str, str]
) -> subprocess.Popen[bytes]:
    with (folder / "server.log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, **setting},
        )


def _wait(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the S3 server ended with {process.returncode}"
        try:
            urllib.request.urlopen(endpoint, timeout=5).close()
        except HTTPError:
            return
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{endpoint} does not answer")


def _wait_for_bucket(server: S3Server) -> None:
    """Until a value can be put: the bucket is made, or can be made."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        files = fsspec.filesystem(
            "s3",
            key=server.key,
            secret=server.secret,
            endpoint_url=server.endpoint,
            skip_instance_cache=True,
        )
        try:
            if not files.exists(BUCKET):
                files.mkdir(BUCKET)
            files.pipe_file(f"{BUCKET}/ready", b"yes")
        except OSError:
            assert time.monotonic() < deadline, "the S3 server takes no values"
            time.sleep(0.2)
        else:
            return
