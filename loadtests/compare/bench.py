"""The bench that every workload measures on: the cores, the upstream, and a proxy for as long as it is needed.

Owns what runs during a measurement. Each measurement has a freshly started proxy of its own: no peer inherits what
another workload has left behind, and none burns a cycle while another is measured. Invariant: the proxy's core runs
the proxy and nothing else of ours.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from loadtests.compare import upstream
from loadtests.compare.figures import DIRECT
from loadtests.compare.peers import Peer, Place
from loadtests.compare.processes import HOST, Child, CompareError, free_ports, started
from loadtests.compare.verify import first_reply

_START_S = 20.0
_SPARE_DESCRIPTORS = 500  # for what a proxy opens besides its clients


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how often. `is_quick` asks a workload to prove that it works, not to give a figure."""

    rounds: int = 3
    seconds: float = 4.0
    warmup_s: float = 1.0
    is_quick: bool = False


@final
@dataclass(frozen=True, slots=True)
class Cores:
    """Where things run. With a single core both are the same, and the figures say little."""

    proxy: int
    load: int

    @property
    def is_shared(self) -> bool:
        return self.proxy == self.load


def choose_cores() -> Cores:
    """The first two cores that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[1] if len(usable) > 1 else usable[0])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy that serves, or the upstream itself when there is none in between (`child` is None)."""

    place: Place
    child: Child | None
    start_s: float  # from the start of the command to the first right reply

    def cpu_ns(self) -> int:
        return self.child.cpu_ns() if self.child else 0


@final
class Bench:
    """What a workload gets. `limit` is the descriptor limit of everything that is started."""

    def __init__(self, plan: Plan, cores: Cores, limit: int, directory: Path) -> None:
        self.plan = plan
        self.cores = cores
        self.clients = limit - _SPARE_DESCRIPTORS
        self._limit = limit
        self._directory = directory
        self._upstreams = (0, 0)

    @contextmanager
    def upstreams(self) -> Iterator[None]:
        """The two upstreams that proxies forward to, while the block runs."""
        ports = free_ports(2)
        with self.upstream(ports):
            self._upstreams = (ports[0], ports[1])
            yield

    @contextmanager
    def upstream(self, ports: Sequence[int], is_everywhere: bool = False) -> Iterator[None]:
        """An upstream on these ports, on the generator's core."""
        log = self._directory / f"upstream-{ports[0]}.log"
        with started(upstream.command(ports, is_everywhere), self.cores.load, log) as child:
            for port in ports:
                if not first_reply(port, upstream.SMALL, _START_S):
                    raise CompareError(f"the upstream did not start: {child.last_words()}")
            yield

    def place(self, directory: Path, upstreams: tuple[int, int] | None = None) -> Place:
        l7, l4, admin = free_ports(3)
        ports = upstreams or self._upstreams
        return Place(directory=directory, l7=l7, l4=l4, admin=admin, upstreams=ports, connections=self._limit)

    @contextmanager
    def serving(self, peer: Peer | None, upstreams: tuple[int, int] | None = None) -> Iterator[Proxy]:
        """A peer that serves on both its listeners while the block runs; without one, the upstream itself."""
        with tempfile.TemporaryDirectory(prefix="compare-", dir=self._directory) as name:
            place = self.place(Path(name), upstreams)
            if peer is None:
                port = place.upstreams[0]
                yield Proxy(place=replace(place, l7=port, l4=port), child=None, start_s=0.0)
                return
            command = peer.command(place)
            begun = time.monotonic()
            with started(command, self.cores.proxy, Path(name) / "output.log") as child:
                start_s = _await_replies(peer, place, child, begun)
                yield Proxy(place=place, child=child, start_s=start_s)
                if not child.is_alive():
                    raise CompareError(f"{peer.name} ended while it was measured: {child.last_words()}")


def name_of(peer: Peer | None) -> str:
    return peer.name if peer else DIRECT


def _await_replies(peer: Peer, place: Place, child: Child, begun: float) -> float:
    """Seconds until the HTTP listener answered; then the TCP listener must as well."""
    answered = _answers(place.l7, child)
    start_s = time.monotonic() - begun
    if not answered or not _answers(place.l4, child):
        raise CompareError(f"{peer.name} did not start on {HOST}:{place.l7}: {child.last_words()}")
    return start_s


def _answers(port: int, child: Child) -> bool:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and child.is_alive():
        if first_reply(port, upstream.SMALL, within_s=0.5):
            return True
    return False
