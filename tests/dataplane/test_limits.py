"""Every limit of a listener: what is at it passes, what is beyond it has its status, its kind and its count."""

import asyncio
import socket
from functools import partial
from pathlib import Path

import pytest
from dataplane.stage import GET, OK, Peer, Set, Stage
from fairlead.dataplane.listener import descriptors
from fairlead.model import ListenerLimits, Protocol, Route

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def small_buffers(peer: Peer) -> Peer:
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    return peer


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes) -> bytes:
    return b"\r\n".join([line, b"Host: a", *fields, b"", b""])


def has_received(stage: Stage, size: int) -> bool:
    return stage.listener.received >= size


def sized(size: int) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


LINE = b"GET /234567890 HTTP/1.1"
LIMITS = {
    "request-line": (
        ListenerLimits(max_request_line_bytes=len(LINE)), request(LINE), request(b"GET /2345678901 HTTP/1.1"),
        414, "uri-too-long",
    ),
    "head": (
        ListenerLimits(max_head_bytes=len(request(LINE))), request(LINE), request(LINE, b"A: b"),
        431, "head-too-large",
    ),
    "head-in-the-buffer": (
        ListenerLimits(max_head_bytes=0, max_buffer_bytes=4096),
        request(LINE, b"A: " + b"b" * 4000), request(LINE, b"A: " + b"b" * 4096),
        431, "head-too-large",
    ),
    "fields": (
        ListenerLimits(max_fields=2), request(LINE, b"A: b"), request(LINE, b"A: b", b"A: b"),
        431, "head-too-large",
    ),
    "body-of-a-length": (ListenerLimits(max_body_bytes=5), sized(5), sized(6), 413, "body-too-large"),
    "body-in-chunks": (
        ListenerLimits(max_body_bytes=5), CHUNKED + b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n", 413, "body-too-large",
    ),
    "chunk-extensions": (
        ListenerLimits(max_chunk_extension_bytes=8), CHUNKED + b"1;a=b\r\nx\r\n0;a=b\r\n\r\n",
        CHUNKED + b"1;a=b\r\nx\r\n0;a=bc\r\n\r\n", 413, "chunk-extensions-too-large",
    ),
    "trailers": (
        ListenerLimits(max_trailer_bytes=8), CHUNKED + b"0\r\nA: b\r\n\r\n", CHUNKED + b"0\r\nA: bc\r\n\r\n",
        431, "trailers-too-large",
    ),
}  # fmt: skip


@pytest.mark.parametrize("pieces", ["at-once", "bytewise"])
@pytest.mark.parametrize("limit", LIMITS)
async def test_a_request_may_be_as_large_as_the_limit_and_no_larger(limit: str, pieces: str) -> None:
    limits, allowed, refused, status, error = LIMITS[limit]
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(limits=limits))
        client = await stage.client()

        async def send(data: bytes) -> None:
            if pieces == "at-once":
                await client.send(data)
                return
            sent = stage.listener.received
            for byte in data:
                sent += 1
                await client.send(bytes([byte]))
                await stage.until(partial(has_received, stage, sent))

        await send(allowed)
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        assert (await client.message()).status == 200
        assert stage.listener.errors == {}
        await client.send(refused)
        reply = await client.message()
        assert (reply.status, reply.error, reply.one(b"Connection")) == (status, error.encode(), b"close")
        await client.ends()
        assert stage.listener.errors == {error: 1}
        assert stage.records[-1][7] == status
        assert str(stage.records[-1][14]).startswith(error)
        assert stage.listener.budget.kept == 0


async def test_nothing_of_a_body_that_is_too_large_by_its_length_is_forwarded() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(limits=ListenerLimits(max_body_bytes=1000)))
        client = await stage.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.message()).status == 413  # with not a byte of the body sent
        await client.ends()
        assert not stand.has_caller()


async def test_an_endpoint_never_sees_the_end_of_chunks_that_cross_the_limit() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(limits=ListenerLimits(max_body_bytes=5)))
        client = await stage.client()
        await client.send(CHUNKED + b"4\r\ngood\r\n")
        server = await stand.accept()
        await server.head()
        await server.until(b"good\r\n")
        await client.send(b"2\r\nno\r\n0\r\n\r\n")
        assert (await client.message()).error == b"body-too-large"
        await server.ends()


async def test_the_last_request_of_a_connection_says_so_and_nothing_is_lost() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(limits=ListenerLimits(max_requests=3)))
        client = await stage.client()
        await client.send(GET * 3)
        server = await stand.accept()
        for i in range(3):
            await server.message()
            await server.send(OK)
            reply = await client.message()
            assert (reply.status, reply.body) == (200, b"ok")
            assert reply.one(b"Connection") == (b"close" if i == 2 else b"")
        await client.ends()
        assert stage.counts() == {"200": 3}
        assert stage.listener.errors == {}
        assert stand.live.connections == 1  # the endpoint's connection goes on
        another = await stage.client()
        await another.send(GET)
        await server.message()
        await server.send(OK)
        assert (await another.message()).one(b"Connection") == b""


async def test_replies_of_our_own_count_as_requests_too() -> None:
    async with Stage() as stage:
        stage.play(scene=Set(routes=(Route(service="app", host="elsewhere"),), limits=ListenerLimits(max_requests=2)))
        client = await stage.client()
        await client.send(GET * 3)
        assert [(await client.message()).one(b"Connection") for _ in range(2)] == [b"", b"close"]
        await client.ends()
        assert stage.listener.errors == {"no-route": 2}


async def test_a_client_with_too_many_connections_is_told_so() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(limits=ListenerLimits(max_client_connections=2)))
        clients = [await stage.client() for _ in range(3)]
        reply = await clients[2].message()
        assert (reply.status, reply.error, reply.one(b"Connection")) == (503, b"too-many-connections", b"close")
        await clients[2].ends()
        clients[2].close()
        await stage.until(lambda: stage.listener.active == 2)
        assert stage.listener.errors == {"too-many-connections": 1}
        assert stage.counts("") == {"503": 1}
        clients[0].close()
        await stage.until(lambda: stage.listener.active == 1)
        another = await stage.client()
        await another.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        assert (await another.message()).status == 200


async def test_a_flood_of_connections_of_one_client_is_reset() -> None:
    async with Stage() as stage:
        stage.play(scene=Set(limits=ListenerLimits(max_client_connections=1)))
        clients = [await stage.client() for _ in range(70)]
        await stage.until(lambda: stage.listener.connections == 70)
        assert stage.listener.active == 65  # one that is served, and as many as are told
        assert stage.listener.errors == {"too-many-connections": 69}
        for client in clients[65:]:
            await client.breaks()


async def test_a_tcp_client_with_too_many_connections_is_reset() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(protocol=Protocol.TCP, limits=ListenerLimits(max_client_connections=1)))
        client = await stage.client()
        await client.send(b"hello")
        server = await stand.accept()
        await server.take(5)
        await (await stage.client()).breaks()
        assert not stand.has_caller()
        assert stage.listener.errors == {"too-many-connections": 1}
        assert stage.counts() == {"503": 1}
        assert stage.records[0][14] == "too-many-connections"


async def test_a_trusted_proxy_may_have_as_many_connections_as_its_clients_need() -> None:
    async with Stage() as stage:
        limits = ListenerLimits(max_client_connections=1)
        stage.play(scene=Set(limits=limits, trusted_proxies=("127.0.0.1",)))
        for client in [await stage.client() for _ in range(3)]:
            await client.send(GET)
            assert (await client.message()).error == b"no-endpoint"
        assert stage.listener.errors == {"no-endpoint": 3}


async def test_clients_of_a_unix_socket_are_not_told_apart_and_not_counted(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(family="unix", limits=ListenerLimits(max_client_connections=1)))
        clients = [await stage.client() for _ in range(3)]
        for client in clients:
            await client.send(GET)
        servers = [await stand.accept() for _ in range(3)]
        for server in servers:
            await server.message()
            await server.send(OK)
        for client in clients:
            assert (await client.message()).status == 200


async def test_no_client_is_remembered_that_has_no_connection() -> None:
    async with Stage() as stage:
        stage.play()
        for _ in range(3):
            peers = [await stage.client() for _ in range(3)]
            await stage.until(lambda: stage.listener.active == 3)
            for peer in peers:
                peer.reset()
            await stage.until(lambda: stage.listener.active == 0)
        assert stage.listener.clients == 0


async def test_by_default_there_may_be_as_many_connections_as_descriptors() -> None:
    async with Stage() as stage:
        stage.play()
        assert stage.listener.max_connections == descriptors() > 1
        assert stage.listener.max_client_connections == descriptors() // 2


async def test_those_in_the_queue_are_let_in_whatever_the_limits_when_the_listener_closes() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(limits=ListenerLimits(max_connections=1, max_client_connections=1)))
        clients = [await stage.client() for _ in range(3)]
        for client in clients:
            await client.send(GET)
        await stage.until(lambda: stage.listener.active == 1)
        stage.plane.drain(lambda: None)
        for server in [await stand.accept() for _ in range(3)]:
            await server.message()
            await server.send(OK)
        for client in clients:
            assert (await client.message()).status == 200


# Memory.


async def blocked(stage: Stage, limits: ListenerLimits) -> tuple[Peer, Peer]:
    """A client that does not read its reply, of which as much waits as may, and its endpoint."""
    stand = stage.stand()
    stage.play(stand, scene=Set(limits=limits, send_buffer=16384))
    client = small_buffers(await stage.client())
    await client.send(GET)
    server = await stand.accept()
    await server.message()
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))

    async def flood() -> None:
        while True:
            await server.send(bytes(1 << 16))

    flooding = asyncio.ensure_future(flood())
    await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
    flooding.cancel()
    await asyncio.gather(flooding, return_exceptions=True)
    return client, server


@pytest.mark.parametrize("most", [4096, 20_000, 65536])
async def test_a_blocked_client_makes_us_keep_no_more_than_its_buffer(most: int) -> None:
    async with Stage() as stage:
        await blocked(stage, ListenerLimits(max_buffer_bytes=most, max_head_bytes=0))
        kept = max(stream.buffered for stream in stage.streams)
        assert 0 < kept <= most
        assert stage.listener.budget.kept == kept


async def test_requests_that_wait_fit_in_the_buffer() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(limits=ListenerLimits(max_buffer_bytes=8192, max_head_bytes=4096)))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        sending = asyncio.ensure_future(client.send(GET * 2000))
        await stage.until(lambda: stage.listener.budget.kept > 4096)
        seen = set()
        for _ in range(900):
            await server.send(OK)
            assert (await client.message()).status == 200
            await server.message()
            seen.add(stage.listener.budget.kept)
        assert max(seen) <= 8192
        assert len(seen) > 100  # it was filled more than once, and drained request by request
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_a_head_that_comes_in_parts_is_counted_until_it_is_whole() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET[:-2])
        await stage.until(lambda: stage.listener.budget.kept == len(GET) - 2)
        await client.send(GET[-2:])
        server = await stand.accept()
        await server.message()
        assert stage.listener.budget.kept == 0
        await server.send(OK[:9])
        await stage.until(lambda: stage.listener.budget.kept == 9)
        await server.send(OK[9:])
        assert (await client.message()).status == 200
        assert stage.listener.budget.kept == 0


async def test_what_is_kept_for_a_retry_is_counted() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(sized(5000))
        server = await stand.accept()
        await server.message()
        assert stage.listener.budget.kept == 5000 + 64  # and what a piece takes in memory
        await server.send(OK)
        assert (await client.message()).status == 200
        assert stage.listener.budget.kept == 0


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_what_is_kept_for_a_client_that_vanishes_is_given_back(how: str) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(sized(5000)[:-1])
        server = await stand.accept()
        await server.head()
        assert stage.listener.budget.kept
        getattr(client, how)()
        await server.rest()
        await stage.until(stage.is_empty)
        assert stage.listener.budget.kept == 0
        assert stage.listener.errors == {"client-gone": 1}


async def test_over_the_total_new_requests_are_refused_and_new_connections_wait() -> None:
    async with Stage() as stage:
        client, _ = await blocked(stage, ListenerLimits())
        other = await stage.client()
        await stage.until(lambda: stage.listener.active == 2)
        stage.listener.budget.set_limit(1)
        await other.send(GET)
        reply = await other.message()
        assert (reply.status, reply.error, reply.one(b"Connection")) == (503, b"overloaded", b"")
        assert stage.listener.errors == {"overloaded": 1}
        waiting = await stage.client()
        await waiting.send(GET)
        await other.send(GET)
        assert (await other.message()).status == 503  # a turn in which the new one could have been accepted
        assert stage.listener.active == 2
        client.reset()  # what was kept for it is free: the one that waited is served
        fresh = await stage.stands[0].accept()
        assert stage.listener.budget.kept == 0
        await fresh.message()
        await fresh.send(OK)
        assert (await waiting.message()).status == 200


async def test_over_the_total_a_head_that_goes_on_and_on_is_refused() -> None:
    async with Stage() as stage:
        stage.play()
        growing, still = await stage.client(), await stage.client()
        await growing.send(b"GET / HTTP/1.1\r\nHost: a\r\nA: ")
        await still.send(b"GET / HTTP/1.1\r\n")
        await stage.until(lambda: stage.listener.budget.kept == 44)
        stage.listener.budget.set_limit(43)
        await growing.send(b"a" * 3000)
        reply = await growing.message()
        assert (reply.status, reply.error, reply.one(b"Connection")) == (503, b"overloaded", b"close")
        await growing.ends()
        assert stage.listener.budget.kept == 16  # the other has time until its deadline
        assert stage.listener.errors == {"overloaded": 1}


async def test_over_the_total_no_body_is_kept_for_a_retry() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n" + bytes(1000))
        server = await stand.accept()
        await server.head()
        await server.take(1000)
        stage.listener.budget.set_limit(1500)
        await client.send(bytes(1000))
        await server.take(1000)
        assert stage.listener.budget.kept == 0
        server.reset()
        reply = await client.message()
        assert (reply.status, reply.error) == (502, b"upstream-reset")  # PUT would else have been sent again


async def test_a_tcp_session_keeps_no_more_than_its_buffer() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        limits = ListenerLimits(max_buffer_bytes=5000)
        stage.play(stand, scene=Set(protocol=Protocol.TCP, limits=limits, send_buffer=16384))
        client = small_buffers(await stage.client())
        server = await stand.accept()
        flooding = asyncio.ensure_future(server.send(bytes(1 << 24)))
        await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
        assert 0 < stage.listener.budget.kept <= 5000
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        client.reset()
        await stage.until(stage.is_empty)
        assert stage.listener.budget.kept == 0
