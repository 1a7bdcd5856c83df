"""What a request, a session and a gigabyte cost in processor time, at the full speed of the generator.

Owns the loads. The rate and the share of its core that a proxy was busy are details: the generator and the upstream
share a core and are often what limits the rate, while the processor time of a request is the proxy's own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, Literal, final

from loadtests.compare import wrk
from loadtests.compare.bench import Bench, Plan
from loadtests.compare.figures import ENVOY, NATIVE, Bound, Figure, Sample
from loadtests.compare.peers import Peer
from loadtests.compare.upstream import CLOSING, LARGE, PAGE, SMALL, Reply
from loadtests.compare.verify import verify
from loadtests.compare.workloads.seam import Workload

_BROWSER: Final = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding: gzip, deflate, br",
    "Referer: https://shop.example.com/catalogue/shoes?size=42",
    "Cookie: session=7c3e1f0a9b8d4c62; theme=dark; consent=necessary",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Cache-Control: max-age=0",
)
_RATE: Final = Figure(key="rate", title="rate", unit="/s")
_BUSY: Final = Figure(key="busy", title="proxy's core busy", unit="%")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request over and over, and what it is held against. `per` "GB" is the cost of 10^9 bytes of body."""

    name: str
    title: str
    layer: Literal["l7", "l4"]
    reply: Reply
    bounds: tuple[Bound, ...]
    headers: tuple[str, ...] = ()
    connections: int = 64
    per: str = "request"


@final
class Throughput(Workload):
    """The cost of a case. Without a proxy only the rate is measured: what the upstream has to spare."""

    details = (_RATE, _BUSY)
    is_direct_too = True

    def __init__(self, case: Case) -> None:
        self._case = case
        self._is_by_volume = case.per == "GB"
        self.name = case.name
        self.title = case.title
        unit = "ms" if self._is_by_volume else "µs"
        self.figures = (Figure(key="cpu", title=f"CPU per {case.per}", unit=unit, bounds=case.bounds),)

    def seconds(self, plan: Plan) -> float:
        return plan.warmup_s + plan.seconds + 1.0

    def measure(self, bench: Bench, peer: Peer | None) -> Sample:
        case = self._case
        with bench.serving(peer) as proxy:
            port = proxy.place.l7 if case.layer == "l7" else proxy.place.l4
            load = wrk.Load(port=port, reply=case.reply, headers=case.headers, connections=case.connections)
            verify(port, case.reply, case.headers)
            wrk.run(load, bench.plan.warmup_s, bench.cores.load)
            cpu_ns, begun_ns = proxy.cpu_ns(), time.monotonic_ns()
            counts = wrk.run(load, bench.plan.seconds, bench.cores.load)
            cpu_ns, spent_ns = proxy.cpu_ns() - cpu_ns, time.monotonic_ns() - begun_ns
            verify(port, case.reply, case.headers)
        if peer is None:
            return {"rate": counts.rate}
        return {"cpu": self._cost(cpu_ns, counts.requests), "rate": counts.rate, "busy": 100 * cpu_ns / spent_ns}

    def _cost(self, cpu_ns: int, requests: int) -> float:
        if self._is_by_volume:
            return cpu_ns / 1e6 / (requests * self._case.reply.size / 1e9)
        return cpu_ns / 1e3 / requests


def _at_most(limit: float, *more: Bound) -> tuple[Bound, ...]:
    return (Bound(limit, NATIVE), *more)


_CASES: Final = (
    Case(name="l7-small", title="L7, keep-alive, 100-byte reply", layer="l7", reply=SMALL, bounds=_at_most(0.9)),
    Case(
        name="l7-page",
        title="L7, keep-alive, 10 browser headers, 1 KB reply",
        layer="l7",
        reply=PAGE,
        headers=_BROWSER,
        bounds=_at_most(0.9, Bound(0.3, ENVOY)),
    ),
    Case(
        name="l7-connect",
        title="L7, a new client connection per request",
        layer="l7",
        reply=SMALL,
        headers=("Connection: close",),
        bounds=_at_most(1.15),
    ),
    Case(
        name="l4-small",
        title="L4, keep-alive, small messages",
        layer="l4",
        reply=SMALL,
        per="message",
        bounds=_at_most(1.05),
    ),
    Case(
        name="l4-connect",
        title="L4, a new connection per session",
        layer="l4",
        reply=CLOSING,
        per="session",
        bounds=_at_most(1.05),
    ),
    Case(
        name="l7-large",
        title="L7, 1 MB replies",
        layer="l7",
        reply=LARGE,
        connections=16,
        per="GB",
        bounds=_at_most(1.0),
    ),
    Case(
        name="l4-large",
        title="L4, 1 MB replies",
        layer="l4",
        reply=LARGE,
        connections=16,
        per="GB",
        bounds=_at_most(1.0),
    ),
)

THROUGHPUT: Final = tuple(Throughput(case) for case in _CASES)
