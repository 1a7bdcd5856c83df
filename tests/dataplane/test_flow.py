"""Many requests on one connection and large bodies: order, every byte, and memory that stays bounded."""

import asyncio
import hashlib
import socket

import pytest
from dataplane.stage import GET, OK, Peer, Set, Stage
from fairlead.model import Route

_LARGE = 8 << 20


def pattern(size: int, seed: int = 0) -> bytes:
    """Bytes that tell where they belong."""
    block = b"".join(hashlib.sha256(b"%d %d" % (seed, i)).digest() for i in range(2048))
    return (block * (size // len(block) + 1))[:size]


async def send_slowly(peer: Peer, data: bytes, stage: Stage, seen: list[int]) -> None:
    """Send, and note what the plane holds back meanwhile."""
    for start in range(0, len(data), 1 << 16):
        await peer.send(data[start : start + (1 << 16)])
        seen.append(max((stream.buffered for stream in stage.streams), default=0))


async def read_slowly(peer: Peer, size: int) -> bytes:
    """Read in small pieces, giving way to everybody between them."""
    pieces = []
    left = size
    while left:
        piece = await peer.take(min(left, 1 << 17))
        pieces.append(piece)
        left -= len(piece)
        for _ in range(3):
            await asyncio.sleep(0)
    return b"".join(pieces)


def small_buffers(peer: Peer) -> None:
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)


async def test_ten_requests_in_one_write_are_answered_in_order() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(10)))
        server = await stand.accept()
        for i in range(10):
            assert (await server.message()).line == b"GET /%d HTTP/1.1" % i
            assert server.nothing()  # one at a time
            await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % i)
            assert (await client.message()).body == b"%d" % i
        assert stand.live.connections == 1
        assert stage.counts() == {"200": 10}


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("size", [1, 7000, 70000])
async def test_ten_requests_with_bodies_in_a_row(is_chunked: bool, size: int) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        requests = []
        for i in range(10):
            body = pattern(size, i)
            if is_chunked:
                framed = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, body)
            else:
                framed = b"Content-Length: %d\r\n\r\n%b" % (size, body)
            requests.append(b"POST /%d HTTP/1.1\r\nHost: a\r\n%b" % (i, framed))
        sending = asyncio.ensure_future(client.send(b"".join(requests)))
        server = await stand.accept()
        for i in range(10):
            request = await server.message()
            assert request.line == b"POST /%d HTTP/1.1" % i
            assert request.body == pattern(size, i)
            await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % i)
            assert (await client.message()).body == b"%d" % i
        await sending
        assert stand.live.connections == 1


async def test_replies_of_our_own_between_those_of_endpoints() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(routes=(Route(service="app", path="/app"),)))
        client = await stage.client()
        paths = [b"/app", b"/x", b"/y", b"/app", b"/z"]
        await client.send(b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths))
        server = await stand.accept()
        for path in paths:
            if path == b"/app":
                await server.message()
                await server.send(OK)
            assert (await client.message()).status == (200 if path == b"/app" else 404)


async def test_requests_behind_a_reply_that_is_not_read_wait_in_bounded_memory() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(send_buffer=16384))
        client = await stage.client()
        small_buffers(client)
        body = pattern(1 << 20)
        await client.send(GET * 10)
        server = await stand.accept()
        flood = asyncio.ensure_future(client.send(GET * 200_000))
        for _ in range(2):
            sending = asyncio.ensure_future(
                server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            )
            await server.message()
            await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
            assert max(stream.buffered for stream in stage.streams) < 200_000
            assert (await client.message()).body == body
            await sending
        assert not flood.done()  # the kernel holds it back: the plane does not read what it cannot serve
        assert stage.listener.received < 1_000_000
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_a_large_reply_to_a_slow_reader_passes_whole_in_bounded_memory(framing: str) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(send_buffer=16384))
        client = await stage.client()
        small_buffers(client)
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        body = pattern(_LARGE)
        if framing == "length":
            wire = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        elif framing == "chunked":
            chunks = (body[i : i + 100_000] for i in range(0, len(body), 100_000))
            wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
                b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks
            )
            wire += b"0\r\n\r\n"
        else:
            wire = b"HTTP/1.1 200 OK\r\n\r\n" + body
        seen: list[int] = []

        async def serve() -> None:
            await send_slowly(server, wire, stage, seen)
            if framing == "close":
                server.close()

        sending = asyncio.ensure_future(serve())
        if framing == "length":
            head = await client.head()
            assert head.one(b"Content-Length") == b"%d" % len(body)
            assert await read_slowly(client, len(body)) == body
        else:
            assert (await client.message()).body == body
        await sending
        assert max(seen) < 200_000


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_large_request_to_a_slow_reader_passes_whole_in_bounded_memory(is_chunked: bool) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        small_buffers(Peer(stand.sock))
        stage.play(stand)
        client = await stage.client()
        body = pattern(_LARGE)
        if is_chunked:
            chunks = (body[i : i + 5000] for i in range(0, len(body), 5000))
            wire = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
                b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks
            )
            wire += b"0\r\n\r\n"
        else:
            wire = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        seen: list[int] = []
        sending = asyncio.ensure_future(send_slowly(client, wire, stage, seen))
        server = await stand.accept()
        if is_chunked:
            assert (await server.message()).body == body
        else:
            await server.head()
            assert await read_slowly(server, len(body)) == body
        await sending
        await server.send(OK)
        assert (await client.message()).status == 200
        assert max(seen) < 200_000
        await stage.until(lambda: stand.live.idle)


async def test_large_bodies_in_both_directions_at_once() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        up, down = pattern(_LARGE, 1), pattern(_LARGE, 2)
        sending = asyncio.ensure_future(
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(up) + up)
        )
        server = await stand.accept()
        await server.head()
        replying = asyncio.ensure_future(
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(down) + down[:-1])
        )
        answered = asyncio.ensure_future(client.message())
        uploaded = await server.take(len(up))
        await replying
        await server.send(down[-1:])  # a reply that ended before its request would end the connection too
        reply = await answered
        assert uploaded == up
        assert reply.body == down
        await sending
        await client.send(GET)
        assert (await server.message()).line == b"GET / HTTP/1.1"


async def test_interim_replies_to_a_client_that_does_not_read_wait_with_the_endpoint() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(send_buffer=16384))
        client = await stage.client()
        small_buffers(client)
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        interim = b"HTTP/1.1 103 Early Hints\r\nX: " + b"x" * 60000 + b"\r\n\r\n"
        sending = asyncio.ensure_future(server.send(interim * 64))
        await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
        assert max(stream.buffered for stream in stage.streams) < 300_000
        for _ in range(64):
            assert (await client.message()).status == 103
        await sending
        await server.send(OK)
        assert (await client.message()).status == 200
