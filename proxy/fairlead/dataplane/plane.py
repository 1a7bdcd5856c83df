"""The data plane of one worker: what a snapshot describes, running.

Owns the services and listeners of the worker, and their report. Applies a change whole or not at all; never talks to
the supervisor itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fairlead.dataplane.downstream import Http1Downstream, HttpListener
from fairlead.dataplane.endpoint import LiveEndpoint
from fairlead.dataplane.listener import LiveListener
from fairlead.dataplane.service import LiveService
from fairlead.dataplane.tcp import TcpClient, TcpListener
from fairlead.dataplane.upstream import Http1Upstream
from fairlead.engine.reactor import Reactor
from fairlead.model import Listener, Protocol, Service

Access = Callable[[tuple[Any, ...]], None]


class Plane:
    """The listeners and services of worker number `worker`."""

    def __init__(self, reactor: Reactor, worker: int) -> None:
        self.version = 0
        self._reactor = reactor
        self._worker = worker
        self._listeners: dict[str, LiveListener] = {}
        self._closing: dict[str, LiveListener] = {}  # accept no more, but still have connections
        self._services: dict[str, LiveService] = {}
        self._unrouted = self._new_service("")
        self._access: Access | None = None

    def _new_service(self, name: str) -> LiveService:
        return LiveService(name, self._new_upstream)

    def _new_upstream(self, service: LiveService, endpoint: LiveEndpoint) -> Http1Upstream:
        return Http1Upstream(self._reactor, service, endpoint)

    @property
    def access(self) -> Access | None:
        """Called with one record for each exchange; it must not block."""
        return self._access

    @access.setter
    def access(self, access: Access | None) -> None:
        self._access = access
        for listener in self._listeners.values():
            listener.access = access

    @property
    def active(self) -> int:
        """Open downstream connections."""
        return sum(listener.active for listener in [*self._listeners.values(), *self._closing.values()])

    def apply(self, services: Iterable[Service]) -> None:
        """Take on new or changed services, each whole. Raises ConfigError when a policy cannot be loaded."""
        for spec in services:
            service = self._services.get(spec.name) or self._new_service(spec.name)
            service.apply(spec)
            self._services[spec.name] = service

    def remove_services(self, names: Iterable[str]) -> None:
        """Forget services that no listener refers to any more; requests in flight end as they would."""
        for name in names:
            service = self._services.pop(name, None)
            if service is not None:
                service.close()

    def listen(self, listener: Listener, fd: int) -> None:
        """Accept on `fd`, or with -1 give an open listener of that name new routes, timeouts and limits."""
        live = self._listeners.get(listener.name)
        if live is None or fd >= 0:
            fresh = self._new_listener(listener)
            fresh.configure(listener, self._services)
            fresh.access = self._access
            if live is not None:
                fresh.succeed(live)
            self.unlisten(listener.name)
            fresh.open(fd)
            self._listeners[listener.name] = fresh
        else:
            live.configure(listener, self._services)

    def _new_listener(self, listener: Listener) -> LiveListener:
        if listener.protocol is Protocol.TCP:
            return TcpListener(self._reactor)
        return HttpListener(self._reactor, self._unrouted)

    def unlisten(self, name: str) -> None:
        """Accept no more on this listener; its connections live on."""
        listener = self._listeners.pop(name, None)
        if listener is not None:
            listener.close()
            listener.is_draining = True
            self._closing[name] = listener

    def drain(self) -> None:
        """Stop accepting, and let every HTTP connection end at the next moment that loses nothing."""
        for name in list(self._listeners):
            self.unlisten(name)
        for member in self._reactor.members():
            if isinstance(member, Http1Downstream):
                member.drain()

    def close(self) -> None:
        """The deadline passed: cut what is left."""
        for name in list(self._listeners):
            self.unlisten(name)
        for member in self._reactor.members():
            if isinstance(member, Http1Downstream | TcpClient):
                member.cut()
        self.remove_services(list(self._services))

    def report(self, everything: bool) -> dict[str, Any]:
        """Cumulative counts since the start; without `everything` only of services that were used since the last."""
        services = {
            name: service.report()
            for name, service in [*self._services.items(), ("", self._unrouted)]
            if everything or service.is_touched
        }
        listeners = {**self._closing, **self._listeners}
        return {
            "worker": self._worker,
            "version": self.version,
            "listeners": {name: listener.report() for name, listener in listeners.items()},
            "services": services,
        }
