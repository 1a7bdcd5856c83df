"""What a client can do wrong: vanish, stall, break the rules. Everything it held is free at once."""

import asyncio

import pytest
from dataplane.stage import GET, OK, Peer, Set, Stage, Stand
from fairlead.model import ListenerLimits, ListenerTimeouts, Route

UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome"


async def begun(stage: Stage, request: bytes = GET) -> tuple[Peer, Peer, Stand]:
    """A client whose request an endpoint has."""
    stand = stage.stand()
    stage.play(stand)
    client = await stage.client()
    await client.send(request)
    server = await stand.accept()
    await server.head()
    return client, server, stand


@pytest.mark.parametrize("how", ["close", "reset", "shut"])
@pytest.mark.parametrize("request_bytes", [GET, UPLOAD], ids=["before-reply", "mid-upload"])
async def test_a_client_that_vanishes_before_the_reply(how: str, request_bytes: bytes) -> None:
    async with Stage() as stage:
        client, server, _ = await begun(stage, request_bytes)
        if request_bytes is UPLOAD:
            await server.take(4)
        getattr(client, how)()  # half-closed is taken for gone
        await server.ends()
        await stage.until(stage.is_empty)
        stage.check()
        assert stage.counts() == {"499": 1}
        assert stage.records[0][14] == "client-gone"


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_vanishes_in_the_reply(how: str) -> None:
    async with Stage() as stage:
        client, server, _ = await begun(stage)
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await client.until(b"half")
        getattr(client, how)()
        await server.ends()
        await stage.until(stage.is_empty)
        assert stage.counts() == {"200": 1}
        assert stage.records[0][14] == "client-gone"


@pytest.mark.parametrize("how", ["close", "reset", "shut"])
@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"\r\n", GET])
async def test_a_client_that_vanishes_between_requests(how: str, sent: bytes) -> None:
    async with Stage() as stage:
        stage.play(scene=Set(routes=(Route(service="app", host="elsewhere"),)))
        client = await stage.client()
        await client.send(sent)
        await stage.until(lambda: stage.streams and stage.listener.received == len(sent))
        getattr(client, how)()
        await stage.until(stage.is_empty)
        assert stage.listener.active == 0


async def test_requests_in_a_row_before_the_end_of_the_client_are_served_until_the_end_is_seen() -> None:
    """The last one is cut off: an end and a half-close look the same, and nothing is done for nobody."""
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET * 3)
        client.shut()
        server = await stand.accept()
        for _ in range(2):
            await server.message()
            await server.send(OK)
            assert (await client.message()).status == 200
        await client.ends()
        await stage.until(stage.is_empty)
        assert stage.counts() == {"200": 2, "499": 1}


async def test_a_head_that_does_not_end_is_answered_at_the_deadline() -> None:
    async with Stage() as stage:
        stage.play(scene=Set(timeouts=ListenerTimeouts(head_s=0.2)))
        client = await stage.client()
        began = stage.reactor.loop.time()

        async def trickle() -> None:
            async with asyncio.timeout(5):
                while True:  # what trickles in does not prolong it
                    await client.send(b"X")
                    await asyncio.sleep(0.02)

        await client.send(b"GET / HTTP/1.1\r\n")
        sending = asyncio.ensure_future(trickle())
        reply = await client.message()
        assert (reply.status, reply.error, reply.one(b"Connection")) == (408, b"request-timeout", b"close")
        assert stage.reactor.loop.time() - began < 1
        await client.ends()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert stage.counts("") == {"408": 1}


async def test_a_client_that_says_nothing_is_closed_without_a_word() -> None:
    async with Stage() as stage:
        stage.play(scene=Set(timeouts=ListenerTimeouts(keepalive_s=0.1)))
        client = await stage.client()
        await client.ends()
        assert stage.counts("") == {}


async def test_a_body_that_does_not_come_is_answered_at_the_deadline() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(timeouts=ListenerTimeouts(body_s=0.1)))
        client = await stage.client()
        await client.send(UPLOAD)
        server = await stand.accept()
        await server.head()
        reply = await client.message()
        assert (reply.status, reply.error, reply.one(b"Connection")) == (408, b"request-timeout", b"close")
        assert await server.rest() == b"some"
        await client.ends()
        assert stage.counts() == {"408": 1}


async def test_a_client_that_does_not_read_is_cut_at_the_deadline() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(timeouts=ListenerTimeouts(body_s=0.2)))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                await server.send(bytes(1 << 20))
        await stage.until(stage.is_empty)
        assert stage.records[0][14] == "client-too-slow"


async def test_a_client_that_does_not_read_a_reply_that_is_whole_is_cut_too() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(timeouts=ListenerTimeouts(body_s=0.3)))
        client = await stage.client()
        size = 60_000
        await client.send(GET)
        server = await stand.accept()
        for _ in range(1000):
            await server.message()
            await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
            await stage.until(lambda: stand.live.in_flight == 0)
            if any(stream.is_blocked for stream in stage.streams):
                break
            await client.send(GET)
        else:
            raise AssertionError("the kernel takes it all")
        await client.send(GET)  # is not looked at while the reply before it waits
        await stage.until(lambda: stage.listener.active == 0)
        assert stand.live.connections == 1  # and the endpoint has nothing to do with it
        assert server.nothing()
        assert stage.listener.errors == {"client-too-slow": 1}


async def test_a_refused_request_is_answered_and_what_follows_is_not_read() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + GET * 3)
        reply = await client.message()
        assert (reply.status, reply.error, reply.one(b"Connection")) == (400, b"bad-request", b"close")
        await client.ends()
        assert not stand.has_caller()
        assert stage.counts("") == {"400": 1}


@pytest.mark.parametrize(
    ("request_bytes", "status", "error"),
    [
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, b"http-version"),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405, b"method-not-allowed"),
        (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, b"uri-too-long"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40000 + b"\r\n\r\n", 431, b"head-too-large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431, b"head-too-large"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, b"not-implemented"),
        (b"\x16\x03\x01\x02\x00", 400, b"bad-request"),
    ],
)
async def test_what_is_refused_and_how(request_bytes: bytes, status: int, error: bytes) -> None:
    async with Stage() as stage:
        stage.play()
        client = await stage.client()
        await client.send(request_bytes)
        reply = await client.message()
        assert (reply.status, reply.error) == (status, error)
        await client.ends()


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_bad_body_is_refused_and_the_endpoint_never_sees_its_end(at_once: bool) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        bad = b"zz\r\n0\r\n\r\n" + GET
        if at_once:
            await client.send(head + bad)
            assert (await client.message()).error == b"bad-request"
            assert not stand.has_caller()
        else:
            await client.send(head + b"4\r\ngood\r\n")
            server = await stand.accept()
            await server.head()
            await server.until(b"good\r\n")
            await client.send(bad)
            assert (await client.message()).error == b"bad-request"
            await server.ends()
        await client.ends()
        assert stage.counts() == {"400": 1}


async def test_a_bad_body_after_the_reply_has_begun_cuts_it() -> None:
    async with Stage() as stage:
        client, server, _ = await begun(
            stage, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n"
        )
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await client.until(b"half")
        await client.send(b"zz\r\n")
        await client.breaks()
        await stage.until(stage.is_empty)


async def test_connections_over_the_limit_wait_and_are_served_later() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(limits=ListenerLimits(max_connections=2, max_client_connections=0)))
        clients = [await stage.client() for _ in range(4)]
        for client in clients:
            await client.send(GET)
        servers = [await stand.accept() for _ in range(2)]
        await asyncio.gather(*(server.message() for server in servers))
        assert (stage.listener.active, stage.listener.connections) == (2, 2)
        for server in servers:
            await server.send(OK)
        for client in clients[:2]:
            assert (await client.message()).status == 200
        clients[0].close()
        clients[1].reset()
        for server in servers:
            await server.message()
            await server.send(OK)
        for client in clients[2:]:
            assert (await client.message()).status == 200
        assert (stage.listener.active, stage.listener.connections) == (2, 4)
