cimport cython
from libc.stdint cimport int64_t

from fairlead.balance.least_request cimport LeastRequest
from fairlead.balance.seam cimport Candidate, Picker

cdef double _DECAY_US
cdef double _IDLE_US
cdef double _SLOW_US
cdef double _FAILURE_US


cdef class PeakEwma(LeastRequest):
    cdef double _mean_weight

    @cython.locals(one_us=double, other_us=double)
    cdef bint _is_better(self, Candidate one, Candidate other) except -1
    cdef double _crowd(self, Candidate endpoint) except -1


@cython.locals(us=double, silent=double)
cdef double _expected(Candidate endpoint, int64_t now) except -1
cpdef object wake(Candidate endpoint, int64_t now)
@cython.locals(estimate=double)
cpdef object observe(Candidate endpoint, int64_t now, int64_t took_us)
cpdef object observe_patience(Candidate endpoint, int64_t now, int64_t waited_us)
@cython.locals(fresh=double)
cpdef object observe_failure(Candidate endpoint, int64_t now, int64_t took_us)
cdef _set(Candidate endpoint, int64_t now, double estimate_us)
cdef double _fresh(Candidate endpoint, int64_t now) except -1
cdef double _kept(Candidate endpoint, int64_t now) except -1
