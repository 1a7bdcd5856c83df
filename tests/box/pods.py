"""A pod of the box: the example app in a sandbox, kept as the kubelet keeps it.

Owns the process, its probes and its end: SIGTERM, the grace period, SIGKILL, and only then is the sandbox gone. A
container that ends by itself is started anew in the same sandbox, at the same address. Never speaks of endpoints: who
keeps those is told of each change.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, final

from box.network import Sandbox

_EXAMPLE: Final = Path(__file__).parents[2] / "deploy" / "example"
_READY: Final = b"GET /ready HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"
_PROBE_LIMIT_S: Final = 1.0


class What(StrEnum):
    """What happens to a pod, in the order of a life."""

    LISTENS = "listens"
    READY = "is ready"
    UNREADY = "is not ready"
    CRASHED = "has crashed"
    DELETED = "is being deleted"
    SIGTERM = "gets SIGTERM"
    SIGKILL = "gets SIGKILL: its grace period is over"
    ENDED = "has ended"
    GONE = "is gone, and its address with it"


@dataclass(frozen=True)
class Kubelet:
    """How long things take on a node."""

    probe_s: float = 0.25  # between two probes
    failures: int = 3  # so many in a row are believed
    hears_s: float = 0.01  # from a deletion to SIGTERM
    notices_s: float = 0.3  # that a container has crashed
    removes_s: float = 0.1  # a sandbox whose container has ended
    grace_s: float = 5.0


@dataclass(frozen=True)
class Template:
    """What a Deployment says of its pods. Another revision is another template."""

    revision: int = 1
    environ: tuple[tuple[str, str], ...] = (("MY_APP_SIGTERM", "graceful:1"),)


@final
class Pod:
    """`run` is its life; `tell` is called with each thing that happens to it, after it has."""

    def __init__(
        self,
        name: str,
        template: Template,
        sandbox: Sandbox,
        kubelet: Kubelet,
        tell: Callable[[Pod, What], None],
    ) -> None:
        self.name = name
        self.revision = template.revision
        self.address = sandbox.address
        self.port = 0
        self.is_ready = False
        self.is_deleted = False
        self.is_gone = False
        self._template = template
        self._sandbox = sandbox
        self._kubelet = kubelet
        self._on = tell
        self._process: asyncio.subprocess.Process | None = None
        self._deleted = asyncio.Event()

    @property
    def at(self) -> str:
        return f"{self.address}:{self.port}"

    def delete(self) -> None:
        """What the API does: it writes down that the pod is to end. The node hears of it a little later."""
        if not self.is_deleted:
            self.is_deleted = True
            self._tell(What.DELETED)
            self._deleted.set()

    def crash(self) -> None:
        """SIGKILL without a word to anybody, as when memory runs out."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def run(self) -> None:
        try:
            while not self.is_deleted:
                await self._live()
        finally:
            self.crash()
            if self._process is not None:
                await self._process.wait()
        self._tell(What.ENDED)
        await asyncio.sleep(self._kubelet.removes_s)
        await self._sandbox.remove()
        self.is_gone = True
        self._tell(What.GONE)

    async def _live(self) -> None:
        """One container, from its start to its end."""
        process = self._process = await self._start()
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(self._keep(process)), group.create_task(self._end_when_deleted(process))]
            await process.wait()
            for task in others:
                task.cancel()
        if self.is_deleted:
            self._set_ready(False)
            return
        self._tell(What.CRASHED)
        await asyncio.sleep(self._kubelet.notices_s)
        self._set_ready(False)

    async def _start(self) -> asyncio.subprocess.Process:
        environ = {"MY_APP_NAME": self.name, "MY_APP_HOST": self._sandbox.bind, "MY_APP_PORT": str(self._sandbox.port)}
        return await asyncio.create_subprocess_exec(
            *self._sandbox.command(sys.executable, "-m", "my_app"),
            cwd=_EXAMPLE,
            env={**_inherited(os.environ), **dict(self._template.environ), **environ},
            stdout=subprocess.PIPE,
            start_new_session=True,  # what ends the suite by a key does not end pods out of their turn
        )

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        """Probe it for as long as it lives; readiness counts during its end, too."""
        assert process.stdout is not None
        match = re.search(rb"on port (\d+)", await process.stdout.readline())
        if match is None:
            return
        self.port = int(match[1])
        self._tell(What.LISTENS)
        failures = 0
        while True:
            is_good = await probe(self.address, self.port)
            failures = 0 if is_good else failures + 1
            if is_good or failures >= self._kubelet.failures:
                self._set_ready(is_good)
            await asyncio.sleep(self._kubelet.probe_s)

    async def _end_when_deleted(self, process: asyncio.subprocess.Process) -> None:
        await self._deleted.wait()
        await asyncio.sleep(self._kubelet.hears_s)
        process.terminate()
        self._tell(What.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), self._kubelet.grace_s)
            return
        process.kill()
        self._tell(What.SIGKILL)

    def _set_ready(self, is_ready: bool) -> None:
        if is_ready != self.is_ready:
            self.is_ready = is_ready
            self._tell(What.READY if is_ready else What.UNREADY)

    def _tell(self, what: What) -> None:
        self._on(self, what)


async def probe(address: str, port: int, request: bytes = _READY) -> bool:
    """Whether this is answered with 200, in time."""
    try:
        async with asyncio.timeout(_PROBE_LIMIT_S):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(request)
                return (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def _inherited(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("MY_APP_")}


def now() -> float:
    """The clock of all times here, and of the load's."""
    return time.monotonic()
