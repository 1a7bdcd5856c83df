cimport cython
from libc.stdint cimport int64_t, uint64_t

from fairlead.balance.pool cimport Pool
from fairlead.dataplane.endpoint cimport LiveEndpoint
from fairlead.dataplane.limiter cimport Limiter
from fairlead.dataplane.queue cimport Queue, Ticket
from fairlead.dataplane.retries cimport RetryBudget, Retrying
from fairlead.observe.histogram cimport Histogram


cdef int _NO_KEY, _BY_ADDRESS, _BY_HEADER, _BY_COOKIE


cdef int _FULL_TRIES
cdef int _UNLIMITED


cdef class LiveService(Pool):
    cdef readonly str name
    cdef public object spec
    cdef public dict endpoints
    cdef public dict retired
    cdef readonly LiveEndpoint nobody
    cdef readonly Histogram duration
    cdef readonly Histogram connect
    cdef public dict retries
    cdef readonly Retrying retrying
    cdef public int64_t connect_us
    cdef public int64_t reply_us
    cdef public int64_t body_us
    cdef public int64_t request_us
    cdef public int64_t idle_us
    cdef public int64_t tunnel_us
    cdef public int max_connections
    cdef public int max_in_flight  # of one endpoint,
    cdef public int max_requests  # and of all together
    cdef public int max_waiting
    cdef public int64_t wait_us
    cdef readonly bint is_limited
    cdef public bint is_full
    cdef readonly Queue queue
    cdef readonly Limiter limiter
    cdef public dict refused
    cdef public object on_waiting
    cdef public int max_idle
    cdef public int eligible
    cdef readonly object connector
    cdef int _hash_by
    cdef bytes _hash_name
    cdef public bint is_touched
    cdef readonly object outcasts
    cdef public bint has_probes
    cdef readonly bint has_keys

    cpdef LiveEndpoint choose(self, uint64_t key, list tried, int64_t now)
    @cython.locals(limiter=Limiter)
    cdef LiveEndpoint _with_room(self, uint64_t key, list tried, int64_t now)
    cdef bint _has_room(self, LiveEndpoint endpoint) except -1
    @cython.locals(limiter=Limiter)
    cpdef object sent(self)
    @cython.locals(limiter=Limiter)
    cpdef object replied(self, int64_t now, int64_t took_us, bint is_failure)
    @cython.locals(limiter=Limiter)
    cpdef object over(self, bint is_answered)
    cpdef object freed(self)
    @cython.locals(first=Ticket)
    cpdef object call_next(self)
    cpdef object join(self, Ticket ticket, int64_t now)
    @cython.locals(queue=Queue)
    cpdef object leave(self, Ticket ticket)
    cpdef int refuse(self, object kind) except -1
    cpdef uint64_t key(self, bytes host, list parts) except? 0
    cpdef object make_room(self, LiveEndpoint endpoint)
    @cython.locals(budget=RetryBudget)
    cpdef bint may_retry(self, int64_t now) except -1
    @cython.locals(silent_since=int64_t)
    cpdef bint is_overdue(self, LiveEndpoint endpoint, int64_t asked, int64_t now) except -1
    cpdef object count_retry(self, object reason)
