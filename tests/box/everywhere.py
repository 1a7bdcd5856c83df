"""One process that is at every address of a network: ten thousand endpoints that really answer.

Run by itself with a port. It replies as the example app does, and is called by the address at which it was asked.
"""

from __future__ import annotations

import asyncio
import sys
from typing import final


@final
class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._name = transport.get_extra_info("sockname")[0]
        self._data = b""

    def data_received(self, data: bytes) -> None:
        *heads, self._data = (self._data + data).split(b"\r\n\r\n")
        for head in heads:
            path = head.split(b" ", 2)[1].decode("latin-1")
            body = f"{self._name}\n"
            fields = f"X-Pod: {self._name}\r\nX-Path: {path}\r\nContent-Length: {len(body)}"
            self._transport.write(f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}".encode("latin-1"))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "0.0.0.0", int(sys.argv[1]), backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
