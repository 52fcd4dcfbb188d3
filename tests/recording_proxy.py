"""A real HTTP proxy on 127.0.0.1 that writes down what it is asked for, and by whom.

Whatever host a request names, it goes to the one server behind the proxy, so that hosts nobody can
resolve here stand for hosts elsewhere.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import TracebackType

REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@dataclass
class RecordingProxy:
    """Serves on a free port while it is entered.

    ``asked`` holds the first line of each request, ``credentials`` its Proxy-Authorization. With
    ``wanted`` it refuses who does not say exactly that.
    """

    behind_port: int
    wanted: str | None = None
    asked: list[str] = field(default_factory=list)
    credentials: list[str | None] = field(default_factory=list)

    async def __aenter__(self) -> RecordingProxy:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", self.behind_port)
        try:
            while True:
                head, body = await _message(reader)
                start = head.decode().split("\r\n")[0]
                self.asked.append(start)
                given = _header(head, "proxy-authorization")
                self.credentials.append(given)
                if self.wanted not in (None, given):
                    writer.write(REFUSED)
                    return
                if start.startswith("CONNECT "):
                    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                    await asyncio.gather(_pump(reader, outer), _pump(inner, writer))
                    return
                method, url, version = start.split(" ")
                path = "/" + url.split("/", 3)[3]
                outer.write(head.replace(start.encode(), f"{method} {path} {version}".encode(), 1))
                outer.write(body)
                writer.write(b"".join(await _message(inner)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            outer.close()
            writer.close()


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One HTTP message: its head, and as much of a body as it announces."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head, await reader.readexactly(int(_header(head, "content-length") or 0))


def _header(head: bytes, wanted: str) -> str | None:
    lines = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    return next((value for name, _, value in lines if name.lower() == wanted), None)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
