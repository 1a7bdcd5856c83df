"""Clients that speak HTTP/1.0 or 1.1: the listener that accepts them, and one connection each.

Owns the order of things on a client's connection: one exchange at a time, pipelined requests wait their turn in a
bounded buffer, a connection ends so that its last reply arrives (RFC 9112 9.6). Invariant: nothing of a request that
broke a rule is forwarded, and nothing that follows it is read as another.
"""

from __future__ import annotations

import time
from typing import Any

import cython

from fairlead.dataplane.replies import own_reply
from fairlead.errors import STATUS, Kind
from fairlead.model import Listener

if cython.compiled:
    from cython.cimports.fairlead.dataplane.exchange import Downstream, Exchange
    from cython.cimports.fairlead.dataplane.listener import LiveListener
    from cython.cimports.fairlead.dataplane.request_id import RequestIds
    from cython.cimports.fairlead.dataplane.router import Router
    from cython.cimports.fairlead.dataplane.service import LiveService
    from cython.cimports.fairlead.engine.reactor import Reactor
    from cython.cimports.fairlead.wire.fields import HeadLimits
    from cython.cimports.fairlead.wire.forwarded import Trust, forwarded_fields, request_id_of
    from cython.cimports.fairlead.wire.http1 import RequestHead, parse_request
else:
    from fairlead.dataplane.exchange import Downstream, Exchange
    from fairlead.dataplane.listener import LiveListener
    from fairlead.dataplane.request_id import RequestIds
    from fairlead.dataplane.router import Router
    from fairlead.dataplane.service import LiveService
    from fairlead.engine.reactor import Reactor
    from fairlead.wire.fields import HeadLimits
    from fairlead.wire.forwarded import Trust, forwarded_fields, request_id_of
    from fairlead.wire.http1 import RequestHead, parse_request

from fairlead.wire.http1 import REJECTIONS

_NOTHING: Any = None  # in a field whose type leaves it out: set before it is used, cleared at the end
_HEAD = RequestHead()  # valid until the next request of this worker is parsed
_IDS = RequestIds()
_PROTO = b"http"  # what is spoken here
_END = b"\r\n\r\n"
_CLIENTS = 4096  # client addresses whose forwarded fields are remembered
_SPARE = 256  # exchanges kept for reuse
_LINGER_US = 2_000_000  # what a refused client still sends is read this long, so that a reset cannot eat the refusal
_FRESH_US = 1_000_000  # a client that has just connected gets this long to send its request when a drain begins
_TURNED_AWAY = 64  # connections of one client above its limit that are told so at a time; others are reset
_EAGER = 2048  # up to here each read is looked at, so that what is no HTTP is refused at once; then each line


class HttpListener(LiveListener):
    """Accepts HTTP/1.x. `unrouted` counts what reached no service."""

    def __init__(self, reactor: Reactor, unrouted: LiveService) -> None:
        super().__init__(reactor)
        self.unrouted = unrouted
        self._clients: dict[bytes, tuple[bytes, bytes, Trust | None]] = {}
        self._spare: list[Exchange] = []

    def configure(self, spec: Listener, services: dict[str, LiveService]) -> None:
        self.router = Router(spec.routes, services)
        self._trust = Trust(spec.trusted_proxies)
        self._debugs = Trust(spec.debug_from)
        self._clients.clear()
        limits = spec.limits
        room = [size for size in (limits.max_head_bytes, limits.max_buffer_bytes) if size]
        self.limits = HeadLimits(
            max_head_bytes=min(room, default=0),
            max_fields=limits.max_fields,
            max_line_bytes=limits.max_request_line_bytes,
        )
        super().configure(spec, services)

    def on_accept(self, fd: int) -> None:
        client: Http1Downstream = Http1Downstream.__new__(Http1Downstream)
        client.begin(self)
        client.adopt(fd)
        client.arm(self.keepalive_us)
        excess = self.opened(client.peer)
        if excess and client._trust is None:  # a trusted proxy stands for many clients
            client.turn_away(excess)

    def _client(self, host: bytes) -> tuple[bytes, bytes, Trust | None]:
        """The peer's address, the fields that name it, and what to believe it by; shared by all its connections."""
        known = self._clients.get(host)
        if known is None:
            address = b"" if host == b"unix" else b"X-Forwarded-For: " + host + b"\r\n"
            trust = self._trust if self._trust.holds(host) else None
            known = (host, address + b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: ", trust)
            if len(self._clients) >= _CLIENTS:
                self._clients.clear()
            self._clients[host] = known
        return known


class Http1Downstream(Downstream):
    """See the module."""

    def begin(self, listener: HttpListener) -> None:
        """A client that this listener has accepted."""
        self.attach(listener.reactor)
        self.listener = self._http = listener
        self.peer, self._forwarded, self._trust = self._http._client(self._http.peer_host())
        self.host = self.peer
        self.budget = listener.budget
        self.set_room(listener.max_buffer_bytes)
        self.reader_due = 0
        self.exchange = _NOTHING
        self._buffer = b""
        self._requests = 0
        self._is_fresh = True  # no request was served yet
        self._is_serving = False  # `_serve` is on the stack and goes on by itself
        self._is_heading = False  # a part of a head has come
        self._is_lingering = False  # the last reply is written; what comes is thrown away
        self._is_gone = False

    def on_data(self, data: bytes) -> None:
        exchange = self.exchange
        self.listener.received += len(data)
        if exchange is not None:
            self._more(exchange, data)
            return
        if self._is_lingering:
            return
        if self._buffer:
            self._hold(self._buffer + data)
            if (
                len(self._buffer) > _EAGER
                and b"\n" not in data
                and len(self._buffer) <= self._http.limits.max_head_bytes
                and not self._http.budget.is_over
            ):
                return
            data = self._buffer
        self._serve(data)

    def _more(self, exchange: Exchange, data: bytes) -> None:
        """Data while an exchange is under way: its body, its tunnel, or requests that wait their turn."""
        if exchange.is_tunnel:
            exchange.tunnel_from_client(data)
            return
        offset = 0
        if not exchange.is_request_done:
            offset = exchange.take_request(data, 0)
            if self.exchange is not exchange:
                return  # it has failed
        if offset < len(data):
            self._hold(self._buffer + data[offset:])
            self.pause()

    def _serve(self, data: bytes) -> None:
        """Serve the requests in `data` as far as they can be now; keep the rest."""
        start = 0
        size = len(data)
        if self._buffer:
            self._hold(b"")
        self._is_serving = True
        while start < size:
            _HEAD.is_trusted = self._trust is not None
            end = parse_request(data, start, _HEAD, self._http.limits)
            if end == 0:
                self._wait_for_head()
                break
            if end < 0:
                self._refuse(REJECTIONS[-end], _HEAD.detail)
                break
            start = self._begin(data, end)
            if self.exchange is not None or self._is_lingering or self.is_blocked or self.fd < 0:
                break
        self._is_serving = False
        if self._is_lingering or self.fd < 0:
            return
        if start < size:
            self._hold(data if start == 0 else data[start:])
            if self.exchange is not None:
                self.pause()
            elif self._is_heading and self._http.budget.is_over:
                self._refuse(Kind.OVERLOADED, "")  # as the whole head would be
                return
        if self.exchange is None:
            self._after_replies()

    def _after_replies(self) -> None:
        """What was served was answered at once. A head that has come in part has its own deadline."""
        if self.is_blocked:
            self._wait_for_reader()
        elif not self._buffer:
            self._idle()

    def _wait_for_head(self) -> None:
        if not self._is_heading:
            self._is_heading = True
            self.arm(self.listener.head_us)  # absolute: what trickles in does not prolong it

    def _hold(self, data: bytes) -> None:
        """What has come and waits. What is read next has to fit beside it."""
        self.listener.budget.keep(len(data) - len(self._buffer))
        self._buffer = data
        self.set_room(self.listener.max_buffer_bytes - len(data))

    def _wait_for_reader(self) -> None:
        """The reply is written and waits for the client to take it: no further request is read meanwhile."""
        self.pause()
        self.arm(self.reader_us())

    def _begin(self, data: bytes, end: int) -> int:
        """Start the exchange whose head was parsed up to `end`; returns the offset of what follows it."""
        listener = self._http
        self._is_heading = False
        self._requests += 1
        if self._requests >= listener.max_requests:
            _HEAD.keep_alive = False
        service = listener.router.only
        if service is None:
            service = listener.router.match(_HEAD.host, _HEAD.target)
        exchange: Exchange = listener._spare.pop() if listener._spare else Exchange()
        request_id = _IDS.take() if self._trust is None else self._believe(self._trust)
        self.exchange = exchange
        if service is None:
            exchange.begin(self, listener.unrouted, _HEAD, request_id)
            exchange.fail(Kind.NO_ROUTE)
            return end
        exchange.begin(self, service, _HEAD, request_id)
        if _HEAD.wants_debug:
            exchange.is_debugged = listener._debugs.holds(self.host)
        if listener.budget.is_over:
            exchange.fail(Kind.OVERLOADED)
            return end
        head = self._head_for_endpoint(request_id)
        if not exchange.is_request_done:
            end = exchange.take_request(data, end)
            if self.exchange is not exchange:
                return end
        exchange.start(head)
        return end

    def _believe(self, trust: Trust) -> bytes:
        """Take from a trusted proxy who the client of this request is; the request's id, which may be the proxy's."""
        self.host = trust.client(_HEAD.forwarded_for, self.peer)
        return request_id_of(_HEAD.request_id) or _IDS.take()

    def _head_for_endpoint(self, request_id: bytes) -> bytes:
        if self._trust is not None:
            forwarded = forwarded_fields(_HEAD, self.peer, _PROTO)
            return b"".join([*_HEAD.parts, forwarded, b"X-Request-Id: ", request_id, _END])
        return b"".join([*_HEAD.parts, self._forwarded, _HEAD.host, b"\r\nX-Request-Id: ", request_id, _END])

    def exchange_done(self, keep: bool) -> None:
        exchange = self.exchange
        self.exchange = _NOTHING
        self._is_fresh = False
        if len(self._http._spare) < _SPARE:
            self._http._spare.append(exchange)
        if self.fd < 0:
            self._gone()
        elif keep:
            if self._is_serving:
                pass  # `_serve` goes on by itself
            elif self.is_blocked:
                self._wait_for_reader()
            else:
                self._next()
        elif exchange.is_request_done and not self._buffer and self.is_quiet():
            self.finish()
            self._after_finish()
        else:
            self._linger()

    def take_buffer(self) -> bytes:
        buffer = self._buffer
        self._hold(b"")
        return buffer

    def _next(self) -> None:
        """The reply is with the kernel: the next request, when it has come already, or idle."""
        self.resume()
        if not self._buffer:
            self._idle()
            return
        try:
            self._serve(self._buffer)
        except Exception:
            self.abort()  # the endpoint's connection that led here is not the one to end
            self.on_close()
            raise

    def _idle(self) -> None:
        if self.listener.is_draining and not self.has_news():
            self.close()
            self._gone()
        else:
            self.arm(self.listener.keepalive_us)

    def turn_away(self, excess: int) -> None:
        """This client has so many connections more than it may."""
        if excess <= _TURNED_AWAY:
            self._refuse(Kind.TOO_MANY_CONNECTIONS, "")
        else:
            self.listener.count_error(Kind.TOO_MANY_CONNECTIONS)
            self.abort()
            self._gone()

    def _refuse(self, kind: Kind, detail: str) -> None:
        """Answer what is no request, and read no more of it."""
        listener = self._http
        self.host = self.peer  # it is not known for whom a trusted proxy has sent this
        listener.count_error(kind)
        reply = own_reply(kind, close=True, is_head=False)
        listener.sent += len(reply)
        listener.unrouted.is_touched = True
        listener.unrouted.nobody.count(listener.name, STATUS[kind])
        if listener.access is not None:
            listener.access(
                (time.time(), listener.name, "", self.host, b"", b"", b"", STATUS[kind], "", 0, 0, len(reply), 0, 0,
                 f"{kind}: {detail}" if detail else str(kind), b"", ())
            )  # fmt: skip
        self.write(reply)
        self._linger()

    def _linger(self) -> None:
        """Half-close and throw away what still comes, for a while (RFC 9112 9.6)."""
        self._is_lingering = True
        if self._buffer:
            self._hold(b"")
        self.shutdown_write()
        self.resume()
        self.arm(self.reader_us() if self.is_blocked else _LINGER_US)

    def _after_finish(self) -> None:
        if self.fd < 0:
            self._gone()
        else:
            self.arm(self.reader_us())  # for a client that does not read its last reply

    def drain(self) -> None:
        """End now when idle; a reply under way, or to what has come already, announces the end itself."""
        if self.exchange is not None or self._buffer or self._is_lingering or self.is_blocked or self.has_news():
            return
        if self._is_fresh:
            self.arm(_FRESH_US)
        else:
            self.close()
            self._gone()

    def cut(self) -> None:
        """The deadline of a drain has passed."""
        exchange = self.exchange
        self.abort()
        self._gone()
        if exchange is not None:
            exchange.client_gone(Kind.DRAIN)

    def on_drained(self) -> None:
        exchange = self.exchange
        self.reader_due = 0
        if exchange is None:
            if self._is_lingering:
                self.arm(_LINGER_US)
            else:
                self._next()
        elif exchange.is_tunnel:
            exchange.server.resume()
        else:
            exchange.on_forwarded()

    def on_progress(self) -> None:
        exchange = self.exchange
        if exchange is not None:
            exchange.on_taking()
        else:
            self.arm(self.reader_us())

    def on_eof(self) -> None:
        exchange = self.exchange
        if exchange is not None and exchange.is_tunnel:
            exchange.client_over()
            return
        # Closed and half-closed cannot be told apart; as nginx and Envoy do, a client that ends its side mid-way is
        # taken to be gone, so that nothing is held for nobody. Of requests in a row before the end all but the last are
        # served: while some wait their turn the stream is paused, and the end is not seen.
        if exchange is not None:
            exchange.client_gone(Kind.CLIENT_GONE)
        if self.is_blocked and exchange is None:
            self.finish()
            self._after_finish()
        else:
            self.close()
            self._gone()

    def on_close(self) -> None:
        exchange = self.exchange
        self._gone()
        if exchange is not None:
            exchange.client_gone(Kind.CLIENT_GONE)

    def on_poke(self) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        if not exchange.is_request_done and self.has_hung_up():
            self.on_hang_up()
        else:
            exchange.on_turn()

    def on_hang_up(self) -> None:
        self.on_eof()  # of a body that is not wanted yet: the rest of it would be of no use to anybody

    def on_deadline(self) -> None:
        exchange = self.exchange  # a reference of its own: the call may drop the one that is kept here
        if exchange is not None:
            exchange.client_stalled()
        elif self._is_heading and not self._is_lingering:
            self._is_heading = False
            self._refuse(Kind.REQUEST_TIMEOUT, "")
        elif self.is_blocked:
            self.listener.count_error(Kind.CLIENT_TOO_SLOW)
            self.abort()
            self._gone()
        else:
            self.close()
            self._gone()

    def _gone(self) -> None:
        if not self._is_gone:
            self._is_gone = True
            if self._buffer:
                self._hold(b"")
            self.listener.closed(self.peer)  # the host may be that of a trusted proxy's client
