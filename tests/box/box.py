"""A box as suites use it: the API, the cluster, gateways and load, all of which end with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import final

from box.cluster import Cluster, Delays, Event
from box.gateway import ROUTES, SERVICES, Gateway
from box.load import Load
from box.network import Network, Sandbox
from kubernetes.api_server import ApiServer


@final
class Box:
    """What was started through it is stopped in the reverse order."""

    def __init__(self, network: Network, directory: Path, stack: AsyncExitStack) -> None:
        self.network = network
        self.api = ApiServer(host=network.node)
        self.directory = directory
        self._stack = stack
        self._numbers = count(1)

    async def cluster(self, delays: Delays, on_event: Callable[[Event], None]) -> Cluster:
        cluster = Cluster(self.api, self.network, delays, on_event)
        running = asyncio.ensure_future(cluster.run())
        self._stack.push_async_callback(_cancelled, running)
        return cluster

    async def gateway(
        self, services: str = SERVICES, routes: str = ROUTES, more: str = "workers: 1", sandbox: Sandbox | None = None
    ) -> Gateway:
        """A Fairlead that follows the API, ready."""
        directory = self.directory / f"gateway-{next(self._numbers)}"
        sandbox = sandbox or await self.network.sandbox()
        gateway = await Gateway.start(sandbox, directory, self.api.kubeconfig(), services, routes, more)
        self._stack.push_async_callback(gateway.stop)
        await gateway.until_ready()
        return gateway

    async def load(self, rate: float, *targets: str) -> Load:
        load = await Load.start(rate, *targets)
        self._stack.push_async_callback(load.kill)
        return load


@asynccontextmanager
async def box(network: Network, directory: Path) -> AsyncIterator[Box]:
    async with AsyncExitStack() as stack:
        opened = Box(network, directory, stack)
        await opened.api.start()
        stack.push_async_callback(opened.api.stop)
        yield opened


async def _cancelled(task: asyncio.Future[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
