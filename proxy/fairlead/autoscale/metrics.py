"""The metrics that an autoscaler can ask for: their names, what they are made of, and whether a single pod has them.

The one place that names them: discovery, answers and the documentation's test read this table. Not to be confused with
observe/metrics.py, which is what Prometheus scrapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, final

from fairlead.autoscale import figures
from fairlead.autoscale.figures import Figures
from fairlead.autoscale.quantity import MICRO, MILLI


@final
@dataclass(frozen=True, slots=True)
class Metric:
    """`read` gives None when there is no value. Not all are `of_pods`: an endpoint has no histogram of its own."""

    name: str
    read: Callable[[Figures], float | None]
    places: int = MILLI
    of_pods: bool = False
    needs_traffic: bool = False  # without it the last value stands
    needs_capacity: bool = False


def _quantile(percent: int) -> Metric:
    read = partial(figures.quantile_s, q=percent / 100)
    return Metric(f"fairlead_latency_p{percent}_seconds", read, MICRO, needs_traffic=True)


_ALL: Final = (
    Metric("fairlead_requests_per_second", figures.requests_per_second, of_pods=True),
    Metric("fairlead_requests_in_flight", figures.in_flight, of_pods=True),
    _quantile(50),
    _quantile(90),
    _quantile(95),
    _quantile(99),
    Metric("fairlead_error_ratio", figures.error_ratio, MICRO, of_pods=True, needs_traffic=True),
    Metric("fairlead_queued_requests", figures.queued),
    Metric("fairlead_saturation", figures.saturation, of_pods=True, needs_capacity=True),
)
METRICS: Final[Mapping[str, Metric]] = MappingProxyType({metric.name: metric for metric in _ALL})
