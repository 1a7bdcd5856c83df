"""What the sources of one process share of a cluster: one connection for each kind and namespace, and where we run.

Owns the tasks that keep the copies, from the first source that needs the cluster to the last. Never interprets what is
in them. Invariant: nothing is left when the last source has gone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, final

from fairlead.discovery.kubernetes.access import Access
from fairlead.discovery.kubernetes.answers import FORBIDDEN, NOT_FOUND, UNAUTHORIZED, ApiError, What
from fairlead.discovery.kubernetes.kinds import Kind, T
from fairlead.discovery.kubernetes.meaning import Place
from fairlead.discovery.kubernetes.mirror import Asks, Mirror, Tell, retry_pauses
from fairlead.discovery.kubernetes.objects import ZONE
from fairlead.discovery.kubernetes.ports import nearest

_NODE: Final = What("nodes", "", "", "get")
_NAMESPACES: Final = What("namespaces", "", "", "list")
_NAMESPACES_S: Final = 2.0  # nobody waits longer than this for the better of two explanations
_FINAL: Final = (UNAUTHORIZED, FORBIDDEN, NOT_FOUND)  # answers that asking again does not change


@final
class Cluster:
    """The copies of a cluster's objects, made when they are first asked for."""

    def __init__(self, api: Asks) -> None:
        self._api = api
        self._mirrors: dict[tuple[str, str], Mirror[Any]] = {}
        self._tasks: list[asyncio.Future[None]] = []
        self.on_place: set[Tell] = set()  # called when it is known where we run
        self.place = Place(os.environ.get("NODE_NAME", ""), os.environ.get("NODE_ZONE", ""))
        if self.place.node and not self.place.zone:
            self._tasks.append(asyncio.ensure_future(self._find_zone()))

    def mirror(self, kind: Kind[T], namespace: str) -> Mirror[T]:
        """The copy of a kind in a namespace."""
        key = (kind.resource, namespace)
        if key not in self._mirrors:
            self._mirrors[key] = Mirror(self._api, kind, namespace)
            self._tasks.append(asyncio.ensure_future(self._mirrors[key].run()))
        return self._mirrors[key]

    async def about_namespace(self, namespace: str) -> str:
        """Why a namespace may have no Services, with the nearest names that exist if we may know them."""
        try:
            async with asyncio.timeout(_NAMESPACES_S):
                answer = await self._api.get("/api/v1/namespaces", {"limit": 500}, _NAMESPACES)
            names = [item["metadata"]["name"] for item in answer["items"]]
        except (ApiError, TimeoutError, LookupError, TypeError):
            return f"namespace {namespace} has no Services, or does not exist"
        if namespace in names:
            return f"namespace {namespace} has no Services"
        return f"there is no namespace {namespace}; {nearest(namespace, names)}"

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _find_zone(self) -> None:
        """The zone of our node, read once; without the permission hints for zones are not followed."""
        for pause in retry_pauses():
            try:
                node = await self._api.get(f"/api/v1/nodes/{self.place.node}", {}, _NODE)
            except ApiError as error:
                if error.status in _FINAL:
                    return
                await asyncio.sleep(pause)
                continue
            metadata = node.get("metadata")
            labels = metadata.get("labels") if isinstance(metadata, dict) else None
            self.place = Place(self.place.node, str(labels.get(ZONE, "")) if isinstance(labels, dict) else "")
            for tell in list(self.on_place):
                tell()
            return


class _Shared:
    """A cluster in use, and by how many."""

    def __init__(self, access: Access) -> None:
        # Imported only now: aiohttp and kubernetes_asyncio cost memory that nobody needs who does without Kubernetes.
        from fairlead.discovery.kubernetes.api import Api

        self.api = Api(access)
        self.cluster = Cluster(self.api)
        self.users = 0


_shared: dict[tuple[asyncio.AbstractEventLoop, Access], _Shared] = {}


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[Cluster]:
    """The cluster of an access, shared by all that use it at the same time."""
    key = (asyncio.get_running_loop(), access)
    shared = _shared.get(key) or _shared.setdefault(key, _Shared(access))
    shared.users += 1
    try:
        yield shared.cluster
    finally:
        shared.users -= 1
        if not shared.users:
            del _shared[key]
            await shared.cluster.close()
            await shared.api.close()
