"""L4: a client's connection and one to an endpoint, joined byte for byte with half-close in both directions.

Owns a session from accept to the last close: the choice of the endpoint, the next one when a connection fails, the
idle deadline, the counts. Invariant: a session is counted once, when both of its sides are closed.
"""

from __future__ import annotations

import time
from typing import Any

import cython

from fairlead.dataplane.endpoint import TCP
from fairlead.errors import STATUS, Kind
from fairlead.model import Listener

if cython.compiled:
    from cython.cimports.fairlead.dataplane.endpoint import LiveEndpoint
    from cython.cimports.fairlead.dataplane.listener import LiveListener
    from cython.cimports.fairlead.dataplane.queue import Ticket
    from cython.cimports.fairlead.dataplane.service import LiveService
    from cython.cimports.fairlead.engine.reactor import Stream, monotonic_us
else:
    from fairlead.dataplane.endpoint import LiveEndpoint
    from fairlead.dataplane.listener import LiveListener
    from fairlead.dataplane.queue import Ticket
    from fairlead.dataplane.service import LiveService
    from fairlead.engine.reactor import Stream, monotonic_us

_NOTHING: Any = None  # in a field whose type leaves it out: set before it is used, cleared at the end


class TcpListener(LiveListener):
    """Accepts TCP sessions for one service."""

    def configure(self, spec: Listener, services: dict[str, LiveService]) -> None:
        self.service = services[spec.service]
        super().configure(spec, services)

    def on_accept(self, fd: int) -> None:
        client: TcpClient = TcpClient.__new__(TcpClient)
        client.begin(self)
        client.pause()  # nothing is read before there is somewhere to send it
        client.adopt(fd)
        if self.opened(client.host):
            client.end(Kind.TOO_MANY_CONNECTIONS)
        else:
            client.start()


class TcpClient(Stream):
    """The client's side of a session, which owns the session."""

    server: TcpServer

    def begin(self, listener: TcpListener) -> None:
        """A session of a client that this listener has accepted."""
        self.attach(listener.reactor)
        self.listener = listener
        self.service = listener.service
        self.host = listener.peer_host()
        self.budget = listener.budget
        self.set_room(listener.max_buffer_bytes)
        self.idle_us = self.service.tunnel_us or listener.idle_us
        self.server = _NOTHING
        self.tried: list[LiveEndpoint] | None = None
        self.failure: Kind | None = None
        self.started = monotonic_us()
        self.received = 0
        self.sent = 0
        self.attempts = 0
        self.is_over = False  # the client will send no more
        self.ticket: Ticket | None = None  # while it waits for an endpoint with room
        self.turn_due = 0

    def start(self) -> None:
        """Connect to an endpoint, or wait behind those that wait already."""
        if self.service.queue.size:
            self._wait_for_room()
        else:
            self.next_server()

    def next_server(self) -> None:
        """Connect to an endpoint that was not yet tried; without one the session waits, or ends."""
        while self.attempts < self.service.retrying.attempts:
            now = self.reactor.now
            if self.service.has_probes and self._probe():
                return
            endpoint = self.service.choose(self.service.key(self.host, None), self.tried, now)
            if endpoint is None:
                break
            self.attempts += 1
            if self.failure is not None:
                self.service.count_retry(self.failure)
            self.service.make_room(endpoint)
            if self._connect(endpoint, self.service.connect_us):
                return
            self._note_failure(endpoint, Kind.CONNECT_FAILED)
        if self.failure is None:
            self._wait_for_room()
        else:
            self.end(self.failure)

    def _wait_for_room(self) -> None:
        """Wait in the queue of the service, if it has one. Nothing is read before there is somewhere to send it.

        A client that has ended its side waits on: it may have said all that it has to say.
        """
        ticket = Ticket(self)
        ticket.due = self.turn_due
        why = self.service.join(ticket, self.reactor.now)
        if why is not None:
            self.service.refuse(why)
            self.end(why)
            return
        self.ticket = ticket
        self.turn_due = ticket.due
        self.arm(max(ticket.due - self.reactor.now, 1))

    def on_poke(self) -> None:
        """It may be the first of those that wait now, and there may be room."""
        ticket = self.ticket
        service = self.service
        if ticket is None or service.queue.first is not ticket:
            return  # a call that was for somebody who is gone
        self._stop_waiting()
        self.arm(0)
        self.next_server()
        if self.server is not None:
            service.queue.served(self.reactor.now)

    def _stop_waiting(self) -> None:
        ticket = self.ticket
        if ticket is not None:
            self.ticket = None
            self.service.leave(ticket)

    def _connect(self, endpoint: LiveEndpoint, limit_us: int) -> bool:
        """Whether a connection to this endpoint has been begun."""
        server: TcpServer = TcpServer.__new__(TcpServer)
        server.begin(self, endpoint)
        if server.connect(endpoint.socket_address) != 0:
            return False
        self.server = server
        endpoint.connections += 1
        endpoint.connecting.add(server)
        self.service.begin(endpoint, self.reactor.now)
        self.service.is_touched = True
        server.arm(limit_us)
        return True

    def _probe(self) -> bool:
        """Connect to an endpoint that was ejected, once; whether that has been begun. If it fails, there are others."""
        if self.attempts or self.tried is not None:
            return False
        endpoint = self.service.outcasts.take()
        if endpoint is None:
            return False
        if self._connect(endpoint, self.service.outcasts.probe_us()):
            self.server.is_probe = True
            return True
        self.service.outcasts.probed(endpoint, Kind.CONNECT_FAILED.value, 0)
        return False

    def server_lost(self, failure: Kind) -> None:
        """The connection to the endpoint failed: another is tried while no byte was exchanged."""
        server = self.server
        if server.is_connected:
            # One that had said all it had to say has only stopped listening: its words still reach the client.
            if not server.is_over and self.sent == 0:
                self.service.failed(server.endpoint, self.reactor.now, 0, failure)
            self.end("" if server.is_over else failure)
            return
        self.server = _NOTHING
        was_probe = server.is_probe
        server.end_probe(failure)
        server.release()
        if was_probe:
            self.tried = [server.endpoint]
        else:
            self._note_failure(server.endpoint, failure)
        try:
            self.next_server()
        except Exception:
            if self.fd >= 0:  # a user's policy that raises: the client must not wait for ever
                self.end(Kind.CLIENT_GONE)
            raise

    def _note_failure(self, endpoint: LiveEndpoint, failure: Kind) -> None:
        self.failure = failure
        self.service.failed(endpoint, self.reactor.now, 0, failure)
        if self.tried is None:
            self.tried = []
        self.tried.append(endpoint)

    def on_data(self, data: bytes) -> None:
        self.received += len(data)
        self.listener.received += len(data)
        self.arm(self.idle_us)
        if self.is_ending():
            self.server.end_follows()
        if not self.server.write(data):
            self.pause()

    def cut(self) -> None:
        """The deadline of a drain has passed."""
        self.end(Kind.DRAIN)

    def on_eof(self) -> None:
        server = self.server
        if server.is_over:
            self.end("")
        else:
            self.is_over = True
            server.shutdown_write()

    def on_drained(self) -> None:
        self.arm(self.idle_us)
        self.server.resume()

    def on_progress(self) -> None:
        self.arm(self.idle_us)

    def on_deadline(self) -> None:
        if self.ticket is not None:
            self.service.refuse(Kind.QUEUE_TIMEOUT)
            self.end(Kind.QUEUE_TIMEOUT)
        else:
            self.end(Kind.IDLE)

    def on_close(self) -> None:
        self.end(Kind.CLIENT_GONE)

    def end(self, reason: str) -> None:
        """Close both sides and count the session. Any reason but "" resets them, so that neither takes it for whole.

        The end of a side is read only when what came before it is with the kernel (it is paused until then), so
        nothing that was said is lost.
        """
        self._stop_waiting()
        server = self.server
        endpoint = self.service.nobody
        status = TCP
        if server is None or not server.is_connected:
            status = STATUS[Kind(reason) if reason in STATUS else Kind.CLIENT_GONE]
        if server is not None:
            endpoint = server.endpoint
            server.end_probe(Kind.CLIENT_GONE)
            if not reason and server.is_connected and self.sent == 0:
                self.service.succeeded(endpoint)  # it may have nothing to say, and has said so in an orderly way
            self.server = _NOTHING
            server.release()
            _part(server, reason)
        _part(self, reason)
        if reason:
            self.listener.count_error(reason)
        self.listener.closed(self.host)
        self._count(endpoint, status, reason)

    def _count(self, endpoint: LiveEndpoint, status: int, reason: str) -> None:
        listener = self.listener
        service = self.service
        duration = monotonic_us() - self.started
        service.is_touched = True
        service.duration.record(duration)
        endpoint.count(listener.name, status)
        if listener.access is not None:
            listener.access(
                (time.time(), listener.name, service.name, self.host, b"", b"", b"", status, endpoint.address,
                 self.attempts, self.received, self.sent, duration, 0, str(reason), b"", ())
            )  # fmt: skip


class TcpServer(Stream):
    """The endpoint's side of a session."""

    def begin(self, client: TcpClient, endpoint: LiveEndpoint) -> None:
        """A try to carry this client's session to this endpoint."""
        self.attach(client.reactor)
        self.client = client
        self.budget = client.budget
        self.set_room(client.listener.max_buffer_bytes)
        self.endpoint = endpoint
        self.started = monotonic_us()
        self.is_connected = False
        self.is_probe = False
        self.is_over = False  # the endpoint will send no more

    def end_probe(self, failure: str) -> None:
        """The connection is there, or it has failed: that is the result of the probe, if it is one."""
        if self.is_probe:
            self.is_probe = False
            self.client.service.outcasts.probed(self.endpoint, str(failure), monotonic_us() - self.started)

    def release(self) -> None:
        """The endpoint no longer carries this session."""
        service = self.client.service
        self.endpoint.connections -= 1
        self.endpoint.connecting.discard(self)
        service.end(self.endpoint, self.is_connected)
        if service.is_limited:
            service.freed()

    def on_connect(self) -> None:
        client = self.client
        now = monotonic_us()
        self.is_connected = True
        self.endpoint.connecting.discard(self)
        client.service.connect.record(now - self.started)
        client.service.answered(self.endpoint, now, now - self.started, 0)
        self.end_probe("")
        self.arm(0)
        client.arm(client.idle_us)
        client.resume()

    def on_data(self, data: bytes) -> None:
        client = self.client
        if client.sent == 0:
            client.service.succeeded(self.endpoint)
        client.sent += len(data)
        client.listener.sent += len(data)
        client.arm(client.idle_us)
        if self.is_ending():
            client.end_follows()
        if not client.write(data):
            self.pause()

    def on_eof(self) -> None:
        client = self.client
        if client.is_over:
            client.end("")
        else:
            self.is_over = True
            client.shutdown_write()

    def on_drained(self) -> None:
        self.client.resume()

    def on_progress(self) -> None:
        client = self.client
        client.arm(client.idle_us)

    def on_deadline(self) -> None:
        self.close()
        self.client.server_lost(Kind.CONNECT_TIMEOUT)

    def on_close(self) -> None:
        self.client.server_lost(Kind.UPSTREAM_RESET if self.is_connected else Kind.CONNECT_FAILED)


def _part(stream: Stream, reason: str) -> None:
    if reason:
        stream.abort()
    else:
        stream.close()
