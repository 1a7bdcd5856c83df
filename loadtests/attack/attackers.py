"""The attackers of one kind, all in one process: each holds its connection as long as the proxy lets it.

Owns their connections, and what became of each. An attacker never ends by itself: it is ended, and as long as the
attack lasts another takes its place. Made to be cheap, because the measuring client lives on the same core: one epoll
set, one queue of what is due, ticks of 2 ms. It says every second how things are, as a line of JSON;
`late_s` is its own lag, the most that something was sent later than it was due.
"""

from __future__ import annotations

import argparse
import errno
import gc
import json
import select
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import cycle
from typing import Final, Self, final

from loadtests.attack.endpoint import HUGE
from loadtests.compare.processes import HOST

_TICK_S: Final = 0.002
_CATCH_UP_S: Final = 0.01  # when it was late itself, no more than this is made up for at once
_DRIPS: Final = 50  # that are sent at once at the most, for the same reason
_RECEIVE_BUFFER: Final = 4096  # an attacker takes nothing, and keeps nothing
_ADDRESSES: Final = 20  # of clients, so that no limit per address is what saves the proxy
_TELL_S: Final = 1.0
_OVER: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


@final
@dataclass(frozen=True, slots=True)
class Manner:
    """What an attacker sends first, and then every now and then: bytes, or it reads a few."""

    opening: bytes
    drip: bytes = b""
    reads: int = 0


_POST: Final = b"POST /sink HTTP/1.1\r\nHost: app.example\r\n"
_GET: Final = f"GET {HUGE.path} HTTP/1.1\r\nHost: app.example\r\n\r\n".encode()
KINDS: Final[Mapping[str, tuple[Manner, ...]]] = {
    "heads": (Manner(b"GET /small HTTP/1.1\r\nHost: app.example\r\nX-Slow: ", b"a"),),
    "bodies": (
        Manner(_POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", b"1\r\nx\r\n"),
        Manner(_POST + b"Content-Length: 1000000000\r\n\r\nx", b"x"),
    ),
    "readers": (Manner(_GET), Manner(_GET, reads=8)),
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """So many attackers of a kind for `seconds`, then until all are ended, at the most `patience_s` more."""

    port: int
    kind: str
    count: int
    seconds: float
    patience_s: float = 15.0
    every_s: float = 2.0  # from one drip of an attacker to the next
    rate: int = 2000  # attackers that connect in a second, at the most


@final
@dataclass(slots=True, kw_only=True)
class State:
    """How things are `at` a moment of the monotonic clock. `ends` counts what attackers have seen at their end."""

    at: float
    held: int = 0
    longest_s: float = 0.0  # from an attacker's first byte to its end, of those that were ended
    late_s: float = 0.0  # since the last state
    ends: dict[str, int] = field(default_factory=dict)
    is_last: bool = False


@final
class _Attacker:
    """One connection. `opened` is when its first byte was sent, 0 while it connects."""

    __slots__ = ("due", "manner", "opened", "socket")

    def __init__(self, opened: socket.socket, manner: Manner) -> None:
        self.socket = opened
        self.manner = manner
        self.opened = 0.0
        self.due = 0.0


@final
class Attack:
    """See the module. Invariant: `_attackers` has every open connection; `_dripping` those that have something due."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._manners = cycle(KINDS[orders.kind])
        self._addresses = cycle([f"127.1.0.{i}" for i in range(1, _ADDRESSES + 1)])
        self._poll = select.epoll()
        self._attackers: dict[int, _Attacker] = {}
        self._dripping: deque[_Attacker] = deque()  # in the order of what is due: every one has the same interval
        self._ends: Counter[str] = Counter()
        self._longest_s = 0.0
        self._late_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for attacker in self._attackers.values():
            attacker.socket.close()
        self._poll.close()

    def run(self) -> Iterator[State]:
        """Attack. Yields a state every second and one at the end."""
        started = now = time.monotonic()
        told = connected = started
        end = started + self._orders.seconds
        while now < end or (self._attackers and now < end + self._orders.patience_s):
            if now < end:
                connected = self._connect(connected, now)
            self._drip(now)
            for fd, mask in self._poll.poll(_TICK_S, 1024):
                self._event(self._attackers[fd], mask)
            now = time.monotonic()
            if now >= told + _TELL_S:
                told = now
                yield self._state(now)
        yield replace(self._state(now), is_last=True)

    def _state(self, now: float) -> State:
        late_s, self._late_s = self._late_s, 0.0
        return State(at=now, held=len(self._attackers), longest_s=self._longest_s, late_s=late_s, ends=dict(self._ends))

    def _connect(self, since: float, now: float) -> float:
        """Replace those that were ended, no faster than the rate; returns the time that is accounted for."""
        rate = self._orders.rate
        missing = self._orders.count - len(self._attackers)
        allowed = int((now - since) * rate)
        most = max(int(_CATCH_UP_S * rate), 1)
        for _ in range(min(missing, allowed, most)):
            self._begin()
        return now if missing <= 0 or allowed > most else since + allowed / rate

    def _begin(self) -> None:
        client = socket.socket()
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # no port is left waiting
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.bind((next(self._addresses), 0))
        code = client.connect_ex((HOST, self._orders.port))
        if code not in (0, errno.EINPROGRESS):
            self._ends[errno.errorcode[code]] += 1
            client.close()
            return
        self._attackers[client.fileno()] = _Attacker(client, next(self._manners))
        self._poll.register(client, select.EPOLLOUT | _OVER | select.EPOLLET)

    def _drip(self, now: float) -> None:
        dripping = self._dripping
        for _ in range(min(len(dripping), _DRIPS)):
            if dripping[0].due > now:
                return
            attacker = dripping.popleft()
            if attacker.socket.fileno() < 0:
                continue  # it was ended meanwhile
            self._late_s = max(self._late_s, now - attacker.due)
            try:
                if attacker.manner.drip:
                    attacker.socket.send(attacker.manner.drip)
                else:
                    attacker.socket.recv(attacker.manner.reads)
            except BlockingIOError:
                pass
            except OSError:
                continue  # it was ended: the event comes
            attacker.due = now + self._orders.every_s
            dripping.append(attacker)

    def _event(self, attacker: _Attacker, mask: int) -> None:
        if mask & _OVER:
            self._ended(attacker)
        elif not attacker.opened:
            attacker.opened = time.monotonic()
            with suppress(OSError):  # it was ended already: the event comes
                attacker.socket.send(attacker.manner.opening)
            if attacker.manner.drip or attacker.manner.reads:
                attacker.due = attacker.opened + self._orders.every_s
                self._dripping.append(attacker)

    def _ended(self, attacker: _Attacker) -> None:
        if attacker.opened:
            self._longest_s = max(self._longest_s, time.monotonic() - attacker.opened)
        self._ends[_last_words(attacker)] += 1
        del self._attackers[attacker.socket.fileno()]
        attacker.socket.close()


def _last_words(attacker: _Attacker) -> str:
    """What the proxy said before it ended the connection: a status, or nothing but the end."""
    if not attacker.opened:
        return "not served"
    try:
        data = attacker.socket.recv(256)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return data[9:12].decode() if data.startswith(b"HTTP/1.1 ") else "end"


def command(orders: Orders) -> list[str]:
    """How the attackers are started in a process of their own."""
    options = [f"--{key.replace('_', '-')}={value}" for key, value in asdict(orders).items()]
    return [sys.executable, "-m", "loadtests.attack.attackers", *options]


def parse(output: str) -> list[State]:
    """The states that a process has told so far. A last line that is not whole yet is left out."""
    return [State(**json.loads(line)) for line in output.splitlines(keepends=True) if line.endswith("\n")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for key, value in asdict(Orders(port=0, kind="", count=0, seconds=0.0)).items():
        parser.add_argument(f"--{key.replace('_', '-')}", type=type(value), default=value)
    gc.disable()  # there are no cycles, and looking for some would make everybody late
    with Attack(Orders(**vars(parser.parse_args()))) as attack:
        for state in attack.run():
            print(json.dumps(asdict(state)), flush=True)


if __name__ == "__main__":
    main()
