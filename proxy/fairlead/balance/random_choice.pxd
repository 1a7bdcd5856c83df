cimport cython
from libc.stdint cimport uint64_t

from fairlead.balance.seam cimport Candidate, Picker, Prng

cdef int _DRAWS


cdef class RandomChoice(Picker):
    cdef list _endpoints
    cdef Prng _prng

    @cython.locals(endpoint=Candidate, size=Py_ssize_t, start=Py_ssize_t, i=Py_ssize_t)
    cpdef Candidate pick(self, uint64_t key, object tried)
