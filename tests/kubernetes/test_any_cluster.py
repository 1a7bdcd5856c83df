"""Services without a selector and slices made by hand, followed in a cluster: the stand-in, and a real one if named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from fairlead.discovery.kubernetes.source import KubernetesSource, parse
from fairlead.model import State
from kubernetes.following import following
from kubernetes.recorded import endpoint, endpoint_slice, service
from kubernetes.worlds import NO_REAL, REAL, WORLDS, World

A, B = "10.231.0.1", "10.231.0.2"  # a real API server refuses loopback addresses
CLUSTERS = ["stand-in", pytest.param("real", marks=pytest.mark.skipif(not REAL, reason=NO_REAL))]


@pytest.fixture(params=CLUSTERS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with WORLDS[request.param](tmp_path) as world:
        yield world


def source(world: World, rest: str = "my-app:http") -> KubernetesSource:
    return replace(parse(f"k8s://{world.namespace}/{rest}", 1, Path("/")), access=world.access)


async def test_endpoints_come_change_and_go(world: World) -> None:
    await world.put("services", service())
    await world.put("endpointslices", endpoint_slice(endpoint(A)))
    async with following(source(world)) as followed:
        await followed.until_ready(f"{A}:8080")
        await world.put("endpointslices", endpoint_slice(endpoint(A, "-ST"), endpoint(B)))
        found = await followed.until_ready(f"{B}:8080")
        assert [each.state for each in found.endpoints] == [State.DRAINING, State.READY]
        await world.put("endpointslices", endpoint_slice(endpoint(A, "-ST")))
        found = await followed.until(lambda found: len(found.endpoints) == 1)
        assert found.endpoints[0].state is State.DRAINING
        await world.delete("endpointslices", "my-app-1")
        await followed.until(lambda found: not found.endpoints)


async def test_a_service_may_come_later_and_go(world: World) -> None:
    async with following(source(world)) as followed:
        found = await followed.until(lambda found: bool(found.problem))
        assert "there is no Service my-app" in found.problem
        await world.put("services", service())
        await world.put("endpointslices", endpoint_slice(endpoint(A)))
        await followed.until_ready(f"{A}:8080")
        await world.delete("services", "my-app")
        found = await followed.until(lambda found: bool(found.problem))
        assert found.endpoints == ()


async def test_the_ports_of_several_slices(world: World) -> None:
    await world.put("services", service())
    await world.put("endpointslices", endpoint_slice(endpoint(A), name="my-app-1"))
    other = endpoint_slice(endpoint(B), name="my-app-2", ports=({"name": "http", "port": 9090},))
    await world.put("endpointslices", other)
    async with following(source(world, "my-app:80")) as followed:
        await followed.until_ready(f"{A}:8080", f"{B}:9090")


async def test_a_slice_without_conditions_and_ports(world: World) -> None:
    await world.put("services", service())
    await world.put("endpointslices", endpoint_slice(endpoint(A, None), ports=None))
    async with following(source(world)) as followed:
        await followed.until_ready(f"{A}:8080")


async def test_sources_of_one_namespace_share_what_they_follow(world: World) -> None:
    for name, address in (("my-app", A), ("other", B)):
        await world.put("services", service(name))
        await world.put("endpointslices", endpoint_slice(endpoint(address), name=f"{name}-1", of=name))
    async with following(source(world)) as one:
        await one.until_ready(f"{A}:8080")
        async with following(source(world, "other:http")) as other:
            await other.until_ready(f"{B}:8080")
