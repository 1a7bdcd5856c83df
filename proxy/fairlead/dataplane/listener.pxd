from libc.stdint cimport int64_t

from fairlead.engine.budget cimport Budget
from fairlead.engine.reactor cimport Acceptor, Reactor
from fairlead.wire.body cimport BodyLimits

cdef bytes _UNIX
cdef int64_t _GRACE_US


cdef class LiveListener(Acceptor):
    cdef public object spec
    cdef public str name
    cdef public int64_t connections
    cdef public int active
    cdef public int64_t received
    cdef public int64_t sent
    cdef public int max_connections
    cdef public int max_client_connections
    cdef public int max_requests
    cdef public int max_buffer_bytes
    cdef public int64_t min_body_rate
    cdef public int64_t grace_us
    cdef readonly BodyLimits body_limits
    cdef readonly Budget budget
    cdef public dict errors
    cdef dict _by_client
    cdef bint _is_ending
    cdef public bint is_draining
    cdef public int64_t head_us
    cdef public int64_t body_us
    cdef public int64_t keepalive_us
    cdef public int64_t idle_us
    cdef public object access
    cdef public object on_empty

    cpdef int opened(self, bytes client) except -1
    cpdef object closed(self, bytes client)
    cpdef object _respect_limits(self)
    cpdef object count_error(self, object kind)
    cpdef int64_t time_for(self, int64_t size) except -1
    cpdef int64_t most_credit_us(self) except -1
