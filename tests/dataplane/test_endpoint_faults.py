"""What an endpoint can do wrong, and what the client then gets: a whole reply, a clean error, or a cut connection."""

import asyncio
import socket
from dataclasses import replace

import pytest
from dataplane.stage import GET, OK, Peer, Set, Stage, Stand, service
from fairlead.model import Endpoint, Service, ServiceLimits, ServiceTimeouts, State

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
TWO = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


async def full(stage: Stage) -> Stand:
    """An endpoint that answers no connection: its queue is full and the kernel drops what comes."""
    stand = stage.stand(backlog=0)
    loop = asyncio.get_running_loop()
    host, port = stand.sock.getsockname()
    for _ in range(4):
        sock = socket.socket()
        stage.own(Peer(sock))
        try:
            async with asyncio.timeout(0.2):
                await loop.sock_connect(sock, (host, port))
        except TimeoutError:
            return stand
    raise AssertionError("the queue never filled")


async def answer(server: Peer) -> None:
    await server.message()
    await server.send(OK)


async def idle_connection(stage: Stage, *stands: Stand) -> tuple[Peer, Peer]:
    """A client and an endpoint's connection after one exchange."""
    client = await stage.client()
    await client.send(GET)
    server = await stands[0].accept()
    await server.message()
    await server.send(OK)
    await client.message()
    await stage.until(lambda: stands[0].live.idle)
    return client, server


async def test_no_endpoint_is_answered_at_once() -> None:
    async with Stage() as stage:
        stage.play()
        client = await stage.client()
        for _ in range(2):
            await client.send(GET)
            reply = await client.message()
            assert (reply.status, reply.error, reply.one(b"Connection")) == (503, b"no-endpoint", b"")
        assert stage.counts() == {"503": 2}


async def test_a_refused_connection_is_tried_elsewhere() -> None:
    async with Stage() as stage:
        dead, alive = stage.stand(), stage.stand()
        stage.play(dead, alive)
        live = dead.live
        dead.close()
        server = None
        for _ in range(2):
            client = await stage.client()
            await client.send(POST)
            server = server or await alive.accept()
            assert (await server.message()).body == b"body"
            await server.send(OK)
            assert (await client.message()).status == 200
        assert live.connections == live.in_flight == 0
        assert stage.counts() == {"200": 2}
        extra = sum(record[9] for record in stage.records) - 2  # attempts; whose turn is first is left to chance
        assert extra in (1, 2)
        assert stage.service.retries == {"connect-failed": extra}


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_refused_by_all(count: int) -> None:
    async with Stage() as stage:
        stands = [stage.stand() for _ in range(count)]
        stage.play(*stands)
        for stand in stands:
            stand.close()
        client = await stage.client()
        for _ in range(2):
            await client.send(GET)
            reply = await client.message()
            assert (reply.status, reply.error) == (502, b"connect-failed")
        assert stage.counts() == {"502": 2}
        assert stage.service.retries == ({} if count == 1 else {"connect-failed": 2 * (min(count, 3) - 1)})


async def test_a_missing_unix_socket_fails_at_once_and_the_connection_goes_on() -> None:
    async with Stage() as stage:
        stage.play()
        stage.change(
            Service(name="app", endpoints=tuple(Endpoint(f"unix:/nowhere/{name}") for name in ("a", "b")), version=2)
        )
        client = await stage.client()
        await client.send(GET * 3)
        for _ in range(3):
            assert (await client.message()).error == b"connect-failed"
        assert stage.counts() == {"502": 3}
        assert stage.service.retries == {"connect-failed": 3}


async def test_a_connection_that_is_never_answered_times_out() -> None:
    async with Stage() as stage:
        stand = await full(stage)
        stage.play(stand, scene=Set(service_timeouts=ServiceTimeouts(connect_s=0.1)))
        client = await stage.client()
        await client.send(GET)
        reply = await client.message()
        assert (reply.status, reply.error) == (504, b"connect-timeout")
        assert stand.live.connections == 0
        assert stage.counts() == {"504": 1}


async def test_after_a_connect_timeout_the_next_endpoint_gets_the_whole_request() -> None:
    async with Stage() as stage:
        blocked, alive = await full(stage), stage.stand()
        stage.play(blocked, alive, scene=Set(service_timeouts=ServiceTimeouts(connect_s=0.1)))
        served = None
        body = bytes(range(256)) * 2000
        for _ in range(2):
            client = await stage.client()
            # Larger than one read: what has come waits with the paused client, which goes on after the retry.
            sending = asyncio.ensure_future(
                client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            )
            server = served or await alive.accept()
            served = server
            assert (await server.message()).body == body
            await sending
            await server.send(OK)
            assert (await client.message()).status == 200
        extra = sum(record[9] for record in stage.records) - 2
        assert extra in (1, 2)
        assert stage.service.retries == {"connect-timeout": extra}


async def test_a_connection_that_is_not_there_yet_is_given_up_with_its_endpoint() -> None:
    async with Stage() as stage:
        blocked, alive = await full(stage), stage.stand()
        scene = Set(service_timeouts=ServiceTimeouts(connect_s=60))
        stage.play(blocked, scene=scene)
        client = await stage.client()
        await client.send(POST)
        await stage.until(lambda: blocked.live.connections)
        gone = blocked.live
        stage.change(service("app", alive, scene=scene))
        server = await alive.accept()
        assert (await server.message()).body == b"body"
        await server.send(OK)
        assert (await client.message()).status == 200
        assert (gone.connections, gone.connecting) == (0, set())
        assert stage.service.retries == {"connect-timeout": 1}


async def test_a_connection_that_is_not_there_yet_is_waited_for_while_there_is_no_other_endpoint() -> None:
    async with Stage() as stage:
        stand = await full(stage)
        scene = Set(service_timeouts=ServiceTimeouts(connect_s=60))
        stage.play(stand, scene=scene)
        client = await stage.client()
        await client.send(GET)
        await stage.until(lambda: stand.live.connections)
        was = service("app", stand, scene=scene)
        stage.change(replace(was, endpoints=tuple(replace(each, state=State.UNREADY) for each in was.endpoints)))
        async with stand.attended(answer):  # the kernel tries again after a second, and the queue has room then
            assert (await client.message()).status == 200
        assert stage.service.retries == {}


async def test_the_reply_deadline() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(service_timeouts=ServiceTimeouts(reply_s=0.1)))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        reply = await client.message()
        assert (reply.status, reply.error) == (504, b"upstream-timeout")
        await server.ends()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Le")  # a part of a head is no reply
        assert (await client.message()).status == 504
        assert stage.counts() == {"504": 2}
        assert stage.service.retries == {}


async def test_the_reply_deadline_starts_when_the_request_has_ended() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(service_timeouts=ServiceTimeouts(reply_s=0.1)))
        client = await stage.client()
        await client.send(POST[:-4])
        server = await stand.accept()
        await server.head()
        slow, other = await stage.client(), await stage.client()
        await slow.send(GET)  # its deadline passes while the first client's body is still missing
        await stand.accept()
        assert (await slow.message()).status == 504
        await client.send(b"body")
        await server.take(4)
        await server.send(OK)
        assert (await client.message()).status == 200
        other.close()


async def test_a_reply_that_stalls_is_cut() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(service_timeouts=ServiceTimeouts(body_s=0.1)))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(TWO + b"half")
        assert await client.breaks() == TWO + b"half"
        await server.ends()
        assert stage.counts() == {"200": 1}
        assert stage.records[0][14] == "upstream-timeout"


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_endpoint_that_ends_before_its_reply_is_replaced_when_that_is_safe(how: str) -> None:
    async with Stage() as stage:
        first, second = stage.stand(), stage.stand()
        stage.play(first, second)
        client = await stage.client()
        await client.send(GET)
        await stage.until(lambda: first.live.in_flight or second.live.in_flight)
        faulty, good = (first, second) if first.live.in_flight else (second, first)
        server = await faulty.accept()
        await server.message()
        getattr(server, how)()
        server = await good.accept()
        await server.message()
        await server.send(OK)
        assert (await client.message()).status == 200
        assert stage.service.retries == {"upstream-reset": 1}
        assert faulty.live.connections == 0


@pytest.mark.parametrize(("pieces", "retries"), [(100, {"upstream-reset": 1}), (2500, {})])
async def test_a_body_that_came_in_many_pieces_is_not_kept_for_a_retry(pieces: int, retries: dict[str, int]) -> None:
    """A piece of two bytes takes fifty: a trickle would be kept at many times the size that may be kept of a body."""
    async with Stage() as stage:
        first, second = stage.stand(), stage.stand()
        stage.play(first, second)
        client = await stage.client()
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (2 * pieces))
        await stage.until(lambda: first.live.in_flight or second.live.in_flight)
        faulty, good = (first, second) if first.live.in_flight else (second, first)
        server = await faulty.accept()
        await server.head()
        for _ in range(pieces):
            await client.send(b"xy")
            assert await server.take(2) == b"xy"
        server.close()
        if retries:
            server = await good.accept()
            assert (await server.message()).body == b"xy" * pieces
            await server.send(OK)
        assert (await client.message()).status == (200 if retries else 502)
        assert stage.service.retries == retries


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_endpoint_that_ends_before_its_reply_to_a_post_gets_no_second_one(how: str) -> None:
    async with Stage() as stage:
        first, second = stage.stand(), stage.stand()
        stage.play(first, second)
        client = await stage.client()
        await client.send(POST)
        await stage.until(lambda: first.live.in_flight or second.live.in_flight)
        faulty, good = (first, second) if first.live.in_flight else (second, first)
        server = await faulty.accept()
        await server.message()
        getattr(server, how)()
        reply = await client.message()
        assert (reply.status, reply.error) == (502, b"upstream-reset")
        assert not good.has_caller() and not faulty.has_caller()
        assert stage.service.retries == {}


async def test_a_connection_reset_in_the_turn_it_was_made_in_counts_as_made() -> None:
    """All happens before the plane looks at the connection: were it a failed connect, the POST would be sent again."""
    async with Stage() as stage:
        first, second = stage.stand(), stage.stand()
        stage.play(first, second)
        client = await stage.client()
        client.sock.send(POST)
        stage.reactor.poll()
        stage.reactor.poll()
        faulty, good = (first, second) if first.live.in_flight else (second, first)
        sock, _ = faulty.sock.accept()
        assert sock.recv(1000).endswith(b"body")
        Peer(sock).reset()
        reply = await client.message()
        assert (reply.status, reply.error) == (502, b"upstream-reset")
        assert not good.has_caller()


async def test_a_reply_sent_before_a_reset_in_the_same_turn_is_read() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        client.sock.send(POST)
        stage.reactor.poll()
        stage.reactor.poll()
        sock, _ = stand.sock.accept()
        sock.send(OK)
        Peer(sock).reset()  # what was sent before has arrived: loopback
        assert (await client.message()).body == b"ok"


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "part",
    [
        TWO + b"half",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX: 1\r\n",
    ],
)
async def test_a_reply_that_is_not_whole_never_looks_whole(how: str, part: bytes) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(part)
        await client.until(b"half")
        getattr(server, how)()
        assert b"0\r\n" not in await client.breaks()
        assert stage.service.retries == {}
        again = await stage.client()
        await again.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        assert (await again.message()).status == 200


async def test_a_close_delimited_reply_that_is_reset_never_looks_whole() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        for version in (b"1.0", b"1.1"):
            client = await stage.client()
            await client.send(GET.replace(b"1.1", version))
            server = await stand.accept()
            await server.message()
            await server.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
            await client.until(b"half")
            server.reset()
            assert b"0\r\n" not in await client.breaks()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01garbage, not HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 65,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000 + b"\r\n\r\n",
    ],
    ids=["no-http", "lengths", "length-and-coding", "coding", "name", "101", "interims", "large"],
)
async def test_what_is_no_reply_becomes_a_502_and_the_client_goes_on(garbage: bytes) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        sending = asyncio.ensure_future(server.send(garbage))
        reply = await client.message()
        while reply.status < 200:
            reply = await client.message()
        assert (reply.status, reply.error) == (502, b"bad-reply")
        await asyncio.gather(sending, return_exceptions=True)
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        assert (await client.message()).status == 200
        assert stage.counts() == {"200": 1, "502": 1}


async def test_a_bad_chunk_cuts_the_reply() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n")
        await client.until(b"good\r\n")
        await server.send(b"4\r\nbad!!\r\n0\r\n\r\n")
        assert b"bad" not in await client.breaks()
        assert stage.records[0][14] == "bad-reply"


@pytest.mark.parametrize("surplus", [b"x", OK, b"HTTP/1.1 200 OK\r\n"])
@pytest.mark.parametrize("later", [False, True])
async def test_more_than_was_announced_is_never_a_reply(surplus: bytes, later: bool) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        if later:
            await server.send(OK)
            assert (await client.message()).body == b"ok"
            await stage.until(lambda: stand.live.idle)
            await server.send(surplus)
        else:
            await server.send(OK + surplus)
            assert (await client.message()).body == b"ok"
        await stage.until(lambda: stand.live.connections == 0)
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(OK.replace(b"ok", b"OK"))
        assert (await client.message()).body == b"OK"


async def test_a_surplus_behind_a_read_that_was_full_is_not_the_next_reply() -> None:
    """The reply ends with a read of the engine; what follows waits in the kernel while the next request is there."""
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET * 2)
        server = await stand.accept()
        await server.message()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
        size = 65536 - len(head % 65000)
        reply = head % size + bytes(size)
        server.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        assert server.sock.send(reply + OK.replace(b"ok", b"no")) > 65536
        assert (await client.message()).body == bytes(size)
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        assert (await client.message()).body == b"ok"


async def test_an_idle_connection_that_ends_is_forgotten() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        for how in ("close", "reset"):
            client, server = await idle_connection(stage, stand)
            getattr(server, how)()
            await stage.until(lambda: stand.live.connections == 0)
            client.close()


async def test_an_idle_connection_is_closed_at_its_deadline() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(service_timeouts=ServiceTimeouts(idle_s=0.1)))
        _, server = await idle_connection(stage, stand)
        await server.ends()
        assert stand.live.connections == 0


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_request_that_dies_on_a_stale_connection_is_sent_again(how: str) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client, server = await idle_connection(stage, stand)
        await client.send(GET)
        await server.message()
        getattr(server, how)()
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        assert (await client.message()).status == 200
        assert stage.service.retries == {"stale-connection": 1}
        assert stage.counts() == {"200": 2}


async def test_a_stale_connection_takes_those_beside_it_along() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        clients = [await stage.client() for _ in range(3)]
        servers = []
        for client in clients:
            await client.send(GET)
            servers.append(await stand.accept())
        for client, server in zip(clients, servers, strict=True):
            await server.message()
            await server.send(OK)
            await client.message()
        await stage.until(lambda: len(stand.live.idle) == 3)
        await clients[0].send(GET)
        await stage.until(lambda: len(stand.live.idle) == 2)
        for server in servers:
            if not server.nothing():
                server.close()
        fresh = await stand.accept()
        await fresh.message()
        assert stand.live.connections == 1
        await fresh.send(OK)
        assert (await clients[0].message()).status == 200


async def test_a_post_is_not_sent_on_a_connection_that_has_ended() -> None:
    """The end has come, but the plane has not yet looked: it asks the kernel before it sends what it cannot resend."""
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client, server = await idle_connection(stage, stand)
        client.sock.send(POST)
        server.close()
        server = await stand.accept()
        assert (await server.message()).body == b"body"
        await server.send(OK)
        assert (await client.message()).status == 200


async def test_a_post_that_dies_on_a_reused_connection_is_not_sent_again() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client, server = await idle_connection(stage, stand)
        await client.send(POST)
        await server.message()
        server.close()
        reply = await client.message()
        assert (reply.status, reply.error) == (502, b"upstream-reset")
        assert not stand.has_caller()


async def test_a_put_is_sent_again_with_its_body_and_one_too_large_to_keep_is_not() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        for size, status in ((100_000, 200), (1_000_000, 502)):
            client, server = await idle_connection(stage, stand)
            await stage.until(lambda: stand.live.idle)
            body = bytes(i % 251 for i in range(size))
            sending = asyncio.ensure_future(
                client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + body)
            )
            assert (await server.message()).body == body
            await sending
            server.close()
            if status == 200:
                server = await stand.accept()
                assert (await server.message()).body == body
                await server.send(OK)
            reply = await client.message()
            assert reply.status == status
            client.close()
            server.close()
            await stage.until(lambda: stand.live.connections == 0)


async def test_an_endpoint_that_does_not_take_the_request_is_given_up_at_the_deadline() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(service_timeouts=ServiceTimeouts(body_s=0.2)))
        client = await stage.client()
        size = 64 << 20
        sending = asyncio.ensure_future(
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        )
        await stand.accept()
        reply = await client.message()
        assert (reply.status, reply.error) == (504, b"upstream-timeout")  # not 408: the client is not to blame
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_an_endpoint_at_its_limit_is_spared_and_all_at_theirs_are_said_so() -> None:
    async with Stage() as stage:
        one, two = stage.stand(), stage.stand()
        stage.play(one, two, scene=Set(service_limits=ServiceLimits(max_connections=1)))
        clients = [await stage.client() for _ in range(3)]
        for client in clients[:2]:
            await client.send(GET)
        await stage.until(lambda: one.live.in_flight + two.live.in_flight == 2)
        assert (one.live.connections, two.live.connections) == (1, 1)
        await clients[2].send(GET)
        reply = await clients[2].message()
        assert (reply.status, reply.error) == (503, b"overloaded")
        for stand in (one, two):
            server = await stand.accept()
            await server.message()
            await server.send(OK)
        for client in clients[:2]:
            assert (await client.message()).status == 200
        await clients[2].send(GET)  # an idle connection is a free place
        await stage.until(lambda: one.live.in_flight + two.live.in_flight == 1)
        assert (one.live.connections, two.live.connections) == (1, 1)


@pytest.mark.parametrize(("max_idle", "kept"), [(1, 1), (0, 2)])
async def test_no_more_idle_connections_are_kept_than_allowed(max_idle: int, kept: int) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(service_limits=ServiceLimits(max_idle=max_idle)))
        clients = [await stage.client(), await stage.client()]
        servers = []
        for client in clients:
            await client.send(GET)
            servers.append(await stand.accept())
        for client, server in zip(clients, servers, strict=True):
            await server.message()
            await server.send(OK)
            await client.message()
        await stage.until(lambda: stand.live.in_flight == 0)
        assert (len(stand.live.idle), stand.live.connections) == (kept, kept)


async def test_an_endpoint_that_leaves_and_returns_keeps_its_counts() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client, server = await idle_connection(stage, stand)
        busy = await stage.client()
        await busy.send(GET)
        await server.message()
        live = stand.live
        stage.change(Service(name="app", version=2))
        assert (live.connections, live.in_flight) == (1, 1)
        stage.change(service("app", stand))
        assert stand.live is live
        await client.send(GET)
        other = await stand.accept()
        assert (live.connections, live.in_flight) == (2, 2)
        for each, reader in ((server, busy), (other, client)):
            await each.send(OK)
            assert (await reader.message()).status == 200
        await stage.until(lambda: len(live.idle) == 2)
        assert stage.counts() == {"200": 3}


async def test_connections_to_an_endpoint_that_has_left_end_with_their_reply() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client, idle = await idle_connection(stage, stand)
        other = await stage.client()
        await other.send(GET)
        await idle.message()
        await client.send(GET)
        busy = await stand.accept()
        await busy.message()
        await idle.send(OK)
        assert (await other.message()).status == 200
        stage.change(Service(name="app", version=2))
        await idle.ends()
        await busy.send(OK)
        assert (await client.message()).status == 200
        await busy.ends()
        await client.send(GET)
        assert (await client.message()).error == b"no-endpoint"
