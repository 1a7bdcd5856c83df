"""One request and its reply: the choice of the endpoint, the passage of both messages, retries, and the record of it.

Owns the exchange between a downstream and an upstream connection, whatever speaks on either side. Invariants: a reply
is never made to look complete when it is not; nothing is retried once a byte of a reply has gone to the client; an
exchange is recorded once.
"""

from __future__ import annotations

import time
from typing import Final

import cython

from fairlead.dataplane.replies import own_reply
from fairlead.errors import STATUS, Kind

if cython.compiled:
    from cython.cimports.fairlead.dataplane.endpoint import LiveEndpoint
    from cython.cimports.fairlead.dataplane.listener import LiveListener
    from cython.cimports.fairlead.dataplane.service import LiveService
    from cython.cimports.fairlead.engine.reactor import Stream, monotonic_us
    from cython.cimports.fairlead.wire.body import Body
    from cython.cimports.fairlead.wire.http1 import ReplyHead, RequestHead
else:
    from fairlead.dataplane.endpoint import LiveEndpoint
    from fairlead.dataplane.listener import LiveListener
    from fairlead.dataplane.service import LiveService
    from fairlead.engine.reactor import Stream, monotonic_us
    from fairlead.wire.body import Body
    from fairlead.wire.http1 import ReplyHead, RequestHead

from fairlead.wire.http1 import Framing

_ATTEMPTS: Final = 3  # endpoints that one request is sent to at most
_REPLAYABLE: Final = 131072  # bytes of a request's body kept for a retry
_INTERIMS: Final = 64  # 1xx replies to one request
_NO_BODY = int(Framing.NONE)  # C integers when compiled
_LENGTH = int(Framing.LENGTH)
_CHUNKED = int(Framing.CHUNKED)
_UNTIL_CLOSE = int(Framing.UNTIL_CLOSE)
_LAST_CHUNK: Final = b"0\r\n\r\n"
_CHUNKED_FIELD: Final = b"Transfer-Encoding: chunked\r\n"
_SAFE_TO_RESEND: Final = frozenset({Kind.CONNECT_FAILED, Kind.CONNECT_TIMEOUT})  # no byte reached the endpoint


class Downstream(Stream):
    """The side that the request came on. A protocol's class overrides what the exchange calls."""

    def exchange_done(self, keep: bool) -> None:
        """The reply is written. Without `keep` the connection ends with it."""
        raise NotImplementedError

    def take_buffer(self) -> bytes:
        """Bytes that came after the request: the connection becomes a tunnel and they belong to it."""
        raise NotImplementedError


class Upstream(Stream):
    """The side that an endpoint replies on. A protocol's class overrides what the exchange calls."""

    def assign(self, exchange: Exchange) -> None:
        """The connection now serves `exchange`."""
        raise NotImplementedError

    def release(self, keep: bool) -> None:
        """The connection no longer serves its exchange: back to the idle ones, or closed."""
        raise NotImplementedError


class Exchange:
    """Reused from request to request: everything is set by `begin`."""

    def __init__(self) -> None:
        self.request_body = Body()
        self.reply_body = Body()

    def begin(self, client: Downstream, service: LiveService, request: RequestHead, request_id: bytes) -> None:
        """Take on a request whose head was parsed."""
        self.client = client
        self.listener = client.listener
        self.service = service
        self.endpoint = service.nobody
        self.server = None
        self.method = request.method
        self.target = request.target
        self.host = request.host
        self.upgrade = request.upgrade
        self.request_id = request_id
        self.minor = request.minor
        self.is_head = request.is_head
        self._is_idempotent = request.is_idempotent
        self._is_client_kept = request.keep_alive
        self._sent = None
        self._sent_size = 0
        self._tried = None
        self._failure = None
        self._started = monotonic_us()
        self._ttfb = 0
        self._request_bytes = 0
        self._reply_bytes = 0
        self._attempts = 0
        self._interims = 0
        self.status = 0
        self._is_fresh_only = False
        self._is_until_close = False
        self.is_request_done = request.framing == _NO_BODY
        self.is_reply_started = False
        self.is_tunnel = False
        self._is_client_over = False
        self._is_server_over = False
        if not self.is_request_done:
            self.request_body.begin(request.framing, request.content_length, request.framing == _CHUNKED)
            self._sent = []

    # The request, from the client to the endpoint.

    def take_request(self, data: bytes, start: int) -> int:
        """Take the body's part of what the client sent; returns the offset of what follows the body."""
        body = self.request_body
        out: list[bytes] = []
        offset = body.take(data, start, out)
        self._request_bytes += offset - start
        self.is_request_done = body.is_done
        if body.is_bad:
            self.fail(Kind.BAD_REQUEST)
            return len(data)
        if out:
            self._keep_for_retry(out)
            self._send_on(out)
        return offset

    def _keep_for_retry(self, out: list[bytes]) -> None:
        if self._sent is not None:
            self._sent.extend(out)
            self._sent_size += _size(out)
            if self._sent_size > _REPLAYABLE:
                self._sent = None

    def _send_on(self, out: list[bytes]) -> None:
        server = self.server
        if server is None:
            return
        if not server.write_parts(out):
            self.client.pause()
        self._await_reply()

    def _await_reply(self) -> None:
        """Arm the deadline of whoever is waited for: the client while its body is missing, else the endpoint."""
        self._sent_at = self.client.reactor.now
        if not self.is_request_done:
            self.client.arm(self.listener.body_us)
        else:
            self.client.arm(0)
        if self.server.is_connected and not self.is_reply_started:
            self.server.arm(self.service.reply_us)

    def start(self, head: bytes) -> None:
        """Send the request: `head` as the endpoint gets it."""
        self._head = head
        self._dispatch()

    def _dispatch(self) -> None:
        """Give the request to an endpoint that was not tried yet, or answer for the service."""
        while self._attempts < _ATTEMPTS:
            endpoint = self.service.choose(0, self._tried)
            if endpoint is None:
                break
            self._attempts += 1
            self.endpoint = endpoint
            server = self._connection(endpoint)
            if server is not None:
                self._send(server)
                return
            self._note_failure(Kind.CONNECT_FAILED)
        if self._failure is None:
            self.endpoint = self.service.nobody
            self._failure = Kind.OVERLOADED if self.service.eligible else Kind.NO_ENDPOINT
        self.fail(self._failure)

    def _connection(self, endpoint: LiveEndpoint) -> Upstream | None:
        """An idle connection, else a new one; None when connecting failed at once."""
        while endpoint.idle and not self._is_fresh_only:
            server: Upstream = endpoint.idle.pop()
            # A request that may not be sent twice must not meet a connection that the endpoint has already closed.
            if self._is_idempotent or not server.has_news():
                server.is_reused = True
                return server
            endpoint.connections -= 1
            server.close()
        server = self.service.connector(self.service, endpoint)
        if server.connect(endpoint.socket_address) != 0:
            return None
        endpoint.connections += 1
        server.arm(self.service.connect_us)
        return server

    def _send(self, server: Upstream) -> None:
        self.server = server
        self.endpoint.in_flight += 1
        server.assign(self)
        if not self._sent:
            accepted = server.write(self._head)
        else:
            accepted = server.write_parts([self._head, *self._sent])
        if not accepted:
            self.client.pause()
        self._await_reply()

    def on_connected(self) -> None:
        """The new connection is there."""
        self._sent_at = self.client.reactor.now
        if not self.is_reply_started:
            self.server.arm(self.service.reply_us)

    def on_sent(self) -> None:
        """What was written to the endpoint is with the kernel: the client may send more."""
        self.client.resume()
        if not self.is_tunnel:
            self._await_reply()

    # The reply, from the endpoint to the client.

    def on_interim(self, head: ReplyHead) -> None:
        """A 1xx reply other than 101: passed on, but not to a 1.0 client (RFC 9110 15.2)."""
        self._interims += 1
        if self._interims > _INTERIMS:
            self._drop_server(Kind.BAD_REPLY)
        elif self.minor:
            self.client.write(b"".join([*head.parts, b"\r\n"]))

    def on_reply(self, head: ReplyHead, data: bytes, start: int, end: int) -> None:
        """The head of the final reply is data[start:end]."""
        self._ttfb = monotonic_us() - self._started
        self.endpoint.observe_ttfb(self._ttfb)
        self.status = head.status
        if head.status == 101:
            self._switch(head, data, end)
            return
        self.is_reply_started = True
        self._is_server_kept = head.keep_alive
        if self.minor == 0 and head.framing >= _CHUNKED or self.listener.is_draining:
            self._is_client_kept = False
        if self._pass_on(head, data, start, end):
            self._finish(self._is_server_kept)
            return
        rechunk = self.minor == 1 and head.framing >= _CHUNKED
        self._is_until_close = head.framing == _UNTIL_CLOSE
        self.reply_body.begin(head.framing, head.content_length, rechunk)
        out: list[bytes] = [b""]
        offset = self.reply_body.take(data, end, out)
        if self.reply_body.is_done and not self.is_request_done:
            self._is_client_kept = False  # what is left of the request would be taken for another one
        out[0] = self._reply_head(head, rechunk)
        self._forward(out)
        self._advance(len(data) - offset)

    def _pass_on(self, head: ReplyHead, data: bytes, start: int, end: int) -> bool:
        """The usual case: one read holds the whole reply, and nothing has to be changed in it."""
        length = head.content_length if head.framing == _LENGTH else 0
        if (
            not head.untouched
            or start
            or head.framing >= _CHUNKED
            or len(data) - end != length
            or not (self._is_client_kept and self.is_request_done and self.minor)
        ):
            return False
        self._reply_bytes = length
        self.listener.sent += len(data)
        self.client.write(data)
        return True

    def _reply_head(self, head: ReplyHead, rechunk: bool) -> bytes:
        parts = list(head.parts)
        if head.framing == _CHUNKED and not rechunk:
            parts = [part for part in parts if part != _CHUNKED_FIELD]
        elif head.framing == _UNTIL_CLOSE and rechunk:
            parts.append(_CHUNKED_FIELD)
        if not self._is_client_kept:
            parts.append(b"Connection: close\r\n")
        elif self.minor == 0:
            parts.append(b"Connection: keep-alive\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)

    def on_body(self, data: bytes, start: int) -> None:
        """More of the reply's body."""
        out: list[bytes] = []
        offset = self.reply_body.take(data, start, out)
        if out:
            self._forward(out)
        self._advance(len(data) - offset)

    def _forward(self, out: list[bytes]) -> None:
        size = _size(out)
        self._reply_bytes += size
        self.listener.sent += size
        if not self.client.write_parts(out):
            # Back-pressure: at most one read is kept here, the rest stays with the kernel and the endpoint.
            self.server.pause()
            self.server.arm(0)
            self.client.arm(self.listener.body_us)
        else:
            self.server.arm(self.listener.body_us)

    def on_forwarded(self) -> None:
        """What was written to the client is with the kernel: the endpoint may send more."""
        if self.server is not None:
            self.server.resume()
            self.server.arm(self.listener.body_us if self.is_reply_started else self.service.reply_us)
        self.client.arm(0 if self.is_request_done else self.listener.body_us)

    def _advance(self, surplus: int) -> None:
        body = self.reply_body
        if body.is_bad:
            self._truncate(Kind.BAD_REPLY)
        elif body.is_done:
            self._finish(self._is_server_kept and surplus == 0 and not self._is_until_close)

    def on_end(self) -> None:
        """The endpoint closed its side in an orderly way: that completes a reply without a length."""
        if not self.is_reply_started:
            self.on_lost(Kind.UPSTREAM_RESET)
        elif self.reply_body.end():
            if self.minor:
                self.client.write(_LAST_CHUNK)
            self._finish(False)
        else:
            self._truncate(Kind.UPSTREAM_RESET)

    # The end.

    def _finish(self, is_server_kept: bool) -> None:
        self._detach(is_server_kept and self.is_request_done)
        self._record("")
        self._leave(self._is_client_kept and self.is_request_done)

    def _leave(self, keep: bool) -> None:
        client = self.client
        self.client = None
        client.exchange = None
        client.exchange_done(keep)

    def _detach(self, keep: bool) -> None:
        server = self.server
        if server is not None:
            self.server = None
            self.endpoint.in_flight -= 1
            server.release(keep)

    def on_lost(self, kind: Kind) -> None:
        """The connection to the endpoint failed or broke a rule: another endpoint, an error, or a cut reply."""
        server = self.server
        was_reused = server.is_reused
        self._detach(False)
        if self.is_reply_started:
            self._truncate(kind)
            return
        if not self._may_retry(kind):
            self.fail(kind)
            return
        if was_reused and kind not in _SAFE_TO_RESEND:
            # A stale idle connection says nothing of the endpoint; those beside it are as old.
            self.endpoint.discard_idle()
            self._is_fresh_only = True
            self._attempts -= 1
            self.service.count_retry("stale-connection")
        else:
            self._note_failure(kind)
            self.service.count_retry(kind)
        self._dispatch()

    def _note_failure(self, kind: Kind) -> None:
        self._failure = kind
        if self._tried is None:
            self._tried = []
        self._tried.append(self.endpoint)

    def _may_retry(self, kind: Kind) -> bool:
        """RFC 9110 9.2.2: what an endpoint may have acted on is sent again only when doing it twice does no harm."""
        if self._interims or (self._sent is None and self._request_bytes):
            return False
        return kind in _SAFE_TO_RESEND or (kind is Kind.UPSTREAM_RESET and self._is_idempotent)

    def _drop_server(self, kind: Kind) -> None:
        self._detach(False)
        if self.is_reply_started:
            self._truncate(kind)
        else:
            self.fail(kind)

    def fail(self, kind: Kind) -> None:
        """Answer for the service: a status and `Fairlead-Error`."""
        self._detach(False)
        if self.is_reply_started:
            self._truncate(kind)
            return
        keep = self._is_client_kept and self.is_request_done and not self.listener.is_draining
        reply = own_reply(kind, close=not keep, is_head=self.is_head)
        self.status = STATUS[kind]
        self.listener.sent += len(reply)
        self.client.write(reply)
        self._record(kind)
        self._leave(keep)

    def _truncate(self, kind: Kind) -> None:
        """The reply cannot be completed: a reset tells the client, whatever framing it was promised."""
        self._detach(False)
        self._record(kind)
        client = self.client
        client.exchange = None
        self.client = None
        client.abort()
        client.on_close()

    def client_gone(self) -> None:
        """The client closed or vanished: everything is freed at once."""
        if self.is_tunnel:
            self._end_tunnel(Kind.CLIENT_GONE)
            return
        self._detach(False)
        if not self.is_reply_started:
            self.status = STATUS[Kind.CLIENT_GONE]
        self._record(Kind.CLIENT_GONE)
        self.client.exchange = None
        self.client = None

    def client_stalled(self) -> None:
        """The client's deadline passed: its body did not come, or it does not read its reply."""
        if self.is_tunnel:
            self._end_tunnel("idle")
        elif not self.is_reply_started and not self.is_request_done:
            self.fail(Kind.REQUEST_TIMEOUT)
        else:
            self._truncate(Kind.CLIENT_GONE)

    def server_stalled(self) -> None:
        """The endpoint's deadline passed: the head of its reply did not come, or more of its body."""
        self._drop_server(Kind.UPSTREAM_TIMEOUT)

    def _record(self, reason: str) -> None:
        listener = self.listener
        service = self.service
        now = monotonic_us()
        service.is_touched = True
        service.duration.record(now - self._started)
        self.endpoint.count(listener.name, self.status)
        if listener.access is not None:
            listener.access(
                (time.time(), listener.name, service.name, self.client.host, self.method, self.target, self.host,
                 self.status, self.endpoint.address, self._attempts, self._request_bytes, self._reply_bytes,
                 now - self._started, self._ttfb, str(reason), self.request_id)
            )  # fmt: skip

    # After a 101 both connections are a tunnel (RFC 9110 7.8).

    def _switch(self, head: ReplyHead, data: bytes, end: int) -> None:
        if not (self.upgrade and self.is_request_done and self.minor):
            self._drop_server(Kind.BAD_REPLY)
            return
        self.is_reply_started = True
        self.is_tunnel = True
        self._is_client_kept = False
        self.server.arm(0)
        self._forward([b"".join([*head.parts, b"\r\n"]), data[end:]])
        self.client.arm(self.listener.idle_us)
        self.server.arm(0)
        self.client.resume()
        early = self.client.take_buffer()
        if early:
            self.tunnel_from_client(early)

    def tunnel_from_client(self, data: bytes) -> None:
        self._request_bytes += len(data)
        self.client.arm(self.listener.idle_us)
        if not self.server.write(data):
            self.client.pause()

    def tunnel_from_server(self, data: bytes) -> None:
        self._reply_bytes += len(data)
        self.listener.sent += len(data)
        self.client.arm(self.listener.idle_us)
        if not self.client.write(data):
            self.server.pause()

    def client_over(self) -> None:
        """The client will send no more through the tunnel."""
        self._is_client_over = True
        if self._is_server_over:
            self._end_tunnel("")
        else:
            self.server.shutdown_write()

    def server_over(self) -> None:
        """The endpoint will send no more through the tunnel."""
        self._is_server_over = True
        if self._is_client_over:
            self._end_tunnel("")
        else:
            self.client.shutdown_write()

    def tunnel_lost(self) -> None:
        """The endpoint reset the tunnel: so is the client's side."""
        self._end_tunnel(Kind.UPSTREAM_RESET)

    def _end_tunnel(self, reason: str) -> None:
        self._detach(False)
        self._record(reason)
        if reason:
            self.client.abort()
        self._leave(False)


def _size(parts: list[bytes]) -> int:
    size = 0
    for part in parts:
        size += len(part)
    return size
