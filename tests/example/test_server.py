"""The example app as clients, probes and Kubernetes see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

import pytest
from aiohttp import ClientConnectionError, ClientSession, ClientTimeout
from my_app.ending import Ending, Manner
from my_app.faults import Faults
from my_app.server import Place, Server

PLACE: Final = Place(name="pod-1", host="127.0.0.1", port=0)
AT_ONCE: Final = Faults(sigterm=Ending(Manner.CLOSE, 0.0))
LIMIT: Final = ClientTimeout(total=20)


class Pod:
    """A server that runs, a client's session with it, and what it exited with."""

    def __init__(self, place: Place, faults: Faults) -> None:
        self.exits: list[int] = []
        self.server = Server(place, faults, self.exits.append)
        self.running = asyncio.ensure_future(self.server.run())
        self.session = ClientSession(timeout=LIMIT)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def get(self, path: str = "/", method: str = "GET") -> tuple[int, str]:
        async with self.session.request(method, f"{self.url}{path}") as reply:
            assert reply.headers["X-Pod"] == "pod-1"
            assert reply.headers["X-Path"] == path.partition("?")[0]
            return reply.status, (await reply.text()).strip()


@asynccontextmanager
async def pod(faults: Faults = AT_ONCE, place: Place = PLACE) -> AsyncIterator[Pod]:
    async with AsyncExitStack() as stack:
        one = Pod(place, faults)
        stack.push_async_callback(one.session.close)
        await asyncio.wait_for(one.server.listening.wait(), 20)
        yield one
        if not one.running.done():
            one.server._faults = replace(one.server._faults, sigterm=Ending(Manner.CLOSE, 0.0))
            one.server.end()
        await asyncio.wait_for(one.running, 20)


async def test_it_says_which_pod_it_is_at_any_path() -> None:
    async with pod() as one:
        assert await one.get() == (200, "pod-1")
        assert await one.get("/some/where", "POST") == (200, "pod-1")


async def test_with_a_limit_replies_take_turns_and_probes_do_not_wait() -> None:
    async with pod(replace(AT_ONCE, latency=0.1, concurrency=2)) as one:
        began = time.monotonic()
        waiting = [asyncio.ensure_future(one.get()) for _ in range(6)]
        await asyncio.sleep(0)
        assert await one.get("/ready") == (200, "ready")
        assert await asyncio.gather(*waiting) == [(200, "pod-1")] * 6
        assert time.monotonic() - began >= 0.3, "six of which two at a time"
        await one.get("/faults?concurrency=0", "POST")
        assert await one.get() == (200, "pod-1")


async def test_its_probes() -> None:
    async with pod() as one:
        assert [await one.get("/healthz"), await one.get("/ready")] == [(200, "alive"), (200, "ready")]
        await one.get("/faults?ready=false", "POST")
        assert [await one.get("/healthz"), (await one.get("/ready"))[0]] == [(200, "alive"), 503]
        assert await one.get() == (200, "pod-1")  # not ready is what it says, not what it does
        await one.get("/faults?ready=true&healthy=false", "POST")
        assert [(await one.get("/healthz"))[0], await one.get("/ready")] == [503, (200, "ready")]


async def test_it_is_not_ready_before_it_has_started() -> None:
    async with pod(place=replace(PLACE, start_s=3600)) as one:
        assert await one.get("/ready") == (503, "starting")
        assert await one.get("/healthz") == (200, "alive")


async def test_one_request_can_be_slow_or_wrong() -> None:
    async with pod() as one:
        clock = time.monotonic
        began = clock()
        assert await one.get("/?latency=0.05&status=418") == (418, "pod-1 was told to fail")
        assert clock() - began > 0.045  # a loop counts whole milliseconds
        assert await one.get() == (200, "pod-1")


async def test_all_requests_can_be_wrong_until_the_faults_end() -> None:
    async with pod() as one:
        status, said = await one.get("/faults?status=500", "POST")
        assert (status, '"ratio": 1.0' in said, '"sigterm": "close"' in said) == (200, True, True)
        assert (await one.get())[0] == 500
        await one.get("/faults", "DELETE")
        assert await one.get() == (200, "pod-1")


@pytest.mark.parametrize("path", ["/?latency=soon", "/faults?color=red"])
async def test_a_wrong_word_is_answered_with_what_would_be_right(path: str) -> None:
    async with pod() as one:
        status, said = await one.get(path, "POST")
        assert (status, "is not" in said) == (400, True)


async def test_it_hangs_until_told_otherwise() -> None:
    async with pod() as one:
        await one.get("/faults?hang=true", "POST")
        waiting = [asyncio.ensure_future(one.get(path)) for path in ("/", "/healthz", "/ready")]
        await one.get("/faults?latency=0", "POST")  # a change that does not end it
        assert not any(task.done() for task in waiting)
        await one.get("/faults?hang=false", "POST")
        assert [status for status, _ in await asyncio.gather(*waiting)] == [200, 200, 200]


async def test_it_calls_what_is_beside_it() -> None:
    async with pod() as callee, pod(place=replace(PLACE, calls=f"{callee.url}/?status=404")) as one:
        assert await one.get("/call") == (404, "pod-1 was told to fail")


async def test_a_call_that_fails_says_so() -> None:
    async with pod() as one, pod(place=replace(PLACE, calls="http://127.0.0.1:1/")) as other:
        assert (await one.get("/call"))[0] == 404
        status, said = await other.get("/call")
        assert (status, "ClientConnectorError" in said) == (502, True)


async def test_graceful_says_not_ready_and_goes_on_without_keeping_connections() -> None:
    async with pod(Faults(sigterm=Ending(Manner.GRACEFUL, 3600))) as one:
        one.server.end()
        assert await one.get("/ready") == (503, "ending")
        async with one.session.get(one.url) as reply:
            assert (reply.status, reply.headers["Connection"]) == (200, "close")
        one.running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one.running
        one.running = asyncio.ensure_future(asyncio.sleep(0))


async def test_ignoring_it_changes_nothing_until_it_ends() -> None:
    async with pod(Faults(sigterm=Ending(Manner.IGNORE, 0.3))) as one:
        one.server.end()
        assert await one.get("/ready") == (200, "ready")
        async with one.session.get(one.url) as reply:
            assert (reply.status, "Connection" in reply.headers) == (200, False)
        await asyncio.wait_for(one.running, 20)
        with pytest.raises(ClientConnectionError):
            await one.get()


async def test_close_stops_listening_and_ends_what_is_in_flight() -> None:
    async with pod() as one:
        await one.get("/faults?hang=true", "POST")
        waiting = asyncio.ensure_future(one.get())
        while '"in_flight": 1' not in (await one.get("/faults"))[1]:
            pass
        one.server.end()
        assert await waiting == (200, "pod-1")
        await asyncio.wait_for(one.running, 20)
        with pytest.raises(ClientConnectionError):
            await one.get()


async def test_dying_is_at_once() -> None:
    async with pod() as one:
        await one.get("/faults?sigterm=die", "POST")
        one.server.end()
        await one.get("/die", "POST")
        assert one.exits == [143, 1]
