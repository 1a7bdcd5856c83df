cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    ctypedef unsigned short sa_family_t
    struct sockaddr:
        sa_family_t sa_family
    struct sockaddr_storage:
        sa_family_t ss_family


cdef class Address:
    cdef readonly str text
    cdef sockaddr_storage storage
    cdef socklen_t length
    cdef _unix(self, bytes path)
    cdef _internet(self, str host, int port)


cdef bytes host_of(const sockaddr_storage* storage)
