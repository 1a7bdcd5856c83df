"""The generator is honest: a server that stalls is charged for all that was due meanwhile."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from loadtests.compare.openloop import Generator, Latencies, Schedule, command, parse
from loadtests.compare.processes import HOST
from loadtests.compare.upstream import SMALL
from loadtests.compare.verify import WrongReply

_STALL_AT = 150  # the request, of 200 in one second, whose reply is late
_STALL_S = 0.25


class Server:
    """Answers connections in turn from one thread, so that a stall stops them all."""

    def __init__(self, message: bytes, stall_at: int = 0) -> None:
        self._message = message
        self._stall_at = stall_at
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._answered = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._answer, args=(client,)))
            self._threads[-1].start()

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(ConnectionError):  # the generator gives up at a wrong reply
            while client.recv(4096):
                with self._lock:
                    self._answered += 1
                    if self._answered == self._stall_at:
                        time.sleep(_STALL_S)
                    client.sendall(self._message)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def generate(stack: ExitStack, server: Server) -> Latencies:
    stack.callback(server.close)
    schedule = Schedule(port=server.port, path="/small", rate=200, connections=4, warmup_s=0.0, seconds=1.0)
    with Generator(schedule, SMALL) as generator:
        return generator.run()


def test_all_that_was_due_during_a_stall_is_charged(stack: ExitStack) -> None:
    """Of 200 requests 50 fall into the stall. A closed loop of four connections would charge four: its p90 is 0."""
    found = generate(stack, Server(SMALL.message, stall_at=_STALL_AT))
    assert found.requests == 200
    assert found.p90 > 0.5 * _STALL_S * 1e6
    assert found.p99 > 0.9 * _STALL_S * 1e6
    assert found.lag_p99 > 0.8 * _STALL_S * 1e6  # no connection was free: it was sent late, and counted as due


def test_a_wrong_reply_ends_the_run(stack: ExitStack) -> None:
    with pytest.raises(WrongReply, match="503"):
        generate(stack, Server(SMALL.message.replace(b"200 OK", b"503 No")))


def test_a_result_travels_as_text() -> None:
    text = '{"requests": 5, "p50": 1.0, "p90": 2.0, "p99": 3.0, "max": 4.0, "lag_p50": 0.5, "lag_p99": 0.6}'
    assert parse(text) == Latencies(requests=5, p50=1.0, p90=2.0, p99=3.0, max=4.0, lag_p50=0.5, lag_p99=0.6)
    assert "--warmup-s=1.0" in command("python3", Schedule(port=1, path="/small"))
