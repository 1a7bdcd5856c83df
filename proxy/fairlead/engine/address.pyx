"""Socket addresses in the form that the kernel takes, parsed once and connected to many times.

Owns the text form of an address: "10.0.0.1:80", "[2001:db8::1]:80" or "unix:/run/app.sock". Never resolves a name.
"""

from libc.string cimport memcpy, memset

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* out)
    const char* inet_ntop(int family, const void* address, char* text, socklen_t size)
    unsigned short htons(unsigned short value)

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        pass
    struct in6_addr:
        unsigned char s6_addr[16]
    struct sockaddr_in:
        sa_family_t sin_family
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        sa_family_t sin6_family
        unsigned short sin6_port
        in6_addr sin6_addr
    enum:
        INET6_ADDRSTRLEN

cdef extern from "<sys/un.h>" nogil:
    struct sockaddr_un:
        sa_family_t sun_family
        char sun_path[108]

cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_INET
        AF_INET6
        AF_UNIX

cdef extern from *:
    """
    #include <netinet/in.h>
    static const unsigned char fairlead_v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    """
    const unsigned char fairlead_v4_mapped[12]

from libc.string cimport memcmp


cdef class Address:
    """One address that a stream can connect to.

    Raises ValueError, saying what is wrong, for anything but an IP literal with a port or "unix:" with a path.
    """

    def __init__(self, str text):
        self.text = text
        memset(&self.storage, 0, sizeof(self.storage))
        if text.startswith("unix:"):
            self._unix(text[5:].encode())
            return
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or not port.isascii() or not 0 < int(port) < 65536:
            raise ValueError(f"{text!r} has no port between 1 and 65535")
        self._internet(host, int(port))

    def __repr__(self):
        return f"Address({self.text!r})"

    cdef _unix(self, bytes path):
        cdef sockaddr_un* out = <sockaddr_un*> &self.storage
        # The last byte stays NUL: not every reader of a path copes without.
        if not 0 < len(path) < <Py_ssize_t> sizeof(out.sun_path) or b"\0" in path:
            raise ValueError(f"{self.text!r} needs a path of 1 to {sizeof(out.sun_path) - 1} bytes")
        out.sun_family = AF_UNIX
        memcpy(out.sun_path, <const char*> path, len(path))
        self.length = <socklen_t> sizeof(sockaddr_un)

    cdef _internet(self, str host, int port):
        cdef sockaddr_in* v4 = <sockaddr_in*> &self.storage
        cdef sockaddr_in6* v6 = <sockaddr_in6*> &self.storage
        cdef bytes literal
        if host.startswith("[") and host.endswith("]"):
            literal = host[1:-1].encode()
            v6.sin6_family = AF_INET6
            v6.sin6_port = htons(port)
            self.length = sizeof(sockaddr_in6)
            if inet_pton(AF_INET6, literal, &v6.sin6_addr) == 1:
                return
        else:
            literal = host.encode()
            v4.sin_family = AF_INET
            v4.sin_port = htons(port)
            self.length = sizeof(sockaddr_in)
            if inet_pton(AF_INET, literal, &v4.sin_addr) == 1:
                return
        raise ValueError(f"{self.text!r} is not an IP address with a port (IPv6 in brackets)")


cdef bytes host_of(const sockaddr_storage* storage):
    """The text of a peer's host; a v4-mapped IPv6 address (dual-stack socket) as IPv4; b"unix" for a Unix socket."""
    cdef char[64] text
    cdef const sockaddr_in6* v6
    if storage.ss_family == AF_INET:
        return _ipv4(<const unsigned char*> &(<const sockaddr_in*> storage).sin_addr)
    if storage.ss_family != AF_INET6:
        return b"unix"
    v6 = <const sockaddr_in6*> storage
    if memcmp(&v6.sin6_addr, fairlead_v4_mapped, 12) == 0:
        return _ipv4(v6.sin6_addr.s6_addr + 12)
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text))
    return text


cdef bytes _ipv4(const unsigned char* address):
    """What inet_ntop() would give: it goes through printf(), which costs a tenth of an L4 session's own time."""
    cdef char[16] text
    cdef int i, value, n = 0
    for i in range(4):
        value = address[i]
        if value > 99:
            text[n] = 48 + value // 100
            n += 1
        if value > 9:
            text[n] = 48 + value // 10 % 10
            n += 1
        text[n] = 48 + value % 10
        text[n + 1] = c"."
        n += 2
    return text[:n - 1]
