"""What an autoscaler would have been told in the last minutes, one moment per period of its own.

Pure, but for what it remembers: `fairlead hpa` replays it, and the admin server shows it. A service that nobody asks
costs next to nothing. Everything is of this replica's share of the traffic, as the admin server is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, final

from fairlead.autoscale import figures
from fairlead.autoscale.capacity import Estimate
from fairlead.autoscale.figures import Figures
from fairlead.autoscale.hpa.spec import SYNC_S
from fairlead.autoscale.objects import Objects
from fairlead.autoscale.peers import View
from fairlead.autoscale.samples import Sample
from fairlead.model import AUTO

_EVERY_S: Final = SYNC_S - 0.5  # reports come once a second, give or take
_MOST: Final = 40  # ten minutes: twice what an autoscaler looks back


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The figures of a window that ended `at` (Unix time); None where there is no value."""

    at: float
    ready: int
    requests_per_second: float = 0.0
    requests_in_flight: float = 0.0
    p95_s: float | None = None
    saturation: float | None = None


@final
class History:
    """Of all services. Samples go in, in the order of their clocks."""

    def __init__(self) -> None:
        self._noted = 0.0
        self._requests: dict[str, int] = {}
        self._moments: dict[str, deque[Moment]] = {}

    def add(self, sample: Sample, view: View, objects: Objects) -> None:
        """Note a moment, if it is time for one. The view has the sample already."""
        if sample.clock - self._noted < _EVERY_S:
            return
        self._noted = sample.clock
        for name in self._moments.keys() - sample.services.keys():
            del self._moments[name], self._requests[name]
        for name, service in sample.services.items():
            moments = self._moments.setdefault(name, deque(maxlen=_MOST))
            is_idle = self._requests.get(name, 0) == service.total.requests and not service.in_flight
            self._requests[name] = service.total.requests
            if is_idle:
                moments.append(Moment(at=sample.at, ready=service.ready, saturation=0.0 if view.is_whole else None))
            elif current := view.current(name, objects.concurrency(name)):
                moments.append(_moment(current, service.ready))

    def of(self, service: str) -> list[Moment]:
        """The oldest first."""
        return list(self._moments.get(service, ()))


def described(
    history: History, objects: Objects, estimates: Mapping[str, Estimate], names: Mapping[str, float]
) -> dict[str, Any]:
    """Each service as JSON can carry it. `names` are the services with their objectives in seconds, 0 for none."""
    found = {}
    for service, objective_s in names.items():
        estimate, concurrency = estimates.get(service, Estimate()), objects.concurrency(service)
        found[service] = {
            "object": next((str(name) for name, services in objects.services.items() if service in services), ""),
            "objective_s": objective_s,
            "concurrency": "auto" if concurrency == AUTO else concurrency,
            "learned": {
                "requests_per_second": estimate.rate,
                "concurrency": estimate.concurrency,
                "certainty": estimate.certainty.value,
            },
            "history": [asdict(moment) for moment in history.of(service)],
        }
    return found


def _moment(current: Figures, ready: int) -> Moment:
    return Moment(
        at=current.at,
        ready=ready,
        requests_per_second=current.rate,
        requests_in_flight=current.in_flight,
        p95_s=figures.quantile_s(current, 0.95),
        saturation=figures.saturation(current),
    )
