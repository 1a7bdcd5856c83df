"""What an autoscaler may be driven by, with the target that somebody who knows the app would set.

Owns the fairness of the comparison: each driver has a target that means the same, how full pods should be, where its
metric can say that. Only `fairlead_saturation` does not need to be told what a pod can do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from fairlead.autoscale import quantity
from fairlead.autoscale.figures import Figures
from fairlead.autoscale.hpa.formula import Each, Failed, Reading, Whole
from fairlead.autoscale.hpa.spec import Kind, Metric, TargetKind, milli
from fairlead.autoscale.metrics import METRICS
from fairlead.autoscale.trial.scenario import Scenario
from fairlead.model import AUTO

SATURATION: Final = "fairlead_saturation"
P95: Final = "fairlead_latency_p95_seconds"
_RATE: Final = "fairlead_requests_per_second"
_IN_FLIGHT: Final = "fairlead_requests_in_flight"
_CPU: Final = "cpu"


@final
@dataclass(frozen=True, slots=True)
class Driver:
    """One or more metrics with their targets. `concurrency` is what saturation is measured against."""

    name: str
    metrics: tuple[Metric, ...]
    concurrency: float = AUTO


def drivers(scenario: Scenario) -> list[Driver]:
    """Those that are compared."""
    pod = scenario.target * scenario.concurrency
    saturation = _metric(SATURATION, "Value", scenario.target)
    guard = _metric(P95, "Value", scenario.objective_s)
    return [
        Driver("saturation", (saturation,)),
        Driver("saturation and p95", (saturation, guard)),
        Driver("in flight", (_metric(_IN_FLIGHT, "AverageValue", pod),)),
        Driver("requests/s", (_metric(_RATE, "AverageValue", pod / scenario.time_s),)),
        Driver("cpu", (Metric("Resource", _CPU, "Utilization", round(100 * scenario.target)),)),
        Driver("p95", (guard,)),
    ]


def read(metric: Metric, figures: Figures | None, used: Mapping[str, float]) -> Reading:
    """What the autoscaler would be answered. `used` is the CPU of each pod, of what it requests."""
    if metric.name == _CPU:
        values = {name: round(each * 1000) for name, each in used.items()}
        return Each(values, dict.fromkeys(values, 1000))
    known = METRICS[metric.name]
    value = known.read(figures) if figures else None
    if value is None or (known.needs_capacity and figures and not figures.capacity):
        return Failed(f"{metric.name}: no value")
    return Whole((milli(quantity.write(value, known.places)),))


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _metric(name: str, target_kind: TargetKind, target: float) -> Metric:
    kind: Kind = "Object"
    return Metric(kind, name, target_kind, round(target * 1000))
