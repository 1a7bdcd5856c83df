"""What the admin server's JSON says, as functions of a Status. Times are Unix seconds, durations milliseconds.

Pure: reads a Status and nothing else, and never holds state. Rates are left to who asks: counts are since the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from fairlead.health.checks.results import CheckFigures, LastCheck
from fairlead.health.verdicts import Verdict
from fairlead.model import Endpoint, Listener, Service, Snapshot
from fairlead.observe.histogram import Histogram, lower_us, upper_us
from fairlead.observe.status import Event, SourceStatus, Status
from fairlead.observe.totals import Durations, ListenerTotals, ServiceTotals

_QUANTILES: Final = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}

Json = dict[str, Any]


def services(status: Status) -> Json:
    """Listeners and services, what they did and what they do."""
    snapshot, totals = status.snapshot, status.totals
    users = _users(snapshot)
    return {
        "version": snapshot.version,
        "listeners": [
            _listener(listener, status.addresses, totals.listeners.get(name, ListenerTotals()))
            for name, listener in snapshot.listeners.items()
        ],
        "services": [
            {
                **_service(
                    service,
                    totals.services.get(name, ServiceTotals()),
                    status.verdicts.get(name, {}),
                    status.checks.get(name),
                ),
                "listeners": users.get(name, []),
                "sources": [_source(source) for source in status.sources.get(name, ())],
            }
            for name, service in snapshot.services.items()
        ],
        "unrouted": _by_endpoint(totals.services.get("", ServiceTotals())).get("", {}),
    }


def config(status: Status) -> Json:
    """The configuration in force, where it came from, and the processes that run it."""
    return {
        "phase": status.phase,
        "reason": status.reason,
        "fairlead": status.fairlead,
        "python": status.python,
        "compiled": status.is_compiled,
        "started": status.started,
        "path": status.config_path,
        "loaded": status.config_loaded,
        "problems": list(status.config_problems),
        "version": status.snapshot.version,
        "workers": [asdict(worker) for worker in status.workers],
        "config": status.config,
    }


def autoscale(status: Status) -> Json:
    """What autoscalers are told of each service, and were told in the last minutes; nothing without `metrics_api`."""
    return {"services": {name: dict(each) for name, each in status.scaling.items()}}


def events(status: Status, limit: int, since: float) -> Json:
    """At most `limit` events that happened after `since`, the latest first."""
    return {"events": [asdict(event) for event in _latest(status, limit, since)]}


def _latest(status: Status, limit: int, since: float) -> Iterator[Event]:
    for event in list(reversed(status.events))[:limit]:
        if event.at > since:
            yield event


def _users(snapshot: Snapshot) -> dict[str, list[str]]:
    """The listeners that lead to each service."""
    users: dict[str, list[str]] = {}
    for name, listener in snapshot.listeners.items():
        for service in dict.fromkeys([listener.service, *(route.service for route in listener.routes)]):
            users.setdefault(service, []).append(name)
    return users


def _listener(listener: Listener, addresses: Mapping[str, str], totals: ListenerTotals) -> Json:
    return {
        "name": listener.name,
        "protocol": listener.protocol,
        "address": addresses.get(listener.name, listener.bind),
        "connections": totals.connections,
        "active": totals.active,
        "received_bytes": totals.received,
        "sent_bytes": totals.sent,
    }


def _service(
    service: Service,
    totals: ServiceTotals,
    verdicts: Mapping[str, Sequence[Verdict]],
    checks: CheckFigures | None,
) -> Json:
    requests = _by_endpoint(totals)
    last = checks.last if checks else {}
    return {
        "name": service.name,
        "balance": service.balance,
        "version": service.version,
        "notes": _notes(service),
        "endpoints": [
            {
                **_endpoint(e, requests.get(e.address, {}), totals, verdicts.get(e.address, ())),
                "check": _last_check(last.get(e.address)),
            }
            for e in service.endpoints
        ],
        "requests": _added([*requests.values(), totals.forgotten]),
        "own_replies": requests.get("", {}),
        "retries": dict(totals.retries),
        "checks": _checks(checks),
        "retries_exhausted": totals.retries_exhausted,
        "queued": totals.queued,
        "refused": dict(totals.refused),
        "concurrency_limit": totals.limit,
        "duration": _durations(totals.duration),
        "connect": _durations(totals.connect),
    }


def _checks(figures: CheckFigures | None) -> Json | None:
    """What the checks of a service came to; None when it has none."""
    if figures is None:
        return None
    return {
        "kind": figures.kind,
        "results": {result.value: count for result, count in figures.counts.items()},
        "duration": _durations(figures.duration),
        "ignored": figures.is_ignored,
    }


def _last_check(check: LastCheck | None) -> Json | None:
    """The last one of an endpoint; None before the first."""
    return check and {
        "at": check.at,
        "standing": check.standing,
        "in_a_row": check.in_a_row,
        "result": check.outcome.result,
        "detail": check.outcome.detail,
        "took_ms": check.outcome.took_us / 1000,
    }


def _notes(service: Service) -> list[str]:
    """What else decides which endpoints are used."""
    if not service.is_panicking:
        return []
    least = f"{service.ejection.panic:.0%}"
    return [f"panic: fewer than {least} of the endpoints can be used, so that all are, whatever their verdicts say"]


def _source(source: SourceStatus) -> Json:
    return {**asdict(source), "notes": list(source.notes)}


def _endpoint(
    endpoint: Endpoint, requests: Mapping[str, int], totals: ServiceTotals, verdicts: Sequence[Verdict]
) -> Json:
    return {
        "address": endpoint.address,
        "weight": endpoint.weight,
        "state": endpoint.state,
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "requests": requests,
        "in_flight": totals.in_flight.get(endpoint.address, 0),
        "ttfb_ms": totals.ttfb_us.get(endpoint.address, 0) / 1000,
    }


def _by_endpoint(totals: ServiceTotals) -> dict[str, dict[str, int]]:
    """Endpoint -> code -> count, over all listeners."""
    counts: dict[str, dict[str, int]] = {}
    for (_, endpoint, code), count in totals.requests.items():
        codes = counts.setdefault(endpoint, {})
        codes[code] = codes.get(code, 0) + count
    return counts


def _added(requests: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Code -> count, of all endpoints, those that are gone and Fairlead itself."""
    added: dict[str, int] = {}
    for codes in requests:
        for code, count in codes.items():
            added[code] = added.get(code, 0) + count
    return added


def _durations(durations: Durations) -> Json:
    """Quantiles since the start; and the buckets [from, to, count], from which those of any interval can be had."""
    histogram = Histogram()
    for index, count in durations.counts.items():
        histogram.merge_sparse((index, count), 0)
    return {
        "count": histogram.total,
        "sum_ms": durations.sum_us / 1000,
        **{name: histogram.quantile_us(q) / 1000 for name, q in _QUANTILES.items()},
        "buckets": [
            [lower_us(index) / 1000, (upper_us(index) + 1) / 1000, count]
            for index, count in sorted(durations.counts.items())
        ],
    }
