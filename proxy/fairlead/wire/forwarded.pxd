cimport cython

from fairlead.wire.http1 cimport RequestHead

cdef bytes UNIX
cdef bytes _V4_MAPPED
cdef bytes _SCHEME
cdef bytes _ID
cdef bytes _BETWEEN
cdef Py_ssize_t _MAX_SCHEME
cdef Py_ssize_t _MAX_ID
cdef Py_ssize_t _MAX_ADDRESS


cdef class Trust:
    cdef list _networks
    cdef bint _has_unix
    cdef dict _seen

    @cython.locals(found=tuple)
    cpdef bint holds(self, bytes peer) except -1
    @cython.locals(start=Py_ssize_t, end=Py_ssize_t, found=tuple, client=bytes, is_trusted=bint)
    cpdef bytes client(self, bytes forwarded_for, bytes peer)
    @cython.locals(packed=bytes, found=tuple)
    cdef tuple _look_up(self, bytes text)
    cdef bint _covers(self, bytes packed) except -1


cpdef bytes forwarded_fields(RequestHead head, bytes peer, bytes proto)
cpdef bytes request_id_of(bytes claimed)
@cython.locals(before=bytes)
cdef bytes _forwarded_for(bytes claimed, bytes peer)
@cython.locals(value=bytes)
cdef bytes _scheme(bytes claimed)
@cython.locals(value=bytes)
cdef bytes _host(bytes claimed)
cdef bytes _single(bytes claimed)
@cython.locals(address=bytes, port=bytes)
cdef bytes _packed(bytes text)
cdef bint _is_port(bytes text) except -1
cdef bytes _read(bytes address)
cdef bytes _text(bytes packed)
