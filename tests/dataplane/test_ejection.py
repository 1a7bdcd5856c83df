"""Endpoints that fail: the worker keeps away from them at once, and one request sees whether they are well again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from dataplane.stage import GET, OK, Peer, PeerClosedError, Set, Stage, Stand, service
from fairlead.model import Ejection, Endpoint, Protocol, Retries, Service, ServiceTimeouts, State, Trigger

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
BROKEN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbad"
Serve = Callable[[Peer], Coroutine[None, None, None]]


def answering(reply: bytes) -> Serve:
    async def serve(peer: Peer) -> None:
        try:
            while True:
                await peer.message()
                await peer.send(reply)
        except (PeerClosedError, ConnectionError, TimeoutError):
            pass

    return serve


async def resetting(peer: Peer) -> None:
    try:
        await peer.message()
    except (PeerClosedError, ConnectionError):
        return
    peer.reset()


async def hanging(peer: Peer) -> None:
    await asyncio.Event().wait()


class Scene:
    """A stage with endpoints that are served, and what the worker tells the supervisor."""

    def __init__(self, stage: Stage, scene: Set, *stands: Stand) -> None:
        self.stage = stage
        self.stands = stands
        self.told: list[dict[str, Any]] = []
        self._scene = scene
        stage.play(*stands, scene=scene)
        stage.plane.tell = self.told.append

    @property
    def spec(self) -> Service:
        return service("app", *self.stands, scene=self._scene)

    def say(self, *states: State, is_panicking: bool = False) -> None:
        """The supervisor says that the endpoints are so."""
        pairs = zip(self.stands, states, strict=True)
        endpoints = tuple(Endpoint(stand.address, 1, state) for stand, state in pairs)
        self.stage.change(replace(self.spec, endpoints=endpoints, is_panicking=is_panicking))

    async def ask(self, count: int, request: bytes = GET) -> list[int]:
        """The statuses of so many requests, one after the other on one connection."""
        client = await self.stage.client()
        statuses = []
        for _ in range(count):
            await client.send(request)
            statuses.append((await client.message()).status)
        client.close()
        return statuses

    def is_used(self, place: int) -> bool:
        return self.stands[place].live.is_usable


@asynccontextmanager
async def played(*serves: Serve | None, scene: Set | None = None) -> AsyncIterator[Scene]:
    """Endpoints that are served so; one that is not served at all refuses connections. No retry hides a status."""
    async with Stage() as stage:
        stands = [stage.stand() for _ in serves]
        playing = Scene(stage, replace(scene or Set(), retries=Retries(statuses=())), *stands)
        async with asyncio.TaskGroup() as group:
            over = asyncio.Event()
            for stand, serve in zip(stands, serves, strict=True):
                if serve is None:
                    stand.close()
                else:
                    group.create_task(_attend(stand, serve, over))
            try:
                yield playing
            finally:
                over.set()


async def _attend(stand: Stand, serve: Serve, over: asyncio.Event) -> None:
    async with stand.attended(serve):
        await over.wait()


good, bad = answering(OK), answering(BROKEN)


async def test_replies_that_say_it_has_failed_cost_five_requests_and_no_more() -> None:
    async with played(bad, good) as scene:
        statuses = await scene.ask(30)
        assert statuses.count(503) == 5
        assert statuses[-18:] == [200] * 18
        assert not scene.is_used(0)
        about = {"service": "app", "endpoint": scene.stands[0].address}
        assert scene.told == [{"type": "accuse", **about, "reason": "errors", "last": "503", "limit": 5}]


async def test_a_success_in_between_begins_the_count_anew() -> None:
    replies = iter([BROKEN, BROKEN, BROKEN, BROKEN, OK] * 4)

    async def moody(peer: Peer) -> None:
        for reply in replies:
            await peer.message()
            await peer.send(reply)

    async with played(moody, good) as scene:
        assert (await scene.ask(40)).count(503) == 16
        assert scene.told == []


@pytest.mark.parametrize("status", [501, 505, 404, 429])
async def test_what_an_endpoint_is_does_not_make_it_fail(status: int) -> None:
    async with played(answering(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status), good) as scene:
        await scene.ask(20)
        assert scene.told == []


async def test_connections_that_are_refused_count() -> None:
    async with played(None, good) as scene:
        assert await scene.ask(20) == [200] * 20
        assert not scene.is_used(0)
        assert [(told["reason"], told["last"]) for told in scene.told] == [("gateway", "connect-failed")]


async def test_resets_count() -> None:
    async with played(resetting, good) as scene:
        statuses = await scene.ask(20)
        assert not scene.is_used(0)
        assert statuses[-8:] == [200] * 8
        assert [(told["reason"], told["last"]) for told in scene.told] == [("gateway", "upstream-reset")]


async def test_the_last_one_stays() -> None:
    async with played(bad, bad) as scene:
        assert await scene.ask(40) == [503] * 40
        assert sorted([scene.is_used(0), scene.is_used(1)]) == [False, True]
        assert len({told["endpoint"] for told in scene.told}) == 2  # the supervisor hears of the other all the same


async def test_a_single_endpoint_is_never_out() -> None:
    async with played(bad) as scene:
        await scene.ask(12)
        assert scene.is_used(0)


async def test_a_dry_run_is_told_and_does_nothing() -> None:
    async with played(bad, good, scene=Set(ejection=Ejection(errors=Trigger.DRY_RUN))) as scene:
        assert (await scene.ask(20)).count(503) == 10
        assert len(scene.told) == 2
    async with played(bad, good, scene=Set(ejection=Ejection(errors=Trigger.OFF))) as scene:
        await scene.ask(20)
        assert scene.told == []


async def test_the_supervisor_has_the_last_word() -> None:
    async with played(bad, good) as scene:
        await scene.ask(20)
        scene.stage.change(scene.spec)  # another change, which says nothing of it
        assert not scene.is_used(0)
        scene.stage.plane.refuse("app", scene.stands[0].address)
        assert scene.is_used(0)
        await scene.ask(20)
        assert not scene.is_used(0)
        scene.say(State.EJECTED, State.READY)
        assert not scene.is_used(0)
        scene.say(State.READY, State.READY)
        assert scene.is_used(0)


async def test_without_a_word_it_is_used_again() -> None:
    async with played(bad, good) as scene:
        await scene.ask(20)
        live = scene.stage.service
        live.tick(scene.stage.reactor.now + 4_000_000)
        assert not scene.is_used(0)
        live.tick(scene.stage.reactor.now + 6_000_000)
        assert scene.is_used(0)


async def test_in_a_panic_nobody_is_left_out() -> None:
    async with played(bad, good) as scene:
        scene.say(State.READY, State.READY, is_panicking=True)
        assert (await scene.ask(20)).count(503) == 10
        assert scene.told == []


async def test_the_ejected_are_better_than_nothing() -> None:
    async with played(good, good) as scene:
        scene.say(State.EJECTED, State.UNREADY)
        assert await scene.ask(2) == [200, 200]
        assert (scene.is_used(0), scene.is_used(1)) == (True, False)


async def test_what_hangs_is_noticed_and_what_waits_there_is_answered_elsewhere() -> None:
    quick = Ejection(silence_s=0.1)
    async with played(hanging, good, scene=Set(ejection=quick)) as scene:
        scene.stage.service.tick(scene.stage.reactor.now)
        clients = []
        async with asyncio.timeout(20):
            while scene.is_used(0):
                client = await scene.stage.client()
                await client.send(GET)
                clients.append(client)
                await asyncio.sleep(0.02)
        assert [(await client.message()).status for client in clients] == [200] * len(clients)
        (told,) = scene.told
        assert (told["reason"], told["limit"]) == ("silence", 100)
        assert int(told["last"]) >= 200
        for client in clients:
            client.close()
        assert scene.stage.service.retries["try-timeout"] >= 5


async def test_when_all_hang_nobody_is_accused() -> None:
    async with played(hanging, hanging, scene=Set(ejection=Ejection(silence_s=0.1))) as scene:
        scene.stage.service.tick(scene.stage.reactor.now)
        clients = []
        for _ in range(40):
            client = await scene.stage.client()
            await client.send(GET)
            clients.append(client)
            await asyncio.sleep(0.02)
        assert scene.told == []
        for client in clients:
            client.close()


# Probes.


def probing(scene: Scene) -> None:
    """The first endpoint is ejected, and may be probed."""
    scene.say(State.EJECTED, State.READY)
    scene.stage.plane.may_probe({"app": [scene.stands[0].address]})


def results(scene: Scene) -> list[str | None]:
    return [told["failure"] for told in scene.told if told["type"] == "probe"]


async def test_one_request_is_the_probe() -> None:
    async with played(good, good) as scene:
        probing(scene)
        assert await scene.ask(6) == [200] * 6
        assert results(scene) == [None, ""]
        counts = {row[1]: row[3] for row in _rows(scene)}
        assert counts == {scene.stands[0].address: 1, scene.stands[1].address: 5}
        assert scene.told[-1]["took_us"] > 0


def _rows(scene: Scene) -> list[list[Any]]:
    scene.stage.service.is_touched = True
    rows: list[list[Any]] = scene.stage.plane.report()["services"]["app"]["requests"]
    return rows


@pytest.mark.parametrize(("serve", "failure"), [(bad, "503"), (resetting, "upstream-reset")])
async def test_the_client_does_not_see_a_probe_that_fails(serve: Serve, failure: str) -> None:
    async with played(serve, good) as scene:
        probing(scene)
        assert await scene.ask(4) == [200] * 4
        assert results(scene) == [None, failure]
        assert scene.stage.service.retries == {"probe": 1}
        assert len(scene.stage.records) == 4


async def test_a_probe_that_gets_no_reply_is_given_up_soon() -> None:
    async with played(hanging, good) as scene:
        probing(scene)
        assert await scene.ask(1) == [200]
        assert results(scene) == [None, "upstream-timeout"]


async def test_a_probe_leaves_time_for_another_endpoint() -> None:
    timeouts = ServiceTimeouts(request_s=1.5)
    async with played(hanging, good, scene=Set(service_timeouts=timeouts)) as scene:
        probing(scene)
        assert await scene.ask(1) == [200]


async def test_a_probe_that_is_refused() -> None:
    async with played(None, good) as scene:
        probing(scene)
        assert await scene.ask(3) == [200] * 3
        assert results(scene) == [None, "connect-failed"]


async def test_what_may_not_be_sent_twice_is_no_probe() -> None:
    async with played(good, good) as scene:
        probing(scene)
        assert await scene.ask(3, POST) == [200] * 3
        assert results(scene) == []
        assert await scene.ask(1) == [200]
        assert results(scene) == [None, ""]


async def test_a_client_that_goes_ends_the_probe() -> None:
    async with played(hanging, good) as scene:
        probing(scene)
        client = await scene.stage.client()
        await client.send(GET)
        await scene.stage.until(lambda: results(scene) == [None])
        client.close()
        await scene.stage.until(lambda: results(scene) == [None, "client-gone"])


async def test_a_probe_may_be_taken_back() -> None:
    async with played(good, good) as scene:
        probing(scene)
        scene.stage.plane.may_probe({})
        await scene.ask(3)
        assert results(scene) == []


# TCP.


async def banner(peer: Peer) -> None:
    await peer.send(b"hello")


async def at_once(peer: Peer) -> None:
    peer.reset()


async def session(scene: Scene) -> bytes:
    client = await scene.stage.client()
    try:
        return await client.take(5)
    except (PeerClosedError, ConnectionResetError):
        return b""
    finally:
        client.close()


L4 = Set(protocol=Protocol.TCP)


async def test_sessions_that_are_reset_before_a_byte_came_count() -> None:
    async with played(at_once, banner, scene=L4) as scene:
        got = [await session(scene) for _ in range(20)]
        assert got.count(b"") == 5
        assert not scene.is_used(0)
        assert [(told["reason"], told["last"]) for told in scene.told] == [("gateway", "upstream-reset")]


async def test_connections_of_sessions_that_are_refused_count() -> None:
    async with played(None, banner, scene=L4) as scene:
        assert [await session(scene) for _ in range(20)] == [b"hello"] * 20
        assert not scene.is_used(0)


async def test_a_session_is_a_probe_by_its_connection() -> None:
    async with played(banner, banner, scene=L4) as scene:
        probing(scene)
        assert [await session(scene) for _ in range(3)] == [b"hello"] * 3
        assert results(scene) == [None, ""]


async def test_a_session_that_was_a_probe_goes_to_another_endpoint() -> None:
    async with played(None, banner, scene=L4) as scene:
        probing(scene)
        assert [await session(scene) for _ in range(3)] == [b"hello"] * 3
        assert results(scene) == [None, "connect-failed"]


async def test_a_session_that_ends_in_order_without_a_byte_is_a_success() -> None:
    async def closing(peer: Peer) -> None:
        await peer.rest()
        peer.close()

    async with played(closing, closing, scene=L4) as scene:
        for _ in range(14):
            client = await scene.stage.client()
            client.shut()
            assert await client.rest() == b""
            client.close()
        await scene.stage.until(lambda: not scene.stage.streams)
        assert scene.told == []
        assert sum(stand.live.successes for stand in scene.stands) == 14
