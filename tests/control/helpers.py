"""What the tests of the control plane share: a loop that runs only when told, what is open, sources that are told."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from fairlead.discovery import Found
from fairlead.model import Endpoint

LIMIT_S = 20.0  # for anything that is waited for; a test that needs it fails
_STEP_S = 0.005


class Readiness:
    """Calls the callbacks of sockets that are ready, when a test says so; nothing happens in between."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], object]] = {}
        self.writers: dict[int, Callable[[], object]] = {}

    def add_reader(self, fd: socket.socket, callback: Callable[[], object]) -> None:
        self.readers[fd.fileno()] = callback

    def remove_reader(self, fd: socket.socket) -> bool:
        return self.readers.pop(fd.fileno(), None) is not None

    def add_writer(self, fd: socket.socket, callback: Callable[[], object]) -> None:
        self.writers[fd.fileno()] = callback

    def remove_writer(self, fd: socket.socket) -> bool:
        return self.writers.pop(fd.fileno(), None) is not None

    def turn(self) -> bool:
        """Call the callback of each descriptor that is ready; whether there was any."""
        readable, writable, _ = select.select(list(self.readers), list(self.writers), [], 0)
        for fd in readable:
            self.readers.get(fd, int)()
        for fd in writable:
            self.writers.get(fd, int)()
        return bool(readable or writable)

    def settle(self) -> None:
        """Turn until nothing is ready any more."""
        while self.turn():
            pass


def descriptors() -> dict[int, str]:
    """What this process has open."""
    links = {}
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the directory's own
            links[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return links


@dataclass
class Control:
    """The other end of a source: what it is to find, and how often it was watched."""

    found: asyncio.Queue[Found | Exception] = field(default_factory=asyncio.Queue)
    begun: int = 0
    ended: int = 0
    fails_at_end: bool = False

    def find(self, *addresses: str, problem: str = "", weight: int = 1) -> None:
        self.found.put_nowait(Found(tuple(Endpoint(address, weight) for address in addresses), problem))

    @property
    def watching(self) -> int:
        return self.begun - self.ended


@dataclass(frozen=True)
class Fake:
    """A source that finds what a test tells it."""

    text: str
    control: Control = field(default_factory=Control, compare=False)
    weight: int = 1

    async def watch(self) -> AsyncGenerator[Found, None]:
        self.control.begun += 1
        try:
            while True:
                found = await self.control.found.get()
                if isinstance(found, Exception):
                    raise found
                yield found
        finally:
            self.control.ended += 1
            if self.control.fails_at_end:
                raise RuntimeError("a source that does not end well")


async def until(condition: Callable[[], object], what: str) -> None:
    """Turn the loop until the condition holds; for what no event tells, such as another process's state."""
    for _ in range(int(LIMIT_S / _STEP_S)):
        if condition():
            return
        await asyncio.sleep(_STEP_S)
    raise AssertionError(f"did not come to pass: {what}")
