cimport cython
from libc.stdint cimport int64_t, uint64_t

from fairlead.balance.seam cimport Candidate, Picker, Prng

cdef int _TRIES
cdef double _FLOOR
cdef double _ONE
cdef int _CREDITS
cdef int _UNANSWERED
cdef int64_t _CONFIRMED_US
cdef int _BUSY

cpdef bint is_error(int status) except -1


cdef class Pool:
    cdef public Picker picker
    cdef public int64_t in_flight
    cdef public double max_load
    cdef Prng _prng
    cdef set _members
    cdef int64_t _slow_start_us
    cdef int64_t _eldest
    cdef int64_t _warm_at
    cdef bint _learns
    cdef public int64_t most_lost
    cdef public int64_t most_errors
    cdef public int64_t silence_us
    cdef public int64_t ramp_us

    cpdef object on_failing(self, Candidate endpoint, str reason, str last, int64_t now)

    @cython.locals(endpoint=Candidate, youngest=int64_t, window=int64_t)
    cpdef object swap(self, Picker picker, object endpoints, int64_t now, int64_t slow_start_us)
    @cython.locals(picker=Picker)
    cpdef Candidate pick(self, uint64_t key, list tried, int64_t now)
    @cython.locals(picker=Picker, chosen=Candidate, warmth=double)
    cdef Candidate _pick_by_turns(self, list tried, int64_t now)
    @cython.locals(picker=Picker, chosen=Candidate, first=Candidate, place=uint64_t)
    cdef Candidate _pick_by_key(self, uint64_t key, list tried, int64_t now)
    cdef double _warmth(self, Candidate endpoint, int64_t now) except -1
    @cython.locals(part=double)
    cdef double _ramp(self, int64_t served_us) except -1
    cpdef object begin(self, Candidate endpoint, int64_t now)
    cpdef object end(self, Candidate endpoint, bint is_answered)
    cdef object _suspect(self, Candidate endpoint, int64_t now)
    cdef object _count_error(self, Candidate endpoint, int64_t now, int status)
    cpdef object succeeded(self, Candidate endpoint)
    cpdef object failed(self, Candidate endpoint, int64_t now, int64_t took_us, object kind)
    cpdef object answered(self, Candidate endpoint, int64_t now, int64_t took_us, int status)
    cpdef object given_up(self, Candidate endpoint, int64_t now, int64_t waited_us)
