cimport cython
from libc.stdint cimport int64_t

cdef double _START, _LEAST, _MOST, _SLACK, _ERRORS, _STEEPEST, _STEP, _DIP
cdef int64_t _WINDOW_US
cdef int _WINDOW_REPLIES, _REMEMBERED, _CALM_RANK, _DIP_EVERY, _DIP_FIRST, _DIP_WINDOWS


cdef class Limiter:
    cdef readonly int waiting
    cdef readonly double limit
    cdef readonly int allowed
    cdef list _calms
    cdef double _logs
    cdef double _squares
    cdef int _count
    cdef int _peak
    cdef int64_t _began
    cdef int _held
    cdef int _next_dip
    cdef int _dip

    cpdef bint has_room(self)
    cpdef object begin(self)
    cpdef object end(self)
    @cython.locals(took=double)
    cpdef object answered(self, int64_t now, int64_t took_us, bint is_failure)
    @cython.locals(mean=double, variance=double)
    cdef _end_window(self, int64_t now)
    @cython.locals(ratio=double, gradient=double, wanted=double)
    cdef _learn(self, double took, double error)
    cdef double _calm(self) except? -1
    cdef _look_for_calm(self)
