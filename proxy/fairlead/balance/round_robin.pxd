cimport cython
from libc.stdint cimport uint64_t

from fairlead.balance.seam cimport Candidate, Picker


cdef class RoundRobin(Picker):
    cdef list _endpoints
    cdef Py_ssize_t _next

    @cython.locals(endpoint=Candidate, size=Py_ssize_t, i=Py_ssize_t)
    cpdef Candidate pick(self, uint64_t key, object tried)
