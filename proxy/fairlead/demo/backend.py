"""One backend, a process of its own: `python -m fairlead.demo.backend PORT NAME`.

Serves on the first free port from PORT on and says on stdout which one that is. Answers any GET with its name and the
path that was asked for, after a few milliseconds; after a SIGUSR1 slowly, after a SIGUSR2 as before. Ends when its
stdin is closed, so that it does not outlive the demo, however that ends. Never reads bodies: nobody sends any.
"""

from __future__ import annotations

import asyncio
import errno
import json
import random
import signal
import sys
from typing import Final, final

USUAL_S: Final = (0.001, 0.004)  # a reply takes a time between these
SLOW_S: Final = (0.15, 0.25)

_PORTS: Final = 200  # how many are tried


@final
class Backend:
    """What all connections of the process share."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.takes_s = USUAL_S

    def reply(self, target: str) -> bytes:
        body = json.dumps({"backend": self.name, "target": target}).encode() + b"\n"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


@final
class _Connection(asyncio.Protocol):
    """One request at a time, as a proxy sends them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode("latin-1")
            takes_s = random.uniform(*self._backend.takes_s)
            asyncio.get_running_loop().call_later(takes_s, self._answer, target)

    def _answer(self, target: str) -> None:
        if self._transport is not None:
            self._transport.write(self._backend.reply(target))

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None


async def serve(port: int, name: str) -> None:
    """Serve until stdin is closed."""
    loop = asyncio.get_running_loop()
    backend = Backend(name)
    loop.add_signal_handler(signal.SIGUSR1, setattr, backend, "takes_s", SLOW_S)
    loop.add_signal_handler(signal.SIGUSR2, setattr, backend, "takes_s", USUAL_S)
    server = await _listen(backend, port)
    print(server.sockets[0].getsockname()[1], flush=True)
    orders = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    await orders.read()
    transport.close()
    server.close()


async def _listen(backend: Backend, port: int) -> asyncio.Server:
    """Binding is the only test of a port that nothing can come between."""
    for tried in range(port, port + _PORTS):
        try:
            return await asyncio.get_running_loop().create_server(lambda: _Connection(backend), "127.0.0.1", tried)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise SystemExit(f"none of the ports from {port} to {port + _PORTS - 1} is free")


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
