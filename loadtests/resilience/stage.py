"""One run: a proxy that is freshly started, its endpoints, its users, and the moment at which an endpoint goes bad.

Owns the proxy's process. Endpoints and users live in this program, on the core that the proxy does not have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from loadtests.compare.bench import Cores
from loadtests.compare.peers import Peer, Place
from loadtests.compare.processes import Child, CompareError, free_ports, started
from loadtests.resilience.clients import OK, Outcome, Users
from loadtests.resilience.endpoints import Endpoint, Fault
from loadtests.resilience.peers import command

_START_S = 20.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything."""

    rate: int = 1000  # requests a second
    calm: float = 6.0  # seconds before the fault
    after: float = 25.0  # and after it: bad endpoints are tried again within


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What goes wrong: `bad` of `endpoints` endpoints."""

    title: str
    fault: Fault
    endpoints: int = 3
    bad: int = 1


CASES = (
    Case(title="1 of 3 answers 500", fault=Fault.ERRORS),
    Case(title="1 of 3 hangs", fault=Fault.HANG),
    Case(title="1 of 3 resets", fault=Fault.RESET),
    Case(title="1 of 3 is 20 times slower", fault=Fault.SLOW),
)
BOTH = Case(title="2 of 2 answer 500", fault=Fault.ERRORS, endpoints=2, bad=2)


async def run(peer: Peer, case: Case, plan: Plan, cores: Cores, directory: Path) -> list[Outcome]:
    """The outcomes of all requests. Raises CompareError when the proxy does not serve."""
    ports = free_ports(case.endpoints + 3)
    place = Place(
        directory=directory, l7=ports[0], l4=ports[1], admin=ports[2], upstreams=(ports[3], ports[4]), connections=20000
    )
    endpoints = [Endpoint(port, seed) for seed, port in enumerate(ports[3:])]
    for endpoint in endpoints:
        await endpoint.open()
    try:
        with started(command(peer, place, ports[3:]), cores.proxy, directory / "output.log") as child:
            await _await_start(peer, place.l7, child)
            return await _measure(place.l7, endpoints[: case.bad], case.fault, plan)
    finally:
        for endpoint in endpoints:
            endpoint.close()


async def _measure(port: int, bad: Sequence[Endpoint], fault: Fault, plan: Plan) -> list[Outcome]:
    users = Users(port, plan.rate)

    def go_bad() -> None:
        for endpoint in bad:
            endpoint.fault = fault

    asyncio.get_running_loop().call_later(plan.calm, go_bad)
    try:
        await users.run(plan.calm + plan.after)
    finally:
        users.close()
    return users.outcomes


async def _await_start(peer: Peer, port: int, child: Child) -> None:
    """Until a request succeeds through it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _START_S
    while child.is_alive() and loop.time() < deadline:
        users = Users(port, 20)
        await users.run(0.05)
        users.close()
        if users.outcomes[0].what == OK:
            return
    raise CompareError(f"{peer.name} did not start: {child.last_words()}")
