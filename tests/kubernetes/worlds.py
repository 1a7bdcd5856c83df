"""Clusters that one and the same suite runs against: the stand-in, and the real one that a kubeconfig names.

FAIRLEAD_E2E_KUBECONFIG, or else KUBECONFIG, names the real one. Its user has to be allowed to make a namespace, and
Services and EndpointSlices in it; the namespace is deleted afterwards.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import aiohttp
from fairlead.discovery.kubernetes.access import Access, Login, log_in
from kubernetes import resources
from kubernetes.api_server import ApiServer, serving
from kubernetes.recorded import Json

REAL = os.environ.get("FAIRLEAD_E2E_KUBECONFIG") or os.environ.get("KUBECONFIG", "")
NO_REAL = "no real cluster: FAIRLEAD_E2E_KUBECONFIG and KUBECONFIG are not set"


class World(Protocol):
    """A namespace of a cluster, as a test turns it."""

    namespace: str
    access: Access

    async def put(self, resource: str, raw: Json) -> None: ...

    async def delete(self, resource: str, name: str) -> None: ...


class _StandIn:
    def __init__(self, server: ApiServer, access: Access) -> None:
        self.namespace = "default"
        self.access = access
        self._server = server

    async def put(self, resource: str, raw: Json) -> None:
        self._server.put(resource, raw)

    async def delete(self, resource: str, name: str) -> None:
        self._server.delete(resource, name)


@asynccontextmanager
async def stand_in(directory: Path) -> AsyncIterator[World]:
    async with serving() as server:
        path = directory / "kubeconfig"
        path.write_text(server.kubeconfig())
        yield _StandIn(server, Access(str(path)))


class _Real:
    def __init__(self, login: Login, session: aiohttp.ClientSession, namespace: str, access: Access) -> None:
        self.namespace = namespace
        self.access = access
        self._login = login
        self._session = session

    async def put(self, resource: str, raw: Json) -> None:
        raw = {**raw, "metadata": {**raw["metadata"], "namespace": self.namespace}}
        path = self._path(resource)
        if await self.ask("POST", path, raw, 409) == 409:
            raw["metadata"]["resourceVersion"] = await self._version(f"{path}/{raw['metadata']['name']}")
            await self.ask("PUT", f"{path}/{raw['metadata']['name']}", raw)

    async def delete(self, resource: str, name: str) -> None:
        await self.ask("DELETE", f"{self._path(resource)}/{name}")

    async def ask(self, method: str, path: str, raw: Json | None = None, also: int = 0) -> int:
        """The status, which is good or `also`."""
        async with self._session.request(
            method, self._login.host + path, json=raw, headers=await self._login.headers()
        ) as response:
            assert response.ok or response.status == also, await response.text()
            return response.status

    async def _version(self, path: str) -> str:
        async with self._session.get(self._login.host + path, headers=await self._login.headers()) as response:
            raw: Json = await response.json()
            return str(raw["metadata"]["resourceVersion"])

    def _path(self, resource: str) -> str:
        group = resources.named(resource).group
        root = f"/apis/{group}/v1" if group else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{resource}"


@asynccontextmanager
async def real(_: Path) -> AsyncIterator[World]:
    access = Access(REAL)
    login = await log_in(access)
    connector = aiohttp.TCPConnector(ssl=login.tls())
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(20)) as session:
        world = _Real(login, session, f"fairlead-test-{uuid.uuid4().hex[:8]}", access)
        await world.ask("POST", "/api/v1/namespaces", {"metadata": {"name": world.namespace}})
        try:
            yield world
        finally:
            await world.ask("DELETE", f"/api/v1/namespaces/{world.namespace}")


WORLDS: Mapping[str, Callable[[Path], AbstractAsyncContextManager[World]]] = {"stand-in": stand_in, "real": real}
