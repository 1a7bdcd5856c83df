"""What came of a simulation: a record of every request, and the figures that are made of it.

Invariant: latencies are those of requests that were answered; those that failed are counted and have none.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from fairlead.simulate.scenario import Scenario
from fairlead.simulate.world import START_US

if TYPE_CHECKING:
    from fairlead.simulate.world import Request, Server

SLICE_US: Final = 500_000  # of time, in the plot


@final
@dataclass(frozen=True, slots=True)
class Figures:
    """Of one policy. `imbalance` is the busiest endpoint's part of its fair share; `together` the share of requests
    that went to the endpoint of the same client's request before. The last three are by half seconds of arrival.
    """

    policy: str
    requests: int
    failed: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    imbalance: float
    together: float
    taken: dict[str, int]  # by endpoint
    p99_by_slice: list[float]
    failed_by_slice: list[int]
    ejections: int = 0


class Record:
    """All requests that are over."""

    def __init__(self) -> None:
        self._arrived = array("q")
        self._took = array("q")
        self._failed = array("q")  # when they arrived
        self._last: dict[int, str] = {}  # by client
        self._returned = 0  # requests of clients that had asked before
        self._together = 0  # those of them that went to the same endpoint as the one before

    def add(self, request: Request, now: int, address: str | None) -> None:
        """One is over: answered by that endpoint, or by none."""
        if address is None:
            self._failed.append(request.arrived)
            return
        self._arrived.append(request.arrived)
        self._took.append(now - request.arrived)
        before = self._last.get(request.client)
        self._returned += before is not None
        self._together += before == address
        self._last[request.client] = address

    def figures(self, policy: str, servers: Sequence[Server], scenario: Scenario) -> Figures:
        took = sorted(self._took)
        slices = int(scenario.seconds_s * 1e6 / SLICE_US) + 1
        return Figures(
            policy=policy,
            requests=len(took) + len(self._failed),
            failed=len(self._failed),
            p50_ms=_quantile(took, 0.5),
            p99_ms=_quantile(took, 0.99),
            p999_ms=_quantile(took, 0.999),
            imbalance=_imbalance(servers, scenario),
            together=self._together / max(self._returned, 1),
            taken={server.address: server.taken for server in servers},
            p99_by_slice=self._p99_by_slice(slices),
            failed_by_slice=self._failed_by_slice(slices),
        )

    def _p99_by_slice(self, slices: int) -> list[float]:
        found: list[list[int]] = [[] for _ in range(slices)]
        for arrived, took in zip(self._arrived, self._took, strict=True):
            found[(arrived - START_US) // SLICE_US].append(took)
        return [_quantile(sorted(each), 0.99) for each in found]

    def _failed_by_slice(self, slices: int) -> list[int]:
        found = [0] * slices
        for arrived in self._failed:
            found[(arrived - START_US) // SLICE_US] += 1
        return found


def _quantile(ordered: Sequence[int], part: float) -> float:
    """In milliseconds; 0 when there is nothing to tell."""
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] / 1000 if ordered else 0.0


def _imbalance(servers: Sequence[Server], scenario: Scenario) -> float:
    """The most that any endpoint got of its fair share: by weight, for the time that it was there."""
    end = START_US + int(scenario.seconds_s * 1e6)
    fair = {
        server: server.group.weight * max(min(server.until_us or end, end) - max(server.from_us, START_US), 0)
        for server in servers
    }
    total = sum(server.taken for server in servers) or 1
    whole = sum(fair.values())
    return max((server.taken * whole / total / share for server, share in fair.items() if share), default=0.0)
