cdef class RequestIds:
    cdef bytes _worker
    cdef bytes _high
    cdef int _low
    cdef long long _turn

    cpdef bytes take(self)
