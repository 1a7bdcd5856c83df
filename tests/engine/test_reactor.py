"""The reactor against real sockets: edges, partial writes, half-close, resets, deadlines, descriptors."""

import asyncio
import errno
import os
import resource
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest
from fairlead.engine.address import Address
from fairlead.engine.reactor import Acceptor, Reactor, Stream


class Recorder(Stream):
    """Notes what happens to it; echoes nothing."""

    def __init__(self, reactor: Reactor) -> None:
        super().__init__(reactor)
        self.events: list[str] = []
        self.received = b""
        self.is_last = False
        self.changed = asyncio.Event()

    def note(self, event: str) -> None:
        self.events.append(event)
        self.changed.set()

    def on_connect(self) -> None:
        self.note("connect")

    def on_data(self, data: bytes) -> None:
        self.received += data
        self.is_last = self.is_ending()
        self.note("data")

    def on_eof(self) -> None:
        self.note("eof")

    def on_drained(self) -> None:
        self.note("drained")

    def on_close(self) -> None:
        self.note(f"close {errno.errorcode.get(self.error, 'OK')}")

    def on_deadline(self) -> None:
        self.note("deadline")

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Listening(Acceptor):
    """Accepts Recorders."""

    def __init__(self, reactor: Reactor) -> None:
        super().__init__(reactor)
        self.accepted: list[Recorder] = []
        self.hosts: list[bytes] = []
        self.changed = asyncio.Event()

    def on_accept(self, fd: int) -> None:
        stream = Recorder(self.reactor)
        stream.adopt(fd)
        self.hosts.append(self.peer_host())
        self.accepted.append(stream)
        self.changed.set()

    async def until_accepted(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.accepted) < count:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def reactor() -> AsyncIterator[Reactor]:
    failures: list[tuple[str, BaseException]] = []
    reactor = Reactor(asyncio.get_running_loop())
    reactor.on_error = lambda what, error: failures.append((what, error))
    reactor.open()
    yield reactor
    reactor.close()
    assert failures == []


def pair(reactor: Reactor) -> tuple[Recorder, socket.socket]:
    """A stream over TCP and the plain socket at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    accepted.setblocking(False)
    stream = Recorder(reactor)
    stream.adopt(accepted.detach())
    client.settimeout(10)
    return stream, client


async def test_data_and_an_end_in_one_event_are_told_in_order(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    client.sendall(b"last words")
    client.close()
    await stream.until(lambda: "eof" in stream.events)
    assert stream.events == ["data", "eof"]
    assert stream.received == b"last words"
    assert stream.is_last
    stream.close()


async def test_urgent_data_does_not_cut_what_follows_it(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    client.sendall(b"before")
    client.send(b"!", socket.MSG_OOB)  # a read stops short of it; it is not a part of the stream
    client.sendall(b"after")
    client.close()
    await stream.until(lambda: "eof" in stream.events)
    assert stream.received == b"beforeafter"
    stream.close()


async def test_data_after_urgent_data_needs_no_new_edge(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    client.sendall(b"before")
    client.send(b"!", socket.MSG_OOB)
    client.sendall(b"after")
    await stream.until(lambda: stream.received == b"beforeafter")
    client.close()
    stream.close()


async def test_the_end_goes_with_the_last_bytes(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    before = segments(client)
    stream.end_follows()
    stream.write(b"last words")
    stream.shutdown_write()
    assert b"".join(iter(lambda: client.recv(100), b"")) == b"last words"
    assert segments(client) == before + 1
    stream.close()
    client.close()


def segments(sock: socket.socket) -> int:
    """Segments that came in: tcpi_segs_in of tcp_info (linux/tcp.h)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int(struct.unpack_from("I", info, 140)[0])


@pytest.mark.parametrize("size", [1, 8192, 8193, 65535, 65536, 65537, 1_000_003])
async def test_reads_of_every_size_arrive_whole(reactor: Reactor, size: int) -> None:
    stream, client = pair(reactor)
    data = os.urandom(size)
    sender = asyncio.get_running_loop().run_in_executor(None, client.sendall, data)
    await stream.until(lambda: len(stream.received) >= size)
    await sender
    assert stream.received == data
    client.close()
    stream.close()


async def test_a_paused_stream_reads_nothing_and_loses_nothing(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    stream.pause()
    client.sendall(b"early")
    client.close()
    other, peer = pair(reactor)
    peer.sendall(b"x")
    await other.until(lambda: other.received)
    assert stream.events == []
    stream.resume()
    await stream.until(lambda: "eof" in stream.events)
    assert stream.received == b"early"
    for each in (stream, other):
        each.close()
    peer.close()


async def test_a_partial_write_goes_on_when_the_peer_reads(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    data = os.urandom(16_000_000)
    assert not stream.write(data)
    assert stream.is_blocked and 0 < stream.buffered < len(data)
    assert not stream.write(b"tail")
    stream.shutdown_write()

    def read_all() -> bytes:
        return b"".join(iter(lambda: client.recv(1 << 20), b""))

    received = await asyncio.get_running_loop().run_in_executor(None, read_all)
    assert received == data + b"tail"
    assert stream.events == ["drained"]
    stream.close()
    client.close()


async def test_parts_are_gathered_in_order_whatever_their_number(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    parts = [bytes([i % 256]) * (i + 1) for i in range(1000)]
    stream.write_parts(parts)
    stream.finish()

    def read_all() -> bytes:
        return b"".join(iter(lambda: client.recv(1 << 20), b""))

    assert await asyncio.get_running_loop().run_in_executor(None, read_all) == b"".join(parts)
    client.close()


async def test_half_close_in_both_directions(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    await stream.until(lambda: "eof" in stream.events)
    stream.write(b"answer")
    stream.shutdown_write()
    assert client.recv(100) == b"answer"
    assert client.recv(100) == b""
    stream.close()
    client.close()


@pytest.mark.parametrize("paused", [False, True])
async def test_a_reset_is_told_as_one_even_while_paused(reactor: Reactor, paused: bool) -> None:
    stream, client = pair(reactor)
    if paused:
        stream.pause()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    await stream.until(lambda: stream.events)
    assert stream.events == ["close ECONNRESET"]
    assert not stream.is_open


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_reset_behind_an_end_is_told(reactor: Reactor, at_once: bool) -> None:
    stream, client = pair(reactor)
    client.shutdown(socket.SHUT_WR)
    if not at_once:
        await stream.until(lambda: "eof" in stream.events)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    await stream.until(lambda: len(stream.events) > 1)
    assert stream.events[0] == "eof"
    assert stream.events[1] in ("close EPIPE", "close ECONNRESET")
    assert not stream.is_open


async def test_a_reset_found_by_writing_is_not_taken_for_an_end(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert stream.write(b"into the void")
    await stream.until(lambda: stream.events)
    assert stream.events[0] in ("close ECONNRESET", "close EPIPE")


async def test_a_patient_stream_reads_what_came_before_the_reset(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    stream.set_patient(True)
    stream.pause()
    client.sendall(b"whole")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    other, peer = pair(reactor)
    peer.sendall(b"x")
    await other.until(lambda: other.received)
    assert stream.events == []
    stream.resume()
    await stream.until(lambda: len(stream.events) > 1)
    assert stream.events == ["data", "close ECONNRESET"]
    assert stream.received == b"whole"
    other.close()
    peer.close()


async def test_abort_resets_the_peer(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    stream.abort()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    client.close()


@pytest.mark.parametrize("family", ["v4", "v6", "unix"])
async def test_connects_and_accepts_over_every_family(reactor: Reactor, family: str, tmp_path: object) -> None:
    if family == "unix":
        server = socket.socket(socket.AF_UNIX)
        server.bind(f"{tmp_path}/s")
        text = f"unix:{tmp_path}/s"
    else:
        host = "127.0.0.1" if family == "v4" else "::1"
        server = socket.socket(socket.AF_INET if family == "v4" else socket.AF_INET6)
        server.bind((host, 0))
        port = server.getsockname()[1]
        text = f"{host}:{port}" if family == "v4" else f"[{host}]:{port}"
    server.listen()
    server.setblocking(False)
    acceptor = Listening(reactor)
    acceptor.open(server.detach())
    stream = Recorder(reactor)
    assert stream.connect(Address(text)) == 0
    stream.write(b"hello")
    await stream.until(lambda: "connect" in stream.events)
    await acceptor.until_accepted(1)
    await acceptor.accepted[0].until(lambda: acceptor.accepted[0].received)
    assert acceptor.accepted[0].received == b"hello"
    assert acceptor.hosts == [{"v4": b"127.0.0.1", "v6": b"::1", "unix": b"unix"}[family]]
    acceptor.close()
    stream.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.10.99", "127.100.0.255"])
@pytest.mark.parametrize("family", ["v4", "v6"])
async def test_the_peers_host_is_written_as_text(reactor: Reactor, family: str, host: str) -> None:
    if family == "v4":
        server = socket.create_server(("127.0.0.1", 0))
    else:
        server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    server.setblocking(False)
    client = socket.create_connection(("127.0.0.1", server.getsockname()[1]), source_address=(host, 0))
    acceptor = Listening(reactor)
    acceptor.open(server.detach())
    await acceptor.until_accepted(1)
    assert acceptor.hosts == [host.encode()]
    acceptor.close()
    client.close()


@pytest.mark.parametrize("eager", [False, True])
async def test_a_refused_connection_says_so(reactor: Reactor, eager: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address(f"127.0.0.1:{server.getsockname()[1]}")
    stream = Recorder(reactor)
    if stream.connect(address) == 0:
        if eager:
            stream.write(b"too early")
        await stream.until(lambda: stream.events)
        assert stream.events == ["close ECONNREFUSED"]


async def test_a_missing_unix_socket_fails_at_once(reactor: Reactor, tmp_path: object) -> None:
    assert Recorder(reactor).connect(Address(f"unix:{tmp_path}/absent")) == errno.ENOENT


class Late(Recorder):
    """At its deadline it tells `prompt`; the first of them to do so has the other end of `prompt` say something."""

    def __init__(self, reactor: Reactor, prompt: Recorder, peer: socket.socket) -> None:
        super().__init__(reactor)
        self._prompt = prompt
        self._peer = peer

    def on_deadline(self) -> None:
        if not self._prompt.events:
            self._peer.sendall(b"a request")
        self._prompt.note("deadline")


async def test_deadlines_that_pass_together_hold_up_nobody(reactor: Reactor) -> None:
    """As when thousands of attackers are ended: what comes after the first deadline is read before the last."""
    ends = [socket.socketpair() for _ in range(33)]
    prompt = Recorder(reactor)
    late = [Late(reactor, prompt, ends[0][1]) for _ in ends[1:]]
    for stream, (ours, _) in zip([prompt, *late], ends, strict=True):
        ours.setblocking(False)
        stream.adopt(ours.detach())
    for stream in late:
        stream.arm(1)
    await prompt.until(lambda: len(prompt.events) == 33)
    assert prompt.events.index("data") < 10
    assert prompt.events.count("deadline") == 32
    for stream, (_, theirs) in zip([prompt, *late], ends, strict=True):
        stream.close()
        theirs.close()


async def test_a_deadline_fires_once_and_can_be_taken_back(reactor: Reactor) -> None:
    stream, client = pair(reactor)
    other, peer = pair(reactor)
    other.arm(1)
    other.arm(0)
    stream.arm(1)
    await stream.until(lambda: "deadline" in stream.events)
    assert stream.events == ["deadline"]
    assert other.events == []
    for each in (stream, other, client, peer):
        each.close()


async def test_a_busy_stream_does_not_starve_another(reactor: Reactor) -> None:
    class Busy(Recorder):
        def on_data(self, data: bytes) -> None:
            self.events.append("data")
            if len(quiet.events) == 0 and len(self.events) == 2:
                peer.sendall(b"now me")  # arrives while much more of the busy stream's data waits

    busy, quiet = Busy(reactor), Recorder(reactor)
    near, client = socket.socketpair()
    far, peer = socket.socketpair()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    sent = client.send(bytes(1 << 21))
    for stream, end in ((busy, near), (quiet, far)):
        end.setblocking(False)
        stream.adopt(end.detach())
    await quiet.until(lambda: quiet.received)
    assert len(busy.events) < max(sent // 65536, 3) + 1
    for each in (busy, quiet, client, peer):
        each.close()


async def test_a_handler_that_raises_costs_its_own_stream_only() -> None:
    class Faulty(Recorder):
        def on_data(self, data: bytes) -> None:
            raise ZeroDivisionError("a bug")

    reactor = Reactor(asyncio.get_running_loop())
    told: list[str] = []
    reactor.on_error = lambda what, error: told.append(f"{what}: {error!r}")
    reactor.open()
    _, client = pair(reactor)
    near, far = socket.socketpair()
    near.setblocking(False)
    faulty = Faulty(reactor)
    faulty.adopt(near.detach())
    far.sendall(b"x")
    await faulty.until(lambda: faulty.events)
    assert told == ["a handler of Faulty failed: ZeroDivisionError('a bug')"]
    assert len(reactor.members()) == 1
    reactor.close()
    far.close()
    client.close()


async def test_running_out_of_descriptors_is_told_once_and_survived(reactor: Reactor) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    address = server.getsockname()
    server.setblocking(False)
    acceptor = Listening(reactor)
    told: list[int] = []
    changed = asyncio.Event()

    def on_exhausted(_: Acceptor, error: int) -> None:
        told.append(error)
        changed.set()

    reactor.on_exhausted = on_exhausted
    acceptor.open(server.detach())
    client = socket.create_connection(address)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(fd) for fd in os.listdir("/proc/self/fd"))
    blockers = [os.dup(0) for _ in range(highest + 1 - len(os.listdir("/proc/self/fd")))]
    resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0), hard))
    try:
        async with asyncio.timeout(10):
            await changed.wait()
            assert told == [errno.EMFILE]
            await asyncio.sleep(0.3)  # three ticks of trying again
            assert told == [errno.EMFILE]
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            changed.clear()
            await changed.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in blockers:
            os.close(fd)
    assert told == [errno.EMFILE, 0]
    assert len(acceptor.accepted) == 1
    client.close()
    acceptor.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1.2.3.4",
        "1.2.3.4:0",
        "1.2.3.4:65536",
        "1.2.3:80",
        "::1:80",
        "[::1]",
        "[::1]:x",
        "localhost:80",
        "unix:",
        "unix:" + "a" * 108,
        "unix:a\0b",
        "1.2.3.4:٣",
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"port|path|not an IP address"):
        Address(text)
