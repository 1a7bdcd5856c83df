from libc.stdint cimport int64_t

from fairlead.dataplane.endpoint cimport LiveEndpoint
from fairlead.dataplane.exchange cimport Exchange, Upstream
from fairlead.dataplane.service cimport LiveService
from fairlead.engine.reactor cimport Reactor
from fairlead.wire.fields cimport HeadLimits
from fairlead.wire.http1 cimport ReplyHead

cdef object _NOTHING
cdef ReplyHead _HEAD
cdef HeadLimits _LIMITS


cdef class Http1Upstream(Upstream):
    cdef bytes _buffer
    cdef int64_t _started

    cpdef object begin(self, Reactor reactor, LiveService service, LiveEndpoint endpoint)
    cdef _parse(self, Exchange exchange, bytes data)
    cdef _forget(self)
    cdef _hold(self, bytes data)
