from libc.stdint cimport int64_t, uint64_t

from fairlead.balance.seam cimport Picker
from fairlead.dataplane.endpoint cimport LiveEndpoint
from fairlead.observe.histogram cimport Histogram


cdef class LiveService:
    cdef readonly str name
    cdef public object spec
    cdef public Picker picker
    cdef public dict endpoints
    cdef public dict retired
    cdef readonly LiveEndpoint nobody
    cdef readonly Histogram duration
    cdef readonly Histogram connect
    cdef public dict retries
    cdef public int64_t connect_us
    cdef public int64_t reply_us
    cdef public int64_t body_us
    cdef public int64_t request_us
    cdef public int64_t idle_us
    cdef public int64_t tunnel_us
    cdef public int max_connections
    cdef public int max_idle
    cdef public int eligible
    cdef readonly object connector
    cdef public bint is_touched

    cpdef LiveEndpoint choose(self, uint64_t key, list tried)
    cpdef object make_room(self, LiveEndpoint endpoint)
    cpdef object count_retry(self, object reason)
