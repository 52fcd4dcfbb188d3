"""A real HTTP endpoint in front of an S3 server: counts what passes and, when told, spoils it.

    with forwarding(server.endpoint) as between:
        between.spoil = lambda request: Spoil.SLOW_DOWN if request.method == "PUT" else None

What a client signs holds here as well: its ``Host`` header is passed on as it is.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Spoil(StrEnum):
    """What may happen to a request."""

    SLOW_DOWN = "503 SlowDown, nothing done"
    UNAVAILABLE = "500, nothing done"
    DENIED = "403 AccessDenied, nothing done"
    CONFLICT = "409 ConditionalRequestConflict, nothing done"
    NO_BUCKET = "404 NoSuchBucket, nothing done"
    SILENT = "nothing done and no answer"
    LOST_ANSWER = "done, and the answer lost"
    HALF_ANSWER = "done, and half the answer lost"


_ANSWERS = {
    Spoil.SLOW_DOWN: (503, "SlowDown"),
    Spoil.UNAVAILABLE: (500, "InternalError"),
    Spoil.DENIED: (403, "AccessDenied"),
    Spoil.CONFLICT: (409, "ConditionalRequestConflict"),
    Spoil.NO_BUCKET: (404, "NoSuchBucket"),
}


@dataclass(frozen=True)
class Passing:
    """A request: its method, its path with the query, and what Range it asks for."""

    method: str
    path: str
    range: str | None


@dataclass
class Forwarder:
    """What has passed since `clear`, and what to do to what comes."""

    endpoint: str
    spoil: Callable[[Passing], Spoil | None] = lambda _: None
    seen: list[Passing] = field(default_factory=list)
    bytes_read: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clear(self) -> None:
        with self.lock:
            self.seen.clear()
            self.bytes_read = 0


class _Server(ThreadingHTTPServer):
    """Where it forwards to, and what it is told to do."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        address = urlsplit(target)
        self.target = (str(address.hostname), int(address.port or 80))
        self.between = Forwarder(f"http://127.0.0.1:{self.server_address[1]}")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle_one_request()

    def forward(self) -> None:
        between = self.server.between
        body = self._body()
        passing = Passing(self.command, self.path, self.headers.get("Range"))
        with between.lock:
            between.seen.append(passing)
            spoilt = between.spoil(passing)
        if spoilt in _ANSWERS:
            self._refuse(*_ANSWERS[spoilt])
        elif spoilt is Spoil.SILENT:
            self.close_connection = True
        else:
            self._pass_on(body, spoilt)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _refuse(self, status: int, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _pass_on(self, body: bytes, spoilt: Spoil | None) -> None:
        onward = http.client.HTTPConnection(*self.server.target, timeout=60)
        try:
            onward.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    onward.putheader(name, value)
            onward.endheaders(body or None)
            answer = onward.getresponse()
            data = answer.read()
        finally:
            onward.close()
        if spoilt is Spoil.LOST_ANSWER:
            self.close_connection = True
            return
        self._answer(answer, data, half=spoilt is Spoil.HALF_ANSWER)

    def _answer(self, answer: http.client.HTTPResponse, data: bytes, half: bool) -> None:
        self.send_response_only(answer.status)
        is_sized = False
        for name, value in answer.getheaders():
            if name.lower() in ("connection", "transfer-encoding"):
                continue
            is_sized = is_sized or name.lower() == "content-length"
            self.send_header(name, value)
        if not is_sized:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            with self.server.between.lock:
                self.server.between.bytes_read += len(data)
        self.wfile.write(data[: len(data) // 2] if half else data)
        self.close_connection = self.close_connection or half


for _method in ("GET", "PUT", "HEAD", "POST", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler.forward)


@contextlib.contextmanager
def forwarding(target: str) -> Iterator[Forwarder]:
    """Forward to ``target`` while the context lasts."""
    server = _Server(target)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.between
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
