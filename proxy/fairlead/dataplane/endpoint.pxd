from libc.stdint cimport int64_t

from fairlead.balance.seam cimport Candidate
from fairlead.engine.address cimport Address


cdef object _NOTHING


cdef class Tally:
    cdef public int64_t ok
    cdef public dict codes

    cpdef object add(self, int status)


cdef class LiveEndpoint(Candidate):
    cdef readonly Address socket_address
    cdef public list idle
    cdef readonly set connecting
    cdef public int connections
    cdef public int64_t ttfb_us
    cdef public bint is_usable
    cdef public int64_t answered_at
    cdef public int64_t given_up_at
    cdef public dict tallies
    cdef str _listener
    cdef Tally _tally

    cpdef object count(self, str listener, int status)
    cpdef object observe_ttfb(self, int64_t us, int64_t now)
    cpdef object give_up_connecting(self)
    cpdef object discard_idle(self)
