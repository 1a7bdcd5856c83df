"""A plane on a stage: the test plays its clients and its endpoints, on real sockets, one step after the other.

A test reads as a sequence diagram: what a peer sends, what the other side gets. Every wait has a deadline. When the
stage closes, so do all peers, and then nothing may be left over in the plane: no stream, no count in flight, no
descriptor, and no exception that a handler raised.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from fairlead.dataplane.endpoint import LiveEndpoint
from fairlead.dataplane.listener import LiveListener
from fairlead.dataplane.plane import Plane
from fairlead.dataplane.service import LiveService
from fairlead.engine.reactor import Acceptor, Reactor, Stream
from fairlead.model import (
    Ejection,
    Endpoint,
    Listener,
    ListenerLimits,
    ListenerTimeouts,
    Protocol,
    Queue,
    Retries,
    Route,
    Service,
    ServiceLimits,
    ServiceTimeouts,
    Update,
)

PATIENCE_S = 10
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class PeerClosedError(Exception):
    """The connection ended where more was expected. Its argument is the beginning of what came."""


@dataclass
class Message:
    """A request or reply as a peer saw it. `fields` in order; `body` without framing; `trailers` with their lines."""

    line: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: bytes = b""

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def one(self, name: bytes) -> bytes:
        """The value of a field that is there once, or b"" when it is not there."""
        found = self.all(name)
        assert len(found) < 2, f"{name!r} is there {len(found)} times"
        return found[0] if found else b""

    @property
    def status(self) -> int:
        return int(self.line.split()[1])

    @property
    def error(self) -> bytes:
        return self.one(b"Fairlead-Error")


class Peer:
    """One end of a connection that the test holds."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._came = b""

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._loop.sock_sendall(self.sock, data)

    async def _more(self) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            data = await self._loop.sock_recv(self.sock, 1 << 18)
        self._came += data
        return bool(data)

    async def take(self, size: int) -> bytes:
        """Exactly this many bytes."""
        while len(self._came) < size:
            if not await self._more():
                raise PeerClosedError(self._came[:200])
        taken, self._came = self._came[:size], self._came[size:]
        return taken

    async def until(self, marker: bytes) -> bytes:
        """All up to and with the marker."""
        while marker not in self._came:
            if not await self._more():
                raise PeerClosedError(self._came[:200])
        return await self.take(self._came.index(marker) + len(marker))

    async def rest(self) -> bytes:
        """All up to an orderly end."""
        pieces = [self._came]
        self._came = b""
        while await self._more():
            pieces.append(self._came)
            self._came = b""
        return b"".join(pieces)

    async def ends(self) -> None:
        """The other side says nothing more and closes in an orderly way."""
        assert await self.rest() == b""

    async def breaks(self) -> bytes:
        """All that comes before the connection is reset."""
        try:
            while await self._more():
                pass
        except ConnectionResetError:
            came, self._came = self._came, b""
            return came
        raise AssertionError(f"an orderly end after {self._came[:200]!r}")

    def nothing(self) -> bool:
        """Whether nothing more has come by now."""
        try:
            self._came += self.sock.recv(1 << 18)
        except BlockingIOError:
            return not self._came
        return False

    def shut(self) -> None:
        """Half-close."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def head(self) -> Message:
        """The head of a message."""
        line, *rest = (await self.until(b"\r\n\r\n"))[:-4].split(b"\r\n")
        pairs = [each.partition(b":") for each in rest]
        return Message(line, [(name, value.strip()) for name, _, value in pairs])

    async def message(self, has_content: bool = True) -> Message:
        """A whole message whose end its framing tells."""
        message = await self.head()
        if not has_content or (
            message.line.startswith(b"HTTP") and (message.status < 200 or message.status in (204, 304))
        ):
            return message
        if message.one(b"Transfer-Encoding") == b"chunked":
            await self._chunks(message)
        elif length := message.one(b"Content-Length"):
            message.body = await self.take(int(length))
        elif message.line.startswith(b"HTTP"):
            message.body = await self.rest()
        return message

    async def _chunks(self, message: Message) -> None:
        pieces = []
        while size := int(await self.until(b"\r\n"), 16):
            pieces.append(await self.take(size))
            assert await self.take(2) == b"\r\n"
        message.body = b"".join(pieces)
        while (line := await self.until(b"\r\n")) != b"\r\n":
            message.trailers += line


class Stand:
    """An endpoint: a listening socket whose connections the test serves."""

    def __init__(self, stage: Stage, family: str = "v4", backlog: int = 100) -> None:
        self._stage = stage
        self.sock, self.address = _listening(family, stage.folder, backlog)

    async def accept(self) -> Peer:
        async with asyncio.timeout(PATIENCE_S):
            sock, _ = await asyncio.get_running_loop().sock_accept(self.sock)
        return self._stage.own(Peer(sock))

    @asynccontextmanager
    async def attended(self, serve: Callable[[Peer], Coroutine[None, None, None]]) -> AsyncIterator[None]:
        """Meanwhile all that come are accepted, and served by `serve`."""

        async def attend() -> None:
            async with asyncio.TaskGroup() as group:
                while True:
                    sock, _ = await asyncio.get_running_loop().sock_accept(self.sock)
                    group.create_task(serve(self._stage.own(Peer(sock))))

        attending = asyncio.ensure_future(attend())
        try:
            yield
        finally:
            attending.cancel()
            with suppress(asyncio.CancelledError):
                await attending

    def has_caller(self) -> bool:
        """Whether a connection waits to be accepted."""
        try:
            sock, _ = self.sock.accept()
        except BlockingIOError:
            return False
        self._stage.own(Peer(sock))
        return True

    def close(self) -> None:
        """From now on connections are refused."""
        self.sock.close()

    @property
    def live(self) -> LiveEndpoint:
        """What the plane knows of this endpoint."""
        live: LiveEndpoint = self._stage.service.endpoints[self.address]
        return live


def _listening(family: str, folder: Path | None, backlog: int = 100) -> tuple[socket.socket, str]:
    if family == "unix":
        assert folder is not None
        sock = socket.socket(socket.AF_UNIX)
        path = folder / f"{sock.fileno()}.sock"
        sock.bind(str(path))
        address = f"unix:{path}"
    elif family == "v6":
        sock = socket.socket(socket.AF_INET6)
        sock.bind(("::1", 0))
        address = f"[::1]:{sock.getsockname()[1]}"
    else:
        sock = socket.socket(socket.AF_INET)
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    sock.listen(backlog)
    sock.setblocking(False)
    return sock, address


@dataclass(kw_only=True)
class Set:
    """How a stage is set: what a test does not name is as Fairlead's own defaults."""

    protocol: Protocol = Protocol.HTTP
    routes: tuple[Route, ...] = (Route(service="app"),)
    timeouts: ListenerTimeouts = field(default_factory=ListenerTimeouts)
    limits: ListenerLimits = field(default_factory=ListenerLimits)
    service_timeouts: ServiceTimeouts = field(default_factory=ServiceTimeouts)
    service_limits: ServiceLimits = field(default_factory=ServiceLimits)
    ejection: Ejection = field(default_factory=Ejection)
    retries: Retries = field(default_factory=Retries)
    debug_from: tuple[str, ...] = ("127.0.0.0/8", "::1")
    max_in_flight: int = 0
    queue: Queue | None = None
    protect: bool = False
    balance: str = "round-robin"
    family: str = "v4"
    trusted_proxies: tuple[str, ...] = ()
    send_buffer: int = 0  # of the kernel, towards each client; 0 leaves it to the kernel, which may hold megabytes


class Stage:
    """Use as an async context manager. One listener "web" and one service "app" unless the test says more."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.records: list[tuple[Any, ...]] = []
        self.failures: list[tuple[str, BaseException]] = []
        self._peers: list[Peer] = []
        self._stands: list[Stand] = []
        self._version = 0

    async def __aenter__(self) -> Stage:
        self._descriptors = _descriptors()
        self.reactor = Reactor(asyncio.get_running_loop())
        self.reactor.on_error = lambda what, error: self.failures.append((what, error))
        self.reactor.open()
        self.plane = Plane(self.reactor, 0)
        self.plane.access = self.records.append
        self._services: dict[str, LiveService] = {}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for peer in self._peers:
            peer.close()
        for stand in self._stands:
            stand.close()
        try:
            if error is None:
                await self.until(self.is_empty)
                self.check()
        finally:
            self.plane.close()
            left = [member for member in self.reactor.members() if isinstance(member, Stream | Acceptor)]
            self.reactor.close()
        if error is None:
            assert left == []
            assert _descriptors() == self._descriptors
            assert self.failures == []

    def check(self) -> None:
        """Nothing is under way, and the counts say so."""
        for listener in self.listeners:
            assert (listener.active, listener.clients) == (0, 0)
        for service in self._services.values():
            for endpoint in [*service.endpoints.values(), *service.retired.values()]:
                assert (endpoint.in_flight, endpoint.connections, endpoint.idle) == (0, 0, []), endpoint
                assert (endpoint.waiting, endpoint.silent_since) == (0, 0), endpoint
            assert (service.in_flight, service.queue.size, service.queue.first) == (0, 0, None)

    @property
    def listeners(self) -> list[LiveListener]:
        return [member for member in self.reactor.members() if isinstance(member, LiveListener)]

    @property
    def listener(self) -> LiveListener:
        return self.listeners[0]

    @property
    def streams(self) -> list[Stream]:
        """The plane's connections on both sides."""
        return [member for member in self.reactor.members() if isinstance(member, Stream)]

    @property
    def service(self) -> LiveService:
        return self._services["app"]

    @property
    def stands(self) -> list[Stand]:
        return self._stands

    def is_empty(self) -> bool:
        return not self.streams

    async def until(self, condition: Callable[[], object]) -> None:
        """Give way to the plane until this is so. There is nothing to wait on but what the plane has done."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                turn = self.reactor.loop.create_future()
                self.reactor.loop.call_soon(turn.set_result, None)
                await turn

    def own(self, peer: Peer) -> Peer:
        """Closed with the stage."""
        self._peers.append(peer)
        return peer

    def stand(self, family: str = "v4", backlog: int = 100) -> Stand:
        stand = Stand(self, family, backlog)
        self._stands.append(stand)
        return stand

    def play(self, *stands: Stand, scene: Set | None = None) -> None:
        """Open the listener "web" to the service "app" of these endpoints."""
        scene = scene or Set()
        sock, self.address = _listening(scene.family, self.folder, 1000)
        if scene.send_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, scene.send_buffer)  # those accepted inherit it
        listener = Listener(
            name="web",
            bind=self.address,
            protocol=scene.protocol,
            routes=scene.routes if scene.protocol is Protocol.HTTP else (),
            service="app" if scene.protocol is Protocol.TCP else "",
            timeouts=scene.timeouts,
            limits=scene.limits,
            trusted_proxies=scene.trusted_proxies,
            debug_from=scene.debug_from,
        )
        self.change(service("app", *stands, scene=scene), listeners=(listener,), sockets={"web": sock.detach()})

    def change(
        self, *services: Service, listeners: tuple[Listener, ...] = (), sockets: dict[str, int] | None = None
    ) -> None:
        """Apply an update."""
        self._version += 1
        given = {} if sockets is None else sockets
        self.plane.update(Update(version=self._version, services=services, listeners=listeners), given)
        assert given == {}
        self._services.update(self.plane._services)

    async def client(self) -> Peer:
        """A new connection to the listener."""
        if self.address.startswith("unix:"):
            sock = socket.socket(socket.AF_UNIX)
            target: Any = self.address[5:]
        else:
            host, _, port = self.address.rpartition(":")
            sock = socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET)
            target = (host.strip("[]"), int(port))
        # At once, for the kernel accepts: the loop would look at it too late to tell a connection that was reset from
        # one that was not made.
        sock.settimeout(PATIENCE_S)
        try:
            sock.connect(target)
        except OSError:
            sock.close()
            raise
        return self.own(Peer(sock))

    def counts(self, service: str = "app") -> dict[str, int]:
        """Replies by code, over all endpoints, of one service."""
        self.service.is_touched = True
        self.plane._unrouted.is_touched = True
        codes: dict[str, int] = {}
        for _, _, code, count in self.plane.report()["services"][service]["requests"]:
            codes[code] = codes.get(code, 0) + count
        return codes


def service(name: str, *stands: Stand, scene: Set | None = None) -> Service:
    """A service of these endpoints."""
    scene = scene or Set()
    return Service(
        name=name,
        balance=scene.balance,
        endpoints=tuple(Endpoint(stand.address) for stand in stands),
        timeouts=scene.service_timeouts,
        limits=scene.service_limits,
        ejection=scene.ejection,
        retries=scene.retries,
        max_in_flight=scene.max_in_flight,
        queue=scene.queue,
        protect=scene.protect,
    )


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
