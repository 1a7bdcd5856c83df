"""A plane without an event loop: the test turns it by hand, and after each turn nothing is under way any more.

Owns the plane, its clients and its one endpoint, all in this thread and over Unix sockets, where what is written can be
read at once. So there is nothing to wait for: `turn` goes on until no side has anything left to do, and what did not
happen by then never will. No deadline ever passes. Fast enough for fuzzing and for cutting at every byte.
"""

from __future__ import annotations

import select
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from fairlead.dataplane.plane import Plane
from fairlead.engine.reactor import Reactor, Stream
from fairlead.model import Endpoint, Listener, Route, Service, Update

_MOST_TURNS = 10_000  # an exchange that goes on for longer never ends


class _Never:
    """A timer whose time does not come."""

    def cancel(self) -> None:
        pass


class Hand:
    """What a reactor asks of an event loop. Nothing happens by itself."""

    def __init__(self) -> None:
        self.soon: deque[Callable[[], object]] = deque()

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        self.fd = fd

    def remove_reader(self, fd: int) -> None:
        pass

    def call_soon(self, callback: Callable[[], object]) -> None:
        self.soon.append(callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> _Never:
        return _Never()


class End:
    """The test's end of a connection: `came` is all that has come over it, `is_over` that no more will."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.came = b""
        self.is_over = False
        self._waiting = b""

    def send(self, data: bytes) -> None:
        """What the kernel does not take yet goes with the next turns; what nobody reads any more is lost."""
        self._waiting += data
        self.push()

    def push(self) -> bool:
        """Send what waits; whether anything went."""
        if not self._waiting:
            return False
        try:
            sent = self.sock.send(self._waiting)
        except BlockingIOError:
            return False
        except OSError:
            sent = len(self._waiting)
        self._waiting = self._waiting[sent:]
        return sent > 0

    def pull(self) -> None:
        """Read what is there."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return  # its number was another's when the event came
        except ConnectionError:
            data = b""
        self.came += data
        self.is_over = not data

    def shut(self) -> None:
        """Half-close."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.is_over = True

    def close(self) -> None:
        self.is_over = True
        self.sock.close()


Serve = Callable[[End], None]


def _quietly(end: End) -> None:
    pass


class Crank:
    """Use as a context manager. `serve` is called with a connection to the endpoint after more has come over it."""

    def __init__(self) -> None:
        self.serve: Serve = _quietly
        self.servers: list[End] = []  # connections that the endpoint has accepted, the oldest first
        self.clients: list[End] = []
        self.accepted = 0  # connections to the endpoint
        self.failures: list[tuple[str, BaseException]] = []
        self.records: list[tuple[Any, ...]] = []

    def __enter__(self) -> Crank:
        self._folder = TemporaryDirectory()
        self._hand = Hand()
        hand: Any = self._hand
        self.reactor = Reactor(hand)
        self.reactor.on_error = lambda what, error: self.failures.append((what, error))
        self.reactor.open()
        self.plane = Plane(self.reactor, 0)
        self.plane.access = self.records.append
        self._door = self._listening("endpoint")
        self._watch = select.epoll()
        self._watched: dict[int, Callable[[], None]] = {}
        self._watch_for(self._hand.fd, self.reactor.poll)
        self._watch_for(self._door.fileno(), self._accept)
        self._open()
        return self

    def _watch_for(self, fd: int, ready: Callable[[], None]) -> None:
        self._watch.register(fd, select.EPOLLIN)
        self._watched[fd] = ready

    def _listening(self, name: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(Path(self._folder.name) / name))
        sock.listen(100)
        sock.setblocking(False)
        return sock

    def _open(self) -> None:
        listener = self._listening("web")
        self._address = listener.getsockname()
        app = Service(name="app", endpoints=(Endpoint(f"unix:{self._door.getsockname()}"),))
        web = Listener(name="web", bind=f"unix:{self._address}", routes=(Route(service="app"),))
        self.plane.update(Update(version=1, services=(app,), listeners=(web,)), {"web": listener.detach()})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in [*self.clients, *self.servers]:
            end.close()
        try:
            if error is None:
                self.turn()
                self.check_empty()
                assert self.failures == []
        finally:
            self._watch.close()
            self._door.close()
            self.plane.close()
            self.reactor.close()
            self._folder.cleanup()

    def check_empty(self) -> None:
        """The plane has no connection left, on either side."""
        assert [member for member in self.reactor.members() if isinstance(member, Stream)] == []

    def client(self) -> End:
        """A new connection to the listener."""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self._address)
        end = End(sock)
        self.clients.append(end)
        self._watch_for(sock.fileno(), lambda: self._pull(end))
        return end

    @contextmanager
    def visit(self) -> Iterator[End]:
        """A client that has left, and whose going was noticed, at the end."""
        end = self.client()
        try:
            yield end
        finally:
            end.close()
            self.turn()
            self.clients.remove(end)

    def turn(self) -> None:
        """Let everybody do what there is to do, until nobody has anything left."""
        for _ in range(_MOST_TURNS):
            moved = [end for end in [*self.clients, *self.servers] if end.push()]
            while self._hand.soon:
                self._hand.soon.popleft()()
            ready = self._watch.poll(0)
            for fd, _ in ready:
                self._watched[fd]()
            if not moved and not ready and not self._hand.soon:
                return
        raise AssertionError("it does not come to rest")

    def _accept(self) -> None:
        sock, _ = self._door.accept()
        end = End(sock)
        self.accepted += 1
        self.servers.append(end)
        self._watch_for(sock.fileno(), lambda: self._pull(end, self.serve))

    def _pull(self, end: End, told: Serve = _quietly) -> None:
        if not end.is_over:
            end.pull()
            self._tell(end, told)

    def _tell(self, end: End, told: Serve) -> None:
        if end.is_over:
            self._watch.unregister(end.sock.fileno())
        told(end)

    def forget(self) -> None:
        """Drop what is known of connections to the endpoint that have ended."""
        for server in self.servers:
            if server.is_over:
                server.close()
        self.servers = [server for server in self.servers if not server.is_over]


def in_turns(crank: Crank, end: End, pieces: Iterable[bytes]) -> None:
    """Send each piece after all that the one before led to."""
    for piece in pieces:
        end.send(piece)
        crank.turn()
