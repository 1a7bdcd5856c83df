"""The composition root: read from top to bottom, it is the wiring diagram of a running Fairlead.

Owns the order of start and end, and what a signal means: SIGTERM drains as configured, SIGINT drains without the delay,
a second one of either ends at once, SIGHUP loads the configuration anew.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

import fairlead
from fairlead.config import Settings
from fairlead.control.machine import raise_descriptor_limit
from fairlead.control.sockets import Sockets
from fairlead.control.supervisor import Supervisor
from fairlead.discovery.changes import changes
from fairlead.errors import ConfigError

if TYPE_CHECKING:
    from fairlead.autoscale.run import Autoscaling
    from fairlead.observe.status import Status

_log = logging.getLogger("fairlead.main")

_APPLIED_S: Final = 2.0  # the admin server starts after the first snapshot is served, or after this


def run(settings: Settings, path: Path | None) -> int:
    """Serve until a signal ends it; returns the exit status. Raises ConfigError when an address cannot be had."""
    raise_descriptor_limit()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(settings, path))
    except BaseExceptionGroup as group:  # of the task groups: what nobody could handle
        for error in _causes(group):
            _log.critical("fairlead ends by a fault of its own: %s: %s", type(error).__name__, error, exc_info=error)
        return 1


async def serve(settings: Settings, path: Path | None) -> int:
    """Run everything, drain, and stop in the order that loses nothing: the data plane first, the admin server last."""
    supervisor = Supervisor(settings, path)
    admin_sockets = Sockets(1)
    async with AsyncExitStack() as stack:
        stack.callback(admin_sockets.keep, {})
        stack.callback(supervisor.sockets.keep, {})
        binds = {"admin": settings.admin.bind, "metrics_api": settings.metrics_api.bind}
        _all_or_none(supervisor.open, lambda: admin_sockets.open({name: bind for name, bind in binds.items() if bind}))
        autoscaling = _autoscaling(supervisor) if settings.metrics_api.bind else None
        signals = _Signals(supervisor)
        signals.install()
        _log_start(settings, supervisor, admin_sockets)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(supervisor.run())
            others = [group.create_task(_reload_on_change(supervisor, signals))]
            await _first_of(serving, supervisor.applied, signals.stop, limit_s=_APPLIED_S)
            if settings.admin.bind:
                await _start_admin(stack, supervisor, autoscaling, admin_sockets.fd("admin", settings.admin.bind, 0))
            if autoscaling is not None:
                fd = admin_sockets.fd("metrics_api", settings.metrics_api.bind, 0)
                others.append(group.create_task(autoscaling.run(socket.socket(fileno=os.dup(fd)))))
            await _first_of(serving, signals.stop)
            others.append(group.create_task(supervisor.drain(signals.delay_s(), signals.hurry)))
            await serving
            for task in others:
                task.cancel()
    _log.info("ended")
    return 0


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error


def _all_or_none(*steps: Callable[[], None]) -> None:
    """Take every step, and raise one ConfigError with the problems of all."""
    problems: list[str] = []
    for step in steps:
        try:
            step()
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


async def _start_admin(stack: AsyncExitStack, supervisor: Supervisor, autoscaling: Autoscaling | None, fd: int) -> None:
    # Imported only now: aiohttp takes longer to import than the workers take to serve their first request.
    from fairlead.observe.admin import Admin

    def status() -> Status:
        found = supervisor.status()
        return replace(found, scaling=autoscaling.status()) if autoscaling is not None else found

    admin = Admin(status, supervisor.refresh)
    await admin.start(socket.socket(fileno=os.dup(fd)))
    stack.push_async_callback(admin.stop)


def _autoscaling(supervisor: Supervisor) -> Autoscaling:
    # Imported only when it is wanted: aiohttp costs 13 MB, and the library that makes certificates is optional.
    from fairlead.autoscale.cluster import in_cluster
    from fairlead.autoscale.run import Autoscaling

    return Autoscaling(supervisor, lambda: supervisor.settings, in_cluster())


def _log_start(settings: Settings, supervisor: Supervisor, admin_sockets: Sockets) -> None:
    mode = "compiled" if fairlead.is_compiled() else "INTERPRETED (slow: build it with a C compiler)"
    listening = ", ".join(
        f"{name} on {supervisor.sockets.address(name, listener.bind)}" for name, listener in settings.listeners.items()
    )
    count = len(supervisor.workers)
    _log.info("fairlead %s, data plane %s, %d workers; %s", fairlead.__version__, mode, count, listening)
    if settings.admin.bind:
        _log.info("admin server on %s", admin_sockets.address("admin", settings.admin.bind))
    if settings.metrics_api.bind:
        _log.info("metrics API on %s", admin_sockets.address("metrics_api", settings.metrics_api.bind))


class _Signals:
    """What the signals ask for."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self.reload = asyncio.Event()
        self._supervisor = supervisor
        self._first = signal.SIGTERM

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)

    def _end(self, number: signal.Signals) -> None:
        if self.stop.is_set():
            self.hurry.set()
            return
        self._first = number
        self.stop.set()

    def delay_s(self) -> float:
        """A person at a terminal does not wait for a readiness probe to notice."""
        return self._supervisor.settings.drain.delay_s if self._first is signal.SIGTERM else 0.0


async def _reload_on_change(supervisor: Supervisor, signals: _Signals) -> None:
    """Load the configuration when SIGHUP asks for it and when its file changes, one after the other."""
    async with asyncio.TaskGroup() as group:
        if supervisor.path is not None:
            group.create_task(_watch(supervisor.path, signals.reload))
        while True:
            await signals.reload.wait()
            signals.reload.clear()
            try:
                await supervisor.reload()
            except Exception:  # the root of the task: whatever is wrong, the configuration in force serves on
                _log.exception("the configuration could not be loaded")


async def _watch(path: Path, changed: asyncio.Event) -> None:
    before = _content(path)
    async with aclosing(changes(path)) as moments:
        async for _ in moments:
            content = _content(path)
            if content != before:
                before = content
                changed.set()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


async def _first_of(task: asyncio.Task[None], *events: asyncio.Event, limit_s: float | None = None) -> None:
    """Wait until the task is done or one of the events has come, or the time has passed."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait([task, *waits], timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
