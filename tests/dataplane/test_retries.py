"""What is tried again at another endpoint, what never is, and what the client and the log get to know of it."""

import asyncio

import pytest
from dataplane.stage import GET, OK, Peer, Set, Stage, Stand
from fairlead.model import Retries, ServiceTimeouts

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
PUT = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
TRIED = 16  # where a record has the attempts before the last
NEVER = Retries(budget=0.0, budget_min=0.0)
FAILED = b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%b"


def failed(status: int, body: bytes = b"no") -> bytes:
    return FAILED % (status, len(body), body)


async def taken(stage: Stage, *stands: Stand) -> tuple[Stand, Peer]:
    """The endpoint of these that has been given the request, and the connection that brought it."""
    await stage.until(lambda: any(stand.live.in_flight for stand in stands))
    stand = next(stand for stand in stands if stand.live.in_flight)
    return stand, await stand.accept()


def others(stage: Stage, *but: Stand) -> list[Stand]:
    return [stand for stand in stage.stands if stand not in but]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("request_bytes", [GET, PUT, GET.replace(b"1.1", b"1.0")])
async def test_a_reply_that_says_failure_is_passed_over(status: int, request_bytes: bytes) -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand())
        client = await stage.client()
        await client.send(request_bytes)
        bad, server = await taken(stage, *stage.stands)
        sent = await server.message()
        await server.send(failed(status))
        good, server = await taken(stage, *others(stage, bad))
        assert await server.message() == sent
        await server.send(OK)
        reply = await client.message()
        assert (reply.status, reply.body) == (200, b"ok")
        assert stage.service.retries == {f"status-{status}": 1}
        assert stage.counts() == {"200": 1}
        assert len(bad.live.idle) == 1  # the reply that was dropped was whole
        ((endpoint, outcome, took),) = stage.records[0][TRIED]
        assert (endpoint, outcome) == (bad.address, f"status-{status}")
        assert took > 0
        assert stage.records[0][8:10] == (good.address, 2)


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nhalf", b"HTTP/1.1 500 No\r\n\r\nuntil the end"]
)
async def test_the_connection_of_a_reply_that_was_dropped_in_part_is_closed(reply: bytes) -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand())
        client = await stage.client()
        await client.send(GET)
        bad, dropped = await taken(stage, *stage.stands)
        await dropped.message()
        await dropped.send(reply)
        _, server = await taken(stage, *others(stage, bad))
        await server.message()
        await server.send(OK)
        assert (await client.message()).status == 200
        await dropped.ends()
        assert bad.live.connections == 0


@pytest.mark.parametrize("status", [400, 404, 429, 501, 505])
async def test_other_statuses_are_the_answer(status: int) -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand())
        client = await stage.client()
        await client.send(GET)
        _, server = await taken(stage, *stage.stands)
        await server.message()
        await server.send(failed(status))
        assert (await client.message()).status == status
        assert stage.service.retries == {}
        assert stage.records[0][TRIED] == ()


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
async def test_the_client_gets_the_last_reply_when_all_say_failure(attempts: int) -> None:
    async with Stage() as stage:
        stands = [stage.stand() for _ in range(3)]
        stage.play(*stands, scene=Set(retries=Retries(attempts=attempts, backoff_s=0.001)))
        client = await stage.client()
        await client.send(GET)
        tried: list[Stand] = []
        for number in range(min(attempts, 3)):
            stand, server = await taken(stage, *others(stage, *tried))
            tried.append(stand)
            await server.message()
            await server.send(failed(503, b"reply %d" % number))
        reply = await client.message()
        assert (reply.status, reply.error) == (503, b"")
        assert reply.body == b"reply %d" % (min(attempts, 3) - 1)
        assert [each[0] for each in stage.records[0][TRIED]] == [stand.address for stand in tried[:-1]]


async def test_a_reply_that_was_passed_over_is_given_when_nobody_else_replies() -> None:
    async with Stage() as stage:
        sick, dead = stage.stand(), stage.stand()
        stage.play(sick, dead)
        dead.close()
        client = await stage.client()
        server = None
        for _ in range(2):  # one of the two meets `dead` last
            await client.send(GET)
            server = server or await sick.accept()
            await server.message()
            await server.send(failed(503, b"maintenance"))
            reply = await client.message()
            assert (reply.status, reply.error, reply.body) == (503, b"", b"maintenance")
        assert stage.counts() == {"503": 2}
        assert [record[8] for record in stage.records] == [sick.address] * 2
        assert [record[14] for record in stage.records] == ["", ""]
        assert sum(stage.service.retries.values()) == 2
        assert stage.listener.budget.kept == 0


@pytest.mark.parametrize("retries", [NEVER, Retries(statuses=()), Retries(statuses=(502,)), Retries(attempts=1)])
async def test_without_a_retry_the_reply_is_the_answer(retries: Retries) -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand(), scene=Set(retries=retries))
        client = await stage.client()
        await client.send(GET)
        _, server = await taken(stage, *stage.stands)
        await server.message()
        await server.send(failed(500, b"mine"))
        assert (await client.message()).body == b"mine"
        assert stage.service.retries == {}
        assert stage.service.report()["retries_exhausted"] == (1 if retries is NEVER else 0)


@pytest.mark.parametrize("retries", [NEVER, Retries(reset=False), Retries(attempts=1)])
async def test_without_a_retry_a_reset_is_an_error(retries: Retries) -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand(), scene=Set(retries=retries))
        client = await stage.client()
        await client.send(GET)
        _, server = await taken(stage, *stage.stands)
        await server.message()
        server.reset()
        reply = await client.message()
        assert (reply.status, reply.error) == (502, b"upstream-reset")
        assert stage.service.retries == {}


async def test_a_budget_that_is_spent_does_not_hold_for_what_reached_nobody() -> None:
    async with Stage() as stage:
        dead, alive = stage.stand(), stage.stand()
        stage.play(dead, alive, scene=Set(retries=NEVER))
        dead.close()
        client = await stage.client()
        server = None
        for _ in range(2):
            await client.send(POST)
            server = server or await alive.accept()
            await server.message()
            await server.send(OK)
            assert (await client.message()).status == 200
        assert stage.service.retries in ({"connect-failed": 1}, {"connect-failed": 2})  # whose turn is first is chance
        assert stage.service.retrying.budget.spent == 0


async def test_the_budget_runs_out() -> None:
    async with Stage() as stage:
        scene = Set(retries=Retries(budget=0.0, budget_min=0.2))  # two retries, and one more in five seconds
        stage.play(stage.stand(), stage.stand(), scene=scene)
        statuses: list[int] = []
        for _ in range(3):
            client = await stage.client()
            await client.send(GET)
            bad, server = await taken(stage, *stage.stands)
            await server.message()
            server.reset()
            if len(statuses) < 2:
                _, server = await taken(stage, *others(stage, bad))
                await server.message()
                await server.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            statuses.append((await client.message()).status)
        assert statuses == [200, 200, 502]
        assert stage.service.retries == {"upstream-reset": 2}
        assert stage.service.retrying.budget.spent == 1


async def test_a_post_is_never_repeated_for_a_status() -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand())
        client = await stage.client()
        await client.send(POST)
        bad, server = await taken(stage, *stage.stands)
        await server.message()
        await server.send(failed(503, b"busy"))
        assert (await client.message()).body == b"busy"
        assert not any(stand.has_caller() for stand in others(stage, bad))


async def test_what_comes_after_an_interim_reply_is_the_answer() -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand())
        client = await stage.client()
        await client.send(GET)
        bad, server = await taken(stage, *stage.stands)
        await server.message()
        await server.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        assert (await client.message()).status == 103
        await server.send(failed(500, b"after all"))
        assert (await client.message()).body == b"after all"
        assert not any(stand.has_caller() for stand in others(stage, bad))


async def test_a_body_that_is_still_coming_goes_to_the_next_endpoint_whole() -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand())
        client = await stage.client()
        body = bytes(i % 251 for i in range(200_000))
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:50_000])
        bad, server = await taken(stage, *stage.stands)
        await server.head()
        assert await server.take(50_000) == body[:50_000]
        await server.send(failed(503))  # before the body has ended
        _, server = await taken(stage, *others(stage, bad))
        sending = asyncio.ensure_future(client.send(body[50_000:]))
        assert (await server.message()).body == body
        await sending
        await server.send(OK)
        assert (await client.message()).status == 200
        assert bad.live.connections == 0  # it did not get the whole request


async def test_requests_in_a_row_keep_their_order() -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand())
        client = await stage.client()
        await client.send(GET * 3)
        bad, server = await taken(stage, *stage.stands)
        await server.message()
        await server.send(failed(500))

        async def serve(peer: Peer) -> None:
            for number in range(9):
                await peer.message()
                await peer.send(OK.replace(b"ok", b"%d%d" % (number, number)))

        async with bad.attended(serve), others(stage, bad)[0].attended(serve):
            serving = asyncio.ensure_future(serve(server))
            assert [(await client.message()).status for _ in range(3)] == [200] * 3
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        assert stage.service.retries == {"status-500": 1}
        assert stage.counts() == {"200": 3}


async def test_a_listener_that_drains_still_tries_again() -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand())
        client = await stage.client()
        await client.send(GET)
        bad, server = await taken(stage, *stage.stands)
        await server.message()
        stage.listener.announce()
        await server.send(failed(500))
        _, server = await taken(stage, *others(stage, bad))
        await server.message()
        await server.send(OK)
        reply = await client.message()
        assert (reply.status, reply.one(b"Connection")) == (200, b"close")
        await client.ends()


# The wait before a second retry.


async def test_a_client_that_leaves_during_the_wait_frees_everything_at_once() -> None:
    async with Stage() as stage:
        stands = [stage.stand() for _ in range(3)]
        stage.play(*stands, scene=Set(retries=Retries(backoff_s=3600)))
        for stand in stands:
            stand.close()
        client = await stage.client()
        await client.send(GET)
        await stage.until(lambda: stage.service.retries == {"connect-failed": 1})
        assert stage.listener.active == 1
        assert client.nothing()
        client.close()
        await stage.until(lambda: stage.listener.active == 0)
        assert stage.counts() == {"499": 1}
        assert stage.records[0][9] == 2


async def test_the_end_of_a_drain_cuts_the_wait() -> None:
    async with Stage() as stage:
        stands = [stage.stand() for _ in range(3)]
        stage.play(*stands, scene=Set(retries=Retries(backoff_s=3600)))
        for stand in stands:
            stand.close()
        client = await stage.client()
        await client.send(GET)
        await stage.until(lambda: stage.service.retries == {"connect-failed": 1})
        stage.plane.close()
        await client.breaks()
        assert stage.records[0][14] == "drain"


async def test_the_time_for_the_request_as_a_whole_ends_the_wait() -> None:
    async with Stage() as stage:
        stands = [stage.stand() for _ in range(3)]
        timeouts = ServiceTimeouts(request_s=0.2)
        stage.play(*stands, scene=Set(retries=Retries(backoff_s=3600), service_timeouts=timeouts))
        for stand in stands:
            stand.close()
        client = await stage.client()
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        reply = await client.message()
        assert (reply.status, reply.error) == (504, b"deadline-exceeded")


async def test_a_body_that_comes_during_the_wait_is_kept_and_no_more_than_fits_is_read() -> None:
    async with Stage() as stage:
        dead, alive = [stage.stand(), stage.stand()], stage.stand()
        stage.play(*dead, alive, scene=Set(retries=Retries(backoff_s=0.1)))
        for stand in dead:
            stand.close()
        body = bytes(i % 251 for i in range(1_000_000))
        for _ in range(3):  # one of three begins with both
            client = await stage.client()
            head = b"PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
            sending = asyncio.ensure_future(client.send(head + body))
            server = await alive.accept()
            assert (await server.message()).body == body
            await sending
            await server.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert (await client.message()).status == 200
        assert 3 in [record[9] for record in stage.records]
        assert stage.listener.budget.kept == 0


# How long an attempt may take.


async def test_an_attempt_that_takes_too_long_is_given_to_another_endpoint() -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand(), scene=Set(retries=Retries(try_timeout_s=0.1)))
        client = await stage.client()
        await client.send(PUT)
        slow, server = await taken(stage, *stage.stands)
        await server.message()
        _, second = await taken(stage, *others(stage, slow))
        assert (await second.message()).body == b"body"
        await server.ends()
        await asyncio.sleep(0.3)  # the last attempt may take longer
        await second.send(OK)
        assert (await client.message()).status == 200
        assert stage.service.retries == {"try-timeout": 1}
        assert stage.records[0][TRIED][0][:2] == (slow.address, "try-timeout")


async def test_a_post_is_waited_for() -> None:
    async with Stage() as stage:
        stage.play(stage.stand(), stage.stand(), scene=Set(retries=Retries(try_timeout_s=0.1)))
        client = await stage.client()
        await client.send(POST)
        slow, server = await taken(stage, *stage.stands)
        await server.message()
        await asyncio.sleep(0.3)
        await server.send(OK)
        assert (await client.message()).status == 200
        assert not any(stand.has_caller() for stand in others(stage, slow))


@pytest.mark.parametrize("retries", [Retries(try_timeout_s=0.1), Retries(try_timeout_s=0.0), NEVER])
async def test_the_reply_deadline_holds_where_there_is_nobody_else(retries: Retries) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(retries=retries, service_timeouts=ServiceTimeouts(reply_s=0.3)))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        reply = await client.message()
        assert (reply.status, reply.error) == (504, b"upstream-timeout")
        assert stage.service.retries == {}


async def test_an_endpoint_that_has_fallen_silent_costs_a_second() -> None:
    async with Stage() as stage:
        first, second = stage.stand(), stage.stand()
        stage.play(first, second)
        for _ in range(200):
            stage.service.duration.record(2_000)  # what is usual here

        async def serve(peer: Peer) -> None:
            while True:
                await peer.message()
                await peer.send(OK)

        clients = [await stage.client() for _ in range(4)]
        async with second.attended(serve):
            for client in clients:
                await client.send(GET)
            replies = await asyncio.gather(*(client.message() for client in clients))
        assert [reply.status for reply in replies] == [200] * 4
        assert stage.service.retries == {"try-timeout": 2}
        assert {record[8] for record in stage.records} == {second.address}
        assert first.live.connections == 0


# Who asks who served.


async def asked(stage: Stage, client: Peer, stand: Stand, *fields: bytes) -> tuple[bytes, bytes]:
    """What is told of who served, and what the endpoint was told of the question."""
    lines = [b"GET / HTTP/1.1", b"Host: a", b"Fairlead-Debug: 1", *fields, b"", b""]
    await client.send(b"\r\n".join(lines))
    server = await stand.accept()
    request = await server.message()
    await server.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    reply = await client.message()
    assert (reply.status, reply.body) == (200, b"ok")
    return reply.one(b"Fairlead-Served-By"), request.one(b"Fairlead-Debug")


async def test_a_client_on_this_host_is_told_who_served_it() -> None:
    async with Stage() as stage:
        dead, alive = stage.stand(), stage.stand()
        stage.play(dead, alive)
        dead.close()
        client = await stage.client()
        told = {await asked(stage, client, alive) for _ in range(2)}
        plain = b"%b; attempts=1" % alive.address.encode()
        tried = b"%b; attempts=2; tried=%b=connect-failed" % (alive.address.encode(), dead.address.encode())
        assert (tried, b"") in told  # whose turn is first is chance
        assert told <= {(plain, b""), (tried, b"")}


async def test_a_reply_of_our_own_says_who_was_tried() -> None:
    async with Stage() as stage:
        dead = stage.stand()
        stage.play(dead)
        dead.close()
        client = await stage.client()
        await client.send(GET[:-2] + b"fairlead-debug: 1\r\n\r\n")
        reply = await client.message()
        address = dead.address.encode()
        assert reply.one(b"Fairlead-Served-By") == b"%b; attempts=1; tried=%b=connect-failed" % (address, address)


@pytest.mark.parametrize(
    ("scene", "field"),
    [
        (Set(debug_from=()), b"X: 1"),
        (Set(debug_from=("192.0.2.0/24",)), b"X-Forwarded-For: 192.0.2.7"),
        (Set(trusted_proxies=("127.0.0.0/8",)), b"X-Forwarded-For: 192.0.2.7"),
    ],
)
async def test_a_stranger_is_told_nothing_and_neither_is_the_endpoint(scene: Set, field: bytes) -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=scene)
        client = await stage.client()
        assert await asked(stage, client, stand, field) == (b"", b"")


async def test_who_is_asked_for_is_who_a_trusted_proxy_names() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(trusted_proxies=("127.0.0.0/8",), debug_from=("192.0.2.0/24",)))
        client = await stage.client()
        told, _ = await asked(stage, client, stand, b"X-Forwarded-For: 192.0.2.7")
        assert told == b"%b; attempts=1" % stand.address.encode()
