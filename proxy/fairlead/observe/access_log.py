"""The access log of one worker: a record for each exchange becomes a line, without ever holding up the data plane.

Owns the queue between the data plane and the disk, the thread that empties it, and the file. `record` appends to the
queue and does nothing else; when too much waits (a full disk, a pipe that nobody reads) it drops the record and counts
it. What the client sent is hostile: a line is ASCII without control characters, so it is one line whatever it holds.

Several workers write into the same file. A line never mixes with another's: a regular file is appended to by whole
batches of lines, and into anything else go at most PIPE_BUF bytes at once, which POSIX writes whole or not at all.
access_record.py keeps every line within that size.

Invariant: each record that was chosen is written, waiting, or counted in `dropped`. Memory is bounded, too: while many
records wait, those with long targets are dropped first.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, Literal, final

from fairlead.observe.access_record import LINES, Record

LIMIT: Final = 16_384  # records that wait; half a second at 30,000 requests per second
PIPE_BUF: Final = select.PIPE_BUF

_CROWDED: Final = 1024  # from here on the thread is woken, and long records find no room
_LONG: Final = 1024  # bytes that the client chose; a usual record has 100
_BATCH: Final = 64  # records formatted at once: the thread holds the interpreter's lock meanwhile, for 0.3 to 0.5 ms
_PERIOD_S: Final = 0.1
_ALL: Final = 1_000_000
_STATUS: Final = 7  # positions in a record
_REASON: Final = 14
_STANDARD: Final = {"stdout": 1, "stderr": 2}


@final
class AccessLog:
    """Writes to a path, "stdout" or "stderr". Raises OSError when the path cannot be opened for writing.

    `sample` is the fraction of records that is logged, evenly spread. Errors (a status of 500 or more, or a reason) are
    always logged. Make it in the process that uses it: a thread does not survive a fork.
    """

    def __init__(self, to: str, format: Literal["json", "text"], sample: float) -> None:
        self._output = _Output(to)
        self._line = LINES[format]
        self._step = round(sample * _ALL)
        self._due = 0
        self._waiting: deque[Record] = deque()
        self._refused = 0  # written by the data plane only, as `_lost` by the thread only: += is no atomic step
        self._lost = 0
        self._is_closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Records that were to be logged and are lost."""
        return self._refused + self._lost

    @property
    def problem(self) -> str:
        """Why the last write failed; "" while it works. Not logged from here: a logger could be stuck as well."""
        return self._output.problem

    def record(self, record: Record) -> None:
        """Log one exchange (access_record.py says what it is made of). Never blocks."""
        if self._step < _ALL and not self._is_chosen(record):
            return
        waiting = self._waiting
        size = len(waiting)
        if size >= _CROWDED and (size >= LIMIT or _is_long(record)):
            self._refused += 1
            return
        waiting.append(record)
        if size == _CROWDED:
            self._wake.set()

    def close(self, timeout_s: float) -> None:
        """Write what waits, for at most `timeout_s`; what is left then is dropped. Nothing may be recorded after."""
        self._output.give_up_at = time.monotonic() + timeout_s
        self._is_closing = True
        self._wake.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():  # in a write that the kernel does not end; it dies with the process
            self._refused += len(self._waiting)
            self._waiting.clear()
        else:
            self._output.close()

    def _is_chosen(self, record: Record) -> bool:
        if record[_STATUS] >= 500 or record[_REASON]:
            return True
        self._due += self._step
        if self._due < _ALL:
            return False
        self._due -= _ALL
        return True

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._wake.wait(_PERIOD_S)
            self._wake.clear()
            is_last = self._is_closing  # read before the queue is emptied, so that nothing recorded earlier stays
            while batch := self._take():
                self._lost += self._output.write([self._line(record) for record in batch])

    def _take(self) -> list[Record]:
        batch: list[Record] = []
        with suppress(IndexError):
            while len(batch) < _BATCH:
                batch.append(self._waiting.popleft())
        return batch


class _Output:
    """Where the lines go. `give_up_at` is the monotonic time after which a full pipe is not waited for any more."""

    def __init__(self, to: str) -> None:
        self.problem = ""
        self.give_up_at = float("inf")
        self._is_ours = to not in _STANDARD
        self._fd = _open(to) if self._is_ours else _STANDARD[to]
        self._is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._is_torn = False  # a disk that ran full has taken part of a line

    def close(self) -> None:
        if self._is_ours:
            os.close(self._fd)
            self._is_ours = False

    def write(self, lines: Sequence[bytes]) -> int:
        """Write whole lines; gives how many were lost."""
        pieces = [b"".join(lines)] if self._is_file else _pieces(lines)
        return sum(self._put(piece) for piece in pieces)

    def _put(self, piece: bytes) -> int:
        data = b"\n" + piece if self._is_torn else piece
        written = 0
        problem = ""
        try:
            while written < len(data):
                written += self._write(data[written:])
        except OSError as error:
            problem = error.strerror or str(error)
        self.problem = problem
        if written:
            self._is_torn = data[written - 1 : written] != b"\n"
        return piece.count(b"\n", max(0, written - len(data) + len(piece)))

    def _write(self, data: bytes) -> int:
        """As os.write, which blocks; but whoever shares the pipe may have made it non-blocking."""
        while True:
            try:
                return os.write(self._fd, data)
            except BlockingIOError:
                if time.monotonic() >= self.give_up_at:
                    raise
                writable = select.poll()
                writable.register(self._fd, select.POLLOUT)
                writable.poll(_PERIOD_S * 1000)


def _is_long(record: Record) -> bool:
    """Whether the client chose much of it: method, target, host, request id."""
    return len(record[4]) + len(record[5]) + len(record[6]) + len(record[15]) > _LONG


def _open(path: str) -> int:
    # O_NONBLOCK: without a reader, opening a FIFO would wait for one.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    try:
        fd = os.open(path, flags, 0o640)
    except OSError as error:
        why = "nobody reads this FIFO" if error.errno == errno.ENXIO else error.strerror
        raise OSError(error.errno, f"the access log cannot be opened for writing: {why}", path) from None
    os.set_blocking(fd, True)
    return fd


def _pieces(lines: Sequence[bytes]) -> Iterator[bytes]:
    """The lines, joined as long as PIPE_BUF allows."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if size + len(line) > PIPE_BUF:
            yield b"".join(piece)
            piece = []
            size = 0
        piece.append(line)
        size += len(line)
    yield b"".join(piece)
