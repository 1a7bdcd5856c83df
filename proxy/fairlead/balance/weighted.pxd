cimport cython
from libc.stdint cimport int64_t, uint64_t

from fairlead.balance.seam cimport Candidate, Picker


cdef class Weighted(Picker):
    cdef list _queue
    cdef readonly int64_t now

    @cython.locals(endpoint=Candidate, entry=tuple, due=int64_t)
    cpdef Candidate pick(self, uint64_t key, object tried)
