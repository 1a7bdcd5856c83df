"""What every source does, whatever it asks: tell at once, tell changes only, keep what was good, end when told to."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest
from fairlead.discovery import SOURCES, Found, Source
from fairlead.discovery.dns import DnsSource
from fairlead.discovery.file import FileSource
from fairlead.discovery.kubernetes.access import Access
from fairlead.discovery.kubernetes.answers import ApiError, What
from fairlead.discovery.kubernetes.cluster import Cluster
from fairlead.discovery.kubernetes.mirror import Query
from fairlead.discovery.kubernetes.objects import Json
from fairlead.discovery.kubernetes.source import KubernetesSource
from fairlead.discovery.resolver import Answer, Unresolved
from fairlead.discovery.static import StaticSource
from kubernetes.recorded import endpoint, endpoint_slice, service

from discovery.watching import LIMIT_S, addresses, step


class World(Protocol):
    """What a source looks at, as a test turns it. Addresses are of port 80."""

    source: Source

    def give(self, hosts: Sequence[str]) -> None: ...

    def fail(self) -> None: ...


class FileWorld:
    def __init__(self, directory: Path) -> None:
        self._path = directory / "endpoints.yaml"
        self._next = directory / "next"
        self.source: Source = FileSource(self._path)

    def give(self, hosts: Sequence[str]) -> None:
        self._next.write_text("[" + ", ".join(f'"{host}:80"' for host in hosts) + "]")
        self._next.rename(self._path)

    def fail(self) -> None:
        self._path.unlink(missing_ok=True)


class DnsWorld:
    def __init__(self, directory: Path) -> None:
        self._hosts: Sequence[str] | None = None
        self._turned = asyncio.Event()
        self.source: Source = DnsSource("shop", 80, 1, self._resolve, self._sleep)

    def give(self, hosts: Sequence[str]) -> None:
        self._hosts = hosts
        self._turned.set()

    def fail(self) -> None:
        self._hosts = None
        self._turned.set()

    async def _resolve(self, name: str) -> Answer:
        self._turned.clear()
        if self._hosts is None:
            raise Unresolved("SERVFAIL")
        return Answer(tuple(self._hosts), 30)

    async def _sleep(self, pause: float) -> None:
        await self._turned.wait()


class StaticWorld:
    """Never changes: only the tests that ask for nothing but a first look are for it."""

    def __init__(self, directory: Path) -> None:
        self.source: Source = StaticSource("10.0.0.1:80")

    def give(self, hosts: Sequence[str]) -> None:
        assert list(hosts) == ["10.0.0.1"]

    def fail(self) -> None:
        raise NotImplementedError


class KubernetesWorld:
    """A cluster whose API is in memory: it has one Service, and its slices can be had or not."""

    def __init__(self, directory: Path) -> None:
        self._hosts: Sequence[str] | None = None
        self._turned: list[asyncio.Event] = []
        self.source: Source = KubernetesSource("default", "shop", "80", connect=self._connect)

    def give(self, hosts: Sequence[str]) -> None:
        self._hosts = hosts
        self._turn()

    def fail(self) -> None:
        self._hosts = None
        self._turn()

    def _turn(self) -> None:
        for turned in self._turned:
            turned.set()

    @asynccontextmanager
    async def _connect(self, _: Access) -> AsyncIterator[Cluster]:
        cluster = Cluster(self)
        try:
            yield cluster
        finally:
            await cluster.close()

    async def get(self, path: str, query: Query, what: What) -> Json:
        items = [service("shop")] if path.endswith("/services") else [self._slice()]
        return {"metadata": {"resourceVersion": "1"}, "items": items}

    @asynccontextmanager
    async def watch(
        self, path: str, query: Query, what: What, silence_s: float
    ) -> AsyncIterator[AsyncGenerator[Json, None]]:
        turned = asyncio.Event()
        self._turned.append(turned)
        yield self._events(turned) if path.endswith("/endpointslices") else self._nothing()
        self._turned.remove(turned)

    async def _events(self, turned: asyncio.Event) -> AsyncGenerator[Json, None]:
        while True:
            turned.clear()
            yield {"type": "MODIFIED", "object": self._slice()}
            await turned.wait()

    async def _nothing(self) -> AsyncGenerator[Json, None]:
        await asyncio.Event().wait()
        yield {}

    def _slice(self) -> Json:
        if self._hosts is None:
            raise ApiError("the API is away")
        return endpoint_slice(*map(endpoint, self._hosts), of="shop", ports=({"name": "http", "port": 80},))


WORLDS: Mapping[str, Callable[[Path], World]] = {
    "": StaticWorld,
    "dns": DnsWorld,
    "file": FileWorld,
    "k8s": KubernetesWorld,
}
CHANGING = [scheme for scheme in WORLDS if scheme]
ONE = ["10.0.0.1:80"]
TWO = ["10.0.0.1:80", "10.0.0.2:80"]


@pytest.fixture
def world(scheme: str, tmp_path: Path) -> World:
    return WORLDS[scheme](tmp_path)


def test_every_source_is_tested_here() -> None:
    assert WORLDS.keys() == SOURCES.keys()


@pytest.mark.parametrize("scheme", WORLDS)
async def test_what_is_there_is_found_at_once(world: World) -> None:
    world.give(["10.0.0.1"])
    watch = world.source.watch()
    found = await step(watch)
    assert (addresses(found), found.problem) == (ONE, "")
    await watch.aclose()


@pytest.mark.parametrize("scheme", CHANGING)
async def test_that_nothing_can_be_found_is_told_at_once_too(world: World) -> None:
    world.fail()
    watch = world.source.watch()
    found = await step(watch)
    assert found.endpoints == ()
    assert found.problem
    world.give(["10.0.0.1"])
    assert await step(watch) == await _first(world)
    await watch.aclose()


@pytest.mark.parametrize("scheme", CHANGING)
async def test_changes_are_told_and_nothing_else(world: World) -> None:
    world.give(["10.0.0.1"])
    watch = world.source.watch()
    assert addresses(await step(watch)) == ONE
    world.give(["10.0.0.1"])
    world.give(["10.0.0.1", "10.0.0.2"])
    assert addresses(await step(watch)) == TWO
    world.give(["10.0.0.2"])
    assert addresses(await step(watch)) == ["10.0.0.2:80"]
    await watch.aclose()


@pytest.mark.parametrize("scheme", CHANGING)
async def test_a_failure_keeps_what_was_good_and_a_recovery_clears_the_problem(world: World) -> None:
    world.give(["10.0.0.1", "10.0.0.2"])
    watch = world.source.watch()
    assert addresses(await step(watch)) == TWO
    for recovered in (["10.0.0.1", "10.0.0.2"], ["10.0.0.1"]):
        before = addresses(await _first(world))
        world.fail()
        failed = await step(watch)
        assert addresses(failed) == before
        assert failed.problem
        world.give(recovered)
        found = await step(watch)
        assert (addresses(found), found.problem) == ([f"{host}:80" for host in recovered], "")
    await watch.aclose()


@pytest.mark.parametrize("scheme", WORLDS)
async def test_closing_between_two_steps_is_prompt_and_leaves_nothing(world: World) -> None:
    threads = threading.active_count()
    world.give(["10.0.0.1"])
    watch = world.source.watch()
    await step(watch)
    async with asyncio.timeout(LIMIT_S):
        await watch.aclose()
    _assert_nothing_is_left(threads)


@pytest.mark.parametrize("scheme", WORLDS)
async def test_cancelling_whoever_waits_is_prompt_and_leaves_nothing(world: World) -> None:
    threads = threading.active_count()
    world.give(["10.0.0.1"])
    watch = world.source.watch()
    await step(watch)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await watch.aclose()
    _assert_nothing_is_left(threads)


@pytest.mark.parametrize("scheme", WORLDS)
async def test_a_source_can_be_watched_twice_and_again(world: World) -> None:
    world.give(["10.0.0.1"])
    one, other = world.source.watch(), world.source.watch()
    assert await step(one) == await step(other)
    await one.aclose()
    await other.aclose()
    assert addresses(await _first(world)) == ONE


async def _first(world: World) -> Found:
    watch = world.source.watch()
    found = await step(watch)
    await watch.aclose()
    return found


def _assert_nothing_is_left(threads: int) -> None:
    assert len(asyncio.all_tasks()) == 1
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and thread.name == "file changes":
            thread.join(LIMIT_S)
    assert threading.active_count() == threads
