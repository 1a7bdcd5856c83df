"""Services that are scaled to zero: when the first request waits, their Deployment or StatefulSet gets a replica.

Owns one task for each service that is being raised. Never scales down and never beyond one: that is an autoscaler's
business. Invariants: a service is raised by one task at a time; one that cannot be is tried again, ever more seldom, as
long as somebody waits for it, and its problem is told once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, final

from fairlead.config import ServiceSettings
from fairlead.discovery.kubernetes.access import Access
from fairlead.discovery.kubernetes.answers import ApiError
from fairlead.discovery.kubernetes.scale import Changes, Target, parse_target, raise_from_zero
from fairlead.discovery.kubernetes.source import KubernetesSource

_log = logging.getLogger("fairlead.scale")

_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)

Tell = Callable[[str, str, str], None]  # kind, subject, text of an event
Connect = Callable[[Access], AbstractAsyncContextManager[Changes]]


@final
class FromZero:
    """`is_awaited` says whether requests wait for a service, as far as the last reports tell."""

    def __init__(self, tell: Tell, is_awaited: Callable[[str], bool], connect: Connect | None = None) -> None:
        self._tell = tell
        self._is_awaited = is_awaited
        self._connect = connect or _connected
        self._settings: Mapping[str, ServiceSettings] = {}
        self._wanted: asyncio.Queue[str] = asyncio.Queue()
        self._raising: set[str] = set()

    def configure(self, settings: Mapping[str, ServiceSettings]) -> None:
        """These services are in force."""
        self._settings = settings

    def want(self, service: str) -> None:
        """The first request waits for this service, which has no endpoint."""
        settings = self._settings.get(service)
        if settings is not None and settings.scale_from_zero and service not in self._raising:
            self._raising.add(service)
            self._wanted.put_nowait(service)

    async def run(self) -> None:
        """Own the tasks until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._raise(await self._wanted.get()))

    async def _raise(self, service: str) -> None:
        told = ""
        try:
            for attempt in range(2**31):
                settings = self._settings.get(service)
                if settings is None or not settings.scale_from_zero or (attempt and not self._is_awaited(service)):
                    return
                problem = await self._try(service, settings)
                if not problem:
                    return
                if problem != told:
                    told = problem
                    _log.error("service %s: %s cannot be scaled: %s", service, settings.scale_from_zero, problem)
                    self._tell("scale-failed", service, problem)
                await asyncio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
        finally:
            self._raising.discard(service)

    async def _try(self, service: str, settings: ServiceSettings) -> str:
        """Raise it once; what was wrong."""
        target = parse_target(settings.scale_from_zero)
        source = next(each for each in settings.sources if isinstance(each, KubernetesSource))
        try:
            async with self._connect(source.access) as api:
                is_raised = await raise_from_zero(api, target, source.namespace)
        except ApiError as error:
            return str(error)
        if is_raised:
            self._told(service, target)
        return ""

    def _told(self, service: str, target: Target) -> None:
        _log.info("service %s: %s goes from 0 to 1, as a request waits", service, target)
        self._tell("scaled-from-zero", service, f"{target} goes from 0 to 1, as a request waits")


@asynccontextmanager
async def _connected(access: Access) -> AsyncIterator[Changes]:
    # Imported only now: it costs 0.3 s and 40 MB, which only who needs it is to pay.
    from fairlead.discovery.kubernetes.api import Api

    api = Api(access)
    try:
        yield api
    finally:
        await api.close()
