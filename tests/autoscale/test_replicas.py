"""Several replicas over TLS, each with its own part of the traffic: any answers for all, or says that it cannot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from autoscale.samplings import A, Traffic
from control.helpers import Fake, until
from fairlead.autoscale import certificates, peers
from fairlead.autoscale.access import Everybody
from fairlead.autoscale.answers import Answers
from fairlead.autoscale.failures import Failure
from fairlead.autoscale.objects import objects
from fairlead.autoscale.peers import View
from fairlead.autoscale.pods import ConfiguredPods
from fairlead.autoscale.replicas import Alone, Replicas, read_key
from fairlead.autoscale.server import Server
from fairlead.autoscale.window import Window
from fairlead.control.sockets import open_listening
from fairlead.discovery import Found
from fairlead.model import Endpoint, State

KEY = b"0123456789abcdef"


class Replica:
    """One replica: a source that a test tells what it finds, and traffic of so many requests a second."""

    def __init__(self, rate: int, key: bytes = KEY) -> None:
        self.window = Window(10.0)
        traffic = Traffic(self.window)
        traffic.second()
        for _ in range(10):
            traffic.serve(A, *[1000] * rate)
            traffic.second()
        self.source = Fake("fake://")
        self.replicas = Replicas(self.window, self.source, key, 10.0)
        self.asked = 0
        known = objects({}, {})
        answers = Answers(Alone(self.window), known, ConfiguredPods(known), 60.0)
        self.server = Server(lambda: answers, Everybody(), self._tell)
        self.address = ""

    def _tell(self, target: str, header: str) -> tuple[bytes, str] | None:
        self.asked += 1
        return self.replicas.answer(target, header, {"shop": 0.0})

    def find(self, *endpoints: Endpoint | str, problem: str = "") -> None:
        found = tuple(each if isinstance(each, Endpoint) else Endpoint(each) for each in endpoints)
        self.source.control.found.put_nowait(Found(found, problem))

    async def rate(self) -> float:
        """As it answers for all."""
        figures = (await self.replicas.view(False)).current("shop")
        assert figures is not None
        return figures.rate

    async def refused(self) -> str:
        with pytest.raises(Failure) as failure:
            await self.replicas.view(False)
        assert failure.value.status == 503
        return failure.value.message

    async def knows(self, count: int) -> None:
        await until(lambda: len(self._endpoints()) == count, f"{count} replicas are found")

    def _endpoints(self) -> tuple[Endpoint, ...]:
        found = self.replicas._found
        return found.endpoints if found else ()


@asynccontextmanager
async def running(*all_replicas: Replica) -> AsyncIterator[None]:
    """Each serves on a port of its own, and finds all of them."""
    for replica in all_replicas:
        listening = open_listening("127.0.0.1:0", 1)[0]
        replica.address = f"127.0.0.1:{listening.getsockname()[1]}"
        await replica.server.start(listening, certificates.context(certificates.made([]), ""))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(replica.replicas.run()) for replica in all_replicas]
        for replica in all_replicas:
            replica.find(*(each.address for each in all_replicas))
            await replica.knows(len(all_replicas))
        yield
        for task in tasks:
            task.cancel()
    for replica in all_replicas:
        await replica.server.stop()


async def test_any_replica_answers_for_all() -> None:
    one, two, three = Replica(10), Replica(20), Replica(30)
    async with running(one, two, three):
        assert await one.rate() == pytest.approx(60.0)
        assert await three.rate() == pytest.approx(60.0)
        view: View = await two.replicas.view(with_endpoints=True)
        assert view.endpoints("shop")[A].rate == pytest.approx(60.0)


async def test_what_was_just_heard_is_not_asked_for_again() -> None:
    one, two = Replica(10), Replica(20)
    async with running(one, two):
        assert await asyncio.gather(*(one.rate() for _ in range(10))) == [pytest.approx(30.0)] * 10
        assert two.asked == 1
        assert one.asked == 1, "itself, once, until it knows"


async def test_without_the_key_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    one, two = Replica(10), Replica(20, key=b"another key, as long")
    async with running(one, two):
        message = await one.refused()
        assert message.startswith("only 1 of 2 replicas were heard")
        assert "it answers 401; has it the same peer_key?" in message
        assert "is not heard" in caplog.text


async def test_one_that_is_silent_counts_with_its_last_word_for_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    one, two = Replica(10), Replica(20)
    async with running(one, two):
        assert await one.rate() == pytest.approx(30.0)
        await two.server.stop()
        now[0] += 9.0
        assert await one.rate() == pytest.approx(30.0)
        now[0] += 2.0
        assert (await one.refused()).startswith("only 1 of 2 replicas were heard")
        one.find(one.address, Endpoint(two.address, state=State.DRAINING))
        await until(lambda: any(each.state is State.DRAINING for each in one._endpoints()), "it drains")
        assert await one.rate() == pytest.approx(10.0), "one that is not ready need not answer"


async def test_before_the_others_are_known_there_is_no_answer() -> None:
    one = Replica(10)
    assert "nothing was heard of them yet" in await one.refused()
    async with running(one):
        assert await one.rate() == pytest.approx(10.0)
        one.find(problem="no such name")
        await one.knows(0)
        assert "no such name" in await one.refused()


async def test_an_answer_of_somebody_else_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "answer", lambda key, nonce, body: "0" * 64)
    monkeypatch.setattr(peers, "is_answer", lambda key, nonce, body, header: False)
    one, two = Replica(10), Replica(20)
    async with running(one, two):
        assert "its answer is not signed with the peer_key" in await one.refused()


def test_a_key_is_read_and_has_a_length(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    assert read_key(str(file)) == KEY
    file.write_bytes(b"short\n")
    with pytest.raises(ValueError, match="at least 16 bytes"):
        read_key(str(file))
