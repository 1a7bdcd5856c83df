"""The endpoint that attackers ask: 8 MB for a GET, and a hole for everything else. `... attack.endpoint PORT`.

Owns its connections. It never answers a request with a body and never reads one: the trickle of an attack stays in the
socket, and costs the core that it shares with the measuring client nothing. Its send buffers are small, so that kernel
memory that an attack takes is the proxy's and not this program's.
"""

from __future__ import annotations

import select
import socket
import sys
from typing import Final, final

from loadtests.compare.processes import HOST
from loadtests.compare.upstream import Reply

HUGE: Final = Reply("/huge", 8 << 20)
_SEND_BUFFER: Final = 65_536


@final
class Endpoint:
    """Invariant: `_sent` has each connection that a reply is on its way on, and how far it is."""

    def __init__(self, port: int) -> None:
        self._message = memoryview(HUGE.message)
        self._poll = select.epoll()
        self._listener = socket.create_server((HOST, port), backlog=4096)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self._listener.setblocking(False)
        self._poll.register(self._listener, select.EPOLLIN)
        self._clients: dict[int, socket.socket] = {}
        self._sent: dict[int, int] = {}

    def serve(self) -> None:
        """For ever: it is made to be killed."""
        while True:
            for fd, mask in self._poll.poll():
                if fd == self._listener.fileno():
                    self._accept()
                elif mask & (select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR):
                    self._close(fd)
                elif fd in self._sent:
                    self._send(fd)
                else:
                    self._receive(fd)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setblocking(False)
        self._clients[client.fileno()] = client
        self._poll.register(client, select.EPOLLIN | select.EPOLLRDHUP)

    def _receive(self, fd: int) -> None:
        head = self._clients[fd].recv(4096)
        if head.startswith(b"GET "):
            self._sent[fd] = 0
            self._poll.modify(fd, select.EPOLLOUT | select.EPOLLRDHUP)
        else:
            self._poll.modify(fd, select.EPOLLRDHUP)

    def _send(self, fd: int) -> None:
        try:
            self._sent[fd] += self._clients[fd].send(self._message[self._sent[fd] :])
        except OSError:
            self._close(fd)
            return
        if self._sent[fd] == len(self._message):
            del self._sent[fd]
            self._poll.modify(fd, select.EPOLLIN | select.EPOLLRDHUP)

    def _close(self, fd: int) -> None:
        self._sent.pop(fd, None)
        self._clients.pop(fd).close()


def command(port: int) -> list[str]:
    """How it is started."""
    return [sys.executable, "-m", "loadtests.attack.endpoint", str(port)]


if __name__ == "__main__":
    Endpoint(int(sys.argv[1])).serve()
