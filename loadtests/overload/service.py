"""A service of a known capacity: so many workers, each of which takes so long for a request; the rest waits in line.

Owns nothing but a line. It costs next to no processor time, so what it can do does not depend on the machine. Run as
`python -m loadtests.overload.service PORT WORKERS SECONDS`.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import cast, final

import uvloop

_REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


@final
class Workers:
    """So many requests are worked on at once, first come, first served."""

    def __init__(self, count: int, seconds: float) -> None:
        self._free = count
        self._seconds = seconds
        self._line: deque[Connection] = deque()

    def take(self, connection: Connection) -> None:
        if self._free:
            self._begin(connection)
        else:
            self._line.append(connection)

    def _begin(self, connection: Connection) -> None:
        self._free -= 1
        asyncio.get_running_loop().call_later(self._seconds, self._end, connection)

    def _end(self, connection: Connection) -> None:
        self._free += 1
        connection.reply()
        while self._line and self._free:
            following = self._line.popleft()
            if following.is_open:  # a client that has left takes nobody's time here
                self._begin(following)


class Connection(asyncio.Protocol):
    """A request ends with its head."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._came = b""
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass of it

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False

    def data_received(self, data: bytes) -> None:
        self._came += data
        if self._came.endswith(b"\r\n\r\n"):
            self._came = b""
            self._workers.take(self)

    def reply(self) -> None:
        if self.is_open:
            self._transport.write(_REPLY)


async def serve(port: int, count: int, seconds: float) -> None:
    workers = Workers(count, seconds)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(workers), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
