cimport cython
from libc.stdint cimport int64_t, uint64_t

from fairlead.balance.least_request cimport LeastRequest
from fairlead.balance.seam cimport Candidate, Picker

cdef uint64_t _MASK, _FNV_BASIS, _FNV_PRIME, _MIX_1, _MIX_2, _GOLDEN, _NUMBER
cdef int _POINTS, _PROBES, _WALK, _FREE


cdef class BoundedHash(Picker):
    cdef LeastRequest _keyless
    cdef list _endpoints
    cdef int64_t _total
    cdef Py_ssize_t _size
    cdef uint64_t[::1] _points
    cdef int[::1] _first
    cdef int _shift

    @cython.locals(number=Py_ssize_t, key=uint64_t, step=Py_ssize_t, part=Py_ssize_t)
    cdef _place(self, list keys, list counts)
    cdef uint64_t _point(self, uint64_t key, uint64_t step, uint64_t number) except? 0
    @cython.locals(part=Py_ssize_t, i=Py_ssize_t)
    cdef int _insert(self, uint64_t point) except -1
    @cython.locals(owner=Candidate, spare=Candidate, step=int)
    cpdef Candidate pick(self, uint64_t key, object tried)
    cdef bint _has_room(self, Candidate endpoint) except -1
    @cython.locals(i=Py_ssize_t, at=uint64_t, nearest=uint64_t, distance=uint64_t, point=uint64_t, owner=Candidate)
    cdef Candidate _owner(self, uint64_t key, object tried)
    @cython.locals(size=Py_ssize_t, i=Py_ssize_t, at=Py_ssize_t)
    cdef Py_ssize_t _untried(self, Py_ssize_t start, object tried) except -2


@cython.locals(h=uint64_t, byte=cython.uchar)
cpdef uint64_t key_of(bytes text) except? 0
cpdef uint64_t mixed(uint64_t x) noexcept
