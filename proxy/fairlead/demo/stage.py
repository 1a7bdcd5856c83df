"""The processes of the demo: the backends and the proxy, and the folder with its configuration and its log.

Owns every child: each is stopped by its own process id, whatever happened, and the folder is removed. Each runs in a
session of its own, so that the Ctrl-C of a terminal ends the demo, which then ends them in order.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from fairlead.demo.client import Connection, NoReply

HOST: Final = "127.0.0.1"

_NAMES: Final = ("a", "b", "c")
_PROXY_PORT: Final = 8080
_ADMIN_PORT: Final = 9900
_BACKEND_PORT: Final = 9001
_PORTS: Final = 100  # that are tried, each from there on
_START_S: Final = 15.0
_END_S: Final = 5.0  # a proxy that takes longer to end is killed
_LOOK_S: Final = 0.05
_TAIL: Final = 15  # lines of the proxy's log that are worth showing

_CONFIGURATION: Final = """\
# Written by `fairlead demo`. Change it and save: the proxy takes it on at once, without losing a connection.
listeners:
  web:
    bind: {proxy}
    routes:
      - {{service: shop}}
services:
  shop:
    endpoints:
{endpoints}
    balance: least-request         # try round-robin, random or weighted
admin:
  bind: {admin}
drain: {{delay: 0s, limit: 1s}}      # the demo ends quickly
"""


class StageError(Exception):
    """The demo cannot go on; says why."""


@final
class BackendProcess:
    """One backend, through all its lives on one port."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.condition = "dead"  # or "alive" or "slow": what the demo has done to it
        self.port = 0
        self.process: Process | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    async def start(self, port: int) -> None:
        """Start it on the first free port from `port` on, or where it was before. Raises StageError."""
        command = [sys.executable, "-m", "fairlead.demo.backend", str(self.port or port), self.name]
        self.process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, start_new_session=True)
        assert self.process.stdout is not None
        said = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_S):
                said = (await self.process.stdout.readline()).strip()
        if not said or self.port not in (0, int(said)):
            raise StageError(f"backend {self.name} could not start on port {self.port or port}")
        self.port = int(said)
        self.condition = "alive"

    async def kill(self) -> None:
        """End it as the kernel or a power cut would: no goodbye to any connection."""
        if self.process is not None:
            if self.process.returncode is None:
                self.process.kill()
            await self.process.communicate()
        self.condition = "dead"

    def slow(self) -> None:
        self._tell(signal.SIGUSR1, "slow")

    def quick(self) -> None:
        self._tell(signal.SIGUSR2, "alive")

    def _tell(self, number: signal.Signals, condition: str) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            self.condition = condition


@final
class Stage:
    """`open` starts everything and `close` ends it, also when `open` came to nothing."""

    def __init__(self) -> None:
        self.backends = {name: BackendProcess(name) for name in _NAMES}
        self.folder = Path(tempfile.mkdtemp(prefix="fairlead-demo-"))
        self.configuration = self.folder / "fairlead.yaml"
        self.log = self.folder / "proxy.log"
        self.port = 0
        self.admin_port = 0
        self._proxy: Process | None = None

    async def open(self) -> None:
        """Raises StageError."""
        for backend in self.backends.values():
            await backend.start(_BACKEND_PORT)
        self.port = free_port(_PROXY_PORT)
        self.admin_port = free_port(_ADMIN_PORT)
        self.configuration.write_text(self._text())
        command = [sys.executable, "-m", "fairlead", "run", "-c", str(self.configuration)]
        with self.log.open("wb") as log:
            self._proxy = await asyncio.create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        await self._ready()

    def _text(self) -> str:
        return _CONFIGURATION.format(
            proxy=f"{HOST}:{self.port}",
            admin=f"{HOST}:{self.admin_port}",
            endpoints="\n".join(f"      - {backend.address}" for backend in self.backends.values()),
        )

    async def _ready(self) -> None:
        admin = Connection(HOST, self.admin_port)
        try:
            async with asyncio.timeout(_START_S):
                while True:
                    if await self._is_ready(admin):
                        return
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise StageError(self.with_log(f"the proxy was not ready within {_START_S:g} s")) from None
        finally:
            admin.close()

    async def _is_ready(self, admin: Connection) -> bool:
        assert self._proxy is not None
        if self._proxy.returncode is not None:
            raise StageError(self.with_log("the proxy could not start"))
        try:
            return (await admin.get("/readyz")).status == 200
        except NoReply:
            return False

    async def proxy_ended(self) -> str:
        """Wait for the end of the proxy, which nobody has asked for, and say what is known of it."""
        assert self._proxy is not None
        status = await self._proxy.wait()
        return self.with_log(f"the proxy has ended (status {status})")

    def with_log(self, text: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL:]
        return "\n".join([text, *(f"    {line}" for line in lines)])

    async def close(self) -> None:
        """The proxy first: it must not see all of its endpoints die."""
        try:
            await self._end_proxy()
        finally:
            for backend in self.backends.values():
                await backend.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _end_proxy(self) -> None:
        if self._proxy is None or self._proxy.returncode is not None:
            return
        self._proxy.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(_END_S):
                await self._proxy.wait()
        except TimeoutError:
            self._proxy.kill()
            await self._proxy.wait()


def free_port(first: int) -> int:
    """The first free port from `first` on, or any.

    Not simply any: a port from the range that the kernel gives to clients can be taken by one while nobody listens, and
    a connection to such a port can even be made to itself. A dead backend's must be refused, and free when it returns.
    """
    for port in (*range(first, first + _PORTS), 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StageError("this machine has no free port")
