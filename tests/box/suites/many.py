"""A thousand Services with ten thousand endpoints, of which a hundred change in a second.

Measured is the time from the API's write to the worker's use of it: some Services have one ready endpoint at a time,
and when it changes they are asked until the other answers. All endpoints are real ones, at addresses of one process.
What it does to latency is printed, not judged: a machine with two cores is busy with the suite itself.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from box import everywhere
from box.box import Box
from box.gateway import Gateway
from box.load import Load
from box.network import Bridge
from box.options import Options
from box.pods import now
from box.progress import Progress
from box.report import Report, latencies, quantile
from kubernetes.api_server import ApiServer
from kubernetes.recorded import Json, endpoint, endpoint_slice, service

_SERVICES: Final = 1000
_ENDPOINTS: Final = 10  # of each
_WATCHED: Final = 50  # of the services: those that are asked; the first of the others gets the load
_CHANGES: Final = 100  # a second
_ASKED: Final = 10  # of these
_RATE: Final = 300.0
_QUIET_S: Final = 8.0
_ADDRESSES: Final = "10.232.0.0/16"
_SLOWEST_MS: Final = 100.0
_MOST_CPU: Final = 0.5


@dataclass
class Population:
    """The Services as they are at the API. A watched one has one ready endpoint; `turn` says which."""

    api: ApiServer
    port: int
    turns: list[int]

    def fill(self) -> None:
        for number in range(_SERVICES):
            self.api.put("services", service(_name(number)))
            self.put(number)

    def put(self, number: int) -> None:
        is_watched = number < _WATCHED
        turn = self.turns[number]
        first = 2 * _ENDPOINTS * number + (0 if is_watched else turn % _ENDPOINTS)
        raw: list[Json] = [
            endpoint(address(first + at), "RS-" if not is_watched or at == turn % _ENDPOINTS else "---")
            for at in range(_ENDPOINTS)
        ]
        ports = ({"name": "http", "port": self.port},)
        self.api.put("endpointslices", endpoint_slice(*raw, name=f"{_name(number)}-1", of=_name(number), ports=ports))

    def change(self, number: int) -> None:
        """A watched one gets another endpoint in the place of its only one, the others one more and one less."""
        self.turns[number] += 1
        self.put(number)

    def only(self, number: int) -> str:
        """The one ready endpoint of a watched service."""
        return address(2 * _ENDPOINTS * number + self.turns[number] % _ENDPOINTS)


def address(number: int) -> str:
    return f"10.232.{number >> 8}.{number & 255}"


def _name(number: int) -> str:
    return f"svc-{number}"


async def run(box: Box, progress: Progress, options: Options) -> Report:
    report = Report(f"{_SERVICES} Services, {_SERVICES * _ENDPOINTS} endpoints, {_CHANGES} changes a second")
    assert isinstance(box.network, Bridge)
    endpoints = await box.network.sandbox()
    await endpoints.ip(f"route add local {_ADDRESSES} dev lo")
    process = await asyncio.create_subprocess_exec(
        *endpoints.command(sys.executable, str(Path(everywhere.__file__)), str(endpoints.port)),
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        population = Population(box.api, endpoints.port, [0] * _SERVICES)
        population.fill()
        sandbox = await box.network.sandbox()
        await sandbox.ip(f"route add {_ADDRESSES} via {endpoints.address}")
        gateway = await box.gateway(_services(), _routes(), sandbox=sandbox)
        progress.say("all are known")
        await _measure(box, report, progress, gateway, population, options)
    finally:
        process.kill()
        await process.wait()
    return report


def _services() -> str:
    return json.dumps({_name(n): {"endpoints": f"k8s://default/{_name(n)}:http"} for n in range(_SERVICES)})


def _routes() -> str:
    """A path for each that is asked; all else is the load's."""
    watched = [{"path": f"/{_name(n)}", "service": _name(n)} for n in range(_WATCHED)]
    return json.dumps([*watched, {"service": _name(_WATCHED)}])


async def _measure(
    box: Box, report: Report, progress: Progress, gateway: Gateway, population: Population, options: Options
) -> None:
    quiet = await box.load(_RATE, gateway.at)
    await asyncio.sleep(_QUIET_S)
    before = await quiet.end()
    load: Load = await box.load(_RATE, gateway.at)
    began, cpu = now(), gateway.cpu_s()
    waits = await _changes(gateway, population, options.changes_s)
    used = (gateway.cpu_s() - cpu) / (now() - began)
    during = await load.end()
    report.claim_none_failed(during)
    waits.sort()
    p99 = 1000 * quantile(waits, 0.99)
    report.claim(
        f"from the API's write to the worker's use: p50 {1000 * quantile(waits, 0.5):.0f} ms, p99 {p99:.0f} ms, "
        f"at most {1000 * waits[-1]:.0f} ms, of {len(waits)} changes",
        p99 < _SLOWEST_MS and len(waits) > options.changes_s,
    )
    report.claim(f"the supervisor used {100 * used:.0f} % of a core", used < _MOST_CPU)
    report.say(f"without changes, at {_RATE:g} requests/s: {latencies(before)}")
    report.say(f"with {_CHANGES} changes a second:  {latencies(during)}")


async def _changes(gateway: Gateway, population: Population, seconds: float) -> list[float]:
    """Change for so long; what was measured of those that are asked."""
    choice = random.Random(1)
    end = now() + seconds
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(_ask(gateway, population, end))
        due = now()
        while now() < end:
            population.change(choice.randrange(_WATCHED + 1, _SERVICES))
            due += 1 / (_CHANGES - _ASKED)
            await asyncio.sleep(due - now())
    return asking.result()


async def _ask(gateway: Gateway, population: Population, end: float) -> list[float]:
    waits: list[float] = []
    due = now()
    for number in _around(range(_WATCHED)):
        if now() >= end:
            break
        waits.append(await _wait(gateway, population, number))
        due += 1 / _ASKED
        await asyncio.sleep(due - now())
    return waits


async def _wait(gateway: Gateway, population: Population, number: int) -> float:
    """From the change of a watched service to when the first request was sent that the new endpoint answered."""
    host, _, port = gateway.at.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    wrote = now()
    population.change(number)
    expected = f"{population.only(number)}\n".encode()
    while True:
        sent = now()
        writer.write(f"GET /{_name(number)}/x HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        if await reader.readline() == expected:
            writer.close()
            return sent - wrote
        await asyncio.sleep(0.001)


def _around(numbers: Sequence[int]) -> Iterator[int]:
    while True:
        yield from numbers
