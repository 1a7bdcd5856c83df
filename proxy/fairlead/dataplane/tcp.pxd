cimport cython
from libc.stdint cimport int64_t

from fairlead.dataplane.endpoint cimport LiveEndpoint
from fairlead.dataplane.listener cimport LiveListener
from fairlead.dataplane.queue cimport Ticket
from fairlead.dataplane.service cimport LiveService
from fairlead.engine.reactor cimport Stream


cdef object _NOTHING


cdef class TcpClient(Stream)
cdef class TcpServer(Stream)


cdef class TcpListener(LiveListener):
    cdef public LiveService service

    @cython.locals(client=TcpClient)
    cpdef object on_accept(self, int fd)


cdef class TcpClient(Stream):
    cdef readonly TcpListener listener
    cdef readonly LiveService service
    cdef readonly bytes host
    cdef TcpServer server
    cdef list tried
    cdef object failure
    cdef int64_t idle_us
    cdef int64_t started
    cdef int64_t received
    cdef int64_t sent
    cdef int attempts
    cdef bint is_over
    cdef Ticket ticket
    cdef int64_t turn_due

    cdef begin(self, TcpListener listener)
    cpdef object start(self)
    cpdef object next_server(self)
    cpdef object server_lost(self, object failure)
    cpdef object end(self, object reason)
    @cython.locals(server=TcpServer)
    cdef bint _connect(self, LiveEndpoint endpoint, int64_t limit_us) except -1
    cdef bint _probe(self) except -1
    @cython.locals(ticket=Ticket)
    cdef _wait_for_room(self)
    @cython.locals(ticket=Ticket)
    cdef _stop_waiting(self)
    cdef _note_failure(self, LiveEndpoint endpoint, object failure)
    cdef _count(self, LiveEndpoint endpoint, int status, object reason)


cdef class TcpServer(Stream):
    cdef readonly TcpClient client
    cdef readonly LiveEndpoint endpoint
    cdef readonly int64_t started
    cdef readonly bint is_connected
    cdef public bint is_probe
    cdef bint is_over

    cdef begin(self, TcpClient client, LiveEndpoint endpoint)
    cpdef object end_probe(self, object failure)
    @cython.locals(service=LiveService)
    cpdef object release(self)


cdef _part(Stream stream, object reason)
