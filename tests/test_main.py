"""The composition root: what ends it, and how that is said."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from fairlead import main
from fairlead.control.supervisor import Supervisor
from fairlead.discovery.static import StaticSource
from fairlead.errors import ConfigError
from fairlead.model import Listener, Protocol
from fairlead.settings import Admin, ServiceSettings, Settings

LIMIT_S = 20.0


def settings(bind: str = "127.0.0.1:0", admin: str = "") -> Settings:
    listener = Listener(name="l4", bind=bind, protocol=Protocol.TCP, service="shop")
    shop = ServiceSettings(name="shop", sources=(StaticSource("10.0.0.1:80"),))
    return Settings(listeners={"l4": listener}, services={"shop": shop}, admin=Admin(bind=admin), workers=1)


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "raise_descriptor_limit", lambda: None)


def test_a_fault_of_its_own_is_one_clear_line_and_a_status(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(self: Supervisor) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Supervisor, "run", fail)
    assert main.run(settings(), None) == 1
    (record,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert record.message == "fairlead ends by a fault of its own: ZeroDivisionError: a bug"
    assert "ExceptionGroup" not in caplog.text


def test_every_address_that_cannot_be_had_is_told_and_nothing_stays_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        with pytest.raises(ConfigError) as refused:
            main.run(settings(bind=address, admin=address), None)
        assert [problem.split(":")[0] for problem in refused.value.problems] == ["listener l4", "listener admin"]
        with pytest.raises(ConfigError):
            main.run(settings(bind=f"unix:{tmp_path}/app.sock", admin=address), None)
    assert os.listdir(tmp_path) == []


async def test_a_signal_during_the_start_is_heard_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "_APPLIED_S", 3600.0)
    monkeypatch.setattr("fairlead.control.supervisor._FIRST_S", 3600.0)
    loop = asyncio.get_running_loop()
    given = settings()

    async def silent(self: Supervisor) -> None:
        """As if a source never answered."""
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    monkeypatch.setattr(Supervisor, "_load", silent)
    async with asyncio.timeout(LIMIT_S):
        assert await main.serve(given, None) == 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.remove_signal_handler(number)


async def test_a_reload_that_fails_by_a_bug_is_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reloads = asyncio.Semaphore(0)

    async def reload(self: Supervisor) -> None:
        reloads.release()
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Supervisor, "reload", reload)
    supervisor = Supervisor(settings(), None)
    signals = main._Signals(supervisor)
    task = asyncio.ensure_future(main._reload_on_change(supervisor, signals))
    async with asyncio.timeout(LIMIT_S):
        for _ in range(2):
            signals.reload.set()
            await reloads.acquire()
    task.cancel()
    await asyncio.wait([task])
    assert "the configuration could not be loaded" in caplog.text


async def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "fairlead.yaml"
    file.write_text("one")
    changed = asyncio.Event()
    task = asyncio.ensure_future(main._watch(file, changed))
    try:
        async with asyncio.timeout(LIMIT_S):
            while not changed.is_set():  # until the watching has begun, which nothing tells
                await asyncio.to_thread(_replace, file)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await changed.wait()
    finally:
        task.cancel()
        await asyncio.wait([task])


def _replace(file: Path) -> None:
    (file.parent / ".new").write_text(file.read_text() + "x")
    os.replace(file.parent / ".new", file)
