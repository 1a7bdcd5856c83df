"""A listener in a worker: what it accepts, how many, and the counts of it. TCP and HTTP listeners build on it.

Owns the limit of open connections: at the limit new ones wait in the kernel's queue, where another worker's socket
is not affected. Invariant: `active` is the number of open downstream connections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cython

from fairlead.model import Listener

if cython.compiled:
    from cython.cimports.fairlead.engine.reactor import Acceptor, Reactor
else:
    from fairlead.engine.reactor import Acceptor, Reactor

if TYPE_CHECKING:
    from fairlead.dataplane.service import LiveService


class LiveListener(Acceptor):
    """What is common to the protocols. `access` gets a record of each exchange while it is set; it must not block."""

    def __init__(self, reactor: Reactor) -> None:
        super().__init__(reactor)
        self.connections = 0
        self.active = 0
        self.received = 0
        self.sent = 0
        self.is_draining = False
        self.access: Callable[[tuple[Any, ...]], None] | None = None
        self.on_empty: Callable[[], None] | None = None  # called when the last connection has ended

    def configure(self, spec: Listener, services: dict[str, LiveService]) -> None:
        """Take on a new version of the listener; connections that are open keep what they have begun."""
        self.spec = spec
        self.name = spec.name
        self.max_connections = spec.limits.max_connections
        self.head_us = int(spec.timeouts.head_s * 1e6)
        self.body_us = int(spec.timeouts.body_s * 1e6)
        self.keepalive_us = int(spec.timeouts.keepalive_s * 1e6)
        self.idle_us = int(spec.timeouts.idle_s * 1e6)
        self._respect_limit()

    def announce(self) -> None:
        """From now on each reply is the last of its connection."""
        self.is_draining = True

    def opened(self) -> None:
        """A connection was accepted."""
        self.connections += 1
        self.active += 1
        if self.max_connections:
            self._respect_limit()

    def closed(self) -> None:
        """A connection ended."""
        self.active -= 1
        if self.max_connections:
            self._respect_limit()
        if self.active == 0 and self.on_empty is not None:
            self.on_empty()

    def _respect_limit(self) -> None:
        if self.max_connections and self.active >= self.max_connections:
            self.pause()
        else:
            self.resume()

    def report(self) -> dict[str, int]:
        return {
            "connections": self.connections,
            "active": self.active,
            "received": self.received,
            "sent": self.sent,
        }
