"""Reports of workers that come and go, merged into totals that only grow.

A worker counts from its own start. Here each report's growth over the same worker's last one is added to the total, so
that a worker's death, and an endpoint that returns with a fresh count, never take a counter back. Never asks a worker
for anything, and never believes it: a report is read whole before any of it counts. Invariant: a total is the sum of
all growth that was ever reported; a gauge is of live workers only.

Addresses come and go without end. So `prune` forgets the endpoints that the metrics do not show any more either
(observe/samples.py); what they counted stays in `forgotten`, by code.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any, Generic, TypeVar

from fairlead.model import Service
from fairlead.observe.samples import GONE_LIMIT, exported
from fairlead.observe.totals import Durations, ListenerTotals, ServiceTotals, Totals

_K = TypeVar("_K", bound=Hashable)

Report = Mapping[str, Any]


class Growing(Generic[_K]):
    """Cumulative counts of several workers, each of which may start again from nothing."""

    def __init__(self) -> None:
        self.total: dict[_K, int] = {}
        self._last: dict[int, Mapping[_K, int]] = {}

    def take(self, worker: int, counts: Mapping[_K, int]) -> None:
        last = self._last.get(worker, {})
        total = self.total
        for key, count in counts.items():
            before = last.get(key, 0)
            if count != before:
                total[key] = total.get(key, 0) + (count - before if count > before else count)
        self._last[worker] = counts

    def bury(self, worker: int) -> None:
        """The worker's successor counts from nothing."""
        self._last.pop(worker, None)


class Merger:
    """Takes reports, gives `totals`."""

    def __init__(self) -> None:
        self._services: dict[str, _Service] = {}
        self._listeners: dict[str, _Listener] = {}
        self._versions: dict[int, int] = {}
        self._dropped: Growing[str] = Growing()

    def take(self, worker: int, report: Report) -> None:
        """Add what is new. Raises KeyError, TypeError or ValueError when this is no report; then nothing is added."""
        told = _totals(worker, report)
        for name, service in told.services.items():
            self._services.setdefault(name, _Service()).take(worker, service)
        for name, listener in told.listeners.items():
            self._listeners.setdefault(name, _Listener()).take(worker, listener)
        self._dropped.take(worker, {"": told.access_log_dropped})
        self._versions.update(told.versions)

    def bury(self, worker: int) -> None:
        """The worker is dead: its counts stay, what it was doing is over."""
        for service in self._services.values():
            service.bury(worker)
        for listener in self._listeners.values():
            listener.bury(worker)
        self._dropped.bury(worker)
        self._versions.pop(worker, None)

    def prune(self, services: Mapping[str, Service]) -> None:
        """Forget the endpoints that `services` do not hold, but for the latest of them."""
        for name, counted in self._services.items():
            present = services[name].endpoints if name in services else ()
            counted.prune([endpoint.address for endpoint in present])

    def version(self, worker: int) -> int:
        """The snapshot that a worker says it runs; 0 before it said so."""
        return self._versions.get(worker, 0)

    def totals(self) -> Totals:
        """Everything up to the last reports, in values that do not change any more."""
        return Totals(
            services={name: service.totals() for name, service in self._services.items()},
            listeners={name: listener.totals() for name, listener in self._listeners.items()},
            versions=dict(self._versions),
            access_log_dropped=self._dropped.total.get("", 0),
        )


class _Service:
    def __init__(self) -> None:
        self._requests: Growing[tuple[str, str, str]] = Growing()
        self._retries: Growing[str] = Growing()
        self._exhausted: Growing[str] = Growing()
        self._duration = _Durations()
        self._connect = _Durations()
        self._in_flight: dict[int, Mapping[str, int]] = {}
        self._ttfb_us: dict[int, Mapping[str, int]] = {}
        self._refused: Growing[str] = Growing()
        self._queued: dict[int, int] = {}
        self._limit: dict[int, int] = {}
        self._forgotten: dict[str, int] = {}

    def take(self, worker: int, told: ServiceTotals) -> None:
        self._requests.take(worker, told.requests)
        self._retries.take(worker, told.retries)
        self._exhausted.take(worker, {"": told.retries_exhausted})
        self._duration.take(worker, told.duration)
        self._connect.take(worker, told.connect)
        self._in_flight[worker] = told.in_flight
        self._ttfb_us[worker] = told.ttfb_us
        self._refused.take(worker, told.refused)
        self._queued[worker] = told.queued
        self._limit[worker] = told.limit

    def bury(self, worker: int) -> None:
        self._requests.bury(worker)
        self._retries.bury(worker)
        self._exhausted.bury(worker)
        self._duration.bury(worker)
        self._connect.bury(worker)
        self._in_flight.pop(worker, None)
        self._ttfb_us.pop(worker, None)
        self._refused.bury(worker)
        self._queued.pop(worker, None)
        self._limit.pop(worker, None)

    def prune(self, present: Collection[str]) -> None:
        counts = self._requests.total
        if len(counts) <= GONE_LIMIT:
            return
        kept = exported(counts, present)
        for key in [key for key in counts if key[1] not in kept]:
            code = key[2]
            self._forgotten[code] = self._forgotten.get(code, 0) + counts.pop(key)

    def totals(self) -> ServiceTotals:
        return ServiceTotals(
            requests=dict(self._requests.total),
            retries=dict(self._retries.total),
            retries_exhausted=self._exhausted.total.get("", 0),
            duration=self._duration.totals(),
            connect=self._connect.totals(),
            in_flight=_sum(self._in_flight),
            ttfb_us=_mean(self._ttfb_us),
            queued=sum(self._queued.values()),
            limit=sum(self._limit.values()),
            refused=dict(self._refused.total),
            forgotten=dict(self._forgotten),
        )


class _Durations:
    """A histogram of several workers. The sum travels with the counts, as the key -1."""

    def __init__(self) -> None:
        self._growing: Growing[int] = Growing()

    def take(self, worker: int, told: Durations) -> None:
        self._growing.take(worker, {-1: told.sum_us, **told.counts})

    def bury(self, worker: int) -> None:
        self._growing.bury(worker)

    def totals(self) -> Durations:
        counts = dict(self._growing.total)
        return Durations(sum_us=counts.pop(-1, 0), counts=counts)


class _Listener:
    def __init__(self) -> None:
        self._counts: Growing[str] = Growing()
        self._errors: Growing[str] = Growing()
        self._active: dict[int, int] = {}

    def take(self, worker: int, told: ListenerTotals) -> None:
        counts = {"connections": told.connections, "received": told.received, "sent": told.sent}
        self._counts.take(worker, counts)
        self._errors.take(worker, told.errors)
        self._active[worker] = told.active

    def bury(self, worker: int) -> None:
        self._counts.bury(worker)
        self._errors.bury(worker)
        self._active.pop(worker, None)

    def totals(self) -> ListenerTotals:
        active = sum(self._active.values())
        return ListenerTotals(active=active, errors=dict(self._errors.total), **self._counts.total)


def _totals(worker: int, report: Report) -> Totals:
    """What one worker says, since its own start."""
    return Totals(
        services={name: _service_totals(raw) for name, raw in _object(report["services"]).items()},
        listeners={name: _listener_totals(raw) for name, raw in _object(report["listeners"]).items()},
        versions=_counts({worker: report["version"]}),
        access_log_dropped=_count(report["access_log_dropped"]),
    )


def _service_totals(raw: Report) -> ServiceTotals:
    requests = {(listener, endpoint, code): n for listener, endpoint, code, n in raw["requests"]}
    if not all(type(text) is str for key in requests for text in key):
        raise TypeError("a listener, endpoint or code is no text")
    return ServiceTotals(
        requests=_counts(requests),
        retries=_counts(_object(raw["retries"])),
        retries_exhausted=_count(raw["retries_exhausted"]),
        duration=_durations(raw["duration"]),
        connect=_durations(raw["connect"]),
        in_flight=_counts(_object(raw["in_flight"])),
        ttfb_us=_counts(_object(raw["ttfb"])),
        queued=_count(raw["queued"]),
        limit=_count(raw["limit"]),
        refused=_counts(_object(raw["refused"])),
    )


def _listener_totals(raw: Report) -> ListenerTotals:
    counts = _counts({name: raw[name] for name in ("connections", "active", "received", "sent")})
    return ListenerTotals(errors=_counts(_object(raw["errors"])), **counts)


def _durations(raw: Report) -> Durations:
    pairs = raw["sparse"]
    buckets = [_count(bucket) for bucket in pairs[::2]]
    return Durations(counts=_counts(dict(zip(buckets, pairs[1::2], strict=True))), sum_us=_count(raw["sum_us"]))


def _object(raw: object) -> Report:
    if not isinstance(raw, dict):
        raise TypeError(f"{raw!r} is no object")
    return raw


def _counts(counts: Mapping[_K, Any]) -> Mapping[_K, int]:
    for count in counts.values():
        if type(count) is not int or count < 0:
            raise TypeError(f"{count!r} is no count")
    return counts


def _count(count: object) -> int:
    return _counts({"": count})[""]


def _sum(by_worker: Mapping[int, Mapping[str, int]]) -> dict[str, int]:
    merged: dict[str, int] = {}
    for values in by_worker.values():
        for key, value in values.items():
            merged[key] = merged.get(key, 0) + value
    return merged


def _mean(by_worker: Mapping[int, Mapping[str, int]]) -> dict[str, int]:
    seen: dict[str, list[int]] = {}
    for values in by_worker.values():
        for key, value in values.items():
            seen.setdefault(key, []).append(value)
    return {key: sum(values) // len(values) for key, values in seen.items()}
