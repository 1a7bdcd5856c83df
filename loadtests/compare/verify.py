"""Whether replies are right, byte for byte. A client that is slow and exact, for before and after what is measured."""

from __future__ import annotations

import socket
import time

from loadtests.compare.processes import HOST, CompareError
from loadtests.compare.upstream import Reply

_TIMEOUT_S = 10.0


class WrongReply(CompareError):
    """A reply was not what the upstream said."""


class Client:
    """One connection. Invariant: between two requests nothing is left to read."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, reply: Reply, headers: tuple[str, ...] = ()) -> int:
        """Send one request and check its reply. Returns the length of head and body."""
        lines = [f"GET {reply.path} HTTP/1.1", "Host: app.example", *headers, "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        return check(self._read(reply.size), reply)

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0 or len(data) < end + 4 + size:
            piece = self._socket.recv(1 << 18)
            if not piece:
                raise WrongReply(f"the connection was closed after {len(data)} bytes of a reply")
            data += piece
        return bytes(data)

    def abort(self) -> None:
        """Close without a word (RST): no port is left waiting, which after 20,000 clients would be all of them."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()


def check(data: bytes, reply: Reply) -> int:
    """That `data` is exactly this reply, with any fields. Returns its length."""
    head, _, body = data.partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    if not status.startswith(b"HTTP/1.1 200"):
        raise WrongReply(f"{reply.path} was answered with {status.decode(errors='replace')!r}")
    if b"content-length: %d" % reply.size not in [field.lower() for field in fields]:
        raise WrongReply(f"{reply.path} was answered without Content-Length: {reply.size}")
    if body != reply.body:
        raise WrongReply(f"the {len(body)} bytes of body for {reply.path} are not the {reply.size} that were sent")
    return len(data)


def verify(port: int, reply: Reply, headers: tuple[str, ...] = (), times: int = 50) -> int:
    """Ask `times` times, one after the other, on one connection (a new one each when it closes). Returns the length."""
    is_closing = reply.is_last or "Connection: close" in headers
    client = Client(port)
    length = 0
    try:
        for i in range(times):
            if i and is_closing:
                client.abort()
                client = Client(port)
            length = client.ask(reply, headers)
    except OSError as error:
        raise WrongReply(f"no reply to {reply.path}: {error}") from error
    finally:
        client.abort()
    return length


def first_reply(port: int, reply: Reply, within_s: float) -> bool:
    """Try until a right reply comes, every two milliseconds. False when none came in time; a wrong one is an error."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            client = Client(port)
        except OSError:
            time.sleep(0.002)
            continue
        try:
            client.ask(reply)
            return True
        except (OSError, WrongReply):
            time.sleep(0.002)
        finally:
            client.abort()
    return False
