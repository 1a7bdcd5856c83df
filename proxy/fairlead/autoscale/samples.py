"""What the supervisor's totals say at one moment, reduced to what figures are made of.

Pure: a function of Totals and Snapshot. Holds nothing and keeps nothing per listener or code: a minute of samples of
10,000 endpoints has to be small. Histograms are not copied, they are those of the totals.
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
    """Of one endpoint, or of a whole service: answered and failed since the start, in flight now."""

    requests: int = 0
    errors: int = 0
    in_flight: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSample:
    """One service. `counts` and `sum_us` are its latency histogram since the start, as in observe/totals.py."""

    total: Tally = Tally()
    counts: Mapping[int, int] = field(default_factory=dict)
    sum_us: int = 0
    ready: int = 0  # endpoints that may get requests
    endpoints: Mapping[str, Tally] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True)
class Sample:
    """All services. `at` is when the workers last reported, in Unix time; `clock` the same, but never jumps."""

    at: float
    clock: float
    services: Mapping[str, ServiceSample]


def is_error(code: str) -> bool:
    """Whether a request that ended so failed for its user through no fault of the user's: 5xx, Fairlead's own too."""
    return len(code) == 3 and code[0] == "5"


def sample(totals: Totals, snapshot: Snapshot, at: float, clock: float) -> Sample:
    """The services of the snapshot; one that nobody has asked for yet has counted nothing."""
    services = {
        name: _service(service, totals.services.get(name, ServiceTotals()))
        for name, service in snapshot.services.items()
    }
    return Sample(at, clock, services)


def _service(service: Service, totals: ServiceTotals) -> ServiceSample:
    requests: dict[str, int] = {}
    errors: dict[str, int] = {}
    for (_, address, code), count in totals.requests.items():
        requests[address] = requests.get(address, 0) + count
        if is_error(code):
            errors[address] = errors.get(address, 0) + count
    forgotten = totals.forgotten
    return ServiceSample(
        total=Tally(
            sum(requests.values()) + sum(forgotten.values()),
            sum(errors.values()) + sum(count for code, count in forgotten.items() if is_error(code)),
            sum(totals.in_flight.values()),
        ),
        counts=totals.duration.counts,
        sum_us=totals.duration.sum_us,
        ready=sum(endpoint.state is State.READY for endpoint in service.endpoints),
        endpoints={
            address: Tally(requests.get(address, 0), errors.get(address, 0), totals.in_flight.get(address, 0))
            for address in (endpoint.address for endpoint in service.endpoints)
        },
    )
