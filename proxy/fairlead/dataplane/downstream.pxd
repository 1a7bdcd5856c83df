cimport cython
from libc.stdint cimport int64_t

from fairlead.dataplane.exchange cimport Downstream, Exchange
from fairlead.dataplane.listener cimport LiveListener
from fairlead.dataplane.request_id cimport RequestIds
from fairlead.dataplane.router cimport Router
from fairlead.dataplane.service cimport LiveService
from fairlead.wire.fields cimport HeadLimits
from fairlead.wire.forwarded cimport Trust
from fairlead.wire.http1 cimport RequestHead

cdef object _NOTHING
cdef RequestHead _HEAD
cdef RequestIds _IDS
cdef bytes _PROTO
cdef bytes _END
cdef int _TURNED_AWAY


cdef class Http1Downstream(Downstream)


cdef class HttpListener(LiveListener):
    cdef readonly Router router
    cdef readonly HeadLimits limits
    cdef public LiveService unrouted
    cdef Trust _trust
    cdef Trust _debugs  # who may ask who served them
    cdef dict _clients
    cdef list _spare

    @cython.locals(client=Http1Downstream)
    cpdef object on_accept(self, int fd)
    cdef tuple _client(self, bytes host)


cdef class Http1Downstream(Downstream):
    cdef HttpListener _http
    cdef readonly bytes peer
    cdef Trust _trust
    cdef bytes _forwarded
    cdef bytes _buffer
    cdef int _requests
    cdef bint _is_fresh
    cdef bint _is_serving
    cdef bint _is_heading
    cdef bint _is_lingering
    cdef bint _is_gone

    cdef begin(self, HttpListener listener)
    cdef _more(self, Exchange exchange, bytes data)
    cdef _serve(self, bytes data)
    cdef _after_replies(self)
    cdef _wait_for_head(self)
    cdef _wait_for_reader(self)
    @cython.locals(exchange=Exchange, service=LiveService)
    cdef Py_ssize_t _begin(self, bytes data, Py_ssize_t start) except -1
    cdef bytes _believe(self, Trust trust)
    @cython.locals(forwarded=bytes)
    cdef bytes _head_for_endpoint(self, bytes request_id)
    cdef _next(self)
    cdef _idle(self)
    cdef _hold(self, bytes data)
    cpdef turn_away(self, int excess)
    cdef _refuse(self, object kind, str detail)
    cdef _linger(self)
    cdef _after_finish(self)
    cdef _gone(self)
