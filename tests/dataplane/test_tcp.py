"""TCP sessions: two connections joined byte for byte."""

import asyncio
from pathlib import Path

import pytest
from dataplane.stage import Peer, Set, Stage, Stand, service
from dataplane.test_endpoint_faults import full
from fairlead.model import ListenerLimits, ListenerTimeouts, Protocol, ServiceLimits, ServiceTimeouts

TCP = Set(protocol=Protocol.TCP)


async def session(stage: Stage, scene: Set = TCP) -> tuple[Peer, Peer, Stand]:
    stand = stage.stand()
    stage.play(stand, scene=scene)
    client = await stage.client()
    return client, await stand.accept(), stand


async def test_bytes_pass_both_ways_and_are_counted() -> None:
    async with Stage() as stage:
        client, server, stand = await session(stage)
        await client.send(b"ping")
        assert await server.take(4) == b"ping"
        await server.send(b"pong!")
        assert await client.take(5) == b"pong!"
        assert (stage.listener.received, stage.listener.sent) == (4, 5)
        assert (stage.listener.active, stand.live.in_flight, stand.live.connections) == (1, 1, 1)
        client.close()
        await server.ends()
        server.close()
        await stage.until(stage.is_empty)
        stage.check()
        assert stage.counts() == {"tcp": 1}
        assert stage.records[0][10:12] == (4, 5)


async def test_a_server_that_speaks_first() -> None:
    async with Stage() as stage:
        client, server, _ = await session(stage)
        await server.send(b"220 hello\r\n")
        assert await client.until(b"\r\n") == b"220 hello\r\n"


@pytest.mark.parametrize("first", ["client", "server"])
async def test_half_close_and_data_after_the_other_sides_end(first: str) -> None:
    async with Stage() as stage:
        client, server, _ = await session(stage)
        one, other = (client, server) if first == "client" else (server, client)
        await one.send(b"question")
        one.shut()
        assert await other.rest() == b"question"
        await other.send(b"answer")
        assert await one.take(6) == b"answer"
        await other.send(b"more")
        other.shut()
        assert await one.rest() == b"more"
        await stage.until(stage.is_empty)
        stage.check()
        assert stage.records[0][14] == ""


@pytest.mark.parametrize("last", ["client", "server"])
async def test_what_was_said_last_is_not_lost_on_a_slow_reader(last: str) -> None:
    async with Stage() as stage:
        client, server, stand = await session(stage)
        talker, reader = (client, server) if last == "client" else (server, client)
        reader.shut()
        await talker.ends()
        words = bytes(range(256)) * 65536

        async def talk() -> None:
            await talker.send(words)
            talker.shut()

        talking = asyncio.ensure_future(talk())
        await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
        assert (stage.listener.active, stand.live.connections) == (1, 1)
        assert await reader.rest() == words
        await talking
        await stage.until(stage.is_empty)
        stage.check()


async def test_a_drain_waits_until_the_last_words_have_arrived() -> None:
    async with Stage() as stage:
        client, server, _ = await session(stage)
        client.shut()
        await server.ends()
        words = bytes(range(256)) * 65536
        sending = asyncio.ensure_future(server.send(words))
        drained = asyncio.Event()
        stage.plane.drain(drained.set)
        await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
        pieces = [await client.take(len(words) - 65536)]
        await sending
        server.close()
        await stage.until(lambda: stage.records)  # the session is over, and something of it still under way, or not
        pieces.append(await client.rest())
        assert b"".join(pieces) == words
        async with asyncio.timeout(5):
            await drained.wait()


async def test_words_on_their_way_to_a_client_outlive_an_endpoint_that_stopped_listening() -> None:
    async with Stage() as stage:
        client, server, _ = await session(stage)
        words = bytes(range(256)) * 40000
        sending = asyncio.ensure_future(server.send(words))
        await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
        first = await client.take(len(words) - 65536)
        await sending
        server.close()
        await client.send(b"too late")  # answered by the endpoint's kernel with a reset
        assert first + await client.take(65536) == words


@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_reset_is_passed_on_as_one(who: str) -> None:
    async with Stage() as stage:
        client, server, _ = await session(stage)
        one, other = (client, server) if who == "client" else (server, client)
        await one.send(b"x")
        await other.take(1)
        one.reset()
        assert await other.breaks() == b""
        await stage.until(stage.is_empty)
        stage.check()
        assert stage.records[0][14] == ("client-gone" if who == "client" else "upstream-reset")


async def test_refused_then_the_next() -> None:
    async with Stage() as stage:
        dead, alive = stage.stand(), stage.stand()
        stage.play(dead, alive, scene=TCP)
        dead.close()
        for _ in range(2):
            client = await stage.client()
            await client.send(b"hello")
            server = await alive.accept()
            assert await server.take(5) == b"hello"
            client.reset()
            await server.breaks()
        await stage.until(lambda: len(stage.records) == 2)
        extra = sum(record[9] for record in stage.records) - 2
        assert stage.service.retries == {"connect-failed": extra}


@pytest.mark.parametrize("count", [0, 1, 2, 5])
async def test_refused_by_all_resets_the_client(count: int) -> None:
    async with Stage() as stage:
        stands = [stage.stand() for _ in range(count)]
        stage.play(*stands, scene=TCP)
        for stand in stands:
            stand.close()
        client = await stage.client()
        await client.breaks()
        await stage.until(stage.is_empty)
        assert stage.counts() == ({"502": 1} if count else {"503": 1})
        assert stage.service.retries == ({"connect-failed": min(count, 3) - 1} if count > 1 else {})
        assert stage.records[0][14] == ("connect-failed" if count else "no-endpoint")


async def test_a_connect_that_is_not_answered_goes_elsewhere() -> None:
    async with Stage() as stage:
        blocked, alive = await full(stage), stage.stand()
        scene = Set(protocol=Protocol.TCP, service_timeouts=ServiceTimeouts(connect_s=0.1))
        stage.play(blocked, alive, scene=scene)
        for _ in range(2):
            client = await stage.client()
            await client.send(b"hello")
            assert await (await alive.accept()).take(5) == b"hello"
        assert blocked.live.connections == 0


async def test_a_connect_is_given_up_with_its_endpoint() -> None:
    async with Stage() as stage:
        blocked, alive = await full(stage), stage.stand()
        scene = Set(protocol=Protocol.TCP, service_timeouts=ServiceTimeouts(connect_s=60))
        stage.play(blocked, scene=scene)
        client = await stage.client()
        await client.send(b"hello")
        await stage.until(lambda: blocked.live.connections)
        gone = blocked.live
        stage.change(service("app", alive, scene=scene))
        assert await (await alive.accept()).take(5) == b"hello"
        assert (gone.connections, gone.connecting) == (0, set())


async def test_a_connect_that_is_never_answered_resets_the_client() -> None:
    async with Stage() as stage:
        stand = await full(stage)
        stage.play(stand, scene=Set(protocol=Protocol.TCP, service_timeouts=ServiceTimeouts(connect_s=0.1)))
        client = await stage.client()
        await client.breaks()
        await stage.until(stage.is_empty)
        assert stage.counts() == {"504": 1}


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_client_that_vanishes_while_connecting(how: str) -> None:
    async with Stage() as stage:
        stand = await full(stage)
        stage.play(stand, scene=Set(protocol=Protocol.TCP, service_timeouts=ServiceTimeouts(connect_s=0.3)))
        client = await stage.client()
        await stage.until(lambda: stand.live.in_flight)
        getattr(client, how)()
        await stage.until(stage.is_empty)
        stage.check()
        assert stage.counts() == ({"499": 1} if how == "reset" else {"504": 1})


async def test_a_session_without_traffic_ends_at_its_deadline() -> None:
    async with Stage() as stage:
        timeouts = ListenerTimeouts(idle_s=0.2)
        client, server, _ = await session(stage, Set(protocol=Protocol.TCP, timeouts=timeouts))
        loop = stage.reactor.loop
        for talker, reader in ((client, server), (server, client)):
            began = loop.time()
            while loop.time() - began < 0.25:  # traffic in either direction keeps it
                await talker.send(b"x")
                await reader.take(1)
        await client.breaks()
        await server.breaks()
        assert stage.records[0][14] == "idle"
        assert stage.counts() == {"tcp": 1}


async def test_back_pressure_both_ways_and_every_byte() -> None:
    async with Stage() as stage:
        client, server, _ = await session(stage)
        words = bytes(range(256)) * 65536
        for talker, reader in ((client, server), (server, client)):
            talking = asyncio.ensure_future(talker.send(words))
            await stage.until(lambda: any(stream.is_blocked for stream in stage.streams))
            assert max(stream.buffered for stream in stage.streams) <= 65536
            assert await reader.take(len(words)) == words
            await talking


async def test_connections_over_the_listeners_limit_wait() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(protocol=Protocol.TCP, limits=ListenerLimits(max_connections=1)))
        first, second = await stage.client(), await stage.client()
        server = await stand.accept()
        await first.send(b"1")
        await server.take(1)
        assert (stage.listener.active, stage.listener.connections) == (1, 1)
        assert not stand.has_caller()
        first.close()
        await server.ends()
        server.close()
        await second.send(b"2")
        assert await (await stand.accept()).take(1) == b"2"


async def test_an_endpoint_at_its_limit_gets_no_more() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(protocol=Protocol.TCP, service_limits=ServiceLimits(max_connections=1)))
        first, second = await stage.client(), await stage.client()
        await second.breaks()
        assert stage.records[0][14] == "overloaded"
        await first.send(b"x")
        assert await (await stand.accept()).take(1) == b"x"


async def test_a_session_is_cut_when_the_drain_is_over() -> None:
    async with Stage() as stage:
        client, server, _ = await session(stage)
        connecting = await stage.client()
        drained: list[bool] = []
        stage.plane.drain(lambda: drained.append(True))
        await client.send(b"still here")
        assert await server.take(10) == b"still here"
        assert not drained
        stage.plane.close()
        await client.breaks()
        await server.breaks()
        await connecting.breaks()
        assert stage.streams == []
        assert {record[14] for record in stage.records} == {"drain"}
        assert drained == []


@pytest.mark.parametrize("family", ["v6", "unix"])
async def test_other_families(family: str, tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        stand = stage.stand(family)
        stage.play(stand, scene=Set(protocol=Protocol.TCP, family=family))
        client = await stage.client()
        server = await stand.accept()
        await client.send(b"ping")
        assert await server.take(4) == b"ping"
        server.close()
        await client.ends()
