cimport cython
from libc.stdint cimport int64_t, uint64_t


cdef uint64_t _MASK
cdef uint64_t _MULTIPLIER


cdef class Candidate:
    cdef public str address
    cdef public int weight
    cdef public int64_t in_flight
    cdef public double latency_us
    cdef public int64_t latency_at
    cdef public int64_t observed_at
    cdef public int64_t waiting
    cdef public int64_t silent_since
    cdef public int64_t since
    cdef public double credit
    cdef public bint has_returned
    cdef public int64_t successes
    cdef public int64_t failures
    cdef public int64_t median_us
    cdef public int64_t lost
    cdef public int64_t errors
    cdef public int64_t unanswered
    cdef public int64_t unanswered_since
    cdef public int64_t suspected_at


cdef class Picker:
    cdef public int64_t now
    cdef public double allowed

    cpdef Candidate pick(self, uint64_t key, object tried)


cdef class Prng:
    cdef uint64_t _state

    @cython.locals(x=uint64_t)
    cpdef uint64_t below(self, uint64_t bound)
