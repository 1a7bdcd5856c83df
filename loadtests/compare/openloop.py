"""An open-loop generator: requests are due at fixed times, whatever has become of those before.

Latency counts from the time that a request was due. A reply that is late thus delays nobody's clock but its own, and a
server that stalls is charged for every request that was due meanwhile (a generator that waits for the reply before it
sends the next would count one: coordinated omission). Stalled for 1 s of 4 s, a server must show a median near 0, p90
near 600 ms and p99 near 960 ms; a test holds this generator to that.

The schedule is kept by a timerfd, since waiting in epoll counts in milliseconds, and the loop is bare epoll. Measured
directly at its upstream on a core that both share, at 5,000 requests/s: a median of 35 us, 30 us of which are its own
lag. Run as a module it prints its result as JSON; it needs a process, and a core away from the proxy, of its own.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import select
import socket
import struct
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Self, final

from loadtests.compare.figures import quantile
from loadtests.compare.processes import HOST
from loadtests.compare.upstream import REPLIES, Reply
from loadtests.compare.verify import check

_GRACE_S = 5.0  # for replies that are still due after the last request
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """So many requests a second on so many connections; those of the first `warmup_s` are not counted."""

    port: int
    path: str
    rate: int = 5000
    connections: int = 64
    warmup_s: float = 1.0
    seconds: float = 4.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """The result, in microseconds. `lag` is the generator's own: from when a request was due to when it was sent."""

    requests: int
    p50: float
    p90: float
    p99: float
    max: float
    lag_p50: float
    lag_p99: float


class _Connection:
    """One keep-alive connection. `due_ns` is that of the request that is on its way."""

    __slots__ = ("data", "due_ns", "fd", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.fd = self.socket.fileno()
        self.due_ns = 0
        self.data = b""


class Generator:
    """Sends what is due on a connection that is free, the one that was free the longest.

    Invariant: a connection is in `_free` or waits for exactly one reply. What is due while none is free is sent as
    soon as one is, and its latency has counted since it was due.
    """

    def __init__(self, schedule: Schedule, reply: Reply) -> None:
        self._reply = reply
        self._body = reply.body
        self._request = f"GET {reply.path} HTTP/1.1\r\nHost: app.example\r\n\r\n".encode()
        self._interval_ns = 1_000_000_000 // schedule.rate
        self._skipped = int(schedule.rate * schedule.warmup_s)
        self._total = self._skipped + int(schedule.rate * schedule.seconds)
        self._connections = {c.fd: c for c in (_Connection(schedule.port) for _ in range(schedule.connections))}
        self._free = deque(self._connections.values())
        self._timer = _timer()
        self._sent = 0
        self._start_ns = 0
        self._latencies_ns: list[int] = []
        self._lags_ns: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for connection in self._connections.values():
            connection.socket.close()
        os.close(self._timer)

    def run(self) -> Latencies:
        """All of the schedule. Raises OSError or WrongReply with the first request that failed."""
        self._start_ns = time.monotonic_ns() + 10 * self._interval_ns
        _arm(self._timer, self._start_ns, self._interval_ns)
        deadline_ns = self._start_ns + self._total * self._interval_ns + int(_GRACE_S * 1e9)
        with select.epoll() as poll:
            for fd in (self._timer, *self._connections):
                poll.register(fd, select.EPOLLIN)
            while len(self._latencies_ns) < self._total:
                for fd, _ in poll.poll():
                    if fd == self._timer:
                        os.read(fd, 8)
                    else:
                        self._receive(self._connections[fd])
                if time.monotonic_ns() > deadline_ns:
                    raise TimeoutError(f"{self._total - len(self._latencies_ns)} of {self._total} replies never came")
                self._send_due()
        return self._result()

    def _send_due(self) -> None:
        now = time.monotonic_ns()
        while self._free and self._sent < self._total:
            due = self._start_ns + self._sent * self._interval_ns
            if due > now:
                return
            connection = self._free.popleft()
            connection.due_ns = due
            connection.socket.send(self._request)
            self._sent += 1
            now = time.monotonic_ns()
            self._lags_ns.append(now - due)

    def _receive(self, connection: _Connection) -> None:
        piece = connection.socket.recv(1 << 16)
        now = time.monotonic_ns()
        if not piece:
            raise ConnectionError("the connection was closed")
        data = connection.data + piece
        body_at = data.find(b"\r\n\r\n") + 4
        if body_at < 4 or len(data) < body_at + self._reply.size:
            connection.data = data
            return
        if not data.startswith(b"HTTP/1.1 200") or data[body_at:] != self._body or not connection.due_ns:
            check(data, self._reply)
            raise ConnectionError("a reply came that was not asked for")
        connection.data = b""
        self._latencies_ns.append(now - connection.due_ns)
        connection.due_ns = 0
        self._free.append(connection)

    def _result(self) -> Latencies:
        """In the order of replies, which is close enough to the order of requests to leave the warm-up out."""
        latencies = sorted(ns / 1000 for ns in self._latencies_ns[self._skipped :])
        lags = sorted(ns / 1000 for ns in self._lags_ns[self._skipped :])
        return Latencies(
            requests=len(latencies),
            p50=quantile(latencies, 0.5),
            p90=quantile(latencies, 0.9),
            p99=quantile(latencies, 0.99),
            max=latencies[-1],
            lag_p50=quantile(lags, 0.5),
            lag_p99=quantile(lags, 0.99),
        )


def _timer() -> int:
    """A descriptor of a timer (os.timerfd_create came with Python 3.13)."""
    fd: int = _LIBC.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    return fd


def _arm(timer: int, start_ns: int, interval_ns: int) -> None:
    """It becomes readable when each request is due."""
    spec = struct.pack("qqqq", *divmod(interval_ns, 1_000_000_000), *divmod(start_ns, 1_000_000_000))
    if _LIBC.timerfd_settime(timer, _ABSOLUTE, spec, None) != 0:
        raise OSError(ctypes.get_errno(), "timerfd_settime")


def command(python: str, schedule: Schedule) -> list[str]:
    """How the generator is started in a process of its own."""
    options = [f"--{key.replace('_', '-')}={value}" for key, value in asdict(schedule).items()]
    return [python, "-m", "loadtests.compare.openloop", *options]


def parse(output: str) -> Latencies:
    """What a generator's process has printed."""
    return Latencies(**json.loads(output))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    defaults = Schedule(port=0, path="")
    for key, value in asdict(defaults).items():
        parser.add_argument(f"--{key.replace('_', '-')}", type=type(value), default=value)
    schedule = Schedule(**vars(parser.parse_args()))
    reply = next(reply for reply in REPLIES if reply.path == schedule.path)
    gc.disable()  # a collection would be charged to the server
    with Generator(schedule, reply) as generator:
        print(json.dumps(asdict(generator.run())))


if __name__ == "__main__":
    main()
