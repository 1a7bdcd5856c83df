cimport cython

cdef bytes _TOKEN
cdef bytes _VALUE
cdef bytes _HOST
cdef bytes _INTERESTING
cdef dict _KNOWN
cdef dict _CONNECTIONS
cdef int CONNECTION, HOP, TRANSFER_ENCODING, CONTENT_LENGTH, UPGRADE, OWN
cdef int HOST, TE, EXPECT, MAX_FORWARDS, DEBUG
cdef int SHADOW, FORWARDED, FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST, REQUEST_ID
cdef int CLOSE, KEEP_ALIVE, UPGRADES, NAMES_TE


cdef class HeadLimits:
    cdef readonly int max_head_bytes
    cdef readonly int max_fields
    cdef readonly int max_line_bytes


cdef class Head:
    cdef public list parts
    cdef public int minor
    cdef public bint keep_alive
    cdef public int framing
    cdef public long long content_length
    cdef public bytes upgrade
    cdef public str detail
    cdef public bint is_changed
    cdef Py_ssize_t _end
    cdef Py_ssize_t _run
    cdef Py_ssize_t _name
    cdef Py_ssize_t _name_end
    cdef Py_ssize_t _value
    cdef Py_ssize_t _value_end
    cdef Py_ssize_t _line_end
    cdef bint _is_canonical
    cdef int _fields
    cdef bint _has_length
    cdef bytes _codings
    cdef int _connection
    cdef set _nominated
    cdef bytes _protocol
    cdef bint _wants_trailers

    cdef void clear(self, Py_ssize_t start, Py_ssize_t end)
    cdef int reject(self, int rejection, str detail)
    @cython.locals(kind=int, result=int)
    cdef Py_ssize_t scan(self, bytes data, Py_ssize_t i, HeadLimits limits, bint is_reply) except? -999
    @cython.locals(n=Py_ssize_t, token=bytes)
    cdef Py_ssize_t _read_name(self, bytes data, Py_ssize_t i, bint is_reply) except? -999
    @cython.locals(n=Py_ssize_t, legal=bytes, start=Py_ssize_t)
    cdef Py_ssize_t _read_value(self, bytes data, Py_ssize_t i) except? -999
    @cython.locals(size=Py_ssize_t)
    cdef int _kind(self, bytes data) except -999
    cdef int known(self, int kind, bytes data) except -999
    @cython.locals(name=bytes)
    cdef void keep(self, bytes data)
    cdef void drop(self, bytes data)
    cdef int take_length(self, bytes value) except -999
    cdef int take_codings(self, bytes value) except -999
    cdef void take_connection(self, bytes value)
    @cython.locals(value=bytes)
    cdef int chunked(self) except -999
    cdef void drop_nominated(self)


cdef bytes cut(bytes data, Py_ssize_t start, Py_ssize_t end)
@cython.locals(number=longlong, digit=int)
cdef long long decimal(bytes text, Py_ssize_t start, Py_ssize_t end, Py_ssize_t most) except? -999
@cython.locals(kind=object, plain=bytes)
cdef int kind_of(bytes name) except -999
@cython.locals(i=Py_ssize_t, n=Py_ssize_t, marks=int, table=bytes)
cdef bint is_host(bytes value) except -1
cdef bint _is_port(bytes value, Py_ssize_t start) except -1
cdef bint _is_encoded(bytes name) except -1
cdef bint _is_ipv6(bytes value) except -1
