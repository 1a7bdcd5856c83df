"""`python -m loadtests.soak`: soaks a Fairlead of its own and says what it found; exit status 0 when all is well."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop
from fairlead.control.machine import raise_descriptor_limit
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from loadtests.soak.clients import Tally, patient, rude
from loadtests.soak.held import Held, held

_BACKENDS = 3
_RUDE_AT_ONCE = 100
_GROWTH_KB = 6_000  # of the workers' memory over a phase that came after an equal one
_console = Console()


class Backends:
    """The endpoints, each a process that can be killed."""

    def __init__(self, count: int) -> None:
        self.ports = [_free_port() for _ in range(count)]
        self._processes = [self._start(port) for port in self.ports]
        self.kills = 0

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "loadtests.soak.backend", str(port)], stdin=subprocess.DEVNULL)

    async def restart_now_and_then(self) -> None:
        """Kill one and start it again, a little later, for ever."""
        rng = random.Random(1)
        while True:
            await asyncio.sleep(rng.uniform(0.3, 1.0))
            i = rng.randrange(len(self.ports))
            self._processes[i].kill()
            self._processes[i].wait()
            self.kills += 1
            await asyncio.sleep(rng.uniform(0.0, 0.3))
            self._processes[i] = self._start(self.ports[i])

    async def wait_up(self) -> None:
        """Wait until each accepts."""
        for port in self.ports:
            for _ in range(500):
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


class Proxy:
    """A Fairlead with one worker, and what it holds."""

    def __init__(self, ports: list[int], folder: Path) -> None:
        config = folder / "fairlead.yaml"
        endpoints = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        config.write_text(
            'listeners: {web: {bind: "127.0.0.1:0", service: soak}}\n'
            f"services: {{soak: {{endpoints: [{endpoints}], timeouts: {{idle: 2s}}}}}}\n"
            'admin: {bind: "off"}\nworkers: 1\ndrain: {delay: 0, limit: 1s}\n'
        )
        self._log = (folder / "log").open("w+")
        command = [sys.executable, "-m", "fairlead", "run", "-c", str(config)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=self._log)
        self.port = self._wait_for_port(folder / "log")

    def _wait_for_port(self, log: Path) -> int:
        for _ in range(500):
            match = re.search(r"web on 127\.0\.0\.1:(\d+)", log.read_text())
            if match:
                return int(match[1])
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise SystemExit(f"fairlead did not start:\n{log.read_text()}")

    def held(self) -> Held:
        return held(self._process.pid)

    def stop(self) -> str:
        """End it; returns its log from the first error on."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(10)
        self._log.seek(0)
        text = self._log.read()
        self._log.close()
        return text[text.index(" ERROR ") - 24 :] if " ERROR " in text else ""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=_console)


async def _requests(port: int, count: int, connections: int, what: str) -> Tally:
    tally = Tally()
    numbers: Iterator[int] = iter(range(count))
    with _progress() as progress:
        shown = progress.add_task(what, total=count)
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(patient(port, numbers, tally)) for _ in range(connections)]
            while not all(client.done() for client in clients):
                await asyncio.wait(clients, timeout=0.2, return_when=asyncio.ALL_COMPLETED)
                progress.update(shown, completed=tally.done)
    return tally


async def _rudeness(port: int, count: int) -> None:
    with _progress() as progress:
        shown = progress.add_task("clients that vanish", total=count)
        for start in range(0, count, _RUDE_AT_ONCE):
            await asyncio.gather(*(rude(port, start + i) for i in range(min(_RUDE_AT_ONCE, count - start))))
            progress.update(shown, completed=min(count, start + _RUDE_AT_ONCE))


async def _settled(proxy: Proxy, descriptors: int) -> Held:
    """What the proxy holds once idle connections have gone, or after 4 s when something does not."""
    for _ in range(40):
        found = proxy.held()
        if found.descriptors <= descriptors:
            break
        await asyncio.sleep(0.1)
    return found


async def soak(options: argparse.Namespace, folder: Path) -> list[str]:
    """Run all phases; returns what is wrong."""
    raise_descriptor_limit()
    backends = Backends(_BACKENDS)
    proxy = Proxy(backends.ports, folder)
    errors = "the soak did not end"
    try:
        await backends.wait_up()
        await _requests(proxy.port, 1, 1, "first request")
        before = await _settled(proxy, 0)
        await _requests(proxy.port, options.requests // 5, options.connections, "warm-up")
        await _rudeness(proxy.port, options.rude // 5)
        warm = await _settled(proxy, before.descriptors)
        await _rudeness(proxy.port, options.rude)
        async with asyncio.TaskGroup() as group:
            killing = group.create_task(backends.restart_now_and_then())
            tally = await _requests(proxy.port, options.requests, options.connections, "requests, backends restarting")
            killing.cancel()
        after = await _settled(proxy, before.descriptors)
    finally:
        errors = proxy.stop()
        backends.stop()
    lost = dict(tally.lost) or "none"
    _console.print(f"{tally.right} right, {len(tally.wrong)} wrong, lost: {lost}; {backends.kills} kills")
    _console.print(f"start {before}\nwarm  {warm}\nend   {after}")
    return _judgement(before, warm, after, tally) + ([f"fairlead logged an error:\n{errors}"] if errors else [])


def _judgement(before: Held, warm: Held, after: Held, tally: Tally) -> list[str]:
    wrong = [f"a wrong reply: {text}" for text in tally.wrong[:5]]
    if after.worker != before.worker:
        wrong.append("the worker died")
    if after.descriptors > before.descriptors:
        wrong.append(f"{after.descriptors - before.descriptors} descriptors are left open")
    if after.memory_kb > warm.memory_kb + _GROWTH_KB:
        wrong.append(f"memory grew by {after.memory_kb - warm.memory_kb} KB")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=1_000)
    parser.add_argument("--rude", type=int, default=5_000, help="clients that vanish at any point")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        wrong = runner.run(soak(options, Path(folder)))
    for text in wrong:
        _console.print(f"[red]{text}")
    _console.print("[red]the soak found faults" if wrong else "[green]nothing wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
