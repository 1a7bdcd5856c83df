"""A name whose addresses are the endpoints: all of its A and AAAA records, asked for again when they expire.

A name that cannot be resolved, or that is suddenly empty, keeps the endpoints of its last good answer: a DNS server
that is down or being reconfigured must not take a service down that is well. It is then asked for again, ever less
often and at random moments, so that a thousand proxies do not return to a sick server in step.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from fairlead.discovery.address import host_port
from fairlead.discovery.resolver import Answer, SystemResolver, Unresolved
from fairlead.discovery.seam import Found, LastGood
from fairlead.model import Endpoint

_SCHEME: Final = "dns://"
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")

MIN_TTL_S: Final = 1.0  # a time to live of 0 is legal, and must not become a busy loop
MAX_TTL_S: Final = 300.0  # some records say a day; a move must not take that long to be seen, and asking costs little
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


@final
@dataclass(frozen=True, slots=True)
class DnsSource:
    """`resolve` and `sleep` are how it meets the world; tests bring their own."""

    name: str
    port: int
    weight: int = 1
    resolve: Callable[[str], Awaitable[Answer]] = field(default=SystemResolver(), compare=False, repr=False)
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep, compare=False, repr=False)

    @property
    def text(self) -> str:
        return f"{_SCHEME}{self.name}:{self.port}"

    async def watch(self) -> AsyncGenerator[Found, None]:
        """The endpoints after each look that changed them."""
        memory = LastGood()
        pauses = retry_pauses()
        while True:
            try:
                answer = await self.resolve(self.name)
            except Unresolved as error:
                found = memory.update(None, f"{self.name}: {error}")
                pause = next(pauses)
            else:
                problem = f"{self.name}: {answer.problem}" if answer.problem else ""
                found = memory.update(self._endpoints(answer), problem)
                pause = min(max(answer.ttl_s, MIN_TTL_S), MAX_TTL_S)
                pauses = retry_pauses()
            if found:
                yield found
            await self.sleep(pause)

    def _endpoints(self, answer: Answer) -> tuple[Endpoint, ...]:
        hosts = [f"[{address}]" if ":" in address else address for address in answer.addresses]
        return tuple(Endpoint(f"{host}:{self.port}", self.weight) for host in hosts)


def retry_pauses() -> Iterator[float]:
    """How long to wait after each failure in a row: doubling, with up to half of it left out at random."""
    pause = _FIRST_PAUSE_S
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, _LONGEST_PAUSE_S)


def parse(text: str, weight: int, base_dir: Path) -> DnsSource:
    """From "dns://NAME:PORT". Raises ValueError saying what is wrong."""
    if not text.lower().startswith(_SCHEME):
        raise ValueError(f"{text!r} needs two slashes; write {_SCHEME}{text.partition(':')[2]}")
    rest = text[len(_SCHEME) :].rstrip("/")
    host = rest.rpartition(":")[0]
    if not host or "[" in rest or host.rpartition(".")[2].isdecimal():
        raise ValueError(_not_a_name(rest))
    name, port = host_port(rest)
    name = name.lower()
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.removesuffix(".").split(".")):
        raise ValueError(f"{name!r} is no DNS name: labels of letters, digits and '-' (others in their xn-- form)")
    return DnsSource(name, port, weight)


def _not_a_name(rest: str) -> str:
    if ":" not in rest:
        return f"{_SCHEME}{rest} has no port; write {_SCHEME}{rest or 'my-app'}:80 for port 80"
    return f"{rest!r} does not start with a name; an address is written without {_SCHEME}"
