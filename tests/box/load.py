"""The load: requests at a fixed rate, whatever has become of those before, each reply held against its request.

Run by itself it is a process of its own: each line of its stdin is the addresses that take the next requests, the
end of stdin ends it, and its stdout is then one line for each request. Half of the requests go over connections that
stay open, half over one each. It is a strict client: it never sends anything twice, so whatever goes wrong is counted.
A reply is good when it is whole, has status 200, and is to the path that was asked for, from the pod that signed it.

Connections that stay open are used in turn, so that each hears soon when its server says that it will close.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final, final

_LIMIT_S: Final = 10.0  # a reply that takes longer is none
_LONGEST_WAIT_S: Final = 0.1


@dataclass(slots=True)
class Request:
    """What became of one. Times are of the monotonic clock, which all processes share; `failure` "" is a good one."""

    number: int
    is_fresh: bool
    target: str
    due: float
    sent: float
    done: float = 0.0
    pod: str = ""
    failure: str = ""

    @property
    def path(self) -> str:
        return f"/r/{self.number}"


@final
class _Connection:
    __slots__ = ("data", "is_kept", "request", "socket", "target", "waits_to_send")

    def __init__(self, target: str, is_kept: bool) -> None:
        self.target = target
        self.is_kept = is_kept
        self.request: Request | None = None
        self.data = b""
        self.waits_to_send = True
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, _, port = target.rpartition(":")
        self.socket.connect_ex((host, int(port)))  # what goes wrong is said when it becomes writable


@final
class Generator:
    """Invariant: an open connection serves one request, or is among the free ones of its target."""

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._poll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._free: dict[str, deque[_Connection]] = {}
        self._targets: deque[str] = deque()
        self._commands = b""
        self._is_over = False
        self._next = 0.0  # when the next request is due
        self._look = 0.0  # when to look for those that have waited too long
        self.requests: list[Request] = []

    def run(self, commands: int) -> None:
        """Until that descriptor ends, and what is under way then."""
        os.set_blocking(commands, False)
        self._poll.register(commands, select.EPOLLIN)
        while not self._is_over or self._busy:
            wait = min(max(self._next - time.monotonic(), 0.0), _LONGEST_WAIT_S) if self._targets else _LONGEST_WAIT_S
            for fd, events in self._poll.poll(wait):
                if fd == commands:
                    self._hear(commands)
                elif fd in self._connections:
                    self._on_event(self._connections[fd], events)
            self._send_due()
            self._give_up()

    @property
    def _busy(self) -> list[_Connection]:
        return [each for each in self._connections.values() if each.request is not None]

    def _hear(self, commands: int) -> None:
        piece = os.read(commands, 65536)
        *lines, self._commands = (self._commands + piece).split(b"\n")
        for line in lines:
            self._aim(json.loads(line))
        if not piece:
            self._is_over = True
            self._targets.clear()
            self._poll.unregister(commands)

    def _aim(self, targets: list[str]) -> None:
        """These take the requests from now on; connections to others are closed when they have nothing to do."""
        if targets and not self._targets:
            self._next = time.monotonic()
        self._targets = deque(targets)
        for target in self._free.keys() - set(targets):
            for connection in self._free.pop(target):
                self._close(connection)

    def _send_due(self) -> None:
        now = time.monotonic()
        while self._targets and self._next <= now:
            target = self._targets[0]
            self._targets.rotate(-1)
            number = len(self.requests)
            request = Request(number, number % 2 == 1, target, self._next, now)
            self.requests.append(request)
            self._next += self._interval
            self._send(request)
            now = time.monotonic()

    def _send(self, request: Request) -> None:
        free = self._free.get(request.target)
        if not request.is_fresh and free:
            connection = free.popleft()
        else:
            connection = _Connection(request.target, not request.is_fresh)
            self._connections[connection.socket.fileno()] = connection
            self._poll.register(connection.socket, select.EPOLLOUT)
        connection.request = request
        if not connection.waits_to_send:
            self._write(connection, request)

    def _write(self, connection: _Connection, request: Request) -> None:
        close = "" if connection.is_kept else "Connection: close\r\n"
        try:
            connection.socket.send(f"GET {request.path} HTTP/1.1\r\nHost: my-app\r\n{close}\r\n".encode())
        except OSError as error:
            self._fail(connection, f"sending: {error.strerror}")

    def _on_event(self, connection: _Connection, events: int) -> None:
        request = connection.request
        if connection.waits_to_send and request is not None:
            error = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self._fail(connection, f"connecting: {os.strerror(error)}")
                return
            connection.waits_to_send = False
            self._poll.modify(connection.socket, select.EPOLLIN)
            self._write(connection, request)
        elif events & ~select.EPOLLOUT:
            self._read(connection)

    def _read(self, connection: _Connection) -> None:
        try:
            piece = connection.socket.recv(65536)
        except OSError as error:
            self._fail(connection, f"reading: {error.strerror}")
            return
        request = connection.request
        if request is None:  # the end of one that is free, or bytes that nobody asked for, which end it as well
            self._free[connection.target].remove(connection)
            self._close(connection)
        elif not piece:
            self._fail(connection, "closed before the end of a reply")
        else:
            connection.data += piece
            judged = judge(connection.data, request.path)
            if judged is not None:
                self._finish(connection, request, judged)

    def _finish(self, connection: _Connection, request: Request, verdict: Verdict) -> None:
        request.done = time.monotonic()
        request.pod, request.failure = verdict.pod, verdict.failure
        connection.request = None
        connection.data = b""
        if connection.is_kept and verdict.is_kept and connection.target in self._targets:
            self._free.setdefault(connection.target, deque()).append(connection)
        else:
            self._close(connection)

    def _fail(self, connection: _Connection, failure: str) -> None:
        request = connection.request
        if request is not None:
            request.done, request.failure = time.monotonic(), failure
        elif connection in self._free.get(connection.target, ()):
            self._free[connection.target].remove(connection)
        self._close(connection)

    def _close(self, connection: _Connection) -> None:
        self._connections.pop(connection.socket.fileno(), None)
        connection.socket.close()

    def _give_up(self) -> None:
        now = time.monotonic()
        if now < self._look:
            return
        self._look = now + _LONGEST_WAIT_S
        for connection in self._busy:
            if connection.request is not None and connection.request.sent < now - _LIMIT_S:
                self._fail(connection, f"no reply in {_LIMIT_S:g} s")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a whole reply is worth."""

    pod: str = ""
    failure: str = ""
    is_kept: bool = False


def judge(data: bytes, path: str) -> Verdict | None:
    """None while the reply is not whole."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(fields.get("content-length", "-1"))
    if length >= 0 and len(body) < length:
        return None
    is_kept = "close" not in fields.get("connection", "").lower()
    pod, status = fields.get("x-pod", ""), first.split(" ")[1:2]
    if status != ["200"]:
        return Verdict(pod, " ".join([*status, fields.get("fairlead-error", "from the pod")]), is_kept)
    if fields.get("x-path") != path or body != f"{pod}\n".encode() or len(body) != length:
        return Verdict(pod, "a reply to something else", False)
    return Verdict(pod, "", is_kept)


class Load:
    """The generator in a process of its own, and what it found."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, rate: float, *targets: str) -> Load:
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, f"--rate={rate}",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, limit=1 << 26,
        )  # fmt: skip
        load = cls(process)
        load.aim(*targets)
        return load

    def aim(self, *targets: str) -> None:
        """These take the requests from now on."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(targets).encode() + b"\n")

    async def end(self) -> list[Request]:
        """Every request that was sent, once all have had their reply or their time."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        said, _ = await self._process.communicate()
        if self._process.returncode:
            raise RuntimeError("the load generator has failed")
        return [Request(**json.loads(line)) for line in said.splitlines()]

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


def failures(requests: Iterable[Request]) -> list[Request]:
    return [request for request in requests if request.failure]


def main() -> None:
    parser = argparse.ArgumentParser(prog="box.load", description=__doc__)
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second (default: 1000)")
    generator = Generator(parser.parse_args().rate)
    gc.disable()  # a collection would be charged to the proxy
    generator.run(sys.stdin.fileno())
    sys.stdout.writelines(json.dumps(asdict(request)) + "\n" for request in generator.requests)


if __name__ == "__main__":
    main()
