"""What 10,000 endpoints in one service cost a worker: one pick, and a snapshot from its bytes to its pickers.

Run as a module in a process of its own on the proxy's core; prints JSON. Uses Fairlead's own parts with nothing
running. The pick is timed from Python, which adds a call that a compiled caller does not make.
"""

from __future__ import annotations

import json
import time
import timeit
from collections.abc import Iterator

from fairlead import balance
from fairlead.control.update import decode, encode
from fairlead.dataplane.endpoint import LiveEndpoint
from fairlead.dataplane.service import LiveService
from fairlead.engine.reactor import monotonic_us
from fairlead.model import Endpoint, Service, Update

from loadtests.compare.upstream import loopback

COUNT = 10_000
_PICKS = 100_000


def pick_us(policy: str) -> float:
    """The best of a few runs: noise only ever adds."""
    endpoints = [LiveEndpoint(loopback(i, 80)) for i in range(COUNT)]
    for i, endpoint in enumerate(endpoints):
        endpoint.weight = 1 + i % 7
    pick = balance.load(policy, None)(endpoints, None).pick
    return min(timeit.repeat(lambda: pick(0, None), number=_PICKS, repeat=3)) / _PICKS * 1e6


def snapshots() -> Iterator[tuple[Endpoint, ...]]:
    """The first, the same with other weights, and one with a third of the endpoints exchanged."""
    yield tuple(Endpoint(loopback(i, 80), 1 + i % 7) for i in range(COUNT))
    yield tuple(Endpoint(loopback(i, 80), 1 + i % 5) for i in range(COUNT))
    yield tuple(Endpoint(loopback(i + COUNT // 3, 80), 1 + i % 5) for i in range(COUNT))


def apply_ms(policy: str) -> float:
    """The slowest of these snapshots, each one decoded from what the supervisor sends and applied."""
    service = LiveService("many", lambda service, endpoint: None)
    slowest = 0.0
    for version, endpoints in enumerate(snapshots(), start=1):
        spec = Service(name="many", balance=policy, endpoints=endpoints, version=version)
        message = encode(Update(version=version, services=(spec,)))
        begun = time.perf_counter()
        service.apply(decode(json.loads(message)).services[0], monotonic_us())
        slowest = max(slowest, time.perf_counter() - begun)
    return slowest * 1000


def main() -> None:
    """Of each figure the policy that is the worst."""
    picks = {policy: pick_us(policy) for policy in balance.POLICIES}
    applies = {policy: min(apply_ms(policy) for _ in range(3)) for policy in balance.POLICIES}
    print(json.dumps({"pick": max(picks.values()), "apply": max(applies.values())}))


if __name__ == "__main__":
    main()
