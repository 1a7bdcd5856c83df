cimport cython

cdef bytes _HEX
cdef int _BROKEN, _OVER_EXTENSIONS, _OVER_TRAILERS, _OVER_BODY
cdef long long _NO_LIMIT


cdef class BodyLimits:
    cdef readonly long long max_body_bytes
    cdef readonly long long max_chunk_extension_bytes
    cdef readonly long long max_trailer_bytes


cdef class Body:
    cdef readonly bint is_done
    cdef readonly bint is_bad
    cdef readonly str detail
    cdef readonly int rejection
    cdef public BodyLimits limits
    cdef int _framing
    cdef bint _rechunk
    cdef long long _left
    cdef int _state
    cdef int _digits
    cdef long long _size
    cdef int _extension_size
    cdef bytes _line
    cdef long long _trailer_size
    cdef list _trailers

    cpdef object begin(self, int framing, long long content_length, bint rechunk)
    @cython.locals(n=Py_ssize_t, size=Py_ssize_t)
    cpdef Py_ssize_t take(self, bytes data, Py_ssize_t start, list out) except -1
    @cython.locals(i=Py_ssize_t, n=Py_ssize_t, end=Py_ssize_t, pieces=list, size=Py_ssize_t)
    cdef Py_ssize_t _take_chunked(self, bytes data, Py_ssize_t start, list out) except -1
    @cython.locals(n=Py_ssize_t, c=int)
    cdef Py_ssize_t _take_size(self, bytes data, Py_ssize_t i) except -1
    @cython.locals(n=Py_ssize_t, start=Py_ssize_t)
    cdef Py_ssize_t _read_extensions(self, bytes data, Py_ssize_t i) except -1
    cdef bint _take_extensions(self) except -1
    @cython.locals(n=Py_ssize_t, end=Py_ssize_t, room=longlong, is_over=bint)
    cdef Py_ssize_t _take_trailers(self, bytes data, Py_ssize_t i, list out) except -1
    cdef _end_trailers(self, list out)
    cdef _trailer(self, bytes line)
    cdef Py_ssize_t _bad(self, str detail, Py_ssize_t offset)
    cdef Py_ssize_t _over(self, int rejection, str detail, Py_ssize_t offset)
