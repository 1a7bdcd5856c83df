"""Fairlead in the box: the real command in a sandbox of its own, with what it says of itself.

Owns the process, its log, its access log. Where the network has no namespaces it listens on any free port.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, final

import aiohttp
from box.cluster import NAME
from box.network import Sandbox
from box.pods import now

_LIMIT_S: Final = 20.0
_LOOK_S: Final = 0.05
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)

SERVICES: Final = f"{{{NAME}: {{endpoints: k8s://default/{NAME}:http}}}}"
ROUTES: Final = f"[{{service: {NAME}}}]"


def configuration(bind: str, ports: tuple[int, int], log: Path, services: str, routes: str, more: str) -> str:
    """A fairlead.yaml. `ports` are of the listener and the admin server."""
    return f"""\
listeners:
  web: {{bind: "{bind}:{ports[0]}", routes: {routes}}}
services: {services}
admin: {{bind: "{bind}:{ports[1]}"}}
access_log: {{to: {log}, sample: 1}}
{more}
"""


@final
class Gateway:
    """`start` it; it has ended when `end` or `stop` returns."""

    def __init__(self, process: asyncio.subprocess.Process, sandbox: Sandbox, log: Path) -> None:
        self.lines: list[str] = []
        self.process = process
        self._sandbox = sandbox
        self._access_log = log
        self._heard = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())
        self.at = ""  # of the listener
        self._admin = ""
        self._is_over = False

    @classmethod
    async def start(
        cls, sandbox: Sandbox, directory: Path, kubeconfig: str,
        services: str = SERVICES, routes: str = ROUTES, more: str = "workers: 1",
    ) -> Gateway:  # fmt: skip
        log, path, config = directory / "access.log", directory / "kubeconfig", directory / "fairlead.yaml"
        ports = (sandbox.port, 9900 if sandbox.port else 0)
        text = configuration(sandbox.bind, ports, log, services, routes, more)
        _write({path: kubeconfig, config: text})
        process = await asyncio.create_subprocess_exec(
            *sandbox.command(sys.executable, "-m", "fairlead", "run", "-c", str(config)),
            env={**os.environ, "KUBECONFIG": str(path)},
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        gateway = cls(process, sandbox, log)
        gateway.at = f"{sandbox.address}:{(await gateway.said(r'web on [0-9.]+:([0-9]+)'))[1]}"
        gateway._admin = f"{sandbox.address}:{(await gateway.said(r'admin server on [0-9.]+:([0-9]+)'))[1]}"
        return gateway

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode().rstrip())
            self._heard.set()
        self._heard.set()

    async def said(self, pattern: str) -> re.Match[str]:
        """Wait for a line of the log."""
        async with asyncio.timeout(_LIMIT_S):
            while True:
                for line in self.lines:
                    if match := re.search(pattern, line):
                        return match
                if self._reading.done():
                    raise RuntimeError("fairlead has ended:\n" + "\n".join(self.lines))
                self._heard.clear()
                await self._heard.wait()

    async def ask(self, path: str) -> tuple[int, str]:
        """Status and body of the admin server's answer; 0 when there is none."""
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.get(f"http://{self._admin}{path}") as reply,
            ):
                return reply.status, await reply.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""

    async def is_ready(self) -> bool:
        return (await self.ask("/readyz"))[0] == 200

    async def until_ready(self) -> None:
        async with asyncio.timeout(_LIMIT_S):
            while not await self.is_ready():  # noqa: ASYNC110 (what is waited for tells nobody)
                await asyncio.sleep(_LOOK_S)

    async def endpoints(self) -> dict[str, str]:
        """The state of each endpoint of the Service, by its address."""
        said: dict[str, Any] = json.loads((await self.ask("/api/v1/services"))[1])
        (service,) = (each for each in said["services"] if each["name"] == NAME)
        return {each["address"]: each["state"] for each in service["endpoints"]}

    async def until(self, condition: Callable[[dict[str, str]], bool], what: str) -> float:
        """Wait until that holds of `endpoints`; returns when it was seen."""
        end = now() + _LIMIT_S
        while now() < end:
            if condition(await self.endpoints()):
                return now()
            await asyncio.sleep(_LOOK_S)
        raise TimeoutError(f"did not come to pass: {what}; endpoints: {await self.endpoints()}")

    async def metric(self, name: str, by: str = "") -> dict[str, float]:
        """The series of a metric, added up by a label."""
        found: dict[str, float] = {}
        for labels, value in re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", (await self.ask("/metrics"))[1], re.M):
            key = dict(re.findall(r'(\w+)="([^"]*)"', labels)).get(by, "")
            found[key] = found.get(key, 0.0) + float(value)
        return found

    async def events(self) -> list[str]:
        """What Fairlead says has happened, the oldest first."""
        said: dict[str, Any] = json.loads((await self.ask("/api/v1/events"))[1])
        return [f"{each['kind']} {each['subject']}: {each['text']}".strip() for each in reversed(said["events"])]

    def access_log(self) -> list[dict[str, Any]]:
        """Its lines, one for each exchange; whole only once it has ended."""
        return [json.loads(line) for line in self._access_log.read_text().splitlines()]

    def cpu_s(self) -> float:
        """Of the supervisor, until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def end(self) -> None:
        """As in a deployment: SIGTERM, and the drain that is configured."""
        if self.process.returncode is None:
            self.process.terminate()
        await self._over()

    async def stop(self) -> None:
        """At once."""
        for number in (signal.SIGINT, signal.SIGINT):
            if self.process.returncode is None:
                self.process.send_signal(number)
        await self._over()

    async def _over(self) -> None:
        await asyncio.wait_for(self.process.wait(), _LIMIT_S)
        await self._reading
        if not self._is_over:
            self._is_over = True
            await self._sandbox.remove()


def _write(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
