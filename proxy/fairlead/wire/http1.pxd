cimport cython

from fairlead.wire.fields cimport Head, HeadLimits

cdef dict _METHODS
cdef bytes _DIGITS_AS_ONE


cdef class RequestHead(Head):
    cdef public bytes method
    cdef public bytes target
    cdef public bytes host
    cdef public bint expect_continue
    cdef public bint is_head
    cdef public bint is_idempotent
    cdef public bint wants_debug
    cdef public bint is_trusted
    cdef public bytes forwarded_for
    cdef public bytes forwarded_proto
    cdef public bytes forwarded_host
    cdef public bytes request_id
    cdef bint _has_host
    cdef bint _is_absolute

    cdef void begin(self, Py_ssize_t start, Py_ssize_t end)
    cdef int line(self, bytes data, Py_ssize_t start, Py_ssize_t method_end, Py_ssize_t target_end) except -999
    cdef int absolute(self, bytes target) except -999
    @cython.locals(text=bytes)
    cdef void take_claim(self, int kind, bytes data)
    cdef int take_host(self, bytes text, bytes data) except -999
    cdef int take_max_forwards(self, bytes text, bytes data) except -999
    cdef int close_head(self) except -999
    cdef void add_connection(self)
    cdef bint _has_content(self) noexcept
    cdef int frame(self) except -999


cdef class ReplyHead(Head):
    cdef public int status
    cdef readonly bint untouched

    cdef void begin(self, Py_ssize_t start, Py_ssize_t end)
    cdef int close_head(self, bint request_is_head) except -999


@cython.locals(i=Py_ssize_t, n=Py_ssize_t, end=Py_ssize_t, method_end=Py_ssize_t, target_end=Py_ssize_t, result=int)
cpdef Py_ssize_t parse_request(bytes data, Py_ssize_t start, RequestHead head, HeadLimits limits) except? -999
@cython.locals(i=Py_ssize_t, n=Py_ssize_t, end=Py_ssize_t)
cpdef Py_ssize_t parse_reply(bytes data, Py_ssize_t start, ReplyHead head, bint request_is_head,
                             HeadLimits limits) except? -999
@cython.locals(n=Py_ssize_t, start=Py_ssize_t, method_end=Py_ssize_t, target_end=Py_ssize_t, result=int, table=bytes)
cdef Py_ssize_t _request_line(bytes data, Py_ssize_t i, RequestHead head, HeadLimits limits) except? -999
cdef Py_ssize_t _line_end(bytes data, Py_ssize_t i, Head head) except? -999
@cython.locals(k=Py_ssize_t, name=bytes, rest=bytes)
cdef Py_ssize_t _version(bytes data, Py_ssize_t i, Head head) except? -999
@cython.locals(n=Py_ssize_t, start=Py_ssize_t, table=bytes, space=Py_ssize_t, end=Py_ssize_t)
cdef Py_ssize_t _status_line(bytes data, Py_ssize_t i, ReplyHead head) except? -999
@cython.locals(k=Py_ssize_t, status=int)
cdef int _status(bytes data, Py_ssize_t i) except -999
cdef bytes _joined(bytes before, bytes text)
cdef bint _names_trailers(bytes value) except -1
cdef bint _is_http(bytes protocol) except -1
