"""One backend of the demo, as the process that it is."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from fairlead.demo.client import Connection, NoReply
from fairlead.demo.stage import HOST, BackendProcess, StageError

PORT = 9501  # from there on the first free one is taken


async def asked(backend: BackendProcess, target: str = "/x") -> dict[str, str]:
    connection = Connection(HOST, backend.port)
    try:
        said: dict[str, str] = json.loads((await connection.get(target)).body)
        return said
    finally:
        connection.close()


async def test_it_says_its_name_and_what_it_was_asked_for() -> None:
    backend = BackendProcess("b")
    try:
        await backend.start(PORT)
        assert await asked(backend, "/hello?x=1") == {"backend": "b", "target": "/hello?x=1"}
    finally:
        await backend.kill()


async def test_two_that_want_one_port_get_two() -> None:
    backends = [BackendProcess("a"), BackendProcess("b")]
    try:
        for backend in backends:
            await backend.start(PORT)
        assert [(await asked(backend))["backend"] for backend in backends] == ["a", "b"]
    finally:
        for backend in backends:
            await backend.kill()


async def test_it_dies_at_once_and_returns_to_the_same_port() -> None:
    backend = BackendProcess("b")
    try:
        await backend.start(PORT)
        address = backend.address
        await backend.kill()
        assert backend.condition == "dead"
        with pytest.raises(NoReply):
            await asked(backend)
        await backend.start(PORT)
        assert (backend.address, backend.condition) == (address, "alive")
        assert (await asked(backend))["backend"] == "b"
    finally:
        await backend.kill()


async def test_it_does_not_return_to_another_port() -> None:
    first, second = BackendProcess("a"), BackendProcess("b")
    try:
        await first.start(PORT)
        await first.kill()
        await second.start(first.port)
        assert second.port == first.port
        with pytest.raises(StageError, match="backend a could not start on port"):
            await first.start(PORT)
    finally:
        await first.kill()
        await second.kill()


async def test_it_can_be_slow_for_a_while() -> None:
    backend = BackendProcess("b")
    try:
        await backend.start(PORT)
        backend.slow()
        begin = time.monotonic()
        await asked(backend)
        assert time.monotonic() - begin >= 0.14
        assert backend.condition == "slow"
        backend.quick()
        assert backend.condition == "alive"
    finally:
        await backend.kill()


async def test_it_does_not_outlive_whoever_started_it() -> None:
    backend = BackendProcess("b")
    try:
        await backend.start(PORT)
        assert backend.process is not None and backend.process.stdin is not None
        backend.process.stdin.close()
        async with asyncio.timeout(10):
            assert await backend.process.wait() == 0
    finally:
        await backend.kill()
