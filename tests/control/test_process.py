"""A worker process through its lives: started, heard to its last word, started again, killed when it is stuck."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from control.helpers import descriptors, until
from fairlead.control import process as module
from fairlead.control.channel import Message
from fairlead.control.process import Handlers, WorkerProcess

# Speaks as a worker does, without importing one. What follows is done once it has said hello.
HELLO = """
import json, os, signal, socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
def say(**message):
    text = json.dumps(message).encode()
    channel.sendall(len(text).to_bytes(4, "big") + b"\\0" + text)
say(type="hello", number=sys.argv[2])
"""
STAYS = HELLO + "channel.recv(1)\n"  # until the other end closes or says something


class Heard:
    """A worker, and what was heard of it."""

    def __init__(self, script: str) -> None:
        self.starts = 0
        self.messages: list[Message] = []
        self.deaths: list[str] = []
        self.order: list[str] = []
        handlers = Handlers(self._started, self._took, lambda worker: None, self._died)
        self.worker = WorkerProcess(7, handlers, [sys.executable, "-S", "-c", script])

    def _started(self, worker: WorkerProcess) -> None:
        self.starts += 1

    def _took(self, worker: WorkerProcess, message: Message) -> None:
        self.messages.append(message)
        self.order.append(message["type"])

    def _died(self, worker: WorkerProcess, how: str) -> None:
        self.deaths.append(how)
        self.order.append("death")


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BACKOFF_S", (0.0,))


@asynccontextmanager
async def kept(script: str) -> AsyncIterator[Heard]:
    """A worker that is kept alive while the test runs."""
    heard = Heard(script)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(heard.worker.keep())
        try:
            yield heard
        finally:
            task.cancel()
    if heard.worker.pid:
        with pytest.raises(ProcessLookupError):  # ended, and waited for
            os.kill(heard.worker.pid, 0)


async def test_it_is_started_with_its_channel_and_its_number() -> None:
    async with kept(STAYS) as heard:
        await until(lambda: heard.messages, "a hello")
        assert heard.messages == [{"type": "hello", "number": "7"}]
        assert heard.starts == 1
        assert os.getsid(heard.worker.pid) == heard.worker.pid  # a terminal's Ctrl-C is not for it
        assert abs(heard.worker.started - time.time()) < 60


@pytest.mark.usefixtures("no_backoff")
async def test_it_is_started_again_when_it_dies() -> None:
    async with kept(STAYS) as heard:
        await until(lambda: len(heard.messages) == 1, "a hello")
        os.kill(heard.worker.pid, signal.SIGKILL)
        await until(lambda: len(heard.messages) == 2, "another")
        os.kill(heard.worker.pid, signal.SIGKILL)
        await until(lambda: len(heard.messages) == 3, "a third")
        assert heard.deaths == ["signal SIGKILL"] * 2
        assert heard.worker.restarts == 2


@pytest.mark.usefixtures("no_backoff")
async def test_its_last_words_are_heard_before_its_death() -> None:
    async with kept(HELLO + "[say(type='last') for _ in range(100)]\nsys.exit(3)") as heard:
        await until(lambda: heard.deaths, "its death")
        assert heard.order[:102] == ["hello", *["last"] * 100, "death"]
        assert heard.deaths[0] == "exit status 3"


async def test_one_that_dies_at_once_is_started_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []

    async def rest(self: WorkerProcess, seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(WorkerProcess, "_rest", rest)
    async with kept("raise SystemExit(1)") as heard:
        await until(lambda: len(heard.deaths) >= 8, "eight deaths")
    assert rests[:8] == [0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]


async def test_one_that_lived_long_is_started_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []

    async def rest(self: WorkerProcess, seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(WorkerProcess, "_rest", rest)
    monkeypatch.setattr(module, "_SETTLED_S", 0.0)
    async with kept("raise SystemExit(1)") as heard:
        await until(lambda: len(heard.deaths) >= 4, "four deaths")
    assert set(rests) == {0.0}


@pytest.mark.usefixtures("no_backoff")
async def test_one_that_cannot_be_started_is_tried_again() -> None:
    heard = Heard("")
    worker = WorkerProcess(0, Handlers(heard._started, heard._took, lambda _: None, heard._died), ["/nowhere/python"])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(worker.keep())
        await until(lambda: len(heard.deaths) >= 2, "two attempts")
        worker.end()
        await task
    assert heard.deaths[0] == "it cannot be started: No such file or directory"
    assert heard.starts == 0


async def test_end_does_not_wait_for_the_next_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BACKOFF_S", (3600.0,))
    async with kept("raise SystemExit(1)") as heard:
        await until(lambda: heard.deaths, "its death")
        heard.worker.end()
        async with asyncio.timeout(10):
            await heard.worker.keep()
    assert heard.starts == 1


async def test_after_end_it_is_not_started_again() -> None:
    async with kept(STAYS) as heard:
        await until(lambda: heard.messages, "a hello")
        heard.worker.end()
        assert heard.worker.is_ending
        heard.worker.send({"type": "drain"})
        await until(lambda: heard.worker.channel is None, "its end")
    assert (heard.starts, heard.deaths, heard.worker.restarts) == (1, [], 0)


@pytest.mark.usefixtures("no_backoff")
async def test_one_that_is_stopped_is_killed_and_replaced(caplog: pytest.LogCaptureFixture) -> None:
    async with kept(STAYS) as heard:
        await until(lambda: heard.messages, "a hello")
        pid = heard.worker.pid
        os.kill(pid, signal.SIGSTOP)
        for _ in range(30):
            heard.worker.kill_if_stuck()
        assert heard.deaths == []
        heard.worker.kill_if_stuck()
        await until(lambda: len(heard.messages) == 2, "its successor")
        assert heard.deaths == ["signal SIGKILL"]
        assert f"worker 7 (pid {pid}) has said nothing for 30 s" in caplog.text


async def test_one_that_speaks_is_not_stuck() -> None:
    async with kept(HELLO + "while channel.recv(1): say(type='report')") as heard:
        await until(lambda: heard.messages, "a hello")
        for _ in range(25):
            heard.worker.kill_if_stuck()
        heard.worker.send({})
        await until(lambda: len(heard.messages) > 1, "an answer")
        for _ in range(25):
            heard.worker.kill_if_stuck()
        assert heard.deaths == []


async def test_descriptors_that_a_worker_sends_are_closed() -> None:
    gift = 'socket.send_fds(channel, [b"\\0\\0\\0\\x11\\1" + b\'{"type": "other"}\'], [1])\n'
    before = len(descriptors())
    async with kept(HELLO + gift * 50 + "channel.recv(1)") as heard:
        await until(lambda: len(heard.messages) == 51, "all gifts")
        assert len(descriptors()) < before + 50


async def test_garbage_ends_the_conversation_and_the_worker_with_it() -> None:
    async with kept(HELLO + "channel.sendall(b'nonsense')\nchannel.recv(1)\nsys.exit(4)") as heard:
        await until(lambda: heard.deaths, "its end")
        assert heard.deaths == ["exit status 4"]


async def test_one_that_does_not_listen_is_killed_before_it_costs_memory() -> None:
    async with kept(HELLO + "signal.pause()") as heard:
        await until(lambda: heard.messages, "a hello")
        channel = heard.worker.channel
        assert channel is not None
        channel._limit = 1_000_000
        for _ in range(2):
            heard.worker.send({"much": "x" * 900_000})
        await until(lambda: heard.deaths, "its death")
        assert heard.deaths == ["signal SIGKILL"]
