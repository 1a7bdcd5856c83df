cimport cython
from libc.stdint cimport int64_t, uint64_t

from fairlead.balance.seam cimport Candidate, Picker, Prng

cdef int _DRAWS


cdef class LeastRequest(Picker):
    cdef list _endpoints
    cdef list _sums
    cdef uint64_t _total
    cdef Prng _prng

    @cython.locals(first=Candidate, second=Candidate)
    cpdef Candidate pick(self, uint64_t key, object tried)
    cdef bint _is_better(self, Candidate one, Candidate other) except -1
    @cython.locals(i=uint64_t, endpoint=Candidate)
    cdef Candidate _draw(self, Candidate other, object tried)
    @cython.locals(size=Py_ssize_t, start=Py_ssize_t, i=Py_ssize_t, endpoint=Candidate)
    cdef Candidate _walk(self, Candidate other, object tried)
