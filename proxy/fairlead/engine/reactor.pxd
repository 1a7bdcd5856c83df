from libc.stdint cimport int64_t, uint32_t, uint64_t
from cpython.array cimport array

from fairlead.engine.address cimport Address, sockaddr_storage
from fairlead.engine.budget cimport Budget

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data


cpdef int64_t monotonic_us() noexcept

cdef enum:
    BATCH = 256  # events taken from the kernel at once


cdef class Reactor:
    cdef readonly object loop
    cdef readonly int64_t now  # microseconds on the monotonic clock, at the start of this turn
    cdef public object on_error  # called with (what: str, exception) when a handler raised
    cdef public object on_exhausted  # called with (acceptor, errno or 0): no descriptors left, or accepting again
    cdef int epfd
    cdef uint32_t generation
    cdef list table
    cdef array deadlines
    cdef list ready
    cdef list starved
    cdef bytes buffer
    cdef object timer
    cdef object poll_callback
    cdef object look_callback
    cdef int expiries  # deadlines acted on at once in this round
    cdef Py_ssize_t look_from  # where the round of looking at deadlines goes on; 0 when it is over
    cdef epoll_event events[BATCH]

    cdef int _add(self, object member, int fd, uint32_t mask, uint64_t tag) except -1
    cdef void _remove(self, int fd)
    cdef _dispatch(self, uint64_t key, uint32_t mask)
    cdef _run_ready(self)
    cdef _failed(self, Stream stream, object error)


cdef class Stream:
    cdef readonly Reactor reactor
    cdef list _pending
    cdef Py_ssize_t _offset
    cdef readonly Py_ssize_t buffered  # bytes that wait for the kernel
    cdef public Budget budget  # of whoever pays for them; changed only while there are none
    cdef int _room
    cdef readonly int fd
    cdef uint32_t _generation
    cdef uint32_t _flags
    cdef readonly bint is_blocked
    cdef readonly int error  # the errno that ended it, or 0

    # What a handler overrides.
    cpdef object on_connect(self)
    cpdef object on_data(self, bytes data)
    cpdef object on_eof(self)
    cpdef object on_drained(self)
    cpdef object on_progress(self)
    cpdef object on_close(self)
    cpdef object on_deadline(self)
    cpdef object on_poke(self)
    cpdef object on_hang_up(self)

    # What a handler calls.
    cpdef object attach(self, Reactor reactor)
    cpdef object adopt(self, int fd)
    cpdef int connect(self, Address address) except -1
    cpdef bint write(self, bytes data) except -1
    cpdef bint write_parts(self, list parts) except -1
    cpdef object pause(self)
    cpdef object resume(self)
    cpdef object poke(self)
    cpdef object set_alert(self, bint alert)
    cpdef bint has_hung_up(self)
    cpdef object end_follows(self)
    cpdef object shutdown_write(self)
    cpdef object finish(self)
    cpdef object close(self)
    cpdef object abort(self)
    cpdef object arm(self, int64_t delay_us)
    cpdef object set_room(self, Py_ssize_t room)
    cpdef bint has_news(self)
    cpdef bint is_ending(self)
    cpdef bint is_quiet(self)

    cdef _event(self, uint32_t mask)
    cdef _established(self, uint32_t mask)
    cdef int _take_error(self) noexcept
    cdef _read(self)
    cdef _queue(self)
    cdef _end(self, int error)
    cdef _flush(self)
    cdef _drained(self)
    cdef Py_ssize_t _send(self, const char* data, Py_ssize_t size) noexcept
    cdef int _send_flags(self) noexcept
    cdef bint _is_over(self, Py_ssize_t* n) noexcept
    cdef void _short_read(self) noexcept
    cdef _hand_over(self, bytes buffer, Py_ssize_t n)
    cdef _nothing_read(self, Py_ssize_t n, int error)
    cdef Py_ssize_t _gather(self, list parts, Py_ssize_t offset, Py_ssize_t* asked)
    cdef bint _push(self, list parts, Py_ssize_t offset) except -1
    cdef bint _keep(self, list parts, Py_ssize_t sent) except -1
    cdef _account(self, Py_ssize_t size)


cdef class Acceptor:
    cdef readonly Reactor reactor
    cdef readonly int fd
    cdef uint32_t _generation
    cdef bint _is_paused
    cdef bint _is_exhausted
    cdef sockaddr_storage _peer

    cpdef object on_accept(self, int fd)
    cpdef bytes peer_host(self)
    cpdef object open(self, int fd)
    cpdef object pause(self)
    cpdef object resume(self)
    cpdef object retry(self)
    cpdef object accept_all(self)
    cpdef object close(self)
    cdef int _accept(self) except -1
    cdef _accepted(self, int fd)
    cdef _not_served(self, int fd, uint32_t generation, object error)
    cdef _exhausted(self, int error)
    cdef _tell_exhausted(self, int error)
    cdef _modify(self, uint32_t mask)
