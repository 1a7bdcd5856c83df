"""One end of the socketpair between the supervisor and a worker: JSON messages, each after its length.

Owns framing, descriptors that travel with a message (SCM_RIGHTS), and the bound on what waits in either direction.
Never pickles: what a worker says is data, whatever became of the worker. Invariant: a message is delivered whole and
in order, or the channel closes. What a handler raises is logged, and costs the message that it was given.
"""

from __future__ import annotations

import array
import json
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

_log = logging.getLogger("fairlead.channel")

Message = dict[str, Any]

LIMIT: Final = 256 << 20  # bytes of one message, and of all that wait; a snapshot of 10,000 endpoints is 0.4 MB
_HEADER: Final = 5  # four bytes of length, one that counts the descriptors
_READ: Final = 1 << 18
_FDS: Final = 16  # the kernel never joins the descriptors of two sends in one read, and a send here has one
_INT: Final = array.array("i").itemsize


class Loop(Protocol):
    """What a channel needs of an event loop."""

    def add_reader(self, fd: socket.socket, callback: Callable[[], object], /) -> None: ...
    def remove_reader(self, fd: socket.socket, /) -> bool: ...
    def add_writer(self, fd: socket.socket, callback: Callable[[], object], /) -> None: ...
    def remove_writer(self, fd: socket.socket, /) -> bool: ...


class Channel:
    """Set `on_message(message, fd or -1)`, `on_close()` and `on_drained()` (all has been sent) before `open`.

    A descriptor belongs to whom it is given to.
    """

    def __init__(self, loop: Loop, end: socket.socket, limit: int = LIMIT) -> None:
        self.on_message: Callable[[Message, int], None] = _ignore
        self.on_close: Callable[[], None] = _ignore
        self.on_drained: Callable[[], None] = _ignore
        self._loop = loop
        self._socket = end
        self._limit = limit
        self._received = bytearray()
        self._fds: list[int] = []
        self._waiting: deque[tuple[memoryview, int]] = deque()  # bytes, and the descriptor that goes with them or -1
        self._size = 0
        end.setblocking(False)

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be sent."""
        return not self._waiting

    def open(self) -> None:
        self._loop.add_reader(self._socket, self._read)

    def finish(self) -> None:
        """The other process has ended: deliver what it had said before, then close without calling `on_close`."""
        self.on_close = _ignore
        while self._socket.fileno() >= 0 and self._read():
            pass
        self.close()

    def close(self) -> None:
        """Close without calling `on_close`."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        if self._waiting:
            self._loop.remove_writer(self._socket)
            self._discard()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        self._socket.close()

    def send(self, payload: bytes, fd: int = -1) -> None:
        """Send a JSON object, with a duplicate of the descriptor `fd`. Raises BufferError when too much waits."""
        if self._socket.fileno() < 0:
            return
        if self._size + len(payload) > self._limit:
            raise BufferError(f"{self._size} bytes wait for the other process")
        framed = len(payload).to_bytes(4, "big") + bytes([fd >= 0]) + payload
        was_idle = self.is_idle
        self._waiting.append((memoryview(framed), os.dup(fd) if fd >= 0 else -1))
        self._size += len(framed)
        if was_idle:
            self._write()
            if self._waiting:
                self._loop.add_writer(self._socket, self._go_on)

    def send_message(self, message: Message, fd: int = -1) -> None:
        """`send` of a small message."""
        self.send(json.dumps(message, separators=(",", ":")).encode(), fd)

    def _go_on(self) -> None:
        is_well = self._write()
        if not self._waiting:
            self._loop.remove_writer(self._socket)
            if is_well:
                self.on_drained()

    def _write(self) -> bool:
        """Write what there is room for. False when the other end is gone; the reader sees it too, and says so once."""
        while self._waiting:
            data, fd = self._waiting[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd >= 0 else []
            try:
                sent = self._socket.sendmsg([data], rights)
            except BlockingIOError:
                return True
            except OSError:
                self._discard()
                return False
            _close(fd)
            self._size -= sent
            if sent < len(data):
                self._waiting[0] = (data[sent:], -1)
            else:
                self._waiting.popleft()
        return True

    def _discard(self) -> None:
        for _, fd in self._waiting:
            _close(fd)
        self._waiting.clear()
        self._size = 0

    def _read(self) -> bool:
        """Read once and deliver; False when there was nothing."""
        try:
            data, rights, _, _ = self._socket.recvmsg(_READ, socket.CMSG_SPACE(_FDS * _INT), socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return False
        except OSError:
            data, rights = b"", []
        for level, kind, fds in rights:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self._fds.extend(array.array("i", fds[: len(fds) // _INT * _INT]))
        if not data:
            self._lost()
            return False
        self._received += data
        self._deliver()
        return True

    def _deliver(self) -> None:
        start = 0
        while len(self._received) - start >= _HEADER:
            size = int.from_bytes(self._received[start : start + 4], "big")
            has_fd = bool(self._received[start + 4])
            body = start + _HEADER
            if size > self._limit:
                self._lost()
                return
            if len(self._received) < body + size:
                break
            start = body + size
            self._handle(self._received[body:start], has_fd)
            if self._socket.fileno() < 0:
                return
        del self._received[:start]

    def _handle(self, payload: bytearray, has_fd: bool) -> None:
        message = _parsed(payload)
        if message is None or (has_fd and not self._fds):  # the kernel drops descriptors when the table is full
            self._lost()
            return
        try:
            self.on_message(message, self._fds.pop(0) if has_fd else -1)
        except Exception:  # the root of what the loop calls: the messages behind it must not wait for more to come
            _log.exception("the message %r could not be handled", message.get("type"))

    def _lost(self) -> None:
        self.close()
        self.on_close()


def _parsed(payload: bytearray) -> Message | None:
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _ignore(*_: object) -> None:
    pass


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)
