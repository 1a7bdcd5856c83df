"""The services as their sources describe them now: one task for each source, one value for each service.

Owns the tasks that watch sources. Never speaks to workers. Invariants: the last good endpoints of a source stand until
it gives others; a source that a new configuration keeps is not disturbed; a service changes its version when, and only
when, it changes. What is said of endpoints beyond their sources (health/verdicts.py) is applied here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from typing import Final

from fairlead.config import ServiceSettings
from fairlead.control.checking import CheckVoice, Tell
from fairlead.control.chorus import Chorus
from fairlead.discovery import Found, Source
from fairlead.health.checks.run import Checks
from fairlead.health.ejection import is_panic
from fairlead.health.verdicts import Judge, Verdicts
from fairlead.model import Endpoint, Service, State
from fairlead.observe.status import SourceStatus

_log = logging.getLogger("fairlead.discovery")

_RESTART_S: Final = 1.0  # a source that failed by a bug of its own is started again after this


class Services:
    """Follows the sources of all services. `on_change` is called, from the loop, after each change of `current`.

    A configuration is taken on in three steps: `prepare`, `first_found`, `configure`. Until the last the old is in
    force and followed as ever, so that no service is without endpoints only because it has new sources.
    """

    def __init__(self, on_change: Callable[[], None], tell: Tell) -> None:
        self._on_change = on_change
        self._voice = _Voice(tell)
        self._followed: dict[str, _Followed] = {}
        self._heard = asyncio.Event()
        self._versions = count(1)
        self._group: asyncio.TaskGroup | None = None
        self.current: dict[str, Service] = {}
        self.verdicts = Verdicts(self._judged)
        self.checks = Checks(self.verdicts, CheckVoice(tell))

    async def run(self) -> None:
        """Own the tasks until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                for followed in self._followed.values():
                    followed.start(self._group)
                self._group.create_task(self.checks.run())
                await asyncio.Event().wait()
        finally:
            self._group = None

    def prepare(self, settings: Mapping[str, ServiceSettings]) -> None:
        """Follow the sources of these services, too."""
        for name, service in settings.items():
            followed = self._followed.setdefault(name, _Followed(name, self._found, self._voice))
            followed.prepare(service)
            if self._group is not None:
                followed.start(self._group)

    async def first_found(self, limit_s: float) -> None:
        """Wait until every source has said something, but no longer than this. Only one may wait at a time."""
        try:
            async with asyncio.timeout(limit_s):
                while self._unheard():
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            silent = ", ".join(self._unheard())
            _log.warning("%s: nothing was heard of it within %g s; going on without", silent, limit_s)

    def configure(self, settings: Mapping[str, ServiceSettings]) -> None:
        """These services and no others are in force and followed from now on."""
        for name in self._followed.keys() - settings.keys():
            self._followed.pop(name).stop()
            self.current.pop(name, None)
        self.verdicts.keep(settings)
        self.checks.configure({name: service.checks for name, service in settings.items()})
        self.prepare(settings)
        for name, service in settings.items():
            self._followed[name].configure(service)
            self._update(name)

    def status(self) -> dict[str, list[SourceStatus]]:
        return {name: self._followed[name].status() for name in self.current}

    def _unheard(self) -> list[str]:
        return [text for followed in self._followed.values() for text in followed.unheard()]

    def _found(self, name: str) -> None:
        self._heard.set()
        if name in self.current and self._update(name):
            self._on_change()

    def _judged(self, name: str) -> None:
        if name in self.current and self._update(name):
            self._on_change()

    def _update(self, name: str) -> bool:
        found = self._followed[name].service()
        self.checks.follow(name, found.endpoints)
        service = self._judge(found)
        was = self.current.get(name)
        if was is not None and replace(was, version=0) == service:
            return False
        self.current[name] = replace(service, version=next(self._versions))
        return True

    def _judge(self, found: Service) -> Service:
        """The service with what is said of its endpoints. Where ejection leaves too few, it counts for nothing."""
        judged = self.verdicts.applied(found.name, found.endpoints)
        if judged is found.endpoints:
            return found
        spared = self.verdicts.applied(found.name, found.endpoints, (Judge.HAND, Judge.CHECK))
        ready = [endpoint for endpoint in spared if endpoint.state is State.READY]
        if is_panic(ready, judged, found.ejection.panic):
            return replace(found, endpoints=spared, is_panicking=True)
        return replace(found, endpoints=judged)


class _Followed:
    """A service and the tasks that watch its sources: those in force, and those that are to be."""

    def __init__(self, name: str, on_found: Callable[[str], None], voice: _Voice) -> None:
        self._name = name
        self._on_found = on_found
        self._voice = voice
        self._settings: ServiceSettings | None = None
        self._wanted: set[Source] = set()
        self._found: dict[Source, Found] = {}
        self._since: dict[Source, float] = {}
        self._tasks: dict[Source, asyncio.Task[None]] = {}

    def prepare(self, settings: ServiceSettings) -> None:
        self._wanted.update(settings.sources)

    def start(self, group: asyncio.TaskGroup) -> None:
        for source in self._wanted - self._tasks.keys():
            self._tasks[source] = group.create_task(self._follow(source))

    def configure(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._wanted = set(settings.sources)
        for source in self._tasks.keys() - self._wanted:
            self._tasks.pop(source).cancel()
            self._found.pop(source, None)
            self._since.pop(source, None)

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def unheard(self) -> list[str]:
        """The sources that have not said anything yet."""
        return [f"service {self._name}: {source.text}" for source in self._wanted - self._found.keys()]

    def service(self) -> Service:
        """The service now: the endpoints of all sources in their order; an address that two give is taken once."""
        assert self._settings is not None
        endpoints: dict[str, Endpoint] = {}
        for source in self._settings.sources:
            for endpoint in self._found.get(source, Found(())).endpoints:
                endpoints.setdefault(endpoint.address, endpoint)
        settings = self._settings
        return Service(
            name=self._name,
            balance=settings.balance,
            hash=settings.hash,
            slow_start_s=settings.slow_start_s,
            endpoints=tuple(endpoints.values()),
            timeouts=settings.timeouts,
            limits=settings.limits,
            ejection=settings.ejection,
            retries=settings.retries,
            max_in_flight=settings.max_in_flight,
            queue=settings.queue,
            protect=settings.protect,
        )

    def status(self) -> list[SourceStatus]:
        assert self._settings is not None
        statuses = []
        for source in self._settings.sources:
            found = self._found.get(source, Found((), "nothing was heard of it yet"))
            since = self._since.get(source, 0.0)
            statuses.append(
                SourceStatus(
                    text=source.text,
                    endpoints=len(found.endpoints),
                    problem=found.problem,
                    since=since,
                    stale_s=_age_s(found),
                    notes=found.notes,
                )
            )
        return statuses

    async def _follow(self, source: Source) -> None:
        while True:
            try:
                async with aclosing(source.watch()) as changes:
                    async for found in changes:
                        self._take(source, found)
            except Exception as error:  # the root of the task: a bug in a source must not take the others along
                _log.exception("service %s: watching %s failed", self._name, source.text)
                if _is_ending():
                    return  # it was told to end, and has failed to do just that
                last = self._found.get(source, Found(()))
                self._take(source, replace(last, problem=f"{type(error).__name__}: {error}"))
            await asyncio.sleep(_RESTART_S)

    def _take(self, source: Source, found: Found) -> None:
        before = self._found.get(source, Found(()))
        self._found[source] = found
        self._since[source] = time.time()
        if found.problem != before.problem:
            self._voice.tell(self._name, source, found, before)
        self._on_found(self._name)


class _Voice:
    """Says in the log and in the events which sources fail and which answer again."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._failed = Chorus(self._sum_up_failures)
        self._recovered = Chorus(self._sum_up_recoveries)

    def tell(self, service: str, source: Source, found: Found, before: Found) -> None:
        """What is new of a source."""
        if found.problem and self._failed.is_solo(found.problem):
            age = f", as they were {_age_s(found):.0f} s ago" if found.stale_since else ""
            kept = f"; its last {len(found.endpoints)} endpoints stand{age}" if found.endpoints else ""
            _log.warning("service %s: %s: %s%s", service, source.text, found.problem, kept)
            self._tell("source-failed", service, f"{source.text}: {found.problem}")
        if not found.problem and self._recovered.is_solo(before.problem):
            age = f"; its endpoints had been stale for {_age_s(before):.0f} s" if before.stale_since else ""
            _log.info("service %s: %s answers again%s", service, source.text, age)
            self._tell("source-recovered", service, source.text)

    def _sum_up_failures(self, problem: str, others: int) -> None:
        _log.warning("%d more sources: %s; their last endpoints stand", others, problem)
        self._tell("source-failed", "", f"{others} more sources: {problem}")

    def _sum_up_recoveries(self, problem: str, others: int) -> None:
        _log.info("%d more sources answer again; it was: %s", others, problem)
        self._tell("source-recovered", "", f"{others} more sources")


def _age_s(found: Found) -> float:
    """For how long it has not been known whether these endpoints are true."""
    return time.monotonic() - found.stale_since if found.stale_since else 0.0


def _is_ending() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
