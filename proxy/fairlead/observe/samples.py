"""How the samples of each metric are read from a Status: label values, in the order of the declaration, and a value.

Never holds state: the same Status gives the same samples. The series of a service or listener exist from its first
moment, so that rate() sees the first request; those of a removed one stay.

Endpoints that are gone: addresses come and go without end, so beside those of the snapshot only `GONE_LIMIT` are
exported for each service, those that were used for the first time last. The rest disappears, as the series of any
exporter whose subject is gone. It is not summed under one name: the whole count of an endpoint would then appear at
once as growth of that name, and everything that scales on rate() would follow it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final, TypeVar

from fairlead.errors import REFUSALS, Kind
from fairlead.model import Service, State
from fairlead.observe.status import Status
from fairlead.observe.totals import Durations, ListenerTotals, ServiceTotals

GONE_LIMIT: Final = 200

Labels = tuple[str, ...]
Samples = Iterator[tuple[Labels, float]]
Histograms = Iterator[tuple[Labels, Durations]]

_T = TypeVar("_T")


def requests(status: Status) -> Samples:
    for service, totals in _services(status):
        shown = exported(totals.requests, _addresses(status, service))
        for (listener, endpoint, code), count in totals.requests.items():
            if endpoint in shown:
                yield (listener, service, endpoint, code), count


def request_durations(status: Status) -> Histograms:
    for service, totals in _services(status):
        yield (service,), totals.duration


def objectives(status: Status) -> Samples:
    for service, objective_s in status.objectives.items():
        yield (service,), objective_s


def learned_concurrency(status: Status) -> Samples:
    """Of services of which it is known: a guess is not exported."""
    for service, scaling in status.scaling.items():
        if scaling["learned"]["certainty"] == "learned":
            yield (service,), scaling["learned"]["concurrency"]


def requests_in_flight(status: Status) -> Samples:
    for service, totals in _services(status):
        counts = {**dict.fromkeys(_addresses(status, service), 0), **totals.in_flight}
        for endpoint, count in counts.items():
            yield (service, endpoint), count


def queued_requests(status: Status) -> Samples:
    for service, totals in _services(status):
        yield (service,), totals.queued


def concurrency_limits(status: Status) -> Samples:
    """Of services that are protected only: none is another thing than 0."""
    for service, totals in _services(status):
        if totals.limit:
            yield (service,), totals.limit


def refused_requests(status: Status) -> Samples:
    """Every reason from the first moment, for an alert on the first of them."""
    for service, totals in _services(status):
        for kind in REFUSALS:
            yield (service, kind.value), totals.refused.get(kind.value, 0)


def connections(status: Status) -> Samples:
    for listener, totals in _listeners(status):
        yield (listener,), totals.connections


def connections_active(status: Status) -> Samples:
    for listener, totals in _listeners(status):
        yield (listener,), totals.active


def exchanged_bytes(status: Status) -> Samples:
    for listener, totals in _listeners(status):
        yield (listener, "received"), totals.received
        yield (listener, "sent"), totals.sent


def errors(status: Status) -> Samples:
    """Every kind from the first moment, for an alert on the first of them."""
    for listener, totals in _listeners(status):
        for kind in Kind:
            yield (listener, kind.value), totals.errors.get(kind.value, 0)


def endpoints(status: Status) -> Samples:
    """All four states always: an alert on `state="ready"` must see 0, not nothing."""
    for name, service in status.snapshot.services.items():
        counts = dict.fromkeys(State, 0)
        for endpoint in service.endpoints:
            counts[endpoint.state] += 1
        for state, count in counts.items():
            yield (name, state.value), count


def checks(status: Status) -> Samples:
    """Every result from the first moment, for an alert on the first of them."""
    for service, figures in status.checks.items():
        for result, count in figures.counts.items():
            yield (service, result.value), count


def check_durations(status: Status) -> Histograms:
    for service, figures in status.checks.items():
        yield (service,), figures.duration


def ejections(status: Status) -> Samples:
    """Bounded where they are counted (control/ejector.py), to as many endpoints that are gone as the others."""
    for service, counts in status.ejections.items():
        for (endpoint, reason), count in counts.items():
            yield (service, endpoint, reason), count


def panic(status: Status) -> Samples:
    """Of every service from its first moment: an alert on 1 must see 0, not nothing."""
    for name, service in status.snapshot.services.items():
        yield (name,), int(service.is_panicking)


def retries(status: Status) -> Samples:
    for service, totals in _services(status):
        for reason, count in totals.retries.items():
            yield (service, reason), count


def retries_exhausted(status: Status) -> Samples:
    for service, totals in _services(status):
        yield (service,), totals.retries_exhausted


def connect_durations(status: Status) -> Histograms:
    for service, totals in _services(status):
        yield (service,), totals.connect


def snapshot_versions(status: Status) -> Samples:
    for worker in status.workers:
        yield (str(worker.number),), worker.version


def worker_restarts(status: Status) -> Samples:
    for worker in status.workers:
        yield (str(worker.number),), worker.restarts


def sources_failing(status: Status) -> Samples:
    for service in status.snapshot.services:
        yield (service,), sum(1 for source in status.sources.get(service, ()) if source.problem)


def stale_seconds(status: Status) -> Samples:
    for service in status.snapshot.services:
        yield (service,), max((source.stale_s for source in status.sources.get(service, ())), default=0.0)


def access_log_dropped(status: Status) -> Samples:
    yield (), status.totals.access_log_dropped


def reload_successful(status: Status) -> Samples:
    yield (), 0 if status.config_problems else 1


def reload_success_timestamp(status: Status) -> Samples:
    yield (), status.config_loaded


def build(status: Status) -> Samples:
    yield (status.fairlead, status.python, "true" if status.is_compiled else "false"), 1


def _services(status: Status) -> Iterator[tuple[str, ServiceTotals]]:
    return _named(status.snapshot.services, status.totals.services, ServiceTotals())


def _listeners(status: Status) -> Iterator[tuple[str, ListenerTotals]]:
    return _named(status.snapshot.listeners, status.totals.listeners, ListenerTotals())


def _named(configured: Collection[str], totals: Mapping[str, _T], nothing: _T) -> Iterator[tuple[str, _T]]:
    for name in dict.fromkeys([*configured, *totals]):
        yield name, totals.get(name, nothing)


def _addresses(status: Status, service: str) -> list[str]:
    return [endpoint.address for endpoint in status.snapshot.services.get(service, Service(name=service)).endpoints]


def exported(requests: Collection[tuple[str, str, str]], present: Collection[str]) -> set[str]:
    """The endpoints with series of their own. `requests` is in the order in which its keys were first counted."""
    shown = {"", *present}
    full = len(shown) + GONE_LIMIT
    for _, endpoint, _ in reversed(list(requests)):
        if len(shown) == full:
            break
        shown.add(endpoint)
    return shown
