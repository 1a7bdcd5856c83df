"""What the data plane tells the policies: keys, when requests begin and end, and how endpoints have answered."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

import pytest
from dataplane.stage import GET, OK, Peer, PeerClosedError, Set, Stage, Stand, service
from fairlead.model import Hash, Protocol, ServiceTimeouts

FAILED = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
Serve = Callable[[Peer], Coroutine[None, None, None]]


def replying(reply: bytes) -> Serve:
    async def serve(peer: Peer) -> None:
        with suppress(PeerClosedError, ConnectionError):
            while True:
                await peer.message()
                await peer.send(reply)

    return serve


async def served_by(stage: Stage, client: Peer, fields: bytes = b"") -> str:
    """The address of the endpoint that this request went to."""
    await client.send(GET[:-2] + fields + b"\r\n")
    await client.message()
    address: str = stage.records[-1][8]
    return address


async def stands(stage: Stage, stack: AsyncExitStack, count: int) -> list[Stand]:
    """Endpoints that answer everything."""
    found = [stage.stand() for _ in range(count)]
    for stand in found:
        await stack.enter_async_context(stand.attended(replying(OK)))
    return found


async def test_requests_stay_together_by_header_and_by_cookie() -> None:
    async with Stage() as stage, AsyncExitStack() as stack:
        found = await stands(stage, stack, 4)
        stage.play(*found, scene=Set(balance="hash"))
        for by, line in (
            (Hash(by="", header="X-User"), b"x-user: %d\r\n"),
            (Hash(by="", cookie="sid"), b"Cookie: other=1; sid=%d\r\n"),
        ):
            stage.change(replace(service("app", *found, scene=Set(balance="hash")), hash=by))
            clients = [await stage.client() for _ in range(2)]
            homes: list[str] = []
            for user in range(12):
                places = {await served_by(stage, client, line % user) for client in clients}
                assert len(places) == 1
                homes += places
            assert len(set(homes)) > 2
            assert len({await served_by(stage, clients[0]) for _ in range(40)}) > 2  # without it: any


async def test_a_client_stays_by_its_address() -> None:
    async with Stage() as stage, AsyncExitStack() as stack:
        found = await stands(stage, stack, 4)
        stage.play(*found, scene=Set(balance="hash"))
        homes: dict[int, str] = {}
        for round_ in range(2):
            for last in range(1, 13):
                place = await served_by(stage, await client_from(stage, f"127.0.0.{last}"))
                assert homes.setdefault(last, place) == place, round_
        assert len(set(homes.values())) > 2


async def client_from(stage: Stage, address: str) -> Peer:
    host, _, port = stage.address.rpartition(":")
    sock = socket.create_connection((host, int(port)), timeout=10, source_address=(address, 0))
    return stage.own(Peer(sock))


async def test_a_tcp_client_stays_by_its_address() -> None:
    async with Stage() as stage, AsyncExitStack() as stack:
        found = await stands(stage, stack, 4)
        stage.play(*found, scene=Set(balance="hash", protocol=Protocol.TCP))
        homes: dict[int, str] = {}
        for _ in range(2):
            for last in range(1, 9):
                client = await client_from(stage, f"127.0.0.{last}")
                await client.send(GET)
                await client.message()
                (place,) = {address for address, end in stage.service.endpoints.items() if end.in_flight}
                assert homes.setdefault(last, place) == place
                client.reset()
                await stage.until(lambda: stage.service.in_flight == 0)
        assert len(set(homes.values())) > 1


async def test_of_a_tcp_session_the_time_to_connect_counts_and_its_silence_does_not() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(balance="peak-ewma", protocol=Protocol.TCP))
        client = await stage.client()
        await client.send(GET)
        await (await stand.accept()).message()
        assert 0 < stand.live.latency_us < 1e6
        assert stand.live.silent_since == 0


async def test_an_endpoint_that_fails_fast_does_not_attract_the_traffic() -> None:
    async with Stage() as stage, AsyncExitStack() as stack:
        found = await stands(stage, stack, 1)
        failing = stage.stand()
        await stack.enter_async_context(failing.attended(replying(FAILED)))
        stage.play(*found, failing, scene=Set(balance="peak-ewma"))
        client = await stage.client()
        places = [await served_by(stage, client) for _ in range(60)]
        assert places.count(failing.address) <= 1  # its first reply says enough
        assert failing.live.latency_us > 1e6
        assert 0 < found[0].live.latency_us < 1e6


async def test_one_that_cannot_be_reached_counts_as_failing() -> None:
    async with Stage() as stage, AsyncExitStack() as stack:
        found = await stands(stage, stack, 1)
        gone = stage.stand()
        gone.close()
        stage.play(*found, gone, scene=Set(balance="peak-ewma"))
        client = await stage.client()
        for _ in range(30):
            assert await served_by(stage, client) == found[0].address
        assert gone.live.latency_us > 1e6 or stage.service.retries == {}
        assert stage.service.retries.get("connect-failed", 0) <= 1


@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.TCP])
async def test_what_is_in_flight_is_counted_for_the_service(protocol: Protocol) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(protocol=protocol))
        clients = [await stage.client() for _ in range(3)]
        for client in clients:
            await client.send(GET)
        servers = [await stand.accept() for _ in clients]
        for server in servers:
            await server.message()
        assert (stage.service.in_flight, stand.live.in_flight) == (3, 3)
        clients[0].close()
        servers[1].reset()
        await stage.until(lambda: stage.service.in_flight < 3)
        await stage.until(lambda: stage.service.in_flight + len(stage.records) >= 3)
        for peer in [*clients, *servers]:
            peer.close()
        await stage.until(lambda: stage.service.in_flight == 0)


async def test_a_client_that_gives_up_says_how_slow_the_endpoint_is() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(balance="peak-ewma"))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        asked = stand.live.silent_since
        assert asked > 0
        client.close()
        await stage.until(lambda: stage.records)
        assert stand.live.latency_us >= 1
        assert stand.live.silent_since == 0


async def test_a_reply_that_does_not_come_counts_as_a_failure() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(balance="peak-ewma", service_timeouts=ServiceTimeouts(reply_s=0.05)))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        assert (await client.message()).status == 504
        assert stand.live.latency_us > 1e6


async def test_a_new_endpoint_is_let_in_slowly() -> None:
    async with Stage() as stage, AsyncExitStack() as stack:
        found = await stands(stage, stack, 3)
        stage.play(*found[:2])
        slow = replace(service("app", *found[:2]), slow_start_s=3600.0)
        stage.change(slow)
        await asyncio.sleep(0)
        client = await stage.client()
        assert len({await served_by(stage, client) for _ in range(4)}) == 2
        stage.change(replace(service("app", *found), slow_start_s=3600.0))
        places = [await served_by(stage, client) for _ in range(60)]
        # Those that were there first have served for some milliseconds, so all are as cold: nobody is held back.
        assert places.count(found[2].address) == 20
        stage.service.endpoints[found[0].address].since -= 3_600_000_000
        stage.service.endpoints[found[1].address].since -= 3_600_000_000
        stage.change(replace(service("app", *found), slow_start_s=3600.0))
        places = [await served_by(stage, client) for _ in range(63)]
        assert 2 <= places.count(found[2].address) <= 4
