"""The requests and sessions of a service that wait for an endpoint with room, in the order in which they came.

Owns the order and its pace. Never looks at sockets, clocks or endpoints: whoever waits holds a ticket, and the service
calls the first of them when there may be room (service.py). Invariant: a ticket is in one queue or in none, and to join
and to leave cost the same however many wait, so that a crowd that leaves at once costs no more than one that is served.
"""

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.seam import Prng
    from cython.cimports.fairlead.engine.reactor import Stream
else:
    from fairlead.balance.seam import Prng
    from fairlead.engine.reactor import Stream

_LEAST_S = 1  # what a client is told to wait at least,
_MOST_S = 30  # and at most, before what is random
_FORGET = 8  # the pace is the mean over about so many that were served


class Ticket:
    """A place in a queue. `stream` is who is called: it gets `on_poke`. `due` is when the wait is over."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.due = 0
        self.queue: Queue | None = None
        self._before: Ticket | None = None
        self._after: Ticket | None = None


class Queue:
    """See the module. `first` is who is next."""

    def __init__(self) -> None:
        self.size = 0
        self.first: Ticket | None = None
        self._last: Ticket | None = None
        self._served_at = 0
        self._interval_us = 0
        self._prng = Prng(None)

    def join(self, ticket: Ticket) -> None:
        """Behind all others."""
        ticket.queue = self
        last = self._last
        ticket._before = last
        if last is None:
            self.first = ticket
            self._served_at = 0  # the time without anybody says nothing of the pace
        else:
            last._after = ticket
        self._last = ticket
        self.size += 1

    def join_first(self, ticket: Ticket) -> None:
        """Before all others: it was the first already, and there was no room after all."""
        ticket.queue = self
        first = self.first
        ticket._after = first
        if first is None:
            self._last = ticket
        else:
            first._before = ticket
        self.first = ticket
        self.size += 1

    def leave(self, ticket: Ticket) -> None:
        """From wherever it is."""
        before = ticket._before
        after = ticket._after
        if before is None:
            self.first = after
        else:
            before._after = after
        if after is None:
            self._last = before
        else:
            after._before = before
        ticket._before = ticket._after = None
        ticket.queue = None
        self.size -= 1

    def served(self, now: int) -> None:
        """One that has waited was given an endpoint."""
        if self._served_at:
            self._interval_us += (now - self._served_at - self._interval_us) // _FORGET
        self._served_at = now

    def retry_after_s(self) -> int:
        """How long a client that is turned away should stay away: until those that wait now are served.

        As much again is random, so that those who were turned away together do not come back together.
        """
        expected = self.size * self._interval_us // 1_000_000
        base = min(max(expected, _LEAST_S), _MOST_S)
        return base + self._prng.below(base + 1)
