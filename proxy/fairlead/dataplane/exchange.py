"""One request and its reply: the choice of the endpoint, the passage of both messages, retries, and the record of it.

Owns the exchange between a downstream and an upstream connection, whatever speaks on either side. Invariants: a reply
is never made to look complete when it is not; nothing is retried once a byte of a reply has gone to the client; an
exchange is recorded once.
"""

from __future__ import annotations

import time
from typing import Any, Final

import cython

from fairlead.dataplane.replies import own_reply
from fairlead.errors import STATUS, Kind

if cython.compiled:
    from cython.cimports.fairlead.balance.pool import is_error
    from cython.cimports.fairlead.dataplane.endpoint import LiveEndpoint
    from cython.cimports.fairlead.dataplane.listener import LiveListener
    from cython.cimports.fairlead.dataplane.queue import Ticket
    from cython.cimports.fairlead.dataplane.retries import Trail, served_by
    from cython.cimports.fairlead.dataplane.service import LiveService
    from cython.cimports.fairlead.engine.budget import Budget
    from cython.cimports.fairlead.engine.reactor import Stream, monotonic_us
    from cython.cimports.fairlead.wire.body import Body
    from cython.cimports.fairlead.wire.http1 import ReplyHead, RequestHead
else:
    from fairlead.balance.pool import is_error
    from fairlead.dataplane.endpoint import LiveEndpoint
    from fairlead.dataplane.listener import LiveListener
    from fairlead.dataplane.queue import Ticket
    from fairlead.dataplane.retries import Trail, served_by
    from fairlead.dataplane.service import LiveService
    from fairlead.engine.budget import Budget
    from fairlead.engine.reactor import Stream, monotonic_us
    from fairlead.wire.body import Body
    from fairlead.wire.http1 import ReplyHead, RequestHead

from fairlead.wire.http1 import REJECTIONS, Framing

_REPLAYABLE = 131072  # bytes of a request's body kept for a retry,
_PIECE = 64  # each piece of it counted as so many more, which a short one takes in memory
_INTERIMS = 64  # 1xx replies to one request
_NO_BODY = int(Framing.NONE)  # C integers when compiled
_LENGTH = int(Framing.LENGTH)
_CHUNKED = int(Framing.CHUNKED)
_UNTIL_CLOSE = int(Framing.UNTIL_CLOSE)
_NOTHING: Any = None  # in a field whose type leaves it out: set before it is used, cleared at the end
_EMPTY_LINE = b"\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_CHUNKED_FIELD: Final = b"Transfer-Encoding: chunked\r\n"
_SAFE_TO_RESEND: Final = frozenset({Kind.CONNECT_FAILED, Kind.CONNECT_TIMEOUT})  # no byte reached the endpoint


class Downstream(Stream):
    """The side that the request came on. A protocol's class overrides what the exchange calls."""

    listener: LiveListener
    host: bytes  # the client's address
    exchange: Exchange
    reader_due: int  # when what waits must have been taken; 0 while nothing does

    def reader_us(self) -> int:
        """How long to wait for a client that must take what was written: each step in time, and all at the least rate.

        The time grows with what waits, because the kernel tells of it only when a part of its own buffer is free.
        """
        listener = self.listener
        wait = listener.body_us
        if listener.min_body_rate:
            now = self.reactor.now
            if not self.reader_due:
                self.reader_due = now + max(listener.grace_us, listener.time_for(self.buffered))
            if not wait or self.reader_due - now < wait:
                wait = max(self.reader_due - now, 1)
        return wait

    def exchange_done(self, keep: bool) -> None:
        """The reply is written. Without `keep` the connection ends with it."""
        raise NotImplementedError

    def take_buffer(self) -> bytes:
        """Bytes that came after the request: the connection becomes a tunnel and they belong to it."""
        raise NotImplementedError


class Upstream(Stream):
    """The side that an endpoint replies on. A protocol's class overrides what the exchange calls."""

    service: LiveService
    endpoint: LiveEndpoint
    exchange: Exchange
    budget: Budget  # of the listener whose exchange it serves, or served last
    is_connected: bool
    is_reused: bool  # has served another exchange before

    def assign(self, exchange: Exchange) -> None:
        """The connection now serves `exchange`."""
        raise NotImplementedError

    def release(self, keep: bool) -> None:
        """The connection no longer serves its exchange: back to the idle ones, or closed."""
        raise NotImplementedError


class Exchange:
    """Reused from request to request: everything is set by `begin`.

    A call on an attribute does not keep its object alive once compiled. What may end an exchange is therefore called
    on a local name, here and in the streams: the end takes away the last reference to it.
    """

    server: Upstream
    _sent: list[bytes] | None  # what went out of the body, while it may have to be sent again
    _trail: Trail | None  # the attempts that have failed
    _ticket: Ticket | None  # while it waits for an endpoint with room

    def __init__(self) -> None:
        self._ticket = None
        self.request_body = Body()
        self.reply_body = Body()

    def begin(self, client: Downstream, service: LiveService, request: RequestHead, request_id: bytes) -> None:
        """Take on a request whose head was parsed."""
        self.client = client
        self.listener = client.listener
        self.service = service
        self.endpoint = service.nobody
        self.server = _NOTHING
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
        self._trail = None
        self.is_debugged = False
        self._turn_due = 0
        self._body_due = 0
        self._is_rate_next = False
        self._due = client.reactor.now + service.request_us if service.request_us else 0
        self._key = service.key(client.host, request.parts) if service.has_keys else 0
        self._started = client.reactor.now  # of this turn: the time that a request waits for its turn is ours too
        self._asked = self._started
        self._is_answered = False
        self._ttfb = 0
        self._request_bytes = 0
        self._reply_bytes = 0
        self._attempts = 0
        self._interims = 0
        self.status = 0
        self._is_fresh_only = False
        self._is_probe = False
        self._is_until_close = False
        self.is_request_done = request.framing == _NO_BODY
        self.is_reply_started = False
        self.is_tunnel = False
        self._is_client_over = False
        self._is_server_over = False
        if not self.is_request_done:
            self.request_body.limits = self.listener.body_limits
            self.request_body.begin(request.framing, request.content_length, request.framing == _CHUNKED)
            self._sent = []
            # One that waits for a 100 is not slow.
            self._body_credit = self.listener.most_credit_us() if request.expect_continue else self.listener.grace_us

    # The request, from the client to the endpoint.

    def take_request(self, data: bytes, start: int) -> int:
        """Take the body's part of what the client sent; returns the offset of what follows the body."""
        body = self.request_body
        out: list[bytes] = []
        offset = body.take(data, start, out)
        self._request_bytes += offset - start
        self.is_request_done = body.is_done
        if body.is_bad:
            self.fail(REJECTIONS[body.rejection])
            return len(data)
        if self.listener.min_body_rate:
            self._earn(offset - start)
        if out:
            self._keep_for_retry(out)
            self._send_on(out)
        return offset

    def _keep_for_retry(self, out: list[bytes]) -> None:
        if self._sent is not None:
            size = _size(out) + _PIECE * len(out)
            budget = self.listener.budget
            self._sent.extend(out)
            self._sent_size += size
            budget.keep(size)
            if self._sent_size > _REPLAYABLE or budget.is_over:
                server = self.server
                if server is not None and server.is_connected:
                    self._forget_sent()
                elif self._attempts and not self.is_request_done:
                    self.client.pause()  # no endpoint is there that would take it: what has come is kept for one

    def _forget(self) -> None:
        """What was kept for another attempt is not needed any more."""
        self._forget_sent()
        if self._trail is not None:
            self._forget_spare()

    def _forget_spare(self) -> None:
        trail = self._trail
        if trail is not None and trail.spare is not None:
            self.listener.budget.keep(-len(trail.spare[0]))
            trail.spare = None

    def _forget_sent(self) -> None:
        self._sent = None
        if self._sent_size:
            self.listener.budget.keep(-self._sent_size)
            self._sent_size = 0

    def _earn(self, size: int) -> None:
        """What came of the body pushes out the moment at which it is too slow, up to a point."""
        most = self.listener.most_credit_us()
        earned = self.listener.time_for(size)
        if self._body_due:
            self._body_due = min(self._body_due + earned, self.client.reactor.now + most)
        else:
            self._body_credit = min(self._body_credit + earned, most)

    def _stop_clock(self) -> None:
        """The client is not waited for: this time is not its own."""
        if self._body_due:
            self._body_credit = max(self._body_due - self.client.reactor.now, 0)
            self._body_due = 0

    def _await_body(self) -> None:
        delay = self.listener.body_us
        self._is_rate_next = False  # what is armed is the next piece, not the least rate
        if self.listener.min_body_rate:
            if not self._body_due:
                self._body_due = self.client.reactor.now + self._body_credit
            left = max(self._body_due - self.client.reactor.now, 1)
            if not delay or left < delay:
                delay = left
                self._is_rate_next = True
        if self.client.is_blocked:  # to send without end is no excuse for not reading
            left = self.client.reader_us()
            if not delay or 0 < left < delay:
                delay = left
        self._arm(self.client, delay)

    def _arm(self, stream: Stream, delay: int) -> None:
        """Wait so long on one of the two streams, and no longer than the request may take as a whole."""
        if self._due:
            left = max(self._due - stream.reactor.now, 1)
            if not delay or left < delay:
                delay = left
        stream.arm(delay)

    def _send_on(self, out: list[bytes]) -> None:
        server = self.server
        if server is None:
            return
        if not server.write_parts(out) and not self.is_request_done:
            self.client.pause()
        self._wait()

    def _wait(self) -> None:
        """Arm the deadline of whoever is waited for, so that no side pays for what the other holds up."""
        client = self.client
        server = self.server
        if self.is_request_done:
            self._arm(client, client.reader_us() if client.is_blocked else 0)
            if server.is_connected and not self.is_reply_started:
                self._waits_since = client.reactor.now
                self._arm(server, self._probe_us if self._is_probe else self.service.retrying.first_us)
        elif server.is_blocked:  # and the client is paused
            self._stop_clock()
            self._arm(client, client.reader_us() if client.is_blocked else 0)
            if server.is_connected:
                self._arm(server, self.service.body_us)
        else:
            self._await_body()
            if server.is_connected and not self.is_reply_started:
                self._arm(server, 0)

    def start(self, head: bytes) -> None:
        """Send the request: `head` as the endpoint gets it."""
        self._head = head
        if self.service.queue.size:  # nobody overtakes those who wait
            self._wait_for_room()
        else:
            self._ask_first()

    def _ask_first(self) -> None:
        """The first attempt, or a wait for an endpoint with room."""
        if self.service.has_probes and self._take_probe():
            return
        endpoint = self.service.choose(self._key, None, self.client.reactor.now)
        if endpoint is None:
            self._wait_for_room()
        else:
            self._ask(endpoint)

    def _ask(self, endpoint: LiveEndpoint) -> None:
        """An attempt at this endpoint."""
        self._attempts += 1
        self.endpoint = endpoint
        server = self._connection(endpoint)
        if server is not None:
            self._send(server)
        else:
            self.service.failed(endpoint, self._asked, 0, Kind.CONNECT_FAILED)
            self._note(Kind.CONNECT_FAILED, Kind.CONNECT_FAILED, 0)
            self._go_on(None, 0)

    def _give_up(self) -> None:
        """There is nobody left to ask: one that no endpoint has failed yet may wait."""
        trail = self._trail
        if trail is None or not trail.tried:
            self._wait_for_room()
            return
        kind = trail.failure
        if kind is None:
            self.endpoint = self.service.nobody
            kind = Kind.OVERLOADED if self.service.eligible else Kind.NO_ENDPOINT
        self.fail(kind)

    def _wait_for_room(self) -> None:
        """Wait in the queue of the service, if it has one; what is to come of the body is left with the client."""
        client = self.client
        ticket = Ticket(client)
        ticket.due = self._turn_due
        self.endpoint = self.service.nobody
        why = self.service.join(ticket, client.reactor.now)
        if why is not None:
            self.fail(why)
            return
        self._ticket = ticket
        self._turn_due = ticket.due
        if not self.is_request_done:
            self._stop_clock()
            client.pause()
            client.set_alert(True)
        self._arm(client, max(ticket.due - client.reactor.now, 1))

    def on_turn(self) -> None:
        """It may be the first of those that wait now, and there may be room."""
        ticket = self._ticket
        service = self.service
        if ticket is None or service.queue.first is not ticket:
            return  # a call that was for somebody who is gone
        now = self.client.reactor.now
        self._stop_waiting()
        self._asked = now
        self._ask_first()
        if self.server is not None and self._turn_due:
            service.queue.served(now)

    def _stop_waiting(self) -> None:
        ticket = self._ticket
        if ticket is not None:
            self._ticket = None
            self.service.leave(ticket)
            if not self.is_request_done:
                self.client.set_alert(False)

    # A probe: an ejected endpoint is given one request. Whatever goes wrong with it, the client must not see it.

    def _take_probe(self) -> bool:
        """Send the request to an endpoint that may be probed, if it may be sent again and there is one."""
        if not self._is_idempotent or not self.is_request_done or self._sent is not None:
            return False
        endpoint = self.service.outcasts.take()
        if endpoint is None:
            return False
        self.endpoint = endpoint
        self._is_probe = True
        self._probe_us = self.service.outcasts.probe_us()
        if self._due:  # and there must be time for another endpoint
            self._probe_us = min(self._probe_us, max((self._due - self._asked) // 3, 1))
        server = self._connection(endpoint)
        if server is None:
            self._fail_probe(Kind.CONNECT_FAILED)
        else:
            self._arm(server, self._probe_us)
            self._send(server)
        return True

    def _end_probe(self, failure: str) -> int:
        """How the probe has ended; returns how long it took."""
        self._is_probe = False
        asked = self._asked
        now = monotonic_us()
        self._asked = self.client.reactor.now
        self.service.outcasts.probed(self.endpoint, str(failure), now - asked)
        return now - asked

    def _fail_probe(self, failure: str) -> None:
        """The endpoint has failed again: the request begins anew, at another."""
        took = self._end_probe(failure)
        self._detach(False)
        self._trail = Trail()
        self._trail.add_stale(self.endpoint, "probe", took)
        self._ask_again(None)

    def _is_probe_passed(self, status: int) -> bool:
        """The reply to a probe has come; whether the client gets it."""
        if is_error(status):
            self.on_lost(str(status))
            return False
        self._end_probe("")
        return True

    def give_elsewhere(self) -> None:
        """The endpoint was found to be silent: what may be sent twice need not wait for it any longer."""
        if self.is_reply_started or self._is_probe:
            return
        chosen = self._elsewhere()
        if chosen is not None:
            self._replace(chosen)

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
        if self._is_fresh_only:
            self.service.make_room(endpoint)
        server = self.service.connector(self.service, endpoint)
        if server.connect(endpoint.socket_address) != 0:
            return None
        endpoint.connections += 1
        endpoint.connecting.add(server)
        self._arm(server, self.service.connect_us)
        return server

    def _send(self, server: Upstream) -> None:
        self.server = server
        service = self.service
        service.begin(self.endpoint, self._asked)
        if service.is_limited:
            service.sent()
        self._is_answered = False
        service.is_touched = True
        server.assign(self)
        accepted = server.write_parts([self._head, *self._sent]) if self._sent else server.write(self._head)
        if not self.is_request_done:
            if accepted:
                self.client.resume()  # an attempt that failed may have left it paused
            else:
                self.client.pause()
        self._wait()

    def on_connected(self) -> None:
        """The new connection is there."""
        server = self.server
        self._arm(server, 0)
        if not (self.is_request_done or server.is_blocked):
            self.client.resume()  # it may have sent more than is kept once an endpoint is there
        self._wait()

    def on_sent(self) -> None:
        """What was written to the endpoint is with the kernel: the client may send more."""
        if self.is_tunnel:
            self.client.resume()
            return
        if not self.is_request_done:  # else the client may be paused for the requests that wait their turn
            self.client.resume()
        self._wait()

    def on_sending(self) -> None:
        """A part of what was written to the endpoint is with the kernel."""
        if self.is_tunnel:
            self.client.arm(self._tunnel_us)
        else:
            self._wait()

    # The reply, from the endpoint to the client.

    def on_interim(self, head: ReplyHead) -> None:
        """A 1xx reply other than 101: passed on, but not to a 1.0 client (RFC 9110 15.2)."""
        self._interims += 1
        if self._interims > _INTERIMS:
            self.on_lost(Kind.BAD_REPLY)
        elif self.minor:
            interim = b"".join([*head.parts, _EMPTY_LINE])
            self.listener.sent += len(interim)
            if not self.client.write(interim):
                self.server.pause()
                self._arm(self.server, 0)
                self._arm(self.client, self.client.reader_us())

    def on_reply(self, head: ReplyHead, data: bytes, start: int, end: int) -> None:
        """The head of the final reply is data[start:end]."""
        if self._is_probe and not self._is_probe_passed(head.status):
            return
        now = monotonic_us()
        took = now - self._asked
        retrying = self.service.retrying
        self._ttfb = now - self._started
        service = self.service
        self.endpoint.observe_ttfb(took, now)
        service.answered(self.endpoint, now, took, head.status)
        if took > retrying.slow_us:
            retrying.learn(took)
        self._is_answered = True
        if service.is_limited:
            service.replied(now, took, head.status == 429 or is_error(head.status))
        self.status = head.status
        if head.status == 101:
            self._switch(head, data, end)
            return
        if head.status >= retrying.least_status and self._pass_over(head, data, start, end):
            return
        self.is_reply_started = True
        self._is_server_kept = head.keep_alive
        if (self.minor == 0 and head.framing >= _CHUNKED) or self.listener.is_draining:
            self._is_client_kept = False
        whole = self._whole(head, data, start, end)
        if whole is None:
            self._begin_reply(head, data, end)
            return
        self.listener.sent += len(whole)
        self.client.write(whole)
        self._finish(self._is_server_kept)

    def _begin_reply(self, head: ReplyHead, data: bytes, end: int) -> None:
        rechunk = self.minor == 1 and head.framing >= _CHUNKED
        self._is_until_close = head.framing == _UNTIL_CLOSE
        self._forget_sent()
        self.reply_body.begin(head.framing, head.content_length, rechunk)
        out: list[bytes] = [b""]
        offset = self.reply_body.take(data, end, out)
        if self.reply_body.is_done and not self.is_request_done:
            self._is_client_kept = False  # what is left of the request would be taken for another one
        if self.reply_body.is_done and not self._is_client_kept:
            self.client.end_follows()
        out[0] = self._reply_head(head, rechunk)
        self._reply_bytes = -len(out[0])  # of the body only
        self._forward(out)
        self._advance(len(data) - offset)

    def _whole(self, head: ReplyHead, data: bytes, start: int, end: int) -> bytes | None:
        """The usual case: one read holds the whole reply, and it goes on in one write."""
        length = head.content_length if head.framing == _LENGTH else 0
        if (
            head.framing >= _CHUNKED
            or len(data) - end != length
            or not (self._is_client_kept and self.is_request_done and self.minor)
            or self.is_debugged
        ):
            return None
        self._reply_bytes = length
        if start or not head.untouched:
            head.parts.append(_EMPTY_LINE)
            if length:
                head.parts.append(data[end:])
            data = b"".join(head.parts)
        return data

    def _reply_head(self, head: ReplyHead, rechunk: bool) -> bytes:
        parts = list(head.parts)
        if head.framing == _CHUNKED and not rechunk:
            parts = [part for part in parts if part != _CHUNKED_FIELD]
        elif head.framing == _UNTIL_CLOSE and rechunk:
            parts.append(_CHUNKED_FIELD)
        if self.is_debugged:
            parts.append(served_by(self.endpoint, self._attempts, self._trail))
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
            self._arm(self.server, 0)
            self._arm(self.client, self.client.reader_us())
        else:
            self._arm(self.server, self.service.body_us)

    def on_forwarded(self) -> None:
        """What was written to the client is with the kernel: the endpoint may send more."""
        server = self.server
        if server is not None:
            server.resume()
            if self.is_reply_started:
                self._arm(server, self.service.body_us)
            self._wait()

    def on_taking(self) -> None:
        """A part of what was written to the client is with the kernel."""
        client = self.client
        if self.is_tunnel:
            client.arm(self._tunnel_us)
        else:
            self._arm(client, client.reader_us())

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
                self._forward([_LAST_CHUNK])
            self._finish(False)
        else:
            self._truncate(Kind.UPSTREAM_RESET)

    # The end.

    def _finish(self, is_server_kept: bool) -> None:
        # Recorded while the endpoint's connection is attached: should that raise, the engine ends both sides by it.
        self._record(self.client, "")
        self._detach(is_server_kept and self.is_request_done)
        self._leave(self._is_client_kept and self.is_request_done)

    def _leave(self, keep: bool) -> None:
        client = self.client
        self.client = _NOTHING
        self._forget_sent()
        if self._trail is not None:
            self._forget_spare()
        client.exchange_done(keep)

    def _detach(self, keep: bool) -> None:
        server = self.server
        if self._is_probe:  # ended from outside; that it went well is not known
            self._end_probe(Kind.CLIENT_GONE)
        if server is not None:
            self.server = _NOTHING
            service = self.service
            service.end(self.endpoint, self._is_answered)
            server.release(keep)
            if service.is_limited:
                service.over(self._is_answered)
        elif self._ticket is not None:
            self._stop_waiting()

    def on_lost(self, kind: str) -> None:
        """The connection to the endpoint failed or broke a rule: another endpoint, an error, or a cut reply."""
        try:
            self._go_on_without(kind)
        except Exception:
            self._abandon()  # a bug, or a user's policy that raises: the client must not wait for ever
            raise

    def _go_on_without(self, kind: str) -> None:
        if self._is_probe:
            self._fail_probe(kind)
            return
        assert isinstance(kind, Kind)  # only of a probe it may be the status of a reply
        was_reused = self.server.is_reused
        now = monotonic_us()
        took = now - self._asked
        if not (was_reused and kind is Kind.UPSTREAM_RESET):  # which says nothing of the endpoint, see below
            self.service.failed(self.endpoint, now, took, kind)
        self._detach(False)
        if self.is_reply_started:
            self._truncate(kind)
        elif was_reused and kind is Kind.UPSTREAM_RESET and self._is_idempotent and self._is_repeatable():
            # A stale idle connection says nothing of the endpoint; those beside it are as old.
            self.endpoint.discard_idle()
            self._is_fresh_only = True
            self._attempts -= 1
            if self._trail is None:
                self._trail = Trail()
            self._trail.add_stale(self.endpoint, "stale-connection", took)
            self._ask_again(None)
        else:
            self._note(kind, kind, took)
            if self._may_retry(kind):
                self._go_on(None, took)
            else:
                self.fail(kind)

    def _abandon(self) -> None:
        client = self.client
        if client is None or client.exchange is not self:
            return
        self._detach(False)
        self._forget()
        client.exchange = _NOTHING
        client.abort()
        client.on_close()

    # Another attempt: retries.py says what is tried again, and why.

    def _note(self, failure: Kind | None, reason: str, took: int) -> Trail:
        """The present attempt has failed. `failure` is what the client is told should it have been the last."""
        if self._trail is None:
            self._trail = Trail()
        self._trail.add(self.endpoint, failure, reason, took)
        return self._trail

    def _is_repeatable(self) -> bool:
        """Whether the request can be sent again: nothing was passed on to the client, and its body was kept."""
        return self._interims == 0 and (self._sent is not None or not self._request_bytes)

    def _may_retry(self, kind: Kind) -> bool:
        """RFC 9110 9.2.2: what an endpoint may have acted on is sent again only when doing it twice does no harm."""
        if not self._is_repeatable():
            return False
        if kind in _SAFE_TO_RESEND:
            return True
        service = self.service
        return (
            kind is Kind.UPSTREAM_RESET
            and self._is_idempotent
            and service.retrying.is_reset
            and self._has_others()
            and service.may_retry(self.client.reactor.now)
        )

    def _has_others(self) -> bool:
        """Whether there may be an endpoint that was not tried, and an attempt left for it."""
        trail = self._trail
        tried = 0 if trail is None else len(trail.tried)
        return self._attempts < self.service.retrying.attempts and self.service.eligible > tried

    def _elsewhere(self) -> LiveEndpoint | None:
        """Another endpoint, when what this one does is reason enough to ask it; None when this one's word counts."""
        if not (self._is_idempotent and self._is_repeatable() and self._has_others()):
            return None
        service = self.service
        now = self.client.reactor.now
        tried = [self.endpoint] if self._trail is None else [*self._trail.tried, self.endpoint]
        chosen = service.choose(self._key, tried, now)
        return chosen if chosen is not None and service.may_retry(now) else None

    def _go_on(self, chosen: LiveEndpoint | None, took: int) -> None:
        """The next attempt: at once, or after a wait, and then where it goes is seen to anew."""
        if not self._backs_off(took):
            self._ask_again(chosen)

    def _ask_again(self, chosen: LiveEndpoint | None) -> None:
        """Give the request to `chosen`, or else to an endpoint that was not tried yet, or answer for the service."""
        trail = self._trail
        service = self.service
        if trail is None or self._attempts >= service.retrying.attempts:
            self._give_up()
            return
        endpoint = chosen or service.choose(self._key, trail.tried, self.client.reactor.now)
        if endpoint is None:
            self._give_up()
            return
        self._asked = self.client.reactor.now
        trail.retries += 1
        service.count_retry(trail.reason)
        self._ask(endpoint)

    def _backs_off(self, took: int) -> bool:
        """Whether the next attempt has to wait: the client's own deadline wakes it (`client_stalled`)."""
        if not self._has_others():
            return False
        delay = self.service.retrying.delay_us(self._attempts, took)
        if delay == 0:
            return False
        self._stop_clock()
        self._arm(self.client, delay)
        return True

    def _pass_over(self, head: ReplyHead, data: bytes, start: int, end: int) -> bool:
        """Drop a reply of which nothing was passed on, for that of another endpoint; not without having one to ask.

        What of it is there already is kept, should the others not reply at all. Its connection goes on when the reply
        is whole, and is closed otherwise: no more of it is read.
        """
        if head.status not in self.service.retrying.statuses:
            return False
        chosen = self._elsewhere()
        if chosen is None:
            return False
        body = self.reply_body
        body.begin(head.framing, head.content_length, False)
        is_whole = body.take(data, end, []) == len(data) and body.is_done
        keep = head.keep_alive and is_whole and self.is_request_done
        took = monotonic_us() - self._asked
        trail = self._note(None, f"status-{head.status}", took)
        spare = self._whole(head, data, start, end)
        self._forget_spare()
        if spare is not None:
            trail.spare = (spare, self.status, self.endpoint, self._reply_bytes)
            self.listener.budget.keep(len(spare))
        self._detach(keep)
        try:
            self._go_on(chosen, took)
        except Exception:
            self._abandon()
            raise
        return True

    def _wait_longer(self) -> None:
        """The reply has not begun in the time for an attempt: another one, or more time, or none is left."""
        service = self.service
        now = self.client.reactor.now
        left = service.reply_us - (now - self._waits_since)
        if service.reply_us and left <= 0:
            self.on_lost(Kind.UPSTREAM_TIMEOUT)
        elif not service.is_overdue(self.endpoint, self._asked, now):
            self._arm(self.server, service.retrying.next_look_us(left))
        else:
            chosen = self._elsewhere()
            if chosen is None:
                self._arm(self.server, left if service.reply_us else 0)
            else:
                self._replace(chosen)

    def _replace(self, chosen: LiveEndpoint) -> None:
        """Give up an attempt that has taken too long for one at another endpoint."""
        now = monotonic_us()
        took = now - self._asked
        self.endpoint.given_up_at = now
        self.service.failed(self.endpoint, now, took, Kind.UPSTREAM_TIMEOUT)
        self._note(Kind.UPSTREAM_TIMEOUT, "try-timeout", took)
        self._detach(False)
        try:
            self._go_on(chosen, took)
        except Exception:
            self._abandon()
            raise

    def fail(self, kind: Kind) -> None:
        """Answer for the service: a status and `Fairlead-Error`."""
        self._detach(False)
        if self.is_reply_started:
            self._truncate(kind)
            return
        if self._trail is not None and self._trail.spare is not None:
            self._give_spare(self._trail.spare)
            return
        # A 1.0 client takes a reply that does not say keep-alive for the last one.
        keep = self._is_client_kept and self.is_request_done and self.minor == 1 and not self.listener.is_draining
        more = served_by(self.endpoint, self._attempts, self._trail) if self.is_debugged else b""
        retry_after_s = self.service.refuse(kind)
        reply = own_reply(kind, close=not keep, is_head=self.is_head, retry_after_s=retry_after_s, more=more)
        self.status = STATUS[kind]
        self.listener.sent += len(reply)
        self.client.write(reply)
        self.listener.count_error(kind)
        self._record(self.client, kind)
        self._leave(keep)

    def _give_spare(self, spare: tuple[bytes, int, LiveEndpoint, int]) -> None:
        """Nobody else has replied: the client gets the reply that was passed over."""
        reply, self.status, self.endpoint, self._reply_bytes = spare
        self.listener.sent += len(reply)
        self.client.write(reply)
        self._record(self.client, "")
        self._leave(not self.listener.is_draining)

    def _truncate(self, kind: Kind) -> None:
        """The reply cannot be completed: a reset tells the client, whatever framing it was promised."""
        client = self.client
        self._detach(False)
        self._forget()
        self.client = _NOTHING
        client.exchange = _NOTHING
        client.abort()
        client.on_close()
        self.listener.count_error(kind)
        self._record(client, kind)

    def client_gone(self, kind: Kind) -> None:
        """The client closed or vanished, or was cut off: everything is freed at once."""
        if self.is_tunnel:
            self._end_tunnel(kind)
            return
        client = self.client
        if self.server is not None and not self.is_reply_started:
            now = monotonic_us()
            self.service.given_up(self.endpoint, now, now - self._asked)
        self._detach(False)
        self._forget()
        self.client = _NOTHING
        client.exchange = _NOTHING
        if not self.is_reply_started:
            self.status = STATUS[kind]
        self.listener.count_error(kind)
        self._record(client, kind)

    def client_stalled(self) -> None:
        """The client's deadline passed: its body did not come, or it does not read its reply."""
        if self.is_tunnel:
            self._end_tunnel(Kind.IDLE)
        elif self._ticket is not None:
            self.fail(Kind.DEADLINE_EXCEEDED if self._is_overdue() else Kind.QUEUE_TIMEOUT)
        elif self._is_overdue():
            self.fail(self._late())
        elif self.server is None:
            self._ask_again(None)  # the wait before another attempt is over
        elif self.client.is_blocked:
            self._truncate(Kind.CLIENT_TOO_SLOW)
        elif self._is_rate_next:
            self.fail(Kind.REQUEST_TOO_SLOW)
        else:
            self.fail(Kind.REQUEST_TIMEOUT)

    def server_stalled(self) -> None:
        """The endpoint's deadline passed: for the connection, the head of its reply, or a piece of a body."""
        if self._is_overdue():
            self.fail(self._late())
        elif not self.server.is_connected:
            self.on_lost(Kind.CONNECT_TIMEOUT)
        elif self.is_reply_started or self._is_probe or not self.is_request_done:
            self.on_lost(Kind.UPSTREAM_TIMEOUT)
        else:
            self._wait_longer()

    def _is_overdue(self) -> bool:
        """Whether the time for the request as a whole is over."""
        return self._due != 0 and self.client.reactor.now >= self._due

    def _late(self) -> Kind:
        """The time is over: what to say depends on who was waited for last."""
        if self.is_reply_started and self.client.is_blocked:
            return Kind.CLIENT_TOO_SLOW
        if self.is_request_done or self.server is None or self.server.is_blocked:
            return Kind.DEADLINE_EXCEEDED
        return Kind.REQUEST_TIMEOUT

    def _record(self, client: Downstream, reason: str) -> None:
        listener = self.listener
        service = self.service
        now = monotonic_us()
        service.is_touched = True
        service.duration.record(now - self._started)
        self.endpoint.count(listener.name, self.status)
        if listener.access is not None:
            listener.access(
                (time.time(), listener.name, service.name, client.host, self.method, self.target, self.host,
                 self.status, self.endpoint.address, self._attempts, self._request_bytes, self._reply_bytes,
                 now - self._started, self._ttfb, str(reason), self.request_id,
                 () if self._trail is None else self._trail.told())
            )  # fmt: skip

    # After a 101 both connections are a tunnel (RFC 9110 7.8).

    def _switch(self, head: ReplyHead, data: bytes, end: int) -> None:
        if not (self.upgrade and self.is_request_done and self.minor):
            self.on_lost(Kind.BAD_REPLY)
            return
        self.is_reply_started = True
        self.is_tunnel = True
        self._is_client_kept = False
        if self.is_debugged:
            head.parts.append(served_by(self.endpoint, self._attempts, self._trail))
        start = b"".join([*head.parts, _EMPTY_LINE])
        self._reply_bytes = -len(start)
        self._forward([start, data[end:]])
        self._due = 0
        self._tunnel_us = self.service.tunnel_us or self.listener.idle_us
        self.client.arm(self._tunnel_us)
        self.server.arm(0)
        self.client.resume()
        early = self.client.take_buffer()
        if early:
            self.tunnel_from_client(early)

    def tunnel_from_client(self, data: bytes) -> None:
        self._request_bytes += len(data)
        self.client.arm(self._tunnel_us)
        if not self.server.write(data):
            self.client.pause()

    def tunnel_from_server(self, data: bytes) -> None:
        self._reply_bytes += len(data)
        self.listener.sent += len(data)
        self.client.arm(self._tunnel_us)
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
        """Close both sides. Any reason but "" resets them, so that neither takes what it got for whole.

        The end of a side is read only when what came before it is with the kernel (it is paused until then), so
        nothing that was said is lost.
        """
        client = self.client
        if reason:
            self.listener.count_error(reason)
            self.server.abort()
            client.abort()
        self._detach(False)
        self._leave(False)
        self._record(client, reason)


def _size(parts: list[bytes]) -> int:
    size = 0
    for part in parts:
        size += len(part)
    return size
