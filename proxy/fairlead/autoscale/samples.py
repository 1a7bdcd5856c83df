"""What the supervisor's totals say at one moment, reduced to what figures are made of.

Everything in a sample only grows, what was seen in flight too: that is added up at each look. So a window is the
difference of two samples, and those between need not be kept. Nothing is kept for each listener or code, and nothing of
an endpoint that is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from fairlead.model import Service, Snapshot, State
from fairlead.observe.totals import ServiceTotals, Totals


@final
@dataclass(frozen=True, slots=True)
class Tally:
    """Of one endpoint, or of a whole service, since the start: answered, failed, seen in flight at all looks."""

    requests: int = 0
    errors: int = 0
    seen: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSample:
    """One service. `counts` and `sum_us` are its latency histogram since the start, as in observe/totals.py."""

    total: Tally = Tally()
    counts: Mapping[int, int] = field(default_factory=dict)
    sum_us: int = 0
    ready: int = 0  # endpoints that may get requests
    queued: int = 0  # seen waiting at all looks
    in_flight: int = 0  # now
    endpoints: Mapping[str, Tally] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True)
class Sample:
    """All services. `at` is when the workers last reported, in Unix time; `clock` the same, but never jumps."""

    at: float
    clock: float
    looks: int  # at what is in flight, since the start
    services: Mapping[str, ServiceSample]


@final
class Looks:
    """What was seen in flight, and waiting, each time that somebody looked, added up."""

    def __init__(self) -> None:
        self.count = 0
        self.of_service: dict[str, int] = {}
        self.queued: dict[str, int] = {}
        self.of_endpoint: dict[str, dict[str, int]] = {}

    def look(self, totals: Totals) -> None:
        """Look once more."""
        self.count += 1
        for name, service in totals.services.items():
            seen = self.of_endpoint.setdefault(name, {})
            for address, in_flight in service.in_flight.items():
                if in_flight:
                    seen[address] = seen.get(address, 0) + in_flight
            self.queued[name] = self.queued.get(name, 0) + service.queued
            self.of_service[name] = self.of_service.get(name, 0) + sum(service.in_flight.values())

    def keep(self, service: Service) -> None:
        """Forget the endpoints that the service does not have any more."""
        seen = self.of_endpoint.get(service.name)
        if seen:
            present = {endpoint.address for endpoint in service.endpoints}
            for address in seen.keys() - present:
                del seen[address]


def is_error(code: str) -> bool:
    """Whether a request that ended so failed for its user through no fault of the user's: 5xx, Fairlead's own too."""
    return len(code) == 3 and code[0] == "5"


def sample(totals: Totals, snapshot: Snapshot, looks: Looks, at: float, clock: float) -> Sample:
    """The services of the snapshot; one that nobody has asked for yet has counted nothing."""
    services = {}
    for name, service in snapshot.services.items():
        looks.keep(service)
        services[name] = _service(service, totals.services.get(name, ServiceTotals()), looks)
    return Sample(at, clock, looks.count, services)


def _service(service: Service, totals: ServiceTotals, looks: Looks) -> ServiceSample:
    requests: dict[str, int] = {}
    errors: dict[str, int] = {}
    for (_, address, code), count in totals.requests.items():
        requests[address] = requests.get(address, 0) + count
        if is_error(code):
            errors[address] = errors.get(address, 0) + count
    forgotten = totals.forgotten
    seen = looks.of_endpoint.get(service.name, {})
    return ServiceSample(
        total=Tally(
            sum(requests.values()) + sum(forgotten.values()),
            sum(errors.values()) + sum(count for code, count in forgotten.items() if is_error(code)),
            looks.of_service.get(service.name, 0),
        ),
        counts=totals.duration.counts,
        sum_us=totals.duration.sum_us,
        queued=looks.queued.get(service.name, 0),
        ready=sum(endpoint.state is State.READY for endpoint in service.endpoints),
        in_flight=sum(totals.in_flight.values()),
        endpoints={
            address: Tally(requests.get(address, 0), errors.get(address, 0), seen.get(address, 0))
            for address in (endpoint.address for endpoint in service.endpoints)
        },
    )
