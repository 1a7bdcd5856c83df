"""Totals as a supervisor would have them, second by second, for the tests of figures and answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fairlead.autoscale.samples import Looks, Sample, sample
from fairlead.autoscale.window import Window
from fairlead.model import Endpoint, Service, Snapshot
from fairlead.observe.totals import ServiceTotals, Totals
from observe.sample_status import durations

START = 1_700_000_000.0  # Unix time of the first second
A, B = "10.0.0.1:8080", "10.0.0.2:8080"


class Traffic:
    """One service's counts, which grow. `second` makes a sample of them in a window, and for `also`."""

    def __init__(
        self,
        window: Window,
        name: str = "shop",
        addresses: Sequence[str] = (A, B),
        also: Callable[[Sample], None] = lambda _: None,
    ) -> None:
        self.window = window
        self.also = also
        self.name = name
        self.addresses = list(addresses)
        self.now = 0
        self.looks = Looks()
        self.requests: dict[tuple[str, str, str], int] = {}
        self.latencies: list[int] = []
        self.in_flight: dict[str, int] = {}
        self.queued = 0

    def serve(self, address: str, *latencies_us: int, code: str = "200") -> None:
        key = ("web", address, code)
        self.requests[key] = self.requests.get(key, 0) + len(latencies_us)
        self.latencies += latencies_us

    def totals(self) -> ServiceTotals:
        return ServiceTotals(
            requests=dict(self.requests),
            duration=durations(*self.latencies),
            in_flight=dict(self.in_flight),
            queued=self.queued,
        )

    def service(self) -> Service:
        return Service(name=self.name, endpoints=tuple(map(Endpoint, self.addresses)))

    def second(self, count: int = 1) -> None:
        for _ in range(count):
            self.now += 1
            totals = Totals(services={self.name: self.totals()})
            snapshot = Snapshot(services={self.name: self.service()})
            self.looks.look(totals)
            made = sample(totals, snapshot, self.looks, START + self.now, float(self.now))
            self.window.add(made)
            self.also(made)
