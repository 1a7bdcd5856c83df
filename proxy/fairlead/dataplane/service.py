"""A service in a worker: its endpoints, the picker built for them, and what it measured.

Owns the swap of a new set of endpoints for the old. Invariant: the picker holds the endpoints that may get new
requests and nothing else; one assignment swaps it, so a request sees the old set or the new, never a mixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cython

from fairlead import balance
from fairlead.dataplane.outcasts import Outcasts
from fairlead.errors import REFUSALS, Kind
from fairlead.health.ejection import silence_us
from fairlead.model import Endpoint, Hash, Reason, Service, State

if cython.compiled:
    from cython.cimports.fairlead.balance.bounded_hash import key_of
    from cython.cimports.fairlead.balance.pool import Pool
    from cython.cimports.fairlead.balance.seam import Candidate
    from cython.cimports.fairlead.dataplane.endpoint import LiveEndpoint
    from cython.cimports.fairlead.dataplane.limiter import Limiter
    from cython.cimports.fairlead.dataplane.queue import Queue, Ticket
    from cython.cimports.fairlead.dataplane.retries import Retrying
    from cython.cimports.fairlead.observe.histogram import Histogram
else:
    from fairlead.balance.bounded_hash import key_of
    from fairlead.balance.pool import Pool
    from fairlead.balance.seam import Candidate
    from fairlead.dataplane.endpoint import LiveEndpoint
    from fairlead.dataplane.limiter import Limiter
    from fairlead.dataplane.queue import Queue, Ticket
    from fairlead.dataplane.retries import Retrying
    from fairlead.observe.histogram import Histogram

from fairlead.wire.lookup import cookie, field

Connector = Callable[["LiveService", LiveEndpoint], Any]

_FULL_TRIES = 16  # endpoints at their limit that a pick may meet before the service counts as full
_UNLIMITED = 2**31 - 1
_NO_KEY, _BY_ADDRESS, _BY_HEADER, _BY_COOKIE = range(4)  # what a request's key is made of
_RETIRED = 256  # endpoints that are gone whose counts are still reported, the latest ones


class LiveService(Pool):
    """A service with its live state. `nobody` counts what Fairlead answered without an endpoint."""

    def __init__(self, name: str, connector: Connector) -> None:
        Pool.__init__(self)
        self.name = name
        self.connector = connector  # makes the connection that a request is sent on, not yet connected
        self.spec: Service | None = None
        self.endpoints: dict[str, LiveEndpoint] = {}
        self.retired: dict[str, LiveEndpoint] = {}
        self.nobody = LiveEndpoint("")
        self.duration = Histogram()
        self.connect = Histogram()
        self.retries: dict[str, int] = {}
        self.refused: dict[str, int] = {}  # by the value of Kind
        self.retrying = Retrying()
        self.eligible = 0
        self.request_us = 0  # also of the requests that reach no service
        self.is_touched = True
        self.outcasts = Outcasts(self)
        self.has_probes = False  # there are endpoints that the next requests may be sent to as probes
        self.has_keys = False  # requests may have to stay together
        self.is_limited = False  # there is something that a request may have to wait for or be refused by
        self.is_full = False  # nothing has become free since a request found no room
        self.queue = Queue()
        self.limiter: Limiter | None = None  # while the service is protected
        self.max_waiting = 0
        self.on_waiting: Callable[[LiveService], None] | None = None  # the first waits, and there is no endpoint
        self._hash_by = _NO_KEY
        self._hash_name = b""

    def apply(self, spec: Service, now: int) -> None:
        """Take on a new version. Raises ConfigError when its policy cannot be loaded; the old one then stays."""
        policy = balance.load(spec.balance, None)
        previous = self.picker if self.spec is not None and self.spec.balance == spec.balance else None
        live = self._live(spec.endpoints)
        eligible = [live[e.address] for e in self.outcasts.eligible(spec)]
        picker = policy(eligible, previous)  # a user's policy may raise: until here only weights have changed
        self._welcome(eligible)
        self._watch(spec)
        self.swap(picker, eligible, now, int(spec.slow_start_s * 1e6))
        self._hash(spec)
        self._retire(live, eligible)
        self.eligible = len(eligible)
        self.spec = spec
        self.connect_us = int(spec.timeouts.connect_s * 1e6)
        self.reply_us = int(spec.timeouts.reply_s * 1e6)
        self.body_us = int(spec.timeouts.body_s * 1e6)
        self.request_us = int(spec.timeouts.request_s * 1e6)
        self.idle_us = int(spec.timeouts.idle_s * 1e6)
        self.tunnel_us = int(spec.timeouts.tunnel_s * 1e6)
        self.retrying.configure(spec.retries, self.reply_us)
        self._limit(spec)
        self.max_idle = spec.limits.max_idle or _UNLIMITED
        self.is_touched = True
        if self.queue.size:
            self._tell_if_awaited()  # it may just have lost its last endpoint

    def _limit(self, spec: Service) -> None:
        """What is said of how much at once. Whoever waits is served, or waits on, by what is said now."""
        self.max_connections = spec.limits.max_connections
        self.max_in_flight = spec.limits.max_in_flight or _UNLIMITED
        self.max_requests = spec.max_in_flight or _UNLIMITED
        self.max_waiting = spec.queue.max if spec.queue is not None else 0
        self.wait_us = int(spec.queue.timeout_s * 1e6) if spec.queue is not None else 0
        if not spec.protect:
            self.limiter = None
        elif self.limiter is None:
            self.limiter = Limiter(sum(each.waiting for each in [*self.endpoints.values(), *self.retired.values()]))
        self.is_limited = (
            spec.protect
            or self.max_connections > 0
            or self.max_in_flight < _UNLIMITED
            or self.max_requests < _UNLIMITED
            or self.max_waiting > 0
            or self.queue.size > 0
        )
        self.freed()

    def rebuild(self, now: int) -> None:
        """The worker keeps away from other endpoints than before."""
        if self.spec is not None:
            self.apply(self.spec, now)

    def _welcome(self, eligible: list[LiveEndpoint]) -> None:
        """Those that were ejected begin anew, and slowly."""
        was = {} if self.spec is None else {e.address: e.state for e in self.spec.endpoints}
        for endpoint in eligible:
            if was.get(endpoint.address) is State.EJECTED and not endpoint.is_usable:
                endpoint.has_returned = True
                endpoint.lost = endpoint.errors = endpoint.unanswered = 0

    def _watch(self, spec: Service) -> None:
        """Have it noticed when an endpoint fails."""
        self.most_lost = spec.ejection.gateway_failures
        self.most_errors = spec.ejection.error_replies
        self.ramp_us = int(spec.ejection.ramp_s * 1e6)
        self.silence_us = silence_us(spec.ejection, len(spec.endpoints), [])

    def on_failing(self, endpoint: Candidate, reason: str, last: str, now: int) -> None:
        """The pool has counted so much that an endpoint may have to go."""
        failing: Any = endpoint  # of a pool's candidates, which are endpoints here
        self.outcasts.accuse(failing, Reason(reason), last, now)

    def tick(self, now: int) -> None:
        """A second or so has passed."""
        self.outcasts.tick(now)
        if self.is_touched and self.spec is not None:
            medians = [e.median_us for e in self.endpoints.values() if e.median_us]
            self.silence_us = silence_us(self.spec.ejection, len(self.spec.endpoints), medians)

    def _live(self, endpoints: Iterable[Endpoint]) -> dict[str, LiveEndpoint]:
        live: dict[str, LiveEndpoint] = {}
        for endpoint in endpoints:
            known = self.endpoints.get(endpoint.address)
            if known is None:
                known = self.retired.get(endpoint.address) or LiveEndpoint(endpoint.address)
            known.weight = endpoint.weight
            live[endpoint.address] = known
        return live

    def _retire(self, live: dict[str, LiveEndpoint], eligible: list[LiveEndpoint]) -> None:
        for address in live:
            self.retired.pop(address, None)
        for address, endpoint in self.endpoints.items():
            if address not in live:
                self.retired[address] = endpoint
                endpoint.is_usable = False
                endpoint.discard_idle()
                endpoint.give_up_connecting()
        for address in list(self.retired)[:-_RETIRED]:
            del self.retired[address]
        for endpoint in live.values():
            endpoint.is_usable = False
        for endpoint in eligible:
            endpoint.is_usable = True
        for endpoint in live.values():
            if not endpoint.is_usable:
                endpoint.discard_idle()
                if eligible:
                    endpoint.give_up_connecting()
        self.endpoints = live

    def _hash(self, spec: Service) -> None:
        """What requests are given keys by: nothing, unless the policy may want them."""
        by = spec.hash or (Hash() if spec.balance == "hash" else None)
        self.max_load = by.max_load if by is not None else 0.0
        self._hash_by = _NO_KEY
        self.has_keys = by is not None
        if by is not None:
            self._hash_by = _BY_HEADER if by.header else _BY_COOKIE if by.cookie else _BY_ADDRESS
            self._hash_name = by.header.lower().encode() or by.cookie.encode()

    def key(self, host: bytes, parts: list[bytes] | None) -> int:
        """The key of a request of this client, of which `parts` is the head; 0 when nothing must stay together."""
        if self._hash_by == _NO_KEY:
            return 0
        if self._hash_by == _BY_ADDRESS:
            return key_of(host)
        value = b""
        if parts is not None:
            value = field(parts, self._hash_name) if self._hash_by == _BY_HEADER else cookie(parts, self._hash_name)
        return key_of(value) if value else 0

    def choose(self, key: int, tried: list[Any] | None, now: int) -> LiveEndpoint | None:
        """An endpoint that may take one more request, none of `tried`; None when there is none."""
        if now >= self.retrying.review_at:
            self.retrying.review(now, self.duration.total)
        chosen: Any  # of a picker's candidates, which are endpoints here
        if not self.is_limited:
            chosen = self.pick(key, tried, now)
            unlimited: LiveEndpoint | None = chosen
            return unlimited
        if tried is not None:
            return self._with_room(key, tried, now)
        if self.is_full:
            return None
        endpoint = self._with_room(key, None, now)
        # Only while something will end, or come, by which it is told again.
        self.is_full = endpoint is None and (self.in_flight > 0 or not self.eligible)
        return endpoint

    def _with_room(self, key: int, tried: list[Any] | None, now: int) -> LiveEndpoint | None:
        """The policy's choice among the endpoints that are not at their limits."""
        limiter = self.limiter
        if self.in_flight >= self.max_requests or (limiter is not None and not limiter.has_room()):
            return None
        full = [] if tried is None else list(tried)
        for _ in range(_FULL_TRIES):
            chosen: Any = self.pick(key, full or None, now)
            endpoint: LiveEndpoint | None = chosen
            if endpoint is None:
                return None
            if self._has_room(endpoint):
                return endpoint
            full.append(endpoint)
        for endpoint in self.endpoints.values():  # of more than those that were met, any with room: it is seldom asked
            if endpoint.is_usable and self._has_room(endpoint) and endpoint not in full:
                return endpoint
        return None

    def _has_room(self, endpoint: LiveEndpoint) -> bool:
        if endpoint.in_flight >= self.max_in_flight:
            return False
        return not self.max_connections or endpoint.connections < self.max_connections or bool(endpoint.idle)

    def sent(self) -> None:
        """A request has been sent to an endpoint. To be told, as the next two, where there are limits."""
        limiter = self.limiter
        if limiter is not None:
            limiter.begin()

    def replied(self, now: int, took_us: int, is_failure: bool) -> None:
        """The reply to it begins."""
        limiter = self.limiter
        if limiter is not None:
            limiter.answered(now, took_us, is_failure)
            self.freed()

    def over(self, is_answered: bool) -> None:
        """The request is over, with or without a reply."""
        limiter = self.limiter
        if limiter is not None and not is_answered:
            limiter.end()
        self.freed()

    def freed(self) -> None:
        """There may be room: a request or a session has ended, or there are other endpoints or limits."""
        self.is_full = False
        self.call_next()

    def call_next(self) -> None:
        """Poke the first who waits, if it is worth while: it asks for an endpoint, and pokes the next in turn."""
        first = self.queue.first
        if first is not None and not (self.is_full and self.max_waiting):
            first.stream.poke()

    def join(self, ticket: Ticket, now: int) -> Kind | None:
        """Wait in the queue, whose deadline is then in the ticket; or why not. One that had been in it stays first."""
        if not self.max_waiting:
            return Kind.OVERLOADED if self.eligible else Kind.NO_ENDPOINT
        if ticket.due:
            self.queue.join_first(ticket)
            return None
        if self.queue.size >= self.max_waiting:
            return Kind.QUEUE_FULL
        ticket.due = now + self.wait_us
        self.queue.join(ticket)
        self.is_touched = True
        if self.queue.size == 1:
            self._tell_if_awaited()
        return None

    def _tell_if_awaited(self) -> None:
        if not self.eligible and self.on_waiting is not None:
            self.on_waiting(self)

    def leave(self, ticket: Ticket) -> None:
        """Wait no more: served, overdue or gone."""
        queue = self.queue
        was_first = queue.first is ticket
        queue.leave(ticket)
        self.is_touched = True
        if was_first:
            self.call_next()  # it may have been called, and others wait behind it

    def refuse(self, kind: Kind) -> int:
        """Count a refusal for want of room; returns after how many seconds the client may come again, 0: any."""
        if kind not in REFUSALS:
            return 0
        name = str(kind)
        self.refused[name] = self.refused.get(name, 0) + 1
        self.is_touched = True
        seconds: int = self.queue.retry_after_s()
        return seconds

    def make_room(self, endpoint: LiveEndpoint) -> None:
        """A new connection is wanted where an idle one would not do: at the limit it takes the place of those."""
        if self.max_connections and endpoint.connections >= self.max_connections:
            endpoint.discard_idle()

    def may_retry(self, now: int) -> bool:
        """Whether the budget has one more retry; it is then taken."""
        budget = self.retrying.budget
        budget.refill(now, self.duration.total)
        return budget.take()

    def is_overdue(self, endpoint: LiveEndpoint, asked: int, now: int) -> bool:
        """Whether an attempt that began at `asked` and has taken as long as one may is to be given up."""
        silent_since = max(endpoint.answered_at, asked)
        if not self.retrying.is_late(endpoint, now - silent_since):
            return False
        return not self.retrying.is_learned or self._has_answered_since(silent_since)

    def _has_answered_since(self, when: int) -> bool:
        """Whether any endpoint has; usually it is one of the first."""
        return any(endpoint.answered_at > when for endpoint in self.endpoints.values())

    def count_retry(self, reason: str) -> None:
        name = str(reason)  # of a Kind its value
        self.retries[name] = self.retries.get(name, 0) + 1

    def close(self) -> None:
        """The service is gone from the configuration: requests in flight end, nothing stays connected."""
        for endpoint in self.endpoints.values():
            endpoint.is_usable = False
            endpoint.discard_idle()

    def report(self) -> dict[str, Any]:
        """Counts since the worker started, as values that JSON can carry."""
        self.is_touched = False
        present = [*self.endpoints.values(), *self.retired.values()]
        return {
            "requests": [
                [listener, endpoint.address, code, count]
                for endpoint in [*present, self.nobody]
                for listener, tally in endpoint.tallies.items()
                for code, count in tally.items()
            ],
            "in_flight": {e.address: e.in_flight for e in present if e.in_flight},
            "ttfb": {e.address: e.ttfb_us for e in present if e.ttfb_us},
            "duration": _histogram(self.duration),
            "connect": _histogram(self.connect),
            "retries": dict(self.retries),
            "outcomes": _outcomes(present),
            "retries_exhausted": self.retrying.budget.spent,
            "queued": self.queue.size,
            "refused": dict(self.refused),
            "limit": self.limiter.allowed if self.limiter is not None else 0,
        }


def _outcomes(endpoints: Iterable[LiveEndpoint]) -> list[list[Any]]:
    """[address, successes, failures, median latency in us] since this was asked for last, of those that had any."""
    found = []
    for endpoint in endpoints:
        if endpoint.successes or endpoint.failures:
            found.append([endpoint.address, endpoint.successes, endpoint.failures, endpoint.median_us])
            endpoint.successes = endpoint.failures = 0
    return found


def _histogram(histogram: Histogram) -> dict[str, Any]:
    return {"sparse": histogram.sparse(), "sum_us": histogram.sum_us, "total": histogram.total}
