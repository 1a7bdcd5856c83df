cimport cython

cdef bytes _TOKEN
cdef bytes _VALUE
cdef bytes _HOST
cdef bytes _INTERESTING
cdef dict _KNOWN
cdef dict _CONNECTIONS


cdef class HeadLimits:
    cdef readonly int max_head_bytes
    cdef readonly int max_fields
    cdef readonly int max_target_bytes


cdef class Head:
    cdef public list parts
    cdef public int minor
    cdef public bint keep_alive
    cdef public int framing
    cdef public long long content_length
    cdef public bytes upgrade
    cdef public str detail
    cdef public bint is_changed
    cdef Py_ssize_t _run
    cdef int _fields
    cdef bint _has_length
    cdef bytes _codings
    cdef int _connection
    cdef set _nominated
    cdef bytes _protocol
    cdef bint _wants_trailers

    cdef void clear(self, Py_ssize_t start)
    cdef int reject(self, int rejection, str detail)
    @cython.locals(i=Py_ssize_t, n=Py_ssize_t, name=Py_ssize_t, name_end=Py_ssize_t, value=Py_ssize_t, end=Py_ssize_t,
                   size=Py_ssize_t, is_canonical=bint, token=bytes, legal=bytes, interesting=bytes, kind=int, result=int)
    cdef Py_ssize_t scan(self, bytes data, Py_ssize_t i, HeadLimits limits, bint is_reply) except? -999
    cdef int known(self, int kind, bytes data, Py_ssize_t name, Py_ssize_t value, Py_ssize_t end, Py_ssize_t after,
                   bint is_canonical) except -999
    cdef void keep(self, bytes data, Py_ssize_t name, Py_ssize_t name_end, Py_ssize_t value, Py_ssize_t end,
                   Py_ssize_t after, bint is_canonical)
    cdef void drop(self, bytes data, Py_ssize_t name, Py_ssize_t after)
    cdef int take_length(self, bytes value) except -999
    cdef int take_codings(self, bytes value) except -999
    cdef void take_connection(self, bytes value)
    cdef int chunked(self) except -999
    cdef void drop_nominated(self)


@cython.locals(kind=object)
cdef int kind_of(bytes name) except -999
@cython.locals(i=Py_ssize_t, n=Py_ssize_t, table=bytes)
cdef bint is_host(bytes value) except -1
