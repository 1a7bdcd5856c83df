"""The data plane of one worker: what a snapshot describes, running.

Owns the services and listeners of the worker, and their report. Applies each service and each listener whole or
not at all; never talks to the supervisor itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from fairlead.dataplane.downstream import Http1Downstream, HttpListener
from fairlead.dataplane.endpoint import LiveEndpoint
from fairlead.dataplane.listener import LiveListener
from fairlead.dataplane.outcasts import Tell
from fairlead.dataplane.service import LiveService
from fairlead.dataplane.tcp import TcpClient, TcpListener
from fairlead.dataplane.upstream import Http1Upstream
from fairlead.engine.reactor import Reactor, monotonic_us
from fairlead.model import Listener, Protocol, Reason, Update

Access = Callable[[tuple[Any, ...]], None]


class Plane:
    """The listeners and services of worker number `worker`."""

    def __init__(self, reactor: Reactor, worker: int) -> None:
        self.version = 0
        self._reactor = reactor
        self._worker = worker
        self._listeners: dict[str, LiveListener] = {}
        self._closing: list[LiveListener] = []  # accept no more, but still have connections
        self._ended: dict[str, dict[str, Any]] = {}  # what listeners that are gone have counted, by name
        self._services: dict[str, LiveService] = {}
        self._unrouted = self._new_service("")
        self._access: Access | None = None
        self._on_drained: Callable[[], None] | None = None
        self.tell: Tell = _ignore  # takes what the supervisor must hear at once
        self.on_waiting: Callable[[str], None] | None = None  # the first waits for a service without endpoints

    def _new_service(self, name: str) -> LiveService:
        service = LiveService(name, self._new_upstream)
        service.outcasts.tell = self._hear
        service.on_waiting = self._is_awaited
        return service

    def _is_awaited(self, service: LiveService) -> None:
        if self.on_waiting is not None:
            self.on_waiting(service.name)

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("reason") == Reason.SILENCE:  # not from here: an exchange is in the middle of something
            name, address = message["service"], message["endpoint"]
            self._reactor.loop.call_soon(self._forsake, name, address)
        self.tell(message)

    def _forsake(self, name: str, address: str) -> None:
        service = self._services.get(name)
        endpoint = service.endpoints.get(address) if service is not None else None
        if endpoint is not None and not endpoint.is_usable:
            self.give_elsewhere(name, address)

    def _new_upstream(self, service: LiveService, endpoint: LiveEndpoint) -> Http1Upstream:
        upstream = Http1Upstream.__new__(Http1Upstream)
        upstream.begin(self._reactor, service, endpoint)
        return upstream

    @property
    def access(self) -> Access | None:
        """Called with one record for each exchange; it must not block."""
        return self._access

    @access.setter
    def access(self, access: Access | None) -> None:
        self._access = access
        for listener in self._listeners.values():
            listener.access = access

    def update(self, update: Update, sockets: MutableMapping[str, int]) -> None:
        """Take on what has changed. `sockets` has a descriptor for each listener that needs one; those used are taken.

        Raises ValueError when a policy cannot be loaded; then only services that came before it have changed.
        """
        for spec in update.services:
            service = self._services.get(spec.name) or self._new_service(spec.name)
            service.apply(spec, monotonic_us())
            self._services[spec.name] = service
            if service.queue.size:
                self._reactor.wake()  # who waits may be called
        for listener in update.listeners:
            self._listen(listener, sockets)
        for name in update.gone_listeners:
            self._unlisten(name)
        for name in update.gone_services:
            self._services.pop(name).close()
        self.version = update.version

    def _listen(self, spec: Listener, sockets: MutableMapping[str, int]) -> None:
        """Accept on the new descriptor; without one give the open listener new routes, timeouts and limits."""
        if spec.name not in sockets:
            self._listeners[spec.name].configure(spec, self._services)
            return
        fresh = self._new_listener(spec)
        fresh.configure(spec, self._services)
        fresh.access = self._access
        fresh.open(sockets[spec.name])
        del sockets[spec.name]
        self._unlisten(spec.name)
        self._listeners[spec.name] = fresh

    def _new_listener(self, listener: Listener) -> LiveListener:
        if listener.protocol is Protocol.TCP:
            return TcpListener(self._reactor)
        return HttpListener(self._reactor, self._unrouted)

    def _unlisten(self, name: str) -> None:
        """Accept no more on this listener, once what has queued up is accepted; its connections live on."""
        listener = self._listeners.pop(name, None)
        if listener is not None:
            listener.end()
            listener.announce()
            listener.on_empty = self._emptied
            self._closing.append(listener)
            if not listener.active:
                self._emptied()

    def _emptied(self) -> None:
        """The last connection of a listener that accepts no more has ended: its counts stay."""
        for listener in [listener for listener in self._closing if not listener.active]:
            self._closing.remove(listener)
            self._ended[listener.name] = _added(self._ended.get(listener.name, {}), listener.report())
        if self._on_drained is not None and not self._closing:
            self._on_drained()

    def announce(self) -> None:
        """Go on accepting, but let every reply say that its connection ends with it."""
        for listener in self._listeners.values():
            listener.announce()

    def drain(self, on_drained: Callable[[], None]) -> None:
        """Stop accepting, and let every HTTP connection end at the next moment that loses nothing."""
        for name in list(self._listeners):
            self._unlisten(name)
        for member in self._reactor.members():
            if isinstance(member, Http1Downstream):
                member.drain()
        self._on_drained = on_drained
        self._emptied()

    def close(self) -> None:
        """The deadline passed: cut what is left."""
        self._on_drained = None
        for name in list(self._listeners):
            self._unlisten(name)
        for member in self._reactor.members():
            if isinstance(member, Http1Downstream | TcpClient):
                member.cut()
        for service in self._services.values():
            service.close()

    # Endpoints that fail, and what the supervisor says of them.

    def may_probe(self, endpoints: Mapping[str, list[str]]) -> None:
        """From now on this worker may probe these endpoints, by service, and no others."""
        for name, service in self._services.items():
            service.outcasts.may_probe(endpoints.get(name, []))

    def refuse(self, name: str, address: str) -> None:
        """The supervisor has not ejected what this worker keeps away from."""
        if name in self._services:
            self._services[name].outcasts.refuse(address, monotonic_us())

    def give_elsewhere(self, name: str, address: str) -> None:
        """An endpoint was found to be silent: what waits for it and may be sent twice goes to others."""
        for member in self._reactor.members():
            exchange = member.exchange if isinstance(member, Http1Upstream) else None
            if exchange is not None and (exchange.service.name, exchange.endpoint.address) == (name, address):
                exchange.give_elsewhere()

    def tick(self) -> None:
        """To be called about once a second."""
        now = monotonic_us()
        for service in self._services.values():
            service.tick(now)

    def faults(self) -> dict[str, str]:
        """What users' policies did first that they must not, by service; endpoints are then chosen at random."""
        faults = {name: getattr(service.picker, "fault", "") for name, service in self._services.items()}
        return {name: fault for name, fault in faults.items() if fault}

    def report(self) -> dict[str, Any]:
        """Cumulative counts since the start, of the services that were used since the last report."""
        services = [*self._services.items(), ("", self._unrouted)]
        listeners = dict(self._ended)
        for listener in [*self._closing, *self._listeners.values()]:
            listeners[listener.name] = _added(listeners.get(listener.name, {}), listener.report())
        return {
            "worker": self._worker,
            "version": self.version,
            "listeners": listeners,
            "services": {name: service.report() for name, service in services if service.is_touched},
        }


def _ignore(_: dict[str, Any]) -> None:
    pass


def _added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The sums of counts, and of the counts within them."""
    added = {**one, **other}
    for key in one.keys() & other.keys():
        added[key] = _added(one[key], other[key]) if isinstance(one[key], dict) else one[key] + other[key]
    return added
