"""An epoll set nested in the event loop: streams, acceptors and their deadlines.

Owns every socket of the data plane. Its epoll descriptor is registered with the loop, so one call from the loop into
compiled code serves every ready socket, and no coroutine, future or timer is made for a request. Knows nothing of
HTTP or of balancing.

Facts about sockets that the code below rests on (Linux, epoll(7), tcp(7)):

- Streams are registered once, edge-triggered, for reading and writing: no epoll_ctl for a request. An edge that comes
  while a stream is paused is remembered in its flags.
- A read that returns less than was asked for has emptied the socket: data that comes later is a new edge. If
  EPOLLRDHUP was seen before it, the end is all that is left, and no further edge tells of it. Urgent data is the
  exception, as a read stops short of it: once EPOLLPRI was seen, reading goes on until the kernel has nothing.
- EPOLLOUT is raised again only after a write that the kernel could not take whole.
- A failed send() takes the socket's error with it and the next recv() then returns 0. The error is kept, or a reset
  would look like an orderly end.
- Behind the peer's end recv() returns 0 even when a reset has followed: that EPOLLERR was seen is kept.
- A descriptor number is used again at once. Each registration carries a generation, and an event of an older one is
  dropped.

Handlers are called from `poll` alone, and never from inside a call that they make.
"""

from cpython.array cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.errno cimport (
    EAGAIN, ECONNABORTED, ECONNRESET, EINPROGRESS, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPIPE, EPROTO,
    errno,
)
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close as close_fd

from fairlead.engine.budget cimport Budget
from fairlead.engine.address cimport Address, host_of, sockaddr, sockaddr_storage, socklen_t

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLLPRI
        EPOLLERR
        EPOLLHUP
        EPOLLRDHUP
        EPOLLET
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_MOD
        EPOLL_CTL_DEL
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int operation, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int size, int timeout)

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    struct linger:
        int l_onoff
        int l_linger
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    enum:
        SOL_SOCKET
        SO_ERROR
        SO_LINGER
        SO_KEEPALIVE
        SOCK_STREAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        MSG_NOSIGNAL
        MSG_MORE
        MSG_PEEK
        SHUT_WR
        AF_UNIX
    int socket(int domain, int kind, int protocol)
    int c_connect "connect"(int fd, const sockaddr* address, socklen_t length)
    int accept4(int fd, sockaddr* address, socklen_t* length, int flags)
    Py_ssize_t recv(int fd, void* buffer, size_t size, int flags)
    Py_ssize_t send(int fd, const void* buffer, size_t size, int flags)
    Py_ssize_t sendmsg(int fd, const msghdr* message, int flags)
    int c_shutdown "shutdown"(int fd, int how)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* length)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t length)

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_NODELAY

cdef extern from "Python.h":
    void Py_SET_SIZE(bytes o, Py_ssize_t size)
    Py_ssize_t Py_REFCNT(PyObject* o)

cdef enum:
    READ_SIZE = 65536  # one read; also the most that a blocked peer makes us keep
    COPY_SIZE = 8192  # up to here a read is copied to a string of its own size
    BACKLOG = 4096  # what may have queued up on a listening socket, about
    ACCEPT_BATCH = 16  # connections taken from one acceptor in a turn, so that it cannot starve the rest
    PASSES = 8  # times that one call of `poll` asks the kernel before the loop has its turn
    PIECES = 64  # parts handed to one sendmsg()
    TICK_US = 100_000  # deadlines are looked at this often,
    EXPIRIES = 1  # of those that have passed one is acted on, and the next after a pause: so what hundreds of them
    PAUSE_US = 1000  # give rise to, closing and accepting, is spread over the tick and holds up nobody
    MOST_EXPIRIES = 256  # each tick that finds the round not over doubles their number, up to this

# What is known of a stream's socket, and what was asked of it.
cdef enum:
    READABLE = 1 << 0  # the kernel may hold data, an end or an error
    ENDED = 1 << 1  # EPOLLRDHUP was seen: nothing follows what the kernel holds
    PAUSED = 1 << 2  # the handler does not want data now
    QUEUED = 1 << 3  # in the ready list
    CONNECTING = 1 << 4  # connect() is under way
    EOF_GIVEN = 1 << 5  # on_eof was called
    SHUT_ASKED = 1 << 6  # shut the write side when all is written
    SHUT = 1 << 7  # the write side is shut
    FINISHING = 1 << 8  # close when all is written
    PATIENT = 1 << 9  # see Stream.set_patient
    FAILED = 1 << 10  # EPOLLERR was seen
    URGENT = 1 << 11  # EPOLLPRI was seen
    EMPTIED = 1 << 12  # the end is all that the kernel holds
    ENDING = 1 << 13  # see Stream.end_follows
    POKED = 1 << 14  # on_poke is due
    ALERT = 1 << 15  # see Stream.set_alert

cdef uint64_t ACCEPTOR = <uint64_t> 1 << 63  # tags an acceptor in an event's data


cpdef int64_t monotonic_us() noexcept:
    """The monotonic clock in microseconds."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t> now.tv_sec * 1_000_000 + now.tv_nsec // 1000


cdef class Reactor:
    """The epoll set. `open` hooks it into a loop that has `add_reader`, `call_later` and `call_soon`."""

    def __init__(self, loop):
        self.loop = loop
        self.epfd = -1
        self.table = []
        self.deadlines = array("q")
        self.ready = []
        self.starved = []
        self.look_from = 0
        self.expiries = EXPIRIES
        self.poll_callback = self.poll
        self.look_callback = self._look
        self.now = monotonic_us()

    def open(self):
        """Start serving. Raises OSError when the kernel gives no epoll set."""
        self.epfd = epoll_create1(EPOLL_CLOEXEC)
        if self.epfd < 0:
            raise OSError(errno, "epoll_create1 failed")
        self.loop.add_reader(self.epfd, self.poll_callback)
        self.timer = self.loop.call_later(TICK_US / 1e6, self._tick)

    def close(self):
        """Stop serving and close every stream and acceptor, without calling their handlers."""
        if self.epfd < 0:
            return
        for member in self.table:
            if member is not None:
                member.close()
        self.loop.remove_reader(self.epfd)
        self.timer.cancel()
        close_fd(self.epfd)
        self.epfd = -1

    def members(self):
        """The streams and acceptors that are open."""
        return [member for member in self.table if member is not None]

    def poll(self):
        """Serve what is ready. Returns to the loop after a few passes even when more is ready."""
        cdef int i, n = 0, passes
        for passes in range(PASSES):
            n = epoll_wait(self.epfd, self.events, BATCH, 0)
            self.now = monotonic_us()
            for i in range(n):
                self._dispatch(self.events[i].data.u64, self.events[i].events)
            if self.ready:
                self._run_ready()
            elif n <= 0:
                return
        if self.ready:
            # What the kernel still holds wakes the loop by itself; what waits here would not.
            self.loop.call_soon(self.poll_callback)

    def wake(self):
        """Serve soon what a call from outside of `poll` has made ready."""
        self.loop.call_soon(self.poll_callback)

    def _tick(self):
        self.timer = self.loop.call_later(TICK_US / 1e6, self._tick)
        if not self.look_from:
            self.expiries = EXPIRIES
            self._look()
        elif self.expiries < MOST_EXPIRIES:
            self.expiries *= 2
        if self.starved:
            starved, self.starved = self.starved, []
            for acceptor in starved:
                acceptor.retry()

    def _look(self):
        """Act on deadlines that have passed. A thousand at once, as in an attack, must not hold up everybody else."""
        cdef Py_ssize_t fd, start
        cdef int64_t when
        cdef int left = self.expiries
        if self.epfd < 0:
            return
        self.now = monotonic_us()
        # Looking at 20,000 deadlines takes 10 us; a timer for each would cost more than the requests.
        start, self.look_from = self.look_from, 0
        for fd in range(start, len(self.deadlines)):
            when = self.deadlines.data.as_longlongs[fd]
            if when != 0 and when <= self.now:
                self.deadlines.data.as_longlongs[fd] = 0
                self._expire(self.table[fd])
                left -= 1
                if left == 0:
                    self.look_from = fd + 1
                    self.loop.call_later(PAUSE_US / 1e6, self.look_callback)
                    break
        if self.ready:
            self.loop.call_soon(self.poll_callback)

    def _expire(self, Stream stream):
        try:
            stream.on_deadline()
        except Exception as error:
            self._failed(stream, error)

    cdef int _add(self, object member, int fd, uint32_t mask, uint64_t tag) except -1:
        cdef epoll_event event
        while fd >= len(self.table):
            self.table.extend([None] * 64)
            self.deadlines.extend(array("q", [0] * 64))
        self.generation = (self.generation + 1) & 0x7FFFFFFF
        event.events = mask
        event.data.u64 = tag | <uint64_t> self.generation << 32 | <uint32_t> fd
        if epoll_ctl(self.epfd, EPOLL_CTL_ADD, fd, &event) != 0:
            raise OSError(errno, "epoll_ctl failed")
        self.table[fd] = member
        return 0

    cdef void _remove(self, int fd):
        self.table[fd] = None
        self.deadlines.data.as_longlongs[fd] = 0

    cdef _dispatch(self, uint64_t key, uint32_t mask):
        cdef int fd = <int> <uint32_t> key
        cdef uint32_t generation = <uint32_t> (key >> 32) & 0x7FFFFFFF
        cdef Stream stream
        cdef Acceptor acceptor
        member = self.table[fd]
        if member is None:
            return
        if key & ACCEPTOR:
            acceptor = <Acceptor?> member
            if acceptor._generation == generation:
                acceptor._accept()
            return
        stream = <Stream> member
        if stream._generation != generation:
            return
        try:
            stream._event(mask)
        except Exception as error:
            self._failed(stream, error)

    cdef _run_ready(self):
        cdef Stream stream
        batch, self.ready = self.ready, []
        for stream in batch:
            stream._flags &= ~QUEUED
            if stream.fd < 0 or not stream._flags & (READABLE | POKED):
                continue
            try:
                if stream._flags & POKED:
                    stream._flags &= ~POKED
                    stream.on_poke()
                    if stream.fd < 0 or not stream._flags & READABLE:
                        continue
                if not stream._flags & PAUSED:
                    stream._read()
                elif stream.error and not stream._flags & PATIENT:
                    stream._end(0)
            except Exception as error:
                self._failed(stream, error)

    cdef _failed(self, Stream stream, object error):
        """A handler raised: a bug. It costs this one stream, and it is told."""
        if self.on_error is not None:
            self.on_error(f"a handler of {type(stream).__name__} failed", error)
        if stream.fd >= 0:
            stream.abort()
            try:
                stream.on_close()
            except Exception as second:
                if self.on_error is not None:
                    self.on_error(f"on_close of {type(stream).__name__} failed", second)


cdef class Stream:
    """One connected socket. Subclasses override `on_*`; an override is called with the stream open.

    `on_connect` the connection that `connect` began is there · `on_data` bytes came · `on_eof` the peer will send no
    more · `on_drained` all that was written is with the kernel, after a `write` that was not · `on_progress` a part of
    it is · `on_deadline` the time given to `arm` has passed · `on_close` the stream ended by an error (`error` holds
    the errno) or because `finish` is done; never called for `close` and `abort` · `on_poke` after `poke`, from `poll` and
    not from inside the call · `on_hang_up` see `set_alert`.
    """

    def __cinit__(self):
        self.fd = -1
        self._room = READ_SIZE

    def __init__(self, Reactor reactor):
        self.reactor = reactor

    cpdef object attach(self, Reactor reactor):
        """What `__init__` does, for one that was made by `__new__`: compiled code does without a call of the type."""
        self.reactor = reactor

    cpdef object on_connect(self):
        pass

    cpdef object on_data(self, bytes data):
        pass

    cpdef object on_eof(self):
        self.close()

    cpdef object on_drained(self):
        pass

    cpdef object on_progress(self):
        pass

    cpdef object on_close(self):
        pass

    cpdef object on_deadline(self):
        pass

    cpdef object on_poke(self):
        pass

    cpdef object on_hang_up(self):
        pass

    @property
    def is_open(self):
        return self.fd >= 0

    cpdef object adopt(self, int fd):
        """Take over a connected, non-blocking socket."""
        self.fd = fd
        try:
            self.reactor._add(self, fd, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET, 0)
        except OSError:
            self.fd = -1
            close_fd(fd)
            raise
        self._generation = self.reactor.generation

    cpdef int connect(self, Address address) except -1:
        """Begin to connect. Returns 0, or the errno of a connection that failed at once.

        What is written meanwhile is sent as soon as it can be: over loopback the connection is there already.
        """
        cdef int one = 1
        cdef int family = address.storage.ss_family
        cdef int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if fd < 0:
            return errno
        if family != AF_UNIX:
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
            setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one))
        if c_connect(fd, <sockaddr*> &address.storage, address.length) != 0 and errno != EINPROGRESS:
            error = errno
            close_fd(fd)
            return error
        self._flags = self._flags & PATIENT | CONNECTING
        self.error = 0
        self.adopt(fd)
        return 0

    cpdef bint write(self, bytes data) except -1:
        """Send `data` now, or what the kernel does not take as soon as it does. Returns False when some had to wait.

        Bytes written to a stream that has failed vanish: `on_close` follows.
        """
        cdef Py_ssize_t n
        if self._pending is not None:
            self._pending.append(data)
            self._account(PyBytes_GET_SIZE(data))
            return False
        if self.fd < 0 or self.error:
            return True
        n = self._send(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        if n == PyBytes_GET_SIZE(data) or n < 0:
            return True
        self._pending = [data]
        self._offset = n
        self.is_blocked = True
        self._account(PyBytes_GET_SIZE(data) - n)
        return False

    cpdef bint write_parts(self, list parts) except -1:
        """`write` for several strings, gathered by the kernel instead of being joined."""
        if len(parts) == 1:
            return self.write(<bytes> parts[0])
        if self._pending is not None:
            self._pending.extend(parts)
            for part in parts:
                self._account(PyBytes_GET_SIZE(<bytes> part))
            return False
        if self.fd < 0 or self.error or not parts:
            return True
        return self._push(parts, 0)

    cdef bint _push(self, list parts, Py_ssize_t offset) except -1:
        """Send from `offset` of the first part on and keep what is left; True when that is nothing."""
        cdef Py_ssize_t asked = 0, n
        while True:
            n = self._gather(parts, offset, &asked)
            if n < 0:
                return True
            if n < asked or len(parts) <= PIECES:
                return self._keep(parts, offset + n)
            # The kernel took all of a full vector: it may take more, and no edge would tell.
            parts = parts[PIECES:]
            offset = 0

    cdef bint _keep(self, list parts, Py_ssize_t sent) except -1:
        cdef Py_ssize_t i = 0, size
        for i in range(len(parts)):
            size = PyBytes_GET_SIZE(<bytes> parts[i])
            if sent < size:
                self._pending = parts[i:]
                self._offset = sent
                self.is_blocked = True
                size = -sent
                for part in self._pending:
                    size += PyBytes_GET_SIZE(<bytes> part)
                self._account(size - self.buffered)
                return False
            sent -= size
        return True

    cdef _account(self, Py_ssize_t size):
        self.buffered += size
        if self.budget is not None:
            self.budget.keep(size)

    cdef Py_ssize_t _send(self, const char* data, Py_ssize_t size) noexcept:
        """Bytes that the kernel took, or -1 when the stream has failed: its end is then found by reading."""
        cdef Py_ssize_t n
        while True:
            n = send(self.fd, data, size, self._send_flags())
            if n >= 0 or self._is_over(&n):
                return n

    cdef int _send_flags(self) noexcept:
        return MSG_NOSIGNAL | MSG_MORE if self._flags & ENDING else MSG_NOSIGNAL

    cdef bint _is_over(self, Py_ssize_t* n) noexcept:
        """Whether sending, which gave -1, is over: with no byte taken for now, or for good."""
        if errno == EINTR:
            return False
        if errno == EAGAIN:
            n[0] = 0
        else:
            self.error = errno
            self._flags |= READABLE
            self._queue()
        return True

    cdef Py_ssize_t _gather(self, list parts, Py_ssize_t offset, Py_ssize_t* asked):
        cdef iovec vector[PIECES]
        cdef msghdr message
        cdef bytes part
        cdef Py_ssize_t n = 0
        asked[0] = 0
        for part in parts:
            vector[n].iov_base = PyBytes_AS_STRING(part) + offset
            vector[n].iov_len = PyBytes_GET_SIZE(part) - offset
            asked[0] += PyBytes_GET_SIZE(part) - offset
            offset = 0
            n += 1
            if n == PIECES:
                break
        memset(&message, 0, sizeof(message))
        message.msg_iov = vector
        message.msg_iovlen = n
        while True:
            n = sendmsg(self.fd, &message, self._send_flags())
            if n >= 0 or self._is_over(&n):
                return n

    cdef _flush(self):
        cdef list parts = self._pending
        cdef bytes first = parts[0]
        cdef Py_ssize_t offset = self._offset
        self._pending = None
        self._offset = 0
        self.is_blocked = False
        if self._push(parts, offset):
            self._account(-self.buffered)
            if not self.error:
                self._drained()
        elif self._offset != offset or self._pending[0] is not first:
            self.on_progress()

    cdef _drained(self):
        if self._flags & SHUT_ASKED:
            self._flags &= ~SHUT_ASKED
            self.shutdown_write()
        if self._flags & FINISHING:
            self.close()
            self.on_close()
        else:
            self.on_drained()

    cpdef object pause(self):
        """Take no more data for now. Costs nothing: no call to the kernel."""
        self._flags |= PAUSED

    cpdef object resume(self):
        """Take data again; what came meanwhile is read in this turn or the next."""
        self._flags &= ~PAUSED
        if self._flags & READABLE:
            self._queue()

    def set_patient(self, bint patient):
        """Whether an error that comes while paused waits until what was received before it has been read."""
        if patient:
            self._flags |= PATIENT
        else:
            self._flags &= ~PATIENT

    cpdef object poke(self):
        """Call `on_poke` in this turn or the next, once for however many pokes. For what is not the stream's own news."""
        self._flags |= POKED
        self._queue()

    cpdef object set_alert(self, bint alert):
        """Whether `on_hang_up` is called when the peer ends its side while paused, however much is unread before that.

        If it has done so already, `on_poke` is called: `has_hung_up` tells.
        """
        if not alert:
            self._flags &= ~ALERT
            return
        self._flags |= ALERT
        if self._flags & ENDED:
            self.poke()

    cpdef bint has_hung_up(self):
        """Whether the peer is known to send no more than what the kernel already holds. Costs nothing."""
        return self._flags & ENDED != 0

    cpdef object end_follows(self):
        """What is written from now on may wait for `shutdown_write`, `finish` or `close` later in this turn.

        The kernel then sends the last bytes and the end as one segment, which spares both sides a packet.
        """
        self._flags |= ENDING

    cpdef object shutdown_write(self):
        """Half-close: the peer sees the end after all that was written."""
        if self._pending is not None:
            self._flags |= SHUT_ASKED
        elif self.fd >= 0 and not self._flags & SHUT:
            self._flags |= SHUT
            c_shutdown(self.fd, SHUT_WR)

    cpdef object finish(self):
        """Close when all that was written is with the kernel; `on_close` is called if that is later than now."""
        if self._pending is None or self.error:
            self.close()
        else:
            self._flags |= FINISHING | PAUSED

    cpdef object close(self):
        """Close now; what was not yet sent is lost. No handler is called."""
        cdef int fd = self.fd
        if fd < 0:
            return
        self.fd = -1
        self._pending = None
        self.is_blocked = False
        if self.buffered:
            self._account(-self.buffered)
        self.reactor._remove(fd)
        close_fd(fd)

    cpdef object abort(self):
        """Close with a reset, so that the peer cannot take what it got for all there was."""
        cdef linger hard = linger(l_onoff=1, l_linger=0)
        if self.fd >= 0:
            setsockopt(self.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard))
            self.close()

    cpdef object arm(self, int64_t delay_us):
        """Call `on_deadline` once this many microseconds have passed (100 ms coarse); 0 takes the deadline back."""
        if self.fd >= 0:
            self.reactor.deadlines.data.as_longlongs[self.fd] = self.reactor.now + delay_us if delay_us else 0

    cpdef object set_room(self, Py_ssize_t room):
        """Read at most so many bytes at once: at least 1, and never more than one read of the engine's own."""
        self._room = <int> min(max(room, 1), READ_SIZE)

    cpdef bint has_news(self):
        """Whether the kernel holds data, an end or an error that no handler has seen: an idle stream that is stale."""
        cdef char byte
        return recv(self.fd, &byte, 1, MSG_PEEK) >= 0 or errno != EAGAIN

    cpdef bint is_ending(self):
        """For `on_data`: whether these are the peer's last bytes, so that `on_eof` comes next."""
        return self._flags & EMPTIED

    cpdef bint is_quiet(self):
        """Whether all that is known to have come was read. Costs nothing: `has_news` asks the kernel."""
        return not self._flags & READABLE

    cdef _event(self, uint32_t mask):
        if mask & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLERR | EPOLLHUP):
            self._flags |= READABLE
            if mask & EPOLLPRI:
                self._flags |= URGENT
            if mask & EPOLLRDHUP:
                self._flags |= ENDED
            if mask & EPOLLERR:
                self._flags |= FAILED
        if self._flags & CONNECTING:
            if not mask & (EPOLLOUT | EPOLLERR | EPOLLHUP):
                return
            self._established(mask)
            if self.fd < 0:
                return
        if mask & EPOLLOUT and self._pending is not None:
            self._flush()
            if self.fd < 0:
                return
        if not self._flags & READABLE:
            return
        if not self._flags & PAUSED:
            self._read()
        elif mask & EPOLLERR and not self._flags & PATIENT:
            self._end(0)
        elif mask & EPOLLRDHUP and self._flags & ALERT:
            self.on_hang_up()

    cdef _established(self, uint32_t mask):
        cdef int code = self.error
        self._flags &= ~CONNECTING
        if not code and mask & (EPOLLERR | EPOLLHUP):
            code = self._take_error()
        # Over loopback the peer may have accepted, read what was written, replied and reset before the first event
        # is looked at: that is a connection, and what it sent is still there to be read.
        if code and code != ECONNRESET and code != EPIPE:
            self._end(code)
        else:
            self.error = code
            self.on_connect()

    cdef int _take_error(self) noexcept:
        """What the kernel says of the socket; it says so once."""
        cdef int code = 0
        cdef socklen_t length = sizeof(code)
        getsockopt(self.fd, SOL_SOCKET, SO_ERROR, &code, &length)
        return code

    cdef _end(self, int error):
        """The socket failed: `error`, or what was kept of an earlier call, or what the kernel says."""
        if not self.error:
            self.error = error or self._take_error() or EPROTO
        self.close()
        self.on_close()

    cdef _queue(self):
        if not self._flags & QUEUED:
            self._flags |= QUEUED
            self.reactor.ready.append(self)

    cdef _read(self):
        """One read, so that no stream can starve the rest; a full one queues the stream for another."""
        cdef Reactor reactor = self.reactor
        cdef bytes data, buffer = reactor.buffer
        cdef Py_ssize_t n, room = self._room
        cdef int error
        if self._flags & EOF_GIVEN and not self.error:
            self._flags &= ~READABLE
            if self._flags & FAILED:
                self._end(0)
            return
        if self._flags & EMPTIED and not self.error:
            self._nothing_read(0, 0)
            return
        if buffer is None:
            buffer = PyBytes_FromStringAndSize(NULL, READ_SIZE)
        reactor.buffer = None
        n = recv(self.fd, PyBytes_AS_STRING(buffer), room, 0)
        if 0 < n <= COPY_SIZE:
            reactor.buffer = buffer
            if n < room:
                self._short_read()
            data = PyBytes_FromStringAndSize(PyBytes_AS_STRING(buffer), n)
            self.on_data(data)
        elif n > 0:
            if n < room:
                self._short_read()
            self._hand_over(buffer, n)
        else:
            error = errno
            reactor.buffer = buffer
            self._nothing_read(n, error)
            return
        if self.fd >= 0 and self._flags & (READABLE | PAUSED) == READABLE:
            self._queue()

    cdef void _short_read(self) noexcept:
        if self._flags & (ENDED | URGENT) == 0:
            self._flags &= ~READABLE
        elif self._flags & (ENDED | URGENT | FAILED) == ENDED:
            self._flags |= EMPTIED

    cdef _hand_over(self, bytes buffer, Py_ssize_t n):
        """Give the read buffer itself to the handler, cut to what was read, and take it back unless it was kept.

        The string is nobody else's until then, and its allocator does not look at its length.
        """
        if n < READ_SIZE:
            Py_SET_SIZE(buffer, n)
            PyBytes_AS_STRING(buffer)[n] = 0
        self.on_data(buffer)
        if Py_REFCNT(<PyObject*> buffer) == 1:  # the caller's alone
            Py_SET_SIZE(buffer, READ_SIZE)
            self.reactor.buffer = buffer

    cdef _nothing_read(self, Py_ssize_t n, int error):
        if n < 0 and error == EINTR:
            self._queue()
        elif n < 0 and error == EAGAIN and not self.error:
            self._flags &= ~READABLE
        elif n == 0 and not self.error:
            self._flags = self._flags & ~READABLE | EOF_GIVEN
            self.on_eof()
            if self.fd >= 0 and self._flags & FAILED:
                self._end(0)
        else:
            self._end(error if n < 0 else 0)


cdef class Acceptor:
    """A listening socket. Subclasses override `on_accept`, which gets a connected, non-blocking descriptor."""

    def __cinit__(self):
        self.fd = -1

    def __init__(self, Reactor reactor):
        self.reactor = reactor

    cpdef object on_accept(self, int fd):
        close_fd(fd)

    cpdef bytes peer_host(self):
        """The address of the client that `on_accept` is called for: b"192.0.2.1", b"2001:db8::1" or b"unix"."""
        return host_of(&self._peer)

    cpdef object open(self, int fd):
        """Accept on `fd`, a non-blocking listening socket, which is closed with this acceptor."""
        # Level-triggered: what one turn leaves in the queue is reported again, and the other streams go first.
        self.reactor._add(self, fd, EPOLLIN, ACCEPTOR)
        self.fd = fd
        self._generation = self.reactor.generation

    cpdef object pause(self):
        """Leave new connections in the kernel's queue."""
        if not self._is_paused and self.fd >= 0:
            self._is_paused = True
            self._modify(0)

    cpdef object resume(self):
        if self._is_paused and self.fd >= 0:
            self._is_paused = False
            self._modify(EPOLLIN)

    cpdef object retry(self):
        """A tick after there were no descriptors. An override may know why it should still wait."""
        self.resume()

    cpdef object accept_all(self):
        """Accept what has queued up: closing the socket would reset it."""
        cdef int turns
        self.resume()
        for turns in range(BACKLOG // ACCEPT_BATCH):
            if self._accept() < ACCEPT_BATCH:
                return

    cpdef object close(self):
        cdef int fd = self.fd
        if fd >= 0:
            self.fd = -1
            # Another process may hold this socket too, and then close() alone would leave it in the set.
            epoll_ctl(self.reactor.epfd, EPOLL_CTL_DEL, fd, NULL)
            self.reactor._remove(fd)
            close_fd(fd)

    cdef _modify(self, uint32_t mask):
        cdef epoll_event event
        event.events = mask
        event.data.u64 = ACCEPTOR | <uint64_t> self._generation << 32 | <uint32_t> self.fd
        epoll_ctl(self.reactor.epfd, EPOLL_CTL_MOD, self.fd, &event)

    cdef int _accept(self) except -1:
        """Accept a batch at the most; returns how many there were."""
        cdef socklen_t length
        cdef int fd, taken = 0
        while taken < ACCEPT_BATCH and self.fd >= 0 and not self._is_paused:
            length = sizeof(self._peer)
            fd = accept4(self.fd, <sockaddr*> &self._peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd >= 0:
                self._accepted(fd)
            elif errno in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
                self._exhausted(errno)
            elif errno not in (ECONNABORTED, EINTR, EPROTO, EPERM):  # these cost one connection, not the queue
                break
            taken += 1
        return taken

    cdef _accepted(self, int fd):
        if self._is_exhausted:
            self._is_exhausted = False
            self._tell_exhausted(0)
        generation = self.reactor.generation
        try:
            self.on_accept(fd)
        except Exception as error:
            self._not_served(fd, generation, error)

    cdef _not_served(self, int fd, uint32_t generation, object error):
        if self.reactor.generation == generation:
            close_fd(fd)  # nothing has adopted it
        elif self.reactor.table[fd] is not None:
            self.reactor._failed(<Stream?> self.reactor.table[fd], error)
            return
        if self.reactor.on_error is not None:
            self.reactor.on_error("a new connection could not be served", error)

    cdef _exhausted(self, int error):
        """No descriptors: wait a tick instead of spinning, and tell once until a connection is accepted again."""
        self.pause()
        self.reactor.starved.append(self)
        if not self._is_exhausted:
            self._is_exhausted = True
            self._tell_exhausted(error)

    cdef _tell_exhausted(self, int error):
        if self.reactor.on_exhausted is not None:
            self.reactor.on_exhausted(self, error)
