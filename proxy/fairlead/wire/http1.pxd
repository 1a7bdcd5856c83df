cimport cython

from fairlead.wire.fields cimport Head, HeadLimits

cdef dict _METHODS


cdef class RequestHead(Head):
    cdef public bytes method
    cdef public bytes target
    cdef public bytes host
    cdef public bint expect_continue
    cdef public bint is_head
    cdef public bint is_idempotent
    cdef public bytes forwarded_for
    cdef public bytes request_id
    cdef bint _has_host
    cdef bint _is_absolute

    cdef void begin(self, Py_ssize_t start)
    cdef int line(self, bytes data, Py_ssize_t start, Py_ssize_t method_end, Py_ssize_t target_end) except -999
    cdef int absolute(self, bytes target) except -999
    cdef int close_head(self) except -999
    cdef int frame(self) except -999


cdef class ReplyHead(Head):
    cdef public int status
    cdef readonly bint untouched

    cdef int close_head(self, bint request_is_head) except -999


@cython.locals(i=Py_ssize_t, n=Py_ssize_t, end=Py_ssize_t, method_end=Py_ssize_t, target_end=Py_ssize_t, result=int)
cpdef Py_ssize_t parse_request(bytes data, Py_ssize_t start, RequestHead head, HeadLimits limits) except? -999
@cython.locals(i=Py_ssize_t, n=Py_ssize_t, end=Py_ssize_t)
cpdef Py_ssize_t parse_reply(bytes data, Py_ssize_t start, ReplyHead head, bint request_is_head,
                             HeadLimits limits) except? -999
@cython.locals(n=Py_ssize_t, start=Py_ssize_t, method_end=Py_ssize_t, target_end=Py_ssize_t, result=int, table=bytes)
cdef Py_ssize_t _request_line(bytes data, Py_ssize_t i, RequestHead head, HeadLimits limits) except? -999
@cython.locals(n=Py_ssize_t, start=Py_ssize_t, status=int, table=bytes, space=Py_ssize_t)
cdef Py_ssize_t _status_line(bytes data, Py_ssize_t i, ReplyHead head) except? -999
@cython.locals(size=Py_ssize_t)
cdef Py_ssize_t _version(bytes data, Py_ssize_t i, Head head) except? -999
