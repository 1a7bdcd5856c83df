"""Upgraded connections: after a 101 both sides are joined byte for byte."""

import asyncio

import pytest
from dataplane.stage import GET, OK, Peer, Set, Stage, Stand
from fairlead.model import ListenerTimeouts

UPGRADE = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"


async def tunnel(stage: Stage, scene: Set | None = None) -> tuple[Peer, Peer, Stand]:
    """A client and an endpoint that have switched."""
    stand = stage.stand()
    stage.play(stand, scene=scene)
    client = await stage.client()
    await client.send(UPGRADE)
    server = await stand.accept()
    request = await server.head()
    assert request.one(b"Upgrade") == b"websocket"
    assert request.one(b"Connection").lower() == b"upgrade"
    await server.send(SWITCH)
    assert (await client.until(b"\r\n\r\n")) == SWITCH
    return client, server, stand


async def test_bytes_pass_both_ways_and_are_counted() -> None:
    async with Stage() as stage:
        client, server, stand = await tunnel(stage)
        assert stand.live.in_flight == 1
        await client.send(b"ping")
        assert await server.take(4) == b"ping"
        await server.send(b"pong!")
        assert await client.take(5) == b"pong!"
        assert stage.listener.received == len(UPGRADE) + 4
        assert stage.listener.sent == len(SWITCH) + 5
        client.close()
        await server.ends()
        server.close()
        await stage.until(stage.is_empty)
        stage.check()
        assert stage.counts() == {"101": 1}
        assert stage.records[0][10:12] == (4, 5)
        assert stage.records[0][14] == ""


async def test_early_bytes_of_either_side_are_not_lost() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(UPGRADE + b"early")
        server = await stand.accept()
        await server.head()
        assert server.nothing()  # not before the endpoint has switched
        await server.send(SWITCH + b"at once")
        assert await server.take(5) == b"early"
        assert await client.until(b"at once") == SWITCH + b"at once"


async def test_an_upgrade_that_is_declined_is_a_reply_like_any_other() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(UPGRADE + GET)
        server = await stand.accept()
        await server.head()
        await server.send(OK)
        assert (await client.message()).body == b"ok"
        assert (await server.message()).line == b"GET / HTTP/1.1"
        await server.send(OK)
        assert (await client.message()).body == b"ok"


async def test_a_switch_before_the_request_has_ended_is_refused() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"))
        server = await stand.accept()
        await server.head()
        await server.send(SWITCH)
        reply = await client.message()
        assert (reply.status, reply.error) == (502, b"bad-reply")
        await client.ends()


@pytest.mark.parametrize("first", ["client", "server"])
async def test_half_close_each_way(first: str) -> None:
    async with Stage() as stage:
        client, server, stand = await tunnel(stage)
        one, other = (client, server) if first == "client" else (server, client)
        one.shut()
        await other.ends()
        await other.send(b"last words")
        other.shut()
        assert await one.rest() == b"last words"
        await stage.until(stage.is_empty)
        stage.check()
        assert stand.live.connections == 0
        assert stage.records[0][14] == ""


@pytest.mark.parametrize("last", ["client", "server"])
async def test_what_was_said_last_is_not_lost_on_a_slow_reader(last: str) -> None:
    async with Stage() as stage:
        client, server, stand = await tunnel(stage)
        talker, reader = (client, server) if last == "client" else (server, client)
        reader.shut()
        await talker.ends()
        words = bytes(range(256)) * 65536

        async def talk() -> None:
            await talker.send(words)
            talker.shut()

        talking = asyncio.ensure_future(talk())
        await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
        assert stand.live.connections == 1
        assert await reader.rest() == words
        await talking
        await stage.until(stage.is_empty)
        stage.check()


@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_reset_is_passed_on_as_one(who: str) -> None:
    async with Stage() as stage:
        client, server, _ = await tunnel(stage)
        one, other = (client, server) if who == "client" else (server, client)
        one.reset()
        assert await other.breaks() == b""
        await stage.until(stage.is_empty)
        assert stage.records[0][14] == ("client-gone" if who == "client" else "upstream-reset")


async def test_a_tunnel_without_traffic_ends_at_its_deadline() -> None:
    async with Stage() as stage:
        client, server, _ = await tunnel(stage, Set(timeouts=ListenerTimeouts(idle_s=0.2, body_s=0.1, head_s=0.1)))
        for _ in range(3):
            began = stage.reactor.loop.time()
            while stage.reactor.loop.time() - began < 0.12:
                await client.send(b"x")
                await server.take(1)
                await server.send(b"y")
                await client.take(1)
        await client.breaks()
        await server.breaks()
        assert stage.records[0][14] == "idle"


async def test_back_pressure_in_a_tunnel() -> None:
    async with Stage() as stage:
        client, server, _ = await tunnel(stage)
        words = bytes(range(256)) * 65536
        for talker, reader in ((client, server), (server, client)):
            talking = asyncio.ensure_future(talker.send(words))
            await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
            assert max(stream.buffered for stream in stage.streams) <= 65536
            assert await reader.take(len(words)) == words
            await talking


@pytest.mark.parametrize("is_chosen", [True, False])
async def test_a_101_that_nobody_asked_for_is_a_502(is_chosen: bool) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET if is_chosen else UPGRADE.replace(b"1.1", b"1.0"))
        server = await stand.accept()
        assert (await server.head()).all(b"Upgrade") == []
        await server.send(SWITCH + b"smuggled")
        reply = await client.message()
        assert (reply.status, reply.error) == (502, b"bad-reply")
