"""Limits of what is in flight, and the queue of those that wait for room: order, handover, deadlines, who leaves."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import pytest
from dataplane.stage import GET, OK, PATIENCE_S, Message, Peer, Set, Stage, Stand, service
from fairlead.dataplane.queue import Queue as Line
from fairlead.dataplane.queue import Ticket
from fairlead.engine.reactor import Reactor, Stream
from fairlead.model import ListenerTimeouts, Protocol, Queue, ServiceLimits, ServiceTimeouts
from hypothesis import given
from hypothesis import strategies as st

ONE = ServiceLimits(max_in_flight=1)
LONG = Queue(max=10, timeout_s=PATIENCE_S * 10)
SHORT = Queue(max=10, timeout_s=0.2)
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n"


def get(path: str) -> bytes:
    return f"GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def path(message: Message) -> str:
    return message.line.split()[1].decode()[1:]


async def busy(stage: Stage, *stands: Stand, scene: Set) -> tuple[Peer, Peer]:
    """A stage of which an endpoint has a request: its client and its connection to the endpoint."""
    stage.play(*stands, scene=scene)
    client = await stage.client()
    await client.send(GET)
    await stage.until(lambda: stage.service.in_flight)
    stage.stands.sort(key=lambda stand: -stand.live.in_flight)  # a policy begins where it likes
    server = await stage.stands[0].accept()
    await server.message()
    return client, server


async def waiting(stage: Stage, data: bytes) -> Peer:
    """A client whose request, or session, waits."""
    before = stage.service.queue.size
    client = await stage.client()
    if data:
        await client.send(data)
    await stage.until(lambda: stage.service.queue.size == before + 1)
    return client


async def answered(client: Peer) -> Message:
    message = await client.message()
    client.close()
    return message


# What is refused without a queue.


async def test_an_endpoint_gets_no_more_than_it_may_have_in_flight() -> None:
    async with Stage() as stage:
        _, server = await busy(stage, stage.stand(), stage.stand(), scene=Set(service_limits=ONE))
        client = await stage.client()
        await client.send(GET)
        other = await stage.stands[1].accept()
        await other.message()
        third = await stage.client()
        await third.send(GET)
        refused = await third.message()
        assert (refused.status, refused.error) == (503, b"overloaded")
        assert 1 <= int(refused.one(b"Retry-After")) <= 2
        await server.send(OK)
        await third.send(GET)  # its connection is kept
        await server.message()
        await server.send(OK)
        assert (await third.message()).status == 200
        assert stage.service.refused == {"overloaded": 1}


async def test_a_service_gets_no_more_than_it_may_have_in_flight() -> None:
    async with Stage() as stage:
        _, server = await busy(stage, stage.stand(), stage.stand(), scene=Set(max_in_flight=1))
        client = await stage.client()
        await client.send(GET)
        assert (await client.message()).error == b"overloaded"
        await server.send(OK)
        await stage.until(lambda: stage.service.in_flight == 0)
        await client.send(GET)
        other = await stage.stands[1].accept()
        await other.message()
        await other.send(OK)
        assert (await client.message()).status == 200


async def test_of_many_endpoints_the_one_with_room_is_found() -> None:
    async with Stage() as stage:
        stands = [stage.stand() for _ in range(40)]
        stage.play(*stands, scene=Set(service_limits=ONE, balance="random"))
        clients = [await stage.client() for _ in range(41)]
        for client in clients:
            await client.send(GET)
        assert (await clients[-1].message()).error == b"overloaded"
        assert {stand.live.in_flight for stand in stands} == {1}


async def test_without_a_queue_and_without_an_endpoint_it_is_refused_at_once() -> None:
    async with Stage() as stage:
        stage.play(scene=Set(service_limits=ONE))
        client = await stage.client()
        await client.send(GET)
        refused = await client.message()
        assert (refused.status, refused.error) == (503, b"no-endpoint")
        assert int(refused.one(b"Retry-After")) >= 1


async def test_sessions_count_as_requests() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(protocol=Protocol.TCP, service_limits=ONE))
        client = await stage.client()
        await client.send(b"hello")
        server = await stand.accept()
        assert await server.take(5) == b"hello"
        other = await stage.client()
        await other.breaks()
        assert stage.service.refused == {"overloaded": 1}


# The queue.


async def test_who_waits_is_served_in_the_order_of_coming() -> None:
    async with Stage() as stage:
        _, server = await busy(stage, stage.stand(), scene=Set(service_limits=ONE, queue=LONG))
        clients = {name: await waiting(stage, get(name)) for name in "abcd"}
        await server.send(OK)
        for name, client in clients.items():
            assert path(await server.message()) == name
            assert stage.service.queue.size == len("abcd") - 1 - "abcd".index(name)
            await server.send(OK)
            assert (await client.message()).status == 200


async def test_nobody_overtakes_those_who_wait() -> None:
    async with Stage() as stage:
        first, server = await busy(stage, stage.stand(), scene=Set(service_limits=ONE, queue=LONG))
        second = await waiting(stage, get("second"))
        await first.send(get("again"))  # pipelined behind what is in flight: its turn comes when that is answered
        await server.send(OK)
        assert path(await server.message()) == "second"
        await stage.until(lambda: stage.service.queue.size == 1)
        await server.send(OK)
        assert path(await server.message()) == "again"
        await server.send(OK)
        assert [(await client.message()).status for client in (first, first, second)] == [200] * 3


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with Stage() as stage:
        _, server = await busy(stage, stage.stand(), scene=Set(service_limits=ONE, queue=LONG))
        client = await waiting(stage, get("a") + get("b") + get("c"))
        await server.send(OK)
        for name in "abc":
            assert path(await server.message()) == name
            body = name.encode()
            await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + body)
            assert (await client.message()).body == body


async def test_an_endpoint_that_comes_gets_those_who_wait() -> None:
    async with Stage() as stage:
        scene = Set(queue=LONG)
        stage.play(scene=scene)
        clients = [await waiting(stage, GET) for _ in range(3)]
        stand = stage.stand()
        stage.change(service("app", stand, scene=scene))
        for _ in clients:
            server = await stand.accept()
            await server.message()
            await server.send(OK)
        assert [(await client.message()).status for client in clients] == [200] * 3
        assert stage.service.refused == {}


async def test_a_limit_that_is_raised_lets_them_in() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        _, _ = await busy(stage, stand, scene=Set(service_limits=ONE, queue=LONG))
        await waiting(stage, GET)
        await waiting(stage, GET)
        stage.change(service("app", stand, scene=Set(service_limits=ServiceLimits(max_in_flight=2), queue=LONG)))
        await (await stand.accept()).message()
        await stage.until(lambda: stage.service.queue.size == 1)


async def test_a_limit_of_connections_lets_them_in_when_one_is_free() -> None:
    async with Stage() as stage:
        _, server = await busy(
            stage, stage.stand(), scene=Set(service_limits=ServiceLimits(max_connections=1), queue=LONG)
        )
        client = await waiting(stage, get("next"))
        await server.send(OK)
        assert path(await server.message()) == "next"  # on the same connection
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        assert (await client.message()).status == 200


async def test_a_queue_that_is_taken_away_refuses_those_in_it() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        await busy(stage, stand, scene=Set(service_limits=ONE, queue=LONG))
        clients = [await waiting(stage, GET) for _ in range(3)]
        stage.change(service("app", stand, scene=Set(service_limits=ONE)))
        assert [(await client.message()).error for client in clients] == [b"overloaded"] * 3


async def test_more_than_may_wait_are_refused() -> None:
    async with Stage() as stage:
        await busy(stage, stage.stand(), scene=Set(service_limits=ONE, queue=Queue(max=2, timeout_s=60)))
        for _ in range(2):
            await waiting(stage, GET)
        client = await stage.client()
        await client.send(GET)
        refused = await client.message()
        assert (refused.status, refused.error) == (503, b"queue-full")
        assert 1 <= int(refused.one(b"Retry-After")) <= 2


async def test_who_waits_too_long_is_refused_and_the_next_one_served() -> None:
    async with Stage() as stage:
        _, server = await busy(stage, stage.stand(), scene=Set(service_limits=ONE, queue=SHORT))
        client = await waiting(stage, GET)
        refused = await client.message()
        assert (refused.status, refused.error) == (503, b"queue-timeout")
        assert int(refused.one(b"Retry-After")) >= 1
        assert stage.service.queue.size == 0
        await client.send(get("again"))
        await stage.until(lambda: stage.service.queue.size == 1)
        await server.send(OK)
        assert path(await server.message()) == "again"
        await server.send(OK)
        assert (await client.message()).status == 200


async def test_the_time_for_the_whole_request_goes_on() -> None:
    async with Stage() as stage:
        scene = Set(service_limits=ONE, queue=LONG, service_timeouts=ServiceTimeouts(request_s=0.3))
        stage.play(scene=scene)
        client = await waiting(stage, GET)
        late = await client.message()
        assert (late.status, late.error) == (504, b"deadline-exceeded")


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_leaves_does_not_wait_any_more(how: str) -> None:
    async with Stage() as stage:
        _, server = await busy(stage, stage.stand(), scene=Set(service_limits=ONE, queue=LONG))
        clients = [await waiting(stage, get(name)) for name in "abc"]
        getattr(clients[0], how)()
        await stage.until(lambda: stage.service.queue.size == 2)
        getattr(clients[1], how)()
        await stage.until(lambda: stage.service.queue.size == 1)
        assert stage.counts() == {"499": 2}
        await server.send(OK)
        assert path(await server.message()) == "c"


async def test_who_is_called_and_leaves_does_not_hold_up_the_next() -> None:
    async with Stage() as stage:
        _, server = await busy(stage, stage.stand(), scene=Set(service_limits=ONE, queue=LONG))
        first, _ = await waiting(stage, get("a")), await waiting(stage, get("b"))
        server.sock.send(OK)
        first.reset()  # both in one turn of the plane
        message = await server.message()
        if path(message) == "a":  # it was called before its end was seen: then its connection is closed
            message = await (await stage.stands[0].accept()).message()
        assert path(message) == "b"


async def test_the_body_of_one_that_waits_stays_with_its_client() -> None:
    async with Stage() as stage:
        _, server = await busy(stage, stage.stand(), scene=Set(service_limits=ONE, queue=LONG))
        size = 32 << 20
        client = await waiting(
            stage, f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * 10
        )
        sending = asyncio.ensure_future(client.send(b"x" * (size - 10)))
        await asyncio.wait([sending], timeout=0.3)
        assert not sending.done()
        assert stage.listener.received < 1 << 18
        await server.send(OK)
        await server.head()
        for _ in range(0, size, 1 << 16):
            await server.take(1 << 16)
        await sending
        await server.send(OK)
        assert (await client.message()).status == 200


async def test_a_client_that_leaves_in_the_middle_of_its_body_does_not_wait_any_more() -> None:
    async with Stage() as stage:
        await busy(stage, stage.stand(), scene=Set(service_limits=ONE, queue=LONG))
        client = await waiting(stage, POST + b"1234")
        await client.send(b"56")  # which is not read
        client.close()
        await stage.until(lambda: stage.service.queue.size == 0)
        client = await stage.client()
        await client.send(POST + b"1234")
        client.shut()  # before it waits
        await stage.until(lambda: stage.counts().get("499") == 2)
        assert stage.service.queue.size == 0


async def test_the_least_rate_of_a_body_does_not_count_while_it_waits() -> None:
    async with Stage() as stage:
        scene = Set(service_limits=ONE, queue=LONG, timeouts=ListenerTimeouts(body_s=0.2))
        _, server = await busy(stage, stage.stand(), scene=scene)
        client = await waiting(stage, POST + b"1234")
        await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0.6))])  # three times what a client may take
        assert stage.service.queue.size == 1
        await client.send(b"5678")
        await server.send(OK)
        assert (await server.message()).body == b"12345678"


async def test_a_retry_that_reached_nobody_stays_before_those_who_wait() -> None:
    async with Stage() as stage:
        client, server = await busy(stage, stage.stand(), stage.stand(), scene=Set(service_limits=ONE, queue=LONG))
        first, second = stage.stands
        other = await stage.client()
        await other.send(GET)
        blocked = await second.accept()
        await blocked.message()
        await waiting(stage, get("waits"))
        await server.send(OK)  # the idle connection is used again by the one that waits
        assert path(await server.message()) == "waits"
        await client.message()
        await waiting(stage, get("waits-longer"))
        server.reset()  # stale, as far as can be told: it is sent again at once, to the same endpoint
        again = await first.accept()
        assert path(await again.message()) == "waits"
        assert stage.service.queue.size == 1


async def test_a_drain_waits_for_those_who_wait() -> None:
    async with Stage() as stage:
        client, server = await busy(stage, stage.stand(), scene=Set(service_limits=ONE, queue=LONG))
        other = await waiting(stage, GET)
        drained: list[Any] = []
        stage.plane.announce()
        stage.plane.drain(lambda: drained.append(True))
        await server.send(OK)
        await server.message()
        assert not drained
        await server.send(OK)
        for each in (client, other):
            message = await each.message()
            assert (message.status, message.one(b"Connection")) == (200, b"close")
            await each.ends()
            each.close()
        await stage.until(lambda: drained)


async def test_the_end_of_a_drain_cuts_those_who_wait() -> None:
    async with Stage() as stage:
        stage.play(scene=Set(queue=LONG))
        client = await waiting(stage, GET)
        stage.plane.drain(lambda: None)
        stage.plane.close()
        await client.breaks()
        assert stage.service.queue.size == 0


async def test_what_is_reported() -> None:
    async with Stage() as stage:
        await busy(stage, stage.stand(), scene=Set(service_limits=ONE, queue=Queue(max=1, timeout_s=60)))
        await waiting(stage, GET)
        client = await stage.client()
        await client.send(GET)
        await client.message()
        app = stage.plane.report()["services"]["app"]
        assert (app["queued"], app["refused"]) == (1, {"queue-full": 1})


async def test_that_somebody_waits_without_an_endpoint_is_told_at_once_and_once() -> None:
    async with Stage() as stage:
        told: list[str] = []
        stage.plane.on_waiting = told.append
        scene = Set(service_limits=ONE, queue=LONG)
        stage.play(scene=scene)
        for _ in range(2):
            await waiting(stage, GET)
        assert told == ["app"]
        stand = stage.stand()
        stage.change(service("app", stand, scene=scene))
        await (await stand.accept()).message()
        await stage.until(lambda: stage.service.queue.size == 1)  # there is an endpoint now, though it is full
        assert told == ["app"]


# Sessions.


async def test_sessions_wait_in_order_and_with_what_they_have_said() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(protocol=Protocol.TCP, service_limits=ONE, queue=LONG))
        first = await stage.client()
        server = await stand.accept()
        clients = [await waiting(stage, b"") for _ in range(2)]
        for client, word in zip(clients, (b"second", b"third!"), strict=True):
            await client.send(word)
        clients[0].shut()  # it has said all; that is not leaving
        first.close()
        await server.ends()
        server.close()
        server = await stand.accept()
        assert await server.rest() == b"second"
        await server.send(b"yes")
        server.close()
        assert await clients[0].rest() == b"yes"
        server = await stand.accept()
        assert await server.take(6) == b"third!"


async def test_sessions_that_wait_too_long_or_are_reset_end() -> None:
    async with Stage() as stage:
        stage.play(scene=Set(protocol=Protocol.TCP, queue=Queue(max=2, timeout_s=1.0)))
        late, gone = await waiting(stage, b""), await waiting(stage, b"")
        full = await stage.client()
        await full.breaks()
        gone.reset()
        await stage.until(lambda: stage.service.queue.size == 1)
        await late.breaks()
        assert stage.service.refused == {"queue-full": 1, "queue-timeout": 1}
        assert stage.counts() == {"503": 2, "499": 1}


async def test_a_session_gets_the_endpoint_that_comes() -> None:
    async with Stage() as stage:
        scene = Set(protocol=Protocol.TCP, queue=LONG)
        stage.play(scene=scene)
        client = await waiting(stage, b"hello")
        stand = stage.stand()
        stage.change(service("app", stand, scene=scene))
        server = await stand.accept()
        assert await server.take(5) == b"hello"
        client.close()


# The order itself.


@given(st.lists(st.tuples(st.sampled_from(("join", "first", "leave", "next")), st.integers(0, 7))))
def test_a_queue_is_a_list_whose_every_element_leaves_at_once(steps: list[tuple[str, int]]) -> None:
    reactor = Reactor(asyncio.new_event_loop())
    reactor.loop.close()
    line = Line()
    tickets = [Ticket(Stream(reactor)) for _ in range(8)]
    model: OrderedDict[int, None] = OrderedDict()
    for what, which in steps:
        is_in = which in model
        if what == "join" and not is_in:
            line.join(tickets[which])
            model[which] = None
        elif what == "first" and not is_in:
            line.join_first(tickets[which])
            model[which] = None
            model.move_to_end(which, last=False)
        elif what == "leave" and is_in:
            line.leave(tickets[which])
            del model[which]
        elif what == "next" and model:
            first, _ = model.popitem(last=False)
            assert line.first is tickets[first]
            line.leave(tickets[first])
        assert line.size == len(model)
        assert line.first is (tickets[next(iter(model))] if model else None)
        assert [ticket.queue is line for ticket in tickets] == [place in model for place in range(8)]
    for place in model:
        assert line.first is tickets[place]
        line.leave(tickets[place])
    assert (line.size, line.first) == (0, None)


def test_who_is_turned_away_is_told_how_long_the_others_will_take() -> None:
    line = Line()
    reactor = Reactor(asyncio.new_event_loop())
    reactor.loop.close()
    assert {line.retry_after_s() for _ in range(100)} == {1, 2}  # nothing is known
    for _ in range(50):
        line.join(Ticket(Stream(reactor)))
    for turn in range(30):
        first = line.first
        assert first is not None
        line.leave(first)
        line.served(1_000_000 + turn * 500_000)
        line.join(Ticket(Stream(reactor)))
    found = {line.retry_after_s() for _ in range(500)}
    assert 20 <= min(found) <= 25  # 50 times half a second
    assert 40 <= max(found) <= 50
    for turn in range(100):
        line.served(100_000_000 + turn * 60_000_000)
    assert max(line.retry_after_s() for _ in range(100)) <= 60
