cimport cython
from cpython.array cimport array
from libc.stdint cimport int64_t, uint64_t


@cython.locals(e=int)
cpdef int index_of(int64_t us) except -1


cdef class Histogram:
    cdef array _counts
    cdef uint64_t[::1] _view
    cdef readonly int64_t total
    cdef readonly int64_t sum_us

    cpdef object record(self, int64_t us)
