"""The app behind the proxies: endpoints that answer in a few milliseconds until they are told to misbehave.

Owns the sockets of its endpoints. Time in service is drawn for each request, so p99 means something: 4 ms and an
exponential part of 1 ms on average. Invariant: a reply that says 200 holds the path that was asked for.
"""

from __future__ import annotations

import asyncio
import random
import socket
from enum import StrEnum
from typing import Final, cast, final

from loadtests.compare.processes import HOST

_FIXED_S: Final = 0.004
_MEAN_S: Final = 0.001
_SLOWNESS: Final = 20


class Fault(StrEnum):
    """What is wrong with an endpoint."""

    NONE = "none"
    ERRORS = "answers 500"
    HANG = "hangs"
    RESET = "resets"
    SLOW = "20 times slower"


@final
class Endpoint:
    """One endpoint. `fault` may be set at any time and holds for the requests that come from then on."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.fault = Fault.NONE
        self.served = 0
        self.random = random.Random(seed)
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        listening = socket.create_server((HOST, self.port), backlog=4096)
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), sock=listening)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def time_s(self) -> float:
        """How long the next request takes."""
        taken = _FIXED_S + self.random.expovariate(1 / _MEAN_S)
        return taken * _SLOWNESS if self.fault is Fault.SLOW else taken


class _Connection(asyncio.Protocol):
    """Requests without bodies, one after the other."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is not a subclass of it

    def data_received(self, data: bytes) -> None:
        self._data += data
        while b"\r\n\r\n" in self._data:
            head, _, self._data = self._data.partition(b"\r\n\r\n")
            self._serve(head.split(b" ", 2)[1])

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def _serve(self, path: bytes) -> None:
        fault = self._endpoint.fault
        self._endpoint.served += 1
        if fault is Fault.RESET and self._transport is not None:
            self._transport.abort()
        elif fault is Fault.ERRORS:
            self._reply(b"500 Internal Server Error", b"broken")  # at once: that is what attracts a naive policy
        elif fault is not Fault.HANG:
            asyncio.get_running_loop().call_later(self._endpoint.time_s(), self._reply, b"200 OK", path)

    def _reply(self, status: bytes, body: bytes) -> None:
        if self._transport is not None:
            self._transport.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
