from libc.stdint cimport int64_t

from fairlead.engine.reactor cimport Acceptor, Reactor


cdef class LiveListener(Acceptor):
    cdef public object spec
    cdef public str name
    cdef public int64_t connections
    cdef public int active
    cdef public int64_t received
    cdef public int64_t sent
    cdef public int max_connections
    cdef public bint is_draining
    cdef public int64_t head_us
    cdef public int64_t body_us
    cdef public int64_t keepalive_us
    cdef public int64_t idle_us
    cdef public object access
    cdef public object on_empty

    cpdef object opened(self)
    cpdef object closed(self)
