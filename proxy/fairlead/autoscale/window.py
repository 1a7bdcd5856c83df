"""The samples of the last window, and for each service the last window in which something happened.

Owns what is remembered; what it means is figures.py. Never reads a clock. Invariants: the oldest sample kept is at
least a window old once there has been one, so that figures are of a whole window, and at most a step more than that; a
service without traffic keeps the two samples around its last traffic, and nothing else of the past.
"""

from __future__ import annotations

from collections import deque
from typing import Final, final

from fairlead.autoscale import figures
from fairlead.autoscale.figures import Figures, Span
from fairlead.autoscale.samples import Sample, ServiceSample

STEPS: Final = 6  # in a window: samples closer than that are not kept, all but the last

_Ends = tuple[Span, ServiceSample, ServiceSample]


@final
class Window:
    """Samples go in with `add`, in the order of their clocks; figures come out."""

    def __init__(self, length_s: float) -> None:
        self.length_s = length_s
        self._samples: deque[Sample] = deque()
        self._busy: dict[str, _Ends] = {}

    def add(self, sample: Sample) -> None:
        """Take a sample. One that is not newer than the last tells nothing new and is left out."""
        samples = self._samples
        if samples and sample.clock <= samples[-1].clock:
            return
        before = samples[-1].services if samples else {}
        if len(samples) > 1 and samples[-1].clock - samples[-2].clock < self.length_s / STEPS:
            samples.pop()
        samples.append(sample)
        while len(samples) > 2 and sample.clock - samples[1].clock >= self.length_s:
            samples.popleft()
        for name, service in sample.services.items():
            if name in before and service.total.requests != before[name].total.requests:
                ends = self._ends(name)
                if ends is not None:
                    self._busy[name] = ends
        for name in self._busy.keys() - sample.services.keys():
            del self._busy[name]

    @property
    def is_whole(self) -> bool:
        """Whether as much time has been seen as a window is long."""
        samples = self._samples
        return len(samples) > 1 and samples[-1].clock - samples[0].clock >= self.length_s

    def current(self, service: str, concurrency: float = 0.0) -> Figures | None:
        """Of the window that ends with the last report; None before there are two samples of the service."""
        ends = self._ends(service)
        return figures.of_service(*ends, concurrency) if ends else None

    def with_traffic(self, service: str, concurrency: float = 0.0) -> Figures | None:
        """Of the last window that ended with traffic; None when there has never been any."""
        ends = self._busy.get(service)
        return figures.of_service(*ends, concurrency) if ends else None

    def endpoints(self, service: str, concurrency: float = 0.0) -> dict[str, Figures]:
        """By address, of those that are there now. One that has come within the window has figures from then on."""
        seen = [(sample, sample.services[service].endpoints) for sample in self._samples if service in sample.services]
        if not seen:
            return {}
        last, now = seen.pop()
        found: dict[str, Figures] = {}
        for first, then in seen:
            span = _span(first, last)
            for address in now.keys() & then.keys() - found.keys():
                found[address] = figures.of_endpoint(span, then[address], now[address], concurrency)
        return found

    def _ends(self, service: str) -> _Ends | None:
        """The oldest and the newest sample of a service."""
        last = self._samples[-1] if self._samples else None
        first = next((sample for sample in self._samples if service in sample.services), None)
        if first is None or last is None or first is last or service not in last.services:
            return None
        return _span(first, last), first.services[service], last.services[service]


def _span(first: Sample, last: Sample) -> Span:
    return Span(last.at, last.clock - first.clock, last.looks - first.looks)
