"""The limit that learns: against a simulated service in virtual time, and on real sockets."""

from __future__ import annotations

import pytest
from dataplane.simulated import World, always, exponential, overload
from dataplane.stage import GET, OK, Set, Stage, service
from fairlead.dataplane.limiter import Limiter
from fairlead.model import Queue
from hypothesis import given
from hypothesis import strategies as st

MS = 1000


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("workers", "mean_s"), [(4, 0.01), (50, 0.01), (8, 0.1)])
def test_at_twice_the_capacity_the_work_goes_on_and_nobody_waits_for_long(
    workers: int, mean_s: float, seed: int
) -> None:
    good, p99_s, calm_s = overload(workers, always(mean_s), mean_s, seed)
    assert good > 0.95
    assert p99_s < 2 * calm_s


def test_so_it_is_when_what_requests_take_scatters() -> None:
    good, p99_s, calm_s = overload(8, exponential(0.01), 0.01)
    assert good > 0.9
    assert p99_s < 1.5 * calm_s


def test_without_it_everybody_waits() -> None:
    """Shows that the load of these tests is one."""
    world = World(8, always(0.01), None)
    world.load(1600, 10)
    assert world.run.quantile(0.99, 1, 11) > 4.0


def test_below_the_capacity_nothing_is_refused() -> None:
    world = World(8, exponential(0.01), Limiter())
    world.load(400, 120)
    assert world.run.refused == []


def test_a_service_that_grows_is_followed() -> None:
    world = World(4, always(0.01), Limiter())
    world.load(300, 20)
    world.workers = 40
    world.load(3000, 40)
    assert world.run.goodput(41, 61) > 0.97 * 3000


def test_a_service_that_becomes_slower_for_good_is_believed() -> None:
    """Three times as long, at once and for ever: first it looks like a queue."""
    world = World(50, always(0.01), Limiter())
    world.load(1500, 30)
    world.times = always(0.03)
    world.load(1500, 90)
    assert world.run.goodput(91, 121) > 0.97 * 1500
    assert world.run.refusals(91, 121) == 0


def test_a_service_that_was_slow_for_a_while_is_as_before() -> None:
    world = World(8, always(0.01), Limiter())
    world.load(400, 30)
    world.times = always(0.05)
    world.load(400, 10)
    world.times = always(0.01)
    world.load(400, 30)
    assert world.run.goodput(51, 71) > 0.99 * 400
    assert world.run.quantile(0.99, 51, 71) < 0.02


def test_idleness_teaches_nothing() -> None:
    world = World(8, always(0.01), Limiter())
    world.load(400, 30)
    before = world.limiter.limit if world.limiter else 0
    for _ in range(20):
        world.load(0, 100)
        world.load(400, 1)
    assert world.limiter is not None
    assert world.limiter.limit >= before / 2
    assert world.run.refused == []


def test_long_overload_does_not_become_what_is_calm() -> None:
    world = World(8, always(0.01), Limiter())
    world.load(400, 30)
    world.load(1600, 1200)
    assert world.run.quantile(0.99, 1100, 1231) < 0.027  # the calm value is 13 ms
    assert world.run.goodput(1100, 1231) > 0.95 * 800


def test_a_start_in_the_middle_of_overload_gets_calm() -> None:
    world = World(4, always(0.01), Limiter())
    world.load(800, 60)
    assert world.run.quantile(0.99, 41, 61) < 0.04
    assert world.run.goodput(41, 61) > 0.95 * 400


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10_000_000), st.booleans()), max_size=300))
def test_whatever_is_said_some_may_wait(steps: list[tuple[bool, int, bool]]) -> None:
    limiter = Limiter()
    now = 1
    for is_answered, took, is_failure in steps:
        limiter.begin()
        now += took
        if is_answered:
            limiter.answered(now, took, is_failure)
        else:
            limiter.end()
        assert limiter.waiting == 0
        assert limiter.allowed >= 3
        assert limiter.has_room()


def test_a_service_in_use_is_not_cut_down_by_being_protected() -> None:
    assert Limiter(500).allowed == 1000
    assert Limiter(0).allowed == 20


def test_failures_count_as_over_and_as_nothing_else() -> None:
    limiter = Limiter()
    for turn in range(1, 200):
        limiter.begin()
        limiter.answered(turn * 10 * MS, 1, True)
    assert (limiter.waiting, limiter.limit) == (0, 20.0)


# On real sockets.


def limiter_of(stage: Stage) -> Limiter:
    limiter = stage.service.limiter
    assert limiter is not None
    return limiter


async def test_what_is_beyond_the_limit_is_refused_at_once_and_counted() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(protect=True))
        clients = [await stage.client() for _ in range(20)]
        for client in clients:
            await client.send(GET)
        await stage.until(lambda: limiter_of(stage).waiting == 20)
        late = await stage.client()
        await late.send(GET)
        refused = await late.message()
        assert (refused.status, refused.error) == (503, b"overloaded")
        assert 1 <= int(refused.one(b"Retry-After")) <= 2
        server = await stand.accept()
        await server.message()
        await server.send(OK)
        await stage.until(lambda: limiter_of(stage).waiting == 19)
        clients[1].reset()  # who leaves makes room, too
        await stage.until(lambda: limiter_of(stage).waiting == 18)
        await late.send(GET)
        await stage.until(lambda: limiter_of(stage).waiting == 19)
        app = stage.plane.report()["services"]["app"]
        assert (app["limit"], app["refused"]) == (20, {"overloaded": 1})


async def test_a_reply_that_has_begun_does_not_count_any_more() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(protect=True))
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        await client.until(b"begun")
        assert (limiter_of(stage).waiting, stage.service.in_flight) == (0, 1)


async def test_with_a_queue_what_is_beyond_the_limit_waits() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand, scene=Set(protect=True, queue=Queue(max=1, timeout_s=60)))
        clients = [await stage.client() for _ in range(22)]
        for client in clients[:21]:
            await client.send(GET)
        await stage.until(lambda: stage.service.queue.size == 1)
        await clients[21].send(GET)
        assert (await clients[21].message()).error == b"queue-full"
        server = await stand.accept()
        await server.message()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")  # room as soon as it begins
        await stage.until(lambda: stage.service.queue.size == 0)


async def test_it_is_put_on_and_off_while_requests_are_under_way() -> None:
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        await client.send(GET)
        server = await stand.accept()
        await server.message()
        stage.change(service("app", stand, scene=Set(protect=True)))
        assert limiter_of(stage).waiting == 1
        await server.send(OK)
        await client.message()
        assert limiter_of(stage).waiting == 0
        await client.send(GET)
        await server.message()
        stage.change(service("app", stand))
        await server.send(OK)
        await client.message()
        assert stage.service.limiter is None
