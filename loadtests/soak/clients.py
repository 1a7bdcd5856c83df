"""The clients: patient ones that check every byte, and rude ones that vanish at any point."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from typing import final

import h11

from loadtests.soak.content import Task, task

_LIMIT_S = 30.0  # a reply that takes longer is counted as lost


@final
class Tally:
    """What became of the requests: `right`, `wrong` (must stay 0), `lost` (by what the client saw)."""

    def __init__(self) -> None:
        self.right = 0
        self.wrong: list[str] = []
        self.lost: Counter[str] = Counter()

    @property
    def done(self) -> int:
        return self.right + len(self.wrong) + sum(self.lost.values())


async def patient(port: int, tasks: Iterator[int], tally: Tally) -> None:
    """Do tasks on one keep-alive connection, on another when it ends."""
    connection: _Connection | None = None
    for number in tasks:
        wanted = task(number)
        try:
            if connection is None:
                connection = await _Connection.open(port)
            async with asyncio.timeout(_LIMIT_S):
                status, body = await connection.ask(wanted)
        except TimeoutError:
            tally.lost["no reply in time"] += 1
        except (OSError, EOFError, h11.RemoteProtocolError) as error:
            tally.lost[f"the connection ended: {type(error).__name__}"] += 1
        else:
            _judge(wanted, status, body, tally)
            if connection.is_reusable():
                continue
        if connection is not None:
            connection.close()
        connection = None
    if connection is not None:
        connection.close()


def _judge(wanted: Task, status: int, body: bytes, tally: Tally) -> None:
    if status in (502, 503, 504):
        tally.lost[f"status {status}"] += 1
    elif status == 200 and body == wanted.expected:
        tally.right += 1
    else:
        tally.wrong.append(f"{wanted.method} {wanted.target}: status {status}, {len(body)} bytes")


@final
class _Connection:
    """A client's connection, spoken by h11: a reply that is cut raises and is never taken for whole."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, port: int) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def close(self) -> None:
        self._writer.close()

    def is_reusable(self) -> bool:
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    async def ask(self, wanted: Task) -> tuple[int, bytes]:
        size = str(len(wanted.body))
        framing = ("Transfer-Encoding", "chunked") if wanted.is_chunked else ("Content-Length", size)
        fields = [("Host", "soak"), framing] if wanted.method == "PUT" else [("Host", "soak")]
        self._send(h11.Request(method=wanted.method, target=wanted.target, headers=fields))
        if wanted.body:
            self._send(h11.Data(data=wanted.body))
        self._send(h11.EndOfMessage())
        await self._writer.drain()
        return await self._reply()

    def _send(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")

    async def _reply(self) -> tuple[int, bytes]:
        status = 0
        body: list[bytes] = []
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                data = await self._reader.read(65536)
                if not data and self._http.their_state is h11.SEND_RESPONSE:
                    raise EOFError
                self._http.receive_data(data)
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return status, b"".join(body)
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError


async def rude(port: int, seed: int) -> None:
    """Connect, send some of a request, perhaps read some of the reply, and vanish: by FIN or by RST."""
    rng = random.Random(seed)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return
    request = f"GET /bytes/{seed}/{rng.randrange(500_000)} HTTP/1.1\r\nHost: soak\r\n\r\n".encode()
    if rng.random() < 0.3:
        request = b"PUT /hash/1 HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\n"
        request += bytes(rng.randrange(100_000))
    try:
        writer.write(request[: rng.randrange(len(request) + 1)])
        if rng.random() < 0.5:
            async with asyncio.timeout(rng.random() / 10):
                await reader.read(rng.randrange(1, 100_000))
    except (TimeoutError, OSError):
        pass
    if rng.random() < 0.5:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    if rng.random() < 0.5:
        writer.transport.abort()
    else:
        writer.close()
