"""What the workers counted, merged: the values that metrics, the admin server and the page read.

Owns the shape only. Never computes: control/merge.py fills it. A histogram is sparse, by index as in histogram.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """A latency histogram: bucket index -> count, and the sum in microseconds."""

    counts: Mapping[int, int] = field(default_factory=dict)
    sum_us: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTotals:
    """What a service did since the supervisor started, and what it is doing."""

    requests: Mapping[tuple[str, str, str], int] = field(default_factory=dict)  # (listener, endpoint, code)
    retries: Mapping[str, int] = field(default_factory=dict)  # by reason
    retries_exhausted: int = 0  # requests that were not tried again because the budget was spent
    duration: Durations = Durations()
    connect: Durations = Durations()
    in_flight: Mapping[str, int] = field(default_factory=dict)  # by endpoint, now
    ttfb_us: Mapping[str, int] = field(default_factory=dict)  # by endpoint, average now
    queued: int = 0  # wait for an endpoint with room, now
    limit: int = 0  # of what may wait for its reply at once, as learned by all workers together; 0: there is none
    refused: Mapping[str, int] = field(default_factory=dict)  # for want of room, by the value of errors.Kind
    forgotten: Mapping[str, int] = field(default_factory=dict)  # by code: of endpoints that `requests` holds no more


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTotals:
    """What a listener took and gave since the supervisor started; `active` connections are now."""

    connections: int = 0
    active: int = 0
    received: int = 0
    sent: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)  # by the value of errors.Kind


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Everything, by name. `versions` is the snapshot that each live worker runs."""

    services: Mapping[str, ServiceTotals] = field(default_factory=dict)
    listeners: Mapping[str, ListenerTotals] = field(default_factory=dict)
    versions: Mapping[int, int] = field(default_factory=dict)
    access_log_dropped: int = 0
