"""The users: requests at fixed times that do not wait for replies, each on a connection of its own for as long.

Owns the connections. Latency counts from the time a request was due. Invariant: each request has exactly one outcome,
and is a success only when the reply is 200 and holds what was asked for.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Final, cast, final

from loadtests.compare.processes import HOST

PATIENCE_S: Final = 5.0  # then a user has gone: a failure
OK: Final = "ok"


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request. Times are in seconds; `due_s` counts from the start of the schedule."""

    due_s: float
    took_s: float
    what: str  # OK, the status line and Fairlead-Error of a reply that was none, "closed", "gave up", "refused"


@final
class Users:
    """`rate` requests a second for as long as `run` is told to."""

    def __init__(self, port: int, rate: int) -> None:
        self._port = port
        self._interval_s = 1 / rate
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._openings: set[asyncio.Task[None]] = set()
        self.outcomes: list[Outcome] = []
        self.began = 0.0
        self._awaited = -1  # outcomes, once the schedule is over
        self._done = asyncio.Event()

    async def run(self, seconds: float) -> None:
        """The schedule, and then the wait for what is still due."""
        loop = asyncio.get_running_loop()
        self.began = loop.time()
        total = int(seconds / self._interval_s)
        sent = 0
        while sent < total:
            while sent < total and self.began + sent * self._interval_s <= loop.time():
                self._send(sent)
                sent += 1
            await asyncio.sleep(self._interval_s / 2)
        self._awaited = total
        self._look()
        await self._done.wait()

    def close(self) -> None:
        for connection in [*self._idle, *self._busy]:
            connection.close()

    def _send(self, number: int) -> None:
        due = self.began + number * self._interval_s
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                self._busy.add(connection)
                connection.ask(due, number)
                return
        task = asyncio.ensure_future(self._open(due, number))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _open(self, due: float, number: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE_S):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self), HOST, self._port, family=socket.AF_INET
                )
        except (OSError, TimeoutError):
            self.tell(due, "refused")
            return
        self._busy.add(connection)
        connection.ask(due, number)

    def tell(self, due: float, what: str) -> None:
        now = asyncio.get_running_loop().time()
        self.outcomes.append(Outcome(due - self.began, now - due, what))
        self._look()

    def _look(self) -> None:
        if len(self.outcomes) == self._awaited:
            self._done.set()

    def free(self, connection: _Connection) -> None:
        self._busy.discard(connection)
        if connection.is_open:
            self._idle.append(connection)


class _Connection(asyncio.Protocol):
    """One keep-alive connection, with at most one request on its way."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._path = b""
        self._due = 0.0
        self._data = b""

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is not a subclass of it

    def ask(self, due: float, number: int) -> None:
        self._due = due
        self._path = b"/%d" % number
        self._data = b""
        self._patience = asyncio.get_running_loop().call_later(PATIENCE_S, self._give_up)
        if self._transport is None:
            self._end("closed")
        else:
            self._transport.write(b"GET %s HTTP/1.1\r\nHost: app.example\r\n\r\n" % self._path)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) < int(fields.get(b"content-length", b"0")):
            return
        if fields.get(b"connection") == b"close":
            self.close()
        self._end(OK if head.startswith(b"HTTP/1.1 200 ") and body == self._path else _failure(head, fields))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._path:
            self._end("closed")

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def _give_up(self) -> None:
        self.close()
        self._end("gave up")

    def _end(self, what: str) -> None:
        if not self._path:
            return
        self._path = b""
        if self._patience is not None:
            self._patience.cancel()
        self._users.tell(self._due, what)
        self._users.free(self)


def _failure(head: bytes, fields: dict[bytes, bytes]) -> str:
    status = head.split(b" ", 2)[1].decode(errors="replace")
    error = fields.get(b"fairlead-error", b"").decode(errors="replace")
    return f"{status} {error}".strip()
