"""A connection to an endpoint that speaks HTTP/1.1: one reply at a time, and idle in between.

Owns what has arrived of a reply's head. Invariant: bytes that no request asked for are never a reply; a connection
that shows any is closed (RFC 9112 9.2).
"""

from __future__ import annotations

from typing import Any

import cython

from fairlead.errors import Kind

if cython.compiled:
    from cython.cimports.fairlead.dataplane.endpoint import LiveEndpoint
    from cython.cimports.fairlead.dataplane.exchange import Exchange, Upstream
    from cython.cimports.fairlead.dataplane.service import LiveService
    from cython.cimports.fairlead.engine.reactor import Reactor, monotonic_us
    from cython.cimports.fairlead.wire.fields import HeadLimits
    from cython.cimports.fairlead.wire.http1 import ReplyHead, parse_reply
else:
    from fairlead.dataplane.endpoint import LiveEndpoint
    from fairlead.dataplane.exchange import Exchange, Upstream
    from fairlead.dataplane.service import LiveService
    from fairlead.engine.reactor import Reactor, monotonic_us
    from fairlead.wire.fields import HeadLimits
    from fairlead.wire.http1 import ReplyHead, parse_reply

_NOTHING: Any = None  # in a field whose type leaves it out: set before it is used, cleared at the end
_HEAD = ReplyHead()  # valid until the next reply of this worker is parsed
_LIMITS = HeadLimits(max_head_bytes=65536, max_fields=200)  # endpoints are trusted with more than clients


class Http1Upstream(Upstream):
    """See the module."""

    def begin(self, reactor: Reactor, service: LiveService, endpoint: LiveEndpoint) -> None:
        """A connection to this endpoint, not yet connected."""
        self.attach(reactor)
        self.service = service
        self.endpoint = endpoint
        self.exchange = _NOTHING
        self.is_connected = False
        self.is_reused = False
        self._buffer = b""
        self._started = monotonic_us()
        self.set_patient(True)  # a reset must not take the reply that came before it

    def assign(self, exchange: Exchange) -> None:
        listener = exchange.listener
        self.exchange = exchange
        if self.budget is not listener.budget:
            self.budget = listener.budget
            self.set_room(listener.max_buffer_bytes)

    def release(self, keep: bool) -> None:
        endpoint = self.endpoint
        self.exchange = _NOTHING
        if self._buffer:
            self._hold(b"")
        if (
            keep
            and self.fd >= 0
            and not self.is_blocked
            and not self.error
            and endpoint.is_usable
            and len(endpoint.idle) < self.service.max_idle
            and (self.is_quiet() or not self.has_news())
        ):
            self.resume()
            self.arm(self.service.idle_us)
            endpoint.idle.append(self)
        else:
            self.close()
            endpoint.connections -= 1
            if not self.is_connected:
                endpoint.connecting.discard(self)

    def on_connect(self) -> None:
        self.is_connected = True
        self.endpoint.connecting.discard(self)
        self.service.connect.record(monotonic_us() - self._started)
        exchange = self.exchange
        if exchange is not None:
            exchange.on_connected()

    def on_data(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self._forget()
        elif not exchange.is_reply_started:
            self._parse(exchange, data)
        elif exchange.is_tunnel:
            exchange.tunnel_from_server(data)
        else:
            exchange.on_body(data, 0)

    def _parse(self, exchange: Exchange, data: bytes) -> None:
        start = 0
        if self._buffer:
            data = self._buffer + data
            self._hold(b"")
        while True:
            end = parse_reply(data, start, _HEAD, exchange.is_head, _LIMITS)
            if end == 0:
                self._hold(data[start:])
                return
            if end < 0:
                exchange.on_lost(Kind.BAD_REPLY)
                return
            if _HEAD.status >= 200 or _HEAD.status == 101:
                exchange.on_reply(_HEAD, data, start, end)
                return
            exchange.on_interim(_HEAD)
            if end == len(data) or self.exchange is not exchange:
                return
            start = end

    def on_eof(self) -> None:
        exchange = self.exchange
        if exchange is None:
            self._forget()
        elif exchange.is_tunnel:
            exchange.server_over()
        elif self._buffer:
            exchange.on_lost(Kind.BAD_REPLY)
        else:
            exchange.on_end()

    def on_close(self) -> None:
        exchange = self.exchange
        if exchange is None:
            self._forget()
        elif exchange.is_tunnel:
            exchange.tunnel_lost()
        else:
            exchange.on_lost(Kind.UPSTREAM_RESET if self.is_connected else Kind.CONNECT_FAILED)

    def on_drained(self) -> None:
        exchange = self.exchange
        if exchange is not None:
            exchange.on_sent()

    def on_progress(self) -> None:
        exchange = self.exchange
        if exchange is not None:
            exchange.on_sending()

    def on_deadline(self) -> None:
        exchange = self.exchange
        if exchange is None:
            self._forget()
        else:
            exchange.server_stalled()

    def _hold(self, data: bytes) -> None:
        """The part of a head that has come."""
        self.budget.keep(len(data) - len(self._buffer))
        self._buffer = data

    def _forget(self) -> None:
        """An idle connection has ended, spoken out of turn or grown old."""
        self.close()
        self.endpoint.connections -= 1
        self.endpoint.idle.remove(self)
