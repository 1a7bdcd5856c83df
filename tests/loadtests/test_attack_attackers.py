"""Attackers hold on, are replaced while the attack lasts, and tell how they were ended."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import h11
import pytest

from loadtests.attack.attackers import KINDS, Attack, Manner, Orders, State, command, parse
from loadtests.compare.processes import HOST

REFUSAL = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def proxy(reply: bytes, ended: int) -> Iterator[tuple[int, list[bytes]]]:
    """Ends so many attackers with this reply as soon as they have spoken, and holds the others for ever."""
    listener = socket.create_server((HOST, 0))
    heard: list[bytes] = []
    held: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                held.append(client)
                heard.append(client.recv(4096))
                if len(heard) <= ended:
                    client.sendall(reply)
                    client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for each in (listener, *held):
            each.close()


def attack(port: int, kind: str, seconds: float, patience_s: float) -> list[State]:
    orders = Orders(port=port, kind=kind, count=3, seconds=seconds, patience_s=patience_s, every_s=0.05, rate=1000)
    with Attack(orders) as attack:
        return list(attack.run())


@pytest.mark.parametrize(("reply", "words"), [(REFUSAL, "408"), (b"", "end")], ids=["refused", "closed"])
def test_who_is_ended_is_replaced_and_tells_how(reply: bytes, words: str) -> None:
    with proxy(reply, ended=5) as (port, heard):
        last = attack(port, "heads", seconds=0.5, patience_s=0.0)[-1]
    assert last.is_last
    assert last.ends == {words: 5}
    assert last.held == 3  # as ordered, after five were ended, and never by themselves
    assert set(heard) == {KINDS["heads"][0].opening}


def test_after_the_attack_nobody_is_replaced() -> None:
    with proxy(REFUSAL, ended=1000) as (port, _):
        last = attack(port, "bodies", seconds=0.1, patience_s=10.0)[-1]
    assert last.held == 0
    assert last.longest_s < 10.0


@pytest.mark.parametrize("manner", [*KINDS["heads"], *KINDS["bodies"]])
def test_attackers_never_finish_what_they_began_and_break_no_rule(manner: Manner) -> None:
    http = h11.Connection(h11.SERVER)
    http.receive_data(manner.opening + 20 * manner.drip)
    event = http.next_event()
    while event is not h11.NEED_DATA:
        assert isinstance(event, h11.Request | h11.Data)
        event = http.next_event()


def test_states_travel_as_lines() -> None:
    lines = '{"at": 1.5, "held": 2, "longest_s": 0.0, "late_s": 0.1, "ends": {"408": 1}, "is_last": true}\n{"at": 2.'
    assert parse(lines) == [State(at=1.5, held=2, late_s=0.1, ends={"408": 1}, is_last=True)]
    assert "--every-s=2.0" in command(Orders(port=1, kind="heads", count=5, seconds=1.0))
