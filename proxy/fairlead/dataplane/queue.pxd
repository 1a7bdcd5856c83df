cimport cython
from libc.stdint cimport int64_t

from fairlead.balance.seam cimport Prng
from fairlead.engine.reactor cimport Stream

cdef int64_t _LEAST_S, _MOST_S, _FORGET


cdef class Queue


cdef class Ticket:
    cdef readonly Stream stream
    cdef public int64_t due
    cdef readonly Queue queue
    cdef Ticket _before
    cdef Ticket _after


cdef class Queue:
    cdef readonly int size
    cdef readonly Ticket first
    cdef Ticket _last
    cdef int64_t _served_at
    cdef int64_t _interval_us
    cdef Prng _prng

    cpdef object join(self, Ticket ticket)
    cpdef object join_first(self, Ticket ticket)
    cpdef object leave(self, Ticket ticket)
    cpdef object served(self, int64_t now)
    @cython.locals(expected=int64_t, base=int64_t)
    cpdef int retry_after_s(self) except -1
