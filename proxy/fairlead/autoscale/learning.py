"""Slices of the samples for the learners, and a window's figures with what they have learned.

Owns how long a slice is: 5 s, and longer until it has requests enough for a quantile. Slices in which endpoints came or
went tell nothing of one endpoint and are left out. A replica sees its share of the traffic, and an endpoint serves them
all: so what a learner gets is multiplied by the count of replicas, and what it gives is of the endpoint as a whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final, final

from fairlead.autoscale.capacity import Certainty, Estimate, Learner, Slice
from fairlead.autoscale.figures import Figures, Span, growth, of_service, quantile_s
from fairlead.autoscale.samples import Sample, ServiceSample
from fairlead.autoscale.window import Window
from fairlead.model import AUTO

SLICE_S: Final = 5.0
_ENOUGH: Final = 20  # requests for a 95th percentile
_LONGEST_S: Final = 30.0  # a slice with fewer by then is not looked at
_DEMAND_S: Final = 15.0  # what demand is taken over: the period of an autoscaler
_DEMANDED: Final = 400  # and until there are so many requests: then their rate is known to a twentieth
_Q: Final = 0.95


@final
class Capacities:
    """What has been learned of each service that has an objective. Samples go in, in the order of their clocks."""

    def __init__(self) -> None:
        self._learners: dict[str, Learner] = {}
        self._begun: dict[str, tuple[float, ServiceSample]] = {}
        self._last: dict[str, tuple[float, ServiceSample]] = {}
        self._arrived: dict[str, deque[tuple[float, int]]] = {}  # seconds and requests, of late
        self._ready: dict[str, int] = {}  # now, and not when the last slice ended: it is what a ratio is multiplied by

    def add(self, sample: Sample, objectives_s: Mapping[str, float], replicas: int = 1) -> None:
        """Take a sample. A service without an objective is not learned, and forgotten when it had one."""
        for name in self._learners.keys() - (objectives_s.keys() & sample.services.keys()):
            del self._learners[name], self._begun[name], self._last[name], self._arrived[name], self._ready[name]
        for name in objectives_s.keys() & sample.services.keys():
            learner = self._learners.get(name)
            if learner is None:
                learner = self._learners[name] = Learner(objectives_s[name])
                self._begun[name] = self._last[name] = (sample.clock, sample.services[name])
                self._arrived[name] = deque()
            learner.objective_s = objectives_s[name]
            self._ready[name] = sample.services[name].ready
            self._take(name, sample.clock, sample.services[name], replicas)

    def estimate(self, service: str) -> Estimate:
        learner = self._learners.get(service)
        return learner.estimate() if learner else Estimate()

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        for name, learner in self._learners.items():
            yield name, learner.estimate()

    def demand(self, service: str) -> float:
        """Requests that arrive, per second, as this replica sees it."""
        seconds, requests = 0.0, 0
        for length_s, arrived in reversed(self._arrived.get(service, ())):
            seconds += length_s
            requests += arrived
            if seconds >= _DEMAND_S and requests >= _DEMANDED:
                break
        return requests / seconds if seconds else 0.0

    def ready(self, service: str) -> int:
        return self._ready.get(service, 0)

    def _take(self, name: str, clock: float, now: ServiceSample, replicas: int) -> None:
        at, last = self._last[name]
        if clock - at >= SLICE_S - 0.5:  # reports come once a second, give or take
            arrived = self._arrived[name]
            arrived.append((clock - at, _arrivals(last, now)))
            while sum(length_s for length_s, _ in arrived) - arrived[0][0] >= _LONGEST_S:
                arrived.popleft()
            self._last[name] = (clock, now)
            self._cut(name, clock, now, replicas)

    def _cut(self, name: str, clock: float, now: ServiceSample, replicas: int) -> None:
        """End the slice, if enough has happened in it or nothing is to be expected of it."""
        at, begun = self._begun[name]
        is_same = begun.ready == now.ready
        if is_same and now.total.requests - begun.total.requests < _ENOUGH and clock - at < _LONGEST_S:
            return
        self._begun[name] = (clock, now)
        if is_same and now.ready:
            found = _slice(begun, now, clock - at, replicas)
            if found is not None:
                self._learners[name].learn(found)


def _arrivals(first: ServiceSample, last: ServiceSample) -> int:
    """Those that were answered, and those that wait in addition."""
    return max(growth(first.total.requests, last.total.requests) + last.in_flight - first.in_flight, 0)


def _slice(first: ServiceSample, last: ServiceSample, length_s: float, replicas: int) -> Slice | None:
    figures = of_service(Span(0.0, length_s, 0), first, last, 0.0)
    ended = sum(figures.counts.values())
    late_s = quantile_s(figures, _Q)
    if ended < _ENOUGH or late_s is None:
        return None
    return Slice(
        endpoints=last.ready,
        arrivals=_arrivals(first, last) / length_s * replicas,
        served=(figures.requests - figures.errors) / length_s * replicas,
        mean_s=growth(first.sum_us, last.sum_us) / ended / 1_000_000,
        late_s=late_s,
    )


@final
class Learning:
    """A window as peers.View, in which a concurrency of AUTO means what has been learned."""

    def __init__(self, window: Window, capacities: Capacities) -> None:
        self._window = window
        self._capacities = capacities

    @property
    def is_whole(self) -> bool:
        return self._window.is_whole

    def current(self, service: str, concurrency: float = 0.0) -> Figures | None:
        if concurrency != AUTO:
            return self._window.current(service, concurrency)
        figures = self._window.current(service)
        return self._learned(service, figures) if figures else None

    def with_traffic(self, service: str, concurrency: float = 0.0) -> Figures | None:
        return self._window.with_traffic(service, max(concurrency, 0.0))

    def endpoints(self, service: str, concurrency: float = 0.0) -> dict[str, Figures]:
        """Demand is not seen of one endpoint: each has the part of it that it has of what is answered."""
        if concurrency != AUTO:
            return self._window.endpoints(service, concurrency)
        found = self._window.endpoints(service)
        estimate, demand = self._capacities.estimate(service), self._capacities.demand(service)
        whole = sum(each.rate for each in found.values())
        is_guess = estimate.certainty is not Certainty.LEARNED
        return {
            address: replace(
                each,
                busy=demand * estimate.usual_s * (each.rate / whole if whole else 1 / len(found)),
                capacity=estimate.concurrency,
                is_guess=is_guess,
            )
            for address, each in found.items()
        }

    def _learned(self, service: str, figures: Figures) -> Figures:
        """Without an endpoint it is measured against one: from none, an autoscaler takes the ratio for the count."""
        estimate = self._capacities.estimate(service)
        capacity = max(self._capacities.ready(service), 1) * estimate.concurrency
        if not capacity and self._window.is_whole:  # hardly anybody has ever asked
            capacity = 1.0
        return replace(
            figures,
            busy=self._capacities.demand(service) * estimate.usual_s,
            capacity=capacity,
            is_guess=estimate.certainty is not Certainty.LEARNED,
        )
