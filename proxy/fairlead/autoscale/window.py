"""The samples of the last window, and for each service the last window in which something happened.

Owns what is remembered; what it means is figures.py. Never reads a clock. Invariants: the oldest sample kept is at
least a window old once there has been one, so that figures are of a whole window; a service without traffic keeps the
two samples around its last traffic, and nothing else of the past.
"""

from __future__ import annotations

from collections import deque
from typing import final

from fairlead.autoscale import figures
from fairlead.autoscale.figures import Figures
from fairlead.autoscale.samples import Sample, ServiceSample

_At = tuple[float, float, ServiceSample]


@final
class Window:
    """Samples go in with `add`, in the order of their clocks; figures come out."""

    def __init__(self, length_s: float) -> None:
        self.length_s = length_s
        self._samples: deque[Sample] = deque()
        self._busy: dict[str, tuple[_At, _At]] = {}

    def add(self, sample: Sample) -> None:
        """Take a sample. One that is not newer than the last tells nothing new and is left out."""
        samples = self._samples
        if samples and sample.clock <= samples[-1].clock:
            return
        before = samples[-1].services if samples else {}
        samples.append(sample)
        while len(samples) > 2 and sample.clock - samples[1].clock >= self.length_s:
            samples.popleft()
        for name, service in sample.services.items():
            if name in before and service.total.requests != before[name].total.requests:
                self._busy[name] = (self._first(name), (sample.at, sample.clock, service))
        for name in self._busy.keys() - sample.services.keys():
            del self._busy[name]

    @property
    def is_whole(self) -> bool:
        """Whether as much time has been seen as a window is long."""
        samples = self._samples
        return len(samples) > 1 and samples[-1].clock - samples[0].clock >= self.length_s

    def current(self, service: str, concurrency: float = 0.0) -> Figures | None:
        """Of the window that ends with the last report; None before there are two samples of the service."""
        seen = self._of(service)
        return figures.of_service(seen, concurrency) if len(seen) > 1 else None

    def with_traffic(self, service: str, concurrency: float = 0.0) -> Figures | None:
        """Of the last window that ended with traffic; None when there has never been any."""
        pair = self._busy.get(service)
        return figures.of_service(pair, concurrency) if pair else None

    def endpoints(self, service: str, concurrency: float = 0.0) -> dict[str, Figures]:
        """By address, of those that are there now. One that has come within the window has figures from then on."""
        seen = self._of(service)
        found = {}
        for address in seen[-1][2].endpoints if seen else ():
            tallies = [(at, clock, each.endpoints[address]) for at, clock, each in seen if address in each.endpoints]
            if len(tallies) > 1:
                found[address] = figures.of_endpoint(tallies, concurrency)
        return found

    def _of(self, service: str) -> list[_At]:
        return [
            (sample.at, sample.clock, sample.services[service])
            for sample in self._samples
            if service in sample.services
        ]

    def _first(self, service: str) -> _At:
        return next(
            (sample.at, sample.clock, sample.services[service])
            for sample in self._samples
            if service in sample.services
        )
