"""What a worker knows of one endpoint while it runs: connections, requests in flight, counts, latency.

Owns the live state, which survives a new snapshot by address. Never decides which endpoint is used: pickers do.
Invariant: `connections` counts every open connection to the endpoint, `idle` holds those that serve nothing and
`connecting` those that are not there yet.
"""

from __future__ import annotations

from typing import Any

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.seam import Candidate
    from cython.cimports.fairlead.engine.address import Address
else:
    from fairlead.balance.seam import Candidate
    from fairlead.engine.address import Address

_NOTHING: Any = None  # in a field whose type leaves it out: it is set before it is used
TCP = 1  # the "status" of a TCP session that was served


class Tally:
    """Replies by status. The usual one costs an addition, the others a lookup."""

    def __init__(self) -> None:
        self.ok = 0
        self.codes: dict[int, int] = {}

    def add(self, status: int) -> None:
        if status == 200:
            self.ok += 1
        else:
            self.codes[status] = self.codes.get(status, 0) + 1

    def items(self) -> list[tuple[str, int]]:
        """(code, count), the code as the metrics name it."""
        counts = [("200", self.ok)] if self.ok else []
        return counts + [("tcp" if code == TCP else str(code), count) for code, count in self.codes.items()]


class LiveEndpoint(Candidate):
    """An endpoint with its live state. `address` "" stands for none: replies that Fairlead made itself."""

    socket_address: Address
    _tally: Tally  # the one used last, of the listener that is named beside it

    def __init__(self, address: str) -> None:
        Candidate.__init__(self, address)
        self.socket_address = Address(address) if address else _NOTHING
        self.idle: list[Any] = []  # the latest used last: what is used often stays warm, the rest times out
        self.connecting: set[Any] = set()
        self.connections = 0
        self.ttfb_us = 0
        self.is_usable = True
        self.answered_at = 0  # when it answered last
        self.given_up_at = 0  # when it was found to be silent last
        self.tallies: dict[str, Tally] = {}  # by listener
        self._listener = _NOTHING
        self._tally = _NOTHING

    def count(self, listener: str, status: int) -> None:
        """Count one reply that `listener` gave with this endpoint's help."""
        if self._listener is not listener:
            self._listener = listener
            self._tally = self.tallies.setdefault(listener, Tally())
        self._tally.add(status)

    def observe_ttfb(self, us: int, now: int) -> None:
        """Move the average time to the first byte of a reply by an eighth, as TCP does for its own (RFC 6298)."""
        self.answered_at = now
        if self.ttfb_us == 0:
            self.ttfb_us = us
        else:
            self.ttfb_us += (us - self.ttfb_us) >> 3

    def give_up_connecting(self) -> None:
        """Nobody may be there any more to answer: whoever waits for a connection waits no longer than to the next tick.

        By its deadline and not here, so that what follows happens where the engine minds what is raised.
        """
        for connection in self.connecting:
            connection.arm(1)

    def discard_idle(self) -> None:
        """Close what serves nothing: the endpoint is gone, or its idle connections have proved stale."""
        idle = self.idle
        self.idle = []
        self.connections -= len(idle)
        for connection in idle:
            connection.close()
