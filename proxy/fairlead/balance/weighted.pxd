cimport cython
from libc.stdint cimport int64_t, uint64_t

from fairlead.balance.round_robin cimport RoundRobin
from fairlead.balance.seam cimport Candidate, Picker


cdef class Group:
    cdef readonly int64_t each
    cdef readonly int64_t weight
    cdef readonly RoundRobin members
    cdef readonly int64_t begin
    cdef readonly int64_t end
    cdef readonly int64_t rest

    cdef void start(self, int64_t at, int64_t total)
    cdef void advance(self, int64_t total)
    cdef void _set(self, int64_t total)


cdef class Weighted(Picker):
    cdef int64_t _now
    cdef int64_t _total
    cdef list _ready
    cdef list _waiting

    @cython.locals(group=Group)
    cpdef Candidate pick(self, uint64_t key, object tried)
    @cython.locals(waiting=list, group=Group)
    cdef Group _due(self)
    cdef _take_turn(self, Group group)
    @cython.locals(group=Group, chosen=Candidate)
    cdef Candidate _pick_untried(self, object tried)
