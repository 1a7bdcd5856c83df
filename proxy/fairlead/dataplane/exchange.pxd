cimport cython
from libc.stdint cimport int64_t, uint64_t

from fairlead.dataplane.endpoint cimport LiveEndpoint
from fairlead.dataplane.listener cimport LiveListener
from fairlead.dataplane.queue cimport Ticket
from fairlead.dataplane.retries cimport Retrying, Trail, served_by
from fairlead.dataplane.service cimport LiveService
from fairlead.engine.reactor cimport Stream
from fairlead.wire.body cimport Body
from fairlead.wire.http1 cimport ReplyHead, RequestHead


cdef object _NOTHING
cdef bytes _EMPTY_LINE
cdef int _REPLAYABLE
cdef int _INTERIMS
cdef int _NO_BODY
cdef int _LENGTH
cdef int _CHUNKED
cdef int _UNTIL_CLOSE

cdef Py_ssize_t _size(list parts) except -1


cdef class Exchange


cdef class Downstream(Stream):
    cdef readonly LiveListener listener
    cdef readonly bytes host
    cdef public Exchange exchange
    cdef public int64_t reader_due

    @cython.locals(now=int64_t, wait=int64_t)
    cpdef int64_t reader_us(self) except -1
    cpdef object exchange_done(self, bint keep)
    cpdef bytes take_buffer(self)


cdef class Upstream(Stream):
    cdef readonly LiveService service
    cdef readonly LiveEndpoint endpoint
    cdef public Exchange exchange
    cdef public bint is_connected
    cdef public bint is_reused

    cpdef object assign(self, Exchange exchange)
    cpdef object release(self, bint keep)


cdef class Exchange:
    cdef readonly Downstream client
    cdef readonly LiveListener listener
    cdef readonly LiveService service
    cdef readonly LiveEndpoint endpoint
    cdef public Upstream server
    cdef readonly Body request_body
    cdef readonly Body reply_body
    cdef bytes _head
    cdef list _sent
    cdef Py_ssize_t _sent_size
    cdef Trail _trail
    cdef readonly bytes method
    cdef readonly bytes target
    cdef readonly bytes host
    cdef readonly bytes upgrade
    cdef readonly bytes request_id
    cdef Ticket _ticket
    cdef int64_t _turn_due  # when its time in the queue is over; 0 before it was in it
    cdef int64_t _due
    cdef int64_t _body_due
    cdef int64_t _body_credit
    cdef int64_t _tunnel_us
    cdef int64_t _started
    cdef uint64_t _key  # of what must stay together
    cdef int64_t _asked  # when the present attempt began
    cdef int64_t _waits_since  # for the head of the reply
    cdef int64_t _ttfb
    cdef int64_t _probe_us  # how long each step of a probe may take
    cdef int64_t _request_bytes
    cdef int64_t _reply_bytes
    cdef int _attempts
    cdef int _interims
    cdef readonly int status
    cdef readonly int minor
    cdef readonly bint is_head
    cdef bint _is_idempotent
    cdef bint _is_answered  # the reply has begun
    cdef bint _is_fresh_only
    cdef bint _is_probe
    cdef bint _is_rate_next
    cdef public bint is_debugged  # the client asks who served it, and may
    cdef bint _is_client_kept
    cdef bint _is_server_kept
    cdef bint _is_until_close
    cdef readonly bint is_request_done
    cdef readonly bint is_reply_started
    cdef readonly bint is_tunnel
    cdef bint _is_client_over
    cdef bint _is_server_over

    cpdef object begin(self, Downstream client, LiveService service, RequestHead request, bytes request_id)
    @cython.locals(endpoint=LiveEndpoint)
    cpdef object start(self, bytes head)
    cpdef Py_ssize_t take_request(self, bytes data, Py_ssize_t start) except -1
    @cython.locals(size=Py_ssize_t)
    cdef _keep_for_retry(self, list out)
    cdef _forget(self)
    @cython.locals(trail=Trail)
    cdef _forget_spare(self)
    cdef _forget_sent(self)
    @cython.locals(most=int64_t, earned=int64_t)
    cdef _earn(self, Py_ssize_t size)
    cdef _stop_clock(self)
    @cython.locals(delay=int64_t, left=int64_t)
    cdef _await_body(self)
    @cython.locals(left=int64_t)
    cdef _arm(self, Stream stream, int64_t delay)
    cdef bint _is_overdue(self) except -1
    cdef object _late(self)
    cdef _send_on(self, list out)
    cdef _ask_first(self)
    @cython.locals(endpoint=LiveEndpoint, server=Upstream)
    cdef bint _take_probe(self) except -1
    @cython.locals(asked=int64_t, now=int64_t)
    cdef int64_t _end_probe(self, object failure) except -1
    cdef _fail_probe(self, object failure)
    cdef bint _is_probe_passed(self, int status) except -1
    cpdef object give_elsewhere(self)
    @cython.locals(server=Upstream)
    cdef _ask(self, LiveEndpoint endpoint)
    @cython.locals(service=LiveService, trail=Trail, endpoint=LiveEndpoint)
    cdef _ask_again(self, LiveEndpoint chosen)
    @cython.locals(trail=Trail)
    cdef _give_up(self)
    @cython.locals(ticket=Ticket, client=Downstream)
    cdef _wait_for_room(self)
    @cython.locals(ticket=Ticket, service=LiveService, now=int64_t)
    cpdef object on_turn(self)
    @cython.locals(ticket=Ticket)
    cdef _stop_waiting(self)
    @cython.locals(server=Upstream)
    cdef Upstream _connection(self, LiveEndpoint endpoint)
    @cython.locals(service=LiveService)
    cdef _send(self, Upstream server)
    cdef _wait(self)
    cpdef object on_connected(self)
    cpdef object on_sent(self)
    cpdef object on_sending(self)
    cpdef object on_forwarded(self)
    cpdef object on_interim(self, ReplyHead head)
    @cython.locals(now=int64_t, took=int64_t, retrying=Retrying, service=LiveService, whole=bytes)
    cpdef object on_reply(self, ReplyHead head, bytes data, Py_ssize_t start, Py_ssize_t end)
    cdef bytes _whole(self, ReplyHead head, bytes data, Py_ssize_t start, Py_ssize_t end)
    cdef _begin_reply(self, ReplyHead head, bytes data, Py_ssize_t end)
    cdef bytes _reply_head(self, ReplyHead head, bint rechunk)
    cpdef object on_body(self, bytes data, Py_ssize_t start)
    cpdef object on_end(self)
    cpdef object on_lost(self, object kind)
    @cython.locals(now=int64_t, took=int64_t, was_reused=bint)
    cdef _go_on_without(self, object kind)
    cdef _abandon(self)
    cdef _forward(self, list out)
    cdef _advance(self, Py_ssize_t surplus)
    cdef _finish(self, bint is_server_kept)
    @cython.locals(server=Upstream, service=LiveService)
    cdef _detach(self, bint keep)
    cdef _leave(self, bint keep)
    cdef Trail _note(self, object failure, object reason, int64_t took)
    cdef bint _is_repeatable(self) except -1
    @cython.locals(service=LiveService)
    cdef bint _may_retry(self, object kind) except -1
    @cython.locals(trail=Trail, tried=Py_ssize_t)
    cdef bint _has_others(self) except -1
    @cython.locals(service=LiveService, now=int64_t, chosen=LiveEndpoint)
    cdef LiveEndpoint _elsewhere(self)
    cdef _go_on(self, LiveEndpoint chosen, int64_t took)
    @cython.locals(delay=int64_t)
    cdef bint _backs_off(self, int64_t took) except -1
    @cython.locals(chosen=LiveEndpoint, body=Body, took=int64_t, trail=Trail, spare=bytes)
    cdef bint _pass_over(self, ReplyHead head, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    @cython.locals(service=LiveService, now=int64_t, left=int64_t, chosen=LiveEndpoint)
    cdef _wait_longer(self)
    @cython.locals(now=int64_t, took=int64_t)
    cdef _replace(self, LiveEndpoint chosen)
    cdef _give_spare(self, tuple spare)
    cpdef object fail(self, object kind)
    cdef _truncate(self, object kind)
    @cython.locals(now=int64_t)
    cpdef object client_gone(self, object kind)
    cpdef object on_taking(self)
    cpdef object client_stalled(self)
    cpdef object server_stalled(self)
    @cython.locals(now=int64_t)
    cdef _record(self, Downstream client, object reason)
    cdef _switch(self, ReplyHead head, bytes data, Py_ssize_t end)
    cpdef object tunnel_from_client(self, bytes data)
    cpdef object tunnel_from_server(self, bytes data)
    cpdef object client_over(self)
    cpdef object server_over(self)
    cpdef object tunnel_lost(self)
    cdef _end_tunnel(self, object reason)
