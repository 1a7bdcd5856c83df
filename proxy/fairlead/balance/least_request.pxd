cimport cython
from libc.stdint cimport uint64_t

from fairlead.balance.seam cimport Candidate, Picker, Prng


cdef class LeastRequest(Picker):
    cdef list _endpoints
    cdef Prng _prng

    @cython.locals(a=Candidate, b=Candidate, size=Py_ssize_t, i=Py_ssize_t, j=Py_ssize_t)
    cpdef Candidate pick(self, uint64_t key, object tried)
    cdef Candidate _better(self, Candidate a, Candidate b)
    cdef Candidate _untried(self, object tried)
