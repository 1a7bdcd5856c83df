"""The plane as a whole: its end, its changes, its counts, and what a bug in it costs."""

import asyncio
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

import fairlead.dataplane.exchange as module
import pytest
from dataplane.stage import GET, OK, Peer, PeerClosedError, Set, Stage, service
from fairlead.balance import POLICIES, Candidate, Picker
from fairlead.model import Listener, ListenerLimits, ListenerTimeouts, Protocol, Route, Service, Update


async def served(stage: Stage, client: Peer, server: Peer, connection: bytes = b"") -> None:
    await client.send(GET)
    await server.message()
    await server.send(OK)
    reply = await client.message()
    assert (reply.status, reply.one(b"Connection")) == (200, connection)


async def serve(peer: Peer) -> None:
    with suppress(PeerClosedError, ConnectionError):
        while True:
            await peer.message()
            await peer.send(OK)


async def test_a_drain_ends_each_connection_at_the_next_moment_that_loses_nothing() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        idle, busy, started, fresh, partial = [await stage.client() for _ in range(5)]
        await idle.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        await idle.message()
        await busy.send(GET)
        await server.message()
        await started.send(GET * 2)
        other = await stand.accept()
        await other.message()
        await other.send(OK[:-1])
        await started.until(b"\r\n\r\n")
        await partial.send(GET[:5])
        await stage.until(lambda: stage.listener.received == 4 * len(GET) + 5)
        queued = await stage.client()
        await queued.send(GET)
        drained: list[bool] = []
        stage.plane.drain(lambda: drained.append(True))

        await idle.ends()
        await server.send(OK)
        reply = await busy.message()
        assert (reply.body, reply.one(b"Connection")) == (b"ok", b"close")
        await busy.ends()
        await other.send(OK[-1:])  # this reply has said nothing of an end: the next one does
        assert await started.take(2) == b"ok"
        serving = [asyncio.ensure_future(serve(peer)) for peer in (server, other)]
        async with stand.attended(serve):
            assert (await started.message()).one(b"Connection") == b"close"
            await partial.send(GET[5:])
            await fresh.send(GET)
            for client in (partial, fresh, queued):
                reply = await client.message()
                assert (reply.body, reply.one(b"Connection")) == (b"ok", b"close")
                await client.ends()
            await stage.until(lambda: drained)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        assert drained == [True]


async def test_a_client_that_has_just_connected_gets_its_chance_but_not_for_ever() -> None:
    async with Stage() as stage:
        stage.play()
        client = await stage.client()
        await stage.until(lambda: stage.listener.active)
        drained = asyncio.Event()
        stage.plane.drain(drained.set)
        assert not drained.is_set()
        await client.ends()
        assert drained.is_set()


async def test_a_drain_of_nothing_is_over_at_once() -> None:
    async with Stage() as stage:
        stage.play()
        drained: list[bool] = []
        stage.plane.drain(lambda: drained.append(True))
        assert drained == [True]
        stage.plane.close()
        assert drained == [True]


async def test_those_that_wait_for_a_place_are_let_in_when_the_listener_closes() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(limits=ListenerLimits(max_connections=1)))
        clients = [await stage.client() for _ in range(3)]
        for client in clients:
            await client.send(GET)
        drained = asyncio.Event()
        await stage.until(lambda: stage.listener.active == 1)
        stage.plane.drain(drained.set)
        servers = [await stand.accept() for _ in range(3)]
        for server in servers:
            await server.message()
            await server.send(OK)
        for client in clients:
            assert (await client.message()).one(b"Connection") == b"close"
            await client.ends()
        await stage.until(drained.is_set)


async def test_after_an_announcement_connections_are_accepted_and_each_reply_is_the_last() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        assert (await client.message()).one(b"Connection") == b""
        stage.plane.announce()
        for each in (client, await stage.client()):
            await served(stage, each, server, b"close")
            await each.ends()
        assert stand.live.connections == 1


async def test_what_is_left_at_the_deadline_is_cut() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client, upload = await stage.client(), await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await upload.send(GET[:-2] + b"Content-Length: 5\r\n\r\n")
        other = await stand.accept()
        drained: list[bool] = []
        stage.plane.drain(lambda: drained.append(True))
        stage.plane.close()
        await client.breaks()
        await upload.breaks()
        await server.ends()
        await other.head()
        await other.ends()
        assert stage.streams == []
        assert stand.live.in_flight == stand.live.connections == 0
        assert drained == []


async def test_a_listener_takes_new_routes_and_limits_while_it_serves() -> None:
    async with Stage() as stage:
        stand, other = stage.stand(), stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        listener = Listener(
            name="web",
            bind=stage.address,
            routes=(Route(service="other"),),
            limits=ListenerLimits(max_connections=1),
            timeouts=ListenerTimeouts(keepalive_s=0.1),
        )
        stage.change(service("other", other), listeners=(listener,))
        await server.send(OK)
        assert (await client.message()).status == 200
        waiting = await stage.client()
        await waiting.send(GET)
        await client.send(GET)
        server = await other.accept()
        await server.message()
        assert not other.has_caller()
        await server.send(OK)
        assert (await client.message()).status == 200
        await client.ends()
        await server.message()


async def test_a_listener_that_moves_to_another_socket_keeps_its_connections_and_counts() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        old = stage.address
        stage.play(stand)
        assert stage.address != old
        await server.send(OK)
        assert (await client.message()).one(b"Connection") == b"close"
        await client.ends()
        again = await stage.client()
        await served(stage, again, server)
        counts = stage.plane.report()["listeners"]["web"]
        assert (counts["connections"], counts["active"], counts["received"]) == (2, 1, 2 * len(GET))
        assert stage.counts() == {"200": 2}


async def test_a_listener_and_a_service_that_go() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        stage.plane.update(Update(version=9, gone_listeners=("web",), gone_services=("app",)), {})
        with pytest.raises(ConnectionRefusedError):
            await stage.client()
        await server.send(OK)
        assert (await client.message()).one(b"Connection") == b"close"
        await client.ends()
        await server.ends()
        assert stage.plane.report()["listeners"]["web"]["active"] == 0


async def test_an_update_that_fails_leaves_its_sockets_and_what_served_before() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        before = stage.service.endpoints
        with pytest.raises(ValueError, match="no policy"):
            stage.change(Service(name="app", balance="nonsense"))
        wrong = Listener(name="new", bind="", routes=(Route(service="absent"),))
        sockets = {"new": 0}
        with pytest.raises(KeyError):
            stage.plane.update(Update(version=9, listeners=(wrong,)), sockets)
        assert sockets == {"new": 0}
        assert stage.service.endpoints is before
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        assert (await client.message()).status == 200


class Faulty(Picker):
    """A policy of ours with a bug; those from a user's file are guarded (tests/balance/test_from_file.py)."""

    def __init__(self, endpoints: Sequence[Candidate], previous: Picker | None) -> None:
        self.endpoints = endpoints
        if len(endpoints) > 2:
            raise RuntimeError("too many")

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        if tried or not self.endpoints:
            raise RuntimeError("a bug of ours")
        return self.endpoints[0]


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("fairlead.balance.POLICIES", {**POLICIES, "faulty": Faulty})
    return "faulty"


async def test_a_policy_that_cannot_be_built_changes_nothing(faulty: str) -> None:
    async with Stage() as stage:
        stands = [stage.stand() for _ in range(3)]
        stage.play(*stands, scene=Set())
        stage.change(Service(name="app", version=2))
        retired = dict(stage.service.retired)
        assert len(retired) == 3
        with pytest.raises(RuntimeError, match="too many"):
            stage.change(service("app", *stands, scene=Set(balance=faulty)))
        assert stage.service.retired == retired
        assert stage.service.endpoints == {}


async def test_a_policy_that_raises_costs_one_connection(faulty: str) -> None:
    async with Stage() as stage:
        stand, other = stage.stand(), stage.stand()
        stage.play(stand, other, scene=Set(balance=faulty))
        bystander = await stage.client()
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        server.reset()  # the retry asks the policy again
        await client.breaks()
        await stage.until(lambda: stage.listener.active == 1)
        assert [str(error) for _, error in stage.failures] == ["a bug of ours"]
        await bystander.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        assert (await bystander.message()).status == 200
        stage.change(Service(name="app", balance=faulty, version=3))
        await bystander.send(GET * 2)
        await bystander.breaks()
        assert len(stage.failures) == 2
        stage.failures.clear()


async def test_a_policy_that_raises_for_the_next_of_requests_in_a_row(faulty: str) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(balance=faulty))
        client = await stage.client()
        await client.send(GET * 2)
        server = await stand.accept()
        await server.message()
        stage.change(Service(name="app", balance=faulty, version=3))
        await server.send(OK)
        await client.breaks()
        await stage.until(stage.is_empty)
        stage.check()
        assert len(stage.failures) == 1
        stage.failures.clear()


@pytest.mark.parametrize(
    "reply",
    [OK, OK[:-1], b"HTTP/1.1 200 OK\r\n\r\nx", b"garbage\r\n\r\n", b""],
    ids=["whole", "cut", "until-close", "garbage", "nothing"],
)
@pytest.mark.parametrize("how", ["close", "reset", "client-reset"])
async def test_an_access_log_that_raises_costs_the_connection_and_nothing_stays(reply: bytes, how: str) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)

        def broken(record: tuple[Any, ...]) -> None:
            raise RuntimeError("the log is broken")

        stage.plane.access = broken
        client = await stage.client()
        await client.send(b"POST" + GET[3:])
        server = await stand.accept()
        await server.message()
        if reply:
            await server.send(reply)
        if how == "client-reset":
            client.reset()
        else:
            getattr(server, how)()
        await stage.until(stage.is_empty)
        stage.check()
        assert stage.failures
        stage.failures.clear()


async def test_a_tcp_session_whose_record_raises_leaves_nothing() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(protocol=Protocol.TCP))

        def broken(record: tuple[Any, ...]) -> None:
            raise RuntimeError("the log is broken")

        stage.plane.access = broken
        for who in range(4):
            client = await stage.client()
            server = await stand.accept()
            await client.send(b"x")
            await server.take(1)
            (client if who % 2 else server).shut()
            await (server if who % 2 else client).ends()
            (server.reset if who < 2 else client.reset)()
            await stage.until(stage.is_empty)
            stage.check()
        assert len(stage.failures) >= 4
        stage.failures.clear()


async def test_the_report() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        stage.plane.report()
        assert stage.plane.report()["services"] == {}  # nothing was used since
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        report = stage.plane.report()
        assert report["services"]["app"]["in_flight"] == {stand.address: 1}
        assert report["services"]["app"]["connect"]["total"] == 1
        await server.send(OK)
        await client.message()
        await stage.until(lambda: stand.live.in_flight == 0)
        report = stage.plane.report()
        app = report["services"]["app"]
        assert app["in_flight"] == {}
        assert app["requests"] == [["web", stand.address, "200", 1]]
        assert app["duration"]["total"] == 1
        assert app["ttfb"][stand.address] > 0
        assert app["retries"] == {}
        assert report["listeners"]["web"] == {
            "connections": 1, "active": 1, "received": len(GET), "sent": len(OK), "errors": {}
        }  # fmt: skip
        assert report["version"] == 1


async def test_the_record_of_an_exchange() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(b"PUT /x?y HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n\r\nabc")
        server = await stand.accept()
        request = await server.message()
        await server.send(OK)
        await client.message()
        (record,) = stage.records
        assert record[1:12] == (
            "web", "app", b"127.0.0.1", b"PUT", b"/x?y", b"shop", 200, stand.address, 1, 3, 2
        )  # fmt: skip
        duration, ttfb, reason, request_id, tried = record[12:]
        assert tried == ()
        assert duration >= ttfb > 0
        assert reason == ""
        assert request_id == request.one(b"X-Request-Id")


@pytest.mark.parametrize("reply", [OK, b"garbage\r\n\r\n"], ids=["replies", "errors"])
async def test_more_exchanges_that_end_than_are_kept_for_reuse(reply: bytes) -> None:
    """Those over the number are freed while their own call still runs."""
    async with Stage() as stage:
        stand = stage.stand(backlog=1000)
        stage.play(stand)
        clients = [await stage.client() for _ in range(300)]
        for client in clients:
            await client.send(GET)
        servers = [await stand.accept() for _ in clients]
        for server in servers:
            await server.message()
        for server in servers:
            await server.send(reply)
        for client in clients:
            assert (await client.message()).status == (200 if reply == OK else 502)


def test_the_form_of_the_modules_is_the_one_asked_for() -> None:
    is_text = str(module.__file__).endswith(".py")
    assert is_text or os.environ.get("FAIRLEAD_INTERPRETED") != "1"
