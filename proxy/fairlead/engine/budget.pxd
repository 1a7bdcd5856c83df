from libc.stdint cimport int64_t


cdef class Budget:
    cdef readonly int64_t kept
    cdef readonly bint is_over
    cdef public object on_change
    cdef int64_t _limit

    cpdef object keep(self, int64_t size)
    cpdef object set_limit(self, int64_t limit)
    cdef _judge(self)
