"""A listener in a worker: what it accepts, how many, and the counts of it. TCP and HTTP listeners build on it.

Owns the limits of open connections and of memory: at them new connections wait in the kernel's queue, where another
worker's socket is not affected; and the count of what each client address has open. Invariant: `active` is the number
of open downstream connections, and a client without one has no entry.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cython

from fairlead.model import AUTO, Listener

if cython.compiled:
    from cython.cimports.fairlead.engine.budget import Budget
    from cython.cimports.fairlead.engine.reactor import Acceptor, Reactor
    from cython.cimports.fairlead.wire.body import BodyLimits
else:
    from fairlead.engine.budget import Budget
    from fairlead.engine.reactor import Acceptor, Reactor
    from fairlead.wire.body import BodyLimits

if TYPE_CHECKING:
    from fairlead.dataplane.service import LiveService

_UNIX = b"unix"  # the address of every client of a Unix socket: they cannot be told apart
_RESERVE = 256  # descriptors left to the connections to endpoints and to the rest of the process
_UNLIMITED = 2**31 - 1
_GRACE_US = 5_000_000  # before the least rate of a body counts, as in Kestrel


class LiveListener(Acceptor):
    """What is common to the protocols. `access` gets a record of each exchange while it is set; it must not block."""

    def __init__(self, reactor: Reactor) -> None:
        super().__init__(reactor)
        self.connections = 0
        self.active = 0
        self.received = 0
        self.sent = 0
        self.errors: dict[str, int] = {}  # by the value of Kind
        self.grace_us = _GRACE_US
        self.budget = Budget()
        self.budget.on_change = self._respect_limits
        self._by_client: dict[bytes, int] = {}
        self._is_ending = False
        self.is_draining = False
        self.access: Callable[[tuple[Any, ...]], None] | None = None
        self.on_empty: Callable[[], None] | None = None  # called when the last connection has ended

    def configure(self, spec: Listener, services: dict[str, LiveService]) -> None:
        """Take on a new version of the listener; connections that are open keep what they have begun."""
        self.spec = spec
        self.name = spec.name
        limits = spec.limits
        self.max_connections = limits.max_connections or descriptors()
        self.max_client_connections = limits.max_client_connections
        if self.max_client_connections == AUTO:
            self.max_client_connections = max(1, self.max_connections // 2)
        self.max_requests = limits.max_requests or _UNLIMITED
        self.max_buffer_bytes = limits.max_buffer_bytes or _UNLIMITED
        self.min_body_rate = limits.min_body_rate
        self.body_limits = BodyLimits(limits.max_body_bytes, limits.max_chunk_extension_bytes, limits.max_trailer_bytes)
        self.budget.set_limit(limits.max_buffered_bytes)
        self.head_us = int(spec.timeouts.head_s * 1e6)
        self.body_us = int(spec.timeouts.body_s * 1e6)
        self.keepalive_us = int(spec.timeouts.keepalive_s * 1e6)
        self.idle_us = int(spec.timeouts.idle_s * 1e6)
        self._respect_limits()

    def announce(self) -> None:
        """From now on each reply is the last of its connection."""
        self.is_draining = True

    def end(self) -> None:
        """Accept what has queued up, whatever the limits, and then no more: closing the socket would reset it."""
        self._is_ending = True
        self.accept_all()
        self.close()

    def opened(self, client: bytes) -> int:
        """A connection of this address was accepted. Returns by how many that client has more than it may."""
        self.connections += 1
        self.active += 1
        self._respect_limits()
        if client == _UNIX:
            return 0
        count = self._by_client.get(client, 0) + 1
        self._by_client[client] = count
        if not self.max_client_connections or self._is_ending:
            return 0
        return max(0, count - self.max_client_connections)

    def closed(self, client: bytes) -> None:
        """A connection of this address ended."""
        self.active -= 1
        count = self._by_client.get(client, 0) - 1
        if count > 0:
            self._by_client[client] = count
        elif count == 0:
            del self._by_client[client]
        self._respect_limits()
        if self.active == 0 and self.on_empty is not None:
            self.on_empty()

    @property
    def clients(self) -> int:
        """How many client addresses have connections open."""
        return len(self._by_client)

    def retry(self) -> None:
        self._respect_limits()

    def _respect_limits(self) -> None:
        if (self.active >= self.max_connections or self.budget.is_over) and not self._is_ending:
            self.pause()
        else:
            self.resume()

    def count_error(self, kind: str) -> None:
        """Count a reply of our own or a connection that was cut."""
        name = str(kind)  # of a Kind its value
        self.errors[name] = self.errors.get(name, 0) + 1

    def time_for(self, size: int) -> int:
        """Microseconds that so many bytes may take at the least rate, which is set."""
        return size * 1_000_000 // self.min_body_rate

    def most_credit_us(self) -> int:
        """How far a fast body may run ahead of the least rate: an idle one is found by `body_us` before that."""
        return max(self.grace_us, 2 * self.body_us if self.body_us else 60_000_000)

    def report(self) -> dict[str, Any]:
        return {
            "connections": self.connections,
            "active": self.active,
            "received": self.received,
            "sent": self.sent,
            "errors": dict(self.errors),
        }


def descriptors() -> int:
    """The connections that the limit of open files leaves room for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _UNLIMITED
    return max(1, min(_UNLIMITED, max(soft - _RESERVE, soft // 2)))
