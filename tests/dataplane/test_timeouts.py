"""Every wait has a deadline, and who was waited for decides what is said: 408, 504, or a cut."""

import asyncio
import socket

import pytest
from dataplane.stage import GET, OK, Peer, Set, Stage, Stand
from fairlead.model import ListenerLimits, ListenerTimeouts, Protocol, ServiceTimeouts

SOON_US = 150_000
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
SLOW = ListenerLimits(min_body_rate=1000)


def set_stage(stage: Stage, scene: Set | None = None, grace_us: int = SOON_US) -> Stand:
    """One endpoint, and a grace before the least rate counts that a test can wait for."""
    stand = stage.stand()
    stage.play(stand, scene=scene)
    stage.listener.grace_us = grace_us
    return stand


async def trickle(peer: Peer, piece: bytes = b"x") -> None:
    """Send and send, so that no wait for a piece is ever long."""
    while True:
        await peer.send(piece)
        await asyncio.sleep(0.01)


async def ended(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_body_that_trickles_is_too_slow_however_often_a_byte_comes() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(limits=SLOW))
        client = await stage.client()
        await client.send(UPLOAD)
        server = await stand.accept()
        await server.head()
        sending = asyncio.ensure_future(trickle(client))
        reply = await client.message()
        assert (reply.status, reply.error, reply.one(b"Connection")) == (408, b"request-too-slow", b"close")
        await ended(sending)
        await server.rest()
        assert stage.listener.errors == {"request-too-slow": 1}
        assert stage.counts() == {"408": 1}


async def test_a_body_at_the_least_rate_is_not_too_slow() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(limits=SLOW))
        client = await stage.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n")
        server = await stand.accept()
        await server.head()
        began = stage.reactor.loop.time()
        for _ in range(10):  # 200 bytes buy 200 ms each: three times the grace goes by
            await client.send(bytes(200))
            await server.take(200)
            await asyncio.sleep(0.05)
        assert stage.reactor.loop.time() - began > 3 * SOON_US / 1e6
        await server.send(OK)
        assert (await client.message()).status == 200
        assert stage.listener.errors == {}


async def test_a_fast_beginning_buys_no_endless_trickle() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(limits=SLOW, timeouts=ListenerTimeouts(body_s=0.2)))
        client = await stage.client()
        await client.send(UPLOAD + bytes(50_000))  # 50 s at the least rate, of which twice `body` counts
        server = await stand.accept()
        await server.head()
        await server.take(50_000)
        sending = asyncio.ensure_future(trickle(client))
        assert (await client.message()).error == b"request-too-slow"
        await ended(sending)
        await server.rest()


async def test_a_body_that_stops_after_a_fast_beginning_has_timed_out() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(limits=SLOW, timeouts=ListenerTimeouts(body_s=0.1)))
        client = await stage.client()
        await client.send(UPLOAD + bytes(50_000))
        server = await stand.accept()
        await server.head()
        reply = await client.message()
        assert (reply.status, reply.error) == (408, b"request-timeout")
        await server.rest()
        assert stage.listener.errors == {"request-timeout": 1}


async def test_a_body_that_is_too_slow_behind_the_beginning_of_a_reply_cuts_it() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(limits=SLOW))
        client = await stage.client()
        await client.send(UPLOAD)
        server = await stand.accept()
        await server.head()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await client.until(b"half")
        await client.breaks()
        await server.ends()
        assert stage.records[0][14] == "request-too-slow"
        assert stage.listener.errors == {"request-too-slow": 1}


async def test_the_time_in_which_an_endpoint_takes_nothing_is_not_the_clients() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stand.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        stage.play(stand, scene=Set(limits=ListenerLimits(min_body_rate=1)))
        stage.listener.grace_us = SOON_US
        client = await stage.client()
        size = 8 << 20
        sending = asyncio.ensure_future(
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        )
        server = await stand.accept()
        await server.head()
        await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
        await asyncio.sleep(3 * SOON_US / 1e6)
        assert stage.listener.errors == {}
        for _ in range(64):
            await server.take(size // 64)
        await server.send(OK)
        assert (await client.message()).status == 200
        await sending


async def test_a_client_that_waits_for_a_100_is_not_slow() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, grace_us=50_000)
        client = await stage.client()
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        server = await stand.accept()
        await server.head()
        await asyncio.sleep(0.3)
        await server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert (await client.message()).status == 100
        await client.send(b"ok")
        await server.take(2)
        await server.send(OK)
        assert (await client.message()).status == 200


async def test_without_a_least_rate_only_the_pieces_count() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(limits=ListenerLimits(min_body_rate=0)), grace_us=50_000)
        client = await stage.client()
        await client.send(UPLOAD)
        server = await stand.accept()
        await server.head()
        sending = asyncio.ensure_future(trickle(client))
        await asyncio.sleep(0.3)
        await ended(sending)
        assert stage.listener.errors == {}
        client.close()
        await server.rest()


async def flooded(stage: Stage, stand: Stand) -> asyncio.Future[None]:
    """A client that does not read, and an endpoint that sends until it is cut; some of it waits with us."""
    client = await stage.client()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    await client.send(GET)
    server = await stand.accept()
    await server.message()
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
    sending = asyncio.ensure_future(server.send(bytes(64 << 20)))
    await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
    return sending


async def test_a_client_that_takes_its_reply_too_slowly_is_reset() -> None:
    """Long before the deadline of a single step."""
    async with Stage() as stage:
        limits = ListenerLimits(min_body_rate=1_000_000_000)
        stand = set_stage(stage, Set(limits=limits, send_buffer=16384, timeouts=ListenerTimeouts(body_s=5)))
        sending = await flooded(stage, stand)
        await stage.until(lambda: stage.listener.active == 0)
        await ended(sending)
        assert stage.listener.errors == {"client-too-slow": 1}
        assert stage.records[0][14] == "client-too-slow"
        assert stage.records[0][12] < 1_000_000


async def test_a_client_that_uploads_without_end_must_read_its_reply_too() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(limits=ListenerLimits(min_body_rate=1_000_000), send_buffer=16384))
        client = await stage.client()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        server = await stand.accept()
        await server.head()

        async def upload() -> None:
            while True:
                await client.send(bytes(65536))
                await server.take(65536)
                await asyncio.sleep(0.01)

        sending = asyncio.ensure_future(upload())
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        replying = asyncio.ensure_future(server.send(bytes(64 << 20)))
        await stage.until(lambda: stage.listener.active == 0)
        await ended(sending)
        await ended(replying)
        assert stage.listener.errors == {"client-too-slow": 1}


async def test_a_slow_reader_that_is_fast_enough_gets_all_of_it() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(limits=ListenerLimits(min_body_rate=10_000), send_buffer=16384))
        client = await stage.client()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000))
        head = await client.head()
        assert head.status == 200
        for _ in range(20):
            await client.take(15_000)
            await asyncio.sleep(0.02)
        assert stage.listener.errors == {}


# The endpoint's side.


async def test_a_reply_that_stalls_is_cut_at_the_services_own_deadline() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(service_timeouts=ServiceTimeouts(body_s=0.1)))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        assert (await client.breaks()).endswith(b"half")
        await server.ends()
        assert stage.listener.errors == {"upstream-timeout": 1}


async def test_the_listeners_deadline_for_bodies_is_not_the_endpoints() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(timeouts=ListenerTimeouts(body_s=0.1)))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(OK[:-1])
        await asyncio.sleep(0.3)
        await server.send(OK[-1:])
        assert (await client.message()).body == b"ok"


async def test_a_request_that_takes_too_long_as_a_whole_is_answered() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(service_timeouts=ServiceTimeouts(request_s=0.1)))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        reply = await client.message()
        assert (reply.status, reply.error, reply.one(b"Connection")) == (504, b"deadline-exceeded", b"")
        await server.ends()
        assert stage.listener.errors == {"deadline-exceeded": 1}
        await client.send(GET)  # another request has its own time
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        assert (await client.message()).status == 200


async def test_a_reply_that_goes_on_when_the_time_is_over_is_cut() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(service_timeouts=ServiceTimeouts(request_s=0.2)))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        sending = asyncio.ensure_future(trickle(server, b"1\r\nx\r\n"))
        assert not (await client.breaks()).endswith(b"0\r\n\r\n")
        await ended(sending)
        assert stage.records[0][14] == "deadline-exceeded"
        assert stage.listener.errors == {"deadline-exceeded": 1}


async def test_when_the_time_is_over_in_the_upload_the_client_was_too_slow() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(service_timeouts=ServiceTimeouts(request_s=0.2)))
        client = await stage.client()
        await client.send(UPLOAD)
        server = await stand.accept()
        await server.head()
        sending = asyncio.ensure_future(trickle(client))
        reply = await client.message()
        assert (reply.status, reply.error) == (408, b"request-timeout")
        await ended(sending)
        await server.rest()


async def test_when_the_time_is_over_while_connecting_no_other_endpoint_is_tried() -> None:
    async with Stage() as stage:
        full = stage.stand(backlog=0)
        stage.own(Peer(socket.create_connection(full.sock.getsockname())))  # the next one gets no answer
        scene = Set(service_timeouts=ServiceTimeouts(request_s=0.1, connect_s=5.0))
        stage.play(full, scene=scene)
        client = await stage.client()
        await client.send(GET)
        reply = await client.message()
        assert (reply.status, reply.error) == (504, b"deadline-exceeded")
        assert stage.records[0][9] == 1


async def test_when_the_time_is_over_while_the_client_reads_the_client_was_too_slow() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(service_timeouts=ServiceTimeouts(request_s=0.2), send_buffer=16384))
        sending = await flooded(stage, stand)
        await stage.until(lambda: stage.listener.active == 0)
        await ended(sending)
        assert stage.listener.errors == {"client-too-slow": 1}


@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.TCP])
async def test_a_tunnel_without_traffic_ends_at_the_services_deadline(protocol: Protocol) -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(protocol=protocol, service_timeouts=ServiceTimeouts(tunnel_s=0.1)))
        client = await stage.client()
        if protocol is Protocol.HTTP:
            await client.send(UPGRADE)
            server = await stand.accept()
            await server.message()
            await server.send(SWITCHED)
            assert (await client.head()).status == 101
        else:
            server = await stand.accept()
        await client.send(b"ping")
        await server.take(4)
        await client.breaks()
        await server.breaks()
        assert stage.records[0][14] == "idle"
        assert stage.listener.errors == {"idle": 1}


async def test_without_a_deadline_of_its_own_a_tunnel_has_the_listeners() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(protocol=Protocol.TCP, timeouts=ListenerTimeouts(idle_s=0.1)))
        client = await stage.client()
        await stand.accept()
        await client.breaks()
        assert stage.listener.errors == {"idle": 1}


# What each wait is counted as.


async def test_a_head_that_does_not_come_is_counted() -> None:
    async with Stage() as stage:
        set_stage(stage, Set(timeouts=ListenerTimeouts(head_s=0.1)))
        client = await stage.client()
        await client.send(b"GET")
        assert (await client.message()).error == b"request-timeout"
        await client.ends()
        assert stage.listener.errors == {"request-timeout": 1}


async def test_an_idle_connection_that_ends_is_no_error() -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(timeouts=ListenerTimeouts(keepalive_s=0.1)))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        await client.message()
        await client.ends()
        assert stage.listener.errors == {}


@pytest.mark.parametrize("timeouts", [ServiceTimeouts(reply_s=0.1), ServiceTimeouts(reply_s=0.1, request_s=9.0)])
async def test_a_reply_that_does_not_begin_is_counted(timeouts: ServiceTimeouts) -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(service_timeouts=timeouts))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        assert (await client.message()).error == b"upstream-timeout"
        assert stage.listener.errors == {"upstream-timeout": 1}


@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.TCP])
async def test_what_the_end_of_a_drain_cuts_is_counted_as_that(protocol: Protocol) -> None:
    async with Stage() as stage:
        stand = set_stage(stage, Set(protocol=protocol))
        listener = stage.listener
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        stage.plane.drain(lambda: None)
        stage.plane.close()
        await client.breaks()
        assert listener.errors == {"drain": 1}
        assert stage.records[0][14] == "drain"
