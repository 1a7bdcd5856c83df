"""A worker's part: what the supervisor says becomes what the plane does, and what cannot be done is told."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from control.helpers import descriptors, until
from fairlead.control import worker as module
from fairlead.control.channel import Channel, Message
from fairlead.control.sockets import open_listening
from fairlead.control.update import encode
from fairlead.control.worker import Worker
from fairlead.model import Endpoint, Listener, Protocol, Service, Update
from fairlead.observe.access_log import AccessLog

LOST = "/nowhere/mine.py:Lost"


class Told:
    """The supervisor's end of the channel."""

    def __init__(self, end: socket.socket) -> None:
        self.messages: list[Message] = []
        self.channel = Channel(asyncio.get_running_loop(), end)
        self.channel.on_message = lambda message, fd: self.messages.append(message)
        self.channel.open()

    def update(self, version: int, *services: Service, listeners: tuple[Listener, ...] = ()) -> None:
        self.channel.send(encode(Update(version=version, services=services, listeners=listeners)))

    def remove(self, version: int, listener: str, service: str) -> None:
        self.channel.send(encode(Update(version=version, gone_listeners=(listener,), gone_services=(service,))))

    def of(self, kind: str) -> list[Message]:
        return [message for message in self.messages if message["type"] == kind]

    async def version(self) -> int:
        """What the worker says that it runs, once it has done all that it was told."""
        seen = len(self.of("report"))
        self.channel.send_message({"type": "report"})
        await until(lambda: len(self.of("report")) > seen, "a report")
        version: int = self.of("report")[-1]["version"]
        return version


@asynccontextmanager
async def working() -> AsyncIterator[tuple[Worker, Told]]:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    worker = Worker(loop, Channel(loop, theirs), 3)
    worker.open()
    told = Told(ours)
    try:
        yield worker, told
    finally:
        worker.close()
        worker._channel.close()
        told.channel.close()


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Says its name to whoever connects, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def tcp(name: str, bind: str, service: str) -> Listener:
    return Listener(name=name, bind=bind, protocol=Protocol.TCP, service=service)


def send_socket(told: Told, listener: str) -> int:
    """Hand a listening socket down; returns its port."""
    (listening,) = open_listening("127.0.0.1:0", 1)
    with listening:
        told.channel.send_message({"type": "socket", "listener": listener}, listening.fileno())
        port: int = listening.getsockname()[1]
        return port


async def is_served(port: int) -> bool:
    """Whether somebody accepts there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # accepted, and closed for want of an endpoint
        return True
    writer.close()
    return True


def shop(policy: str, *addresses: str, version: int = 1) -> Service:
    return Service(name="shop", balance=policy, endpoints=tuple(map(Endpoint, addresses)), version=version)


async def test_an_update_is_applied_and_its_version_reported(endpoint: str) -> None:
    async with working() as (_, told):
        port = send_socket(told, "l4")
        told.update(4, shop("random", endpoint), listeners=(tcp("l4", ":0", "shop"),))
        assert await told.version() == 4
        assert await is_served(port)
        assert told.of("refused") == []
        told.remove(5, "l4", "shop")
        assert await told.version() == 5
        assert not await is_served(port)


async def test_a_policy_that_cannot_be_had_costs_its_service_only(endpoint: str) -> None:
    async with working() as (_, told):
        port = send_socket(told, "l4")
        told.update(1, shop("random", endpoint), listeners=(tcp("l4", ":0", "shop"),))
        assert await told.version() == 1
        other = Service(name="other", endpoints=(Endpoint(endpoint),))
        second = send_socket(told, "more")
        told.update(2, shop(LOST, "10.0.0.1:1"), other, listeners=(tcp("more", ":0", "other"),))
        assert await told.version() == 1  # not all of 2 is there
        (refused,) = told.of("refused")
        assert refused["version"] == 2
        assert refused["problem"] == "service shop: ValueError: there is no file /nowhere/mine.py"
        assert await is_served(port)  # as before
        assert await is_served(second)  # what can be had of it
        told.update(3, Service(name="other"))
        assert await told.version() == 1  # shop is still not what it was told to be
        told.update(4, shop("random", endpoint))
        assert await told.version() == 4
        assert len(told.of("refused")) == 1


async def test_a_new_service_that_cannot_be_built_still_has_its_listener() -> None:
    async with working() as (_, told):
        port = send_socket(told, "web")
        listener = Listener(name="web", bind=":0", service="shop", protocol=Protocol.TCP)
        told.update(1, shop(LOST, "10.0.0.1:1"), listeners=(listener,))
        assert await told.version() == 0
        assert len(told.of("refused")) == 1
        assert await is_served(port)
        told.remove(2, "web", "shop")
        assert await told.version() == 2


async def test_a_policy_that_is_not_there_is_refused() -> None:
    async with working() as (_, told):
        told.update(1, shop(LOST, "10.0.0.1:1"))
        assert await told.version() == 0
        assert "there is no file /nowhere/mine.py" in told.of("refused")[0]["problem"]


async def test_sockets_that_no_listener_takes_are_closed() -> None:
    async with working() as (_, told):
        for _ in range(3):
            send_socket(told, "stray")
        told.update(1)
        assert await told.version() == 1
        before = len(descriptors())
        for _ in range(20):
            send_socket(told, "stray")
        told.update(2)
        assert await told.version() == 2
        assert len(descriptors()) == before


@pytest.mark.parametrize("message", [{}, {"type": "dance"}, {"type": "drain"}, {"type": "update", "version": 1}])
async def test_a_message_that_makes_no_sense_is_survived(message: Message) -> None:
    async with working() as (worker, told):
        told.channel.send_message(message)
        told.update(1)
        assert await told.version() == 1
        assert not worker.stopped.is_set()


async def test_it_reports_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_S", 0.001)
    async with working() as (_, told):
        await until(lambda: len(told.of("report")) > 3, "reports")
        report = told.of("report")[-1]
        assert (report["worker"], report["version"], report["access_log_dropped"]) == (3, 0, 0)


async def test_a_supervisor_that_does_not_read_is_not_talked_to() -> None:
    async with working() as (worker, told):
        asyncio.get_running_loop().remove_reader(told.channel._socket)
        while worker._channel.is_idle:
            worker._send_report()
        waiting = worker._channel._size
        for _ in range(1000):
            worker._send_report()
        assert worker._channel._size == waiting
        told.channel.open()
        told.update(9)
        await until(lambda: told.messages and told.messages[-1].get("version") == 9, "what happened meanwhile")


async def test_it_drains_when_told_and_ends_at_once_when_nothing_is_open(endpoint: str) -> None:
    async with working() as (worker, told):
        port = send_socket(told, "l4")
        told.update(1, shop("random", endpoint), listeners=(tcp("l4", ":0", "shop"),))
        assert await told.version() == 1
        told.channel.send_message({"type": "announce"})
        assert await told.version() == 1
        assert not worker.stopped.is_set()
        told.channel.send_message({"type": "drain", "limit_s": 3600})
        await until(worker.stopped.is_set, "its end")
        assert not await is_served(port)


async def test_an_orphan_ends() -> None:
    async with working() as (worker, told):
        told.channel.close()
        await until(worker.stopped.is_set, "its end")


async def test_an_access_log_is_opened_anew_without_waiting_for_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)  # and never reads
    try:
        async with working() as (worker, told):
            log = {"type": "access-log", "to": f"{tmp_path}/log", "format": "json", "sample": 1}
            told.channel.send_message(log)
            assert await told.version() == 0
            assert worker._access is not None
            old: AccessLog = worker._access
            closing = asyncio.Event()
            loop = asyncio.get_running_loop()

            class Slow:
                """A log that takes its time to close."""

                dropped = 7

                def close(self, limit_s: float) -> None:
                    asyncio.run_coroutine_threadsafe(closing.wait(), loop).result()
                    old.close(limit_s)

            monkeypatch.setattr(worker, "_access", Slow())
            told.channel.send_message({**log, "to": ""})
            assert await told.version() == 0  # it goes on while the old one closes
            assert told.of("report")[-1]["access_log_dropped"] == 7  # and nothing is forgotten
            closing.set()
            await until(lambda: not any("log" in link for link in _pipes(tmp_path)), "the old one is closed")
    finally:
        os.close(reader)


def _pipes(folder: Path) -> list[str]:
    links = [link for link in descriptors().values() if link.startswith(str(folder))]
    return links[1:]  # but for the reader's own


async def test_an_access_log_that_cannot_be_opened_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with working() as (_, told):
        told.channel.send_message({"type": "access-log", "to": f"{tmp_path}/no/log", "format": "json", "sample": 1})
        assert await told.version() == 0
        assert "worker 3 cannot write its access log" in caplog.text
