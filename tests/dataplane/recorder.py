"""The endpoint of a crank: it reads strictly what is forwarded, keeps it, and answers each request in a way of its own.

Owns what came over each of its connections, in bytes, so that other readers can judge it. A reply says in `X-Serial`
which request it answers: who gets it must be the one who asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from dataplane.crank import Crank, End

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\nTransfer-Encoding: chunked\r\n", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9a-f]{1,15})\r\n")
_REQUEST_ID = re.compile(rb"X-Request-Id: [^\r\n]+\r\n")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the endpoint got it: its head without the request id, its content without its framing."""

    head: bytes
    content: bytes
    trailers: bytes

    @property
    def method(self) -> bytes:
        return self.head.partition(b" ")[0]

    @property
    def target(self) -> bytes:
        return self.head.split(b" ", 2)[1]


Answer = Callable[[End, Asked, int], None]


def with_serial(server: End, asked: Asked, serial: int) -> None:
    """The usual answer."""
    content = b"" if asked.method == b"HEAD" else b"ok"
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Serial: %d\r\n\r\n" % serial + content)


class Recorder:
    """Attends the endpoint of this crank. `asked` by serial number; `answer` is called for each, and `begun` with what
    has come of a request that is not whole yet."""

    def __init__(self, crank: Crank) -> None:
        self.answer: Answer = with_serial
        self.begun: Callable[[End], None] | None = None
        self.asked: list[Asked] = []
        self._crank = crank
        self._taken: dict[End, int] = {}  # how much of what came is in `asked`
        crank.serve = self._serve

    def _serve(self, server: End) -> None:
        start = self._taken.get(server, 0)
        while found := read_message(server.came, start):
            asked, start = found
            self._taken[server] = start
            self.asked.append(asked)
            self.answer(server, asked, len(self.asked) - 1)
        if server.is_over:
            server.close()
        elif self.begun is not None and b"\r\n\r\n" in server.came[start:]:
            self.begun(server)

    def streams(self) -> list[tuple[bytes, bool]]:
        """What came over each connection since this was asked last, and whether it has ended. Whole messages go."""
        streams = [(server.came, server.is_over) for server in self._crank.servers if server.came]
        for server in self._crank.servers:
            server.came = server.came[self._taken.pop(server, 0) :]
        self._crank.forget()
        return streams


def read_message(data: bytes, start: int) -> tuple[Asked, int] | None:
    """The message that begins at data[start:] and the offset behind it; None when it is not whole."""
    end = data.find(b"\r\n\r\n", start) + 4
    if end < 4:
        return None
    head = _REQUEST_ID.sub(b"", data[start:end])
    if _CHUNKED.search(head):
        return _chunked(head, data, end)
    length = _LENGTH.search(head)
    size = int(length[1]) if length else 0
    return (Asked(head, data[end : end + size], b""), end + size) if len(data) >= end + size else None


def _chunked(head: bytes, data: bytes, i: int) -> tuple[Asked, int] | None:
    content = b""
    while (line := _CHUNK.match(data, i)) is not None:
        size = int(line[1], 16)
        i = line.end()
        if size == 0:
            end = i if data.startswith(b"\r\n", i) else data.find(b"\r\n\r\n", i) + 2
            return (Asked(head, content, data[i:end]), end + 2) if end >= 2 and len(data) >= end + 2 else None
        if len(data) < i + size + 2:
            return None
        content += data[i : i + size]
        assert data[i + size : i + size + 2] == b"\r\n"
        i += size + 2
    return None
