"""Checks of kind tcp, and what all kinds share: deadlines, faults of our own, an end that nobody waits for."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time

import pytest
from fairlead.engine.address import Address
from fairlead.engine.reactor import Reactor
from fairlead.health.checks.probe import Probe
from fairlead.health.checks.results import Outcome, Result
from fairlead.health.checks.settings import CheckSettings
from fairlead.health.checks.tcp import TcpQuestion

from health.checks.asking import LIMIT_S, Serve, ask, closed_port, half_closed, hang, reset, saying, serving

TCP = CheckSettings(kind="tcp", timeout_s=0.2)
PING = CheckSettings(kind="tcp", timeout_s=0.2, send=r"PING\r\n", expect="+PONG")
PASSED, CLOSED, WRONG = Result.PASSED, Result.CLOSED, Result.WRONG_REPLY


@pytest.mark.parametrize("serve", [hang, half_closed, reset, saying(b"hello", request_ends=b"")])
async def test_a_connection_is_enough(serve: Serve) -> None:
    async with serving(serve) as address:
        assert (await ask(TCP, address)).result is PASSED


async def test_what_is_sent_arrives_and_the_connection_ends() -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.put_nowait(await reader.read(100))
        received.put_nowait(await reader.read(100))

    async with serving(note) as address:
        assert (await ask(CheckSettings(kind="tcp", send=r"\x01bye"), address)).result is PASSED
        assert await asyncio.wait_for(received.get(), LIMIT_S) == b"\x01bye"
        assert await asyncio.wait_for(received.get(), LIMIT_S) == b""


@pytest.mark.parametrize(
    ("parts", "result", "detail"),
    [
        ((b"+PONG\r\n",), PASSED, ""),
        ((b"+PO", b"NG\r\n"), PASSED, ""),
        ((b"noise before +PONG",), PASSED, ""),
        ((b"-LOADING\r\n",), WRONG, "the answer does not hold what is expected"),
        ((b"x" * 70_000,), WRONG, "the answer does not hold what is expected"),
        ((), CLOSED, "connection closed before the answer was complete"),
    ],
)
async def test_an_answer(parts: tuple[bytes, ...], result: Result, detail: str) -> None:
    async with serving(saying(*parts, request_ends=b"PING\r\n")) as address:
        outcome = await ask(PING, address)
    assert (outcome.result, outcome.detail) == (result, detail)


async def test_no_answer_in_time() -> None:
    async with serving(hang) as address:
        begun = time.monotonic()
        outcome = await ask(PING, address)
        assert time.monotonic() - begun >= 0.2
    assert (outcome.result, outcome.detail) == (Result.TIMEOUT, "no answer within 0.2 s")
    assert outcome.took_us >= 200_000


async def test_no_connection_in_time() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        waiting = []
        for _ in range(3):  # one is accepted by the kernel, the others wait for room
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(listening.getsockname())
            waiting.append(client)
        outcome = await ask(TCP, address)
        for client in waiting:
            client.close()
    assert (outcome.result, outcome.detail) == (Result.TIMEOUT, "no connection within 0.2 s")


async def test_nobody_listens() -> None:
    outcome = await ask(TCP, closed_port())
    assert (outcome.result, outcome.detail) == (Result.CONNECT_FAILED, "connection refused")


async def test_a_lack_of_descriptors_says_nothing_of_the_endpoint() -> None:
    async with serving(hang) as address:
        reactor = Reactor(asyncio.get_running_loop())
        reactor.open()
        outcomes: list[Outcome] = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), hard))
        try:
            spare = []
            try:
                while True:
                    spare.append(os.dup(0))
            except OSError:
                pass
            TcpQuestion(TCP).probe(reactor, address, outcomes.append).begin(Address(address))
        finally:
            for fd in spare:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            reactor.close()
    assert [outcome.result for outcome in outcomes] == [Result.SKIPPED]
    assert outcomes[0].detail == "too many open files"


async def test_an_answer_that_came_while_we_did_not_run_counts() -> None:
    """A process that was stopped for longer than the timeout must not condemn every endpoint at once."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listening.getsockname()[1]}"
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Outcome] = loop.create_future()
    reactor = Reactor(loop)
    reactor.open()
    TcpQuestion(PING).probe(reactor, address, told.set_result).begin(Address(address))
    with listening, listening.accept()[0] as endpoint:
        endpoint.sendall(b"+PONG\r\n")
        time.sleep(0.7)  # the loop stands still, and the deadline passes  # noqa: ASYNC251
        outcome = await asyncio.wait_for(told, LIMIT_S)
    reactor.close()
    assert outcome.result is PASSED


async def test_a_probe_that_is_forgotten_tells_nothing_and_leaves_nothing_open() -> None:
    async with serving(hang) as address:
        reactor = Reactor(asyncio.get_running_loop())
        reactor.open()
        outcomes: list[Outcome] = []
        probe = TcpQuestion(PING).probe(reactor, address, outcomes.append)
        probe.begin(Address(address))
        assert reactor.members() == [probe]
        probe.forget()
        assert reactor.members() == []
        reactor.close()
    assert outcomes == []


async def test_a_bug_of_a_probe_is_told_and_says_nothing_of_the_endpoint() -> None:
    class Buggy(Probe):
        def ask(self) -> None:
            raise ZeroDivisionError

    async with serving(hang) as address:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Outcome] = loop.create_future()
        faults: list[BaseException] = []
        reactor = Reactor(loop)
        reactor.on_error = lambda _, error: faults.append(error)
        reactor.open()
        Buggy(reactor, 1.0, told.set_result).begin(Address(address))
        outcome = await asyncio.wait_for(told, LIMIT_S)
        reactor.close()
    assert outcome.result is Result.SKIPPED
    assert [type(fault) for fault in faults] == [ZeroDivisionError]
