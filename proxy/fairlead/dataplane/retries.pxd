cimport cython
from libc.stdint cimport int64_t

from fairlead.balance.seam cimport Prng
from fairlead.dataplane.endpoint cimport LiveEndpoint

cdef double _WINDOW_S
cdef int64_t _FAST_US
cdef int64_t _REVIEW_US
cdef int64_t _MOST_FRESH
cdef int64_t _ENOUGH
cdef int64_t _LEAST_TRY_US
cdef int64_t _TIMES
cdef int _NO_STATUS


cdef class RetryBudget:
    cdef readonly int64_t spent
    cdef double _ratio
    cdef double _minimum
    cdef double _tokens
    cdef double _recent
    cdef int64_t _requests
    cdef int64_t _at

    cpdef object set_rates(self, double ratio, double minimum)
    @cython.locals(passed_s=double, fresh=int64_t)
    cpdef object refill(self, int64_t now, int64_t requests)
    cpdef bint take(self) except -1
    cdef double _capacity(self) except -1


cdef class Retrying:
    cdef readonly RetryBudget budget
    cdef readonly int64_t review_at
    cdef public int64_t slow_us
    cdef readonly int attempts
    cdef readonly bint is_reset
    cdef readonly bint is_learned
    cdef readonly frozenset statuses
    cdef readonly int least_status
    cdef readonly int64_t try_us
    cdef readonly int64_t first_us
    cdef int64_t _requests
    cdef Prng _prng
    cdef int64_t _fixed_us
    cdef int64_t _base_us
    cdef int64_t _reply_us

    cpdef object configure(self, object spec, int64_t reply_us)
    @cython.locals(fresh=int64_t)
    cpdef object review(self, int64_t now, int64_t requests)
    @cython.locals(is_sooner=bint)
    cdef _settle(self)
    cpdef object learn(self, int64_t took_us)
    cpdef bint is_late(self, LiveEndpoint endpoint, int64_t silent_us) except -1
    cpdef int64_t next_look_us(self, int64_t left_us) except -1
    @cython.locals(most=int64_t)
    cpdef int64_t delay_us(self, int retry, int64_t took_us) except -1


cdef class Trail:
    cdef readonly list tried
    cdef readonly list outcomes
    cdef public object failure
    cdef readonly str reason
    cdef public int retries
    cdef public tuple spare

    cpdef object add(self, LiveEndpoint endpoint, object failure, object reason, int64_t took_us)
    cpdef object add_stale(self, LiveEndpoint endpoint, object reason, int64_t took_us)
    cpdef tuple told(self)


cpdef bytes served_by(LiveEndpoint endpoint, int attempts, Trail trail)
