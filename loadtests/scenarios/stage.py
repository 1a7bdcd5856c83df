"""The pods of the example app and the proxy before them, on this machine, and what befalls them.

Owns their processes: each is stopped by its own process id, whatever happened. The proxy follows a file of endpoints,
which is written here as the endpoints of a Service are by Kubernetes: a pod is ready when its probe says so, draining
when it has been told to end, gone when it has ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from loadtests.compare.peers.fairlead import executable
from loadtests.compare.processes import HOST, free_ports
from loadtests.scenarios.plans import Act, Deed, Plan

APP: Final = Path(__file__).parents[2] / "deploy" / "example"
_LATENCY: Final = "latency=0.004&jitter=0.004"
_SLOW: Final = "latency=0.08&jitter=0.08"
_STARTING_S: Final = 2.0  # until a pod that is started during the scenario says that it is ready
_LIMIT_S: Final = 20.0
_LOOK_S: Final = 0.1

_CONFIGURATION: Final = """\
listeners:
  web:
    bind: {host}:{port}
    limits: {{max_client_connections: 0}}   # all users are one address
    service: my-app
services:
  my-app:
    endpoints: file:{endpoints}
    objective: 50ms
admin:
  bind: {host}:{admin}
drain: {{delay: 0s, limit: 1s}}
"""
Tell = Callable[[str], None]


class StageError(Exception):
    """The scenario cannot go on; says why."""


@final
@dataclass(slots=True)
class _Pod:
    name: str
    process: Process
    address: str
    is_ready: bool = False
    is_ending: bool = False

    async def ask(self, method: str, target: str) -> bool:
        """Whether it answered with success."""
        request = urllib.request.Request(f"http://{self.address}{target}", method=method)
        with suppress(OSError):
            await asyncio.to_thread(urllib.request.urlopen, request, timeout=2.0)
            return True
        return False


@final
class Stage:
    """Use `opened`."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self.port, self.admin = free_ports(2)
        self._folder = folder
        self._tell = tell
        self._pods: dict[int, _Pod] = {}
        self._others: list[_Pod] = []  # those that a newer one has taken the place of
        self._made = 0
        self._proxy: Process | None = None

    async def open(self, pods: int) -> None:
        for number in range(pods):
            self._pods[number] = await self._start(0.0)
            await self._until_ready(self._pods[number])
        self._write()
        configuration = self._folder / "fairlead.yaml"
        text = _CONFIGURATION.format(host=HOST, port=self.port, admin=self.admin, endpoints=self._file)
        configuration.write_text(text)
        log = (self._folder / "proxy.log").open("wb")
        with log:
            self._proxy = await asyncio.create_subprocess_exec(
                *executable(), "run", "-c", str(configuration), stdout=log, stderr=log, start_new_session=True
            )
        await self._until_proxy()

    @property
    def _file(self) -> Path:
        return self._folder / "endpoints.yaml"

    async def act(self, act: Act) -> None:
        """Let it happen; returns when it has."""
        pod = self._pods.get(act.pod)
        match act.deed:
            case Deed.START:
                self._pods[act.pod] = started = await self._start(_STARTING_S)
                self._tell(f"{started.name} is started")
                await self._until_ready(started)
                self._write()
                self._tell(f"{started.name} is ready")
            case Deed.REPLACE if pod is not None:
                self._others.append(pod)
                await self.act(Act(act.at_s, Deed.START, act.pod))
                await self._end(pod)
            case Deed.SLOW if pod is not None:
                await pod.ask("POST", f"/faults?{_SLOW}")
                self._tell(f"{pod.name} is 20 times slower")
            case Deed.FAIL if pod is not None:
                await pod.ask("POST", f"/faults?status=503&{_LATENCY}")
                self._tell(f"{pod.name} answers 503")
            case Deed.HEAL if pod is not None:
                await pod.ask("DELETE", "/faults")
                self._tell(f"{pod.name} is well again")
            case Deed.DIE if pod is not None:
                pod.process.kill()
                self._tell(f"{pod.name} is dead")

    async def _end(self, pod: _Pod) -> None:
        pod.is_ending = True
        self._write()
        pod.process.terminate()
        self._tell(f"{pod.name} is told to end")
        await pod.process.wait()
        self._others.remove(pod)
        self._write()
        self._tell(f"{pod.name} has ended")

    async def _start(self, start_s: float) -> _Pod:
        self._made += 1
        name = f"my-app-{self._made}"
        environ = {
            **os.environ,
            "MY_APP_NAME": name,
            "MY_APP_HOST": HOST,
            "MY_APP_PORT": "0",
            "MY_APP_START_S": str(start_s),
            "PYTHONPATH": str(APP),
            **{f"MY_APP_{key.upper()}": value for key, _, value in (w.partition("=") for w in _LATENCY.split("&"))},
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "my_app", env=environ, stdout=PIPE, start_new_session=True
        )
        pod = _Pod(name, process, "")
        self._others.append(pod)  # so that it is stopped, whatever happens next
        assert process.stdout is not None
        said = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LIMIT_S):
                said = await process.stdout.readline()
        if not said:
            raise StageError(f"{name} did not start")
        pod.address = f"{HOST}:{int(said.split()[-1])}"
        self._others.remove(pod)
        return pod

    async def _until_ready(self, pod: _Pod) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LIMIT_S):
                while not await pod.ask("GET", "/ready"):  # noqa: ASYNC110 (a probe polls)
                    await asyncio.sleep(_LOOK_S)
                pod.is_ready = True
        if not pod.is_ready:
            raise StageError(f"{pod.name} did not become ready")

    async def _until_proxy(self) -> None:
        url = f"http://{HOST}:{self.admin}/readyz"
        with suppress(TimeoutError):
            async with asyncio.timeout(_LIMIT_S):
                while self._proxy is not None and self._proxy.returncode is None:
                    with suppress(OSError):
                        await asyncio.to_thread(urllib.request.urlopen, url, timeout=2.0)
                        return
                    await asyncio.sleep(_LOOK_S)
        raise StageError(f"the proxy did not start: {(self._folder / 'proxy.log').read_text()[-600:]}")

    def _write(self) -> None:
        """The endpoints as they are now, in one step."""
        rows = [
            {"address": pod.address, "state": "draining" if pod.is_ending else "ready"}
            for pod in [*self._pods.values(), *self._others]
            if pod.is_ready
        ]
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(rows))
        new.replace(self._file)

    async def close(self) -> None:
        """End every process."""
        processes = [pod.process for pod in [*self._pods.values(), *self._others]]
        for process in [*processes, *([self._proxy] if self._proxy else [])]:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


@asynccontextmanager
async def opened(plan: Plan, folder: Path, tell: Tell) -> AsyncIterator[Stage]:
    """Pods and proxy, ready; nothing of them is left afterwards."""
    stage = Stage(folder, tell)
    try:
        await stage.open(plan.pods)
        yield stage
    finally:
        await stage.close()
